package kql

import (
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// anywhere is the condition that a value somewhere in the event equals v or fits it: read as a text, and besides as
// what its field is declared to be. Fields for whose type v is no value are passed over, and those that do not stand
// below the nested path that prefix holds.
func (l *lowerer) anywhere(prefix string, v Literal) expr.Cond {
	switch {
	case !l.spend(1, v):
		return expr.Const{Value: false}
	case v.Exists():
		return expr.Const{Value: true}
	case v.Null():
		return l.refuse(v, CodeNull, "null is no value that can be searched", `write "null" for the text`)
	case !v.Wildcard():
		return l.anywhereWord(prefix, v.Text(), v)
	}
	var conds []expr.Cond
	for _, parts := range pieces(v.Parts) {
		switch {
		case len(parts) == 1:
			conds = append(conds, l.anywhereWord(prefix, parts[0], Literal{Parts: parts, At: v.At, query: v.query}))
		case len(parts) == 2 && parts[0] == "" && parts[1] == "":
			conds = append(conds, expr.Const{Value: true})
		default:
			conds = append(conds, l.anywhereLike(prefix, parts, v))
		}
	}
	return expr.Some(conds...)
}

func (l *lowerer) anywhereWord(prefix, text string, v Literal) expr.Cond {
	fields := l.everywhere()
	conds := []expr.Cond{expr.Anywhere{Text: text, Phrase: v.Quoted, Analyse: l.analysed}}
	quiet := &lowerer{Options: l.Options}
	no := map[event.Type]bool{} // the types that v is no value of
	for _, f := range fields {
		if !strings.HasPrefix(f.Path, prefix) {
			continue
		}
		switch f.Type {
		case event.Caseless, event.Long, event.Double, event.IPType, event.Date:
			if no[f.Type] || !l.spend(1, v) {
				continue
			}
			c := quiet.equals(f, v)
			if len(quiet.found) == 0 {
				conds = append(conds, c)
			}
			no[f.Type], quiet.found = len(quiet.found) > 0, nil
		}
	}
	return expr.Some(conds...)
}

// anywhereLike is the condition for a pattern. The words of analysed fields are in lower case, keywords as they came:
// a pattern with capitals therefore asks each analysed field on its own.
func (l *lowerer) anywhereLike(prefix string, parts []string, v Literal) expr.Cond {
	fields := l.everywhere()
	pattern := expr.Stars(parts...)
	any := expr.Anywhere{Pattern: &pattern}
	if joined := strings.Join(parts, ""); strings.ToLower(joined) == joined {
		any.Analyse = l.analysed
		return any
	}
	conds := []expr.Cond{any}
	for _, f := range fields {
		if (f.Type.IsText() || f.Type == event.Caseless) && strings.HasPrefix(f.Path, prefix) && l.spend(1, v) {
			conds = append(conds, like(f, parts))
		}
	}
	return expr.Some(conds...)
}

// analysis returns how the leaf at a path is analysed.
func analysis(fields []expr.Field) func(path string) (event.Type, bool) {
	analysed := map[string]event.Type{}
	for _, f := range fields {
		if f.Type.IsText() {
			analysed[f.Path] = f.Type
		}
	}
	return func(path string) (event.Type, bool) {
		t, ok := analysed[path]
		return t, ok
	}
}
