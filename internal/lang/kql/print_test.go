package kql_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
)

func TestString(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		n, err := kql.Parse(query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if got := kql.String(n); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", query, got, want)
		}
		if why := refix(n, want); why != "" {
			t.Errorf("%s: %s", query, why)
		}
	}
	f("", "*:*")
	f("  a  :  b  ", "a:b")
	f("a:b AND c:d OR NOT e:f", "a:b and c:d or not e:f")
	f("(a:b)", "a:b")
	f("a:b or a:c", "a:(b or c)")
	f("(a:b or a:c) and d:e", "a:(b or c) and d:e")
	f("a:b or (a:c or d:e)", "a:b or (a:c or d:e)")
	f("a:b and (c:d and e:f)", "a:b and (c:d and e:f)")
	f("not (a:b and a:c)", "not a:(b and c)")
	f("not (a:b and c:d)", "not (a:b and c:d)")
	f("not (not a:b)", "not (not a:b)")
	f("a:(b and not (c or d))", "a:(b and not (c or d))")
	f("a:(not b)", "not a:b")
	f("a:b or not a:c", "a:(b or not c)")
	f(`"a b":"c\"d"`, `"a b":"c\"d"`)
	f(`a:"C:\x"`, `a:"C:\\x"`)
	f("a:\"x\ty\nz\"", `a:"x\ty\nz"`)
	f(`a:x\ty`, `a:x\ty`)
	f(`a:b \and c`, `a:b \and c`)
	f(`a:\and`, `a:and`)
	f(`a:b \u006eot c`, `a:b \u006eot c`)
	f(`a:nothing`, `a:nothing`)
	f(`a:b or`, `a:b \or`)
	f(`a : { b : c }`, `a:{ b:c }`)
	f("a>1", "a > 1")
	f(`a:\t`, `a:\t`)
	f(`a:*\**`, `a:*\**`)
}

// TestStringByHand holds trees that Parse did not make.
func TestStringByHand(t *testing.T) {
	f := func(n kql.Node, want string) {
		t.Helper()
		if got := kql.String(n); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if why := refix(n, want); why != "" {
			t.Error(why)
		}
	}
	a := kql.Word("a")
	f(&kql.Is{Field: &a, Value: kql.Word("x:y*")}, `a:x\:y*`)
	f(&kql.Is{Value: kql.Quote("x*")}, `"x*"`)
	f(&kql.Not{Node: &kql.Not{Node: &kql.Is{Value: a}}}, "not (not a)")
	f(&kql.And{Nodes: []kql.Node{&kql.Range{Field: a, Op: kql.LessEqual, Value: kql.Word("1")}, &kql.Is{Value: kql.Word("not")}}},
		`a <= 1 and \u006eot`)
	if got := kql.String(&kql.Is{Value: kql.Word(" a")}); got != `" a"` {
		t.Errorf("a bare text with a blank before it is written as %s", got)
	}
}

// refix says how reading and writing text again differs from n, or nothing.
func refix(n kql.Node, text string) string {
	again, err := kql.Parse(text)
	if err != nil {
		return "printed as " + text + ": " + err.Error()
	}
	if diff := cmp.Diff(notation(n), notation(again)); diff != "" {
		return "printed as " + text + ": the tree becomes (-was +is):\n" + diff
	}
	if second := kql.String(again); second != text {
		return "printed as " + text + ", then as " + second
	}
	return ""
}

// seeds are queries to begin with: those of testdata, and those of the corpus where it is there.
func seeds(f *testing.F) {
	text, err := os.ReadFile(filepath.Join("testdata", "queries.txt"))
	if err != nil {
		f.Fatal(err)
	}
	for _, q := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if _, err := kql.Parse(q); err != nil {
			f.Fatalf("%s: %v", q, err)
		}
		f.Add(q)
	}
	for _, name := range []string{"errors.txt", "check.txt", "lower.txt"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			if q, ok := strings.CutPrefix(line, "> "); ok {
				f.Add(q)
			}
		}
	}
	for _, name := range []string{"kibana_cases.jsonl", "rules_golden.jsonl"} {
		path := filepath.Join(corpus.Root(), "corpus", "kql", name)
		if lines, err := os.ReadFile(path); err == nil && len(bytes.TrimSpace(lines)) > 0 {
			for _, c := range readLines[syntaxCase](f, path) {
				f.Add(c.KQL)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	seeds(f)
	resolver := fields(f)
	f.Fuzz(func(t *testing.T, query string) {
		n, err := kql.Parse(query)
		if err != nil {
			found := diag.Of(err)
			if len(found) != 1 || found[0].Code == "" || found[0].Message == "" || found[0].Span.Start > len(query) ||
				found[0].Span.End > len(query) || found[0].Span.Start < 0 {
				t.Fatalf("%q: a bad diagnostic: %#v", query, err)
			}
			found.Render()
			return
		}
		if why := refix(n, kql.String(n)); why != "" {
			t.Errorf("%q: %s", query, why)
		}
		kql.UsesNow(n)
		kql.Check(n, resolver).Render()
		_, _ = kql.Lower(n, kql.Options{Resolver: resolver, Now: checkNow})
	})
}
