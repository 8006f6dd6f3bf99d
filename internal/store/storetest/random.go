package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// RandomOptions says how much Random does.
type RandomOptions struct {
	// Plans is the number of plans; 0: TOCSIN_RANDOM_PLANS, or 5,000.
	Plans int
	// Seed makes the plans; 0: 1. TOCSIN_RANDOM_SEED wins over both.
	Seed uint64
}

const (
	plansPerSet = 250 // that run over one set of events
	maxFailed   = 3   // sets that fail, each with a plan of its own, before the others are left out
)

// Random runs random plans over random events and holds that e gives the rows that mem gives: in the same order where
// they are sorted. What differs is made small and printed as a file for testdata. That the comparison means something is
// held too: enough plans give rows, and not all rows; every node and condition occurs and tells rows apart.
func Random(t *testing.T, e Engine, o RandomOptions) {
	if o.Plans == 0 {
		o.Plans = fromEnv(t, "TOCSIN_RANDOM_PLANS", 5_000)
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	o.Seed = fromEnv(t, "TOCSIN_RANDOM_SEED", o.Seed)
	tally := newTally()
	var failed atomic.Int32
	t.Run("sets", func(t *testing.T) {
		for set := 0; set*plansPerSet < o.Plans; set++ {
			t.Run(strconv.Itoa(set), func(t *testing.T) {
				t.Parallel()
				if failed.Load() >= maxFailed {
					t.Skip("enough sets have failed")
				}
				runSet(t, e, o, set, tally)
				if t.Failed() {
					failed.Add(1)
				}
			})
		}
	})
	tally.report(t, e, o)
}

func fromEnv[T int | uint64](t *testing.T, name string, value T) T {
	text := os.Getenv(name)
	if text == "" {
		return value
	}
	n, err := strconv.ParseInt(text, 10, 63)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return T(n)
}

// runSet runs plans over one set of events.
func runSet(t *testing.T, e Engine, o RandomOptions, set int, tally *tally) {
	r := rand.New(rand.NewPCG(o.Seed, uint64(set)))
	n := 20 + r.IntN(130)
	if set%20 == 9 {
		n = 2_500 // more than a database's vector of rows
	}
	events := randomEvents(r, n)
	tally.addSet(n)
	p := openPair(t, e, events)
	defer p.close(t)
	commits := uint64(len(p.seqs) - 1)
	for i := range min(plansPerSet, o.Plans-set*plansPerSet) {
		at := store.Snapshot{Seq: commits}
		if chance(r, 25) {
			at.Seq = 1 + r.Uint64N(commits)
			at.After = r.Uint64N(at.Seq)
		}
		node := randomPlan(r, p.mem, p.snapshot(at))
		result, why := p.compare(node, at)
		tally.add(result)
		if i%4 == 0 {
			tally.addConditions(p.mem, node, p.snapshot(at))
		}
		if why != "" {
			small := shrink(t, e, trial{events: events, plan: node, at: at})
			t.Errorf("%s differs from mem (TOCSIN_RANDOM_SEED=%d, set %d, plan %d):\n%s\nmade small:\n%s\nthe plan as it came:\n%s",
				e.Name, o.Seed, set, i, why, small, formatPlan(node))
			return
		}
	}
}

// pair is the engine and mem with the same events.
type pair struct {
	events      []placed
	mem, engine store.Store
	seqs        []uint64
}

func openPair(t testing.TB, e Engine, events []placed) *pair {
	t.Helper()
	p := &pair{events: events, mem: mem.New(DeclaredType), engine: e.Open(t, t.TempDir(), DeclaredType)}
	want := load(t, p.mem, events)
	if p.seqs = load(t, p.engine, events); !slices.Equal(want, p.seqs) {
		t.Fatalf("sequence numbers of mem %v, of the engine %v", want, p.seqs)
	}
	return p
}

func (p *pair) close(t testing.TB) {
	if err := errors.Join(p.mem.Close(), p.engine.Close()); err != nil {
		t.Errorf("close the stores: %v", err)
	}
}

// snapshot turns numbers of commits into sequence numbers.
func (p *pair) snapshot(at store.Snapshot) store.Snapshot {
	return store.Snapshot{After: p.seqs[at.After], Seq: p.seqs[at.Seq]}
}

// visible is the number of events that the snapshot shows.
func (p *pair) visible(at store.Snapshot) (n int) {
	for _, e := range p.events {
		if uint64(e.commit) > at.After && uint64(e.commit) <= at.Seq {
			n++
		}
	}
	return n
}

// result is what a plan came to.
type result struct {
	plan    plan.Node
	rows    int  // that mem gives
	visible int  // events that the snapshot shows
	whole   bool // the engine took the plan whole
}

// compare runs the plan and says how the engine's rows differ from mem's, or nothing.
func (p *pair) compare(node plan.Node, at store.Snapshot) (out result, why string) {
	out.plan = node
	_, open := determined(node)
	without := node
	if open { // any rows will do: they must be among those without the limit
		without = plan.Input(node)
	}
	want, err := texts(p.mem, without, p.snapshot(at))
	if err != nil {
		return out, "mem: " + err.Error()
	}
	engine := &callCounter{Querier: p.engine}
	got, err := texts(engine, node, p.snapshot(at))
	out.rows, out.visible, out.whole = len(want), p.visible(at), engine.calls == 1
	if err != nil {
		return out, err.Error()
	}
	if !orderOf(node).total {
		sort.Strings(want)
		sort.Strings(got)
	}
	return out, differences(want, got, node, open)
}

// differences says how the rows got differ from those wanted; open says that they are any of them, up to a limit.
func differences(want, got []string, node plan.Node, open bool) string {
	if open {
		if n := min(max(node.(plan.Limit).N, 0), len(want)); len(got) != n {
			return fmt.Sprintf("%d rows, want %d", len(got), n)
		}
		left := map[string]int{}
		for _, row := range want {
			left[row]++
		}
		for _, row := range got {
			if left[row]--; left[row] < 0 {
				return "a row that is not there without the limit: " + row
			}
		}
		return ""
	}
	if slices.Equal(want, got) {
		return ""
	}
	if len(want)+len(got) > 60 { // enough is enough: those that one has and the other has not
		common := map[string]bool{}
		for _, row := range want {
			common[row] = true
		}
		extra := slices.DeleteFunc(slices.Clone(got), func(row string) bool { return common[row] })
		clear(common)
		for _, row := range got {
			common[row] = true
		}
		missing := slices.DeleteFunc(slices.Clone(want), func(row string) bool { return common[row] })
		return fmt.Sprintf("%d rows, want %d; missing: %.2000s; not wanted: %.2000s", len(got), len(want), missing, extra)
	}
	return "rows (-mem +engine):\n" + cmp.Diff(want, got)
}

func texts(q store.Querier, p plan.Node, at store.Snapshot) ([]string, error) {
	rows, err := query(context.Background(), q, p, at)
	if err != nil {
		return nil, err
	}
	whole := readsWhole(p)
	out := make([]string, len(rows))
	for i, e := range rows {
		if !whole { // the source may be left out
			e.Source = event.Raw{}
		}
		out[i] = formatRow(e)
	}
	return out, nil
}

// readsWhole reports whether p reads whole documents.
func readsWhole(p plan.Node) bool {
	p = plan.Prune(p)
	for plan.Input(p) != nil {
		p = plan.Input(p)
	}
	return p.(plan.Scan).Fields == nil
}

// callCounter counts the plans that an engine is asked for.
type callCounter struct {
	store.Querier
	calls int
}

// Query passes the plan on.
func (c *callCounter) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	c.calls++
	return c.Querier.Query(ctx, p, at)
}
