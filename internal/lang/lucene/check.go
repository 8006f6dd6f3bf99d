package lucene

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// The codes of what Check warns of.
const (
	CodeUnknownField = "LUC0201" // a field that nothing declares
	CodeSmallWord    = "LUC0202" // and, or, not in small letters, which are ordinary words
	CodeOneValue     = "LUC0203" // words side by side, which are one value of a field that is not analysed
	CodeIdle         = "LUC0204" // an optional clause beside required ones
	CodeOrNot        = "LUC0205" // OR NOT, which means AND NOT
	CodeLooseSign    = "LUC0206" // + - ! with a blank after it, which is a word
)

// checkTime is a now for queries with date math: whether they can be lowered does not depend on it.
var checkTime = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// maxWarnings bounds how much is said of a query, maxGuesses how many unknown fields get a guess at what was meant.
const (
	maxWarnings = 100
	maxGuesses  = 50
)

// Check returns advice on a query that Parse accepts, sorted by position: errors where Lower would refuse it, warnings
// where it most likely does not mean what its author thinks. Without a resolver nothing about fields is said.
func Check(n Node, r plan.Resolver) diag.List {
	c := checker{resolver: r, unknown: map[string]bool{}}
	walk(n, func(n Node) {
		if len(c.found) < maxWarnings {
			c.node(n)
		}
	})
	if _, err := Lower(n, Options{Resolver: r, Now: checkTime}); err != nil {
		c.found = append(c.found, diag.Of(err)...)
	}
	c.found.Sort()
	return c.found
}

type checker struct {
	resolver plan.Resolver
	known    []string // the paths of the declared fields, once asked for
	unknown  map[string]bool
	found    diag.List
}

func (c *checker) warn(at diag.Span, text, code, message, hint string) {
	c.found = append(c.found, diag.Diagnostic{Code: code, Severity: diag.Warning, Message: message, Hint: hint, Span: at, Text: text})
}

func (c *checker) node(n Node) {
	switch n := n.(type) {
	case *Bool:
		c.clauses(n)
	case *Term:
		c.field(n.Field)
		c.words(n)
	case *Pattern:
		c.field(n.Field)
	case *Regexp:
		c.field(n.Field)
	case *Range:
		c.field(n.Field)
	case *Exists:
		c.field(&n.Field)
	}
}

// clauses warns of clauses that do not do what they seem to.
func (c *checker) clauses(n *Bool) {
	required, optional := false, false
	for _, clause := range n.Clauses {
		required, optional = required || clause.Occur == Must, optional || clause.Occur == Should
	}
	for _, clause := range n.Clauses {
		at, text := clause.Node.Span(), textOf(clause.Node)
		switch {
		case required && clause.Occur == Should:
			c.warn(at, text, CodeIdle, "this clause changes nothing: others beside it are required",
				"put what belongs together in parentheses: AND and OR have no precedence")
			return
		case optional && clause.Occur == MustNot && clause.afterOr:
			c.warn(at, text, CodeOrNot, "OR NOT means AND NOT", "write OR (NOT …) for an alternative")
			return
		}
	}
}

// textOf is the query that n was read from.
func textOf(n Node) (text string) {
	walk(n, func(n Node) {
		switch n := n.(type) {
		case *Term:
			text = n.Value.query
		case *Pattern:
			text = n.query
		case *Regexp:
			text = n.Value.query
		case *Range:
			text = n.query
		case *Exists:
			text = n.Field.query
		}
	})
	return text
}

// words warns of words that look like more than they are.
func (c *checker) words(n *Term) {
	v := n.Value
	if v.Quoted {
		return
	}
	parts := strings.Split(v.Text, " ")
	small := func(w string) bool { return w == "and" || w == "or" || w == "not" }
	switch i := slices.IndexFunc(parts, small); {
	case i >= 0 && (len(parts) > 1 || n.Field == nil):
		c.warn(v.At, v.query, CodeSmallWord, fmt.Sprintf("%q is an ordinary word here, a part of the value %q", parts[i], v.Text),
			fmt.Sprintf("write %s in capitals, or quotes round the value", strings.ToUpper(parts[i])))
	case n.Field == nil && (v.Text == "+" || v.Text == "-" || v.Text == "!"):
		c.warn(v.At, v.query, CodeLooseSign, fmt.Sprintf("%s with a blank after it is a word that is searched for", v.Text), "write it next to what it belongs to")
	case len(parts) > 1 && !n.Field.any() && c.resolver != nil:
		if f, _ := c.resolver.Field(n.Field.Text); !f.Type.IsText() {
			c.warn(v.At, v.query, CodeOneValue, fmt.Sprintf("%q is one value, with its blanks", v.Text), "write OR or AND between several, or quotes round the value")
		}
	}
}

// field warns of a field that nothing declares.
func (c *checker) field(name *Literal) {
	if c.resolver == nil || name.any() || c.unknown[name.Text] {
		return
	}
	if name.pattern() {
		if len(c.resolver.Expand(expr.Stars(strings.Split(name.Text, "*")...))) == 0 {
			c.unknown[name.Text] = true
			c.warn(name.At, name.query, CodeUnknownField, "no field fits "+name.Text, "")
		}
		return
	}
	if _, ok := c.resolver.Field(name.Text); ok {
		return
	}
	c.unknown[name.Text] = true
	hint := ""
	if len(c.unknown) <= maxGuesses {
		if near, found := diag.Nearest(name.Text, c.paths()); found {
			hint = fmt.Sprintf("did you mean %s?", near)
		}
	}
	c.warn(name.At, name.query, CodeUnknownField, fmt.Sprintf("no field is called %s; it is read as a keyword", name.Text), hint)
}

// paths returns the names to guess from.
func (c *checker) paths() []string {
	if c.known == nil {
		c.known = []string{}
		for _, f := range c.resolver.Expand(expr.Stars("", "")) {
			c.known = append(c.known, f.Path)
		}
	}
	return c.known
}
