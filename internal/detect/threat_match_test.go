package detect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// feed is where indicators land.
const feed = "logs-ti_feed-default"

// indicatorRule is a rule on logins; groups are written "field=value & !field=value | …".
func indicatorRule(groups, more string) string {
	var mapping []string
	for _, group := range strings.Split(groups, "|") {
		var entries []string
		for _, entry := range strings.Split(group, "&") {
			entry, negate := strings.CutPrefix(strings.TrimSpace(entry), "!")
			field, value, _ := strings.Cut(entry, "=")
			entries = append(entries, fmt.Sprintf("{field='%s',value='%s',type='mapping',negate=%t}", field, value, negate))
		}
		mapping = append(mapping, "{entries=["+strings.Join(entries, ",")+"]}")
	}
	if !strings.Contains(more, "threat_query=") {
		more += "\nthreat_query='*'"
	}
	return "type='threat_match'\nindex=['" + stream + "']\nquery='event.action: login'\nfrom='now-10m'\nthreat_index=['logs-ti_*']\nthreat_mapping=[" +
		strings.Join(mapping, ",") + "]\n" + more
}

// indicator makes an indicator of a document.
func indicator(t testing.TB, id, when, document string) *event.Event {
	t.Helper()
	e := login(t, id, when, document)
	e.Stream = feed
	e.Set("event.action", event.Null())
	return e
}

