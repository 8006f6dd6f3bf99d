package replay

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/schedule"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// runner replays one rule.
type runner struct {
	*snapshot
	*job
	p   *detect.Program
	opt Options

	ledger  *schedule.Ledger
	ran     bool // the ledger holds more than is stored
	env     detect.Env
	change  store.Change
	waiting map[string]*event.Event // alerts of change, by ID
	days    map[store.Day]bool      // that these alerts lie on
	made    []*event.Event
	states  []store.AlertState // that were set since the alerts were made
	folded  int64              // by change
	backlog *backlog           // nil before open
	report  *RuleReport
}

// run replays the rule. The error ends the whole replay; what is wrong with this rule alone stands in the report.
func (r *runner) run(ctx context.Context) error {
	err := r.all(ctx)
	var refused *refusedError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &refused):
		return err
	}
	if err != nil {
		r.report.Err = fmt.Errorf("run rule %s: %w", r.p.Rule.RuleID, err)
	}
	if err := r.flush(ctx); err != nil { // what was found up to an error is as good as ever
		return err
	}
	if r.backlog != nil {
		r.report.Pending, r.report.PendingWindows = r.backlog.size()
	}
	r.present()
	return nil
}

// present gives the alerts that were made the state that they are in now.
func (r *runner) present() {
	byID := map[string]*event.Event{}
	for _, a := range r.made {
		byID[a.ID] = a
	}
	for _, s := range r.states {
		if a := byID[s.Alert]; a != nil {
			a.Set(s.Path, s.Value)
		}
	}
}

// all runs what is to be run, and leaves the last of what it found to flush.
func (r *runner) all(ctx context.Context) error {
	streams, err := r.streamsOf(ctx, r.p)
	if err != nil {
		return err
	}
	if len(streams) == 0 && r.job.pending == "" {
		r.report.Skipped = "no stream matches " + strings.Join(r.p.Streams(), ", ")
		return nil
	}
	switch none, err := r.bind(ctx); {
	case err != nil:
		return err
	case none != "" && r.job.pending != "": // what is pending stays so
		return errors.New(none)
	case none != "":
		r.report.Skipped = none
		return nil
	}
	r.report.Skipped = ""
	data, err := r.span(ctx, r.p)
	if err != nil {
		return err
	}
	if err := r.open(ctx, streams, data); err != nil {
		return err
	}
	switch {
	case r.job.pending == "":
	case r.another() && !r.asNow:
		return ErrChanged
	default:
		return r.release(ctx, true)
	}
	if err := r.windows(ctx, data); err != nil || r.rounds > 1 {
		return err
	}
	if err := r.release(ctx, false); err != nil {
		return err
	}
	return r.retire(ctx, data)
}

// bind reads the indicators that the rule looks for, once for all its windows. It says why there are none. Windows of a rule
// without any are not run, so that they are still to run once there are some.
func (r *runner) bind(ctx context.Context) (none string, err error) {
	if !r.p.Matches() {
		return "", nil
	}
	from := Indicators(r.db)
	if r.opt.Indicators != nil {
		from = r.opt.Indicators
	}
	patterns := strings.Join(r.p.IndicatorStreams(), ", ")
	streams, err := from.Streams(ctx, r.p.IndicatorStreams())
	if err != nil {
		return "", err
	}
	if r.p, err = r.p.Bind(ctx, from, r.at); err != nil {
		return "", err
	}
	switch {
	case len(streams) == 0:
		none = "there are no indicators: no stream matches threat_index (" + patterns + ")"
	case r.p.IndicatorsHeld() == 0:
		none = "there are no indicators: threat_query finds none in " + patterns
	}
	return none, nil
}

// refusedError is a change that the store did not take.
type refusedError struct {
	rule string
	err  error
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("commit what rule %s found: %v", e.rule, e.err)
}

func (e *refusedError) Unwrap() error { return e.err }

