package ruletest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// missing is the failure of an expectation that lacks n alerts; unasked are those that fit no expectation.
func (t *trial) missing(e expectation, n int, unasked []*event.Event) Failure {
	f := Failure{Line: e.line, Expected: e.String(), Came: t.list(t.alerts)}
	if e.count > 1 {
		f.Came = fmt.Sprintf("%d of them", e.count-n)
	}
	if t.why != "" {
		f.Nearest = append(f.Nearest, t.why)
		return f
	}
	if t.over > 0 {
		f.Nearest = append(f.Nearest, fmt.Sprintf("%d alerts over the rule's max_signals (%d) were not made", t.over, t.rule.MaxSignals))
	}
	if e.event != "" && !slices.ContainsFunc(t.tries, func(o try) bool { return o.event.ID == e.event }) {
		f.Nearest = append(f.Nearest, fmt.Sprintf("no event has the ID %s", e.event))
		return f
	}
	for _, a := range unasked {
		if e.event == "" || a.Text(fieldEvidence) == e.event {
			f.Nearest = append(f.Nearest, fmt.Sprintf("event %s alerted, but %s", a.Text(fieldEvidence), strings.Join(e.differs(a), "; ")))
			if len(f.Nearest) == maxShown {
				return f
			}
		}
	}
	if len(unasked) == 0 || e.event != "" {
		f.Nearest = append(f.Nearest, t.nearest(e)...)
	}
	return f
}

// nearest says why the event that came closest to what is expected made no alert.
func (t *trial) nearest(e expectation) []string {
	best := -1
	for i, o := range t.tries[len(t.past):] {
		i += len(t.past)
		switch {
		case e.event != "" && o.event.ID != e.event, t.alerted(o.event.ID):
		case best < 0 || len(o.amiss) < len(t.tries[best].amiss):
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	return t.explain(t.tries[best])
}

func (t *trial) alerted(id string) bool {
	return slices.ContainsFunc(t.alerts, func(a *event.Event) bool { return a.Text(fieldEvidence) == id })
}

// explain says why an event made no alert.
func (t *trial) explain(o try) []string {
	e := o.event
	out := []string{}
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if !store.Selects(t.rule.Index, e.Stream) {
		say("event %s lies in stream %s, which the rule does not read (%s)", e.ID, e.Stream, strings.Join(t.rule.Index, ", "))
	}
	for n, i := range o.amiss {
		if n == maxShown {
			say("… and %d more clauses", len(o.amiss)-n)
			break
		}
		c := t.clauses.found[i]
		is := "false"
		if o.truths[i] {
			is = "true"
		}
		say("event %s: %s:%d:%d: %s is %s: %s", e.ID, t.rule.File, c.Line, c.Column, c.Text, is, valuesOf(t.clauses.leaves[i].field, e))
	}
	if len(out) > 0 {
		return out
	}
	at, timed := t.program.Time.Of(e)
	switch {
	case !timed:
		say("event %s matches the query, but has no %s", e.ID, strings.Join(t.program.Time.Paths(), " or "))
		return out
	case t.runAt != nil:
		if w, err := t.program.Window(*t.runAt); err == nil && !w.Span().Contains(at) {
			say("event %s matches the query, but its %s (%s) is not in the window %s … %s", e.ID, t.program.Time.Primary,
				event.FormatTime(at), event.FormatTime(w.From), event.FormatTime(w.To))
			return out
		}
	}
	if item := t.program.HiddenBy(e, t.ranAt(at)); item != nil {
		say("event %s matches the query, but exception %q hides it", e.ID, short(item.Name))
		return out
	}
	if t.rule.Type == rule.TypeNewTerms {
		if known := t.known(o); known != "" {
			say("event %s matches the query, but %s", e.ID, known)
			return out
		}
	}
	switch {
	case len(t.rule.Filters) > 0:
		say("event %s matches the query; the rule has filters besides", e.ID)
	default:
		say("event %s matches the query", e.ID)
	}
	return out
}

// ranAt is a time of a run that looks at an event of time at.
func (t *trial) ranAt(at time.Time) time.Time {
	if t.runAt != nil {
		return *t.runAt
	}
	return at
}

// known says where the terms of an event were seen before, or which are absent.
func (t *trial) known(o try) string {
	var fields []expr.Field
	for _, name := range t.rule.NewTermsFields {
		f, _ := t.resolver.Field(name)
		fields = append(fields, f)
		if len(expr.Read(f, o.event)) == 0 {
			return name + " is absent, and only an event with all new-terms fields counts"
		}
	}
	mine, err := sighting.Tuples(fields, o.event)
	if err != nil {
		return err.Error()
	}
	at, _ := t.program.Time.Of(o.event)
	for _, other := range t.tries {
		before, timed := t.program.Time.Of(other.event)
		if !other.whole || !timed || before.After(at) || other.event == o.event {
			continue
		}
		theirs, err := sighting.Tuples(fields, other.event)
		if err != nil {
			continue
		}
		for _, m := range mine {
			if slices.ContainsFunc(theirs, func(o sighting.Occurrence) bool { return o.Tuple == m.Tuple }) {
				texts := make([]string, len(m.Values))
				for i, v := range m.Values {
					texts[i] = fmt.Sprintf("%s %q", t.rule.NewTermsFields[i], short(v.Text()))
				}
				return fmt.Sprintf("%s was seen before, in event %s at %s", strings.Join(texts, " with "), other.event.ID, event.FormatTime(before))
			}
		}
	}
	return ""
}

// valuesOf says what the field of a clause is in an event.
func valuesOf(field string, e *event.Event) string {
	if field == "" {
		return "it looks at several fields"
	}
	return "it is " + quotedList(textsOf(e, field))
}
