package explain

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// EventAnswer says what a rule makes of one event.
type EventAnswer struct {
	ID     string `json:"id"`
	Stream string `json:"stream"`
	// Time is the event's time in the field that windows are cut on, TimeField that field; "" where it has none.
	Time      string `json:"time"`
	TimeField string `json:"time_field"`
	// Verdict is the answer in one sentence. Found says that the rule sees the event and its query finds it.
	Verdict string `json:"verdict"`
	Found   bool   `json:"found"`
	// Causes are the comparisons that decided, each in a sentence; there are some where the query or the filters do not hold.
	Causes []string `json:"causes,omitempty"`
	// Query and Filters are the conditions with what they saw; of a sequence each of the Stages has one.
	Query   *Node         `json:"query,omitempty"`
	Filters *Node         `json:"filters,omitempty"`
	Stages  []StageAnswer `json:"stages,omitempty"`
	// Exception is the exception that hides the event.
	Exception *ExceptionAnswer `json:"exception,omitempty"`
	// Facts are what else decides: terms, groups, indicators, what a sequence needs besides.
	Facts []string `json:"facts,omitempty"`
}

// StageAnswer is a stage of a sequence or sample.
type StageAnswer struct {
	// Name is stage 1, stage 2 …, or until; Missing says that there must be no such event.
	Name    string   `json:"name"`
	Missing bool     `json:"missing,omitempty"`
	Fits    bool     `json:"fits"`
	Causes  []string `json:"causes,omitempty"`
	Query   *Node    `json:"query"`
	// Keys are what events of the stage have in common with the others'.
	Keys []Reading `json:"keys,omitempty"`
}

// ExceptionAnswer is an exception that hides an event.
type ExceptionAnswer struct {
	Name  string `json:"name"`
	Query *Node  `json:"query"`
}

// Event says what the rule makes of e in the first run that looks at it. What it cannot know of one event alone, such as what was
// seen before, it says.
func Event(ctx context.Context, q Question, e *event.Event) (EventAnswer, error) {
	p := q.Program
	a := EventAnswer{ID: e.ID, Stream: e.Stream, TimeField: strings.Join(p.Time.Paths(), ", or ")}
	at, timed := p.Time.Of(e)
	now := time.Unix(0, 0).UTC()
	if timed {
		a.Time = event.FormatTime(at)
		now = window.Ceil(at, p.Schedule().Interval())
	}
	parts, err := clausesOf(q, now)
	if err != nil {
		return a, err
	}
	asked, err := p.Asked(now)
	if err != nil {
		return a, err
	}
	found := expr.Matches(asked, e)
	if parts.query != nil {
		a.Query = parts.query.eval(e)
	}
	if parts.filters != nil {
		a.Filters = parts.filters.eval(e)
	}
	a.stages(q, parts, e)
	if parts.query != nil && found != (expr.Matches(parts.all().cond, e)) {
		// The words of the language do not tell the whole condition, such as that a field has no values at all.
		a.Query, a.Filters = explained(expr.Explain(asked, e), e), nil
	}
	p.Exceptions(now, func(item *exception.Item, hides expr.Cond) {
		if a.Exception == nil && expr.Matches(hides, e) {
			a.Exception = &ExceptionAnswer{Name: item.Name, Query: explained(expr.Explain(hides, e), e)}
			a.Exception.Query.prune(nil)
		}
	})
	a.decide(found)
	reads := store.Selects(p.Streams(), e.Stream)
	own := alert.Raised(e, p.Rule.UUID())
	switch {
	case !reads:
		a.Verdict = fmt.Sprintf("the rule does not look at it: it lies in %s, and the rule reads %s", e.Stream, strings.Join(p.Streams(), ", "))
		if !found {
			a.Verdict += "; nor does the query find it"
		}
	case !timed:
		a.Verdict = fmt.Sprintf("it lies in no window: it has no %s", a.TimeField)
	case !found && parts.query == nil:
		a.Verdict = "it is none of the stages" + tail(a.Causes)
	case !found && a.Filters != nil && a.Query.truth == expr.True:
		a.Verdict = "the query finds it, and the rule's filters do not" + tail(a.Causes)
	case !found:
		a.Verdict = "the query does not find it" + tail(a.Causes)
	case a.Exception != nil:
		a.Verdict = fmt.Sprintf("the query finds it, and the exception %q hides it", a.Exception.Name)
	case own:
		a.Verdict = "the query finds it, but it is an alert of this rule, or rests on one: a rule does not alert on itself"
	default:
		a.Found = true
		if err := a.byType(ctx, q, e, now); err != nil {
			return a, err
		}
	}
	if timed {
		if w, err := p.Window(now); err == nil && !w.Span().Contains(at) {
			a.Facts = append(a.Facts, "the run that follows it looks at "+clock(w.From)+" … "+clock(w.To)+" alone: whether another one looks at it, --for says")
		}
	}
	return a, nil
}

