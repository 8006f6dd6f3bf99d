package storetest

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// tally counts what random plans were and came to. It is safe for concurrent use.
type tally struct {
	mu sync.Mutex

	plans, sets, events, rows int

	nonEmpty int            // plans that gave rows
	some     int            // plans of events that gave some of them, not all
	whole    int            // plans that the engine took whole
	nodes    map[string]int // by name: plans in which it occurs and that gave rows

	looked int            // plans whose conditions were looked at
	apart  map[string]int // by name: conditions that were true of one row and not of another
}

func newTally() *tally { return &tally{nodes: map[string]int{}, apart: map[string]int{}} }

func (c *tally) addSet(events int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sets++
	c.events += events
}

func (c *tally) add(r result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.plans++
	c.rows += r.rows
	if r.whole {
		c.whole++
	}
	if r.rows == 0 {
		return
	}
	c.nonEmpty++
	if r.rows < r.visible {
		c.some++
	}
	seen := map[string]bool{}
	for n := r.plan; n != nil; n = plan.Input(n) {
		if name, _, _ := strings.Cut(formatNode(n), " "); !seen[name] {
			seen[name] = true
			c.nodes[name]++
		}
	}
}

// condsOf are the conditions that a node tries its rows with.
func condsOf(n plan.Node) (out []expr.Cond) {
	switch n := n.(type) {
	case plan.Filter:
		return []expr.Cond{n.Cond}
	case plan.SemiJoin:
		return []expr.Cond{n.Cond()}
	case plan.Sequence:
		for _, s := range n.Stages {
			out = append(out, s.Cond)
		}
	case plan.Sample:
		for _, s := range n.Stages {
			out = append(out, s.Cond)
		}
	}
	return out
}

// addConditions looks at which conditions of the plan tell the rows before them apart.
func (c *tally) addConditions(q store.Querier, p plan.Node, at store.Snapshot) {
	apart := map[string]int{}
	for n := p; n != nil; n = plan.Input(n) {
		conds := condsOf(n)
		if len(conds) == 0 {
			continue
		}
		rows, err := query(context.Background(), q, plan.Limit{In: plan.Input(n), N: maxSample}, at)
		if err != nil {
			continue
		}
		for _, leaf := range leaves(nil, expr.All(conds...)) {
			var outcomes [expr.True + 1]bool
			for _, e := range rows {
				outcomes[expr.Eval(leaf, e)] = true
			}
			if outcomes[expr.True] && (outcomes[expr.False] || outcomes[expr.Null]) {
				apart[nameOf(leaf)]++
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked++
	for name, n := range apart {
		c.apart[name] += n
	}
}

// leaves appends the conditions below And, Or and Not.
func leaves(out []expr.Cond, c expr.Cond) []expr.Cond {
	switch c := c.(type) {
	case expr.And:
		for _, sub := range c.Conds {
			out = leaves(out, sub)
		}
		return out
	case expr.Or:
		for _, sub := range c.Conds {
			out = leaves(out, sub)
		}
		return out
	case expr.Not:
		return leaves(out, c.Cond)
	}
	return append(out, c)
}

// nameOf is the name of a condition in the notation of testdata.
func nameOf(c expr.Cond) string {
	name, _, _ := strings.Cut(strings.Trim(formatCond(c), "()"), " ")
	return name
}

// everyNode and everyLeaf are the names that have to occur.
var (
	everyNode = []string{"scan", "filter", "semijoin", "eval", "aggregate", "sort", "limit", "project", "sequence", "sample"}
	everyLeaf = []string{"in", "member", "range", "like", "like-fold", "words", "phrase", "exists", "nested", "anywhere", "null",
		"holds", "for-each", "regexp", "fits", "fits-fold", "matching", "=", "!=", "<", "<=", ">", ">="}
)

// report prints the counts and holds that they are what a comparison needs to mean something.
func (c *tally) report(t *testing.T, e Engine, o RandomOptions) {
	t.Helper()
	share := func(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }
	t.Logf("random plans on %s: %d plans (seed %d) over %d sets of %d events in all: %.0f %% give rows (%d rows), "+
		"%.0f %% give some of the events and not all, %.0f %% were taken whole", e.Name, c.plans, o.Seed, c.sets, c.events,
		share(c.nonEmpty, c.plans), c.rows, share(c.some, c.plans), share(c.whole, c.plans))
	t.Logf("nodes in plans that give rows: %s", counts(c.nodes))
	t.Logf("conditions that tell rows apart, in %d plans: %s", c.looked, counts(c.apart))
	if c.plans < 1000 || t.Failed() {
		return
	}
	if share(c.nonEmpty, c.plans) < 60 {
		t.Errorf("only %d of %d plans give rows", c.nonEmpty, c.plans)
	}
	if share(c.some, c.plans) < 40 {
		t.Errorf("only %d of %d plans give some events and not all", c.some, c.plans)
	}
	for _, name := range everyNode {
		if share(c.nodes[name], c.plans) < 2 {
			t.Errorf("%s is in %d plans that give rows, of %d", name, c.nodes[name], c.plans)
		}
	}
	for _, name := range everyLeaf {
		if share(c.apart[name], c.looked) < 0.4 {
			t.Errorf("%s tells rows apart %d times in %d plans", name, c.apart[name], c.looked)
		}
	}
}

func counts(m map[string]int) string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool { return m[names[i]] > m[names[j]] })
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, m[name])
	}
	return strings.Join(names, ", ")
}
