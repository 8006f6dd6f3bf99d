package alert_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
)

var update = flag.Bool("update", false, "rewrite what the tests expect")

// newTermsRule is the rule of the first new-terms scenario: every default is left to be filled in.
const newTermsRule = `
[metadata]
creation_date = "2026/03/01"
updated_date = "2026/11/24"
[rule]
description = "Detecting root and admin users"
from = "2019-02-19T20:42:00.000Z"
index = ["auditbeat-*"]
name = "Query with a rule id"
query = "*"
risk_score = 55
rule_id = "rule-1"
severity = "high"
type = "new_terms"
[[rule.threat]]
framework = "MITRE ATT&CK"
tactic = { id = "TA0007", name = "Discovery", reference = "https://attack.mitre.org/tactics/TA0007/" }
[[rule.threat.technique]]
id = "T1087"
name = "Account Discovery"
reference = "https://attack.mitre.org/techniques/T1087/"
subtechnique = [{ id = "T1087.004", name = "Cloud Account", reference = "https://attack.mitre.org/techniques/T1087/004/" }]
[rule.new_terms]
field = "new_terms_fields"
value = ["host.name"]
history_window_start = [{ field = "history_window_start", value = "2019-01-19T20:42:00.000Z" }]
`

const newTermsSource = `{
	"@timestamp": "2019-02-19T20:42:08.230Z",
	"data_stream": {"type": "logs", "dataset": "system.auth", "namespace": "default"},
	"event": {"action": "user_login", "category": ["authentication"], "dataset": "login", "kind": "event", "module": "system",
		"outcome": "failure", "type": ["start"], "sequence": 7},
	"host": {"name": "zeek-newyork-sha-aa8df15", "ip": ["198.51.100.7", "10.0.0.1"]},
	"kibana": {"alert": {"forged": true}}, "signal": {"rule": "x"}, "threshold_result": 1,
	"source": {"ip": "192.0.2.9", "port": 22}, "user": {"name": "root"},
	"tocsin": {"agent": {"class": "CLI"}, "alert": {"why": "forged"}},
	"odd": [{"a": 1}, {"a": 2}]
}`

func read(t *testing.T, text string) *rule.Rule {
	t.Helper()
	r, err := rule.Parse("r.toml", []byte(text))
	if err != nil {
		t.Fatal(diag.Of(err).Render())
	}
	return r
}

func decode(t *testing.T, doc string) *event.Event {
	t.Helper()
	e, err := event.Decode([]byte(doc), event.DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e.ID, e.Stream = "x07wJ2oB9v5HJNSHhyxi", "auditbeat-8.0.0-2019.02.19-000001"
	return e
}

func document(t *testing.T, a *event.Event) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, a.AppendJSON(nil, alert.Dotted), "", "  "); err != nil {
		t.Fatal(err)
	}
	return b.String() + "\n"
}

func utc(s string) time.Time {
	t, ok := event.ParseTime(s)
	if !ok {
		panic(s)
	}
	return t
}

