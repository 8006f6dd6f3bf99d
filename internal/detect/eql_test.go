package detect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// eqlRule is a rule with the given query, and more lines.
func eqlRule(t testing.TB, query, more string) *detect.Program {
	t.Helper()
	return compile(t, parse(t, "eql", "type='eql'\nlanguage='eql'\nquery='''"+query+"'''\n"+more))
}

// sequencesOf are the alerts on sequences, as the events that they are on, with those of their building blocks in brackets.
func sequencesOf(alerts []*event.Event) []string {
	out := []string{}
	for _, a := range alerts {
		if a.Get("kibana.alert.group.id").IsNull() || !a.Get("kibana.alert.group.index").IsNull() {
			continue
		}
		var blocks []string
		for _, b := range alerts {
			if n := b.Get("kibana.alert.group.index"); !n.IsNull() && b.Text("kibana.alert.group.id") == a.ID {
				blocks = append(blocks, fmt.Sprintf("%d:%s", n.Int(), b.Text("tocsin.alert.evidence_id")))
			}
		}
		slices.Sort(blocks)
		out = append(out, fmt.Sprintf("%s %v", a.Text("tocsin.alert.evidence_id"), blocks))
	}
	return out
}

func TestEQLEvents(t *testing.T) {
	b := newBench(t)
	b.land(
		login(t, "early", "9 09:50", `{"user":{"name":"ann"},"event":{"category":"process"}}`),
		login(t, "a", "9 09:55", `{"user":{"name":"ann"},"event":{"category":["process","file"]}}`),
		login(t, "b", "9 09:57", `{"user":{"name":"Ann"},"event":{"category":"Process"}}`),
		login(t, "c", "9 09:58", `{"user":{"name":"bob"},"kind":"file","event":{"category":"network"},"rank":1}`),
		login(t, "d", "9 09:59", `{"user":{"name":"eve"},"kind":"file"}`),
		login(t, "e", "9 10:00", `{"user":{"name":"ann"},"rank":1}`),
	)
	f := func(query, more string, want ...string) {
		t.Helper()
		p := eqlRule(t, query, more)
		w, err := p.Window(at(t, "9 10:00"))
		if err != nil {
			t.Fatal(err)
		}
		result, err := detect.Run(ctx, p, w, b.env(p))
		if err != nil {
			t.Fatal(err)
		}
		if got := found(result.Alerts); !slices.Equal(got, want) {
			t.Errorf("%s %s: %v, want %v", query, more, got, want)
		}
	}
	f("any where true", "", "a", "b", "c", "d", "e")
	f("any where true", "from='now-3m'", "b", "c", "d", "e")
	f("process where true", "", "a") // with regard to case, any of several
	f(`any where user.name : "ann"`, "", "a", "b", "e")
	f(`any where user.name == "ann"`, "", "a", "e")
	f(`any where user.name != "ann"`, "", "b", "c", "d")
	f("any where true | head 2", "", "a", "b")
	f("any where true | tail 2", "", "d", "e")
	f("any where true | tail 3 | head 1", "", "c")
	f("any where true", "max_signals=2", "a", "b")
	f("any where true | tail 3", "max_signals=2", "c", "d")
	f("file where true", "event_category_override='kind'", "c", "d")
	f(`any where user.name : "*n*"`, "filters=[{query={term={'user.name'='ann'}}}]", "a", "e")
	f(`any where user.name : "*n*"`, "filters=[{meta={negate=true},query={term={'user.name'='ann'}}}]", "b")
	f("any where event.category == null", "tiebreaker_field='user.name'", "d", "e")
	f("any where true", "tiebreaker_field='user.name'\nfrom='now-3m'\nto='now-90s'", "b", "c")
	f("any where not_declared : \"x\" or ?not_declared_either == null", "", "a", "b", "c", "d", "e")
}

