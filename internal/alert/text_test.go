package alert_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
)

const queryRule = `
[rule]
description = "d"
index = ["logs-*"]
name = "A rule"
risk_score = 21
rule_id = "q"
severity = "low"
type = "query"
`

func TestReason(t *testing.T) {
	r := read(t, queryRule)
	f := func(source, want string) {
		t.Helper()
		a := alert.New(alert.Input{Rule: r, Source: decode(t, source), ID: "x"})
		if got := a.Text("kibana.alert.reason"); got != want {
			t.Errorf("%s\n got %q\nwant %q", source, got, want)
		}
	}
	f(`{}`, "event created low alert A rule.")
	f(`{"event":{"category":"iam"}}`, "iam event created low alert A rule.")
	f(`{"event":{"category":["iam","session"]},"host":{"name":["a","b"]}}`, "iam, session event on a, b created low alert A rule.")
	f(`{"user":{"name":"root"}}`, "event with by root created low alert A rule.")
	f(`{"source":{"ip":"192.0.2.1"}}`, "event with source 192.0.2.1, created low alert A rule.")
	f(`{"source":{"port":22}}`, "event created low alert A rule.")
	f(`{"event":{"category":"process"},"process":{"name":"sh","parent":{"name":"sshd"}},"file":{"name":"x"},
		"source":{"ip":"192.0.2.1","port":22},"destination":{"ip":["192.0.2.2","192.0.2.3"],"port":80},
		"user":{"name":"root"},"host":{"name":"h"}}`,
		"process event with process sh, parent process sshd, file x, source 192.0.2.1:22, destination 192.0.2.2, 192.0.2.3:80,"+
			" by root on h created low alert A rule.")
	// Severity and name are those after overrides.
	r = read(t, queryRule+"rule_name_override = 'event.reason'\nseverity_mapping = [{field='a',value='1',severity='critical'}]\n")
	f(`{"a":1,"event":{"reason":"Another name"}}`, "event created critical alert Another name.")
}

func TestOverrides(t *testing.T) {
	f := func(mappings, source, severity, risk, name string) {
		t.Helper()
		r := read(t, queryRule+mappings)
		a := alert.New(alert.Input{Rule: r, Source: decode(t, source), ID: "x"})
		got := strings.Join([]string{a.Text("kibana.alert.severity"), a.Text("kibana.alert.risk_score"), a.Text("kibana.alert.rule.name")}, " ")
		if want := strings.Join([]string{severity, risk, name}, " "); got != want {
			t.Errorf("%s: got %s, want %s", source, got, want)
		}
		if a.Text("kibana.alert.rule.severity") != "low" || a.Text("kibana.alert.rule.risk_score") != "21" {
			t.Error("the snapshot of the rule was overridden")
		}
	}
	severity := `severity_mapping = [{field='s',value='x',severity='critical'},{field='s',value='y',severity='medium'},
		{field='n',value='5',severity='high'},{field='event.severity',value='73.9',severity='high'},{field='b',value='true',severity='high'}]` + "\n"
	f(severity, `{}`, "low", "21", "A rule")
	f(severity, `{"s":"y"}`, "medium", "21", "A rule")
	f(severity, `{"s":["y","x"]}`, "critical", "21", "A rule") // the highest that matches, whatever the order
	f(severity, `{"s":"X"}`, "low", "21", "A rule")
	f(severity, `{"n":5}`, "high", "21", "A rule")
	f(severity, `{"n":5.0}`, "high", "21", "A rule")
	f(severity, `{"n":"5"}`, "high", "21", "A rule")
	f(severity, `{"n":5.5}`, "low", "21", "A rule")
	f(severity, `{"b":true}`, "low", "21", "A rule") // texts and whole numbers alone
	f(severity, `{"event":{"severity":73}}`, "high", "21", "A rule")
	f(severity, `{"event":{"severity":73.9}}`, "low", "21", "A rule")
	f(severity, `{"event":{"severity":"73"}}`, "low", "21", "A rule")
	f("severity_mapping = [{field='event.severity',value='many',severity='high'}]\n", `{"event":{"severity":0}}`, "low", "21", "A rule")
	f("severity_mapping = [{field='n',value='9007199254740993',severity='high'}]\n", `{"n":9007199254740993}`, "low", "21", "A rule")

	risk := "risk_score_mapping = [{field='r',value='1',risk_score=99},{field='q',value=''}]\n"
	f(risk, `{"q":50}`, "low", "21", "A rule") // the first mapping alone
	f(risk, `{"r":50}`, "low", "50", "A rule")
	f(risk, `{"r":0}`, "low", "0", "A rule")
	f(risk, `{"r":"50.5"}`, "low", "50.5", "A rule")
	f(risk, `{"r":[7,"90",300,-1,"x",true]}`, "low", "90", "A rule")
	f(risk, `{"r":100.5}`, "low", "21", "A rule")
	f(risk, `{"r":""}`, "low", "21", "A rule")
	f(risk, `{"r":{"x":5}}`, "low", "21", "A rule")

	name := "rule_name_override = 'm.text'\n"
	f(name, `{"m":{"text":"Other"}}`, "low", "21", "Other")
	f(name, `{"m":{"text":["Other"]}}`, "low", "21", "A rule")
	f(name, `{"m":{"text":5}}`, "low", "21", "A rule")
	f(name, `{"m":{"text":""}}`, "low", "21", "A rule")
	f(name, `{}`, "low", "21", "A rule")
}

