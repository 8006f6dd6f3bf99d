package detect_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// The boundary table of rule-execution.md §2.2: a window from 10:00 to 10:10 of the 9th, history from 10:10 of the 8th.
func TestNewTermsBoundaries(t *testing.T) {
	p := newTerms(t, "now-10m", "now-1d", "user.name")
	f := func(want string, times ...string) {
		t.Helper()
		b := newBench(t)
		for i, when := range times {
			document := `{"user":{"name":"v"}}`
			if rest, other := strings.CutPrefix(when, "no match "); other {
				when, document = rest, `{"user":{"name":"v"},"event":{"action":"logout"}}`
			}
			b.land(login(t, fmt.Sprint(i), when, document))
		}
		got := strings.Join(found(b.at(p, "9 10:10").Alerts), ", ")
		if got != want {
			t.Errorf("v at %v: alerts %q, want %q", times, got, want)
		}
	}
	f("0 v", "9 10:05")
	f("", "9 10:00")
	f("0 v", "9 10:00:00.001")
	f("0 v", "9 10:10")
	f("", "9 10:10:00.001")
	f("", "8 10:10", "9 10:05")
	f("1 v", "8 10:09:59.999", "9 10:05")
	f("1 v", "no match 9 09:00", "9 10:05")
	f("", "9 09:00", "9 10:05")
	f("0 v", "9 10:02", "9 10:07")
	f("1 v", "9 10:07", "9 10:02") // the oldest, not the first to land
	f("", "9 10:00", "9 10:05")
	f("0 v", "9 10:05", "9 10:05") // at one instant the first by ID
}

// A window that is cut has its first instant to itself.
func TestNewTermsCutWindow(t *testing.T) {
	p := newTerms(t, "now-10m", "now-1d", "user.name")
	f := func(from, to, want string, times ...string) {
		t.Helper()
		b := newBench(t)
		for i, when := range times {
			b.land(login(t, fmt.Sprint(i), when, `{"user":{"name":"v"}}`))
		}
		w, err := p.Window(at(t, "9 10:10"))
		if err != nil {
			t.Fatal(err)
		}
		var a, z time.Time
		if from != "" {
			a = at(t, from)
		}
		if to != "" {
			z = at(t, to)
		}
		if got := strings.Join(found(b.run(p, w.Clamp(a, z)).Alerts), ", "); got != want {
			t.Errorf("v at %v, cut to %q … %q: alerts %q, want %q", times, from, to, got, want)
		}
	}
	f("9 10:03", "", "0 v", "9 10:03")
	f("9 10:03", "", "1 v", "9 10:03:00.001", "9 10:03")
	f("9 10:03", "", "", "9 10:02:59.999", "9 10:03")
	f("9 10:00", "", "", "9 10:00") // not cut: the window begins there by itself
	f("9 09:59", "", "", "9 10:00")
	f("", "9 10:03", "0 v", "9 10:03")
	f("", "9 10:03", "", "9 10:03:00.001")
	f("9 10:11", "", "", "9 10:05")
}

func TestNewTermsValues(t *testing.T) {
	f := func(fields, past, present string, want ...string) {
		t.Helper()
		p := newTerms(t, "now-10m", "now-1d", strings.Fields(fields)...)
		b := newBench(t)
		if past != "" {
			b.land(login(t, "past", "9 08:00", past))
		}
		b.land(login(t, "now", "9 10:05", present))
		var got []string
		for _, a := range b.at(p, "9 10:10").Alerts {
			got = append(got, string(a.Get("kibana.alert.new_terms").AppendJSON(nil)))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s in %s after %s (-want +got):\n%s", fields, present, past, diff)
		}
	}
	f("user.name", `{"user":{"name":"ann"}}`, `{"user":{"name":["ann","bob"]}}`, `["bob"]`)
	f("user.name", ``, `{"user":{"name":null}}`)
	f("user.name", ``, `{}`)
	f("user.name user.id", `{"user":{"name":"ann","id":1}}`, `{"user":{"name":["ann","bob"],"id":[1,2]}}`,
		`["ann",2]`, `["bob",1]`, `["bob",2]`)
	f("user.id user.name", ``, `{"user":{"name":"ann"}}`)
	f("user.id", `{"user":{"id":"7"}}`, `{"user":{"id":7}}`)
	f("source.ip", `{"source":{"ip":"2001:db8:0::1"}}`, `{"source":{"ip":["2001:DB8::1","10.0.0.1"]}}`, `["10.0.0.1"]`)
	f("labels.env", `{"labels":{"env":"prod"}}`, `{"labels":{"env":["prod","test"]}}`, `["test"]`)
	f("files.name", ``, `{"files":[{"name":"a"}]}`) // inside a nested field there are no terms
	f("files", ``, `{"files":[{"name":"a"}]}`)
	f("where", ``, `{"where":{"lat":1,"lon":2}}`)
	f("user", ``, `{"user":{"name":"ann"}}`) // an object has no value of its own
	f("unheard.of", ``, `{"unheard":{"of":["a","b"]}}`, `["a"]`, `["b"]`)
}