// An event alerts once, however many windows hold it, and whatever alerts are over the maximum are left to others.
func TestEQLEventsOnce(t *testing.T) {
	b := newBench(t)
	for i := range 5 {
		b.land(login(t, fmt.Sprint("e", i), fmt.Sprintf("9 09:5%d", i+3), `{"user":{"name":"ann"}}`))
	}
	p := eqlRule(t, "any where true", "max_signals=2\nfrom='now-9m'")
	f := func(slot string, over int, want ...string) {
		t.Helper()
		result := b.at(p, slot)
		if got := found(result.Alerts); !slices.Equal(got, want) || result.Over != over {
			t.Errorf("at %s: %v and %d over, want %v and %d", slot, got, result.Over, want, over)
		}
	}
	f("9 10:00", 3, "e0", "e1")
	f("9 10:00", 1, "e2", "e3")
	f("9 10:05", 0, "e4")
	f("9 10:05", 0)
}

// TestSequences holds what the alerts on a sequence are.
func TestSequences(t *testing.T) {
	b := newBench(t)
	b.land(
		login(t, "a", "9 09:50", `{"user":{"name":"ann","id":7},"host":{"name":["h1","h2"]},"event":{"action":"enter","outcome":"success","severity":3},"labels":{"x":"1","y":"2"}}`),
		login(t, "b", "9 09:52", `{"user":{"name":"ann","id":8},"host":{"name":["h3","h2"]},"event":{"action":"leave","outcome":"success"},"labels":{"x":"1","y":"3"}}`),
		login(t, "other", "9 09:53", `{"user":{"name":"bob"},"event":{"action":"leave"}}`),
	)
	p := eqlRule(t, `sequence by user.name with maxspan=2m [any where event.action == "enter"] [any where event.action == "leave"]`,
		"from='now-20m'\nrule_name_override='user.name'\nseverity_mapping=[{field='event.severity',operator='equals',value='3',severity='high'}]\nrisk_score_mapping=[{field='user.id',operator='equals',value=''}]")
	result := b.at(p, "9 10:00")
	if got := sequencesOf(result.Alerts); !slices.Equal(got, []string{"b [0:a 1:b]"}) || result.Blocks != 2 || len(result.Alerts) != 3 {
		t.Fatalf("%v, %d blocks among %d alerts", got, result.Blocks, len(result.Alerts))
	}
	shell, first, second := result.Alerts[0], result.Alerts[1], result.Alerts[2]
	f := func(a *event.Event, path, want string) {
		t.Helper()
		if got := string(a.Get(path).AppendJSON(nil)); got != want {
			t.Errorf("%s of %s is %s, want %s", path, a.Text("tocsin.alert.evidence_id"), got, want)
		}
	}
	for i, a := range []*event.Event{shell, first, second} {
		f(a, "kibana.alert.group.id", `"`+shell.ID+`"`)
		f(a, "kibana.alert.rule.name", `"eql"`) // no override changes alerts on sequences
		f(a, "kibana.alert.severity", `"low"`)
		f(a, "kibana.alert.risk_score", `1`)
		f(a, "@timestamp", `"2026-03-09T10:00:00.000Z"`)
		f(a, "user.name", `"ann"`)
		f(a, "kibana.alert.building_block_type", []string{"null", `"default"`, `"default"`}[i])
		f(a, "kibana.alert.group.index", []string{"null", "0", "1"}[i])
		f(a, "kibana.alert.depth", []string{"2", "1", "1"}[i])
		f(a, "user.id", []string{"null", "7", "8"}[i])
		f(a, "host.name", []string{`["h2"]`, `["h1","h2"]`, `["h3","h2"]`}[i])
		f(a, "kibana.alert.original_event.action", []string{`null`, `"enter"`, `"leave"`}[i])
		f(a, "kibana.alert.original_event.outcome", `"success"`)
		f(a, "kibana.alert.original_time", []string{`"2026-03-09T09:52:00.000Z"`, `"2026-03-09T09:50:00.000Z"`, `"2026-03-09T09:52:00.000Z"`}[i])
	}
	f(shell, "labels", `{"x":"1"}`)
	f(shell, "kibana.alert.reason", `"event with by ann on h2 created low alert eql."`)
	f(shell, "tocsin.alert.evidence_ids", `["a","b"]`)
	f(shell, "tocsin.alert.evidence_time", `"2026-03-09T09:52:00.000Z"`)
	line := fmt.Sprintf(`[{"id":"a","index":%[1]q,"type":"event","depth":0},{"id":%[2]q,"index":%[4]q,"type":"signal","depth":1,"rule":%[5]q},`+
		`{"id":"b","index":%[1]q,"type":"event","depth":0},{"id":%[3]q,"index":%[4]q,"type":"signal","depth":1,"rule":%[5]q}]`,
		stream, first.ID, second.ID, store.AlertStream, p.Rule.UUID())
	f(shell, "kibana.alert.ancestors", line)
}

