package expr

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// String writes c in one canonical form: two conditions with the same text have the same meaning (as far as an Anywhere's
// Analyse, which has no text, is the same), so the text's hash can name a program. It is for people and hashes; nothing
// parses it.
func String(c Cond) string {
	var b strings.Builder
	writeCond(&b, c)
	return b.String()
}

func writeCond(b *strings.Builder, c Cond) {
	switch c := c.(type) {
	case Const:
		fmt.Fprintf(b, "%t", c.Value)
	case And:
		writeList(b, "and", c.Conds)
	case Or:
		writeList(b, "or", c.Conds)
	case Not:
		b.WriteString("(not ")
		writeCond(b, c.Cond)
		b.WriteByte(')')
	case In:
		fmt.Fprintf(b, "(in %v", c.Field)
		for _, v := range c.Values {
			fmt.Fprintf(b, " %d:%q", v.Kind(), v.Text())
		}
		b.WriteByte(')')
	case Member:
		fmt.Fprintf(b, "(member %v %s)", c.Field, c.Set.ID())
	case Range:
		fmt.Fprintf(b, "(range %v", c.Field)
		writeBound(b, ">", c.Min)
		writeBound(b, "<", c.Max)
		b.WriteByte(')')
	case Like:
		fmt.Fprintf(b, "(like %v %q fold=%t)", c.Field, c.Pattern.String(), c.Fold)
	case Words:
		fmt.Fprintf(b, "(words %v %q phrase=%t)", c.Field, c.Tokens, c.Phrase)
	case Exists:
		fmt.Fprintf(b, "(exists %v)", c.Field)
	case Nested:
		fmt.Fprintf(b, "(nested %q ", c.Path)
		writeCond(b, c.Cond)
		b.WriteByte(')')
	case Anywhere:
		fmt.Fprintf(b, "(anywhere %q phrase=%t", c.Text, c.Phrase)
		if c.Pattern != nil {
			fmt.Fprintf(b, " like %q", c.Pattern.String())
		}
		b.WriteByte(')')
	case Holds:
		b.WriteString("(holds ")
		writeCond(b, c.Cond)
		b.WriteByte(')')
	case Regexp:
		fmt.Fprintf(b, "(regexp %v %q)", c.Field, c.Expr)
	case Each:
		fmt.Fprintf(b, "(each %v ", c.Field)
		writeCond(b, c.Cond)
		b.WriteByte(')')
	case Fits:
		b.WriteString("(fits ")
		writeValue(b, c.Value)
		for _, p := range c.Patterns {
			fmt.Fprintf(b, " %q", p.String())
		}
		fmt.Fprintf(b, " fold=%t)", c.Fold)
	case Matching:
		b.WriteString("(matching ")
		writeValue(b, c.Value)
		fmt.Fprintf(b, " %q)", c.Expr)
	case Cmp:
		fmt.Fprintf(b, "(%s ", [...]string{"==", "!=", "<", "<=", ">", ">="}[c.Op])
		writeValue(b, c.Left)
		b.WriteByte(' ')
		writeValue(b, c.Right)
		b.WriteByte(')')
	case IsNull:
		b.WriteString("(is-null ")
		writeValue(b, c.Value)
		b.WriteByte(')')
	default:
		panic(fmt.Sprintf("expr: no text of %T", c))
	}
}

func writeList(b *strings.Builder, word string, conds []Cond) {
	b.WriteString("(" + word)
	for _, c := range conds {
		b.WriteByte(' ')
		writeCond(b, c)
	}
	b.WriteByte(')')
}

func writeBound(b *strings.Builder, op string, bound Bound) {
	if bound.Value.IsNull() {
		return
	}
	if bound.Inclusive {
		op += "="
	}
	fmt.Fprintf(b, " %s%d:%q", op, bound.Value.Kind(), bound.Value.Text())
}

func writeValue(b *strings.Builder, x Value) {
	switch x := x.(type) {
	case One:
		fmt.Fprintf(b, "%v", x.Field)
	case Least:
		fmt.Fprintf(b, "(least %v)", x.Field)
	case This:
		b.WriteString("this")
	case Test:
		b.WriteString("(test ")
		writeCond(b, x.Cond)
		b.WriteByte(')')
	case Lit:
		fmt.Fprintf(b, "%d:%q", x.Value.Kind(), x.Value.Text())
	case Call:
		b.WriteString("(" + x.Fn)
		for _, a := range x.Args {
			b.WriteByte(' ')
			writeValue(b, a)
		}
		b.WriteByte(')')
	default:
		panic(fmt.Sprintf("expr: no text of %T", x))
	}
}

// String writes the field as path:type, a flattened root with a star. A path of other than letters, digits and @ . _ -
// is quoted, so that no path can be taken for something else.
func (f Field) String() string {
	s := f.Path
	if s == "" || strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("@._-", r)
	}) {
		s = strconv.Quote(s)
	}
	s += ":" + f.Type.String()
	if f.Root {
		s += "*"
	}
	return s
}

// Paths returns the sorted paths that c reads, each once; whole is true where it reads the whole document.
func Paths(c Cond) (paths []string, whole bool) {
	set := map[string]bool{}
	Walk(c, func(f Field) { set[f.Path] = true }, func() { whole = true })
	for p := range set {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	return paths, whole
}

// Walk calls field for every field that c reads, in order, and everything for every node that reads the whole document.
// A Nested reads its path too, as a field of the type event.Nested.
func Walk(c Cond, field func(Field), everything func()) {
	switch c := c.(type) {
	case And:
		for _, sub := range c.Conds {
			Walk(sub, field, everything)
		}
	case Or:
		for _, sub := range c.Conds {
			Walk(sub, field, everything)
		}
	case Not:
		Walk(c.Cond, field, everything)
	case Holds:
		Walk(c.Cond, field, everything)
	case In:
		field(c.Field)
	case Regexp:
		field(c.Field)
	case Each:
		field(c.Field)
		Walk(c.Cond, field, everything)
	case Fits:
		WalkValue(c.Value, field)
	case Matching:
		WalkValue(c.Value, field)
	case Member:
		field(c.Field)
	case Range:
		field(c.Field)
	case Like:
		field(c.Field)
	case Words:
		field(c.Field)
	case Exists:
		field(c.Field)
	case Nested:
		field(Field{Path: c.Path, Type: event.Nested})
		Walk(c.Cond, field, everything)
	case Anywhere:
		everything()
	case Cmp:
		WalkValue(c.Left, field)
		WalkValue(c.Right, field)
	case IsNull:
		WalkValue(c.Value, field)
	}
}

// WalkValue calls field for every field that x reads.
func WalkValue(x Value, field func(Field)) {
	switch x := x.(type) {
	case One:
		field(x.Field)
	case Least:
		field(x.Field)
	case Test:
		Walk(x.Cond, field, func() {})
	case Call:
		for _, a := range x.Args {
			WalkValue(a, field)
		}
	}
}