func TestSentence(t *testing.T) {
	at := utc("2026-03-16T12:00:00Z")
	f := func(history time.Duration, events int64, covered float64, last time.Duration, want string) {
		t.Helper()
		e := alert.Evidence{Tuple: "ab", Time: at, HistoryFrom: at.Add(-history), HistoryTo: at, Events: events, Covered: covered}
		if last > 0 {
			e.LastBefore = at.Add(-last)
		}
		if got := e.Sentence(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	const day = 24 * time.Hour
	f(15*day, 1204, 1, 0, "first seen; none in 15 d before (1,204 events, 100 % covered)")
	f(15*day-time.Hour, 1, 0.9999, 0, "first seen; none in 15 d before (1 event, 99 % covered)")
	f(day, 1_234_567, 0.29, 0, "first seen; none in 1 d before (1,234,567 events, 29 % covered)")
	f(36*time.Hour, 0, 0, 0, "first seen; none in 36 h before (0 events, 0 % covered)")
	f(90*time.Minute, 999, 0.001, 0, "first seen; none in 90 min before (999 events, < 1 % covered)")
	f(90*time.Second, 1000, 2, 0, "first seen; none in 90 s before (1,000 events, 100 % covered)")
	f(15*day, 1204, 1, 16*day, "last seen 16 d ago (2026-02-28); none in 15 d before (1,204 events, 100 % covered)")
	if got := (alert.Evidence{ID: "x", Time: at}).Sentence(); got != "" {
		t.Errorf("a rule without history says %q", got)
	}
}

// What alerts cannot hold does not come through from the source.
func TestClean(t *testing.T) {
	r := read(t, queryRule)
	f := func(source, path, want string) {
		t.Helper()
		a := alert.New(alert.Input{Rule: r, Source: decode(t, source), ID: "x"})
		if got := string(a.Get(path).AppendJSON(nil)); got != want {
			t.Errorf("%s of %s: %s, want %s", path, source, got, want)
		}
	}
	f(`{"kibana.alert.x":1}`, "kibana.alert.x", `null`)
	f(`{"kibanas":1}`, "kibanas", `1`)
	f(`{"signal":"x"}`, "signal", `null`)
	f(`{"signals":{"a":1}}`, "signals.a", `1`)
	f(`{"event":{"kind":"alert"}}`, "kibana.alert.original_event.kind", `"alert"`)
	f(`{"event":{"kind":"alert"}}`, "event.kind", `"signal"`)
	f(`{"data_stream":{"dataset":"d"}}`, "kibana.alert.original_data_stream.dataset", `"d"`)
	f(`{"data_stream":{"dataset":"d"}}`, "data_stream.dataset", `"d"`)
	f(`{"mine":{"a":[1,"x",{"b":2}]}}`, "mine.a", `[1,"x",{"b":2}]`)
}

// A source with many fields costs no more than it is long.
func TestManyFields(t *testing.T) {
	e := &event.Event{ID: "x"}
	var members []event.Member
	for i := range 200_000 {
		members = append(members, event.Member{Key: strings.Repeat("abcdefghij"[i%10:i%10+1], 1+i%7) + time.Duration(i).String(), Value: event.Int(int64(i))})
	}
	e.SetObject("event", event.Object(members...), nil)
	e.SetObject("zone", event.Object(members...), nil)
	a := alert.New(alert.Input{Rule: read(t, queryRule), Source: e, ID: "y"})
	if n := len(a.Fields()); n < 3*len(members) {
		t.Errorf("%d fields", n)
	}
}