// TestSequencesOnce holds that a sequence that two windows hold is one, that all of it lies in one window, and how the
// maximum counts.
func TestSequencesOnce(t *testing.T) {
	b := newBench(t)
	for i, action := range strings.Fields("a b a b a b - - a b") {
		b.land(login(t, fmt.Sprint(action, i), fmt.Sprintf("9 10:0%d", i), `{"user":{"name":"ann"},"event":{"action":"`+action+`"}}`))
	}
	p := eqlRule(t, `sequence by user.name [any where event.action == "a"] [any where event.action == "b"]`, "from='now-6m'\nmax_signals=2")
	f := func(slot string, over int, want ...string) {
		t.Helper()
		result := b.at(p, slot)
		if got := sequencesOf(result.Alerts); !slices.Equal(got, want) && len(got)+len(want) > 0 || result.Over != over {
			t.Errorf("at %s: %v and %d over, want %v and %d", slot, got, result.Over, want, over)
		}
	}
	f("9 10:00", 0) // b1 is not there yet
	f("9 10:01", 0, "b1 [0:a0 1:b1]")
	f("9 10:05", 0, "b3 [0:a2 1:b3]", "b5 [0:a4 1:b5]")
	f("9 10:05", 0)
	f("9 10:09", 0, "b9 [0:a8 1:b9]") // from 10:03 on: b3 has lost its a2
	b = newBench(t)
	for _, e := range []string{"a0 b1", "a2 b3", "a4 b5"} {
		for i, id := range strings.Fields(e) {
			b.land(login(t, id, "9 10:0"+id[1:], `{"user":{"name":"ann"},"event":{"action":"`+[]string{"a", "b"}[i]+`"}}`))
		}
	}
	f("9 10:06", 1, "b1 [0:a0 1:b1]", "b3 [0:a2 1:b3]") // the maximum counts sequences
	f("9 10:06", 0, "b5 [0:a4 1:b5]")
}

// Exceptions and filters hide every event of a sequence from the rule.
func TestSequencesExcepted(t *testing.T) {
	query := `sequence by user.name [any where event.action == "a"] [any where event.action == "b"]`
	f := func(more, items string, want ...string) {
		t.Helper()
		b := newBench(t)
		for i, host := range strings.Fields("h1 lab h2 h3") {
			b.land(login(t, fmt.Sprint("a", i), fmt.Sprintf("9 09:5%d", i), `{"user":{"name":"`+host+`"},"host":{"name":"`+host+`"},"event":{"action":"a"}}`),
				login(t, fmt.Sprint("b", i), fmt.Sprintf("9 09:5%d", i+1), `{"user":{"name":"`+host+`"},"event":{"action":"b"}}`))
		}
		p := excepted(t, parse(t, "eql", "type='eql'\nlanguage='eql'\nfrom='now-20m'\nquery='''"+query+"'''\n"+more), items)
		if got := sequencesOf(b.at(p, "9 10:00").Alerts); !slices.Equal(got, want) {
			t.Errorf("%s%s: %v, want %v", more, items, got, want)
		}
	}
	f("", "", "b0 [0:a0 1:b0]", "b1 [0:a1 1:b1]", "b2 [0:a2 1:b2]", "b3 [0:a3 1:b3]")
	f("", notInLab, "b0 [0:a0 1:b0]", "b2 [0:a2 1:b2]", "b3 [0:a3 1:b3]")
	f("", labUntil("2026-03-09T11:00:00Z"), "b0 [0:a0 1:b0]", "b2 [0:a2 1:b2]", "b3 [0:a3 1:b3]")
	f("", labUntil("2026-03-09T09:00:00Z"), "b0 [0:a0 1:b0]", "b1 [0:a1 1:b1]", "b2 [0:a2 1:b2]", "b3 [0:a3 1:b3]")
	f("filters=[{meta={negate=true},query={term={'host.name'='h3'}}}]", notInLab, "b0 [0:a0 1:b0]", "b2 [0:a2 1:b2]")
}

