package eql_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
)

// example is an expression with the value that is recorded for it, or the class of its error.
type example struct {
	Expr     string                     `json:"expr"`
	Expected json.RawMessage            `json:"expected"`
	Error    string                     `json:"error"`
	Doc      map[string]json.RawMessage `json:"doc"`
}

// loweringClass are the codes of Lower's errors.
const loweringClass = "EQL03"

func TestConformanceFolding(t *testing.T) {
	runExamples(t, "eql/folding", "fold.jsonl")
}

func TestConformanceFunctions(t *testing.T) {
	runExamples(t, "eql/function-examples", "function_ref_examples.jsonl")
}

func runExamples(t *testing.T, name, file string) {
	text, err := os.ReadFile(filepath.Join(corpus.Dir(t, serverCorpus), file))
	if err != nil {
		t.Fatal(err)
	}
	tally := corpus.NewTally(t, name)
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var c example
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		if why := c.check(); why != "" {
			tally.Fail(c.Expr, why)
		} else {
			tally.Pass()
		}
	}
}

// check says how the value differs from what is recorded, or nothing.
func (c example) check() string {
	doc, err := json.Marshal(c.Doc)
	if err != nil {
		return err.Error()
	}
	e, err := event.Decode(doc, event.DecodeOptions{})
	if err != nil && c.Doc != nil {
		return err.Error()
	}
	types := map[string]string{}
	for path, v := range c.Doc {
		switch {
		case path == "source.address":
			types[path] = "ip"
		case v[0] == '"':
			types[path] = "keyword"
		default:
			types[path] = "long"
		}
	}
	m, err := kqltest.TypesMapping(types)
	if err != nil {
		return err.Error()
	}
	x, err := eql.LowerValue(c.Expr, eql.Options{Resolver: m})
	if c.Error != "" {
		var list diag.List
		if c.Error != "verification" || !errors.As(err, &list) || !strings.HasPrefix(list[0].Code, loweringClass) {
			return "recorded as an error of " + c.Error + ", here: " + diag.Of(err).Render()
		}
		return ""
	}
	if err != nil {
		return diag.Of(err).Render()
	}
	if c.Doc == nil {
		if _, folded := x.(expr.Lit); !folded {
			return "not computed"
		}
	}
	got := expr.Compute(x, e)
	whole := event.Event{}
	var want event.Value
	if decoded, err := event.Decode([]byte(`{"v":`+string(c.Expected)+`}`), event.DecodeOptions{}); err == nil {
		whole = *decoded
		want = whole.Get("v")
	}
	numbers := func(v event.Value) bool { return v.Kind() == event.KindInt || v.Kind() == event.KindFloat }
	if got.Kind() != want.Kind() && !(numbers(got) && numbers(want)) || event.Compare(got, want) != 0 {
		return "gives " + got.Text() + ", recorded: " + string(c.Expected)
	}
	return ""
}
