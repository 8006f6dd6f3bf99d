package detect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// elasticMatches is a small model of how Elastic compares (rule-execution.md §3.2), of keyword fields: the events that match
// an indicator. It goes through the indicators and looks for events. One group of one comparison takes a document's first
// value; several comparisons leave a document out that has not one value for each. hides are the exceptions, which count for
// indicators too.
func elasticMatches(events, indicators []*event.Event, fields [][2]string, hides func(*event.Event) bool) []string {
	out := []string{}
	for _, e := range events {
		if hides(e) {
			continue
		}
		if slices.ContainsFunc(indicators, func(i *event.Event) bool {
			if hides(i) {
				return false
			}
			for _, f := range fields {
				values := i.Values(f[1])
				if len(values) == 0 || len(fields) > 1 && len(values) != 1 {
					return false
				}
				if !slices.ContainsFunc(e.Values(f[0]), func(v event.Value) bool { return v.Text() == values[0].Text() }) {
					return false
				}
			}
			return true
		}) {
			out = append(out, e.ID)
		}
	}
	return out
}

func none(*event.Event) bool { return false }

// An indicator of several values: Elastic compares the first of them or leaves it out, which loses alerts without a word.
func TestDeviationIndicatorLists(t *testing.T) {
	f := func(groups string, fields [][2]string, elastic, ours string) {
		t.Helper()
		b := newBench(t)
		events := []*event.Event{login(t, "1", "9 10:05", `{"user.name":"anna","host.name":"h"}`),
			login(t, "2", "9 10:06", `{"user.name":"bert","host.name":"h"}`), login(t, "3", "9 10:07", `{"user.name":["x","anna"],"host.name":["y","h"]}`)}
		indicators := []*event.Event{indicator(t, "i", "1", `{"threat":{"user":["anna","bert"],"host":"h"}}`)}
		b.land(slices.Concat(events, indicators)...)
		if got := strings.Join(elasticMatches(events, indicators, fields, none), " "); got != elastic {
			t.Errorf("Elastic: %q, want %q", got, elastic)
		}
		got := found(b.at(compile(t, parse(t, "indicators", indicatorRule(groups, ""))), "9 10:10").Alerts)
		if got := strings.Join(got, " "); got != ours {
			t.Errorf("ours: %q, want %q", got, ours)
		}
	}
	f("user.name=threat.user", [][2]string{{"user.name", "threat.user"}}, "1 3", "1 2 3")
	f("user.name=threat.user & host.name=threat.host", [][2]string{{"user.name", "threat.user"}, {"host.name", "threat.host"}}, "", "1 2 3")
}

// An exception that says what must not be there is true of every indicator, as these lack the field: Elastic hides them all,
// and the rule never alerts again. One that names a value hides the indicators that have it, there and here.
func TestDeviationExceptedIndicators(t *testing.T) {
	f := func(items string, hides func(*event.Event) bool, elastic, ours string) {
		t.Helper()
		b := newBench(t)
		events := []*event.Event{login(t, "1", "9 10:05", `{"user.name":"anna","host.name":"prod"}`),
			login(t, "2", "9 10:06", `{"user.name":"anna","host.name":"lab"}`), login(t, "3", "9 10:07", `{"user.name":"bert","host.name":"prod"}`)}
		indicators := []*event.Event{indicator(t, "i", "1", `{"threat":{"user":"anna","provider":"A"}}`), indicator(t, "j", "1", `{"threat":{"user":"bert","provider":"B"}}`)}
		b.land(slices.Concat(events, indicators)...)
		if got := strings.Join(elasticMatches(events, indicators, [][2]string{{"user.name", "threat.user"}}, hides), " "); got != elastic {
			t.Errorf("Elastic: %q, want %q", got, elastic)
		}
		p := excepted(t, parse(t, "indicators", indicatorRule("user.name=threat.user", "")), items)
		if got := strings.Join(found(b.at(p, "9 10:10").Alerts), " "); got != ours {
			t.Errorf("ours: %q, want %q", got, ours)
		}
	}
	is := func(field, value string, not bool) func(*event.Event) bool {
		return func(e *event.Event) bool { return (e.Text(field) == value) != not }
	}
	f("[[item]]\nname='x'\nentries=[{field='host.name',is_not='prod'}]\n", is("host.name", "prod", true), "", "1 3")
	f("[[item]]\nname='x'\nentries=[{field='host.name',is='lab'}]\n", is("host.name", "lab", false), "1 3", "1 3")
	f("[[item]]\nname='x'\nentries=[{field='threat.provider',is='B'}]\n", is("threat.provider", "B", false), "1 2", "1 2")
	f("[[item]]\nname='x'\nexpire_time='2026-03-09T10:09:00Z'\nentries=[{field='threat.provider',is='B'}]\n", none, "1 2 3", "1 2 3")
	f("[[item]]\nname='x'\nexpire_time='2026-03-09T10:11:00Z'\nentries=[{field='threat.provider',is='B'}]\n", is("threat.provider", "B", false), "1 2", "1 2")
}

