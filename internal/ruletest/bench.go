package ruletest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/indicator"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// bench runs the cases of one file.
type bench struct {
	*suite
	rule       *rule.Rule
	lists      *exception.Lists
	indicators *indicator.Files
	opt        Options
	clauses    *clauses
	layouts    map[string]layout
}

// trial is one case that is being run.
type trial struct {
	*bench
	layout
	*spec
	past, present []*event.Event
	db            store.Store
	resolver      plan.Resolver
	program       *detect.Program
	clock         func() time.Time
	tries         []try // how the query takes each event, past and present

	alerts []*event.Event
	over   int
	why    string // what kept the rule from running
}

// run runs a case in one layout. An error that is a diagnostic concerns the file.
func (b *bench) run(ctx context.Context, c *spec, profile string) (Case, error) {
	if b.layouts == nil {
		b.layouts = map[string]layout{}
	}
	l, known := b.layouts[profile]
	if !known {
		l = layoutNamed(profile)
		b.layouts[profile] = l
	}
	now := b.opt.Clock
	if now == nil {
		now = func() time.Time { return time.Time{} }
	}
	began := now()
	t := &trial{bench: b, layout: l, spec: c}
	out := Case{Name: c.name, Line: c.line, Profile: profile, Failures: []Failure{}}
	if err := t.set(ctx); err != nil {
		return out, b.located(c, err)
	}
	if err := t.detect(ctx); err != nil {
		return out, err
	}
	out.Events, out.Alerts = len(t.past)+len(t.present), len(t.alerts)
	out.Failures = append(out.Failures, t.judge()...)
	out.Took = now().Sub(began)
	return out, nil
}

// located makes diagnostics of what is wrong with a case.
func (b *bench) located(c *spec, err error) error {
	var bad *badEvent
	switch {
	case errors.As(err, &bad):
		key := "at"
		for _, k := range []string{"file", "cloudtrail", "ecs", "base"} {
			if bad.spec.at.Given(k) {
				key = k
				break
			}
		}
		bad.spec.at.Bad(numberBadEvent, key, "", "no event comes out of %s: %v", bad.spec.at.Title(), bad.err)
		return b.beside.Problems()
	case errors.Is(err, errOrder), errors.Is(err, errTwice):
		number, key := numberOrder, "history"
		if errors.Is(err, errTwice) {
			number, key = numberTwice, "events"
		}
		c.at.Bad(number, key, "", "%v", err)
		return b.beside.Problems()
	}
	return err
}

var (
	errOrder = errors.New("the history must lie before the events")
	errTwice = errors.New("two events have one ID")
)

// set stores the events and compiles the rule for the streams that they make.
func (t *trial) set(ctx context.Context) error {
	stream := streamFor(t.rule.Index)
	ids := map[[2]string]bool{}
	each := func(specs []eventSpec, title string) (out []*event.Event, err error) {
		for i := range specs {
			made, err := t.layout.make(ctx, &specs[i], fmt.Sprintf("%s-%d", title, i+1), t.now, stream)
			if err != nil {
				return nil, err
			}
			for _, e := range made {
				if id := [2]string{e.Stream, e.ID}; ids[id] {
					return nil, fmt.Errorf("%w: %s", errTwice, e.ID)
				} else {
					ids[id] = true
				}
			}
			out = append(out, made...)
		}
		return out, nil
	}
	var err error
	if t.past, err = each(t.history, "history"); err != nil {
		return err
	}
	if t.present, err = each(t.events, "event"); err != nil {
		return err
	}
	stamp := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	t.clock = func() time.Time {
		stamp = stamp.Add(time.Second)
		return stamp
	}
	t.db = mem.New(nil)
	for _, events := range [][]*event.Event{t.past, t.present} {
		if err := t.db.Apply(ctx, &store.Change{At: t.clock(), Events: events}); err != nil {
			return err
		}
	}
	streams, err := t.db.Streams(ctx, nil)
	if err != nil {
		return err
	}
	t.resolver = t.opt.Fields(t.profile, append(streams, t.indicators.Streams(nil)...))
	compiler := detect.Compiler{Resolver: t.resolver, Lists: t.lists.With(t.exceptions...), Indicators: t.indicators.Version}
	if t.program, err = compiler.Compile(t.rule); err != nil {
		return err
	}
	if t.program.Warnings.Err() != nil {
		return t.program.Warnings
	}
	return t.try()
}

