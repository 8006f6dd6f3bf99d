package exception_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestDocumentation holds docs/exceptions.md to the codes, comparisons and types of lists that there are.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/exceptions.md")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]int{}
	for _, file := range []string{"exception.go", "toml.go", "values.go"} {
		syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(syntax, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) == 0 {
				return true
			}
			switch name := spec.Names[0].Name; {
			case strings.HasPrefix(name, "Code"):
				names[literalIn(spec.Values[0])]++
			case name == "written" || name == "valueTypes":
				for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
					names["`"+literalIn(e)]++
				}
			}
			return true
		})
	}
	if len(names) < 30 {
		t.Fatalf("only %d names were found", len(names))
	}
	for name := range names {
		// Of the file's own mistakes the page gives the first and the last code.
		if !strings.Contains(string(page), name) && !strings.HasPrefix(name, "EXC01") {
			t.Errorf("docs/exceptions.md does not tell of %s", name)
		}
	}
}

// literalIn is the first text in an expression.
func literalIn(n ast.Node) (out string) {
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && out == "" {
			out, _ = strconv.Unquote(lit.Value)
		}
		return out == ""
	})
	return out
}
