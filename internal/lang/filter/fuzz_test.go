package filter_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/filter"
	"github.com/tocsin-sec/tocsin/internal/lang/filter/filtertest"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// FuzzFilter holds that filters of any kind are read or refused with diagnostics, that what is read is printed as what is
// read the same again, and that a condition made from it can be evaluated.
func FuzzFilter(f *testing.F) {
	for _, fact := range filtertest.Facts() {
		f.Add([]byte(`[{"query":` + fact.Query + `,"meta":{"negate":true}}]`))
	}
	f.Add([]byte(`[{"meta":{"type":"combined","relation":"OR","params":[{"meta":{"type":"phrases","key":"k","params":["a",1]}}]}}]`))
	f.Add([]byte(`[{"meta":{"type":"range","key":"l","params":{"gte":1}}},{"exists":{"field":"a.*"},"$state":{}}]`))
	if _, err := os.Stat(filepath.Join(corpus.Root(), "corpus", "rules", "rules")); err == nil {
		ruleFilters(f, func(_ *rule.Rule, _ string, filters []event.Value) { f.Add(event.List(filters...).AppendJSON(nil)) })
	}
	m := fields(f)
	docs := documents(f, m)
	f.Fuzz(func(t *testing.T, json []byte) {
		v, err := event.ParseJSON(json)
		if err != nil {
			return
		}
		n, err := filter.Parse(v.Items(), filter.Options{})
		if err != nil {
			for _, d := range diag.Of(err) {
				if d.Code == "" || d.Message == "" {
					t.Fatalf("%s: a bad diagnostic: %#v", json, d)
				}
			}
			return
		}
		if why := again(n); why != "" {
			t.Errorf("%s: %s", json, why)
		}
		filter.UsesNow(n)
		filter.Check(n, m).Render()
		c, err := filter.Lower(n, m, now)
		if err != nil {
			return
		}
		if len(expr.String(c)) < 1<<16 {
			for _, e := range docs {
				expr.Eval(c, e)
			}
		}
	})
}