// windows runs the windows that are left.
func (r *runner) windows(ctx context.Context, data window.Span) error {
	clamp := schedule.Clamp{From: r.opt.From, To: r.opt.To}
	slots := r.p.Schedule().Over(data.Intersect(clamp.Span()))
	left := r.ledger.Left(r.p.Schedule(), slots, clamp, schedule.In(r.landings, r.p.Streams(), r.p.Time.Primary))
	if len(left) == 0 {
		return nil
	}
	found, err := findCandidates(ctx, r.db, r.p, r.at, data.Intersect(clamp.Span()))
	if err != nil {
		return err
	}
	r.report.Candidates = len(found.times)
	defer func() { r.report.Read += found.read }()
	for _, slots := range left {
		held, empty := r.p.Schedule().Split(found.times, slots)
		if r.opt.EverySlot {
			held, empty = []window.Slots{slots}, nil
		}
		for _, e := range empty {
			r.report.Windows += e.Len()
			r.report.Empty += e.Len()
			r.note(e, true, clamp)
		}
		for _, h := range held {
			for slot := range h.All() {
				if err := r.fails(ctx, slot, r.slot(ctx, slot, clamp, found)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// fails notes that the window of slot could not be run for the reason err. What is more than that window's matter is
// returned.
func (r *runner) fails(ctx context.Context, slot time.Time, err error) error {
	var refused *refusedError
	if err == nil || ctx.Err() != nil || errors.As(err, &refused) {
		return err
	}
	if r.report.Err == nil {
		r.report.Err = err
	}
	r.report.Failed = append(r.report.Failed, slot)
	return nil
}

// open reads what earlier runs of the rule left, and folds what was committed since into its sightings.
func (r *runner) open(ctx context.Context, streams []store.Stream, data window.Span) error {
	var err error
	if r.ledger, err = schedule.Open(ctx, r.db, r.p.ID(), r.p.Schedule().Interval()); err != nil {
		return err
	}
	alerted, err := detect.LoadAlerted(ctx, r.db, r.at, r.p.Rule.UUID())
	if err != nil {
		return err
	}
	if r.p.Folds() {
		if err := alerted.LoadFolds(ctx, r.db, r.p.Rule.UUID()); err != nil {
			return err
		}
	}
	pending := r.job.pending
	if pending == "" {
		pending = r.p.ID()
	}
	if r.backlog, err = openBacklog(ctx, r.db, pending, r.p, r.opt.Fields); err != nil {
		return err
	}
	r.waiting = map[string]*event.Event{}
	r.days = map[store.Day]bool{}
	r.env = detect.Env{Store: r.db, Indicators: r.opt.Indicators, At: r.at, Begin: data.From, Alerted: alerted}
	if data.From.IsZero() && !data.Empty() {
		// A clock that says year 1 is some program's zero time, and here the zero time means that there are no data.
		r.env.Begin = data.From.Add(time.Millisecond)
	}
	if !r.p.Remembers() {
		return nil
	}
	if r.env.Index, err = sighting.Open(ctx, r.db, r.p.Sightings()); err != nil {
		return err
	}
	if newest(streams) > r.env.Index.Mark() {
		if r.change.Sightings, r.change.Records, err = r.env.Index.Fold(ctx, r.at); err != nil {
			return err
		}
	}
	states, audits, err := alerted.LateEvidence(ctx, r.env.Index)
	if err != nil {
		return err
	}
	r.report.Late += len(states)
	r.change.States = states
	r.change.Records = append(r.change.Records, audits...)
	return nil
}

// newest is the last commit that wrote to one of streams.
func newest(streams []store.Stream) uint64 {
	var last uint64
	for _, s := range streams {
		last = max(last, s.Seq.Last)
	}
	return last
}

// slot runs the rule at one slot.
func (r *runner) slot(ctx context.Context, slot time.Time, clamp schedule.Clamp, found *candidates) error {
	w, err := r.p.Window(slot)
	if err == nil {
		w = w.Clamp(clamp.From, clamp.To)
		r.env.Events, r.env.Direct, err = found.within(ctx, w.Span())
	}
	if err != nil {
		return fmt.Errorf("run rule %s at %s: %w", r.p.Rule.RuleID, event.FormatTime(slot), err)
	}
	r.env.Limit = r.p.Rule.MaxSignals - r.spent[slot.UnixMilli()]
	if r.env.Limit <= 0 {
		r.env.Limit = detect.None
	}
	result, err := detect.Run(ctx, r.p, w, r.env)
	if err != nil {
		return err
	}
	r.spend(slot, result)
	r.report.Windows++
	if r.env.Direct {
		r.report.Direct++
	}
	if result.Candidates == 0 {
		r.report.Empty++
	}
	had, again := r.over[slot.UnixMilli()]
	if again || result.Over > 0 {
		r.report.Over += result.Over - had
		r.over[slot.UnixMilli()] = result.Over
	}
	if result.Over > 0 && !again {
		r.report.Capped = append(r.report.Capped, slot)
	}
	r.backlog.ran(newLeftOut(slot, w, clamp, result), result.Alerts)
	r.take(slot, result)
	r.note(window.Slots{First: slot, Last: slot, Every: r.p.Schedule().Interval()}, result.Candidates == 0, clamp)
	return r.flushFull(ctx)
}

// spend counts what slot made: it may run once more in a later round.
func (r *runner) spend(slot time.Time, result detect.Result) {
	if r.p.OnAlerts() {
		r.spent[slot.UnixMilli()] += len(result.Alerts) - result.Blocks
	}
}

// take puts what a run found into the change.
func (r *runner) take(slot time.Time, result detect.Result) {
	for _, a := range result.Alerts {
		r.waiting[a.ID] = a
		r.days[store.DayOf(slot)] = true
	}
	r.change.Alerts = append(r.change.Alerts, result.Alerts...)
	r.change.States = append(r.change.States, result.States...)
	r.change.Records = append(r.change.Records, result.Records...)
	r.states = append(r.states, result.States...)
	r.folded += result.Folded
}

// flushFull commits if there is much to commit.
func (r *runner) flushFull(ctx context.Context) error {
	if len(r.change.Alerts) >= flushAt || len(r.change.Records) >= flushRecords || len(r.days) >= flushDays {
		return r.flush(ctx)
	}
	return nil
}

func (r *runner) note(slots window.Slots, empty bool, clamp schedule.Clamp) {
	r.ledger.Ran(slots, r.at.Seq, empty, clamp)
	r.ran = true
}

// flush commits what the windows found together with the record that they ran.
func (r *runner) flush(ctx context.Context) error {
	if r.ran {
		write, err := r.ledger.Write()
		if err != nil {
			return err
		}
		r.change.Records = append(r.change.Records, write)
	}
	if r.backlog != nil {
		writes, err := r.backlog.writes()
		if err != nil {
			return err
		}
		r.change.Records = append(r.change.Records, writes...)
	}
	if len(r.change.Records) == 0 {
		return nil
	}
	r.change.At = r.opt.Clock()
	if err := r.db.Apply(ctx, &r.change); err != nil {
		return &refusedError{r.p.Rule.RuleID, err}
	}
	for _, id := range r.change.Outcome.NewAlerts {
		r.made = append(r.made, r.waiting[id])
	}
	r.report.Alerts += len(r.change.Outcome.NewAlerts)
	r.report.Folded += r.folded
	r.change, r.ran, r.folded = store.Change{}, false, 0
	clear(r.waiting)
	clear(r.days)
	return nil
}
