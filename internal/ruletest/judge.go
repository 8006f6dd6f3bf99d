package ruletest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// maxShown bounds the alerts, events and clauses that one failure names.
const maxShown = 5

// fieldEvidence is the ID of the event that an alert is about.
const fieldEvidence = "tocsin.alert.evidence_id"

// judge holds the alerts against what was expected.
func (t *trial) judge() []Failure {
	var out []Failure
	if t.because != "" {
		if len(t.alerts) > 0 {
			f := Failure{Line: t.line, Expected: "no alert, " + t.because, Came: t.list(t.alerts)}
			for _, a := range t.alerts[:min(len(t.alerts), maxShown)] {
				f.Nearest = append(f.Nearest, t.reason(a))
			}
			out = append(out, f)
		} else if t.why != "" && strings.HasPrefix(t.why, "the rule failed") {
			out = append(out, Failure{Line: t.line, Expected: "no alert, " + t.because, Came: t.why})
		}
		return out
	}
	lacks, unasked := t.match()
	for i, e := range t.expected {
		if lacks[i] > 0 {
			out = append(out, t.missing(e, lacks[i], unasked))
		}
	}
	if len(unasked) > 0 {
		f := Failure{Line: t.line, Expected: "no other alert", Came: t.list(unasked)}
		for _, a := range unasked[:min(len(unasked), maxShown)] {
			f.Nearest = append(f.Nearest, t.reason(a))
			if e, wrong := t.closest(a); len(wrong) > 0 {
				f.Nearest = append(f.Nearest, fmt.Sprintf("  what is expected on line %d differs: %s", e.line, strings.Join(wrong, "; ")))
			}
		}
		out = append(out, f)
	}
	return out
}

// match gives each alert to at most one expectation that it fits, so that as many as possible are met. It returns how
// many alerts each expectation lacks, and the alerts that nobody expected.
func (t *trial) match() (lacks []int, unasked []*event.Event) {
	fits := make([][]int, len(t.alerts)) // the expectations that each alert fits
	for a, alert := range t.alerts {
		for i, e := range t.expected {
			if len(e.differs(alert)) == 0 {
				fits[a] = append(fits[a], i)
			}
		}
	}
	held := make([][]int, len(t.expected)) // the alerts that each expectation holds
	var give func(a int, tried []bool) bool
	give = func(a int, tried []bool) bool {
		for _, i := range fits[a] {
			if tried[i] {
				continue
			}
			tried[i] = true
			if len(held[i]) < t.expected[i].count {
				held[i] = append(held[i], a)
				return true
			}
			for k, other := range held[i] {
				if give(other, tried) {
					held[i][k] = a
					return true
				}
			}
		}
		return false
	}
	for a, alert := range t.alerts {
		if !give(a, make([]bool, len(t.expected))) {
			unasked = append(unasked, alert)
		}
	}
	for i, e := range t.expected {
		lacks = append(lacks, e.count-len(held[i]))
	}
	return lacks, unasked
}

// differs lists in what an alert is not as expected.
func (e expectation) differs(alert *event.Event) []string {
	var out []string
	if is := alert.Text(fieldEvidence); e.event != "" && is != e.event {
		out = append(out, fmt.Sprintf("it is about event %s, not %s", is, e.event))
	}
	for _, f := range e.fields {
		if is := textsOf(alert, f.Key); !holds(is, f.Value) {
			out = append(out, fmt.Sprintf("%s is %s, not %s", f.Key, quotedList(is), quotedValue(f.Value)))
		}
	}
	return out
}

// holds reports whether a field with these values is as a test says: a scalar is one of them, a list is all of them.
func holds(is []string, want event.Value) bool {
	if want.Kind() != event.KindList {
		return slices.Contains(is, want.Text())
	}
	texts := make([]string, len(want.Items()))
	for i, v := range want.Items() {
		texts[i] = v.Text()
	}
	return slices.Equal(is, texts)
}

// textsOf are the values of a field; of an object, or a flattened field, all below it.
func textsOf(e *event.Event, path string) []string {
	values := e.Values(path)
	if values == nil {
		values = e.Leaves(path)
	}
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v.Text()
	}
	return out
}

func quotedList(texts []string) string {
	switch {
	case len(texts) == 0:
		return "absent"
	case len(texts) == 1:
		return fmt.Sprintf("%q", short(texts[0]))
	}
	shown := texts[:min(len(texts), maxShown)]
	out := make([]string, len(shown))
	for i, s := range shown {
		out[i] = fmt.Sprintf("%q", short(s))
	}
	if len(texts) > maxShown {
		out = append(out, "…")
	}
	return "[" + strings.Join(out, ", ") + "]"
}

func quotedValue(v event.Value) string {
	if v.Kind() != event.KindList {
		return fmt.Sprintf("%q", short(v.Text()))
	}
	return string(v.AppendJSON(nil))
}

func short(s string) string {
	const most = 120
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// String says what is expected.
func (e expectation) String() string {
	out := "an alert"
	if e.count != 1 {
		out = fmt.Sprintf("%d alerts", e.count)
	}
	if e.event != "" {
		out += " about event " + e.event
	}
	between := " with "
	for _, f := range e.fields {
		out += between + f.Key + " = " + quotedValue(f.Value)
		between = ", "
	}
	return out
}

// list says which alerts came.
func (t *trial) list(alerts []*event.Event) string {
	if len(alerts) == 0 {
		return "no alert"
	}
	var about []string
	for _, a := range alerts[:min(len(alerts), maxShown)] {
		about = append(about, a.Text(fieldEvidence))
	}
	if len(alerts) > maxShown {
		about = append(about, "…")
	}
	if len(alerts) == 1 {
		return "an alert about event " + about[0]
	}
	return fmt.Sprintf("%d alerts about events %s", len(alerts), strings.Join(about, ", "))
}

// reason says what an alert says of itself.
func (t *trial) reason(a *event.Event) string {
	out := fmt.Sprintf("event %s at %s: ", a.Text(fieldEvidence), a.Text("kibana.alert.original_time"))
	if s := a.Text("tocsin.alert.why"); s != "" {
		return out + short(s)
	}
	return out + short(a.Text("kibana.alert.reason"))
}

// closest is the expectation from which an alert differs least.
func (t *trial) closest(a *event.Event) (expectation, []string) {
	var best expectation
	var least []string
	for i, e := range t.expected {
		if d := e.differs(a); i == 0 || len(d) < len(least) {
			best, least = e, d
		}
	}
	return best, least
}
