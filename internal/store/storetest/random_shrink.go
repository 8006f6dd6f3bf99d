package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// trial is a plan over events that an engine runs otherwise than mem.
type trial struct {
	events []placed
	plan   plan.Node
	at     store.Snapshot // in numbers of commits
}

// maxOpenings and maxRuns bound the work of making a trial small.
const (
	maxOpenings = 150
	maxRuns     = 3_000
)

// shrink makes a trial small that fails, and prints it as a file for testdata: the rows are mem's.
func shrink(t *testing.T, e Engine, tr trial) string {
	t.Helper()
	p := openPair(t, e, tr.events)
	runs := 0
	fails := func(node plan.Node) bool {
		if ok, _ := determined(node); !ok || runs > maxRuns {
			return false
		}
		runs++
		_, why := p.compare(node, tr.at)
		return why != ""
	}
	smallerPlan := func() {
		for progress := true; progress; {
			progress = false
			for _, candidate := range simplerPlans(tr.plan) {
				if fails(candidate) {
					tr.plan, progress = candidate, true
					break
				}
			}
		}
	}
	openings := 0
	// try takes the events in place of the trial's if it still fails with them.
	try := func(events []placed) bool {
		last := 0
		for _, p := range events {
			last = max(last, p.commit)
		}
		if openings++; openings > maxOpenings || last < int(tr.at.Seq) {
			return false
		}
		fewer := openPair(t, e, events)
		_, why := fewer.compare(tr.plan, tr.at)
		if why == "" {
			fewer.close(t)
			return false
		}
		p.close(t)
		p, tr.events = fewer, events
		return true
	}
	smallerPlan()
	for size := len(tr.events) / 2; size > 0; size /= 2 {
		for from := 0; from < len(tr.events); {
			to := min(from+size, len(tr.events))
			if !try(slices.Delete(slices.Clone(tr.events), from, to)) {
				from = to
			}
		}
	}
	if len(tr.events) <= 4 {
		for i := range tr.events {
			for _, f := range slices.Clone(tr.events[i].Fields()) {
				if f.Path != plan.Timestamp {
					smaller := slices.Clone(tr.events)
					smaller[i].Event = smaller[i].Clone()
					smaller[i].Set(f.Path, event.Null())
					try(smaller)
				}
			}
		}
	}
	smallerPlan()
	defer p.close(t)
	return tr.print(p)
}

// print writes the trial as a file for testdata.
func (tr trial) print(p *pair) string {
	var b strings.Builder
	b.WriteString("-- events --\n")
	for _, e := range tr.events {
		b.WriteString(formatEvent(e) + "\n")
	}
	b.WriteString("-- facts --\n")
	text := strings.TrimSpace(formatPlan(tr.plan))
	b.WriteString(fmt.Sprintf("> at %d %d\n> ", tr.at.After, tr.at.Seq) + strings.ReplaceAll(text, "\n", "\n> ") + "\n")
	rows, err := query(context.Background(), p.mem, tr.plan, p.snapshot(tr.at))
	if err != nil {
		return b.String() + err.Error()
	}
	for _, e := range rows {
		b.Write(append(e.AppendJSON(nil, nil), '\n'))
	}
	if len(rows) == 0 {
		b.WriteString("none\n")
	}
	return b.String()
}

// simplerPlans are plans that differ from p by one step less.
func simplerPlans(p plan.Node) (out []plan.Node) {
	if p == nil {
		return nil
	}
	if in := plan.Input(p); in != nil {
		out = append(out, in)
	}
	switch n := p.(type) {
	case plan.Scan:
		if n.Streams != nil {
			out = append(out, plan.Scan{})
		}
	case plan.Filter:
		for _, c := range simplerConds(n.Cond) {
			out = append(out, plan.Filter{In: n.In, Cond: c})
		}
	case plan.SemiJoin:
		out = append(out, plan.Filter{In: n.In, Cond: n.Cond()})
	case plan.Eval:
		for i := range n.Cols {
			out = append(out, plan.Eval{In: n.In, Cols: without(n.Cols, i)})
			for _, x := range simplerValues(n.Cols[i].Value) {
				out = append(out, plan.Eval{In: n.In, Cols: with(n.Cols, i, plan.Column{Name: n.Cols[i].Name, Value: x})})
			}
		}
	case plan.Aggregate:
		for i := range n.By {
			out = append(out, plan.Aggregate{In: n.In, By: without(n.By, i), Aggs: n.Aggs})
		}
		for i := range n.Aggs {
			out = append(out, plan.Aggregate{In: n.In, By: n.By, Aggs: without(n.Aggs, i)})
		}
	case plan.Sort:
		for i := range n.Keys {
			out = append(out, plan.Sort{In: n.In, Keys: without(n.Keys, i)})
			for _, x := range simplerValues(n.Keys[i].Value) {
				out = append(out, plan.Sort{In: n.In, Keys: with(n.Keys, i, plan.SortKey{Value: x, Desc: n.Keys[i].Desc})})
			}
		}
	case plan.Limit:
		if n.N > 0 {
			out = append(out, plan.Limit{In: n.In, N: n.N / 2}, plan.Limit{In: n.In, N: n.N - 1})
		}
	case plan.Project:
		for i := range n.Paths {
			out = append(out, plan.Project{In: n.In, Paths: without(n.Paths, i)})
		}
	case plan.Sequence:
		out = append(out, simplerSequences(n)...)
	case plan.Sample:
		out = append(out, simplerSamples(n)...)
	}
	for _, in := range simplerPlans(plan.Input(p)) {
		out = append(out, plan.Over(p, in))
	}
	return out
}

