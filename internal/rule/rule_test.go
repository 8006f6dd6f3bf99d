package rule_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

var values = cmp.Options{cmp.Comparer(event.Equal), cmpopts.IgnoreUnexported(rule.Rule{})}

// numbers takes numbers as equal that are of one size, however they are written: TOML has its own way.
var numbers = cmp.Comparer(alike)

// alike is event.Equal for numbers of any literal.
func alike(a, b event.Value) bool {
	switch {
	case a.Kind() != b.Kind():
		return false
	case a.Kind() == event.KindFloat:
		return a.Float() == b.Float()
	case a.Kind() == event.KindList:
		return slices.EqualFunc(a.Items(), b.Items(), alike)
	case a.Kind() == event.KindObject:
		return len(a.Members()) == len(b.Members()) && !slices.ContainsFunc(a.Members(), func(m event.Member) bool {
			return !alike(m.Value, b.Member(m.Key))
		})
	}
	return event.Equal(a, b)
}

func value(t *testing.T, json string) event.Value {
	t.Helper()
	v, err := event.ParseJSON([]byte(json))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestWhole reads a rule that has every key there is.
func TestWhole(t *testing.T) {
	got, err := rule.ReadFile("testdata/whole.toml")
	if err != nil {
		t.Fatal(diag.Of(err).Render())
	}
	want := &rule.Rule{
		File: "testdata/whole.toml", Line: 1,
		RuleID: "rule-1", Name: "First something of a user", Type: "new_terms", Severity: "medium", RiskScore: 47,
		Description: "A user did something for the first time, and nobody knows why.", Version: 3, Enabled: true,
		From: "now-9m", To: "now-1m", Interval: "10m", MaxSignals: 33,
		Index: []string{"logs-aws.cloudtrail-*", "-logs-aws.cloudtrail-test*"},
		Query: "event.action : Something and\n  not user.name : \"root\"\n", Language: "kuery",
		NewTermsFields: []string{"user.name", "source.ip"}, HistoryWindowStart: "now-15d",
		TimestampOverride: "event.ingested", TimestampOverrideFallbackDisabled: true,
		Tags: []string{"Domain: Cloud", "Tactic: Discovery"}, Author: []string{"Tocsin"}, License: "Apache-2.0",
		References: []string{"https://example.com/a"}, FalsePositives: []string{"A new user."}, Setup: "## Setup",
		Note: "## Triage\n\n" +
			`- !{investigate{"label":"Events of this user","providers":[[{"excluded":false,"field":"user.name","queryType":"phrase","value":"{{user.name}}","valueType":"string"}]],"relativeFrom":"now-48h"}}` +
			"\n- " + `!{osquery{"label":"One","query":"SELECT 1"}} and $osquery_1` + "\n",
		Threat: []rule.Threat{{
			Framework: "MITRE ATT&CK",
			Tactic:    rule.Reference{ID: "TA0007", Name: "Discovery", URL: "https://attack.mitre.org/tactics/TA0007/"},
			Techniques: []rule.Technique{{
				Reference: rule.Reference{ID: "T1087", Name: "Account Discovery", URL: "https://attack.mitre.org/techniques/T1087/"},
				Subtechniques: []rule.Reference{
					{ID: "T1087.004", Name: "Cloud Account", URL: "https://attack.mitre.org/techniques/T1087/004/"}},
			}},
		}},
		SeverityMapping:     []rule.SeverityMapping{{Field: "event.severity", Operator: "equals", Value: "73", Severity: "high"}},
		RiskScoreMapping:    []rule.RiskScoreMapping{{Field: "event.risk_score", Operator: "equals", RiskScore: 90, Scored: true}},
		RuleNameOverride:    "event.reason",
		BuildingBlockType:   "default",
		InvestigationFields: []string{"user.name", "source.ip"},
		ExceptionsList: []rule.ExceptionList{
			{ID: "endpoint_list", ListID: "endpoint_list", Type: "endpoint", NamespaceType: "agnostic"}},
		Actions: []event.Value{value(t, `{"action_type_id":".webhook","group":"default","id":"hook","params":{"body":"{}"}}`)},
		Meta:    value(t, `{"from":"1m","kibana_siem_app_url":"x"}`), Throttle: "1h",
		TimelineID: "db366523", TimelineTitle: "Generic", Namespace: "prod", OutputIndex: "old",
		RelatedIntegrations: []event.Value{value(t, `{"package":"aws","version":"^2.0.0"}`)},
		RequiredFields:      []event.Value{value(t, `{"name":"user.name","type":"keyword"}`)},
		Metadata: rule.Metadata{CreationDate: "2026-03-01", UpdatedDate: "2026-11-24", Maturity: "production",
			Integrations: []string{"aws"}},
		Transform: rule.Transform{
			Investigate: []event.Value{value(t, `{"label":"Events of this user","providers":[[{"excluded":false,"field":"user.name","queryType":"phrase","value":"{{user.name}}","valueType":"string"}]],"relativeFrom":"now-48h"}`)},
			Osquery:     []event.Value{value(t, `{"label":"One","query":"SELECT 1"}`)},
		},
	}
	if diff := cmp.Diff(want, got, values); diff != "" {
		t.Error(diff)
	}
	if got.UUID() != "2ff2ce2e-ce40-5432-ad3a-30b092dda5c6" {
		t.Errorf("UUID %s", got.UUID())
	}

	// A diagnostic of the query is found in the file, in the right line.
	at := strings.Index(got.Query, "user.name")
	located := got.Locate(diag.List{{Code: "X", Message: "m", Span: diag.Span{Start: at, End: at + 9}, Text: got.Query}})
	want1 := "testdata/whole.toml:63:7: X: m\n  63 |   not user.name : \"root\"\n     |       ^^^^^^^^^\n"
	if diff := cmp.Diff(want1, located.Render()); diff != "" {
		t.Error(diff)
	}
}

func parse(t *testing.T, head, tail string) *rule.Rule {
	t.Helper()
	r, err := rule.Parse("r.toml", []byte("\ufeff[rule]\nrule_id='r'\nname='n'\ndescription='d'\nseverity='low'\nrisk_score=0\n"+head+"\n"+tail))
	if err != nil {
		t.Fatal(diag.Of(err).Render())
	}
	return r
}

func TestDefaults(t *testing.T) {
	got := parse(t, "type='query'", "")
	want := &rule.Rule{File: "r.toml", Line: 1, RuleID: "r", Name: "n", Description: "d", Severity: "low", Type: "query", Version: 1,
		Enabled: true, From: "now-6m", To: "now", Interval: "5m", MaxSignals: 100, Language: "kuery"}
	if diff := cmp.Diff(want, got, values); diff != "" {
		t.Error(diff)
	}
}

func TestTimeField(t *testing.T) {
	f := func(head, primary, fallback string) {
		t.Helper()
		if got := parse(t, "type='query'\n"+head, "").TimeField(); got != (plan.TimeField{Primary: primary, Fallback: fallback}) {
			t.Errorf("%s: %+v", head, got)
		}
	}
	f("", "@timestamp", "")
	f("timestamp_override='event.ingested'", "event.ingested", "@timestamp")
	f("timestamp_override='@timestamp'", "@timestamp", "")
	f("timestamp_override='event.ingested'\ntimestamp_override_fallback_disabled=true", "event.ingested", "")
}

func TestCannotRun(t *testing.T) {
	f := func(head, want string) {
		t.Helper()
		if got := parse(t, head, "").CannotRun; got != want {
			t.Errorf("%s: %q, want %q", head, got, want)
		}
	}
	f("type='query'", "")
	f("type='query'\nlanguage='kuery'\nexceptions_list=[{list_id='endpoint_list',type='endpoint'}]", "")
	f("type='eql'\nlanguage='eql'\nquery='any where true'", "")
	f("type='machine_learning'\nanomaly_threshold=50\nmachine_learning_job_id='a'", "rule type machine_learning cannot run yet")
	f("type='saved_query'\nsaved_id='s'", `no saved query that was read has the ID "s", and the rule has none of its own`)
	f("type='query'\nenabled=false", "the file switches the rule off (enabled = false)")
	f("type='query'\nlanguage='lucene'\ndata_view_id='d'", `no data view that was read has the ID or title "d"`)
	f("type='query'\nsaved_id='s'", "")
	f("type='query'\nfilters=[{meta={negate=true}}]", "")
	f("type='query'\nfilters=[]\nexceptions_list=[]", "")
	f("type='query'\nalert_suppression={group_by=['a']}", "")
	f("type='query'\nexceptions_list=[{list_id='mine',type='detection'}]", "")
}

func TestExtra(t *testing.T) {
	r := parse(t, "type='threshold'\nquery='*'", "[rule.threshold]\nfield=['a']\nvalue=3")
	if len(r.Extra) != 1 || r.Extra[0].Key != "threshold" || !event.Equal(r.Extra[0].Value, value(t, `{"field":["a"],"value":3}`)) {
		t.Errorf("extra %v", r.Extra)
	}
}

// Text that is made to cost time, memory or the stack is only an error.
func TestHostile(t *testing.T) {
	const many = 1 << 20
	for name, text := range map[string]string{
		"nested lists":  "[rule]\nmeta = {a=" + strings.Repeat("[", 5_000) + strings.Repeat("]", 5_000) + "}",
		"deeper lists":  "[rule]\nmeta = {a=" + strings.Repeat("[", many),
		"dotted key":    "[rule]\n" + strings.Repeat("a.", 100_000) + "a = 1",
		"dotted table":  "[rule" + strings.Repeat(".a", 100_000) + "]\na = 1",
		"many tables":   strings.Repeat("[[rule.threat]]\n", 50_000),
		"many elements": "[rule]\ntags = [" + strings.Repeat("1,", 50_000) + "]",
		"zeros":         strings.Repeat("\x00", many),
		"bad UTF-8":     "[rule]\nname = \"\xff\"",
	} {
		if r, err := rule.Parse("x", []byte(text)); r != nil || err == nil {
			t.Errorf("%s: no error", name)
		} else if diags := diag.Of(err); len(diags) > 200 {
			t.Errorf("%s: %d diagnostics", name, len(diags))
		}
	}
}
