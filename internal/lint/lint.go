// Package lint looks for what is likely a mistake in a rule that is right as far as package rule can tell: windows that
// leave something out, names of fields that nothing declares, conditions that nothing fulfils, places in ATT&CK that are
// no more.
//
// Each check is a row of one table, with what it looks for, why that matters, and a rule before and after. The command
// that lists them, the documentation and the tests are made from the rows. Lint runs nothing and reads no events: what a
// field is called and how it is read is known from the resolver alone.
//
//	for _, d := range lint.Run(r, fields) { fmt.Print(d.Render()) }
//	problems := lint.Query(r, fields) // what is wrong with the query itself; errors among them keep the rule from running
package lint

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/lang/filter"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// Check is one thing that is looked for.
type Check struct {
	Code  string // LINT0101; stable
	Name  string // look-back; stable
	Title string // what is looked for, in one line
	About string // why it matters, and when it does not; Markdown
	// Severity is Warning, or Note for what is worth knowing and may well be right. A check may report less.
	Severity diag.Severity
	// Before and After are lines of a [rule] in TOML, with the mistake and without.
	Before, After string

	find func(*subject) diag.List
}

// Checks returns the checks, in the order of their codes.
func Checks() []Check { return append([]Check(nil), checks...) }

// Run returns what the checks find in r, in the order of its text. Codes are those of the checks. Fields says which fields
// are declared, and how they are read.
func Run(r *rule.Rule, fields plan.Resolver) diag.List {
	s := newSubject(r, fields)
	var out diag.List
	for _, c := range checks {
		for _, d := range c.find(s) {
			d.Code, d.Severity = c.Code, max(d.Severity, c.Severity)
			out = append(out, d)
		}
	}
	out.Sort()
	return out
}

// Query returns what is wrong with the queries and filters of r, in the order of its text: errors where one cannot be used,
// warnings where it most likely does not mean what its author thinks. Of the languages KQL, EQL and Lucene are looked at.
func Query(r *rule.Rule, fields plan.Resolver) diag.List {
	var out diag.List
	places := r.Locator()
	for _, q := range queries(r) {
		n, err := kql.Parse(q.text)
		if err != nil {
			out = append(out, places.In(q.key, diag.Of(err))...)
			continue
		}
		out = append(out, places.In(q.key, weigh(kql.Check(n, fields), fields))...)
	}
	for _, f := range filters(r) {
		n, err := f.parse(places)
		if err == nil {
			_, err = filter.Lower(n, fields, sampleTime)
		}
		if err != nil {
			out = append(out, diag.Of(err)...)
			continue
		}
		out = append(out, filter.Check(n, fields)...)
	}
	switch r.Language {
	case rule.LanguageEQL:
		out = append(out, places.In("query", eventQuery(r, fields))...)
	case rule.LanguageLucene:
		out = append(out, places.In("query", luceneQuery(r.Query, fields))...)
	}
	if m := r.ThreatMatch; m != nil && cmp.Or(m.Language, r.Language) == rule.LanguageLucene {
		out = append(out, places.In("threat_query", luceneQuery(m.Query, fields))...)
	}
	out.Sort()
	return out
}

// eventQuery is what package eql says of the query of r.
func eventQuery(r *rule.Rule, fields plan.Resolver) diag.List {
	q, err := eql.Parse(r.Query)
	if err != nil {
		return diag.Of(err)
	}
	return weigh(eql.Check(q, eql.Options{Resolver: fields, Category: r.EventCategoryOverride, Lenient: true}), fields)
}

// luceneQuery is what package lucene says of a query.
func luceneQuery(text string, fields plan.Resolver) diag.List {
	n, err := lucene.Parse(text)
	if err != nil {
		return diag.Of(err)
	}
	return weigh(lucene.Check(n, fields), fields)
}

// weigh makes a note of the warning that a field is unknown where the field may well belong to a product that fields does
// not cover: no name comes close, and none of its family is declared.
func weigh(found diag.List, fields plan.Resolver) diag.List {
	for i, d := range found {
		if slices.Contains(unknownField, d.Code) && d.Hint == "" && !knowsFamily(d.Text[d.Span.Start:d.Span.End], fields) {
			found[i].Severity = diag.Note
		}
	}
	return found
}

