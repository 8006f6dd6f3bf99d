package lucene_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene/lucenetest"
)

var update = flag.Bool("update", false, "write what comes out into the files of testdata")

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func fields(t testing.TB) kqltest.Mapping {
	t.Helper()
	m, err := kqltest.TypesMapping(lucenetest.Types)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func documents(t testing.TB) []*event.Event {
	t.Helper()
	var out []*event.Event
	for i, doc := range lucenetest.Documents() {
		e, err := event.Decode([]byte(doc), event.DecodeOptions{Tree: fields(t).Tree})
		if err != nil {
			t.Fatal(err)
		}
		e.ID = fmt.Sprint(i + 1)
		out = append(out, e)
	}
	return out
}

// matching are the IDs of the documents that c finds.
func matching(c expr.Cond, docs []*event.Event) string {
	var ids []string
	for _, e := range docs {
		if expr.Matches(c, e) {
			ids = append(ids, e.ID)
		}
	}
	return strings.Join(ids, " ")
}

// TestFacts holds what queries find, as they are written and as they are printed.
func TestFacts(t *testing.T) {
	m, docs := fields(t), documents(t)
	find := func(query string) (string, string) {
		n, err := lucene.Parse(query)
		if err != nil {
			return lucenetest.Refused, ""
		}
		if why := refix(n, lucene.String(n)); why != "" {
			t.Errorf("%s: %s", query, why)
		}
		cond, err := lucene.Lower(n, lucene.Options{Resolver: m, Now: now})
		if found := lucene.Check(n, m); (err == nil) != (found.Err() == nil) {
			t.Errorf("%s: Lower says %v, Check %v", query, err, found)
		}
		if err != nil {
			return lucenetest.Failed, lucene.String(n)
		}
		return matching(cond, docs), lucene.String(n)
	}
	for _, f := range lucenetest.Facts() {
		got, printed := find(f.Query)
		if got != f.Want {
			t.Errorf("%s finds %q, want %q", f.Query, got, f.Want)
		}
		if printed != "" {
			if again, _ := find(printed); again != f.Want {
				t.Errorf("%s, printed as %s, finds %q, want %q", f.Query, printed, again, f.Want)
			}
		}
	}
}

// refix says how reading and writing text again differs from n, or nothing.
func refix(n lucene.Node, text string) string {
	again, err := lucene.Parse(text)
	if err != nil {
		return "printed as " + text + ": " + err.Error()
	}
	places := cmp.Options{cmpopts.IgnoreTypes(diag.Span{}), cmpopts.IgnoreUnexported(lucene.Literal{}, lucene.Clause{}, lucene.Pattern{}, lucene.Range{})}
	if diff := cmp.Diff(n, again, places); diff != "" {
		return "printed as " + text + ": the tree becomes (-was +is):\n" + diff
	}
	if second := lucene.String(again); second != text {
		return "printed as " + text + ", then as " + second
	}
	return ""
}

func TestString(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		n, err := lucene.Parse(query)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		if got := lucene.String(n); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", query, got, want)
		}
		if why := refix(n, want); why != "" {
			t.Errorf("%s: %s", query, why)
		}
	}
	f("", "*:*")
	f(" \t\n\u3000", "*:*")
	f("a:b AND c:d OR NOT e:f", "a:b AND c:d AND NOT e:f")
	f("a:b OR c:d AND e:f", "a:b +c:d +e:f")
	f("a:b && !c:d", "a:b AND NOT c:d")
	f("+a:b +c:d", "a:b AND c:d")
	f("a:(b OR c)^4", "a:b OR a:c")
	f("a:(b AND (c OR d))", "a:b AND (a:c OR a:d)")
	f("NOT (a:b)", "NOT a:b")
	f("-(-a:b)", "NOT (NOT a:b)")
	f("a b c", `a\ b\ c`)
	f("a b c:d e", `a\ b OR c:d OR e`)
	f("a AND b c d", `+a +b OR c\ d`)
	f("quick brown AND fox", "quick +brown +fox")
	f(`a:"b \"c\" \\"`, `a:"b \"c\" \\"`)
	f(`a:\AND OR a:\(\)`, `a:\AND OR a:\(\)`)
	f(`a:b*c?d\*`, `a:b*c?d\*`)
	f("a:b**c", "a:b*c")
	f("a:**", "_exists_:a")
	f("**", "*:*")
	f("a:[1 TO 2}", "a:[1 TO 2}")
	f(`a:["b c" TO "*"]`, `a:[b\u0020c TO \*]`)
	f("a:{5 TO *}", "a:>5")
	f("a:[* TO 5]", "a:<=5")
	f("a:[* TO *]", "a:[* TO *]")
	f("a:>=\\-5", "a:>=\\-5")
	f(`a:/b\/c/`, `a:/b\/c/`)
	f("_exists_:a", "_exists_:a")
	f("a:*", "_exists_:a")
	f(`a.\*:b`, `a.\*:b`)
	f("*:b", "*:b")
	f("a+b-c", "a+b-c")
	f("a - b", `a OR \- OR b`)
}

