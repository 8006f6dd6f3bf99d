package filter

import (
	"fmt"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// The codes of what Check warns of.
const (
	CodeUnknownField = "FLT0201" // a field that nothing declares
	CodeDropped      = "FLT0202" // a backslash that does nothing, where a path is most likely meant
	CodeUnanalysed   = "FLT0203" // a value with capitals or blanks, unanalysed, in an analysed field: it is never a word
)

// Check returns advice on filters that Parse accepts: warnings where they most likely do not mean what their author
// thinks. Without a resolver nothing about fields is said.
func Check(n Node, r plan.Resolver) diag.List {
	var found diag.List
	warn := func(at Place, code, hint, format string, args ...any) {
		found = append(found, at.diagnostic(diag.Diagnostic{Code: code, Severity: diag.Warning,
			Message: fmt.Sprintf(format, args...), Hint: hint}))
	}
	declared := func(path string, at Place) expr.Field {
		if r == nil {
			return expr.Field{Path: path}
		}
		f, ok := r.Field(path)
		if !ok {
			warn(at, CodeUnknownField, "", "the field %s is not declared: it is read as a keyword", path)
		}
		return f
	}
	walk(n, func(n Node) {
		switch n := n.(type) {
		case *Term:
			f := declared(n.Field, n.At)
			if !f.Type.IsText() || n.Fold {
				return
			}
			for _, v := range n.Values {
				if tokens := expr.Tokens(f.Type, v); len(tokens) != 1 || tokens[0] != v {
					warn(n.At, CodeUnanalysed, "write match, which reads a value as the field does",
						"%q is never one word of %s, which is analysed", v, n.Field)
				}
			}
		case *Match:
			declared(n.Field, n.At)
		case *Wildcard:
			f := declared(n.Field, n.At)
			if n.dropped != 0 {
				warn(n.At, CodeDropped, `a backslash itself is written \\`, `in the pattern \%c means %c`, n.dropped, n.dropped)
			}
			if f.Type.IsText() && !n.Fold && !lowerCase(n.Pattern) {
				warn(n.At, CodeUnanalysed, "write it in lower case, or with case_insensitive",
					"the words of %s are in lower case, and the pattern holds capitals", n.Field)
			}
		case *Range:
			declared(n.Field, n.At)
		case *Text:
			for _, d := range lucene.Check(n.Query, r) {
				if d.Severity != diag.Error { // Lower tells of errors
					warn(n.At, d.Code, d.Hint, "%s", d.Message)
				}
			}
		case *Exists:
			if !strings.Contains(n.Field, "*") {
				declared(n.Field, n.At)
			}
		}
	})
	return found
}

func lowerCase(p expr.Pattern) bool {
	for _, part := range p.Parts {
		if part.Literal != expr.Fold(part.Literal) {
			return false
		}
	}
	return true
}
