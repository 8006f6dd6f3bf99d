package ruletest

import (
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
)

// collectLucene collects the clauses of n: the required ones or, without any, the optional ones, and the prohibited ones.
// Beside required ones, optional ones change nothing and are none.
func (c *clauses) collectLucene(n lucene.Node) *tree {
	b, ok := n.(*lucene.Bool)
	if !ok {
		return c.add(luceneClause(n))
	}
	required := false
	for _, part := range b.Clauses {
		required = required || part.Occur == lucene.Must
	}
	var every, one []*tree
	for _, part := range b.Clauses {
		switch {
		case part.Occur == lucene.Must:
			every = append(every, c.collectLucene(part.Node))
		case part.Occur == lucene.MustNot:
			every = append(every, &tree{join: not, subs: []*tree{c.collectLucene(part.Node)}})
		case !required:
			one = append(one, c.collectLucene(part.Node))
		}
	}
	if len(one) > 0 {
		every = append(every, &tree{join: some, subs: one})
	}
	return &tree{join: all, subs: every}
}

func luceneClause(n lucene.Node) clause {
	l := clause{lucene: n, text: lucene.String(n), at: n.Span()}
	// The field of a value in a list stands before the list.
	var field *lucene.Literal
	var at diag.Span
	switch n := n.(type) {
	case *lucene.Term:
		field, at = n.Field, n.Value.At
	case *lucene.Pattern:
		field, at = n.Field, n.At
	case *lucene.Regexp:
		field, at = n.Field, n.Value.At
	case *lucene.Range:
		field, at = n.Field, n.At
	case *lucene.Exists:
		field, at = &n.Field, n.At
	default:
		return l
	}
	if field != nil && !strings.Contains(field.Text, "*") {
		l.field = field.Text
	}
	l.at = at
	return l
}