// TestDocument holds the whole document of a new-terms alert to testdata/new_terms.json.
func TestDocument(t *testing.T) {
	r, source := read(t, newTermsRule), decode(t, newTermsSource)
	before := document(t, source)
	var tuple store.Tuple
	tuple[0] = 0xab
	at := utc("2019-02-19T20:45:00Z")
	in := alert.Input{Rule: r, Source: source, ID: alert.NewTermsID("default", r.UUID(), tuple, source.ID), Time: at,
		Version: "0.1.0", NewTerms: []event.Value{event.String("zeek-newyork-sha-aa8df15")},
		Evidence: alert.Evidence{Tuple: tuple.String(), ID: source.ID, Time: utc("2019-02-19T20:42:08.230Z"),
			HistoryFrom: utc("2019-01-19T20:42:00Z"), HistoryTo: utc("2019-02-19T20:42:00Z"), Events: 1204, Covered: 0.51239}}
	a := alert.New(in)
	if a.ID != in.ID || a.Stream != store.AlertStream || a.Source.Data != nil {
		t.Errorf("ID %s, stream %s, source %q", a.ID, a.Stream, a.Source.Data)
	}
	if document(t, source) != before {
		t.Error("the source was changed")
	}
	got := document(t, a)
	if again := document(t, alert.New(in)); again != got {
		t.Error("made again, the alert is another one")
	}
	const golden = "testdata/new_terms.json"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

// TestStatedFields lists the fields that the scenario asserts by name, each with its value as JSON.
func TestStatedFields(t *testing.T) {
	r, source := read(t, newTermsRule), decode(t, newTermsSource)
	in := alert.Input{Rule: r, Source: source, ID: "id", Time: utc("2019-02-19T20:45:00Z"),
		NewTerms: []event.Value{event.String("zeek-newyork-sha-aa8df15")}}
	a := alert.New(in)
	f := func(path, want string) {
		t.Helper()
		if got := string(a.Get(path).AppendJSON(nil)); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	f("@timestamp", `"2019-02-19T20:45:00.000Z"`)
	f("event.kind", `"signal"`)
	f("kibana.alert.new_terms", `["zeek-newyork-sha-aa8df15"]`)
	f("kibana.alert.rule.category", `"New Terms Rule"`)
	f("kibana.alert.rule.rule_type_id", `"siem.newTermsRule"`)
	f("kibana.alert.rule.producer", `"siem"`)
	f("kibana.alert.rule.consumer", `"siem"`)
	f("kibana.space_ids", `["default"]`)
	f("kibana.version", `null`)
	f("kibana.alert.ancestors", `[{"id":"x07wJ2oB9v5HJNSHhyxi","index":"auditbeat-8.0.0-2019.02.19-000001","type":"event","depth":0}]`)
	f("kibana.alert.depth", `1`)
	f("kibana.alert.status", `"active"`)
	f("kibana.alert.workflow_status", `"open"`)
	f("kibana.alert.workflow_tags", `[]`)
	f("kibana.alert.workflow_assignee_ids", `[]`)
	f("kibana.alert.original_time", `"2019-02-19T20:42:08.230Z"`)
	f("kibana.alert.original_event.kind", `"event"`)
	f("kibana.alert.original_event.category", `["authentication"]`)
	f("kibana.alert.rule.revision", `0`)
	f("kibana.alert.rule.execution.type", `"scheduled"`)
	f("kibana.alert.intended_timestamp", `"2019-02-19T20:45:00.000Z"`)
	f("kibana.alert.reason", `"authentication event with source 192.0.2.9:22, by root on zeek-newyork-sha-aa8df15 created high alert Query with a rule id."`)
	f("tocsin.alert.evidence_id", `"x07wJ2oB9v5HJNSHhyxi"`)
	f("tocsin.alert.evidence_time", `"2019-02-19T20:42:08.230Z"`)
	f("tocsin.alert.why", `null`)
	f("tocsin.agent.class", `"CLI"`)
	f("kibana.alert.forged", `null`)
	f("signal.rule", `null`)
	f("threshold_result", `null`)
	parameters := a.Get("kibana.alert.rule.parameters")
	p := func(key, want string) {
		t.Helper()
		if got := string(parameters.Member(key).AppendJSON(nil)); got != want {
			t.Errorf("parameters.%s: %s, want %s", key, got, want)
		}
	}
	p("author", `[]`)
	p("to", `"now"`)
	p("language", `"kuery"`)
	p("rule_source", `{"type":"internal"}`)
	p("max_signals", `100`)
	p("version", `1`)
	p("new_terms_fields", `["host.name"]`)
	p("history_window_start", `"2019-01-19T20:42:00.000Z"`)
	p("exceptions_list", `[]`)
	p("setup", `""`)
	p("output_index", `null`)

	// A run that a person asked for differs in its kind alone; another slot is another run.
	in.Manual = true
	if got := alert.New(in).Text("kibana.alert.rule.execution.type"); got != "manual" {
		t.Errorf("execution type %q", got)
	}
	run := a.Text("kibana.alert.rule.execution.uuid")
	in.Time = in.Time.Add(time.Minute)
	if next := alert.New(in).Text("kibana.alert.rule.execution.uuid"); next == run || len(next) != 36 {
		t.Errorf("execution %q, then %q", run, next)
	}
	in.RunID = "asked"
	if got := alert.New(in).Text("kibana.alert.rule.execution.uuid"); got != "asked" {
		t.Errorf("execution %q", got)
	}
}

func TestNewTermsKeepTheirTypes(t *testing.T) {
	r, source := read(t, newTermsRule), decode(t, `{"user":{"id":1}}`)
	address, _ := event.Coerce(event.IPType, event.String("::ffff:10.1.2.3"))
	day, _ := event.Coerce(event.Date, event.String("2026-03-01"))
	a := alert.New(alert.Input{Rule: r, Source: source, ID: "x", NewTerms: []event.Value{event.Int(1), event.Bool(false), address, day}})
	if got := string(a.Get("kibana.alert.new_terms").AppendJSON(nil)); got != `[1,false,"10.1.2.3","2026-03-01T00:00:00.000Z"]` {
		t.Error(got)
	}
	if got := a.Get("kibana.alert.original_time"); !got.IsNull() {
		t.Errorf("the source has no time, the alert has %v", got.Text())
	}
}

// Alerts on alerts know whom they descend from, and a rule does not alert on its own.
func TestAncestors(t *testing.T) {
	first, second := read(t, newTermsRule), read(t, strings.ReplaceAll(newTermsRule, `"rule-1"`, `"rule-2"`))
	source := decode(t, newTermsSource)
	a := alert.New(alert.Input{Rule: first, Source: source, ID: "a"})
	stored, err := event.Decode(a.AppendJSON(nil, alert.Dotted), event.DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stored.ID, stored.Stream = a.ID, a.Stream
	b := alert.New(alert.Input{Rule: second, Source: stored, ID: "b"})
	want := `[{"id":"x07wJ2oB9v5HJNSHhyxi","index":"auditbeat-8.0.0-2019.02.19-000001","type":"event","depth":0},` +
		`{"id":"a","index":".alerts-security.alerts-default","type":"signal","depth":1,"rule":"` + first.UUID() + `"}]`
	if got := string(b.Get("kibana.alert.ancestors").AppendJSON(nil)); got != want {
		t.Errorf("ancestors %s, want %s", got, want)
	}
	if b.Text("kibana.alert.depth") != "2" || b.Text("kibana.alert.original_event.kind") != "signal" {
		t.Errorf("depth %s, original kind %s", b.Text("kibana.alert.depth"), b.Text("kibana.alert.original_event.kind"))
	}
	if !b.Get("kibana.alert.new_terms").IsNull() {
		t.Error("the new terms of the source are those of the alert")
	}
	f := func(e *event.Event, r *rule.Rule, want bool) {
		t.Helper()
		if got := alert.Raised(e, r.UUID()); got != want {
			t.Errorf("%s raised by %s: %v", e.ID, r.RuleID, got)
		}
	}
	f(source, first, false)
	f(a, first, true)
	f(a, second, false)
	f(b, first, true)
	f(b, second, true)
}

func TestIDs(t *testing.T) {
	// Printed by: printf 'logs-adefaultundefineddefault:u' | sha256sum
	if got := alert.QueryID("default", "u", "logs-a", "default"); got != "02ded21eb77b8e5779bd937159e7c571a02ab79dd887cc19d610e7ca7f0e712c" {
		t.Errorf("query %s", got)
	}
	seen := map[string]string{}
	f := func(name, id string) {
		t.Helper()
		if other, taken := seen[id]; taken || len(id) != 64 {
			t.Errorf("%s has the ID %q, of %q", name, id, other)
		}
		seen[id] = name
	}
	var one, two store.Tuple
	two[15] = 1
	f("plain", alert.NewTermsID("default", "u", one, "e"))
	f("other tuple", alert.NewTermsID("default", "u", two, "e"))
	f("other episode", alert.NewTermsID("default", "u", one, "f"))
	f("other rule", alert.NewTermsID("default", "v", one, "e"))
	f("other space", alert.NewTermsID("prod", "u", one, "e"))
	f("parts moved", alert.NewTermsID("defaultu", "", one, "e"))
	f("an event", alert.QueryID("default", "u", "i", "e"))
}
