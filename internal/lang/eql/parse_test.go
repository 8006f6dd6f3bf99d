package eql_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
)

// shape writes a tree without its places in the query, every field of every node by its name: the printer has no part in it.
func shape(n any) string {
	var b strings.Builder
	write(&b, reflect.ValueOf(n))
	return b.String()
}

func write(b *strings.Builder, v reflect.Value) {
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil(), v.Kind() == reflect.Interface && v.IsNil():
		b.WriteString("nil")
	case v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface:
		write(b, v.Elem())
	case v.Kind() == reflect.Slice:
		b.WriteByte('[')
		for i := range v.Len() {
			write(b, v.Index(i))
			b.WriteByte(' ')
		}
		b.WriteByte(']')
	case v.Type() == reflect.TypeFor[event.Value]():
		value := v.Interface().(event.Value)
		fmt.Fprintf(b, "%d:%q", value.Kind(), value.Text())
	case v.Kind() == reflect.Struct:
		fmt.Fprintf(b, "%s{", v.Type().Name())
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.Type != reflect.TypeFor[diag.Span]() && f.Name != "Text" {
				b.WriteString(f.Name + "=")
				write(b, v.Field(i))
				b.WriteByte(' ')
			}
		}
		b.WriteByte('}')
	default:
		fmt.Fprintf(b, "%#v", v.Interface())
	}
}

// TestString holds what the printer writes, and with it how the parser groups.
func TestString(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		q, err := eql.Parse(query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if got := eql.String(q); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", query, got, want)
		}
		if why := refix(query); why != "" {
			t.Errorf("%s: %s", query, why)
		}
	}
	where := func(cond, want string) { t.Helper(); f("any where "+cond, "any where "+want) }
	where("a and b or not c and d", "a and b or not c and d")
	where("a and (b or c)", "a and (b or c)")
	where("(a and b) and c", "(a and b) and c")
	where("not (a == 1)", "not a == 1")
	where("(not a) == 1", "(not a) == 1")
	where("not not a", "not not a")
	where("null==(x>-1)", "null == (x > -1)")
	where("a+b*c-d", "a + b * c - d")
	where("(a+b)*c-(d-e)", "(a + b) * c - (d - e)")
	where("a-(b-c)", "a - (b - c)")
	where("a*(b/c)%d", "a * (b / c) % d")
	where("- -a", "--a")
	where("-(a+1) : 2 + 3", "-(a + 1) : 2 + 3")
	where("a : ( \"x\" )", `a : ("x")`)
	where("a : (1) + 2", "a : 1 + 2")
	where("a : (b)", "a : b")
	where(`a IN ("x")`[:2]+`in~("x",1,null)`, `a in~ ("x", 1, null)`)
	where(`a not in (b, length(c))`, `a not in (b, length(c))`)
	where(`a like~ ("x*", "y?")`, `a like~ ("x*", "y?")`)
	where(`a regex """\w"x"""`, `a regex "\\w\"x"`)
	where(`STARTSWITH~ (a , "x")`, `STARTSWITH~(a, "x")`)
	where(`f()`, `f()`)
	where("?a.b.`c d` or `x.y` or `where`.z", "?`a.b.c d` or x.y or `where.z`")
	where("@timestamp == 1.50 and _x and a.`b``c`", "@timestamp == 1.50 and _x and `a.b``c`")
	where(`a == "\u{202E}\b\t\n\f\r\"\\é"`, `a == "\u{202e}\b\t\n\f\r\"\\é"`)
	where(`a == """""x"""""`, `a == "\"\"x\"\""`)
	where("a // comment\n == /* b */ 1", "a == 1")
	where("true | head 5|tail 3", "true | head 5 | tail 3")
	where("a == 100000000000000000000", "a == 100000000000000000000")
	where("a == .5 or a == 5. or a == 1e3", "a == .5 or a == 5. or a == 1e3")
	f(`"a b" where true`, `"a b" where true`)
	f(`"abc" where true`, `abc where true`)
	f(`"where" where true`, `"where" where true`)
	f("sequence with maxspan=5m by a,?b [any where x] by c with runs=3 ![y where z] by d until [w where v] by u|tail 1",
		"sequence by a, ?b with maxspan=5m [any where x] by c with runs=3 ![y where z] by d until [w where v] by u | tail 1")
	f("sample by a [b where true] by c [d where false] by e", "sample by a [b where true] by c [d where false] by e")
	f("join by a [b where true] [c where true] until [d where true]", "join by a [b where true] [c where true] until [d where true]")
}

