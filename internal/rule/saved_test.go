package rule_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// Objects as exports of saved objects have them.
const (
	savedQuery = `{"attributes":{"description":"","filters":[{"meta":{"disabled":false},"query":{"match_phrase":{"user.name":"eve"}}}],` +
		`"query":{"language":"kuery","query":"event.action : saved"},"title":"Saved"},"coreMigrationVersion":"8.8.0","id":"q-1",` +
		`"managed":false,"references":[],"type":"query","version":"WzEsMV0="}`
	luceneQuery = `{"attributes":{"query":{"language":"lucene","query":"event.action:saved"},"title":"L"},"id":"q-2","type":"query"}`
	view        = `{"attributes":{"fieldAttrs":"{}","fields":"[]","name":"Logs","runtimeFieldMap":"{\"hour\":{\"type\":\"long\"},\"day\":{\"type\":\"long\"}}",` +
		`"timeFieldName":"@timestamp","title":"logs-a-*, logs-b-*,-logs-b-x"},"id":"v-1","type":"index-pattern"}`
	otherView = `{"attributes":{"title":"v-1"},"id":"v-2","type":"index-pattern"}` // titled like the ID of the first
	dashboard = `{"attributes":{"panelsJSON":"[]","title":"D"},"id":"d-1","references":[],"type":"dashboard"}`
	details   = `{"excludedObjects":[],"excludedObjectsCount":0,"exportedCount":4,"missingRefCount":0,"missingReferences":[]}`
)

// folder writes files and returns where they are.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// ruleText is a rule of the keys that every rule has, and more.
func ruleText(id, more string) string {
	return "[rule]\nname='n'\ndescription='d'\nrule_id='" + id + "'\nseverity='low'\nrisk_score=1\n" + more + "\n"
}

