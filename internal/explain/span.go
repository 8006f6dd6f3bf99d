package explain

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// Asked are the events that a Span is asked about.
type Asked struct {
	// Cond is what they fulfil, Text the same in words.
	Cond expr.Cond
	Text string
	// From and To bound their @timestamp, both included.
	From, To time.Time
	// Show are paths that the examples of the answer hold.
	Show []string
}

// MaxLooked bounds the events of which a Span looks up one by one what became of them; the oldest are. All others are counted.
const MaxLooked = 20_000

// SpanAnswer says what became of events.
type SpanAnswer struct {
	Verdict string `json:"verdict"`
	// Events is how many are asked about, Unread those in streams that the rule does not read, by stream.
	Events int64         `json:"events"`
	Unread []StreamCount `json:"unread,omitempty"`
	// Clauses are the parts of the query and the filters; of a sequence there is one for each stage.
	Clauses []ClauseCount `json:"clauses"`
	// Found is how many events the query finds, Looked how many of these were looked up one by one.
	Found  int64 `json:"found"`
	Looked int   `json:"looked"`
	// Exceptions are those that hide some of what the query finds. An event may count for several.
	Exceptions []ExceptionCount `json:"exceptions,omitempty"`
	// Fates are what became of those that were looked up; each counts once.
	Fates []Fate `json:"fates"`
	// Groups are the largest groups of a threshold rule.
	Groups []GroupCount `json:"groups,omitempty"`
	// Partial is the sequence that came furthest.
	Partial *Partial `json:"partial,omitempty"`
	// Notes are what the answer leaves out.
	Notes []string `json:"notes,omitempty"`
}

// StreamCount counts events of a stream.
type StreamCount struct {
	Stream string `json:"stream"`
	Events int64  `json:"events"`
}

// ClauseCount says how often a clause was not true.
type ClauseCount struct {
	Text  string `json:"text"`
	Depth int    `json:"depth,omitempty"` // 1: an alternative of the one before, or a clause of that stage
	// Fails counts the events of which it is not true, First those of them that all clauses before it let through, Alone those
	// that all others let through, Missing those that have none of its fields. Of a stage only its own clauses count.
	Fails   int64 `json:"fails"`
	First   int64 `json:"first"`
	Alone   int64 `json:"alone"`
	Missing int64 `json:"missing"`
	// Ranked says that First and Alone are counted: they are not for alternatives, nor for whole stages.
	Ranked bool `json:"-"`
}

// ExceptionCount counts what an exception hides.
type ExceptionCount struct {
	Name  string `json:"name"`
	Hides int64  `json:"hides"`
}

// GroupCount is a group of a threshold rule where it had the most events in one window.
type GroupCount struct {
	Group     string `json:"group"`
	Count     int64  `json:"count"`
	Needs     int64  `json:"needs"`
	Different int64  `json:"different,omitempty"`
	From      string `json:"from"`
	To        string `json:"to"`
}

// The kinds of Fates.
const (
	FateAlert       = "alert"
	FateBlock       = "building_block"
	FateFolded      = "folded"
	FateCounted     = "counted"
	FateHidden      = "hidden"
	FateNoTime      = "no_time"
	FateOutside     = "outside"
	FateNotRun      = "not_run"
	FateLate        = "late"
	FatePending     = "pending"
	FateKnown       = "known"
	FateNoTerm      = "no_term"
	FateFew         = "few"
	FatePartial     = "partial"
	FateNoIndicator = "no_indicator"
	FateOwn         = "own_alert"
	FateUnexplained = "unexplained"
)

// fateTexts say of n events what became of them, in the order in which they are told.
var fateTexts = []struct{ kind, one, many string }{
	{FateAlert, "made an alert", "made alerts"},
	{FateBlock, "made a building block, which lists of alerts leave out", "made building blocks, which lists of alerts leave out"},
	{FateFolded, "was folded into an alert (suppression)", "were folded into alerts (suppression)"},
	{FateCounted, "was counted for an alert", "were counted for alerts"},
	{FateHidden, "is hidden by an exception", "are hidden by exceptions"},
	{FateNoTime, "has no time to be found by", "have no time to be found by"},
	{FateOutside, "lies outside of every window", "lie outside of every window"},
	{FateNotRun, "lies in a window that has not run", "lie in windows that have not run"},
	{FateLate, "arrived after its window had run", "arrived after their windows had run"},
	{FatePending, "is over the cap (max_signals) and pending", "are over the cap (max_signals) and pending"},
	{FateKnown, "was known: its terms were seen before", "were known: their terms were seen before"},
	{FateNoTerm, "lacks a field of the terms or groups", "lack a field of the terms or groups"},
	{FateFew, "is in a group that is too small", "are in groups that are too small"},
	{FatePartial, "is part of no whole sequence", "are part of no whole sequence"},
	{FateNoIndicator, "matches no indicator", "match no indicator"},
	{FateOwn, "is an alert of this very rule, or rests on one", "are alerts of this very rule, or rest on one"},
	{FateUnexplained, "was looked at and made no alert, for no reason that is stored", "were looked at and made no alerts, for no reason that is stored"},
}