// What was folded into an alert is not folded again, whichever window holds it.
func TestEQLFoldedOnce(t *testing.T) {
	for _, query := range []string{"any where event.action == \"b\"", "sequence [any where event.action == \"a\"] [any where event.action == \"b\"]"} {
		b := newBench(t)
		for i, action := range strings.Fields("a b a b a b") {
			b.land(login(t, fmt.Sprint(action, i), fmt.Sprintf("9 10:0%d", i), `{"user":{"name":"ann"},"event":{"action":"`+action+`"}}`))
		}
		p := eqlRule(t, query, "interval='5m'\nfrom='now-9m'\n[rule.alert_suppression]\ngroup_by=['user.name']\nduration={value=1,unit='h'}")
		f := func(slot string, folded, count int64) {
			t.Helper()
			result := b.at(p, slot)
			shells := slices.DeleteFunc(b.alerts(), alert.IsBlock)
			if len(shells) != 1 {
				t.Fatalf("%s: %d alerts at %s", query, len(shells), slot)
			}
			if got := shells[0].Get("kibana.alert.suppression.docs_count").Int(); got != count || result.Folded != folded {
				t.Errorf("%s: at %s %d were folded, %d in all; want %d, %d", query, slot, result.Folded, got, folded, count)
			}
		}
		f("9 10:03", 1, 1)
		f("9 10:03", 0, 1)
		f("9 10:05", 1, 2)
		f("9 10:10", 0, 2)
	}
}

// TestSequenceKinds holds that the rest of the language reaches the rule.
func TestSequenceKinds(t *testing.T) {
	f := func(query, script string, want ...string) {
		t.Helper()
		b := newBench(t)
		for i, word := range strings.Fields(script) {
			action, user, _ := strings.Cut(word, "/")
			if action != "-" {
				b.land(login(t, fmt.Sprint(action, i), fmt.Sprintf("9 10:%02d", i), `{"user":{"name":"`+user+`"},"event":{"action":"`+action+`"}}`))
			}
		}
		got := sequencesOf(b.at(eqlRule(t, query, "from='now-1h'"), "9 10:30").Alerts)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" && len(got)+len(want) > 0 {
			t.Errorf("%s over %s:\n%s", query, script, diff)
		}
	}
	a, b := `[any where event.action == "a"]`, `[any where event.action == "b"]`
	f("sequence "+a+b, "a/x b/y", "b1 [0:a0 1:b1]")
	f("sequence by user.name "+a+b, "a/x b/y b/x", "b2 [0:a0 1:b2]")
	f("sequence "+a+" by user.name "+b+" by user.name", "a/x b/y b/x", "b2 [0:a0 1:b2]")
	f("sequence by user.name with maxspan=1m "+a+b, "a/x - b/x")
	f("sequence by user.name "+a+" with runs=3", "a/x a/y a/x a/x", "a3 [0:a0 1:a2 2:a3]")
	f("sequence by user.name "+a+b+` until [any where event.action == "q"]`, "a/x q/x b/x a/y q/x b/y", "b5 [0:a3 1:b5]")
	f("sequence by user.name with maxspan=5m "+a+` ![any where event.action == "q"] `+b, "a/x q/x b/x a/y q/x b/y", "b5 [0:a3 1:b5]")
	f("sequence by user.name with maxspan=5m "+a+` ![any where event.action == "q"]`, "a/x q/x a/y", "a2 [0:a2]")
	f(`sequence by user.name with maxspan=5m ![any where event.action == "q"] `+a+b, "q/x a/x b/x a/y b/y", "b4 [0:a3 1:b4]")
	f("sequence "+a+b+" | head 1", "a/x b/x a/x b/x", "b1 [0:a0 1:b1]")
	f("sequence "+a+b+" | tail 1", "a/x b/x a/x b/x", "b3 [0:a2 1:b3]")
	f("sample by user.name "+b+a, "a/x b/x a/y a/z b/z", "a0 [0:b1 1:a0]", "a3 [0:b4 1:a3]")
	f("sequence "+a+`[any where true]`, "a/x b/y", "b1 [0:a0 1:b1]") // what no condition names is read all the same
}

