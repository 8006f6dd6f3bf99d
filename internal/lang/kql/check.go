package kql

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// The codes of what Check warns of.
const (
	CodeUnknownField = "KQL0201" // a field that nothing declares
	CodeForeign      = "KQL0202" // an operator of another language, read as ordinary text
	CodeSingleQuote  = "KQL0203" // single quotes, which are part of the value
	CodeQuotedStar   = "KQL0204" // a star in quotes, which stands for itself
	CodeQuestionMark = "KQL0205" // a ? in a pattern, which stands for itself
	CodeControl      = "KQL0206" // \t, \n or \r where a path may be meant
	CodeComma        = "KQL0207" // a comma, which separates nothing
	CodeLooseWord    = "KQL0208" // and, or at the end of a text, or before a field name
	CodeForeignForm  = "KQL0209" // [1 to 2] or /expression/, read as ordinary text
	CodeNeverTrue    = "KQL0210" // a condition that no event can fulfil
	CodeSplitPattern = "KQL0212" // a pattern with blanks, whose pieces are patterns of their own
)

// checkTime is a now for queries with date math: whether they can be lowered does not depend on it.
var checkTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Check returns advice on a query that Parse accepts, sorted by position: errors where Lower would refuse it, warnings
// where it most likely does not mean what its author thinks. Without a resolver nothing about fields is said.
func Check(n Node, r plan.Resolver) diag.List {
	c := checker{lowerer: newLowerer(n, Options{Resolver: r, Now: checkTime}), unknown: map[string]bool{}}
	c.fields(n, "", r)
	c.lowerer.node(n)
	found := append(c.found, c.lowerer.found...)
	found.Sort()
	return found
}

// maxGuesses bounds how many unknown fields get a guess at what was meant.
const maxGuesses = 50

// checker collects warnings; its lowerer collects errors.
type checker struct {
	lowerer *lowerer
	known   []string // the paths of the declared fields, once asked for
	unknown map[string]bool
	found   diag.List
}

func (c *checker) warn(l Literal, code, message, hint string) {
	c.found = append(c.found, diag.Diagnostic{Code: code, Severity: diag.Warning, Message: message, Hint: hint,
		Span: l.At, Text: l.query})
}

// fields checks n, whose field names stand below prefix.
func (c *checker) fields(n Node, prefix string, r plan.Resolver) {
	switch n := n.(type) {
	case *And:
		for _, sub := range n.Nodes {
			c.fields(sub, prefix, r)
		}
	case *Or:
		for _, sub := range n.Nodes {
			c.fields(sub, prefix, r)
		}
	case *Not:
		c.fields(n.Node, prefix, r)
	case *Nested:
		c.fields(n.Node, prefix+n.Path.Text()+".", r)
	case *Range:
		if c.name(n.Field) && r != nil {
			c.declared(prefix, n.Field, nil, r)
		}
	case *Is:
		if matchesAll(n) {
			return
		}
		c.value(n.Value, n.Field == nil)
		if n.Field == nil {
			return
		}
		if c.name(*n.Field) && r != nil {
			c.declared(prefix, *n.Field, &n.Value, r)
		}
	}
}

// name warns of what does not belong into a field's name; true where it finds nothing.
func (c *checker) name(f Literal) bool {
	if f.Quoted {
		return true
	}
	text := f.Text()
	first, rest, several := strings.Cut(text, " ")
	switch {
	case several && (strings.EqualFold(first, "and") || strings.EqualFold(first, "or")):
		c.warn(f, CodeLooseWord, fmt.Sprintf("%q is read as the name of a field", text),
			fmt.Sprintf("leave %q out, or write the condition that is to stand before it; the field is %q", first, rest))
	case strings.HasPrefix(text, "!"):
		c.warn(f, CodeForeign, `"!" is part of the field's name here`, "write not "+text[1:]+" : …")
	case strings.HasSuffix(text, "=") || strings.HasSuffix(text, "!"):
		c.warn(f, CodeForeign, fmt.Sprintf("%q is read as the name of a field", text),
			"write field : value, not field : value, or field >= value")
	case strings.Contains(text, "&&") || strings.Contains(text, "||"):
		c.warn(f, CodeForeign, fmt.Sprintf("%q is read as the name of a field", text), `write "and" for &&, "or" for ||`)
	default:
		return true
	}
	return false
}