// matchesOf says of each alert on which event it is, and which indicators match it where.
func matchesOf(alerts []*event.Event) []string {
	out := []string{}
	for _, a := range alerts {
		text := a.Text("tocsin.alert.evidence_id") + ":"
		for _, o := range a.Get("threat.enrichments").Items() {
			m := o.Member("matched")
			text += fmt.Sprintf(" %s %s=%s", m.Member("id").Text(), m.Member("field").Text(), m.Member("atomic").Text())
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return out
}

// Which events match which indicators: each fact is a mapping, one event and one indicator.
func TestIndicatorsMatch(t *testing.T) {
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			f := func(groups, document, indicating string, want bool) {
				t.Helper()
				b := newBench(t)
				b.db = e.open(t)
				b.land(login(t, "e", "9 10:05", document), indicator(t, "i", "1", indicating))
				p := compile(t, parse(t, "indicators", indicatorRule(groups, "")))
				got := b.at(p, "9 10:10")
				if (len(got.Alerts) == 1) != want || len(got.Alerts) > 1 {
					t.Errorf("%s: %s and %s: %v", groups, document, indicating, matchesOf(got.Alerts))
				}
			}
			name := "user.name=threat.user"
			f(name, `{"user.name":"anna"}`, `{"threat.user":"anna"}`, true)
			f(name, `{"user.name":"anna"}`, `{"threat.user":"Anna"}`, false)
			f(name, `{"user.name":"anna"}`, `{"threat.user":"anna b"}`, false)
			f(name, `{"user.name":""}`, `{"threat.user":""}`, true)
			f(name, `{}`, `{}`, false)
			f(name, `{"user.name":["x","anna"]}`, `{"threat.user":["y","anna"]}`, true)

			// Addresses are the same however they are written, and are in networks.
			address := "source.ip=threat.ip"
			f(address, `{"source.ip":"10.0.0.1"}`, `{"threat.ip":"10.0.0.1"}`, true)
			f(address, `{"source.ip":"2001:db8::1"}`, `{"threat.ip":"2001:0DB8:0:0::1"}`, true)
			f(address, `{"source.ip":"10.1.2.3"}`, `{"threat.ip":"10.0.0.0/8"}`, true)
			f(address, `{"source.ip":"10.1.2.3"}`, `{"threat.ip":"10.9.9.9/8"}`, true)
			f(address, `{"source.ip":"11.1.2.3"}`, `{"threat.ip":"10.0.0.0/8"}`, false)
			f(address, `{"source.ip":"2001:db8::1"}`, `{"threat.ip":"2001:db8::/32"}`, true)
			f(address, `{"source.ip":"10.1.2.3"}`, `{"threat.ip":"::/0"}`, true)
			f(address, `{"source.ip":"2001:db8::1"}`, `{"threat.ip":"0.0.0.0/0"}`, false)
			f(address, `{"source.ip":"10.1.2.3"}`, `{"threat.ip":"nowhere"}`, false)
			f("source.ip=source.ip", `{"source.ip":"10.1.2.3"}`, `{"source.ip":"10.0.0.0/8"}`, true)
			f("source.ip=source.ip", `{"source.ip":"10.1.2.3"}`, `{"source.ip":"10.1.2.3"}`, true)
			f("user.name=source.ip", `{"user.name":"10.1.2.3"}`, `{"source.ip":"10.1.2.3"}`, true)
			f("user.name=threat.ip", `{"user.name":"10.1.2.3"}`, `{"threat.ip":"10.0.0.0/8"}`, false) // no field of addresses

			// Numbers, times.
			f("user.id=threat.id", `{"user.id":5}`, `{"threat.id":"5"}`, true)
			f("user.id=threat.id", `{"user.id":5}`, `{"threat.id":5}`, true)
			f("user.id=threat.id", `{"user.id":5}`, `{"threat.id":"5.5"}`, false)
			f("user.id=threat.id", `{"user.id":5}`, `{"threat.id":"five"}`, false)
			f("event.ingested=threat.at", `{"event.ingested":"2026-03-01T00:00:00Z"}`, `{"threat.at":"2026-03-01"}`, true)

			// Of texts, one word in common is enough.
			f("message=threat.words", `{"message":"The Red fox"}`, `{"threat.words":"red wine"}`, true)
			f("message=threat.words", `{"message":"The Red fox"}`, `{"threat.words":"blue wine"}`, false)
			f("user.name=message", `{"user.name":"The Red fox"}`, `{"message":"red wine"}`, true)
			f("user.name=message", `{"user.name":"The Red fox"}`, `{"message":"blue wine"}`, false)

			f("labels.k=threat.user", `{"labels":{"k":"anna"}}`, `{"threat.user":"anna"}`, true)
			f("labels=threat.user", `{"labels":{"k":"anna"}}`, `{"threat.user":"anna"}`, true)
			f("files.name=threat.user", `{"files":[{"name":"anna"}]}`, `{"threat.user":"anna"}`, false) // no value of the event's own

			// All comparisons of one group.
			both := "user.name=threat.user & host.name=threat.host"
			f(both, `{"user.name":"anna","host.name":"h"}`, `{"threat":{"user":"anna","host":"h"}}`, true)
			f(both, `{"user.name":"anna","host.name":"h"}`, `{"threat":{"user":"anna","host":"g"}}`, false)
			f(both, `{"user.name":"anna","host.name":"h"}`, `{"threat":{"user":"anna"}}`, false)
			f("user.name=threat.user | host.name=threat.host", `{"user.name":"anna","host.name":"h"}`, `{"threat":{"user":"bert","host":"h"}}`, true)

			// What must not hold does not where a value is on one side alone; where it is on neither, the two are the same.
			not := "user.name=threat.user & !host.name=threat.host"
			f(not, `{"user.name":"anna","host.name":"h"}`, `{"threat":{"user":"anna","host":"g"}}`, true)
			f(not, `{"user.name":"anna","host.name":"h"}`, `{"threat":{"user":"anna","host":"h"}}`, false)
			f(not, `{"user.name":"anna","host.name":"h"}`, `{"threat":{"user":"anna"}}`, true)
			f(not, `{"user.name":"anna"}`, `{"threat":{"user":"anna","host":"h"}}`, true)
			f(not, `{"user.name":"anna"}`, `{"threat":{"user":"anna"}}`, false)
			f(not, `{"user.name":"bert","host.name":"h"}`, `{"threat":{"user":"anna","host":"g"}}`, false)
			f(not, `{"user.name":"anna","host.name":["h","g"]}`, `{"threat":{"user":"anna","host":["g","f"]}}`, false)
			f("user.name=threat.user & !files.name=threat.host", `{"user.name":"anna","files":[{"name":"h"}]}`, `{"threat":{"user":"anna","host":"h"}}`, true)
			f("user.name=threat.user & !files.name=threat.host", `{"user.name":"anna","files":[{"name":"h"}]}`, `{"threat":{"user":"anna"}}`, false)
			f("user.name=threat.user | host.name=threat.user", `{"host.name":"anna"}`, `{"threat.user":"anna"}`, true)
			f("user.name=threat.user & !source.ip=threat.ip", `{"user.name":"anna","source.ip":"10.1.2.3"}`, `{"threat":{"user":"anna","ip":"10.0.0.0/8"}}`, false)
			f("user.name=threat.user & !source.ip=threat.ip", `{"user.name":"anna","source.ip":"11.1.2.3"}`, `{"threat":{"user":"anna","ip":"10.0.0.0/8"}}`, true)
		})
	}
}

