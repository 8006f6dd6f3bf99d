package rule_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// whole reads an export that has every key of every type and every kind of line.
func whole(t *testing.T) (rule.Export, []byte) {
	t.Helper()
	text, err := os.ReadFile("testdata/whole.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	e, problems := rule.ParseExport("whole.ndjson", text)
	if len(problems) > 0 {
		t.Fatal(problems.Render())
	}
	return e, text
}

// An export that is written again says the same, line by line.
func TestExportRoundTrip(t *testing.T) {
	e, text := whole(t)
	want, got := bytes.Split(bytes.TrimSpace(text), []byte("\n")), bytes.Split(bytes.TrimSpace(e.AppendJSON(nil)), []byte("\n"))
	if len(want) != len(got) || len(got) != 12 {
		t.Fatalf("%d lines, want %d", len(got), len(want))
	}
	for i := range want {
		if diff := cmp.Diff(decoded(t, want[i]), decoded(t, got[i])); diff != "" {
			t.Errorf("line %d: %s", i+1, diff)
		}
	}
	summary := rule.Summary(e.Lines)
	for _, m := range summary.Members() {
		if said := e.Lines[11].Object.Member(m.Key); !strings.HasPrefix(m.Key, "missing_rules") && !event.Equal(said, m.Value) {
			t.Errorf("%s is %v, want %v", m.Key, m.Value, said)
		}
	}
	for i, kind := range []rule.LineKind{rule.LineExceptionList, rule.LineExceptionItem, rule.LineConnector, rule.LineSummary} {
		if l := e.Lines[8+i]; l.Kind != kind || l.Number != 9+i || l.Object.IsNull() {
			t.Errorf("line %d is a %v", l.Number, l.Kind)
		}
	}
}

// What an export says is in the model, not only in its text.
func TestExportModel(t *testing.T) {
	e, _ := whole(t)
	rules := e.Rules()
	r := rules[0]
	if r.Description != "The root user signed in. Nobody should." || r.Enabled || r.Line != 1 || r.FalsePositives[0] != "A break-glass exercise." {
		t.Errorf("%+v", r)
	}
	f := func(want, got any) {
		t.Helper()
		if diff := cmp.Diff(want, got, values); diff != "" {
			t.Error(diff)
		}
	}
	f(&rule.Stored{ID: "6f4c5a0e-5b0f-4b59-9f43-6d3bb7f4a001", Source: value(t, `{"type":"internal"}`), Revision: 2,
		CreatedAt: "2026-03-01T09:15:00.123Z", CreatedBy: "anna", UpdatedAt: "2026-11-24T10:00:00.000Z", UpdatedBy: "ben",
		ExecutionSummary: value(t, `{"last_execution":{"date":"2026-11-24T09:59:00.000Z","status":"succeeded","status_order":0,"message":"","metrics":{"total_search_duration_ms":1.5}}}`),
		Outcome:          "exactMatch"}, r.Stored)
	f(&rule.Suppression{GroupBy: []string{"user.name"}, Value: 30, Unit: "m", MissingFields: "doNotSuppress"}, r.Suppression)
	f(1, len(r.Transform.Investigate))
	f([]string{"user.id", "cloud.region"}, rules[1].NewTermsFields)
	f("now-15d", rules[1].HistoryWindowStart)
	f([]string{"user.id"}, rules[1].InvestigationFields)
	f(&rule.Threshold{Fields: []string{"user.name"}, Value: 10, Cardinality: []rule.Cardinality{{Field: "source.ip", Value: 3}}}, rules[2].Threshold)
	f(&rule.Suppression{Value: 1, Unit: "h"}, rules[2].Suppression)
	f(&rule.ThreatMatch{Index: []string{"logs-ti_*"}, Query: `@timestamp >= "now-30d/d"`, Language: "lucene",
		Filters: []event.Value{value(t, `{"meta":{"negate":false},"query":{"exists":{"field":"threat.indicator.ip"}}}`)},
		Mapping: []rule.ThreatMapping{{Entries: []rule.ThreatEntry{{Field: "source.ip", Value: "threat.indicator.ip"},
			{Field: "user.name", Value: "threat.indicator.name", Negate: true}}}},
		IndicatorPath: "threat.feed", ConcurrentSearches: 2, ItemsPerSearch: 5000}, rules[3].ThreatMatch)
	f([]string{"event.kind", "event.sequence", "event.created"},
		[]string{rules[4].EventCategoryOverride, rules[4].TiebreakerField, rules[4].TimestampField})
	f("esql", rules[5].Language)
	f(75, rules[6].AnomalyThreshold)
	f([]string{"rare_region"}, rules[6].MachineLearningJobIDs)
	f("sq-2", rules[7].SavedID)
}

// An export turned into TOML and back is the same but for what only a server says, and for what TOML cannot say.
func TestExportThroughTOML(t *testing.T) {
	e, text := whole(t)
	for i, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n"))[:8] {
		file, err := e.Rules()[i].AppendTOML(nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := rule.Parse("x.toml", file)
		if err != nil {
			t.Fatalf("%s\n%s", diag.Of(err).Render(), file)
		}
		want := decoded(t, line)
		for _, key := range []string{"id", "revision", "immutable", "rule_source", "created_at", "created_by", "updated_at", "updated_by",
			"execution_summary", "outcome"} {
			delete(want, key)
		}
		switch i {
		case 0:
			delete(want["actions"].([]any)[1].(map[string]any), "frequency")
			delete(want["filters"].([]any)[0].(map[string]any)["meta"].(map[string]any), "alias")
			want["description"] = "The root user signed in. Nobody should."
			want["false_positives"] = []any{"A break-glass exercise."}
		case 1:
			want["investigation_fields"] = map[string]any{"field_names": []any{"user.id"}}
		case 2:
			want["threshold"].(map[string]any)["field"] = []any{"user.name"}
		case 6:
			want["machine_learning_job_id"] = []any{"rare_region"}
		}
		if diff := cmp.Diff(want, decoded(t, r.AppendJSON(nil))); diff != "" {
			t.Errorf("line %d: %s\n%s", i+1, diff, file)
		}
	}
}

// Complete fills in what a server answers (rule-execution.md §8).
func TestComplete(t *testing.T) {
	want := value(t, `{"rule_id":"r","name":"n","description":"d","type":"query","severity":"low","risk_score":0,"version":1,
		"enabled":true,"from":"now-6m","to":"now","interval":"5m","max_signals":100,"tags":[],"author":[],"references":[],
		"false_positives":[],"setup":"","threat":[],"severity_mapping":[],"risk_score_mapping":[],"exceptions_list":[],"actions":[],
		"timestamp_override_fallback_disabled":false,"immutable":false,"revision":0,
		"related_integrations":[],"required_fields":[],"query":"","language":"kuery","filters":[]}`)
	if diff := cmp.Diff(want, parse(t, "type='query'", "").Complete(), values); diff != "" {
		t.Error(diff)
	}
	short := value(t, `{"rule_id":"r","name":"n","description":"d","type":"query","severity":"low","risk_score":0}`)
	if diff := cmp.Diff(short, parse(t, "type='query'", "").JSON(), values); diff != "" {
		t.Error(diff)
	}
}

// Actions get the null that Kibana asks for and TOML cannot say.
func TestThrottle(t *testing.T) {
	r := parse(t, "type='query'", "[[rule.actions]]\nid='a'\naction_type_id='.email'\nparams={}\nfrequency={summary=true, notifyWhen='onActiveAlert'}")
	want := value(t, `[{"id":"a","action_type_id":".email","params":{},"frequency":{"summary":true,"notifyWhen":"onActiveAlert","throttle":null}}]`)
	if diff := cmp.Diff(want, r.JSON().Member("actions"), values); diff != "" {
		t.Error(diff)
	}
}

// A null in a list is lost in TOML: writing it is an error that says where.
func TestNoTOML(t *testing.T) {
	e, problems := rule.ParseExport("x", []byte(`{"rule_id":"r","name":"n","description":"d","type":"query","severity":"low","risk_score":0,"meta":{"a":[1,null]}}`))
	if len(problems) > 0 {
		t.Fatal(problems.Render())
	}
	_, err := e.Rules()[0].AppendTOML(nil)
	if err == nil || err.Error() != "write rule r as TOML: rule.meta.a holds a null in a list, which TOML cannot say" {
		t.Error(err)
	}
}

// A mistake in a query is found in the line of the export, whatever escapes the query is written with, and so it is in TOML.
func TestLocate(t *testing.T) {
	f := func(name, text, word, want string) {
		t.Helper()
		var r *rule.Rule
		if strings.HasSuffix(name, ".toml") {
			var err error
			if r, err = rule.Parse(name, []byte(text)); err != nil {
				t.Fatal(diag.Of(err).Render())
			}
		} else {
			e, problems := rule.ParseExport(name, []byte(text))
			if len(problems) > 0 {
				t.Fatal(problems.Render())
			}
			r = e.Rules()[len(e.Rules())-1]
		}
		at := strings.Index(r.Query, word)
		if at < 0 {
			t.Fatalf("%q is not in the query %q", word, r.Query)
		}
		got := r.Locate(diag.List{{Message: "m", Span: diag.Span{Start: at, End: at + len(word)}, Text: r.Query}})
		if diff := cmp.Diff(want, got.Render()); diff != "" {
			t.Error(diff)
		}
	}
	const head, tail = `{"rule_id":"r","name":"n","description":"d","type":"query","severity":"low","risk_score":0,"query":"`, `"}`
	first := strings.Replace(head, `"r"`, `"first"`, 1) + tail + "\n"
	f("x.ndjson", first+head+`a : \"b\" and c : \"d\"`+tail, `c : "d"`, `x.ndjson:2:115: m
  2 | …","risk_score":0,"query":"a : \"b\" and c : \"d\""}
    |                                          ^^^^^^^^^
`)
	f("x.ndjson", first+head+`\u00e4\ud83d\ude00\n\t\\ wrong here`+tail, "wrong", `x.ndjson:2:126: m
  2 | …re":0,"query":"\u00e4\ud83d\ude00\n\t\\ wrong here"}
    |                                          ^^^^^
`)
	const file = "[rule]\nrule_id='r'\nname='n'\ndescription='d'\nseverity='low'\nrisk_score=0\ntype='query'\nquery = "
	f("x.toml", file+"'''\na : b\nand wrong : d'''", "wrong", "x.toml:10:5: m\n  10 | and wrong : d'''\n     |     ^^^^^\n")
	f("x.toml", file+`"\u00e4\U0001F600 \"a\" wrong"`, "wrong", "x.toml:8:33: m\n  8 | query = \"\\u00e4\\U0001F600 \\\"a\\\" wrong\"\n    |                                 ^^^^^\n")
	f("x.toml", file+"\"\"\"\na \\\n   b wrong\\\n  x\"\"\"", "wrong", "x.toml:10:6: m\n  10 |    b wrong\\\n     |      ^^^^^\n")
	f("x.toml", file+"'wrong'\r\n", "wrong", "x.toml:8:10: m\n  8 | query = 'wrong'\n    |          ^^^^^\n")
}

// Lines that are made to cost time or memory are only an error, and the others are read.
func TestHostileExport(t *testing.T) {
	const good = `{"rule_id":"good","name":"n","description":"d","type":"query","severity":"low","risk_score":0}`
	const head = `{"rule_id":"bad","name":"n","description":"d","type":"query","severity":"low","risk_score":0,"meta":{"a":`
	for name, line := range map[string]string{
		"deep lists":      head + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}}",
		"deep objects":    head + strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_000) + "}}",
		"open lists":      head + strings.Repeat("[", 2_000_000),
		"many values":     head + "[" + strings.Repeat("[],", 1_000_000) + "0]}}",
		"many keys":       strings.TrimSuffix(good, "}") + strings.Repeat(`,"k`, 1) + strings.Repeat("x", 3_000_000) + `":1}`,
		"a long line":     head + `"` + strings.Repeat("x", rule.MaxLine) + `"}}`,
		"zeros":           strings.Repeat("\x00", 1_000_000),
		"a huge number":   head + strings.Repeat("9", 1_000_000) + "}}",
		"bad UTF-8":       head + "\"\xff\"}}",
		"half a pair":     strings.Replace(good, `"n"`, `"\ud800"`, 1),
		"a key of zeros":  strings.Replace(good, `"name"`, `"\u0000name"`, 1),
		"unknown letters": strings.TrimSuffix(good, "}") + `,"\ud83d\ude00":1}`,
	} {
		e, problems := rule.ParseExport("x", []byte(line+"\n"+good))
		if len(problems) == 0 || len(problems) > 2 || problems.Err() == nil {
			t.Errorf("%s: %d diagnostics", name, len(problems))
		}
		if len(e.Lines) != 1 || e.Lines[0].Number != 2 {
			t.Errorf("%s: the line beside it was not read", name)
		}
		sound(t, problems)
	}
	// Not every line of a file that is no export at all is told.
	_, problems := rule.ParseExport("x", []byte(strings.Repeat("no\n", 100_000)))
	if len(problems) > 1010 {
		t.Errorf("%d diagnostics", len(problems))
	}
	e, problems := rule.ParseExport("x", []byte(strings.Repeat(good+"\n", rule.MaxRules+5)))
	if len(e.Rules()) != rule.MaxRules || len(problems) != 1 || problems[0].Code != "RULE0002" {
		t.Errorf("%d rules, %d diagnostics", len(e.Rules()), len(problems))
	}
}