func TestNewTermsEvidence(t *testing.T) {
	p := newTerms(t, "now-10m", "now-15d", "user.name")
	b := newBench(t)
	b.land(
		login(t, "begin", "1 10:10", `{"user":{"name":"ops"}}`),
		login(t, "gone first", "2 08:00", `{"user":{"name":"eve"}}`),
		login(t, "gone last", "3 08:00", `{"user":{"name":"eve"}}`),
		login(t, "too early to count", "4 23:59:59.999", `{"user":{"name":"ops"}}`),
		login(t, "counts by its day", "5 00:00", `{"user":{"name":["ops","bob"]}}`),
		login(t, "counts", "12 00:00", `{"user":{"name":"ops"}}`),
		login(t, "does not match", "12 00:00", `{"user":{"name":"ops"},"event":{"action":"logout"}}`),
		login(t, "counts by its day too", "20 23:00", `{"user":{"name":"ops"}}`),
		login(t, "evidence", "20 10:05", `{"user":{"name":["eve","zoe"]}}`),
	)
	got := map[string]map[string]string{}
	for _, a := range b.at(p, "20 10:10").Alerts {
		fields := map[string]string{"@timestamp": a.Text("@timestamp")}
		for _, f := range a.Fields() {
			if rest, ours := strings.CutPrefix(f.Path, "tocsin.alert."); ours {
				fields[rest] = f.Value.Text()
			}
		}
		if len(fields["tuple"]) != 32 || fields["program"] != p.Sightings().ID() {
			t.Errorf("tuple %q, program %q", fields["tuple"], fields["program"])
		}
		delete(fields, "tuple")
		delete(fields, "program")
		got[a.Values("kibana.alert.new_terms")[0].Text()] = fields
	}
	want := map[string]map[string]string{
		"eve": {
			"@timestamp": "2026-03-20T10:10:00.000Z", "evidence_id": "evidence", "evidence_time": "2026-03-20T10:05:00.000Z",
			"history.from": "2026-03-05T10:10:00.000Z", "history.to": "2026-03-20T10:00:00.000Z",
			"history.events": "6", "history.covered": "1.0",
			"history.first_before": "2026-03-02T08:00:00.000Z", "history.last_before": "2026-03-03T08:00:00.000Z",
			"why": "last seen 17 d ago (2026-03-03); none in 15 d before (6 events, 100 % covered)",
		},
		"zoe": {
			"@timestamp": "2026-03-20T10:10:00.000Z", "evidence_id": "evidence", "evidence_time": "2026-03-20T10:05:00.000Z",
			"history.from": "2026-03-05T10:10:00.000Z", "history.to": "2026-03-20T10:00:00.000Z",
			"history.events": "6", "history.covered": "1.0",
			"why": "first seen; none in 15 d before (6 events, 100 % covered)",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("evidence (-want +got):\n%s", diff)
	}
}

func TestNewTermsLittleHistory(t *testing.T) {
	p := newTerms(t, "now-10m", "now-10d", "user.name")
	f := func(begin, want string) {
		t.Helper()
		b := newBench(t)
		b.land(login(t, "begin", begin, `{"user":{"name":"ops"}}`), login(t, "now", "20 10:05", `{"user":{"name":"eve"}}`))
		alerts := b.at(p, "20 10:10").Alerts
		if len(alerts) == 0 {
			t.Fatalf("data from %s on: no alert", begin)
		}
		if got := alerts[len(alerts)-1].Text("tocsin.alert.history.covered"); got != want {
			t.Errorf("data from %s on: covered %s, want %s", begin, got, want)
		}
	}
	f("1 00:00", "1.0")
	f("10 10:10", "1.0")
	f("15 10:05", "0.5")
	f("20 10:02", "0.0")
}

// A query with date math means something else at each run: nothing is remembered, the events are scanned.
func TestNewTermsWithDateMath(t *testing.T) {
	p := compile(t, parse(t, "volatile", "type='new_terms'\nquery='event.action: login and @timestamp >= now-1d/d'\nfrom='now-10m'\n"+
		terms("now-10d", "user.name")))
	if p.Remembers() {
		t.Error("the program is remembered")
	}
	b := newBench(t)
	b.land(
		login(t, "1", "7 10:00", `{"user":{"name":"ann"}}`), // before yesterday: does not match on the 9th
		login(t, "2", "8 10:05", `{"user":{"name":"bob"}}`),
		login(t, "3", "9 10:05", `{"user":{"name":["ann","bob"]}}`))
	alerts := b.at(p, "9 10:10").Alerts
	if diff := cmp.Diff([]string{"3 ann"}, found(alerts)); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
	if got, want := alerts[0].Text("tocsin.alert.why"), "first seen; none in 10 d before (3 events, 20 % covered)"; got != want {
		t.Errorf("why: %s, want %s", got, want)
	}
	if again := b.at(p, "9 10:10").Alerts; len(again) > 0 {
		t.Errorf("the same run again: %v", found(again))
	}
	// On the 8th the event of the 7th matches.
	if got := b.at(p, "8 10:10").Alerts; len(got) != 1 || found(got)[0] != "2 bob" {
		t.Errorf("on the 8th: %v", found(got))
	}
}

func TestNewTermsMaximum(t *testing.T) {
	p := compile(t, parse(t, "capped", "type='new_terms'\nquery='event.action: login'\nfrom='now-10m'\nmax_signals=3\n"+terms("now-1d", "user.name")))
	f := func(b *bench, alerts, over int) {
		t.Helper()
		got := b.at(p, "9 10:10")
		if len(got.Alerts) != alerts || got.Over != over {
			t.Errorf("%d alerts and %d over, want %d and %d", len(got.Alerts), got.Over, alerts, over)
		}
	}
	b := newBench(t)
	b.land(login(t, "1", "9 10:05", `{"user":{"name":["a","b","c"]}}`))
	f(b, 3, 0) // exactly the maximum: nothing was left out
	f(b, 0, 0)
	b.land(login(t, "2", "9 10:06", `{"user":{"name":["d","e","f","g","a"]}}`))
	f(b, 3, 1) // what was alerted on before counts for nothing
	f(b, 1, 0)
	f(b, 0, 0)
}

// What the deviations page calls "late terms": an older event of the same values lands after the alert.
func TestNewTermsLateEvidence(t *testing.T) {
	p := newTerms(t, "now-10m", "now-1d", "user.name")
	f := func(late, knownSince string, alerts int) {
		t.Helper()
		b := newBench(t)
		b.land(login(t, "on time", "9 10:05", `{"user":{"name":"eve"}}`))
		b.at(p, "9 10:10")
		b.land(login(t, "late", late, `{"user":{"name":["eve"]}}`))
		b.at(p, "9 10:10") // the window is dirty, or is run again for another reason
		b.at(p, "9 10:10")
		all := b.alerts()
		if len(all) != alerts || found(all)[0] != "on time eve" {
			t.Fatalf("late at %s: alerts %v", late, found(all))
		}
		if got := all[0].Text("tocsin.alert.known_since"); got != knownSince {
			t.Errorf("late at %s: known since %q, want %q", late, got, knownSince)
		}
		audits, err := b.db.List(ctx, detect.AuditKind, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, r := range audits {
			var audit struct{ Alert, Field, Value, Event, Reason string }
			if err := json.Unmarshal(r.Data, &audit); err != nil {
				t.Fatal(err)
			}
			if audit.Alert != all[0].ID || audit.Reason == "" {
				t.Errorf("late at %s: audit record %s", late, r.Data)
			}
			texts = append(texts, audit.Field+" "+audit.Value+" "+audit.Event)
		}
		var want []string
		if knownSince != "" {
			want = []string{"tocsin.alert.known_since " + knownSince + " late"}
		}
		if diff := cmp.Diff(want, texts); diff != "" {
			t.Errorf("late at %s: audit (-want +got):\n%s", late, diff)
		}
	}
	f("9 10:02", "2026-03-09T10:02:00.000Z", 1) // in the window itself: Elastic alerts a second time
	f("9 10:00", "2026-03-09T10:00:00.000Z", 1)
	f("9 03:00", "2026-03-09T03:00:00.000Z", 1)
	f("8 10:10", "2026-03-08T10:10:00.000Z", 1) // where the history begins
	f("8 10:09:59.999", "", 1)
	f("9 10:05", "", 1) // at the same instant is not before
	f("9 10:06", "", 1)
}

func TestKnownSinceGoesBackOnly(t *testing.T) {
	p := newTerms(t, "now-10m", "now-1d", "user.name")
	b := newBench(t)
	f := func(id, when, want string, audits int) {
		t.Helper()
		b.land(login(t, id, when, `{"user":{"name":"eve"}}`))
		b.at(p, "9 10:10")
		if got := b.alerts()[0].Text("tocsin.alert.known_since"); got != want {
			t.Errorf("after one at %s: known since %q, want %q", when, got, want)
		}
		list, err := b.db.List(ctx, detect.AuditKind, "", 10)
		if err != nil || len(list) != audits {
			t.Errorf("after one at %s: %d audit records, %v, want %d", when, len(list), err, audits)
		}
		for _, r := range list {
			if r.Version != 1 {
				t.Errorf("after one at %s: an audit record was written %d times", when, r.Version)
			}
		}
	}
	f("1", "9 10:05", "", 0)
	f("2", "9 06:00", "2026-03-09T06:00:00.000Z", 1)
	f("3", "9 08:00", "2026-03-09T06:00:00.000Z", 1)
	f("4", "9 05:00", "2026-03-09T05:00:00.000Z", 2)
}

// An episode ends when its evidence has left the history: then the tuple is new once more.
func TestNewTermsEpisodes(t *testing.T) {
	p := newTerms(t, "now-10m", "now-1d", "user.name")
	b := newBench(t)
	b.land(login(t, "1", "9 10:05", `{"user":{"name":"eve"}}`), login(t, "2", "10 10:06", `{"user":{"name":"eve"}}`))
	f := func(slot string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(append([]string{}, want...), found(b.at(p, slot).Alerts)); diff != "" {
			t.Errorf("at %s (-want +got):\n%s", slot, diff)
		}
	}
	f("9 10:10", "1 eve")
	f("9 10:15")
	f("10 10:10", "2 eve") // the history begins at 10:10 of the 9th
	f("10 10:15")
}

// Two rules on the same values, and one rule changed to other fields, know nothing of each other.
func TestAlertedIsByRuleAndFields(t *testing.T) {
	b := newBench(t)
	b.land(login(t, "1", "9 10:05", `{"user":{"name":"x"},"host":{"name":"x"}}`))
	rule := func(id, field string) *detect.Program {
		return compile(t, parse(t, id, "type='new_terms'\nquery='event.action: login'\nfrom='now-10m'\n"+terms("now-1d", field)))
	}
	f := func(p *detect.Program, want int) {
		t.Helper()
		if got := len(b.at(p, "9 10:10").Alerts); got != want {
			t.Errorf("%s on %v: %d alerts, want %d", p.Rule.RuleID, p.Rule.NewTermsFields, got, want)
		}
	}
	f(rule("a", "user.name"), 1)
	f(rule("a", "user.name"), 0)
	f(rule("b", "user.name"), 1)
	f(rule("a", "host.name"), 1)
	f(rule("a", "host.name"), 0)
}

// Of events that were ingested together the one that happened first is the evidence.
func TestEvidenceOfOneDelivery(t *testing.T) {
	b := newBench(t)
	for i, when := range []string{"9 10:04", "9 10:02", "9 10:03"} {
		e := login(t, fmt.Sprint(i), when, `{"user":{"name":"eve"}}`)
		e.Set("event.ingested", event.String("2026-03-09T10:08:00.000Z"))
		b.land(e)
	}
	p := compile(t, parse(t, "delivered", "type='new_terms'\nquery='event.action: login'\nfrom='now-10m'\ntimestamp_override='event.ingested'\n"+
		terms("now-1d", "user.name")))
	if diff := cmp.Diff([]string{"1 eve"}, found(b.at(p, "9 10:10").Alerts)); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

// The alert holds the whole of its event, also where the rule reads little of it, and one event serves several tuples.
func TestAlertHoldsItsEvent(t *testing.T) {
	p := newTerms(t, "now-10m", "now-1d", "user.name")
	b := newBench(t)
	want := map[string]string{}
	for i, user := range []string{"a", "b", "c", "d", "e", "f", "g"} { // more instants than are asked for one by one
		name := fmt.Sprintf("%q", user)
		if i == 0 {
			name = `["a","a2"]`
			want["a2"] = "region-0"
		}
		want[user] = fmt.Sprint("region-", i)
		b.land(login(t, fmt.Sprint(i), fmt.Sprintf("9 10:0%d", i+1), fmt.Sprintf(`{"user":{"name":%s},"cloud":{"region":"region-%d"}}`, name, i)))
	}
	got := map[string]string{}
	for _, a := range b.at(p, "9 10:10").Alerts {
		got[a.Values("kibana.alert.new_terms")[0].Text()] = a.Text("cloud.region")
		if a.Text("kibana.alert.original_event.action") != "login" || a.Text("kibana.alert.original_time") != a.Text("tocsin.alert.evidence_time") {
			t.Errorf("alert %s", a.AppendJSON(nil, nil))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("regions by user (-want +got):\n%s", diff)
	}
}

// A rule that is changed to cut its windows on another time alerts on no event twice.
func TestAnotherTimeField(t *testing.T) {
	b := newBench(t)
	e := login(t, "1", "5 10:05", `{"user":{"name":"eve"}}`)
	e.Set("event.ingested", event.String("2026-03-09T10:05:00.000Z"))
	b.land(e)
	f := func(more, slot string, want int) {
		t.Helper()
		p := compile(t, parse(t, "changed", "type='new_terms'\nquery='event.action: login'\nfrom='now-10m'\n"+more+terms("now-1d", "user.name")))
		if got := len(b.at(p, slot).Alerts); got != want {
			t.Errorf("%q at %s: %d alerts, want %d", more, slot, got, want)
		}
	}
	f("", "5 10:10", 1)
	f("timestamp_override='event.ingested'\n", "9 10:10", 0)
}

// Alerts of an older version of the rule, which looked at another history, are not proved wrong by the new one's.
func TestLateEvidenceIsOfTheSameProgram(t *testing.T) {
	b := newBench(t)
	b.land(login(t, "1", "9 08:00", `{"user":{"name":"eve"},"event":{"action":"logout"}}`),
		login(t, "2", "9 10:05", `{"user":{"name":"eve"}}`))
	f := func(query string) {
		t.Helper()
		p := compile(t, parse(t, "changed", "type='new_terms'\nquery='"+query+"'\nfrom='now-10m'\n"+terms("now-1d", "user.name")))
		b.at(p, "9 10:10")
		all := b.alerts()
		if len(all) != 1 || !all[0].Get("tocsin.alert.known_since").IsNull() {
			t.Errorf("with %s: alerts %v, known since %q", query, found(all), all[0].Text("tocsin.alert.known_since"))
		}
	}
	f("event.action: login")
	f("event.action: *")
}

// A rule that reads alerts never alerts on its own, nor on what rests on them.
func TestNoCircles(t *testing.T) {
	b := newBench(t)
	b.land(login(t, "1", "9 10:05", `{"user":{"name":"eve"}}`))
	first := compile(t, parse(t, "first", "type='query'\nquery='event.action: login'\nfrom='now-10m'"))
	if got := len(b.at(first, "9 10:10").Alerts); got != 1 {
		t.Fatalf("%d alerts", got)
	}
	onAlerts := compile(t, parse(t, "second", "type='query'\nquery='user.name: eve'\nfrom='now-10m'\nindex=['logs-*','.alerts-security.*']"))
	if got := len(b.at(onAlerts, "9 10:10").Alerts); got != 2 { // the event, and the other rule's alert
		t.Errorf("%d alerts", got)
	}
	if got := len(b.at(onAlerts, "9 10:15").Alerts); got != 0 {
		t.Errorf("%d alerts on its own alerts", got)
	}
	if !onAlerts.OnAlerts() || first.OnAlerts() {
		t.Error("which rule reads alerts")
	}
	// New terms among alerts: the rule's own name is none.
	names := compile(t, parse(t, "names", "type='new_terms'\nquery='*'\nfrom='now-30m'\nindex=['.alerts-security.*']\n"+
		terms("now-1d", "kibana.alert.rule.name")))
	if got := found(b.at(names, "9 10:20").Alerts); len(got) != 2 {
		t.Errorf("names of rules: %v", got)
	}
	if got := found(b.at(names, "9 10:25").Alerts); len(got) != 0 {
		t.Errorf("names of rules, once more: %v", got)
	}
	var depths []string
	for _, a := range b.alerts() {
		depths = append(depths, a.Text("kibana.alert.depth"))
	}
	slices.Sort(depths)
	if got := strings.Join(depths, " "); got != "1 1 2 2 3" { // of the two of "second", that on an alert has the lesser ID
		t.Errorf("depths %v", depths)
	}
}