// Fate is what became of some events.
type Fate struct {
	Kind  string `json:"kind"`
	Text  string `json:"text"`
	Count int    `json:"count"`
	// Examples are the oldest of them.
	Examples []Example `json:"examples"`
}

// Example is one event with what became of it.
type Example struct {
	Event *event.Event `json:"-"`
	// Time is that of the rule's windows.
	Time time.Time `json:"-"`
	// Alert is the ID of the alert that the event made or belongs to; "" for none.
	Alert string `json:"alert,omitempty"`
	// Why says more.
	Why string `json:"why,omitempty"`
	// Earlier is the event that made the terms known.
	Earlier *event.Event `json:"-"`
}

// maxExamples is how many examples a fate has.
const maxExamples = 3

// Span says what became of the events that are asked about, and so why the rule did not alert on them.
func Span(ctx context.Context, q Question, db store.Store, asked Asked) (SpanAnswer, error) {
	s := &spanRun{Question: q, db: db, asked: asked}
	err := s.run(ctx)
	return s.answer, err
}

// spanRun is one Span.
type spanRun struct {
	Question
	db     store.Store
	at     store.Snapshot
	asked  Asked
	cond   expr.Cond // of all events that are asked about
	query  expr.Cond // of the rule
	now    time.Time
	answer SpanAnswer
	looked []looked

	pending []replay.PendingWindow
}

func (s *spanRun) run(ctx context.Context) error {
	var err error
	if s.at, err = s.db.Latest(ctx); err != nil {
		return err
	}
	s.cond = expr.All(plan.TimeField{Primary: plan.Timestamp}.Within(s.asked.From, s.asked.To), s.asked.Cond)
	s.now = window.Ceil(s.asked.To, s.Program.Schedule().Interval())
	if s.query, err = s.Program.Asked(s.now); err != nil {
		return err
	}
	s.answer.Fates, s.answer.Clauses = []Fate{}, []ClauseCount{}
	if s.Program.Dated() {
		s.answer.Notes = append(s.answer.Notes, "the query holds date math, and is read here as in the run at "+clock(s.now))
	}
	if err := s.streams(ctx); err != nil {
		return err
	}
	read := s.answer.Events
	for _, u := range s.answer.Unread {
		read -= u.Events
	}
	if read > 0 {
		if err := s.clauses(ctx, read); err != nil {
			return err
		}
		if s.answer.Found, err = s.count(ctx, s.query); err != nil {
			return err
		}
	}
	if s.answer.Found > 0 {
		if err := s.exceptions(ctx); err != nil {
			return err
		}
		if err := s.fates(ctx); err != nil {
			return err
		}
	}
	s.answer.Verdict = s.verdict(read)
	return nil
}

// countIn counts the events of streams that fulfil conds besides those that are asked about.
func (s *spanRun) countIn(ctx context.Context, streams []string, conds ...expr.Cond) (int64, error) {
	return exec.CountOf(ctx, s.db, streams, expr.All(append([]expr.Cond{s.cond}, conds...)...), s.at)
}

func (s *spanRun) count(ctx context.Context, conds ...expr.Cond) (int64, error) {
	return s.countIn(ctx, s.Program.Streams(), conds...)
}

// each calls f with each row of a plan.
func (s *spanRun) each(ctx context.Context, node plan.Node, at store.Snapshot, f func(*event.Event) error) error {
	return exec.Each(ctx, s.db, node, at, f)
}

// streams counts the events, and those in streams that the rule does not read.
func (s *spanRun) streams(ctx context.Context) error {
	list, err := s.db.Streams(ctx, []string{"*", ".*"})
	if err != nil {
		return err
	}
	for _, st := range list {
		reads := store.Selects(s.Program.Streams(), st.Name)
		if st.Name == store.AlertStream && !reads {
			continue // alerts repeat what their events hold
		}
		n, err := s.countIn(ctx, []string{st.Name})
		if err != nil {
			return err
		}
		s.answer.Events += n
		if !reads && n > 0 {
			s.answer.Unread = append(s.answer.Unread, StreamCount{st.Name, n})
		}
	}
	return nil
}