// TestSequencesOfAlerts holds that no rule goes round in a circle.
func TestSequencesOfAlerts(t *testing.T) {
	b := newBench(t)
	p := eqlRule(t, "sequence [any where true] [any where true]", "index=['logs-*','.alerts-security.alerts-default']\nfrom='now-1h'")
	b.land(login(t, "a", "9 09:58", `{"event":{"action":"x"}}`), login(t, "b", "9 09:59", `{"event":{"action":"y"}}`))
	if got := sequencesOf(b.at(p, "9 10:00").Alerts); !slices.Equal(got, []string{"b [0:a 1:b]"}) {
		t.Fatal(got)
	}
	if result := b.at(p, "9 10:05"); len(result.Alerts) != 0 || result.Candidates < 3 {
		t.Errorf("%v on %d sequences, of which its own alerts are no part", sequencesOf(result.Alerts), result.Candidates)
	}
}

func TestLookBack(t *testing.T) {
	f := func(query, more string, want ...string) {
		t.Helper()
		var got []string
		for _, d := range eqlRule(t, query, more).Warnings {
			span, _ := d.Span.Positions(d.Text)
			got = append(got, fmt.Sprintf("%d %s: %s", span.Line, d.Code, d.Message))
			if d.File != "eql.toml" || d.Code != detect.CodeNever && d.Code != detect.CodeLookBack {
				t.Error(d.Render())
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s %s:\n%s\nwant\n%s", query, more, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	pair := func(span string) string {
		return "sequence by host.name with maxspan=" + span + " [any where true] [any where true]"
	}
	f(pair("4m"), "interval='5m'\nfrom='now-9m'")
	f(pair("5m"), "interval='5m'\nfrom='now-9m'", "9 RUN0202: windows of 9m every 5m cut some of the sequences that last longer than 4m")
	f(pair("10m"), "interval='5m'\nfrom='now-9m'", "9 RUN0201: no window holds a sequence that lasts longer than 9m")
	f(pair("90m"), "interval='30m'\nfrom='now-3h'\nto='now-90m'", "9 RUN0202: windows of 1h30m every 30m cut some of the sequences that last longer than 1h")
	f(pair("1h"), "from='2026-01-01T00:00:00Z'")
	f("sequence by host.name [any where true] [any where true]", "interval='5m'\nfrom='now-5m'")
	f("sequence by host.name with maxspan=5m [any where true] ![any where event.action == \"x\"]", "interval='5m'\nfrom='now-9m'") // the windows are made longer
	f("sequence [any where true]\n[any where user.id > 1 and false]", "", "10 RUN0201: no event is ever this one, so that the sequence never comes to its end")
	f("any where true | tail 2", "interval='5m'\nfrom='now-9m'")
}

// TestEQLPrograms holds that another query is another program.
func TestEQLPrograms(t *testing.T) {
	seen := map[string]string{}
	for _, q := range []string{
		"sequence [any where true] [any where user.id == 1]", "sequence [any where user.id == 1] [any where true]",
		"sequence [any where true] [any where user.id == 1] | head 1", "sequence with maxspan=1m [any where true] [any where user.id == 1]",
		"sequence by user.name [any where true] [any where user.id == 1]", "sequence by ?user.name [any where true] [any where user.id == 1]",
		"sequence [any where true] [any where true] until [any where user.id == 1]", "sequence [any where true] [any where true] [any where user.id == 1]",
		"sample by user.name [any where true] [any where user.id == 1]", "sequence [any where true] [any where user.id == 1] with runs=2",
		"sequence with maxspan=1m [any where true] ![any where user.id == 1]",
		"any where true", "any where true | tail 1", "any where true | head 1",
	} {
		for _, more := range []string{"", "tiebreaker_field='user.id'", "timestamp_field='event.ingested'"} {
			id := eqlRule(t, q, more).ID()
			if seen[id] != "" {
				t.Errorf("%s %s is the same program as %s", q, more, seen[id])
			}
			seen[id] = q + " " + more
		}
	}
}