// tail is the first cause behind a verdict.
func tail(causes []string) string {
	if len(causes) == 0 {
		return ""
	}
	s := ": " + causes[0]
	if len(causes) > 1 {
		s += fmt.Sprintf("; and so with %s", counted(int64(len(causes)-1), "more clause"))
	}
	return s
}

// decide finds the first cause, and cuts what is long.
func (a *EventAnswer) decide(found bool) {
	keep := map[*Node]bool{}
	for _, n := range []*Node{a.Query, a.Filters} {
		if n == nil {
			continue
		}
		if !found && n.truth != expr.True {
			a.Causes = append(a.Causes, causes(n, keep)...)
		}
		n.prune(keep)
	}
	for i := range a.Stages {
		if s := &a.Stages[i]; !s.Fits && !found && !s.Missing && s.Name != "until" {
			for _, c := range s.Causes {
				a.Causes = append(a.Causes, s.Name+": "+c)
			}
		}
	}
}

// causes are the sentences of what decided that n is not true.
func causes(n *Node, keep map[*Node]bool) []string {
	var out []string
	for _, d := range deciding(n, true) {
		keep[d] = true
		if len(out) < maxParts {
			out = append(out, d.sentence())
		}
	}
	return out
}

func (a *EventAnswer) stages(q Question, parts *clauses, e *event.Event) {
	stages, until, _ := q.Program.Stages()
	n := 0
	for i, c := range parts.stages {
		n++
		s := StageAnswer{Name: fmt.Sprintf("stage %d", n), Missing: stages[i].Missing, Query: c.eval(e)}
		if until && i == len(stages)-1 {
			s.Name = "until"
		}
		s.Fits = expr.Matches(stages[i].Cond, e)
		for _, k := range stages[i].Keys {
			if k.Absent {
				s.Keys = append(s.Keys, Reading{Field: k.Name, Values: []string{}, Note: "which nothing declares"})
				continue
			}
			r := reading(k.Field, e)
			s.Keys = append(s.Keys, r)
			if len(r.Values) == 0 && !k.Optional && s.Fits {
				s.Fits = false
				s.Causes = append(s.Causes, "it has no "+k.Name+", by which the stages belong together")
			}
		}
		keep := map[*Node]bool{}
		if s.Query.truth != expr.True {
			s.Causes = append(s.Causes, causes(s.Query, keep)...)
		}
		s.Query.prune(keep)
		a.Stages = append(a.Stages, s)
	}
}

// byType says what else it takes for an event that the query finds to be an alert.
func (a *EventAnswer) byType(ctx context.Context, q Question, e *event.Event, now time.Time) error {
	p := q.Program
	r := p.Rule
	fact := func(format string, args ...any) { a.Facts = append(a.Facts, fmt.Sprintf(format, args...)) }
	switch {
	case len(p.TermFields()) > 0:
		tuples, err := sighting.Tuples(p.TermFields(), e)
		if err != nil {
			return err
		}
		if len(tuples) == 0 {
			a.Found = false
			a.Verdict = "the query finds it, but it has no " + strings.Join(absent(p.TermFields(), e), " and no ") + ": where a field is missing there is no new term"
			return nil
		}
		for i, t := range tuples {
			if i == maxValues {
				fact("and %s", counted(int64(len(tuples)-i), "more combination"))
				break
			}
			fact("its term: %s", tupleText(p.TermFields(), t))
		}
		a.Verdict = fmt.Sprintf("the query finds it; it is an alert if no such event held its %s since %s", r.NewTermsFields[0], r.HistoryWindowStart)
		if len(r.NewTermsFields) > 1 {
			a.Verdict = fmt.Sprintf("the query finds it; it is an alert if no such event held its %s together since %s", strings.Join(r.NewTermsFields, " and "), r.HistoryWindowStart)
		}
		fact("what was seen before stands in a store: --for … --db FILE asks there")
	case r.Threshold != nil:
		groups, err := p.GroupsOf(e)
		if err != nil {
			return err
		}
		if len(groups) == 0 || lacks(groups) {
			a.Found = false
			a.Verdict = "the query finds it, but it lacks a field of the groups (" + strings.Join(r.Threshold.Fields, ", ") + "): it counts nowhere"
			return nil
		}
		a.Verdict = fmt.Sprintf("the query finds it; the rule alerts on %s of one group in a window, so it takes %s", counted(int64(r.Threshold.Value), "event"), counted(int64(max(0, r.Threshold.Value-1)), "more event"))
		for i, g := range groups {
			if i == maxValues {
				fact("and %s", counted(int64(len(groups)-i), "more group"))
				break
			}
			fact("its group: %s", termsText(g))
		}
		for _, c := range r.Threshold.Cardinality {
			fact("the events of the group need %s of %s", counted(int64(c.Value), "different value"), c.Field)
		}
	case len(a.Stages) > 0:
		var fits, others []string
		for _, s := range a.Stages {
			switch {
			case s.Fits:
				fits = append(fits, s.Name)
			case s.Name != "until":
				how := ""
				if s.Missing {
					how = " (which must be missing)"
				}
				others = append(others, s.Name+how)
			}
		}
		if len(fits) == 0 {
			a.Found = false
			a.Verdict = "it is none of the stages" + tail(a.Causes)
			return nil
		}
		a.Verdict = "it can be " + strings.Join(fits, " and ")
		if len(others) > 0 {
			a.Verdict += "; the rule needs " + strings.Join(others, " and ") + " besides"
		}
		if span := p.MaxSpan(); span > 0 {
			fact("all within %s (maxspan)", brief(span))
		}
	case p.Matches():
		return a.indicators(ctx, q, e, now)
	default:
		a.Verdict = "the query finds it: the rule alerts on it"
		if p.Folds() {
			a.Verdict = "the query finds it: the rule alerts on it, or folds it into an alert that it has made on one like it"
		}
	}
	if groups, err := p.GroupsOf(e); err == nil && p.Folds() && r.Threshold == nil {
		for i, g := range groups {
			if i == maxValues {
				break
			}
			fact("folded by: %s", termsText(g))
		}
	}
	if r.BuildingBlockType != "" {
		fact("its alerts are building blocks: material for other rules, which lists of alerts leave out")
	}
	return nil
}

