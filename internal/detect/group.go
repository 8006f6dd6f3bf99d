package detect

import (
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// grouping is how a rule groups what it finds: a threshold rule to count it, another one to fold it into one alert.
type grouping struct {
	fields []groupField
	// folds says that alerts are folded: those of one group within lasts after the first, or, where lasts is 0, of one run.
	folds bool
	lasts time.Duration
	// alone says that what lacks one of the fields is never folded.
	alone bool
	// whole says that a list is one value, not each of its elements; single that a value that is no list stays none.
	whole, single bool
	// different is what a threshold rule asks different values of; its Path is "" where it does not.
	different expr.Field
}

type groupField struct {
	expr.Field
	name string
	none bool // no event has a value there
}

// maxGroups bounds the groups that one event is in; an event with more is an error, never a silent cut.
const maxGroups = 10_000

// group reads how the rule groups. What keeps it from running goes to bad.
func (p *Program) group(resolver plan.Resolver, bad func(code, hint, format string, args ...any)) {
	var names []string
	key := "alert_suppression.group_by"
	if s := p.Rule.Suppression; s != nil {
		names = s.GroupBy
		p.by.folds, p.by.alone = true, s.MissingFields == "doNotSuppress"
		p.by.lasts = time.Duration(s.Value) * map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[s.Unit]
	}
	p.by.whole = p.Rule.Type == rule.TypeNewTerms || p.Rule.Type == rule.TypeEQL || p.Rule.Type == rule.TypeThreatMatch
	p.by.single = p.eql != nil && p.eql.Events == nil
	field := func(key, name string) groupField {
		f, _ := resolver.Field(name)
		if f.Type.IsText() && !p.by.whole {
			bad(CodeNoTerms, "name a keyword field that holds the whole value", "%s: %s is analysed text, whose words are no terms", key, name)
		}
		return groupField{Field: f, name: name, none: hidden(f, resolver)}
	}
	if t := p.Rule.Threshold; t != nil {
		key, names = "threshold.field", t.Fields
		if len(t.Cardinality) > 0 { // only the first counts (rule-execution.md §3.1)
			f := field("threshold.cardinality", t.Cardinality[0].Field)
			if p.by.different = f.Field; f.none && t.Cardinality[0].Value > 0 {
				p.fixed, p.lower = expr.Const{Value: false}, nil
			}
		}
	}
	for _, name := range names {
		f := field(key, name)
		if f.none && p.Rule.Threshold != nil {
			p.fixed, p.lower = expr.Const{Value: false}, nil
		}
		p.by.fields = append(p.by.fields, f)
	}
}

// groups reports whether the rule groups what it finds.
func (p *Program) groups() bool { return p.by.folds || p.Rule.Threshold != nil }

// Folds reports whether Run needs Alerted to know what was folded into the alerts (LoadFolds).
func (p *Program) Folds() bool { return p.by.folds }

// paths are the paths that groups are read from.
func (g *grouping) paths() []string {
	var out []string
	for _, f := range g.fields {
		out = append(out, f.Path)
	}
	if g.different.Path != "" {
		out = append(out, g.different.Path)
	}
	return out
}

// of returns the groups that e is in; none where it lacks a field and is therefore not to be folded.
func (g *grouping) of(e *event.Event) ([][]alert.Term, error) {
	out := [][]alert.Term{make([]alert.Term, 0, len(g.fields))}
	for _, f := range g.fields {
		var values []event.Value
		if !f.none {
			values = expr.Read(f.Field, e)
		}
		switch {
		case len(values) == 0 && g.alone:
			return nil, nil
		case len(values) == 0:
			values = []event.Value{event.Null()}
		case g.single && e.Get(f.Path).Kind() != event.KindList:
		case g.whole:
			slices.SortFunc(values, event.Compare)
			values = []event.Value{event.List(values...)}
		default:
			slices.SortFunc(values, event.Compare)
			values = slices.CompactFunc(values, func(a, b event.Value) bool { return event.Compare(a, b) == 0 })
		}
		var next [][]alert.Term
		for _, terms := range out {
			for _, v := range values {
				next = append(next, append(slices.Clone(terms), alert.Term{Field: f.name, Value: v}))
				if len(next) > maxGroups {
					return nil, fmt.Errorf("event %s has more than %d combinations of the fields that alerts are folded by", e.ID, maxGroups)
				}
			}
		}
		out = next
	}
	return out, nil
}

// keyOf tells terms of the same fields apart.
func keyOf(terms []alert.Term) string {
	var key []byte
	for _, t := range terms {
		key = append(t.Value.AppendJSON(key), '\n')
	}
	return string(key)
}

func (p *Program) groupID(terms []alert.Term) string {
	return alert.GroupID(Space, p.uuid, terms)
}
