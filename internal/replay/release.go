package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/schedule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// Pending is what the windows of one rule, as it was compiled, left out.
type Pending struct {
	// Rule is the rule as it ran; nil where this version of Tocsin cannot read it, for the reason Err.
	Rule   *rule.Rule
	Err    error
	RuleID string
	// Excepted says that it ran with exceptions or indicators that stand in files: without them it would see what they hide, or
	// look for less.
	Excepted bool
	// Fields is the Options.Fields that it ran with.
	Fields string
	// Windows is how many windows left alerts out, the slots of the first and the last of them First and Last.
	Windows     int
	First, Last time.Time
	// Alerts is how many alerts are left out, at most.
	Alerts int

	program string
}

// ListPending returns what is pending, by rule ID; a rule that was changed may come more than once.
func ListPending(ctx context.Context, records store.Records) ([]Pending, error) {
	var out []Pending
	err := eachRecord(ctx, records, PendingRuleKind, "", func(r store.Record) error {
		var k keptRule
		if err := json.Unmarshal(r.Data, &k); err != nil {
			return err
		}
		p := Pending{RuleID: k.RuleID, Fields: k.Fields, Excepted: k.Excepted, program: r.ID}
		p.Rule, p.Err = rule.Kept(k.Rule)
		out = append(out, p)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		p := &out[i]
		err := eachLeftOut(ctx, records, p.program, func(l *leftOut) {
			if p.Windows == 0 || l.Slot.Before(p.First) {
				p.First = l.Slot
			}
			if l.Slot.After(p.Last) {
				p.Last = l.Slot
			}
			p.Windows++
			p.Alerts += l.Alerts
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(out, func(a, b Pending) int { return strings.Compare(a.RuleID, b.RuleID) })
	return out, nil
}

// Released is what is pending of a rule, with the rule ready to run.
type Released struct {
	Pending Pending
	Program *detect.Program
	// AsNow says that Program, with the exceptions of today, may be another than the one that left the alerts out.
	AsNow bool
}

// ErrChanged says that a rule does not mean what it meant when it left alerts out: its exceptions have changed, or a name with
// a wildcard stands for other fields. The next replay of the rule runs its windows anew.
var ErrChanged = errors.New("the rule does not mean what it meant when it left these alerts out (exceptions, fields that a wildcard stands for): scan with it again")

// Release makes the alerts that are pending, all of them, and runs no other window. It reports like Run. Of a program that is
// not the one that left the alerts out none is made (ErrChanged), unless it is to be taken as it is now: it then looks at the
// windows as a whole, makes what it finds there, and nothing stays pending of them.
func Release(ctx context.Context, db store.Store, list []Released, opt Options) (Report, error) {
	work := make([]*job, len(list))
	for i, r := range list {
		work[i] = &job{program: r.Program, pending: r.Pending.program, asNow: r.AsNow}
	}
	return run(ctx, db, work, opt)
}

// releaseAt is how many alerts one run of a window makes where all are to be released.
const releaseAt = 1000

// release runs the windows again that left alerts out in earlier replays, for as many alerts as one run makes; all is for
// every alert.
func (r *runner) release(ctx context.Context, all bool) error {
	budget := r.p.Rule.MaxSignals
	for _, l := range r.backlog.left() {
		if l.ran {
			continue // just now, perhaps again: data had come late
		}
		n := budget
		if all {
			n = releaseAt
		}
		made, err := l.drain(n, all, func(n int) (int, error) { return r.again(ctx, l, n) })
		if err != nil {
			err = fmt.Errorf("release what rule %s left out at %s: %w", r.p.Rule.RuleID, event.FormatTime(l.Slot), err)
		}
		if err := r.fails(ctx, l.Slot, err); err != nil {
			return err
		}
		if budget -= made; budget <= 0 && !all {
			return nil
		}
	}
	return nil
}

// errStuck is why a window is given up on: what it left out stays pending.
var errStuck = errors.New("running the window again makes no progress")

// drain calls again for n alerts at a time, until nothing is left of l or, unless all are to be made, as many are made. Each
// time less must be left: nothing lands meanwhile.
func (l *leftOut) drain(n int, all bool, again func(n int) (made int, err error)) (made int, err error) {
	for first := true; !l.done && made < n || !l.done && all; first = false {
		had, most := l.Alerts, n
		if !all {
			most -= made
		}
		some, err := again(most)
		made += some
		switch {
		case err != nil:
			return made, err
		case !l.done && !first && l.Alerts >= had:
			return made, fmt.Errorf("%w: %d alerts are left out, as before", errStuck, l.Alerts)
		}
	}
	return made, nil
}

// again runs the window of l for at most n alerts.
func (r *runner) again(ctx context.Context, l *leftOut, n int) (made int, err error) {
	w, err := r.p.Window(l.Slot)
	if err != nil {
		return 0, err
	}
	env := r.env
	env.Events, env.Direct, env.Limit, env.Since = r.db, true, n, l.Since
	if r.another() {
		env.Since = l.now
	}
	result, err := detect.Run(ctx, r.p, w.Clamp(l.Clamp.From, l.Clamp.To), env)
	if err != nil {
		return 0, err
	}
	l.Alerts, l.Since, l.done = result.Over, result.Since, result.Over == 0
	if r.another() {
		l.Since, l.now = time.Time{}, result.Since
	}
	r.backlog.changed[l] = true
	r.report.Released += len(result.Alerts)
	r.take(l.Slot, result)
	r.spend(l.Slot, result)
	return len(result.Alerts) - result.Blocks, r.flushFull(ctx)
}

// another reports whether the program is not the one that left out what it releases.
func (r *runner) another() bool { return r.job.pending != "" && r.job.pending != r.p.ID() }

// retireAt is how many records are taken away in one commit.
const retireAt = 1000

// retire takes away what other versions of the rule left out in windows that this version has looked at since.
func (r *runner) retire(ctx context.Context, data window.Span) error {
	for _, program := range r.pendingOf[r.p.Rule.RuleID] {
		if program == r.p.ID() {
			continue
		}
		left, gone := 0, []store.RecordWrite(nil)
		err := eachLeftOut(ctx, r.db, program, func(l *leftOut) {
			span := data.Intersect(window.Span{From: l.From, To: l.To})
			if r.ledger.Covers(r.p.Schedule().Over(span), schedule.Clamp{From: span.From, To: span.To}) {
				gone = append(gone, store.RecordWrite{Kind: PendingKind, ID: l.id(program), IfVersion: l.version})
			} else {
				left++
			}
		})
		if err != nil {
			return err
		}
		if left == 0 {
			gone = append(gone, store.RecordWrite{Kind: PendingRuleKind, ID: program})
		}
		for chunk := range slices.Chunk(gone, retireAt) {
			r.change.Records = append(r.change.Records, chunk...)
			if err := r.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// pendingRules are the programs that something is pending of, by the ID of their rule.
func pendingRules(ctx context.Context, records store.Records) (map[string][]string, error) {
	out := map[string][]string{}
	err := eachRecord(ctx, records, PendingRuleKind, "", func(r store.Record) error {
		var k struct {
			RuleID string `json:"rule_id"`
		}
		if err := json.Unmarshal(r.Data, &k); err != nil {
			return err
		}
		out[k.RuleID] = append(out[k.RuleID], r.ID)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	return out, nil
}
