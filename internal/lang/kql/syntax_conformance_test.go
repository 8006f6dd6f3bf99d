package kql_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
)

// syntaxCase is a query with the tree, or the place of the error, that is recorded for it.
type syntaxCase struct {
	KQL     string          `json:"kql"`
	AST     json.RawMessage `json:"ast"`
	Error   string          `json:"error"`
	Offset  int             `json:"error_offset"` // in UTF-16 units
	Options struct {
		AllowLeadingWildcards *bool `json:"allowLeadingWildcards"`
	} `json:"options"`
}

func TestConformanceSyntax(t *testing.T) {
	dir := corpus.Dir(t, "corpus/kql")
	for name, file := range map[string]string{
		"kql/kibana-cases": "kibana_cases.jsonl",
		"kql/rules-golden": "rules_golden.jsonl",
	} {
		tally := corpus.NewTally(t, name)
		for _, c := range readLines[syntaxCase](t, filepath.Join(dir, file)) {
			if why := checkSyntax(c); why != "" {
				tally.Fail(c.KQL, why)
			} else {
				tally.Pass()
			}
		}
	}
}

// checkSyntax says how the parser differs from what is recorded, or nothing.
func checkSyntax(c syntaxCase) string {
	var options []kql.ParseOption
	if allow := c.Options.AllowLeadingWildcards; allow != nil && !*allow {
		options = append(options, kql.NoLeadingWildcards())
	}
	n, err := kql.Parse(c.KQL, options...)
	if c.Error != "" {
		var d diag.Diagnostic
		if !errors.As(err, &d) {
			return "accepted; recorded: " + c.Error
		}
		if got := len(utf16.Encode([]rune(c.KQL[:d.Span.Start]))); got != c.Offset {
			return cmp.Diff(c.Offset, got) + d.Render()
		}
		return ""
	}
	if err != nil {
		return err.Error()
	}
	var want any
	if err := json.Unmarshal(c.AST, &want); err != nil {
		return err.Error()
	}
	if diff := cmp.Diff(want, notation(n)); diff != "" {
		return "tree (-want +got):\n" + diff
	}
	text := kql.String(n)
	again, err := kql.Parse(text)
	if err != nil {
		return "printed as " + text + ": " + err.Error()
	}
	if diff := cmp.Diff(want, notation(again)); diff != "" {
		return "printed as " + text + ": tree (-want +got):\n" + diff
	}
	if second := kql.String(again); second != text {
		return "printed as " + text + ", then as " + second
	}
	return ""
}

// notation writes a tree as the corpus does.
func notation(n kql.Node) any {
	type object = map[string]any
	list := func(nodes []kql.Node) []any {
		out := make([]any, len(nodes))
		for i, sub := range nodes {
			out[i] = notation(sub)
		}
		return out
	}
	name := func(l kql.Literal) any {
		if l.Wildcard() {
			return object{"wildcard": anys(l.Parts)}
		}
		return l.Text()
	}
	switch n := n.(type) {
	case *kql.And:
		return object{"and": list(n.Nodes)}
	case *kql.Or:
		return object{"or": list(n.Nodes)}
	case *kql.Not:
		return object{"not": notation(n.Node)}
	case *kql.Nested:
		return object{"nested": object{"path": name(n.Path), "query": notation(n.Node)}}
	case *kql.Range:
		op := map[kql.Op]string{kql.Less: "lt", kql.LessEqual: "lte", kql.Greater: "gt", kql.GreaterEqual: "gte"}[n.Op]
		return object{"range": object{"field": name(n.Field), "op": op, "value": n.Value.Text()}}
	case *kql.Is:
		var field any
		if n.Field != nil {
			field = name(*n.Field)
		}
		var value any = object{"literal": n.Value.Text(), "quoted": n.Value.Quoted}
		if b, ok := n.Value.Bool(); ok {
			value = object{"literal": b, "quoted": false}
		} else if n.Value.Null() {
			value = object{"literal": nil, "quoted": false}
		} else if n.Value.Wildcard() {
			value = name(n.Value)
		}
		return object{"is": object{"field": field, "value": value}}
	}
	return nil
}

func anys(texts []string) []any {
	out := make([]any, len(texts))
	for i, t := range texts {
		out[i] = t
	}
	return out
}

// readLines reads a file of one JSON object a line.
func readLines[T any](t testing.TB, name string) []T {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []T
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var c T
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("read %s: %v", name, err)
		}
		out = append(out, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
