package storetest

import (
	"fmt"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// alertScan begins a plan over alerts.
const alertScan = "scan " + store.AlertStream + "\n"

func alerts(t *testing.T, s *suite) {
	f := func(n int, want []string, docs ...*event.Event) {
		t.Helper()
		c := s.apply(n, &store.Change{Alerts: docs})
		equal(t, fmt.Sprintf("new alerts of %d", n), fmt.Sprintf("%q", want), fmt.Sprintf("%q", c.Outcome.NewAlerts))
		equal(t, "stored events", 0, c.Outcome.Stored+c.Outcome.Duplicates+c.Outcome.Conflicts)
	}
	f(1, []string{"c", "a"}, doc("", "c", `{"n":1}`), doc("", "a", `{"n":1}`))
	// Known by ID: whatever the day, the content, the bytes or the stream they name.
	f(2, []string{"b"}, doc("", "a", `{"n":1}`), doc("logs-a", "b", `{"n":2}`), doc("", "b", `{"n":3}`))
	f(3, nil, doc("", "a", `{"n":4,"@timestamp":"2026-03-05T00:00:00Z"}`))
	bare := doc("", "d", `{"n":5}`)
	bare.Source = event.Raw{}
	f(4, []string{"d"}, bare, bare.Clone())
	// They land in their stream, apart from events with the same ID.
	s.apply(5, &store.Change{Events: []*event.Event{doc("logs-a", "a", `{"n":6}`)}})
	s.finds("scan", "a")
	s.finds("scan *", "a")
	s.finds(alertScan, "a b c d")
	s.finds("scan .alerts-*", "a b c d")
	s.finds("scan * .*", "a a b c d")
	s.finds(alertScan+"filter (range n:long <= 2)", "a b c")
	for _, e := range s.rows(plan.Scan{Streams: []string{store.AlertStream}}, s.latest()) {
		equal(t, "stream", store.AlertStream, e.Stream)
	}
}

func states(t *testing.T, s *suite) {
	set := func(n int, states ...store.AlertState) {
		t.Helper()
		s.apply(n, &store.Change{States: states})
	}
	state := func(alert, path string, v event.Value) store.AlertState {
		return store.AlertState{Alert: alert, Path: path, Value: v}
	}
	const status = "kibana.alert.workflow_status"
	has := func(id, want string) {
		t.Helper()
		for _, e := range s.rows(plan.Scan{Streams: []string{store.AlertStream}}, s.latest()) {
			if e.ID == id {
				equal(t, "the alert "+id, want, string(e.AppendJSON(nil, nil)))
				return
			}
		}
		t.Errorf("no alert %s", id)
	}
	alert := doc("", "a", `{"n":1}`)
	c := &store.Change{Alerts: []*event.Event{alert, doc("", "b", `{"n":2}`)},
		Events: []*event.Event{doc("logs-a", "a", `{"n":3}`)},
		States: []store.AlertState{state("a", status, event.String("open"))}}
	s.apply(1, c)
	old := s.latest()
	body := `{"@timestamp":"2026-03-01T12:00:00.000Z","kibana":{"alert":{"workflow_status":"%s"}},"n":1}`
	has("a", fmt.Sprintf(body, "open"))
	has("b", `{"@timestamp":"2026-03-01T12:00:00.000Z","n":2}`)
	// The last one counts, in a change too; conditions, sorting and groups read it.
	set(2, state("a", status, event.String("acknowledged")), state("b", status, event.String("open")))
	set(3, state("a", status, event.String("open")), state("a", status, event.String("closed")))
	has("a", fmt.Sprintf(body, "closed"))
	s.finds(alertScan+`filter (in kibana.alert.workflow_status:keyword "closed")`, "a")
	s.finds(alertScan+`filter (not (in kibana.alert.workflow_status:keyword "closed"))`, "b")
	s.finds(alertScan+`filter (in kibana.alert.workflow_status:keyword "acknowledged")`, "")
	s.finds(alertScan+"sort (desc kibana.alert.workflow_status:keyword)\nlimit 1", "b")
	rows := s.rows(parsed(t, alertScan+"aggregate (each s kibana.alert.workflow_status:keyword) (count n)\nsort s:keyword"), s.latest())
	if len(rows) != 2 || rows[0].Text("s") != "closed" || rows[1].Text("s") != "open" {
		t.Errorf("groups by state: %d rows", len(rows))
	}
	// An older snapshot shows the present state.
	found := s.rows(parsed(t, alertScan+`filter (in kibana.alert.workflow_status:keyword "closed")`), old)
	equal(t, "alerts with their state at an older snapshot", 1, len(found))
	// Events have no state, whatever their ID.
	s.finds(`filter (exists kibana.alert.workflow_status:keyword)`, "")
	// States have any type of value, lists too, and are typed by who reads them.
	set(4, state("a", "kibana.alert.suppression.docs_count", event.Int(7)), state("a", "tags", event.Strings("x", "y")),
		state("a", "kibana.alert.known_since", event.String("2026-03-01T00:00:00Z")))
	s.finds(alertScan+"filter (range kibana.alert.suppression.docs_count:long > 6)", "a")
	s.finds(alertScan+`filter (and (in tags:keyword "x") (in tags:keyword "y"))`, "a")
	s.finds(alertScan+`filter (range kibana.alert.known_since:date >= "2026-03-01")`, "a")
	// A null takes the field away.
	set(5, state("a", status, event.Null()), state("a", "tags", event.Null()))
	s.finds(alertScan+"filter (exists kibana.alert.workflow_status:keyword)", "b")
	set(6, state("a", status, event.String("open")))
	s.finds(alertScan+"filter (exists kibana.alert.workflow_status:keyword)", "a b")
	// A state in the place of a field of the document.
	set(7, state("b", "n", event.Int(9)))
	s.finds(alertScan+"filter (in n:long 9)", "b")
	s.finds(alertScan+"filter (in n:long 2)", "")
	s.finds(alertScan+"filter (exists n:long)", "a b")
	set(7, state("b", "n", event.Null()))
	s.finds(alertScan+"filter (exists n:long)", "a")
	set(7, state("b", "n", event.Int(9)))
	// A state may come before its alert.
	set(8, state("late", status, event.String("open")))
	s.apply(9, &store.Change{Alerts: []*event.Event{doc("", "late", `{}`)}})
	s.finds(alertScan+`filter (in kibana.alert.workflow_status:keyword "open")`, "a b late")
	// What only asks for other fields sees the state all the same.
	for _, e := range s.rows(parsed(t, alertScan+"filter (in n:long 9)\nproject kibana.alert.workflow_status"), s.latest()) {
		equal(t, "the state alone", `{"kibana":{"alert":{"workflow_status":"open"}}}`, string(e.AppendJSON(nil, nil)))
	}
}
