package explain

import (
	"context"
	"fmt"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// maxCounted bounds the clauses that are counted: each takes a few queries.
const maxCounted = 64

// clauses counts how often each clause of the rule was not true.
func (s *spanRun) clauses(ctx context.Context, read int64) error {
	parts, err := clausesOf(s.Question, s.now)
	if err != nil {
		return err
	}
	if parts.query == nil {
		return s.stageCounts(ctx, parts)
	}
	var list []*clause
	for _, c := range []*clause{parts.query, parts.filters} {
		switch {
		case c == nil:
		case c.join == joinAnd:
			list = append(list, flat(c)...)
		default:
			list = append(list, c)
		}
	}
	for i, c := range list {
		if len(s.answer.Clauses) >= maxCounted {
			s.answer.Notes = append(s.answer.Notes, fmt.Sprintf("%s are not counted", counted(int64(len(list)-i), "more clause")))
			break
		}
		if err := s.clause(ctx, list, i, read, 0); err != nil {
			return err
		}
		if c.join != joinOr || len(s.answer.Clauses)+len(c.subs) > maxCounted {
			continue
		}
		for _, sub := range c.subs {
			row := ClauseCount{Text: clip(sub.words(), maxClause), Depth: 1}
			if row.Fails, row.Missing, err = s.fails(ctx, sub.cond, read); err != nil {
				return err
			}
			s.answer.Clauses = append(s.answer.Clauses, row)
		}
	}
	return nil
}

// flat are the parts of a conjunction.
func flat(c *clause) []*clause {
	var out []*clause
	for _, sub := range c.subs {
		if sub.join == joinAnd {
			out = append(out, flat(sub)...)
		} else {
			out = append(out, sub)
		}
	}
	return out
}

// words is a clause with its parts on one line.
func (c *clause) words() string {
	switch c.join {
	case "":
		return c.text
	case joinNot:
		return "not " + c.subs[0].words()
	}
	parts := make([]string, len(c.subs))
	for i, sub := range c.subs {
		parts[i] = sub.words()
	}
	return "(" + strings.Join(parts, " "+c.join+" ") + ")"
}

// clause counts the clause i of list, whose clauses must all hold.
func (s *spanRun) clause(ctx context.Context, list []*clause, i int, read int64, depth int) error {
	c := list[i]
	row := ClauseCount{Text: clip(c.words(), maxClause), Depth: depth, Ranked: true}
	var err error
	if row.Fails, row.Missing, err = s.fails(ctx, c.cond, read); err != nil {
		return err
	}
	if row.Fails > 0 {
		var before, others []expr.Cond
		for k, other := range list {
			if k < i {
				before = append(before, other.cond)
			}
			if k != i {
				others = append(others, other.cond)
			}
		}
		untrue := expr.Not{Cond: expr.Holds{Cond: c.cond}}
		if row.First, err = s.count(ctx, append(before, untrue)...); err != nil {
			return err
		}
		if row.Alone, err = s.count(ctx, append(others, untrue)...); err != nil {
			return err
		}
	}
	s.answer.Clauses = append(s.answer.Clauses, row)
	return nil
}

// fails counts the events of which cond is not true, and those that have none of its fields.
func (s *spanRun) fails(ctx context.Context, cond expr.Cond, read int64) (fails, missing int64, err error) {
	holds, err := s.count(ctx, cond)
	if err != nil || holds == read {
		return 0, 0, err
	}
	var there []expr.Cond
	whole := false
	expr.Walk(cond, func(f expr.Field) {
		if len(there) < maxParts {
			there = append(there, expr.Exists{Field: f})
		}
	}, func() { whole = true })
	if len(there) > 0 && len(there) < maxParts && !whole {
		missing, err = s.count(ctx, expr.Not{Cond: expr.Some(there...)}, expr.Not{Cond: expr.Holds{Cond: cond}})
	}
	return read - holds, missing, err
}

// stageCounts counts how many events each stage of a sequence takes.
func (s *spanRun) stageCounts(ctx context.Context, parts *clauses) error {
	stages, until, _ := s.Program.Stages()
	read, err := s.count(ctx)
	if err != nil {
		return err
	}
	for i, c := range parts.stages {
		name := fmt.Sprintf("stage %d", i+1)
		switch {
		case until && i == len(parts.stages)-1:
			name = "until"
		case stages[i].Missing:
			name += ", missing"
		}
		row := ClauseCount{Text: clip(name+": "+c.words(), maxClause)}
		if row.Fails, row.Missing, err = s.fails(ctx, stages[i].Cond, read); err != nil {
			return err
		}
		s.answer.Clauses = append(s.answer.Clauses, row)
		if row.Fails == 0 || c.join != joinAnd {
			continue
		}
		list := flat(c)
		if len(s.answer.Clauses)+len(list) > maxCounted {
			s.answer.Notes = append(s.answer.Notes, fmt.Sprintf("the clauses of %s are not counted one by one", name))
			continue
		}
		for k := range list {
			if err := s.clause(ctx, list, k, read, 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// exceptions counts what each exception hides of what the query finds.
func (s *spanRun) exceptions(ctx context.Context) error {
	var err error
	asked := 0
	s.Program.Exceptions(s.now, func(item *exception.Item, hides expr.Cond) {
		if asked++; err != nil || asked > maxCounted {
			return
		}
		var n int64
		if n, err = s.count(ctx, s.query, hides); n > 0 {
			s.answer.Exceptions = append(s.answer.Exceptions, ExceptionCount{item.Name, n})
		}
	})
	if asked > maxCounted {
		s.answer.Notes = append(s.answer.Notes, fmt.Sprintf("%s are not counted one by one", counted(int64(asked-maxCounted), "more exception")))
	}
	return err
}

// mostly says which clause failed most; of stages the clause that most often kept an event out by itself.
func (s *spanRun) mostly(read int64) string {
	if text := s.nearly(read); text != "" {
		return text
	}
	var worst *ClauseCount
	for i := range s.answer.Clauses {
		c := &s.answer.Clauses[i]
		if c.Depth > 0 || c.Fails == 0 {
			continue
		}
		if worst == nil || c.Fails > worst.Fails || c.Fails == worst.Fails && c.Alone > worst.Alone {
			worst = c
		}
	}
	if worst == nil {
		return ""
	}
	them, have := "them", "which have"
	of := fmt.Sprintf(" of %s", number(worst.Fails))
	switch {
	case read == 1:
		of, them, have = "", "it", "as it has"
	case worst.Fails == read:
		of = " of any"
	}
	text := fmt.Sprintf(": %s is not true%s", worst.Text, of)
	switch {
	case worst.Missing == worst.Fails:
		text += fmt.Sprintf(", %s no such field", have)
	case worst.Alone == worst.Fails:
		text += fmt.Sprintf(", and nothing else keeps %s out", them)
	}
	return text
}

// nearly names the clause of a stage that alone kept out the most events; "" where no event lacked one clause alone.
func (s *spanRun) nearly(read int64) string {
	var worst *ClauseCount
	stage, of := "", ""
	for i := range s.answer.Clauses {
		c := &s.answer.Clauses[i]
		if c.Depth == 0 {
			stage, _, _ = strings.Cut(c.Text, ": ")
		} else if c.Ranked && c.Alone > 0 && (worst == nil || c.Alone > worst.Alone) {
			worst, of = c, stage
		}
	}
	if worst == nil {
		return ""
	}
	text := fmt.Sprintf(": %s would take %s, but %s is not true", of, counted(worst.Alone, "event"), worst.Text)
	if read == 1 {
		text = fmt.Sprintf(": %s would take it, but %s is not true", of, worst.Text)
	}
	if worst.Missing == worst.Fails {
		text += ": there is no such field"
	}
	return text
}