// value warns of what has no meaning in a value; free is true for a value without a field.
func (c *checker) value(v Literal, free bool) {
	text := v.Text()
	if v.Quoted {
		c.quotedValue(v, text)
		return
	}
	switch {
	case free && operator(text) != "":
		op := operator(text)
		name, value, _ := strings.Cut(text, op)
		name, value = strings.TrimFunc(name, trimmed), strings.TrimFunc(value, trimmed)
		not := ""
		if op == "!=" {
			not = "not "
		}
		c.warn(v, CodeForeign, fmt.Sprintf("%q is no operator: this is a search for the text %q in all fields", op, text),
			fmt.Sprintf("write %s%s : %s", not, name, value))
	case !free && strings.HasPrefix(text, "="):
		c.warn(v, CodeForeign, fmt.Sprintf("\"=\" is part of the value: %q", text), "a colon is enough: field : value")
	case strings.Contains(text, " && ") || strings.Contains(text, " || "):
		c.warn(v, CodeForeign, fmt.Sprintf("\"&&\" and \"||\" are no operators: the value is %q", text), `write "and", "or"`)
	case len(text) > 1 && text[0] == '\'' && text[len(text)-1] == '\'':
		c.warn(v, CodeSingleQuote, "single quotes are part of the value", fmt.Sprintf(`write "%s"`, text[1:len(text)-1]))
	case strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") && strings.Contains(strings.ToLower(text), " to "):
		c.warn(v, CodeForeignForm, fmt.Sprintf("%s is read as a text, not as a range", text), "write field >= 1 and field <= 2")
	case len(text) > 2 && text[0] == '/' && text[len(text)-1] == '/' && strings.ContainsAny(text, `.+*[]|^$`):
		c.warn(v, CodeForeignForm, fmt.Sprintf("%s is read as a text, not as a regular expression", text), "")
	case strings.Contains(text, ", "):
		c.warn(v, CodeComma, fmt.Sprintf("a comma separates nothing: the value is %q", text),
			"put \"or\" between the values, or quotes round the value")
	case endsWith(text, "and") || endsWith(text, "or"):
		c.warn(v, CodeLooseWord, fmt.Sprintf("the value is %q: its last word joins nothing", text),
			"write the condition that is to follow, or take the word away")
	}
	if v.Wildcard() && strings.Contains(text, "?") {
		c.warn(v, CodeQuestionMark, "? stands for itself, not for any character", "write * for any run of characters")
	}
	if v.Wildcard() && len(pieces(v.Parts)) > 1 && !c.lowerer.view {
		c.warn(v, CodeSplitPattern, "a pattern with blanks is cut at them, and one piece that fits is enough",
			"write * in place of each blank")
	}
}

func (c *checker) quotedValue(v Literal, text string) {
	written := v.query[min(v.At.Start, len(v.query)):min(v.At.End, len(v.query))]
	switch {
	case strings.ContainsAny(text, "\t\n\r") && !strings.ContainsAny(written, "\t\n\r") &&
		(strings.Contains(text, `\`) || len(text) > 2 && text[1] == ':' && text[2] < ' '):
		c.warn(v, CodeControl, `\t, \n or \r in this value is a tab or a line's end, not a backslash and a letter`,
			`write \\ for each backslash`)
	case strings.HasSuffix(text, "*") || strings.HasPrefix(text, "*"):
		c.warn(v, CodeQuotedStar, "a star in quotes stands for itself, not for any characters",
			`leave the quotes out for a pattern, with \ before signs like : ( ) and \`)
	}
}

// operator returns the operator of another language that text holds between two words.
func operator(text string) string {
	for _, op := range []string{"==", "!=", "="} {
		at := strings.Index(text, op)
		if at <= 0 {
			continue
		}
		name := strings.TrimRightFunc(text[:at], trimmed)
		if fieldLike(name) && (len(name) < at || op != "=") {
			return op
		}
	}
	return ""
}

// endsWith reports whether text ends with the word after a blank.
func endsWith(text, word string) bool {
	at := len(text) - len(word)
	return at > 0 && wordAt(text, at, word) && strings.TrimRightFunc(text[:at], trimmed) != text[:at]
}

// declared warns of a field that nothing declares, and of a condition that its type makes impossible.
func (c *checker) declared(prefix string, name Literal, value *Literal, r plan.Resolver) {
	path := prefix + name.Text()
	if c.unknown[path] {
		return // once is enough
	}
	if name.Wildcard() {
		if c.lowerer.spend(expansionCost, name) && len(c.lowerer.expand(prefix, name)) == 0 {
			c.unknown[path] = true
			c.warn(name, CodeUnknownField, fmt.Sprintf("no field fits %s", path), "")
		}
		return
	}
	f, ok := r.Field(path)
	if !ok {
		c.unknown[path] = true
		hint := ""
		if len(c.unknown) <= maxGuesses {
			if near, found := diag.Nearest(path, c.paths(r)); found {
				hint = fmt.Sprintf("did you mean %s?", near)
			}
		}
		c.warn(name, CodeUnknownField, fmt.Sprintf("no field is called %s; it is read as a keyword", path), hint)
		return
	}
	if value == nil || value.Exists() {
		return
	}
	switch f.Type {
	case event.ObjectType, event.Nested:
		c.warn(name, CodeNeverTrue, fmt.Sprintf("%s is an object: it equals no value", path), "name a field below it")
	case event.Long:
		quiet := &lowerer{Options: c.lowerer.Options}
		if never, ok := quiet.equals(f, *value).(expr.Const); ok && len(quiet.found) == 0 && !never.Value {
			c.warn(*value, CodeNeverTrue, fmt.Sprintf("%s holds whole numbers: none equals %s", path, value.Text()), "")
		}
	}
}

// paths returns the names to guess from.
func (c *checker) paths(r plan.Resolver) []string {
	if c.known == nil {
		c.known = []string{}
		for _, f := range r.Expand(expr.Stars("", "")) {
			c.known = append(c.known, f.Path)
		}
	}
	return c.known
}
