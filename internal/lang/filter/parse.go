package filter

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// The codes of what Parse refuses.
const (
	CodeKind        = "FLT0101" // a value of another kind than can stand there
	CodeUnknownKey  = "FLT0102" // a key that means nothing there
	CodeUnsupported = "FLT0103" // a query, or a form of one, that cannot be applied
	CodeNoQuery     = "FLT0104" // no query, or several where one stands
	CodeMissing     = "FLT0105" // something that must be there
	CodeBadValue    = "FLT0106" // a value that cannot stand there
	CodeTooDeep     = "FLT0107" // more than MaxDepth queries inside each other
	CodeTooMany     = "FLT0108" // more than MaxQueries queries or values, or a minimum with too many ways to be met
)

// MaxDepth is how many queries may stand inside each other, MaxQueries how many queries and values filters may hold.
const (
	MaxDepth   = 100
	MaxQueries = 100_000
)

// Parse reads filters, which must all hold. Without any it returns *All. The error is a diag.List of everything that
// cannot be read.
func Parse(filters []event.Value, o Options) (Node, error) {
	p := &parser{}
	root := Place{root: &o}
	all := &Bool{At: root}
	for i, f := range filters {
		p.filter(item{f, root.element(i)}, 0, all)
	}
	if err := p.found.Err(); err != nil {
		return nil, err
	}
	return joined(all), nil
}

// joined is a Bool without what it does not need.
func joined(b *Bool) Node {
	if len(b.MustNot) == 0 && len(b.Should) == 0 && b.Least == 0 {
		switch len(b.Must) {
		case 0:
			return &All{At: b.At}
		case 1:
			return b.Must[0]
		}
	}
	return b
}

type parser struct {
	found   diag.List
	queries int
	full    bool
}

// refuse notes a mistake at a place and returns a query in its place.
func (p *parser) refuse(at Place, code, hint, format string, args ...any) Node {
	p.found = append(p.found, at.diagnostic(diag.Diagnostic{Code: code, Message: fmt.Sprintf(format, args...), Hint: hint}))
	return &None{At: at}
}

// spend counts n queries or values; false once there are too many.
func (p *parser) spend(n int, at Place) bool {
	p.queries += n
	if p.queries > MaxQueries && !p.full {
		p.full = true
		p.refuse(at, CodeTooMany, "", "more than %d queries and values", MaxQueries)
	}
	return !p.full
}

// object reports whether v is an object, and notes a mistake where it is none.
func (p *parser) object(v item) bool {
	if v.Kind() != event.KindObject {
		p.refuse(v.at, CodeKind, "", "an object must stand here, not %s", v.kind())
		return false
	}
	return true
}

// filter adds the query of a filter to into, below Must or below MustNot.
func (p *parser) filter(v item, depth int, into *Bool) {
	if !p.object(v) {
		return
	}
	meta, hasMeta := v.member("meta")
	if hasMeta && !p.object(meta) {
		return
	}
	disabled, ok := p.flag(meta, "disabled")
	negate, alsoOK := p.flag(meta, "negate")
	if !ok || !alsoOK || disabled {
		return
	}
	n := p.body(v, meta, depth)
	if negate {
		into.MustNot = append(into.MustNot, n)
	} else {
		into.Must = append(into.Must, n)
	}
}

// flag reads a boolean of v, false where it is missing or null; ok is false where it is something else.
func (p *parser) flag(v item, key string) (value, ok bool) {
	m, given := v.member(key)
	if !given || m.IsNull() {
		return false, true
	}
	if m.Kind() != event.KindBool {
		p.refuse(m.at, CodeKind, "write true or false", "a boolean must stand here, not %s", m.kind())
		return false, false
	}
	return m.Bool(), true
}

// body reads what a filter asks.
func (p *parser) body(v, meta item, depth int) Node {
	kind, _ := meta.member("type")
	if kind.Str() == "combined" {
		return p.combined(meta, depth)
	}
	var rest []event.Member
	for _, m := range v.Members() {
		if m.Key != "meta" && m.Key != "$state" {
			rest = append(rest, m)
		}
	}
	if len(rest) == 1 && rest[0].Key == "query" {
		q := item{rest[0].Value, v.at.key("query")}
		if empty := q.Kind() == event.KindObject && len(q.Members()) == 0; !empty && !q.IsNull() {
			return p.query(q, depth)
		}
		rest = nil
	}
	switch {
	case len(rest) == 0:
		return p.described(meta, kind.Str())
	case len(rest) > 1:
		var keys []string
		for _, m := range rest {
			keys = append(keys, m.Key)
		}
		return p.refuse(v.at, CodeNoQuery, "", "a filter holds one query beside meta and $state, not %s", strings.Join(keys, ", "))
	}
	return p.query(item{event.Object(rest...), v.at}, depth) // the old form: the query's key itself
}

