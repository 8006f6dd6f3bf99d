package eql_test

import (
	"errors"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// catalogue are the fields that ECS and the integrations declare.
type catalogue struct{}

func (catalogue) Field(path string) (expr.Field, bool) {
	r, ok := ecs.Resolve(path)
	return expr.Field{Path: r.Path, Type: r.Type, Root: r.Type == event.Flattened && r.Flattened == path}, ok
}

func (c catalogue) Expand(pattern expr.Pattern) []expr.Field {
	var names []string
	for f := range ecs.Fields() {
		if pattern.Fits(f.Path, false) {
			names = append(names, f.Path)
		}
	}
	sort.Strings(names)
	out := make([]expr.Field, len(names))
	for i, name := range names {
		out[i], _ = c.Field(name)
	}
	return out
}

// TestConformanceRulesLowered holds that every public rule means something once the fields that only its own integration
// declares are keywords, and that the conditions of nearly all are ones that engines search for.
func TestConformanceRulesLowered(t *testing.T) {
	set := rule.Load(corpus.Dir(t, "corpus/rules"))
	tally := corpus.NewTally(t, "eql/rules-lowered")
	codes, computed := map[string]int{}, map[string]int{}
	undeclared, searched, events := 0, 0, 0
	for _, r := range set.Rules {
		if r.Type != "eql" {
			continue
		}
		q, err := eql.Parse(r.Query)
		if err != nil {
			tally.Fail(r.Name, err.Error())
			continue
		}
		if _, err := eql.Lower(q, eql.Options{Resolver: catalogue{}}); err != nil {
			var list diag.List
			if errors.As(err, &list) && !slices.ContainsFunc(list, func(d diag.Diagnostic) bool {
				return d.Severity == diag.Error && d.Code != eql.CodeUnknownField
			}) {
				undeclared++
			}
		}
		p, err := eql.Lower(q, eql.Options{Resolver: catalogue{}, Lenient: true})
		if err != nil {
			var list diag.List
			errors.As(err, &list)
			for _, d := range list {
				if d.Severity == diag.Error {
					codes[d.Code]++
				}
			}
			tally.Fail(r.Name, diag.Of(err).Render())
			continue
		}
		tally.Pass()
		if p.Events == nil {
			continue
		}
		events++
		text := expr.String(p.Events)
		plain := true
		for _, node := range []string{"(each ", "(holds ", "(regexp "} {
			if strings.Contains(text, node) {
				computed[node]++
				plain = false
			}
		}
		if plain {
			searched++
		}
	}
	t.Logf("%d rules name fields that the catalogue does not declare", undeclared)
	t.Logf("%d of %d event queries are searches alone; others compute: %v", searched, events, computed)
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		t.Logf("%3d %s", codes[code], code)
	}
	if searched*100 < events*90 {
		t.Errorf("only %d of %d event queries are searches alone", searched, events)
	}
}