// indicators says which indicators match, or what they would be compared with.
func (a *EventAnswer) indicators(ctx context.Context, q Question, e *event.Event, now time.Time) error {
	p := q.Program
	for i, group := range p.Comparisons() {
		var parts []string
		for _, c := range group {
			sign := "with"
			if c.Negate {
				sign = "to differ from"
			}
			parts = append(parts, fmt.Sprintf("%s, compared %s %s", reading(c.Field, e), sign, c.Indicator))
		}
		word := "entry"
		if i > 0 {
			word = "or entry"
		}
		a.Facts = append(a.Facts, fmt.Sprintf("%s %d: %s", word, i+1, strings.Join(parts, " and ")))
	}
	if p.IndicatorsHeld() == 0 {
		a.Verdict = "the query finds it; it is an alert if an indicator matches, and none are at hand here (--db FILE)"
		return nil
	}
	found, err := p.IndicatorsOf(ctx, e, now)
	if err != nil {
		return err
	}
	if found == nil {
		a.Found = false
		a.Verdict = fmt.Sprintf("the query finds it, but none of %s matches", counted(int64(p.IndicatorsHeld()), "indicator"))
		return nil
	}
	a.Verdict = fmt.Sprintf("the query finds it, and %s", counted(int64(len(found.Found)), "indicator")+" match: the rule alerts on it")
	if len(found.Found) == 1 {
		a.Verdict = "the query finds it, and an indicator matches: the rule alerts on it"
	}
	for i, f := range found.Found {
		if i == maxValues {
			a.Facts = append(a.Facts, fmt.Sprintf("and %s", counted(int64(len(found.Found)-i), "more indicator")))
			break
		}
		var by []string
		for _, m := range f.Matches {
			by = append(by, fmt.Sprintf("%s %q", m.Field, clip(m.Value.Text(), maxText)))
		}
		a.Facts = append(a.Facts, fmt.Sprintf("indicator %s of %s matches by %s", f.ID, f.Stream, strings.Join(by, " and ")))
	}
	return nil
}

// absent are the fields in which e has no value.
func absent(fields []expr.Field, e *event.Event) []string {
	var out []string
	for _, f := range fields {
		if len(expr.Read(f, e)) == 0 {
			out = append(out, f.Path)
		}
	}
	return out
}

func lacks(groups [][]alert.Term) bool {
	for _, t := range groups[0] {
		if t.Value.IsNull() {
			return true
		}
	}
	return false
}

// tupleText names a combination of terms.
func tupleText(fields []expr.Field, o sighting.Occurrence) string {
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = fmt.Sprintf("%s %q", f.Path, clip(o.Values[i].Text(), maxText))
	}
	return strings.Join(parts, " with ")
}

// termsText names a group.
func termsText(terms []alert.Term) string {
	if len(terms) == 0 {
		return "all events together"
	}
	parts := make([]string, len(terms))
	for i, t := range terms {
		text := "(none)"
		switch {
		case t.Value.Kind() == event.KindList:
			var items []string
			for _, v := range t.Value.Items() {
				items = append(items, v.Text())
			}
			text = clip(strings.Join(items, ", "), maxText)
		case !t.Value.IsNull():
			text = clip(t.Value.Text(), maxText)
		}
		parts[i] = fmt.Sprintf("%s %q", t.Field, text)
	}
	return strings.Join(parts, ", ")
}
