// Package replay runs rules over past data: the same windows that a live schedule would have run, without a clock.
//
// What scan does after loading is replay.Run. A rule's candidates are fetched once and handed to the ordinary detect.Run
// as a Querier, at the slots that hold some; the others are noted as empty. Windows that ran before, and in which nothing
// landed since, are left out.
//
//	report, err := replay.Run(ctx, db, programs, replay.Options{Clock: time.Now})
package replay

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/schedule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// Options says what to replay.
type Options struct {
	// From cuts windows at their start: what came earlier is history alone. To cuts them at their end. Zero: the data's
	// own start and end.
	From, To time.Time
	// EverySlot calls detect.Run at empty slots too; the result is the same. Tests hold the two equal.
	EverySlot bool
	// Indicators answers for indicators: the store with what stands in files besides. Nil: the store alone.
	Indicators Indicators
	// Fields names what the programs' fields mean, for whoever has to compile a rule again (Pending.Fields).
	Fields string
	// Clock stamps the commits.
	Clock func() time.Time
	// Progress is told after each rule; nil: nobody is.
	Progress func(done, total int)
}

// Indicators is where rules find the indicators that they look for.
type Indicators interface {
	store.Querier
	// Streams returns the streams that patterns name (store.Catalog).
	Streams(ctx context.Context, patterns []string) ([]store.Stream, error)
}

// Report is what a replay did.
type Report struct {
	// Alerts are the alerts that this replay made, by time, then ID.
	Alerts []*event.Event
	// Rules has an entry for each program that was come to, in the order in which they ran.
	Rules []RuleReport

	done int // programs
}

// RuleReport is what became of one rule.
type RuleReport struct {
	Program *detect.Program
	// Windows counts the windows that were run, Empty those among them that held nothing. A window that ran once more on what
	// other rules had alerted on meanwhile counts each time.
	Windows, Empty int64
	// Candidates counts the events in all windows that may alert, Read those of them that were fetched whole (one may be fetched
	// for several windows), Direct the windows with too many of them to be held, which read the store themselves.
	Candidates, Read int
	Direct           int64
	Alerts           int
	// Folded counts what was folded into alerts.
	Folded int64
	// Capped are the slots at which alerts beyond the rule's maximum were left out, Over how many in all.
	Capped []time.Time
	Over   int
	// Released counts the alerts, among Alerts, that earlier replays had left out. Pending is how many are left out still, by
	// how many windows; at most, as one that two windows left out may count twice.
	Released, Pending, PendingWindows int
	// Late counts the earlier alerts of which events that landed since show that they were no first sightings.
	Late int
	// Skipped is why the rule did not run at all.
	Skipped string
	// Failed are the slots whose windows could not be run: they count as never run, so that the next replay runs them. Err
	// is the error of the first of them, or what kept the rule from running at all.
	Failed []time.Time
	Err    error
}

// flushAt is how many alerts are collected before they are committed, flushRecords how many records of what is folded into
// alerts, flushDays on how many days: each day that a commit writes to costs a store memory of its own.
const (
	flushAt      = 256
	flushRecords = 1024
	flushDays    = 32
)

// Run replays programs over what db holds. A window or a rule that fails is reported and the others go on; a change that
// the store does not take ends the replay. After its own windows a rule runs those again that left alerts out in earlier
// replays (Pending), for as many alerts as one run makes. The report is right up to the point of an error: all alerts in it
// are committed.
//
// Rules that read alerts run after the others, on what these found, and then on what they themselves found, in rounds, until
// a round finds nothing: as no rule alerts on what rests on its own alerts, each round goes one rule further up. Each round
// sees what was there before it, so the order of programs does not matter. A slot makes no more alerts in all rounds together
// than its rule may.
func Run(ctx context.Context, db store.Store, programs []*detect.Program, opt Options) (Report, error) {
	work := make([]*job, len(programs))
	for i, p := range programs {
		work[i] = &job{program: p}
	}
	return run(ctx, db, work, opt)
}

// job is what is to be done with a program: its windows are run, or, where pending names a program, those that this one
// left out.
type job struct {
	program *detect.Program
	pending string
	asNow   bool // see Released

	rounds int // in which it ran
	// spent is how many alerts the slots, in milliseconds, made in these, of a program that reads alerts; over how many they
	// left out.
	spent, over map[int64]int
	report      RuleReport
}

