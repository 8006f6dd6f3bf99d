package storetest_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
	"github.com/tocsin-sec/tocsin/internal/store/storetest"
)

func memory() storetest.Engine {
	return storetest.Engine{Name: "mem", Open: func(_ testing.TB, _ string, types storetest.Types) store.Store {
		return mem.New(types)
	}}
}

func TestCorpusOnMem(t *testing.T) { storetest.Corpus(t, memory()) }

func TestContractOnMem(t *testing.T) { storetest.Contract(t, memory()) }

func TestDocumentsOnMem(t *testing.T) { storetest.Documents(t, memory()) }

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
			storetest.Random(t, storetest.Engine{Name: "mem without " + name,
				Open: func(_ testing.TB, _ string, types storetest.Types) store.Store {
					return storetest.Refusing(mem.New(types), refuse)
				}}, storetest.RandomOptions{Plans: 300})
		})
	}
	f("filter", is(plan.Filter{}))
	f("eval", is(plan.Eval{}))
	f("aggregate", is(plan.Aggregate{}))
	f("sort", is(plan.Sort{}))
	f("limit", is(plan.Limit{}))
	f("project", is(plan.Project{}))
	f("sort and limit", is(plan.Sort{}, plan.Limit{}))
	f("anything but scans", is(plan.Filter{}, plan.Eval{}, plan.Aggregate{}, plan.Sort{}, plan.Limit{}, plan.Project{}))
	f("conditions that read anywhere or one object", func(n plan.Node) bool {
		filter, ok := n.(plan.Filter)
		text := ""
		if ok {
			text = expr.String(filter.Cond)
		}
		return strings.Contains(text, "(anywhere") || strings.Contains(text, "(nested")
	})
}

func TestKQLConformanceOnMem(t *testing.T) { storetest.KQL(t, memory()) }