// unknownField are the codes of fields that nothing declares.
var unknownField = []string{kql.CodeUnknownField, eql.CodeUnknownField, lucene.CodeUnknownField}

// knowsFamily reports whether fields with the same first part are declared.
func knowsFamily(field string, fields plan.Resolver) bool {
	first, _, _ := strings.Cut(strings.Trim(field, `"`), ".")
	return len(fields.Expand(expr.Stars(first+".", ""))) > 0
}

// query is a text in KQL and the key of the rule that it stands at.
type query struct{ key, text string }

// queries are the texts in KQL that r has.
func queries(r *rule.Rule) []query {
	var out []query
	if r.Language == rule.LanguageKuery {
		out = append(out, query{"query", r.Query})
	}
	if m := r.ThreatMatch; m != nil && cmp.Or(m.Language, r.Language) == rule.LanguageKuery {
		out = append(out, query{"threat_query", m.Query})
	}
	return out
}

// filterList is the filters that stand at a key.
type filterList struct {
	key     string
	filters []event.Value
}

// filters are the lists of filters that r has.
func filters(r *rule.Rule) []filterList {
	var out []filterList
	if len(r.Filters) > 0 {
		out = append(out, filterList{"filters", r.Filters})
	}
	if m := r.ThreatMatch; m != nil && len(m.Filters) > 0 {
		out = append(out, filterList{"threat_filters", m.Filters})
	}
	return out
}

func (f filterList) parse(places *rule.Locator) (filter.Node, error) {
	return filter.Parse(f.filters, filter.Options{Name: f.key, Locate: places.Below(f.key)})
}

// sampleTime is a now for windows and queries with date math.
var sampleTime = time.Date(2026, 1, 14, 12, 34, 56, 0, time.UTC)

// subject is a rule that is being looked at.
type subject struct {
	rule    *rule.Rule
	places  *rule.Locator
	fields  plan.Resolver
	queries []parsed
}

// parsed is a query that can be used, with what package kql says of it.
type parsed struct {
	query
	node   kql.Node
	advice diag.List // in the query
}

func newSubject(r *rule.Rule, fields plan.Resolver) *subject {
	s := &subject{rule: r, places: r.Locator(), fields: fields}
	for _, q := range queries(r) {
		n, err := kql.Parse(q.text)
		if err != nil {
			continue
		}
		if advice := weigh(kql.Check(n, fields), fields); advice.Err() == nil {
			s.queries = append(s.queries, parsed{query: q, node: n, advice: advice})
		}
	}
	return s
}

// at is a finding about the value at a key of the rule; dots lead into objects. Where the rule stands in a file of its
// own, inFile is where it has what is elsewhere at key.
func (s *subject) at(key, inFile, message, hint string) diag.Diagnostic {
	if s.rule.InTOML() {
		key = inFile
	}
	d := diag.Diagnostic{Message: message, Hint: hint, File: s.rule.File}
	d.Span, d.Text = s.places.At(key)
	return d
}

// in turns findings in a query into findings in the rule's file.
func (s *subject) in(q parsed, found diag.List) diag.List {
	for i := range found {
		found[i].Text = q.text
	}
	return s.places.In(q.key, found)
}

// walk calls visit for each condition of a query with the nested path that its field names stand below (with its dot).
func walk(n kql.Node, below string, visit func(n kql.Node, below string)) {
	visit(n, below)
	switch n := n.(type) {
	case *kql.And:
		for _, sub := range n.Nodes {
			walk(sub, below, visit)
		}
	case *kql.Or:
		for _, sub := range n.Nodes {
			walk(sub, below, visit)
		}
	case *kql.Not:
		walk(n.Node, below, visit)
	case *kql.Nested:
		walk(n.Node, below+n.Path.Text()+".", visit)
	}
}

// named is a field that a rule names outside of its query.
type named struct{ key, inFile, field string }