// described reads the query that meta describes.
func (p *parser) described(meta item, kind string) Node {
	key, hasKey := meta.member("key")
	params, hasParams := meta.member("params")
	field := key.Str()
	value := params
	if params.Kind() == event.KindObject {
		value, hasParams = params.member("query")
	}
	if !hasParams || value.IsNull() {
		value, hasParams = meta.member("value")
	}
	switch kind {
	case "phrase", "phrases", "range", "exists":
		if !hasKey || field == "" {
			return p.refuse(meta.at, CodeMissing, "", "there is no query, and meta.key names no field")
		}
	default:
		return p.refuse(meta.at, CodeNoQuery, "", "there is no query, and meta describes none (types phrase, phrases, range, exists)")
	}
	switch {
	case kind == "exists":
		return &Exists{Field: field, At: meta.at}
	case kind == "phrase" && hasParams:
		text, _ := p.text(value)
		return &Match{Field: field, Text: text, Phrase: true, At: value.at}
	case kind == "phrases" && params.Kind() == event.KindList:
		b := &Bool{Least: 1, At: params.at}
		for _, v := range params.each() {
			text, _ := p.text(v)
			b.Should = append(b.Should, &Match{Field: field, Text: text, Phrase: true, At: v.at})
		}
		if p.spend(len(b.Should), meta.at) && len(b.Should) > 0 {
			return b
		}
	case kind == "range" && params.Kind() == event.KindObject:
		return p.rangeOf(field, params)
	}
	return p.refuse(meta.at, CodeMissing, "", "there is no query, and meta.params holds no value for the type %s", kind)
}

// combined joins the filters of meta.params.
func (p *parser) combined(meta item, depth int) Node {
	params, _ := meta.member("params")
	relation, _ := meta.member("relation")
	if params.Kind() != event.KindList {
		return p.refuse(params.at, CodeKind, "", "a list of filters must stand here, not %s", params.kind())
	}
	if depth >= MaxDepth {
		return p.refuse(meta.at, CodeTooDeep, "", "more than %d queries inside each other", MaxDepth)
	}
	all := &Bool{At: params.at}
	switch {
	case !p.spend(len(params.Items()), meta.at):
	case relation.Str() == "AND":
		for _, f := range params.each() {
			p.filter(f, depth+1, all)
		}
	case relation.Str() == "OR":
		for _, f := range params.each() {
			one := &Bool{At: f.at}
			if p.filter(f, depth+1, one); len(one.Must)+len(one.MustNot) > 0 {
				all.Should = append(all.Should, joined(one))
			}
		}
		all.Least = min(1, len(all.Should))
	default:
		return p.refuse(relation.at, CodeBadValue, "", "a relation is AND or OR")
	}
	return joined(all)
}

// refusals say why a query that exists elsewhere is not applied.
var refusals = map[string]string{
	"script":              "scripts are not run",
	"script_score":        "scripts are not run",
	"ids":                 "the ID of a document cannot be asked",
	"simple_query_string": "write it as KQL in the rule's query",
	"regexp":              "write it as a wildcard",
	"fuzzy":               "write the values out with terms",
	"match_phrase_prefix": "write match_phrase, or a wildcard on a keyword field",
	"match_bool_prefix":   "write match, or a wildcard on a keyword field",
	"function_score":      "write the query within it: scores do not matter to a rule",
}

// query reads one query of the DSL.
func (p *parser) query(v item, depth int) Node {
	if !p.object(v) {
		return &None{At: v.at}
	}
	name, body, ok := v.only()
	switch {
	case !ok && len(v.Members()) == 0:
		return p.refuse(v.at, CodeNoQuery, "write match_all for every event", "an empty query")
	case !ok:
		return p.refuse(v.at, CodeNoQuery, "join them with bool", "%d queries where one must stand", len(v.Members()))
	case depth >= MaxDepth:
		return p.refuse(body.at, CodeTooDeep, "", "more than %d queries inside each other", MaxDepth)
	case !p.spend(1, v.at):
		return &None{At: v.at}
	}
	switch name {
	case "match_all", "match_none":
		if !p.object(body) || !p.only(body) {
			return &None{At: body.at}
		}
		if name == "match_all" {
			return &All{At: body.at}
		}
		return &None{At: body.at}
	case "bool":
		return p.boolean(body, depth)
	case "constant_score", "dis_max", "nested":
		return p.wrapped(name, body, depth)
	case "term", "terms", "match", "match_phrase", "wildcard", "prefix", "range":
		return p.onField(name, body)
	case "multi_match":
		return p.multiMatch(body)
	case "query_string":
		return p.queryString(body)
	case "exists":
		if !p.object(body) || !p.only(body, "field") {
			return &None{At: body.at}
		}
		field, _ := p.name(body, "field")
		return &Exists{Field: field, At: body.at}
	}
	if why, known := refusals[name]; known {
		return p.refuse(body.at, CodeUnsupported, why, "a query %s cannot be applied", name)
	}
	hint := ""
	if near, ok := diag.Nearest(name, queries); ok {
		hint = "did you mean " + near + "?"
	}
	return p.refuse(body.at, CodeUnsupported, hint, "a query %q is not known", name)
}