// TestDocumentation holds the examples of docs/query.md.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../../docs/query.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| query | is read as |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := 0
	for row := range strings.Lines(table) {
		cells := strings.Split(row, "`")
		if len(cells) != 5 {
			t.Fatalf("%q has no two cells", row)
		}
		rows++
		n, err := lucene.Parse(cells[1])
		if err != nil {
			t.Fatalf("%s: %v", cells[1], err)
		}
		if got := lucene.String(n); got != cells[3] {
			t.Errorf("%s is read as %s, want %s", cells[1], got, cells[3])
		}
	}
	if rows < 10 {
		t.Errorf("%d examples", rows)
	}
}

// golden holds the answers to the queries of a file of testdata: see kqltest.Golden.
func golden(t *testing.T, name string, answer func(query string) string) {
	t.Helper()
	kqltest.Golden(t, name, *update, answer)
}

// TestErrors holds what is said of queries that cannot be read or used.
func TestErrors(t *testing.T) {
	golden(t, "errors.txt", func(query string) string {
		n, err := lucene.Parse(query)
		if err == nil {
			_, err = lucene.Lower(n, lucene.Options{Resolver: fields(t), Now: now})
		}
		if err == nil {
			return "accepted as " + lucene.String(n)
		}
		return diag.Of(err).Render()
	})
}

// TestCheck holds the advice on queries.
func TestCheck(t *testing.T) {
	golden(t, "check.txt", func(query string) string {
		n, err := lucene.Parse(query)
		if err != nil {
			return diag.Of(err).Render()
		}
		if found := lucene.Check(n, fields(t)); len(found) > 0 {
			return found.Render()
		}
		return "nothing to say"
	})
}

// TestHostile holds that a query of any size ends with one diagnostic, not with the memory or the stack.
func TestHostile(t *testing.T) {
	f := func(query, code string) {
		t.Helper()
		n, err := lucene.Parse(query)
		if err == nil {
			_, err = lucene.Lower(n, lucene.Options{Resolver: fields(t)})
		}
		found := diag.Of(err)
		if len(found) == 0 || found[0].Code != code {
			t.Errorf("%.40s…: %v, want %s", query, err, code)
		}
		found.Render()
	}
	fill := func(part string) string { return strings.Repeat(part, (lucene.MaxLength-20)/len(part)) }
	f(strings.Repeat("a ", 10<<20), lucene.CodeTooLong)
	f("a\xffb", lucene.CodeNotText)
	f(fill("("), lucene.CodeTooMany)
	f(strings.Repeat("(", 1000), lucene.CodeTooDeep)
	f(strings.Repeat("k:(", 1000), lucene.CodeTooDeep)
	f(fill("NOT "), lucene.CodeTooMany)
	f(strings.Repeat("NOT ", 1000), lucene.CodeUnexpected)
	f(fill("a OR "), lucene.CodeTooMany)
	f(fill("/"), lucene.CodeTooMany)
	f(fill(`/\`), lucene.CodeUnclosed)
	f(fill("["), lucene.CodeUnclosed)
	f("k:["+strings.Repeat("a ", 1000)+"]", lucene.CodeBound)
	f(`"`+fill(`\"`), lucene.CodeUnclosed)
	f("k:/((a{1000}){1000}){1000}/", lucene.CodeRegexp)
	f("k:/a{1000}{1000}/", lucene.CodeRegexp)
	f("k:/"+strings.Repeat("(", 10_000)+"/", lucene.CodeRegexp)
	f("k:/"+strings.Repeat("abc|", 30_000)+"/", lucene.CodeRegexp)
	f(strings.Repeat("k:/(x{1,900}y){1,9}/ OR ", 100)+"k:a", lucene.CodeRegexp)
	f(strings.Repeat(`\* OR `, 50_000)+"x", lucene.CodeTooMany)
}

// TestLarge holds that queries that are only large are answered.
func TestLarge(t *testing.T) {
	docs := documents(t)
	f := func(query, want string) {
		t.Helper()
		n, err := lucene.Parse(query)
		if err != nil {
			t.Fatalf("%.40s…: %v", query, err)
		}
		cond, err := lucene.Lower(n, lucene.Options{Resolver: fields(t), Now: now})
		if err != nil {
			t.Fatalf("%.40s…: %v", query, err)
		}
		if got := matching(cond, docs); got != want {
			t.Errorf("%.40s… finds %q, want %q", query, got, want)
		}
	}
	f("k:("+strings.Repeat("x OR ", 10_000)+"a)", "2")
	f("k:"+strings.Repeat("*a", 10_000), "")
	f("k:"+strings.Repeat("*", 10_000)+"a", "2")
	f("k:"+strings.Repeat("?", 10_000)+"*", "")
	f("k:/(a+)+$/ OR k:/(F|o|o| |B|r|a){3,}/", "1")
	f("("+strings.Repeat("k:*x* OR ", 10_000)+"k:7)", "4")
}

// TestRandom holds that random trees are printed so that they are read again as they are, and mean the same.
func TestRandom(t *testing.T) {
	m, docs := fields(t), documents(t)
	text := rapid.StringOf(rapid.OneOf(rapid.SampledFrom([]rune("ab AND+-!():^[]\"{}~*?\\/<>=&|\u3000\t")), rapid.Rune()))
	field := rapid.SampledFrom([]string{"", "k", "kn", "t", "l", "o.x", "o.*", "*"})
	literal := func(t *rapid.T) lucene.Literal { return lucene.Word(text.Draw(t, "text")) }
	var node func(t *rapid.T, depth int) lucene.Node
	leaf := func(t *rapid.T) lucene.Node {
		var f *lucene.Literal
		if name := field.Draw(t, "field"); name != "" {
			l := lucene.Word(name)
			f = &l
		}
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			return &lucene.Term{Field: f, Value: lucene.Quote(text.Draw(t, "text"))}
		case 1:
			v := literal(t)
			if v.Text = strings.Trim(v.Text, " \t\u3000<>"); v.Text == "" {
				v.Text = "x"
			}
			return &lucene.Term{Field: f, Value: v}
		case 2:
			p := &lucene.Pattern{Field: f}
			for range rapid.IntRange(1, 3).Draw(t, "parts") {
				if s := text.Draw(t, "text"); s != "" {
					p.Parts = append(p.Parts, lucene.Part{Text: s})
				}
				p.Parts = append(p.Parts, lucene.Part{One: true})
			}
			return p
		case 3:
			r := &lucene.Range{Field: f}
			if rapid.Bool().Draw(t, "min") {
				l := literal(t)
				r.Min, r.MinInclusive = &l, rapid.Bool().Draw(t, "inclusive")
			}
			if rapid.Bool().Draw(t, "max") {
				l := literal(t)
				r.Max, r.MaxInclusive = &l, rapid.Bool().Draw(t, "inclusive")
			}
			return r
		case 4:
			return &lucene.Exists{Field: lucene.Word("k")}
		}
		return &lucene.Regexp{Field: f, Value: lucene.Word(rapid.SampledFrom([]string{"a", `a\/b`, "[ab]+", ""}).Draw(t, "regex"))}
	}
	node = func(t *rapid.T, depth int) lucene.Node {
		n := rapid.IntRange(0, 4).Draw(t, "clauses")
		if depth == 0 || n == 0 {
			return leaf(t)
		}
		b := &lucene.Bool{}
		for range n {
			b.Clauses = append(b.Clauses, lucene.Clause{Occur: rapid.SampledFrom([]lucene.Occur{lucene.Should, lucene.Must, lucene.MustNot}).Draw(t, "occur"), Node: node(t, depth-1)})
		}
		if n == 1 {
			b.Clauses[0].Occur = lucene.MustNot
		}
		return b
	}
	meaning := func(t *rapid.T, n lucene.Node) string {
		cond, err := lucene.Lower(n, lucene.Options{Resolver: m, Now: now})
		if err != nil {
			return "refused"
		}
		return expr.String(cond) + " " + matching(cond, docs)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := node(t, 3)
		printed := lucene.String(n)
		again, err := lucene.Parse(printed)
		if err != nil {
			t.Fatalf("%s: %v", printed, err)
		}
		if why := refix(n, printed); why != "" {
			t.Fatal(why)
		}
		if a, b := meaning(t, n), meaning(t, again); a != b {
			t.Fatalf("%s means\n%s, not\n%s", printed, b, a)
		}
	})
}