// add notes what became of an event.
func (s *spanRun) add(kind string, l looked, x Example) {
	i := slices.IndexFunc(s.answer.Fates, func(f Fate) bool { return f.Kind == kind })
	if i < 0 {
		i = len(s.answer.Fates)
		s.answer.Fates = append(s.answer.Fates, Fate{Kind: kind, Examples: []Example{}})
	}
	f := &s.answer.Fates[i]
	f.Count++
	if len(f.Examples) < maxExamples {
		x.Event, x.Time = l.event, l.at
		f.Examples = append(f.Examples, x)
	}
}

// order puts the fates in the order in which they are told, and words them.
func (s *spanRun) order() {
	rank := func(kind string) int {
		for i, t := range fateTexts {
			if t.kind == kind {
				return i
			}
		}
		return len(fateTexts)
	}
	slices.SortStableFunc(s.answer.Fates, func(a, b Fate) int { return rank(a.Kind) - rank(b.Kind) })
	for i := range s.answer.Fates {
		f := &s.answer.Fates[i]
		t := fateTexts[rank(f.Kind)]
		if f.Text = t.many; f.Count == 1 {
			f.Text = t.one
		}
	}
}

// verdict is the answer in one sentence.
func (s *spanRun) verdict(read int64) string {
	a := &s.answer
	from := fmt.Sprintf("from %s to %s", clock(s.asked.From), clock(s.asked.To))
	switch {
	case a.Events == 0:
		return fmt.Sprintf("no event matches %s %s: there was nothing to alert on", s.asked.Text, from)
	case read == 0:
		return fmt.Sprintf("the rule reads none of the %s: %s in %s, and it reads %s", counted(a.Events, "event"), lie(a.Events), namesOf(a.Unread), strings.Join(s.Program.Streams(), ", "))
	case a.Found == 0:
		if read == 1 {
			return "the query does not find the event" + s.mostly(read)
		}
		return fmt.Sprintf("the query finds none of the %s%s", counted(read, "event"), s.mostly(read))
	}
	text := fmt.Sprintf("the query finds %s of the %s: ", number(a.Found), counted(read, "event"))
	if a.Found == read {
		text = fmt.Sprintf("the query finds all %s: ", counted(read, "event"))
	}
	if read == 1 {
		text = "the query finds the event: "
	}
	var parts []string
	for _, f := range a.Fates {
		parts = append(parts, fmt.Sprintf("%s %s", number(int64(f.Count)), f.Text))
	}
	if more := a.Found - int64(a.Looked); more > 0 {
		parts = append(parts, fmt.Sprintf("%s were not looked up", number(more)))
	}
	text += strings.Join(parts, ", ")
	for _, f := range a.Fates {
		if len(f.Examples) > 0 && f.Examples[0].Why != "" && f.Kind != FateAlert {
			return text + "; " + f.Examples[0].Why
		}
	}
	return text
}

// lie is the verb for n events.
func lie(n int64) string {
	if n == 1 {
		return "it lies"
	}
	return "they lie"
}

func namesOf(list []StreamCount) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.Stream
	}
	return strings.Join(names, ", ")
}

// alertIDs are the IDs of an alert's own events.
const (
	pathUUID      = "kibana.alert.uuid"
	pathRuleUUID  = "kibana.alert.rule.uuid"
	pathAncestors = "kibana.alert.ancestors"
	pathBlockType = "kibana.alert.building_block_type"
)

// sequenceAlerts finds the alerts of the rule that the looked-up events are part of, by stream and ID.
func (s *spanRun) sequenceAlerts(ctx context.Context) (map[[2]string]string, error) {
	out := map[[2]string]string{}
	for some := range slices.Chunk(s.looked, 500) {
		in := expr.In{Field: expr.Field{Path: pathAncestors + ".id"}}
		for _, l := range some {
			in.Values = append(in.Values, event.String(l.event.ID))
		}
		rule := expr.In{Field: expr.Field{Path: pathRuleUUID}, Values: []event.Value{event.String(s.Program.Rule.UUID())}}
		node := plan.Project{Paths: []string{pathUUID, pathAncestors, alert.GroupAlerts, alert.GroupIndex},
			In: plan.Filter{Cond: expr.All(rule, in), In: plan.Scan{Streams: []string{store.AlertStream}}}}
		err := s.each(ctx, node, s.at, func(a *event.Event) error {
			if !alert.IsBlock(a) {
				return nil
			}
			for _, v := range a.Get(pathAncestors).Items() {
				out[[2]string{v.Member("index").Text(), v.Member("id").Text()}] = a.Text(alert.GroupAlerts)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
