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
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/schedule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// Pending is what the windows of one rule, as it was compiled, left out.
type Pending struct {
	// Rule is the rule as it ran; nil where this version of Tocsin cannot read it. Err says why it cannot be released alone.
	Rule   *rule.Rule
	Err    error
	RuleID string
	// Fields is the Options.Fields that it ran with.
	Fields string
	// Windows is how many windows left alerts out, the slots of the first and the last of them First and Last.
	Windows     int
	First, Last time.Time
	// Alerts is how many alerts are left out, at most.
	Alerts int

	program string
}

// errExcepted is why a rule cannot run without the files that it came from: it would see what they hide, or look for less.
var errExcepted = errors.New("its exceptions or indicators stand in files: a scan with its rules releases what is pending, some at a time")

// ListPending returns what is pending, by rule ID; a rule that was changed may come more than once.
func ListPending(ctx context.Context, records store.Records) ([]Pending, error) {
	var out []Pending
	err := eachRecord(ctx, records, PendingRuleKind, "", func(r store.Record) error {
		var k keptRule
		if err := json.Unmarshal(r.Data, &k); err != nil {
			return err
		}
		p := Pending{RuleID: k.RuleID, Fields: k.Fields, program: r.ID}
		if p.Rule, p.Err = rule.Kept(k.Rule); p.Err == nil && k.Excepted {
			p.Err = errExcepted
		}
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
}

// ErrChanged says that a rule does not mean what it meant when it left alerts out: its exceptions have changed, or a name with
// a wildcard stands for other fields. The next replay of the rule runs its windows anew.
var ErrChanged = errors.New("the rule does not mean what it meant when it left these alerts out (exceptions, fields that a wildcard stands for): scan with it again")

// Release makes the alerts that are pending, all of them, and runs no other window. It reports like Run. Of a program that is
// not the one that left the alerts out none is made (ErrChanged).
func Release(ctx context.Context, db store.Store, list []Released, opt Options) (Report, error) {
	work := make([]*job, len(list))
	for i, r := range list {
		work[i] = &job{program: r.Program, pending: r.Pending.program}
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
		for !l.done {
			if all {
				budget = releaseAt
			}
			if budget == 0 {
				return nil
			}
			made, err := r.again(ctx, l, budget)
			if err := r.fails(ctx, l.Slot, err); err != nil {
				return err
			}
			if err != nil {
				break // it stays pending
			}
			budget -= made
		}
	}
	return nil
}

// again runs the window of l for at most n alerts.
func (r *runner) again(ctx context.Context, l *leftOut, n int) (made int, err error) {
	w, err := r.p.Window(l.Slot)
	if err != nil {
		return 0, err
	}
	env := r.env
	env.Events, env.Direct, env.Limit, env.Since = r.db, true, n, l.Since
	result, err := detect.Run(ctx, r.p, w.Clamp(l.Clamp.From, l.Clamp.To), env)
	if err != nil {
		return 0, err
	}
	l.Alerts, l.Since, l.done = result.Over, result.Since, result.Over == 0
	r.backlog.changed[l] = true
	r.report.Released += len(result.Alerts)
	r.take(l.Slot, result)
	r.spend(l.Slot, result)
	return len(result.Alerts) - result.Blocks, r.flushFull(ctx)
}

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