// queries are the names of the queries that can be applied.
var queries = []string{"match_all", "match_none", "bool", "constant_score", "dis_max", "nested", "term", "terms", "match",
	"match_phrase", "multi_match", "wildcard", "prefix", "range", "exists", "query_string"}

// idle are the keys that any query may have and that do not change what it finds.
var idle = []string{"boost", "_name"}

// only reports whether v has no other keys than these and idle ones, and notes those that it has.
func (p *parser) only(v item, keys ...string) bool {
	ok := true
	for _, m := range v.Members() {
		if !slices.Contains(keys, m.Key) && !slices.Contains(idle, m.Key) {
			p.refuse(v.at.key(m.Key), CodeUnknownKey, "", "the key %q is not known here", m.Key)
			ok = false
		}
	}
	return ok
}

// name reads a text that must be there, such as a field's name.
func (p *parser) name(v item, key string) (string, bool) {
	m, given := v.member(key)
	if !given || m.Kind() != event.KindString || m.Str() == "" {
		p.refuse(m.at, CodeMissing, "", "a name must stand here, not %s", m.kind())
		return "", false
	}
	return m.Str(), true
}

// text reads a scalar as a text.
func (p *parser) text(v item) (string, bool) {
	switch v.Kind() {
	case event.KindNull:
		p.refuse(v.at, CodeBadValue, "ask with exists for a field without a value", "null is no value that can be searched")
		return "", false
	case event.KindList, event.KindObject:
		p.refuse(v.at, CodeKind, "", "one value must stand here, not %s", v.kind())
		return "", false
	case event.KindFloat:
		return event.Float(v.Float()).Text(), true
	}
	return v.Text(), true
}

// clauses reads a list of queries, or one.
func (p *parser) clauses(v item, key string, depth int) []Node {
	m, given := v.member(key)
	switch {
	case !given || m.IsNull():
		return nil
	case m.Kind() != event.KindList:
		return []Node{p.query(m, depth)}
	}
	out := make([]Node, 0, len(m.Items()))
	for _, q := range m.each() {
		if p.full {
			break
		}
		out = append(out, p.query(q, depth))
	}
	return out
}

func (p *parser) boolean(v item, depth int) Node {
	if !p.object(v) || !p.only(v, "must", "filter", "should", "must_not", "minimum_should_match", "adjust_pure_negative") {
		return &None{At: v.at}
	}
	b := &Bool{At: v.at}
	b.Must = append(p.clauses(v, "must", depth+1), p.clauses(v, "filter", depth+1)...)
	b.Should = p.clauses(v, "should", depth+1)
	b.MustNot = p.clauses(v, "must_not", depth+1)
	if len(b.Must)+len(b.Should)+len(b.MustNot) == 0 {
		return &All{At: v.at}
	}
	if m, given := v.member("minimum_should_match"); given && !m.IsNull() {
		spec, ok := p.minimum(m)
		if !ok {
			return &None{At: v.at}
		}
		b.Least = least(spec, len(b.Should))
	}
	if len(b.Should) > 0 && len(b.Must) == 0 {
		b.Least = max(b.Least, 1)
	}
	return joined(b)
}

// wrapped reads a query that stands around others.
func (p *parser) wrapped(name string, v item, depth int) Node {
	if !p.object(v) {
		return &None{At: v.at}
	}
	switch name {
	case "dis_max":
		if !p.only(v, "queries", "tie_breaker") {
			return &None{At: v.at}
		}
		b := &Bool{Should: p.clauses(v, "queries", depth+1), Least: 1, At: v.at}
		if len(b.Should) == 0 {
			return p.refuse(v.at, CodeMissing, "", "dis_max has no queries")
		}
		return b
	case "constant_score":
		if !p.only(v, "filter") {
			return &None{At: v.at}
		}
		inner, _ := v.member("filter")
		return p.query(inner, depth+1)
	}
	if !p.only(v, "path", "query", "score_mode", "ignore_unmapped", "inner_hits") {
		return &None{At: v.at}
	}
	path, ok := p.name(v, "path")
	inner, _ := v.member("query")
	n := p.query(inner, depth+1)
	if !ok {
		return n
	}
	return &Nested{Path: path, Node: n, At: v.at}
}