// try lets the query take each event.
func (t *trial) try() error {
	c, err := t.clauses.bind(t.resolver, t.now)
	if err != nil {
		return t.rule.Locate(diag.Of(err))
	}
	for _, events := range [][]*event.Event{t.past, t.present} {
		for _, e := range events {
			t.tries = append(t.tries, c.try(e))
		}
	}
	return nil
}

// begin is when the first of the events lies, in the rule's time; zero where none has such a time.
func (t *trial) begin() time.Time {
	var first time.Time
	for _, e := range t.present {
		if at, timed := t.program.Time.Of(e); timed && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// detect runs the rule.
func (t *trial) detect(ctx context.Context) error {
	var from time.Time
	if len(t.past) > 0 {
		from = t.begin()
		for _, e := range t.past {
			if at, timed := t.program.Time.Of(e); timed && !at.Before(from) {
				return t.located(t.spec, fmt.Errorf("%w: %s is at %s, the first event at %s", errOrder, e.ID, event.FormatTime(at), event.FormatTime(from)))
			}
		}
	}
	if t.runAt != nil {
		return t.once(ctx, from)
	}
	report, err := replay.Run(ctx, t.db, []*detect.Program{t.program}, replay.Options{From: from, Clock: t.clock, Indicators: indicator.Over(t.db, t.indicators)})
	if err != nil {
		return err
	}
	t.alerts = withoutBlocks(report.Alerts)
	for _, r := range report.Rules {
		t.over += r.Over
		switch {
		case r.Err != nil:
			t.why = "the rule failed: " + r.Err.Error()
		case r.Skipped != "":
			t.why = "the rule did not run: " + r.Skipped
		}
	}
	return nil
}

// once runs the rule at one time and no other.
func (t *trial) once(ctx context.Context, from time.Time) error {
	at, err := t.db.Latest(ctx)
	if err != nil {
		return err
	}
	w, err := t.program.Window(*t.runAt)
	if err != nil {
		t.why = "the rule failed: " + err.Error()
		return nil
	}
	env := detect.Env{Events: t.db, Store: t.db, Indicators: indicator.Over(t.db, t.indicators), At: at}
	if env.Alerted, err = detect.LoadAlerted(ctx, t.db, at, t.rule.UUID()); err != nil {
		return err
	}
	if t.program.Folds() {
		if err := env.Alerted.LoadFolds(ctx, t.db, t.rule.UUID()); err != nil {
			return err
		}
	}
	for _, events := range [][]*event.Event{t.past, t.present} {
		for _, e := range events {
			if b, timed := t.program.Time.Of(e); timed && (env.Begin.IsZero() || b.Before(env.Begin)) {
				env.Begin = b
			}
		}
	}
	if t.program.Remembers() {
		if env.Index, err = sighting.Open(ctx, t.db, t.program.Sightings()); err != nil {
			return err
		}
		c := store.Change{At: t.clock()}
		if c.Sightings, c.Records, err = env.Index.Fold(ctx, at); err != nil {
			return err
		}
		if err := t.db.Apply(ctx, &c); err != nil {
			return err
		}
	}
	result, err := detect.Run(ctx, t.program, w.Clamp(from, time.Time{}), env)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		t.why = "the rule failed: " + err.Error()
		return nil
	}
	t.alerts, t.over = withoutBlocks(result.Alerts), result.Over
	return nil
}

// withoutBlocks leaves out what the alerts on sequences are made of: a test speaks of the sequences.
func withoutBlocks(alerts []*event.Event) []*event.Event {
	return slices.DeleteFunc(slices.Clone(alerts), alert.IsBlock)
}
