package filter

import (
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
)

// spoken are the options of a query_string that mean something, each with the values that it may have: those that it has
// anyway.
var spoken = map[string][]string{
	"default_field":          {"*"},
	"default_operator":       {"or", "OR"},
	"time_zone":              {"Zulu", "Z", "UTC", "+00:00"},
	"allow_leading_wildcard": {"true"},
	"lenient":                {"true"},
}

// queryString reads a query in Lucene's language.
func (p *parser) queryString(v item) Node {
	if !p.object(v) || !p.only(v, "query", "analyze_wildcard", "default_field", "default_operator", "time_zone", "allow_leading_wildcard", "lenient") {
		return &None{At: v.at}
	}
	for _, m := range v.Members() {
		if may, ok := spoken[m.Key]; ok && !slices.Contains(may, m.Value.Text()) {
			return p.refuse(v.at.key(m.Key), CodeBadValue, "leave it out", "%s can be %s alone", m.Key, strings.Join(may, " or "))
		}
	}
	analysed, ok := p.flag(v, "analyze_wildcard")
	text, given := v.member("query")
	switch {
	case !ok:
		return &None{At: v.at}
	case !given || text.Kind() != event.KindString || strings.TrimSpace(text.Str()) == "":
		return p.refuse(text.at, CodeMissing, "", "a query must stand here, not %s", text.kind())
	}
	n, err := lucene.Parse(text.Str())
	if err != nil {
		d := diag.Of(err)[0]
		return p.refuse(text.at, d.Code, d.Hint, "%s", d.Message)
	}
	return &Text{Query: n, Analysed: analysed, At: text.at}
}
