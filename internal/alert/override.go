package alert

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// overrides returns what the alert is called and how bad it is, as the rule takes it from the source (§1.9).
func overrides(r *rule.Rule, source *event.Event) (severity string, risk event.Value, name string) {
	return severityOf(r, source), riskOf(r, source), nameOf(r, source)
}

// severityOf is the highest severity whose mapping matches, else the rule's.
func severityOf(r *rule.Rule, source *event.Event) string {
	severity, highest := r.Severity, -1
	for _, m := range r.SeverityMapping {
		rank := slices.Index(rule.Severities(), m.Severity)
		if rank > highest && holds(source, m.Field, m.Value) {
			severity, highest = m.Severity, rank
		}
	}
	return severity
}

// holds reports whether the source has the mapping's value in field. The numbers of event.severity are compared as
// numbers, everything else as text.
func holds(source *event.Event, field, value string) bool {
	want := value
	if field == "event.severity" {
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil || math.IsInf(n, 0) || n != n {
			return false
		}
		want = strconv.FormatFloat(math.Floor(n), 'f', -1, 64)
	}
	for _, v := range source.Values(field) {
		whole, isWhole := wholeNumber(v)
		switch {
		case isWhole && whole == want:
			return true
		case v.Kind() == event.KindString && v.Str() == value && field != "event.severity":
			return true
		}
	}
	return false
}

// wholeNumber prints a number that has no fraction and that a float64 holds exactly.
func wholeNumber(v event.Value) (string, bool) {
	if v.Kind() != event.KindInt && v.Kind() != event.KindFloat {
		return "", false
	}
	const safe = 1<<53 - 1
	f := v.Float()
	if f != math.Trunc(f) || math.Abs(f) > safe {
		return "", false
	}
	return strconv.FormatInt(int64(f), 10), true
}

// riskOf is the greatest valid score in the field of the first mapping, else the rule's.
func riskOf(r *rule.Rule, source *event.Event) event.Value {
	best := event.Null()
	if len(r.RiskScoreMapping) > 0 {
		for _, v := range source.Values(r.RiskScoreMapping[0].Field) {
			score, ok := scoreOf(v)
			if ok && (best.IsNull() || event.Compare(score, best) > 0) {
				best = score
			}
		}
	}
	if best.IsNull() {
		return event.Int(int64(r.RiskScore))
	}
	return best
}

// scoreOf reads a number, or a text of one, in [0, 100].
func scoreOf(v event.Value) (event.Value, bool) {
	switch v.Kind() {
	case event.KindInt, event.KindFloat:
	case event.KindString:
		n, ok := event.Coerce(event.Double, event.String(strings.TrimSpace(v.Str())))
		if !ok {
			return event.Null(), false
		}
		v = n
	default:
		return event.Null(), false
	}
	f := v.Float()
	if !(f >= 0 && f <= 100) {
		return event.Null(), false
	}
	if f == math.Trunc(f) {
		return event.Int(int64(f)), true
	}
	return v, true
}

// nameOf is the text in the field of the rule's name override, else the rule's name. A list is no text.
func nameOf(r *rule.Rule, source *event.Event) string {
	if r.RuleNameOverride != "" {
		if s := at(source, r.RuleNameOverride).Str(); s != "" {
			return s
		}
	}
	return r.Name
}

// at is what stands at path, in objects at shorter paths too.
func at(e *event.Event, path string) event.Value {
	if v := e.Get(path); !v.IsNull() {
		return v
	}
	for i := len(path) - 1; i > 0; i-- {
		if path[i] != '.' {
			continue
		}
		if tree := e.Get(path[:i]); tree.Kind() == event.KindObject {
			return below(tree, path[i+1:])
		}
	}
	return event.Null()
}

// below follows path through the objects of tree, whose keys may hold dots.
func below(tree event.Value, path string) event.Value {
	for _, m := range tree.Members() {
		if m.Key == path {
			return m.Value
		}
		if rest, ok := strings.CutPrefix(path, m.Key+"."); ok {
			if v := below(m.Value, rest); !v.IsNull() {
				return v
			}
		}
	}
	return event.Null()
}