// TestHostile holds that a query of any size ends with one diagnostic, not with the memory or the stack.
func TestHostile(t *testing.T) {
	f := func(query, code string) {
		t.Helper()
		_, err := eql.Parse(query)
		found := diag.Of(err)
		if len(found) != 1 || found[0].Code != code {
			t.Errorf("%.40s…: %v, want one %s", query, err, code)
		}
		found.Render()
	}
	const n = 10 << 20
	f("any where "+strings.Repeat("(", n), eql.CodeTooLong)
	deep := func(open string) string { return "any where " + strings.Repeat(open, (eql.MaxLength-20)/len(open)) }
	f(deep("("), eql.CodeTooDeep)
	f(deep("not "), eql.CodeTooDeep)
	f(deep("-"), eql.CodeTooDeep)
	f(deep("f("), eql.CodeTooDeep)
	f(deep("1+"), eql.CodeTooDeep)
	f(deep("1*"), eql.CodeTooDeep)
	f(deep("a in ("), eql.CodeTooDeep)
	f(deep("a and "), eql.CodeTooMany)
	f(deep("a or "), eql.CodeTooMany)
	f("any where a in ("+strings.Repeat("1,", 500_000), eql.CodeTooMany)
	f("sequence "+strings.Repeat("[any where true]", 60_000), eql.CodeTooMany)
	f("any where a == \""+strings.Repeat("x", 1<<20-30), eql.CodeUnclosed)
	f("any where "+strings.Repeat("/* ", 300_000), eql.CodeUnclosed)
	f("any where a.\xffb", eql.CodeNotText)
	if _, err := eql.Parse("any where " + strings.Repeat("(", eql.MaxDepth) + "true" + strings.Repeat(")", eql.MaxDepth)); err != nil {
		t.Errorf("%d parentheses: %v", eql.MaxDepth, err)
	}
	large := "any where " + strings.Repeat(`a regex "(x{1,900}y){1,9}" or `, 100) + "true"
	if _, err := eql.Lower(parse(t, large), eql.Options{}); err == nil {
		t.Error("a hundred large regular expressions are accepted")
	}
	if why := refix("any where a in (" + strings.Repeat(`"x", `, 10_000) + `"y")`); why != "" {
		t.Errorf("a list of 10,001 values: %s", why)
	}
}

func FuzzParse(f *testing.F) {
	for _, q := range goldenQueries(f) {
		f.Add(q)
	}
	for _, q := range corpusQueries(f) {
		f.Add(q)
	}
	o := eql.Options{Resolver: fields(f)}
	e, err := event.Decode([]byte(`{"user":{"name":["Root","ci"]},"source":{"ip":"10.0.0.1","port":22},"error":true,
		"@timestamp":"2026-03-01","params":{"key":"x"},"script":"a b"}`), event.DecodeOptions{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query string) {
		q, err := eql.Parse(query)
		if err != nil {
			found := diag.Of(err)
			if len(found) != 1 || found[0].Code == "" || found[0].Message == "" || found[0].Span.Start > len(query) ||
				found[0].Span.End > len(query) || found[0].Span.Start < 0 {
				t.Fatalf("%q: a bad diagnostic: %#v", query, err)
			}
			found.Render()
			return
		}
		if why := refix(query); why != "" {
			t.Errorf("%q: %s", query, why)
		}
		found := eql.Check(q, o)
		found.Render()
		p, err := eql.Lower(q, o)
		if (err == nil) != (found.Err() == nil) {
			t.Errorf("%q: Check finds %v, Lower %v", query, found, err)
		}
		if err != nil {
			return
		}
		again, err := eql.Lower(parse(t, eql.String(q)), o)
		if err != nil || describe(again) != describe(p) {
			t.Errorf("%q: printed, it means %s (%v), not %s", query, describe(again), err, describe(p))
		}
		if p.Events != nil {
			outcome := expr.Eval(p.Events, e)
			if not := expr.Eval(expr.Not{Cond: p.Events}, e); not != expr.True-outcome {
				t.Errorf("%q is %d, its opposite %d", query, outcome, not)
			}
		}
	})
}

// corpusQueries are the queries of the corpus where it is there.
func corpusQueries(t testing.TB) []string {
	dir := filepath.Join(corpus.Root(), filepath.FromSlash(serverCorpus))
	var out []string
	for _, name := range []string{"supported", "unsupported"} {
		out = append(out, existing(t, dir+"/queries-"+name+"-extract.eql")...)
	}
	quoted := regexp.MustCompile(`"(?:expr|eql)": ?("(?:[^"\\]|\\.)*")`)
	for _, name := range []string{"fold.jsonl", "function_ref_examples.jsonl", "querytranslator.jsonl"} {
		lines, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue // the corpus is absent
		}
		for _, m := range quoted.FindAllSubmatch(lines, -1) {
			q, err := strconv.Unquote(string(m[1]))
			if err != nil {
				t.Fatal(err)
			}
			if name != "querytranslator.jsonl" {
				q = "any where (" + q + ") == null"
			}
			out = append(out, q)
		}
	}
	return out
}

func parse(t testing.TB, query string) *eql.Query {
	t.Helper()
	q, err := eql.Parse(query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return q
}
