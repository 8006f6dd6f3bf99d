package storetest_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
	"github.com/tocsin-sec/tocsin/internal/store/storetest"
)

// random runs plans on what wrap makes of mem.
func random(t *testing.T, name string, plans int, wrap func(store.Store) store.Store) {
	storetest.Random(t, storetest.Engine{Name: name, Open: func(_ testing.TB, _ string, types storetest.Types) store.Store {
		return wrap(mem.New(types))
	}}, storetest.RandomOptions{Plans: plans})
}

// TestRandomOnPartialEngines holds that it makes no difference to the rows which nodes an engine takes and which exec
// runs over what it gives.
func TestRandomOnPartialEngines(t *testing.T) {
	is := func(nodes ...plan.Node) func(plan.Node) bool {
		return func(n plan.Node) bool {
			for _, refused := range nodes {
				if reflect.TypeOf(n) == reflect.TypeOf(refused) {
					return true
				}
			}
			return false
		}
	}
	f := func(name string, refuse func(plan.Node) bool) {
		t.Run(name, func(t *testing.T) {
			random(t, "mem without "+name, 300, func(db store.Store) store.Store { return storetest.Refusing(db, refuse) })
		})
	}
	f("filter", is(plan.Filter{}))
	f("eval", is(plan.Eval{}))
	f("aggregate", is(plan.Aggregate{}))
	f("sort", is(plan.Sort{}))
	f("limit", is(plan.Limit{}))
	f("project", is(plan.Project{}))
	f("sequence and sample", is(plan.Sequence{}, plan.Sample{}))
	f("sort and limit", is(plan.Sort{}, plan.Limit{}))
	f("anything but scans", is(plan.Filter{}, plan.Eval{}, plan.Aggregate{}, plan.Sort{}, plan.Limit{}, plan.Project{},
		plan.Sequence{}, plan.Sample{}))
	f("conditions that read anywhere or one object", func(n plan.Node) bool {
		filter, ok := n.(plan.Filter)
		text := ""
		if ok {
			text = expr.String(filter.Cond)
		}
		return strings.Contains(text, "(anywhere") || strings.Contains(text, "(nested")
	})
}

// TestRandomOnLeastRows holds that plans read no more than plan.Prune says: an engine gives of each event only what the
// scan's Fields name.
func TestRandomOnLeastRows(t *testing.T) {
	random(t, "mem with least rows", 4_000, func(db store.Store) store.Store { return least{db} })
}

// least gives of a scan's rows what it has to give, and no more.
type least struct{ store.Store }

func (l least) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	scan := p
	for plan.Input(scan) != nil {
		scan = plan.Input(scan)
	}
	s, ok := scan.(plan.Scan)
	if !ok || s.Fields == nil {
		return l.Store.Query(ctx, p, at)
	}
	rows, err := l.Store.Query(ctx, plan.Scan{Streams: s.Streams}, at)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var events []*event.Event
	for rows.Next() {
		events = append(events, rows.Event().Keep(s.Fields))
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	return exec.Over(events).Query(ctx, p, at)
}