// What a rule means whose data view and saved query are read with it, and what it says where they are not.
func TestReferences(t *testing.T) {
	objects := strings.Join([]string{dashboard, savedQuery, luceneQuery, otherView, view, details}, "\n")
	f := func(more, objects string, index []string, query string, filters int, cannot string) {
		t.Helper()
		files := map[string]string{"r/rule.toml": ruleText("r", more)}
		if objects != "" {
			files["r/x/objects.ndjson"] = objects
		}
		set := rule.Load(folder(t, files))
		if len(set.Problems) > 0 || len(set.Rules) != 1 {
			t.Fatal(set.Problems.Render())
		}
		r := set.Rules[0]
		if diff := cmp.Diff(index, r.Index); diff != "" || r.Query != query || len(r.Filters) != filters || r.CannotRun != cannot {
			t.Errorf("%s: index (-want +got) %s, query %q, %d filters, cannot run: %q", more, diff, r.Query, len(r.Filters), r.CannotRun)
		}
		written, err := r.AppendTOML(nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := rule.Parse("again.toml", written)
		if err != nil {
			t.Fatalf("%v\n%s", err, written)
		}
		plain, err := rule.Parse("plain.toml", []byte(files["r/rule.toml"]))
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range []*rule.Rule{again, plain} {
			if diff := cmp.Diff(string(other.AppendJSON(nil)), string(r.AppendJSON(nil))); diff != "" {
				t.Errorf("%s: what is written is not what the file says:\n%s", more, diff)
			}
		}
	}
	logs := []string{"logs-a-*", "logs-b-*", "-logs-b-x"}
	const noView, noQuery = `no data view that was read has the ID or title "`, `no saved query that was read has the ID "`

	// A data view is found by its ID, else by its title, and wins over index.
	f("type='query'\nquery='a: b'\ndata_view_id='v-1'", objects, logs, "a: b", 0, "")
	f("type='query'\nquery='a: b'\nindex=['logs-z']\ndata_view_id='v-1'", objects, logs, "a: b", 0, "")
	f("type='query'\nquery='a: b'\ndata_view_id='logs-a-*, logs-b-*,-logs-b-x'", objects, logs, "a: b", 0, "")
	f("type='query'\nquery='a: b'\ndata_view_id='v-2'", objects, []string{"v-1"}, "a: b", 0, "")
	f("type='query'\nquery='a: b'\nindex=['logs-z']\ndata_view_id='Logs'", objects, []string{"logs-z"}, "a: b", 0, noView+`Logs"`)
	f("type='query'\nquery='a: b'\ndata_view_id='v-1'", "", nil, "a: b", 0, noView+`v-1"`)

	// The query, the language and the filters of a saved query replace those of the rule.
	f("type='saved_query'\nsaved_id='q-1'", objects, nil, "event.action : saved", 1, "")
	f("type='saved_query'\nsaved_id='q-1'\nquery='a: b'\nfilters=[{query={match_all={}}},{query={match_all={}}}]\nindex=['logs-z']", objects, []string{"logs-z"}, "event.action : saved", 1, "")
	f("type='saved_query'\nsaved_id='q-1'\ndata_view_id='v-1'", objects, logs, "event.action : saved", 1, "")
	f("type='saved_query'\nsaved_id='q-2'\nquery='a: b'\nfilters=[{query={match_all={}}}]", objects, nil, "event.action:saved", 0, "")
	f("type='saved_query'\nlanguage='lucene'\nsaved_id='q-1'", objects, nil, "event.action : saved", 1, "")
	// Without it the rule's own query does; without that it cannot run.
	f("type='saved_query'\nsaved_id='gone'\nquery='a: b'\nfilters=[{query={match_all={}}}]", objects, nil, "a: b", 1, "")
	f("type='saved_query'\nsaved_id='gone'", objects, nil, "", 0, noQuery+`gone", and the rule has none of its own`)
	f("type='saved_query'\nsaved_id='v-1'", objects, nil, "", 0, noQuery+`v-1", and the rule has none of its own`)
	// The saved query of a query rule is where its query came from once.
	f("type='query'\nquery='a: b'\nsaved_id='q-1'", objects, nil, "a: b", 0, "")
	f("type='query'\nquery='a: b'\nsaved_id='gone'", "", nil, "a: b", 0, "")
	// What else cannot be done is said besides.
	f("type='query'\nquery='a: b'\nlanguage='lucene'\ndata_view_id='gone'", objects, nil, "a: b", 0, noView+`gone"`)
	f("type='threshold'\nquery='a: b'\nthreshold={field=[],value=1}\ndata_view_id='gone'", objects, nil, "a: b", 0, noView+`gone"`)
}

// A rule that is named alone finds what it refers to in the exports beside it; rules in them are not read.
func TestReferencesBeside(t *testing.T) {
	dir := folder(t, map[string]string{
		"rule.toml":      ruleText("r", "type='saved_query'\nsaved_id='q-1'\ndata_view_id='v-1'"),
		"objects.ndjson": view + "\n" + `{"type":"query","rule_id":"other","name":"n","description":"d","severity":"low","risk_score":1}` + "\n{broken\n" + savedQuery,
		"events.ndjson":  `{"@timestamp":"2026-03-09T10:01:00Z"}`,
	})
	name := filepath.Join(dir, "rule.toml")
	set := rule.Load(name)
	if len(set.Problems) > 0 || len(set.Rules) != 1 || set.Rules[0].CannotRun != "" || len(set.Found) != 1 {
		t.Errorf("%s %+v", set.Problems.Render(), set.Found)
	}
	r, err := rule.ReadFile(name)
	if err != nil || r.CannotRun != "" || r.Query != "event.action : saved" || len(r.Index) != 3 {
		t.Fatalf("%v, %+v", err, r)
	}
	if diff := cmp.Diff([]string{"day", "hour"}, r.Runtime); diff != "" {
		t.Error(diff)
	}

	// What is wrong with the saved query is told where it stands.
	d := r.Locate(diag.List{{Code: "X", Message: "m", Span: diag.Span{Start: 6, End: 12}, Text: r.Query}})[0]
	at, _ := d.Span.Positions(d.Text)
	if !strings.HasSuffix(d.File, "objects.ndjson") || at.Line != 4 || d.Text[d.Span.Start:d.Span.End] != "action" {
		t.Errorf("%s:%d: %q", d.File, at.Line, d.Text[d.Span.Start:d.Span.End])
	}
	d = r.Locator().Below("filters")([]string{"0", "query", "match_phrase", "user.name"})
	at, _ = d.Span.Positions(d.Text)
	if !strings.HasSuffix(d.File, "objects.ndjson") || at.Line != 4 || d.Text[d.Span.Start:d.Span.End] != `"eve"` {
		t.Errorf("%s:%d: %q", d.File, at.Line, d.Text[d.Span.Start:d.Span.End])
	}

	// Kept, it means the same without any file.
	document, err := r.Keep()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	kept, err := rule.Kept(document)
	if err != nil || kept.Query != r.Query || len(kept.Filters) != 1 || kept.CannotRun != "" {
		t.Fatalf("%v, %+v", err, kept)
	}
	if diff := cmp.Diff(r.Index, kept.Index); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(string(r.AppendJSON(nil)), string(kept.AppendJSON(nil))); diff != "" {
		t.Error(diff)
	}
}

// Exports of saved objects are read strictly where rules look, and kept as they are.
func TestSavedObjects(t *testing.T) {
	text := strings.Join([]string{savedQuery, luceneQuery, view, otherView, dashboard, details}, "\n") + "\n"
	export, problems := rule.ParseExport("x.ndjson", []byte(text))
	if len(problems) > 0 {
		t.Fatal(problems.Render())
	}
	var kinds []string
	for _, l := range export.Lines {
		kinds = append(kinds, l.Kind.String())
	}
	if diff := cmp.Diff([]string{"saved query", "saved query", "data view", "data view", "saved object", "summary"}, kinds); diff != "" {
		t.Error(diff)
	}
	again, problems := rule.ParseExport("x.ndjson", export.AppendJSON(nil))
	if len(problems) > 0 || string(again.AppendJSON(nil)) != string(export.AppendJSON(nil)) || len(again.Lines) != 6 {
		t.Error(problems.Render(), again)
	}
	f := func(line, want string) {
		t.Helper()
		_, problems := rule.ParseExport("x.ndjson", []byte(line))
		if len(problems) != 1 || problems[0].Error() != want {
			t.Errorf("%s:\n%swant %s", line, problems.Render(), want)
		}
	}
	f(`{"id":"q","type":"query","attributes":{"title":"t"}}`, "x.ndjson:1:26: RULE0104: attributes lacks query")
	f(`{"id":"q","type":"query","attributes":{"query":{"query":{"bool":{}},"language":"kuery"}}}`, "x.ndjson:1:57: RULE0103: query must be a text, not an object")
	f(`{"id":"q","type":"query","attributes":{"query":{"query":"","language":"eql"}}}`, `x.ndjson:1:71: RULE0105: "eql" is no value of language`)
	f(`{"type":"index-pattern","attributes":{"title":"a"}}`, "x.ndjson:1:1: RULE0104: the data view lacks id")
	f(`{"id":"v","type":"index-pattern","attributes":{"title":" , "}}`, "x.ndjson:1:56: RULE0106: title names no stream")
	f(`{"id":"v","type":"index-pattern","attributes":{"title":"a","runtimeFieldMap":"["}}`, "x.ndjson:1:78: RULE0103: runtimeFieldMap must be an object in JSON, as a text")
}
