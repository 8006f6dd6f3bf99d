package filter

import (
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
)

// String writes n as one query of the DSL, in one form for each meaning as far as Parse tells meanings apart: a filter
// with this query is read as n again.
func String(n Node) string { return string(query(n).AppendJSON(nil)) }

func object(key string, v event.Value) event.Value {
	return event.Object(event.Member{Key: key, Value: v})
}

// query is n as a value.
func query(n Node) event.Value {
	switch n := n.(type) {
	case *All:
		return object("match_all", event.Object())
	case *None:
		return object("match_none", event.Object())
	case *Bool:
		var m []event.Member
		for _, part := range []struct {
			key   string
			nodes []Node
		}{{"filter", n.Must}, {"should", n.Should}, {"must_not", n.MustNot}} {
			if len(part.nodes) == 0 {
				continue
			}
			list := make([]event.Value, len(part.nodes))
			for i, sub := range part.nodes {
				list[i] = query(sub)
			}
			m = append(m, event.Member{Key: part.key, Value: event.List(list...)})
		}
		if n.Least > 0 {
			m = append(m, event.Member{Key: "minimum_should_match", Value: event.Int(int64(n.Least))})
		}
		return object("bool", event.Object(m...))
	case *Term:
		if len(n.Values) > 1 {
			return object("terms", object(n.Field, event.Strings(n.Values...)))
		}
		return object("term", object(n.Field, options("value", event.String(n.Values[0]), flag("case_insensitive", n.Fold))))
	case *Match:
		name := "match"
		if n.Phrase {
			name = "match_phrase"
		}
		least, none := event.Member{}, event.Member{}
		if n.Least != "" {
			least = event.Member{Key: "minimum_should_match", Value: event.String(n.Least)}
		}
		if n.NoWords {
			none = event.Member{Key: "zero_terms_query", Value: event.String("all")}
		}
		return object(name, object(n.Field, options("query", event.String(n.Text), least, none, flag("lenient", n.Lenient))))
	case *Wildcard:
		return object("wildcard", object(n.Field, options("value", event.String(n.Pattern.String()), flag("case_insensitive", n.Fold))))
	case *Range:
		var m []event.Member
		for _, end := range []struct {
			Bound
			closed, open string
		}{{n.Min, "gte", "gt"}, {n.Max, "lte", "lt"}} {
			if end.Value == nil {
				continue
			}
			key := end.open
			if end.Inclusive {
				key = end.closed
			}
			m = append(m, event.Member{Key: key, Value: event.String(*end.Value)})
		}
		return object("range", object(n.Field, event.Object(m...)))
	case *Exists:
		return object("exists", object("field", event.String(n.Field)))
	case *Text:
		return object("query_string", options("query", event.String(lucene.String(n.Query)), flag("analyze_wildcard", n.Analysed)))
	case *Nested:
		return object("nested", event.Object(event.Member{Key: "path", Value: event.String(n.Path)},
			event.Member{Key: "query", Value: query(n.Node)}))
	}
	panic("filter: no text of this query")
}

// options is an object of the member called key and those of more that are set.
func options(key string, v event.Value, more ...event.Member) event.Value {
	m := []event.Member{{Key: key, Value: v}}
	for _, o := range more {
		if o.Key != "" {
			m = append(m, o)
		}
	}
	return event.Object(m...)
}

// flag is the member that says true, nothing where on is not set.
func flag(key string, on bool) event.Member {
	if !on {
		return event.Member{}
	}
	return event.Member{Key: key, Value: event.Bool(true)}
}

// literal is the pattern that s alone fits.
func literal(s string) expr.Pattern { return expr.Stars(s) }
