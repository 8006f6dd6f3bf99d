package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

func field(path string) expr.Field    { return expr.Field{Path: path} }
func one(path string) expr.Value      { return expr.One{Field: field(path)} }
func exists(path string) expr.Cond    { return expr.Exists{Field: field(path)} }
func scan(fields ...string) plan.Scan { return plan.Scan{Streams: []string{"s"}, Fields: fields} }

// scanOf returns the scan at the end of p.
func scanOf(p plan.Node) plan.Scan {
	for plan.Input(p) != nil {
		p = plan.Input(p)
	}
	return p.(plan.Scan)
}

// TestPrune holds what a plan's scan has to read; nil is everything.
func TestPrune(t *testing.T) {
	f := func(p plan.Node, want ...string) {
		t.Helper()
		pruned := plan.Prune(p)
		s := scanOf(pruned)
		if len(want) == 1 && want[0] == "*" {
			want = nil
		} else if want == nil {
			want = []string{}
		}
		if diff := cmp.Diff(want, s.Fields); diff != "" {
			t.Errorf("%#v\nfields (-want +got):\n%s", p, diff)
		}
		if s.Streams[0] != "s" {
			t.Errorf("the streams changed: %q", s.Streams)
		}
		if again := scanOf(plan.Prune(pruned)); fmt.Sprint(again) != fmt.Sprint(s) {
			t.Errorf("pruned again: %v, then %v", s, again)
		}
	}
	project := func(in plan.Node, paths ...string) plan.Node { return plan.Project{In: in, Paths: paths} }
	filter := func(in plan.Node, c expr.Cond) plan.Node { return plan.Filter{In: in, Cond: c} }
	// Whole documents, whatever else is read.
	f(scan(), "*")
	f(scan("left", "over"), "*")
	f(filter(scan(), exists("a")), "*")
	f(plan.Limit{In: plan.Sort{In: scan(), Keys: []plan.SortKey{{Value: one("a")}}}}, "*")
	f(plan.Eval{In: scan(), Cols: []plan.Column{{Name: "x", Value: one("a")}}}, "*")
	// Below a project: its paths and what stands below it reads, sorted, each once.
	f(project(scan(), "b", "a", "b"), "a", "b")
	f(project(scan()))
	f(project(filter(filter(scan(), exists("c")), exists("a")), "b"), "a", "b", "c")
	f(project(plan.SemiJoin{In: scan(), Field: field("c")}, "b"), "b", "c")
	f(plan.SemiJoin{In: scan(), Field: field("c")}, "*")
	f(project(plan.Sort{In: plan.Eval{In: scan(), Cols: []plan.Column{{Name: "x", Value: one("a")}}}, Keys: []plan.SortKey{{Value: one("x")}}}, "b"),
		"a", "b", "x")
	f(plan.Limit{In: project(plan.Limit{In: scan(), N: 1}, "a"), N: 1}, "a")
	f(project(filter(scan(), expr.Nested{Path: "o", Cond: exists("o.k")}), "b"), "b", "o", "o.k")
	f(project(filter(scan(), expr.Cmp{Left: one("l"), Right: expr.Call{Fn: "coalesce", Args: []expr.Value{one("r"), expr.Lit{}}}}), "b"),
		"b", "l", "r")
	// What reads everything does, unless a project stands below.
	f(project(filter(scan(), expr.Anywhere{Text: "x"}), "a"), "*")
	f(filter(project(scan(), "a"), expr.Anywhere{Text: "x"}), "a")
	f(project(project(scan(), "a"), "b"), "a", "b")
	// An aggregate reads its keys and values alone.
	aggregate := func(in plan.Node) plan.Node {
		return plan.Aggregate{In: in,
			By:   []plan.Group{{Name: "g", Each: field("a")}, {Name: "h", Value: one("b")}},
			Aggs: []plan.Agg{{Name: "n"}, {Name: "m", Fn: plan.Max, Value: one("c")}}}
	}
	f(aggregate(scan()), "a", "b", "c")
	f(plan.Sort{In: filter(aggregate(filter(scan(), exists("d"))), exists("n")), Keys: []plan.SortKey{{Value: one("g")}}}, "a", "b", "c", "d")
	f(aggregate(filter(scan(), expr.Anywhere{Text: "x"})), "*")
	f(filter(aggregate(scan()), expr.Anywhere{Text: "x"}), "a", "b", "c")
	f(plan.Aggregate{In: scan(), Aggs: []plan.Agg{{Name: "n"}}})
	// Without a scan there is nothing to prune.
	if p := plan.Prune(nil); p != nil {
		t.Errorf("nothing is pruned to %v", p)
	}
	if p, ok := plan.Prune(plan.Limit{N: 3}).(plan.Limit); !ok || p.N != 3 || p.In != nil {
		t.Errorf("a limit over nothing is pruned to %v", p)
	}
}