func run(ctx context.Context, db store.Store, work []*job, opt Options) (Report, error) {
	var report Report
	var below, above []*job
	for _, j := range work {
		j.spent, j.over, j.report.Program = map[int64]int{}, map[int64]int{}, j.program
		if j.program.OnAlerts() {
			above = append(above, j)
		} else {
			below = append(below, j)
		}
	}
	err := runAll(ctx, db, below, len(work), opt, &report)
	opt.To = alertsBy(work, opt.To)
	for found := true; found && err == nil; {
		had := len(report.Alerts)
		err = runAll(ctx, db, above, len(work), opt, &report)
		found = len(report.Alerts) > had
		above = slices.DeleteFunc(above, func(j *job) bool { return j.pending != "" || j.report.Err != nil })
	}
	for _, j := range slices.Concat(below, work) {
		if j.rounds > 0 {
			report.Rules = append(report.Rules, j.report)
			j.rounds = 0
		}
	}
	sort.SliceStable(report.Alerts, func(i, j int) bool { return older(report.Alerts[i], report.Alerts[j]) })
	return report, err
}

// alertsBy is the time of the latest alert on an event up to and with to: alerts have the time of their slots, and a slot
// comes up to an interval later.
func alertsBy(work []*job, to time.Time) time.Time {
	if to.IsZero() {
		return to
	}
	late := to
	for _, j := range work {
		if slot := window.Ceil(to, j.program.Schedule().Interval()); slot.After(late) {
			late = slot
		}
	}
	return late
}

// runAll does work, on one snapshot.
func runAll(ctx context.Context, db store.Store, work []*job, total int, opt Options, report *Report) error {
	if len(work) == 0 {
		return nil
	}
	s, err := openSnapshot(ctx, db)
	if err != nil {
		return err
	}
	for _, j := range work {
		r := &runner{snapshot: s, p: j.program, job: j, opt: opt, report: &j.report}
		j.rounds++
		fatal := r.run(ctx)
		report.Alerts = append(report.Alerts, r.made...)
		if fatal != nil {
			return fatal
		}
		if j.rounds == 1 {
			if report.done++; opt.Progress != nil {
				opt.Progress(report.done, total)
			}
		}
	}
	return nil
}

func older(a, b *event.Event) bool {
	if c := strings.Compare(a.Text("@timestamp"), b.Text("@timestamp")); c != 0 {
		return c < 0
	}
	return a.ID < b.ID
}

// snapshot is the state of the store that rules run on, and what is the same for several rules.
type snapshot struct {
	db       store.Store
	at       store.Snapshot
	landings []store.Landing
	streams  map[string][]store.Stream // by patterns
	spans    map[string]window.Span    // of the data, by patterns and time field

	pendingOf map[string][]string // see pendingRules
}

func openSnapshot(ctx context.Context, db store.Store) (*snapshot, error) {
	s := &snapshot{db: db, streams: map[string][]store.Stream{}, spans: map[string]window.Span{}}
	var err error
	if s.at, err = db.Latest(ctx); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	if s.landings, err = schedule.Landings(ctx, db, s.at); err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	if s.pendingOf, err = pendingRules(ctx, db); err != nil {
		return nil, err
	}
	return s, nil
}

// patterns names the streams of p.
func patterns(p *detect.Program) string { return fmt.Sprintf("%q %t", p.Streams(), p.Streams() == nil) }

// streamsOf returns the streams that p reads.
func (s *snapshot) streamsOf(ctx context.Context, p *detect.Program) ([]store.Stream, error) {
	key := patterns(p)
	if streams, known := s.streams[key]; known {
		return streams, nil
	}
	streams, err := s.db.Streams(ctx, p.Streams())
	if err != nil {
		return nil, err
	}
	s.streams[key] = streams
	return streams, nil
}

// span is where the data of p's streams lie, in its time field.
func (s *snapshot) span(ctx context.Context, p *detect.Program) (window.Span, error) {
	key := fmt.Sprintf("%s %q", patterns(p), p.Time.Paths())
	if span, known := s.spans[key]; known {
		return span, nil
	}
	const from, to = "from", "to"
	rows, err := exec.Query(ctx, s.db, plan.Aggregate{In: plan.Scan{Streams: p.Streams()}, Aggs: []plan.Agg{
		{Name: from, Fn: plan.Min, Value: p.Time.Value()}, {Name: to, Fn: plan.Max, Value: p.Time.Value()}}}, s.at)
	if err != nil {
		return window.Span{}, fmt.Errorf("find where the data lie: %w", err)
	}
	defer rows.Close()
	var span window.Span
	for rows.Next() {
		span = window.Span{From: rows.Event().Get(from).Time(), To: rows.Event().Get(to).Time()}
	}
	if err := rows.Err(); err != nil {
		return window.Span{}, fmt.Errorf("find where the data lie: %w", err)
	}
	s.spans[key] = span
	return span, nil
}
