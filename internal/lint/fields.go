package lint

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/filter"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
)

// grouping are the fields whose whole values the rule groups or compares events by.
func (s *subject) grouping() []named {
	var out []named
	several := func(key, inFile string, fields []string) {
		for i, f := range fields {
			n := "." + strconv.Itoa(i)
			out = append(out, named{key + n, inFile + n, f})
		}
	}
	r := s.rule
	several("new_terms_fields", "new_terms.value", r.NewTermsFields)
	if t := r.Threshold; t != nil {
		several("threshold.field", "threshold.field", t.Fields)
		for i, c := range t.Cardinality {
			key := fmt.Sprintf("threshold.cardinality.%d.field", i)
			out = append(out, named{key, key, c.Field})
		}
	}
	if t := r.Suppression; t != nil && r.Language == "kuery" {
		several("alert_suppression.group_by", "alert_suppression.group_by", t.GroupBy)
	}
	return out
}

// read are the fields that the rule reads besides those.
func (s *subject) read() []named {
	var out []named
	r := s.rule
	one := func(key, field string) {
		if field != "" {
			out = append(out, named{key, key, field})
		}
	}
	one("timestamp_override", r.TimestampOverride)
	one("rule_name_override", r.RuleNameOverride)
	for i, m := range r.SeverityMapping {
		one(fmt.Sprintf("severity_mapping.%d.field", i), m.Field)
	}
	for i, m := range r.RiskScoreMapping {
		one(fmt.Sprintf("risk_score_mapping.%d.field", i), m.Field)
	}
	return out
}

func unknownFields(s *subject) diag.List {
	var out diag.List
	for _, q := range s.queries {
		var found diag.List
		for _, d := range q.advice {
			if d.Code == kql.CodeUnknownField {
				found = append(found, d)
			}
		}
		out = append(out, s.in(q, found)...)
	}
	for _, f := range filters(s.rule) {
		if n, err := f.parse(s.places); err == nil {
			for _, d := range filter.Check(n, s.fields) {
				if d.Code == filter.CodeUnknownField {
					d.Severity = diag.Note // it does not say which field: a family cannot be told
					out = append(out, d)
				}
			}
		}
	}
	for _, n := range append(s.grouping(), s.read()...) {
		if _, ok := s.fields.Field(n.field); ok || strings.HasPrefix(n.field, "Esql.") {
			continue
		}
		d := s.at(n.key, n.inFile, fmt.Sprintf("no field is called %s", n.field), "")
		if near, ok := diag.Nearest(n.field, s.known()); ok {
			d.Hint = fmt.Sprintf("did you mean %s?", near)
		} else if !knowsFamily(n.field, s.fields) {
			d.Severity = diag.Note
		}
		out = append(out, d)
	}
	return out
}

// known are the names of all declared fields.
func (s *subject) known() []string {
	var out []string
	for _, f := range s.fields.Expand(expr.Stars("", "")) {
		out = append(out, f.Path)
	}
	return out
}

func analysedFields(s *subject) diag.List {
	var out diag.List
	for _, q := range s.queries {
		var found diag.List
		told := map[string]bool{}
		walk(q.node, "", func(n kql.Node, below string) {
			is, ok := n.(*kql.Is)
			if !ok || is.Field == nil || is.Field.Wildcard() || is.Value.Exists() {
				return
			}
			path := below + is.Field.Text()
			f, _ := s.fields.Field(path)
			if f.Type.IsText() && !told[path] {
				told[path] = true
				found = append(found, diag.Diagnostic{Span: is.Field.At, Hint: s.whole(path, f),
					Message: fmt.Sprintf("%s is analysed: a value fits if it holds the words, in any case of letters", path)})
			}
		})
		out = append(out, s.in(q, found)...)
	}
	for _, n := range s.grouping() {
		if f, _ := s.fields.Field(n.field); f.Type.IsText() {
			out = append(out, s.at(n.key, n.inFile, fmt.Sprintf("%s is analysed: its whole values cannot be told apart", n.field), s.whole(n.field, f)))
		}
	}
	return out
}

// whole names the field that holds the whole values of an analysed one.
func (s *subject) whole(path string, f expr.Field) string {
	if f.Path != path {
		return "name " + f.Path + " for whole values"
	}
	return ""
}

func leadingWildcards(s *subject) diag.List {
	var out diag.List
	for _, q := range s.queries {
		var found diag.List
		walk(q.node, "", func(n kql.Node, below string) {
			is, ok := n.(*kql.Is)
			if ok && is.Value.Wildcard() && !is.Value.Exists() && is.Value.Parts[0] == "" {
				found = append(found, diag.Diagnostic{Span: is.Value.At,
					Message: "a pattern that begins with * is compared with every value of the field",
					Hint:    "begin with the part that is known, or name a field that holds it alone"})
			}
		})
		out = append(out, s.in(q, found)...)
	}
	return out
}

// habits are the warnings of package kql that no other check reports.
func habits(s *subject) diag.List {
	var out diag.List
	for _, q := range s.queries {
		var found diag.List
		for _, d := range q.advice {
			if d.Code != kql.CodeUnknownField && d.Code != kql.CodeNeverTrue {
				found = append(found, d)
			}
		}
		out = append(out, s.in(q, found)...)
	}
	for _, f := range filters(s.rule) {
		if n, err := f.parse(s.places); err == nil {
			for _, d := range filter.Check(n, s.fields) {
				if d.Code != filter.CodeUnknownField {
					out = append(out, d)
				}
			}
		}
	}
	return out
}

// single reports whether documents hold at most one value of the field, as far as is declared.
func single(f expr.Field) bool {
	declared, ok := ecs.Lookup(f.Path)
	return ok && !declared.List && declared.Type != event.Nested && !inside(f.Path)
}

// inside reports whether path lies in a list of objects.
func inside(path string) bool {
	for i := range path {
		if path[i] == '.' {
			if parent, ok := ecs.Lookup(path[:i]); ok && (parent.List || parent.Type == event.Nested) {
				return true
			}
		}
	}
	return false
}
