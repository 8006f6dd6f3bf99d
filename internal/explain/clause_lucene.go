package explain

import (
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
)

type luceneWalk struct{ lucene.Options }

// clause parts n into what must hold: the required clauses or, without any, one of the optional ones, and no prohibited one.
func (w luceneWalk) clause(n lucene.Node) (*clause, error) {
	b, ok := n.(*lucene.Bool)
	if !ok {
		cond, err := lucene.Lower(n, w.Options)
		return &clause{text: lucene.String(n), cond: cond}, err
	}
	var all, some []*clause
	required := false
	for _, part := range b.Clauses {
		required = required || part.Occur == lucene.Must
	}
	for _, part := range b.Clauses {
		if part.Occur == lucene.Should && required {
			continue // it changes nothing
		}
		c, err := w.clause(part.Node)
		if err != nil {
			return nil, err
		}
		switch part.Occur {
		case lucene.Must:
			all = append(all, c)
		case lucene.MustNot:
			all = append(all, joined(joinNot, []*clause{c}))
		default:
			some = append(some, c)
		}
	}
	if len(some) > 0 {
		all = append([]*clause{joined(joinOr, some)}, all...)
	}
	return joined(joinAnd, all), nil
}
