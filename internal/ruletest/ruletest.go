// Package ruletest runs the tests that rule authors write: a file beside the rule (x.test.toml beside x.toml) with cases,
// each of which says which events come, what came earlier, and which alerts must be there in the end, or why none.
//
// A case runs on the path that a scan takes: the events are normalised and stored, detect.Compile and replay.Run do the
// rest, over store/mem. What is added here is the judgement: which expected alert is missing, which came unasked, what
// stood in the way (the clauses of the query that were false), and which clauses no event of the file ever put to the test.
//
//	found := ruletest.Find("rules/aws")
//	for _, name := range found.Files {
//		file, err := ruletest.Run(ctx, name, ruletest.Options{Fields: fields})
//		fmt.Println(file.Name, len(file.Cases), file.Failed())
//	}
//
// It prints nothing and decides no exit code; WriteJUnit writes what other programs read.
package ruletest

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/indicator"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Options says how tests run.
type Options struct {
	// Fields says what field names mean in streams of a layout.
	Fields func(ecs.Profile, []store.Stream) plan.Resolver
	// Clock measures how long cases take; nil: nobody does.
	Clock func() time.Time
}

// File is what became of one file of tests.
type File struct {
	Name string     `json:"file"`
	Rule *rule.Rule `json:"-"` // nil where it could not be read
	// Problems are what is wrong with the file or its rule; with an error among them no case ran.
	Problems diag.List `json:"problems"`
	Cases    []Case    `json:"cases"`
	// Clauses are the clauses of the rule's query, in order.
	Clauses []Clause `json:"clauses"`
}

// Case is what became of one case in one layout of events.
type Case struct {
	Name     string        `json:"name"`
	Line     int           `json:"line"`
	Profile  string        `json:"profile"`
	Took     time.Duration `json:"-"`
	Events   int           `json:"events"` // the history's among them
	Alerts   int           `json:"alerts"`
	Failures []Failure     `json:"failures"` // none: it passed
}

// Failure is one thing that came out otherwise than expected.
type Failure struct {
	Line     int      `json:"line"` // of what was expected
	Expected string   `json:"expected"`
	Came     string   `json:"came"`
	Nearest  []string `json:"nearest,omitempty"` // what stood in the way, or what fits best; for a person
}

// Clause is one comparison of the rule's query and how the file's events tried it.
type Clause struct {
	Text   string `json:"clause"`
	Line   int    `json:"line"` // in the rule's file
	Column int    `json:"column"`
	True   int    `json:"true"`  // of how many events it was true
	False  int    `json:"false"` // of how many false
	// Decided counts the events for which the whole query came out as it did because of this clause alone.
	Decided int `json:"decided"`
}

// Covered reports whether the clause was true, false, and once decided alone.
func (c Clause) Covered() bool { return c.True > 0 && c.False > 0 && c.Decided > 0 }

// Lacks says what of a clause was never tried, "" where nothing is left.
func (c Clause) Lacks() string {
	switch {
	case c.True+c.False == 0:
		return "no event tried it"
	case c.True == 0:
		return "never true"
	case c.False == 0:
		return "never false"
	case c.Decided == 0:
		return "never decided alone"
	}
	return ""
}

// Bad reports whether something is wrong with the file itself.
func (f File) Bad() bool { return f.Problems.Err() != nil }

// Failed counts the cases that did not pass.
func (f File) Failed() int {
	n := 0
	for _, c := range f.Cases {
		if len(c.Failures) > 0 {
			n++
		}
	}
	return n
}

// Covered counts the clauses that are covered.
func (f File) Covered() int {
	n := 0
	for _, c := range f.Clauses {
		if c.Covered() {
			n++
		}
	}
	return n
}

// Run runs the tests in the file called name. What is wrong with it stands in the result; the error is ctx's, or that of
// the store.
func Run(ctx context.Context, name string, opt Options) (File, error) {
	out := File{Name: name, Problems: diag.List{}, Cases: []Case{}, Clauses: []Clause{}}
	s, problems := readSuite(name)
	if len(problems) > 0 {
		out.Problems = problems
		return out, nil
	}
	r, err := rule.ReadFile(s.rule)
	if err != nil {
		out.Problems = diag.Of(err)
		return out, nil
	}
	out.Rule = r
	if r.CannotRun != "" {
		out.Problems = diag.List{{Code: codeCannotRun, File: name, Message: "the rule cannot be tested: " + r.CannotRun}}
		return out, nil
	}
	lists, problems := exception.Load(rule.Set{Exceptions: rule.ExceptionsBeside(s.rule)})
	_, unlisted := lists.Of(r)
	out.Problems = append(append(out.Problems, problems...), unlisted...)
	if out.Problems.Err() != nil {
		return out, nil
	}
	b := bench{suite: s, rule: r, lists: lists, opt: opt}
	if r.ThreatMatch != nil {
		var problems diag.List
		b.indicators, problems = indicator.Load(rule.IndicatorsBeside(s.rule))
		if out.Problems = append(out.Problems, problems...); problems.Err() != nil {
			return out, nil
		}
	}
	if b.clauses, err = clausesOf(r); err != nil {
		out.Problems = r.Locate(diag.Of(err))
		return out, nil
	}
	for _, profile := range s.profiles {
		for i := range s.cases {
			if err := ctx.Err(); err != nil {
				return out, err
			}
			c, err := b.run(ctx, &s.cases[i], profile)
			if found := diag.Of(err); len(found) > 0 {
				out.Problems, out.Cases = found, []Case{}
				return out, nil
			} else if err != nil {
				return out, fmt.Errorf("run %s:%d: %w", name, s.cases[i].line, err)
			}
			out.Cases = append(out.Cases, c)
		}
	}
	out.Clauses = b.clauses.report()
	return out, nil
}