// TestOver holds that a node is put over another one without a change to the first plan.
func TestOver(t *testing.T) {
	other := scan("x")
	for _, n := range []plan.Node{
		plan.Filter{In: scan(), Cond: exists("a")},
		plan.Eval{In: scan(), Cols: []plan.Column{{Name: "x"}}},
		plan.Aggregate{In: scan(), Aggs: []plan.Agg{{Name: "n"}}},
		plan.Sort{In: scan(), Keys: []plan.SortKey{{Desc: true}}},
		plan.Limit{In: scan(), N: 3},
		plan.Project{In: scan(), Paths: []string{"a"}},
		plan.Sequence{In: scan(), MaxSpan: time.Second},
		plan.Sample{In: scan(), PerKey: 3},
	} {
		before := fmt.Sprintf("%#v", n)
		got := plan.Over(n, other)
		if diff := cmp.Diff(plan.Node(other), plan.Input(got)); diff != "" {
			t.Errorf("%T over another scan (-want +got):\n%s", n, diff)
		}
		if fmt.Sprintf("%#v", n) != before {
			t.Errorf("%T was changed", n)
		}
		if back := fmt.Sprintf("%#v", plan.Over(got, scan())); back != before {
			t.Errorf("%T and back: %s, was %s", n, back, before)
		}
	}
	if got := plan.Over(scan(), other); len(got.(plan.Scan).Fields) != 0 || plan.Input(got) != nil {
		t.Errorf("a scan stands over nothing: %v", got)
	}
}

func at(s string) time.Time {
	t, ok := event.ParseTime(s)
	if !ok {
		panic(s)
	}
	return t
}

func TestTimeField(t *testing.T) {
	from, to := at("2026-03-01T10:00:00Z"), at("2026-03-01T11:00:00Z")
	plain := plan.TimeField{Primary: plan.Timestamp}
	ingested := plan.TimeField{Primary: plan.Ingested, Fallback: plan.Timestamp}
	strict := plan.TimeField{Primary: plan.Ingested}
	f := func(field plan.TimeField, doc string, within bool, of string) {
		t.Helper()
		e, err := event.Decode([]byte(doc), event.DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := expr.Matches(field.Within(from, to), e); got != within {
			t.Errorf("%v: %s lies within: %t, want %t", field, doc, got, within)
		}
		got, ok := field.Of(e)
		if ok != (of != "") || ok && event.FormatTime(got) != of {
			t.Errorf("%v of %s: %s (%t), want %q", field, doc, got, ok, of)
		}
	}
	// Both ends are included, to the millisecond.
	f(plain, `{"@timestamp":"2026-03-01T10:00:00Z"}`, true, "2026-03-01T10:00:00.000Z")
	f(plain, `{"@timestamp":"2026-03-01T11:00:00.000999Z"}`, true, "2026-03-01T11:00:00.000Z")
	f(plain, `{"@timestamp":"2026-03-01T09:59:59.999Z"}`, false, "2026-03-01T09:59:59.999Z")
	f(plain, `{"@timestamp":"2026-03-01T11:00:00.001Z"}`, false, "2026-03-01T11:00:00.001Z")
	f(plain, `{"@timestamp":1772359200123}`, true, "2026-03-01T10:00:00.123Z")
	f(plain, `{"@timestamp":"soon"}`, false, "")
	f(plain, `{}`, false, "")
	// Of several values any lies within, and the least is the event's time.
	f(plain, `{"@timestamp":["2026-03-01T12:00:00Z","2026-03-01T10:30:00Z"]}`, true, "2026-03-01T10:30:00.000Z")
	f(plain, `{"@timestamp":["2026-03-01T12:00:00Z","2026-03-01T09:00:00Z"]}`, false, "2026-03-01T09:00:00.000Z")
	// The fallback is for events that lack the first field, and for them alone.
	f(ingested, `{"event":{"ingested":"2026-03-01T10:30:00Z"},"@timestamp":"2026-03-01T01:00:00Z"}`, true, "2026-03-01T10:30:00.000Z")
	f(ingested, `{"event":{"ingested":"2026-03-01T12:00:00Z"},"@timestamp":"2026-03-01T10:30:00Z"}`, false, "2026-03-01T12:00:00.000Z")
	f(ingested, `{"@timestamp":"2026-03-01T10:30:00Z"}`, true, "2026-03-01T10:30:00.000Z")
	f(ingested, `{"event":{"ingested":"never"},"@timestamp":"2026-03-01T10:30:00Z"}`, true, "2026-03-01T10:30:00.000Z")
	f(ingested, `{"event":{"ingested":null}}`, false, "")
	f(strict, `{"@timestamp":"2026-03-01T10:30:00Z"}`, false, "")

	value := func(field plan.TimeField, doc, want string) {
		t.Helper()
		e, err := event.Decode([]byte(doc), event.DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := expr.Compute(field.Value(), e).Text(); got != want {
			t.Errorf("%v: the value of %s is %q, want %q", field, doc, got, want)
		}
	}
	value(plain, `{"@timestamp":"2026-03-01"}`, "2026-03-01T00:00:00.000Z")
	value(ingested, `{"@timestamp":"2026-03-01"}`, "2026-03-01T00:00:00.000Z")
	value(ingested, `{"@timestamp":"2026-03-01","event":{"ingested":"2026-03-02"}}`, "2026-03-02T00:00:00.000Z")
	value(strict, `{"@timestamp":"2026-03-01"}`, "")

	paths := func(field plan.TimeField, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, field.Paths()); diff != "" {
			t.Errorf("paths of %v (-want +got):\n%s", field, diff)
		}
	}
	paths(plain, "@timestamp")
	paths(ingested, "event.ingested", "@timestamp")
}
