package duck

import (
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// anywhere is the clause of a value without a field: some leaf holds one of the needles, whatever its case. Which leaf
// matches is checked row by row.
func (w *whereWriter) anywhere(c expr.Anywhere, not bool) clause {
	needles := needlesOf(c)
	if not || len(needles) == 0 || len(needles) > maxNeedles || len(w.seg.states) > 0 {
		return anyRow
	}
	parts := []string{`contains(rest, '\u0000')`} // what JSON cannot say, in which no needle is found
	for _, needle := range needles {
		in, ok := escaped(needle)
		literal, also := quote(needle)
		if !ok || !also {
			return anyRow
		}
		inRest, _ := quote(in)
		parts = append(parts, "contains(lower(rest), "+inRest+")")
		for i, col := range w.seg.layout.columns {
			name := w.seg.layout.value(i)
			switch {
			case !col.isText():
				if couldStandIn(col.Type, needle) {
					parts = append(parts, name+" IS NOT NULL")
				}
			case col.List:
				parts = append(parts, "len(list_filter("+name+", lambda x: contains(lower(x), "+literal+"))) > 0")
			default:
				parts = append(parts, "contains(lower("+name+"), "+literal+")")
			}
		}
	}
	return clause{sql: "(" + strings.Join(parts, " OR ") + ")"}
}

// needlesOf returns texts in lower case of which every leaf that c matches holds one, in lower case too; nil where there
// are none.
func needlesOf(c expr.Anywhere) []string {
	if c.Pattern != nil {
		longest := ""
		for _, part := range c.Pattern.Parts {
			if len(part.Literal) > len(longest) {
				longest = part.Literal
			}
		}
		if longest == "" {
			return nil
		}
		return []string{strings.ToLower(longest)}
	}
	needles := []string{strings.ToLower(c.Text)} // as a keyword
	if c.Text == "" {
		return nil
	}
	if c.Analyse == nil {
		return needles
	}
	for _, t := range []event.Type{event.Text, event.PatternText} {
		tokens := expr.Tokens(t, c.Text)
		if !c.Phrase {
			needles = append(needles, tokens...)
			continue
		}
		longest := ""
		for _, token := range tokens {
			if len(token) > len(longest) {
				longest = token
			}
		}
		if longest != "" {
			needles = append(needles, longest)
		}
	}
	// A needle that holds another finds nothing that the other does not.
	var least []string
	for i, n := range needles {
		redundant := false
		for j, o := range needles {
			redundant = redundant || strings.Contains(n, o) && (n != o || j < i)
		}
		if !redundant {
			least = append(least, n)
		}
	}
	return least
}

// couldStandIn reports whether the text of a value of type t, as documents have it, can hold the needle.
func couldStandIn(t event.Type, needle string) bool {
	letters := map[event.Type]string{event.Long: "0123456789-", event.Date: "0123456789tz:.-", event.IPType: "0123456789abcdef:.",
		event.Boolean: "truefals", event.Double: "0123456789.e+-"}[t]
	return strings.Trim(needle, letters) == ""
}
