package detect_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// elasticGroups is a small model of how Elastic counts by user.name from run to run (rule-execution.md §1.11, §3.1).
type elasticGroups struct {
	least int                  // the threshold; 0: a query rule that folds alerts in each run
	until map[string]time.Time // up to when the events of a user are left out
}

// run returns "user count" for each alert of a run; of a query rule the count is of all events of the alert.
func (m *elasticGroups) run(docs []*event.Event, w window.Window) []string {
	counts, last := map[string]int{}, map[string]time.Time{}
	for _, d := range docs {
		at, _ := plan.TimeField{Primary: plan.Timestamp}.Of(d)
		users := expr.Read(expr.Field{Path: "user.name"}, d)
		if !w.Span().Contains(at) {
			continue
		}
		// The exclusion is a filter on documents: one that holds a value that was counted is out for its other values too.
		if slices.ContainsFunc(users, func(u event.Value) bool { return !at.After(m.until[u.Text()]) }) {
			continue
		}
		for _, u := range users {
			counts[u.Text()]++
			if at.After(last[u.Text()]) {
				last[u.Text()] = at
			}
		}
	}
	out := []string{}
	for user, n := range counts {
		if n >= m.least {
			out = append(out, fmt.Sprint(user, " ", n))
			m.until[user] = last[user]
		}
	}
	slices.Sort(out)
	return out
}

// countsOf says the same of Tocsin's alerts.
func countsOf(alerts []*event.Event) []string {
	out := []string{}
	for _, a := range alerts {
		n := a.Get("kibana.alert.threshold_result.count")
		if n.IsNull() {
			n = event.Int(a.Get("kibana.alert.suppression.docs_count").Int() + 1)
		}
		user := a.Text("user.name")
		for _, t := range a.Get("kibana.alert.suppression.terms").Items() {
			user = t.Member("value").Text()
		}
		out = append(out, user+" "+n.Text())
	}
	slices.Sort(out)
	return out
}

// An event that holds two values is counted for the one, and then not for the other.
func TestDeviationThresholdLists(t *testing.T) {
	b := newBench(t)
	p := compile(t, parse(t, "two", "type='threshold'\nquery='event.action: login'\nfrom='now-20m'\ninterval='10m'\n[rule.threshold]\nfield=['user.name']\nvalue=2"))
	docs := []*event.Event{
		login(t, "1", "9 10:01", `{"user.name": "ann"}`),
		login(t, "2", "9 10:02", `{"user.name": ["ann", "bob"]}`),
		login(t, "3", "9 10:11", `{"user.name": "bob"}`),
	}
	b.land(docs...)
	m := &elasticGroups{least: 2, until: map[string]time.Time{}}
	f := func(slot string, elastic, ours []string) {
		t.Helper()
		w, err := p.Window(at(t, slot))
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(elastic, m.run(docs, w)); diff != "" {
			t.Errorf("Elastic at %s:\n%s", slot, diff)
		}
		if diff := gocmp.Diff(ours, countsOf(b.run(p, w).Alerts)); diff != "" {
			t.Errorf("Tocsin at %s:\n%s", slot, diff)
		}
	}
	f("9 10:10", []string{"ann 2"}, []string{"ann 2"})
	f("9 10:20", []string{}, []string{"bob 2"})
}

// An event that lands late, before the last one of its group, is neither alerted on nor counted.
func TestDeviationLateFolded(t *testing.T) {
	b := newBench(t)
	p := compile(t, parse(t, "folds", "type='query'\nquery='event.action: login'\nfrom='now-20m'\ninterval='10m'\n[rule.alert_suppression]\ngroup_by=['user.name']"))
	docs := []*event.Event{login(t, "1", "9 10:01", `{"user.name": "ann"}`), login(t, "2", "9 10:05", `{"user.name": "ann"}`)}
	b.land(docs...)
	m := &elasticGroups{until: map[string]time.Time{}}
	run := func(slot string) (elastic []string) {
		t.Helper()
		w, err := p.Window(at(t, slot))
		if err != nil {
			t.Fatal(err)
		}
		b.run(p, w)
		return m.run(docs, w)
	}
	if diff := gocmp.Diff([]string{"ann 2"}, run("9 10:10")); diff != "" {
		t.Errorf("Elastic:\n%s", diff)
	}
	late := login(t, "3", "9 10:03", `{"user.name": "ann"}`)
	docs = append(docs, late)
	b.land(late)
	if diff := gocmp.Diff([]string{}, run("9 10:20")); diff != "" {
		t.Errorf("Elastic sees the late event:\n%s", diff)
	}
	run("9 10:10") // the window is dirty
	if diff := gocmp.Diff([]string{"ann 3"}, countsOf(b.alerts())); diff != "" {
		t.Errorf("Tocsin:\n%s", diff)
	}
}

// Alerts are folded by up to five fields.
func TestDeviationFoldedByFive(t *testing.T) {
	b := newBench(t)
	p := compile(t, parse(t, "five", "type='query'\nquery='event.action: login'\n[rule.alert_suppression]\n"+
		"group_by=['user.name','user.id','host.name','source.ip','event.action']"))
	if len(p.Rule.Suppression.GroupBy) <= elasticMaxFields {
		t.Fatal("Elastic would take the rule")
	}
	const same = `{"user.name": "ann", "user.id": 1, "host.name": "h", "source.ip": "10.0.0.1"}`
	b.land(login(t, "1", "9 10:01", same), login(t, "2", "9 10:02", same), login(t, "3", "9 10:03", `{"user.name": "ann", "user.id": 2}`))
	b.at(p, "9 10:05")
	if diff := gocmp.Diff([]string{"login 1", "login 2"}, countsOf(b.alerts())); diff != "" {
		t.Error(diff)
	}
}

// What is folded into an alert is counted, however much it is; Elastic stops at five times max_signals.
func TestDeviationMuchToFold(t *testing.T) {
	const most, times, events = 2, 5, 30
	b := newBench(t)
	p := compile(t, parse(t, "much", fmt.Sprintf("type='new_terms'\nquery='event.action: login'\nmax_signals=%d\n[rule.alert_suppression]\ngroup_by=['host.name']\n%s", most, terms("now-1d", "user.name"))))
	for i := range events {
		b.land(login(t, fmt.Sprint(i), "9 10:01", fmt.Sprintf(`{"user.name": "u%02d", "host.name": "h"}`, i)))
	}
	b.at(p, "9 10:05")
	alerts := b.alerts()
	if len(alerts) != 1 || alerts[0].Get("kibana.alert.suppression.docs_count").Int() != events-1 || events-1 <= most*times {
		t.Errorf("%d alerts, %s folded", len(alerts), alerts[0].Text("kibana.alert.suppression.docs_count"))
	}
}
