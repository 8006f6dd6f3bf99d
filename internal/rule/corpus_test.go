package rule_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// TestConformanceLoad reads every public rule without a diagnostic.
func TestConformanceLoad(t *testing.T) {
	dir := corpus.Dir(t, "corpus/rules")
	tally := corpus.NewTally(t, "rules/load")
	set := rule.Load(dir)
	for _, d := range set.Problems {
		tally.Fail(d.File, d.Render())
	}
	types, runnable, reasons := map[string]int{}, map[string]int{}, map[string]int{}
	for _, r := range set.Rules {
		tally.Pass()
		types[r.Type]++
		if r.CannotRun == "" {
			runnable[r.Type]++
		} else {
			reasons[r.CannotRun]++
		}
		if query := (diag.Diagnostic{Text: r.Query, Span: diag.At(0)}); r.Query != "" {
			if located := r.Locate(diag.List{query})[0]; located.Text == r.Query {
				reasons["query not found in its file"]++
			}
		}
	}
	want := map[string]int{"eql": 876, "query": 406, "new_terms": 197, "esql": 159, "machine_learning": 94,
		"threshold": 22, "threat_match": 8}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("rules by type:\n%s", diff)
	}
	t.Log(fmt.Sprint(runnable), reasons)
	if set.Files != 1762 {
		t.Errorf("%d files", set.Files)
	}
}
