package storetest

import (
	"math/rand/v2"
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// TestNotation holds that a plan that is written and read again is the same plan, and events the same events: what a
// failing random plan is printed as shows the failure.
func TestNotation(t *testing.T) {
	for set := range 20 {
		r := rand.New(rand.NewPCG(7, uint64(set)))
		events := randomEvents(r, 40)
		db := mem.New(DeclaredType)
		seqs := load(t, db, events)
		var lines []string
		for _, e := range events {
			lines = append(lines, formatEvent(e))
		}
		again, err := parseEvents(strings.Join(lines, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range events {
			if got := again[i]; formatRow(got.Event) != formatRow(e.Event) || got.commit != e.commit || formatEvent(got) != lines[i] {
				t.Errorf("%s is read as %s", lines[i], formatEvent(got))
			}
		}
		for range 100 {
			p := randomPlan(r, db, store.Snapshot{Seq: seqs[len(seqs)-1]})
			text := formatPlan(p)
			got, err := parsePlan(text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if second := formatPlan(got); second != text {
				t.Errorf("%s is read as\n%s", text, second)
			}
		}
	}
}

func TestBadNotation(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, err := parsePlan(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	f("fliter true", "no node is called fliter")
	f("filter true\nscan", "a scan is the first node")
	f("filter", "ends too early")
	f("filter (in user.name:keyword", "ends too early")
	f("filter (in user.name:text_ual \"a\")", "no type is called text_ual")
	f("filter (in user.name \"a\")", "expected path:type")
	f("filter (in source.port:long \"https\")", "no value of the type long")
	f("filter (is user.name:keyword)", "no condition is called is")
	f("filter true true", "too much")
	f("eval x (upper user.name:keyword)", "no function upper of 1 arguments")
	f("eval x (day)", "no function day of 0 arguments")
	f("aggregate (sum n user.name:keyword)", "no aggregate is called sum")
	f("limit many", "a limit is a number")
	f("sort word", "expected a value, found word")
}

// TestCorpusIsWhole holds that every node, condition, comparison, aggregate and function occurs in a fact of testdata
// that some events fulfil and others do not.
func TestCorpusIsWhole(t *testing.T) {
	seen := map[string]int{}
	names, err := testdata.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	facts := 0
	for _, name := range names {
		text, err := testdata.ReadFile(path.Join("testdata", name.Name()))
		if err != nil {
			t.Fatal(err)
		}
		c, err := parseCase(text)
		if err != nil {
			t.Fatalf("%s: %v", name.Name(), err)
		}
		facts += len(c.facts)
		for _, f := range c.facts {
			if len(f.want) == 0 || len(f.want) == len(c.events) && !ordered(f.plan) {
				continue
			}
			for n := f.plan; n != nil; n = plan.Input(n) {
				count(seen, n)
			}
		}
	}
	t.Logf("%d facts", facts)
	var want []string
	want = append(want, everyNode...)
	want = append(want, everyLeaf...)
	want = append(want, "and", "or", "not", "true", "false", "each", "by", "count", "distinct", "min", "max", "desc", "this", "least", "test")
	for fn := range expr.Functions {
		want = append(want, fn)
	}
	for typ := event.Keyword; typ <= event.ObjectType; typ++ {
		want = append(want, typ.String())
	}
	for _, name := range want {
		if seen[name] == 0 {
			t.Errorf("no fact that some events fulfil and others do not holds %s", name)
		}
	}
}

// count counts the words of a node's notation.
func count(seen map[string]int, n plan.Node) {
	for _, token := range tokenise(formatNode(n)) {
		seen[token]++
		if isField(token) {
			_, typ, _ := strings.Cut(strings.TrimSuffix(token, "*"), ":")
			seen[typ]++
		}
	}
}

func TestDetermined(t *testing.T) {
	f := func(text string, ok, open bool) {
		t.Helper()
		p, err := parsePlan(text)
		if err != nil {
			t.Fatal(err)
		}
		if gotOK, gotOpen := determined(p); gotOK != ok || gotOpen != open {
			t.Errorf("%s: determined %t, open %t", text, gotOK, gotOpen)
		}
	}
	f("scan", true, false)
	f("limit 3", true, true)
	f("limit 3\nproject a", false, false)
	f("sort a:long\nlimit 3\nproject a", true, false)
	f("sort a:long\nfilter true\nproject b\nlimit 3", true, false)
	f("aggregate (count n)\nlimit 3\nproject n", true, false)
	f("aggregate (each g a:long)\nsort g:long\nlimit 3\nproject g", true, false)
	f("aggregate (each g a:long)\nlimit 3", true, true)
	f("aggregate (each g a:long) (each h b:long)\nsort g:long\nlimit 3\nproject g", false, false)
	f("aggregate (each g a:long)\neval g 1\nsort g:long\nlimit 3\nproject g", false, false)
	f("aggregate (each g a:long) (count n)\nproject n\nsort g:long\nlimit 3\nproject n", false, false)
	if !reflect.DeepEqual(simplerPlans(plan.Scan{}), []plan.Node(nil)) {
		t.Error("a scan of everything cannot be made simpler")
	}
}

// TestTypeOf holds that what is computed can be read again without loss: an order by it leaves nothing open.
func TestTypeOf(t *testing.T) {
	f := func(text string, want event.Type) {
		t.Helper()
		p, err := parsePlan("eval x " + text)
		if err != nil {
			t.Fatal(err)
		}
		if got := typeOf(p.(plan.Eval).Cols[0].Value); got != want {
			t.Errorf("%s is read as %v, want %v", text, got, want)
		}
	}
	f("(divide event.risk_score:double 4)", event.Double)
	f("(add 1 (multiply event.risk_score:double 2))", event.Double)
	f("(divide event.duration:long 4)", event.Long)
	f("(length user.name:keyword)", event.Long)
	f("(to_upper user.name:keyword)", event.Keyword)
}