func without[T any](list []T, i int) []T { return slices.Delete(slices.Clone(list), i, i+1) }

func with[T any](list []T, i int, x T) []T {
	list = slices.Clone(list)
	list[i] = x
	return list
}

func simplerConds(c expr.Cond) (out []expr.Cond) {
	several := func(conds []expr.Cond, join func([]expr.Cond) expr.Cond) {
		out = append(out, conds...)
		for i := range conds {
			out = append(out, join(without(conds, i)))
			for _, sub := range simplerConds(conds[i]) {
				out = append(out, join(with(conds, i, sub)))
			}
		}
	}
	switch c := c.(type) {
	case expr.And:
		several(c.Conds, func(conds []expr.Cond) expr.Cond { return expr.And{Conds: conds} })
	case expr.Or:
		several(c.Conds, func(conds []expr.Cond) expr.Cond { return expr.Or{Conds: conds} })
	case expr.Not:
		out = append(out, c.Cond)
		for _, sub := range simplerConds(c.Cond) {
			out = append(out, expr.Not{Cond: sub})
		}
	case expr.In:
		for i := range c.Values {
			out = append(out, expr.In{Field: c.Field, Values: without(c.Values, i)})
		}
	case expr.Member:
		out = append(out, simplerMembers(c)...)
	case expr.Range:
		if !c.Min.Value.IsNull() {
			out = append(out, expr.Range{Field: c.Field, Max: c.Max})
		}
		if !c.Max.Value.IsNull() {
			out = append(out, expr.Range{Field: c.Field, Min: c.Min})
		}
	case expr.Words:
		for i := range c.Tokens {
			out = append(out, expr.Words{Field: c.Field, Tokens: without(c.Tokens, i), Phrase: c.Phrase})
		}
	case expr.Like:
		for i := range c.Pattern.Parts {
			out = append(out, expr.Like{Field: c.Field, Pattern: expr.Pattern{Parts: without(c.Pattern.Parts, i)}, Fold: c.Fold})
		}
		if c.Fold {
			out = append(out, expr.Like{Field: c.Field, Pattern: c.Pattern})
		}
	case expr.Nested:
		for _, sub := range simplerConds(c.Cond) {
			out = append(out, expr.Nested{Path: c.Path, Cond: sub})
		}
	case expr.Cmp:
		for _, x := range simplerValues(c.Left) {
			out = append(out, expr.Cmp{Op: c.Op, Left: x, Right: c.Right})
		}
		for _, x := range simplerValues(c.Right) {
			out = append(out, expr.Cmp{Op: c.Op, Left: c.Left, Right: x})
		}
	case expr.IsNull:
		for _, x := range simplerValues(c.Value) {
			out = append(out, expr.IsNull{Value: x})
		}
	case expr.Holds:
		out = append(out, c.Cond)
		for _, sub := range simplerConds(c.Cond) {
			out = append(out, expr.Holds{Cond: sub})
		}
	case expr.Each:
		for _, sub := range simplerConds(c.Cond) {
			out = append(out, expr.Each{Field: c.Field, Cond: sub})
		}
	case expr.Fits:
		for i := range c.Patterns {
			out = append(out, expr.Fits{Value: c.Value, Patterns: without(c.Patterns, i), Fold: c.Fold})
		}
		for _, x := range simplerValues(c.Value) {
			out = append(out, expr.Fits{Value: x, Patterns: c.Patterns, Fold: c.Fold})
		}
	case expr.Matching:
		for _, x := range simplerValues(c.Value) {
			out = append(out, expr.Matching{Value: x, Expr: c.Expr})
		}
	}
	return out
}

func simplerValues(x expr.Value) (out []expr.Value) {
	c, ok := x.(expr.Call)
	if !ok {
		return nil
	}
	out = append(out, c.Args...)
	for i := range c.Args {
		if len(c.Args) > expr.Functions[c.Fn].MinArgs {
			out = append(out, expr.Call{Fn: c.Fn, Args: without(c.Args, i)})
		}
		for _, sub := range simplerValues(c.Args[i]) {
			out = append(out, expr.Call{Fn: c.Fn, Args: with(c.Args, i, sub)})
		}
	}
	return out
}