// A group holds for one indicator alone: what two have together does not count.
func TestIndicatorsOneByOne(t *testing.T) {
	b := newBench(t)
	b.land(indicator(t, "a", "2", `{"threat":{"user":"anna","host":"h"}}`), indicator(t, "b", "1", `{"threat":{"user":"bert","host":"g"}}`),
		login(t, "1", "9 10:05", `{"user.name":"anna","host.name":"g"}`), login(t, "2", "9 10:06", `{"user.name":["x","bert","anna"],"host.name":"g"}`))
	p := compile(t, parse(t, "indicators", indicatorRule("user.name=threat.user & host.name=threat.host | source.ip=threat.ip | user.name=threat.user & host.name=threat.host", "")))
	if diff := gocmp.Diff([]string{"2: b user.name=bert b host.name=g"}, matchesOf(b.at(p, "9 10:10").Alerts)); diff != "" {
		t.Error(diff)
	}
}

// What an alert says of the indicators, the newest first, besides what the event said itself.
func TestEnrichments(t *testing.T) {
	b := newBench(t)
	b.land(indicator(t, "old", "1", `{"threat":{"indicator":{"ip":"10.0.0.1","type":"ipv4-addr","as":{"number":7}},"feed":{"name":"Example"}}}`),
		indicator(t, "new", "2", `{"threat":{"indicator":[{"ip":"10.0.0.1","n":1},{"n":2}]}}`),
		login(t, "e", "9 10:05", `{"source.ip":["10.0.0.9","10.0.0.1"],"threat":{"enrichments":[{"matched":{"atomic":"own"}}]}}`))
	p := compile(t, parse(t, "indicators", indicatorRule("source.ip=threat.indicator.ip", "")))
	result := b.at(p, "9 10:10")
	if len(result.Alerts) != 1 {
		t.Fatalf("%d alerts", len(result.Alerts))
	}
	a := result.Alerts[0]
	matched := func(id string) string {
		return `"matched":{"atomic":"10.0.0.1","field":"source.ip","id":"` + id + `","index":"` + feed + `","type":"indicator_match_rule"}}`
	}
	want := `[{"matched":{"atomic":"own"}},{"indicator":{"ip":"10.0.0.1","n":1},` + matched("new") +
		`,{"indicator":{"as":{"number":7},"ip":"10.0.0.1","type":"ipv4-addr"},"feed":{"name":"Example"},` + matched("old") + `]`
	if diff := gocmp.Diff(want, string(a.Get("threat.enrichments").AppendJSON(nil))); diff != "" {
		t.Error(diff)
	}
	if got := a.Text("tocsin.alert.why"); got != "source.ip 10.0.0.1 is an indicator of "+feed+", and there is one more" {
		t.Error(got)
	}
	if got := a.Text("kibana.alert.rule.category"); got != "Indicator Match Rule" || a.ID != alert.QueryID(detect.Space, p.Rule.UUID(), stream, "e") {
		t.Error(got, a.ID)
	}
	if result := b.at(p, "9 10:15"); len(result.Alerts) != 0 || result.Candidates != 1 {
		t.Errorf("the next window: %+v", result)
	}
}