// FuzzParse holds that no query brings the program down, and that what is read is printed so that it is read again.
func FuzzParse(f *testing.F) {
	for _, fact := range lucenetest.Facts() {
		f.Add(fact.Query)
	}
	for _, name := range []string{"errors.txt", "check.txt"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			if q, ok := strings.CutPrefix(line, "> "); ok {
				f.Add(q)
			}
		}
	}
	m, docs := fields(f), documents(f)
	f.Fuzz(func(t *testing.T, query string) {
		n, err := lucene.Parse(query)
		if err != nil {
			found := diag.Of(err)
			if len(found) != 1 || found[0].Code == "" || found[0].Message == "" || found[0].Span.Start < 0 ||
				found[0].Span.Start > len(query) || found[0].Span.End > len(query) || found[0].Span.End < found[0].Span.Start {
				t.Fatalf("%q: a bad diagnostic: %#v", query, err)
			}
			found.Render()
			return
		}
		printed := lucene.String(n)
		if why := refix(n, printed); why != "" {
			t.Errorf("%q: %s", query, why)
		}
		found := lucene.Check(n, m)
		found.Render()
		cond, err := lucene.Lower(n, lucene.Options{Resolver: m, Now: now})
		if (err == nil) != (found.Err() == nil) {
			t.Errorf("%q: Check finds %v, Lower %v", query, found, err)
		}
		lucene.UsesNow(n)
		if err != nil {
			return
		}
		again, err := lucene.Parse(printed)
		if err != nil {
			t.Fatal(err)
		}
		same, err := lucene.Lower(again, lucene.Options{Resolver: m, Now: now})
		if err != nil || expr.String(same) != expr.String(cond) {
			t.Errorf("%q: printed as %q, it means %v (%v), not %v", query, printed, same, err, cond)
		}
		matching(cond, docs)
	})
}