// An event of more than 200 indicators: Elastic keeps 200 of them, whichever come first. Here the newest ones are kept, and
// the alert says that there are more.
func TestDeviationManyIndicators(t *testing.T) {
	for _, query := range []string{"*", `@timestamp >= "now-1d"`} {
		for n, why := range map[int]string{1: "", 2: ", and there is one more", 200: ", and there are 199 more",
			201: ", and of more than 199 others: the newest 200 are kept", 450: ", and of more than 199 others: the newest 200 are kept"} {
			b := newBench(t)
			b.land(login(t, "e", "9 10:05", `{"user.name":"anna"}`))
			var indicators []*event.Event
			for i := range n {
				indicators = append(indicators, indicator(t, fmt.Sprintf("%04d", i), fmt.Sprintf("9 %02d:%02d", i/60, i%60), `{"threat.user":"anna"}`))
			}
			for i := range 300 { // that do not count with date math
				indicators = append(indicators, indicator(t, fmt.Sprint("old", i), "1", `{"threat.user":"bert"}`))
			}
			b.land(indicators...)
			result := b.at(compile(t, parse(t, "indicators", indicatorRule("user.name=threat.user", "threat_query='"+query+"'"))), "9 10:10")
			if len(result.Alerts) != 1 {
				t.Fatalf("%d alerts", len(result.Alerts))
			}
			a := result.Alerts[0]
			list := a.Get("threat.enrichments").Items()
			const most = 200 // Elastic's
			if first := list[0].At("matched", "id").Text(); len(list) != min(n, most) || first != fmt.Sprintf("%04d", n-1) {
				t.Errorf("%d indicators, the first is %s", len(list), first)
			}
			if diff := gocmp.Diff("user.name anna is an indicator of "+feed+why, a.Text("tocsin.alert.why")); diff != "" {
				t.Error(diff)
			}
		}
	}
}

// What stands where an indicator is described is no object: there the run fails, and every run after it. Here the alert is
// raised, and does not say what the indicator is.
func TestDeviationIndicatorsUndescribed(t *testing.T) {
	b := newBench(t)
	b.land(login(t, "e", "9 10:05", `{"user.name":"anna"}`), indicator(t, "i", "1", `{"threat":{"user":"anna","note":"text"}}`))
	result := b.at(compile(t, parse(t, "indicators", indicatorRule("user.name=threat.user", "threat_indicator_path='threat.note'"))), "9 10:10")
	if diff := gocmp.Diff([]string{"e: i user.name=anna"}, matchesOf(result.Alerts)); diff != "" {
		t.Fatal(diff)
	}
	if o := result.Alerts[0].Get("threat.enrichments").Items()[0].Member("indicator"); !o.IsNull() {
		t.Errorf("%s", o.AppendJSON(nil))
	}
}