// The threat query is read at the time of the run, filters and language included; events have a window, indicators none.
func TestThreatQuery(t *testing.T) {
	f := func(more string, slot string, want ...string) {
		t.Helper()
		b := newBench(t)
		b.land(indicator(t, "old", "1 00:00", `{"tags":"x","threat.user":"anna"}`), indicator(t, "new", "9 10:00", `{"tags":"x","threat.user":"bert"}`),
			indicator(t, "later", "20", `{"tags":"x","threat.user":"carl"}`), indicator(t, "untagged", "9 10:00", `{"threat.user":"dora"}`),
			login(t, "1", "9 10:05", `{"user.name":"anna"}`), login(t, "2", "9 10:05", `{"user.name":"bert"}`), login(t, "3", "9 10:05", `{"user.name":"carl"}`),
			login(t, "4", "9 10:05", `{"user.name":"dora"}`), login(t, "5", "9 09:00", `{"user.name":"anna"}`))
		p := compile(t, parse(t, "indicators", indicatorRule("user.name=threat.user", more)))
		got := []string{}
		for _, s := range matchesOf(b.at(p, slot).Alerts) {
			got = append(got, strings.Fields(s)[1])
		}
		slices.Sort(got)
		if diff := gocmp.Diff(append([]string{}, want...), got); diff != "" {
			t.Errorf("%s: %s", more, diff)
		}
	}
	const tagged = "threat_filters=[{query={match_phrase={tags='x'}}}]"
	f("", "9 10:10", "later", "new", "old", "untagged")
	f(tagged, "9 10:10", "later", "new", "old")
	f("threat_query='tags:x'", "9 10:10", "later", "new", "old")
	f(tagged+"\nthreat_query='@timestamp >= \"now-1d\"'", "9 10:10", "later", "new")
	f("threat_query='@timestamp >= \"now-30d/d\" and tags:x'", "9 10:10", "later", "new", "old")
	f("threat_query='tags:x and not @timestamp < \"now-8d/d\"'", "9 10:10", "later", "new", "old")
	f("threat_query='tags:x and not @timestamp < \"now-7d/d\"'", "9 10:10", "later", "new")
	f("threat_query='@timestamp < \"now-7d\" or @timestamp > \"now+7d\"'", "9 10:10", "later", "old")
	f(`threat_filters=[{query={range={'@timestamp'={gte='now-1d',lte='now'}}}}]`, "9 10:10", "new", "untagged")
}

// A rule folds what it finds as other types do: the alert is the first event's, and says its indicators alone.
func TestIndicatorsFolded(t *testing.T) {
	f := func(more string, slots []string, want string) {
		t.Helper()
		b := newBench(t)
		b.land(indicator(t, "i", "1", `{"threat.user":["anna","bert"]}`),
			login(t, "1", "9 10:05", `{"user.name":"anna","host.name":["g","h"]}`), login(t, "2", "9 10:06", `{"user.name":"bert","host.name":["h","g"]}`),
			login(t, "3", "9 10:07", `{"user.name":"anna","host.name":"h"}`), login(t, "4", "9 10:08", `{"user.name":"anna"}`),
			login(t, "5", "9 10:09", `{"user.name":"bert"}`), login(t, "6", "9 10:25", `{"user.name":"bert","host.name":"h"}`),
			login(t, "7", "9 10:09", `{"user.name":"carl","host.name":"h"}`))
		p := compile(t, parse(t, "indicators", indicatorRule("user.name=threat.user", more)))
		for _, s := range slots {
			b.at(p, s)
		}
		var got []string
		for _, a := range b.alerts() {
			text := a.Text("tocsin.alert.evidence_id")
			if n := a.Get("kibana.alert.suppression.docs_count"); !n.IsNull() {
				text += "+" + n.Text()
			}
			if n := len(a.Get("threat.enrichments").Items()); n != 1 {
				t.Errorf("%d enrichments", n)
			}
			got = append(got, text)
		}
		slices.Sort(got)
		if got := strings.Join(got, " "); got != want {
			t.Errorf("%s: %s, want %s", more, got, want)
		}
	}
	slots := []string{"9 10:10", "9 10:10", "9 10:15", "9 10:30"}
	f("", slots, "1 2 3 4 5 6")
	f("alert_suppression={group_by=['host.name']}", slots, "1+1 3+0 4+1 6+0")
	f("alert_suppression={group_by=['host.name'],missing_fields_strategy='doNotSuppress'}", slots, "1+1 3+0 4 5 6+0")
	f("alert_suppression={group_by=['host.name'],duration={value=1,unit='h'}}", slots, "1+1 3+1 4+1")
}

