package cli

import (
	"fmt"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// reading is a query as it is understood.
type reading struct {
	lines    []string // as it is printed, a clause or a stage a line
	parts    []readPart
	keys     []expr.Field // by which the events of a sequence or sample belong together
	sequence *eql.Stages
}

// readPart is a condition that a run asks of events.
type readPart struct {
	name string
	cond expr.Cond
}

// read reads the query of r; nil where it has none that can be used.
func read(r *rule.Rule, fields plan.Resolver) *reading {
	switch r.Language {
	case rule.LanguageKuery:
		if r.Type == rule.TypeMachineLearning {
			return nil
		}
		n, err := kql.Parse(r.Query)
		if err != nil {
			return nil
		}
		out := &reading{lines: kqlLines(n)}
		if cond, err := kql.Lower(n, kql.Options{Resolver: fields, Now: sampleTime}); err == nil {
			out.parts = []readPart{{"query", cond}}
		}
		return out
	case rule.LanguageLucene:
		n, err := lucene.Parse(r.Query)
		if err != nil {
			return nil
		}
		out := &reading{lines: luceneLines(n)}
		if cond, err := lucene.Lower(n, lucene.Options{Resolver: fields, Now: sampleTime}); err == nil {
			out.parts = []readPart{{"query", cond}}
		}
		return out
	case rule.LanguageEQL:
		return readEQL(r, fields)
	}
	return nil
}

func kqlLines(n kql.Node) []string {
	and, ok := n.(*kql.And)
	if !ok {
		return []string{kql.String(n)}
	}
	var out []string
	for i, n := range and.Nodes {
		line := kql.String(n)
		if _, alternatives := n.(*kql.Or); alternatives && strings.Contains(line, " or ") && !strings.HasSuffix(line, ")") {
			line = "(" + line + ")"
		}
		if i > 0 {
			line = "and " + line
		}
		out = append(out, line)
	}
	return out
}

// luceneLines are the clauses of n, where they are all required or prohibited.
func luceneLines(n lucene.Node) []string {
	b, ok := n.(*lucene.Bool)
	if !ok || len(b.Clauses) == 1 {
		return []string{lucene.String(n)}
	}
	var out []string
	for i, c := range b.Clauses {
		if c.Occur == lucene.Should {
			return []string{lucene.String(n)}
		}
		line := lucene.String(c.Node)
		if _, joined := c.Node.(*lucene.Bool); joined {
			line = "(" + line + ")"
		}
		if c.Occur == lucene.MustNot {
			line = "NOT " + line
		}
		if i > 0 {
			line = "AND " + line
		}
		out = append(out, line)
	}
	return out
}

func readEQL(r *rule.Rule, fields plan.Resolver) *reading {
	q, err := eql.Parse(r.Query)
	if err != nil {
		return nil
	}
	p, err := eql.Lower(q, eql.Options{Resolver: fields, Category: r.EventCategoryOverride, Lenient: true})
	if err != nil {
		return nil
	}
	out := &reading{}
	var terms []*eql.Term
	var until *eql.Term
	stages := p.Sequence
	switch n := q.Body.(type) {
	case *eql.Sequence:
		terms, until, out.sequence = n.Terms, n.Until, p.Sequence
		out.lines = []string{fmt.Sprintf("%s in this order%s", counted(int64(len(terms)), "event"), sharing(n.By))}
	case *eql.Sample:
		terms, stages = n.Terms, p.Sample
		out.lines = []string{fmt.Sprintf("%s in any order%s", counted(int64(len(terms)), "event"), sharing(n.By))}
	default:
		out.lines = eventLines(q)
		out.parts = []readPart{{"query", p.Events}}
		return out
	}
	for i, t := range terms {
		number := fmt.Sprint(i + 1)
		if t.Missing {
			number += ", absent"
		}
		out.lines = append(out.lines, fmt.Sprintf("%s: %s", number, eql.StringTerm(t)))
		out.stage("event "+fmt.Sprint(i+1), stages.Stages[i])
	}
	if until != nil {
		out.lines = append(out.lines, "until: "+eql.StringTerm(until))
		out.stage("until", *stages.Until)
	}
	for _, pipe := range q.Pipes {
		word := "the first"
		if pipe.Tail {
			word = "the last"
		}
		out.lines = append(out.lines, fmt.Sprintf("%s %d of them", word, pipe.N))
	}
	return out
}

// stage notes what a stage reads.
func (r *reading) stage(name string, s eql.Stage) {
	r.parts = append(r.parts, readPart{name, s.Cond})
	for _, k := range s.Keys {
		if !k.Absent {
			r.keys = append(r.keys, k.Field)
		}
	}
}

// sharing says by what the events of a sequence belong together.
func sharing(by []*eql.Field) string {
	var names []string
	for _, f := range by {
		names = append(names, eql.StringExpr(f))
	}
	if len(names) == 0 {
		return ""
	}
	return ", with the same " + strings.Join(names, ", ")
}

// eventLines are the clauses of a query for single events.
func eventLines(q *eql.Query) []string {
	events := q.Body.(*eql.Events)
	and, ok := events.Where.(*eql.And)
	if ok {
		_, alternatives := and.Exprs[0].(*eql.Or)
		ok = !alternatives && len(q.Pipes) == 0
	}
	if !ok {
		return []string{eql.String(q)}
	}
	whole := *events
	whole.Where = and.Exprs[0]
	out := []string{eql.String(&eql.Query{Body: &whole})}
	for _, e := range and.Exprs[1:] {
		line := eql.StringExpr(e)
		if _, alternatives := e.(*eql.Or); alternatives {
			line = "(" + line + ")"
		}
		out = append(out, "and "+line)
	}
	return out
}

// span says whether the windows of a rule hold the sequences that it looks for.
func (p *portrait) span() []string {
	if p.query == nil || p.query.sequence == nil {
		return nil
	}
	s := p.query.sequence
	if s.MaxSpan == 0 {
		return []string{"a sequence may last as long as a window: its events are found if one window holds them all"}
	}
	out := []string{fmt.Sprintf("a sequence lasts %s at most (maxspan)", inWords(s.MaxSpan))}
	for _, d := range p.problems {
		if d.Code == detect.CodeNever || d.Code == detect.CodeLookBack {
			return append(out, d.Message, d.Hint)
		}
	}
	if w, every, ok := p.sample(); ok {
		out = append(out, fmt.Sprintf("windows of %s every %s: one of them holds each sequence whole", inWords(w.To.Sub(w.From)), inWords(every)))
	}
	return out
}
