package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// TestFound holds that a row says again what was found, and that paths lead into it.
func TestFound(t *testing.T) {
	decode := func(id, doc string) *event.Event {
		e, err := event.Decode([]byte(doc), event.DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		e.ID, e.Stream = id, "s-"+id
		return e
	}
	a := decode("a", `{"user":{"name":["ann","bob"]},"n":1,"files":[{"name":"x"},{"name":"y"}],"id":"not a"}`)
	b := decode("b", `{}`)
	f := plan.Found{Number: 7, Keys: []event.Value{event.Null(), event.String("k")}, Events: []*event.Event{a, nil, b}}
	row := f.Row()
	if got := string(row.AppendJSON(nil, nil)); got != `{"events":[`+
		`{"fields":{"files":[{"name":"x"},{"name":"y"}],"id":"not a","n":1,"user.name":["ann","bob"]},"id":"a","stream":"s-a"},`+
		`null,{"fields":{},"id":"b","stream":"s-b"}],"keys":[null,"k"],"number":7}` {
		t.Errorf("the row is %s", got)
	}
	again := plan.FoundIn(row)
	if again.Number != 7 || len(again.Keys) != 2 || !again.Keys[0].IsNull() || again.Keys[1].Str() != "k" {
		t.Errorf("number %d, keys %v", again.Number, again.Keys)
	}
	if len(again.Events) != 3 || again.Events[1] != nil {
		t.Fatalf("%d events, %v", len(again.Events), again.Events)
	}
	for i, want := range map[int]*event.Event{0: a, 2: b} {
		got := again.Events[i]
		if got.ID != want.ID || got.Stream != want.Stream {
			t.Errorf("event %d is %s of %s", i, got.ID, got.Stream)
		}
		if diff := cmp.Diff(string(want.AppendJSON(nil, nil)), string(got.AppendJSON(nil, nil))); diff != "" {
			t.Errorf("event %d (-want +got):\n%s", i, diff)
		}
	}
	name := expr.Field{Path: "events.fields.user.name"}
	if got := expr.Read(name, row); len(got) != 2 || got[1].Str() != "bob" {
		t.Errorf("%s is %v", name.Path, got)
	}
	in := func(path, value string) expr.Cond {
		return expr.In{Field: expr.Field{Path: path}, Values: []event.Value{event.String(value)}}
	}
	if !expr.Matches(expr.Nested{Path: "events", Cond: expr.All(in("events.id", "a"), in("events.fields.user.name", "ann"))}, row) {
		t.Error("no event is a, of ann")
	}
	if expr.Matches(expr.Nested{Path: "events", Cond: expr.All(in("events.id", "b"), in("events.fields.user.name", "ann"))}, row) {
		t.Error("b is of ann")
	}
	if left := plan.FoundIn(row.Keep([]string{"number"})); left.Number != 7 || left.Keys != nil || left.Events != nil {
		t.Errorf("of the number alone %v is left", left)
	}
}

// TestPruneSequence holds that scans below a Sequence or Sample read what it, and what stands above it, reads.
func TestPruneSequence(t *testing.T) {
	f := func(n plan.Node, want ...string) {
		t.Helper()
		n = plan.Prune(n)
		for plan.Input(n) != nil {
			n = plan.Input(n)
		}
		got := n.(plan.Scan).Fields
		if len(want) == 1 && want[0] == "*" {
			if got != nil {
				t.Errorf("reads %q, want whole documents", got)
			}
			return
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("fields (-want +got):\n%s", diff)
		}
	}
	stage := func(path, key string) plan.Stage {
		return plan.Stage{Cond: exists(path), Keys: []plan.Key{{Field: field(key)}, {Optional: true}}}
	}
	until := stage("u", "uk")
	s := plan.Sequence{In: scan(), Stages: []plan.Stage{stage("a", "ak"), stage("b", "bk")}, Until: &until,
		Order: plan.Order{Ties: []expr.Value{one("tie")}}}
	m := plan.Sample{In: scan(), Stages: []plan.Stage{stage("a", "ak"), stage("b", "bk")}, Order: plan.Order{Time: "when"}}
	project := func(in plan.Node, paths ...string) plan.Node { return plan.Project{In: in, Paths: paths} }
	f(s, "*")
	f(m, "*")
	f(plan.Limit{In: s, N: 1}, "*")
	f(project(s, "number"), "@timestamp", "a", "ak", "b", "bk", "tie", "u", "uk")
	f(project(m, "keys", "events.id"), "a", "ak", "b", "bk", "when")
	f(project(m, "events.fields.x.y", "events.fields.z"), "a", "ak", "b", "bk", "when", "x.y", "z")
	f(project(m, "events"), "*")
	f(project(m, "events.fields"), "*")
	f(project(plan.Filter{In: m, Cond: exists("events.fields.q")}, "number"), "a", "ak", "b", "bk", "q", "when")
	f(project(plan.Filter{In: m, Cond: exists("q")}, "number"), "a", "ak", "b", "bk", "when")
	f(plan.Aggregate{In: m, Aggs: []plan.Agg{{Name: "n"}}}, "a", "ak", "b", "bk", "when")
	all := plan.Stage{Cond: expr.Anywhere{Text: "x"}}
	f(project(plan.Sequence{In: scan(), Stages: []plan.Stage{stage("a", "ak"), all}}, "number"), "*")
	f(project(plan.Sequence{In: scan(), Stages: []plan.Stage{stage("a", "ak")}, Until: &all}, "number"), "*")
	f(project(plan.Sample{In: scan(), Stages: []plan.Stage{all}}, "number"), "*")
	f(plan.Sequence{In: project(scan(), "p"), Stages: []plan.Stage{stage("a", "ak")}}, "@timestamp", "a", "ak", "p")
	if len(s.Stages) != 2 {
		t.Errorf("the plan has now %d stages", len(s.Stages))
	}
}