// What is left out over the maximum is counted, and the rest comes when the window runs again.
func TestIndicatorsOverTheMaximum(t *testing.T) {
	b := newBench(t)
	var events []*event.Event
	for i := range 7 {
		events = append(events, login(t, fmt.Sprint(i), fmt.Sprintf("9 10:0%d", i), `{"user.name":"anna"}`))
	}
	b.land(append(events, indicator(t, "i", "1", `{"threat.user":"anna"}`))...)
	p := compile(t, parse(t, "indicators", indicatorRule("user.name=threat.user", "max_signals=3")))
	for _, want := range []struct{ alerts, over int }{{3, 4}, {3, 1}, {1, 0}, {0, 0}} {
		if r := b.at(p, "9 10:10"); len(r.Alerts) != want.alerts || r.Over != want.over {
			t.Errorf("%d alerts, %d over, want %v", len(r.Alerts), r.Over, want)
		}
	}
}

// Another threat query, mapping or set of files is another program.
func TestIndicatorProgramIDs(t *testing.T) {
	seen := map[string]string{}
	f := func(what, groups, more, files string) {
		t.Helper()
		c := detect.Compiler{Resolver: declared(t), Indicators: func(patterns []string) string {
			if !store.Selects(patterns, feed) {
				t.Errorf("%v", patterns)
			}
			return files
		}}
		p, err := c.Compile(parse(t, "rule", indicatorRule(groups, more)))
		if err != nil {
			t.Fatal(err)
		}
		if other := seen[p.ID()]; other != "" {
			t.Errorf("%s: the same program as %s", what, other)
		}
		seen[p.ID()] = what
		if p.FromFiles() != (files != "") || !p.Matches() {
			t.Errorf("%s: from files: %t", what, p.FromFiles())
		}
	}
	f("one", "user.name=threat.user", "", "")
	f("files", "user.name=threat.user", "", "1")
	f("other files", "user.name=threat.user", "", "2")
	f("negated", "user.name=threat.user & !host.name=threat.host", "", "")
	f("not negated", "user.name=threat.user & host.name=threat.host", "", "")
	f("another group", "user.name=threat.user | host.name=threat.host", "", "")
	f("a query", "user.name=threat.user", "threat_query='tags:x'", "")
	f("a filter", "user.name=threat.user", "threat_filters=[{query={match_phrase={tags='y'}}}]", "")
	f("date math", "user.name=threat.user", "threat_query='@timestamp > now-1d'", "")
	f("other date math", "user.name=threat.user", "threat_query='@timestamp > now-2d'", "")
	f("a path", "user.name=threat.user", "threat_indicator_path='x'", "")
	query := compile(t, parse(t, "q", "type='query'\nquery='a:b'"))
	if query.Matches() || query.FromFiles() || query.IndicatorStreams() != nil {
		t.Error("a query rule looks for indicators")
	}
}
