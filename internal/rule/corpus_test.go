package rule_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// TestConformanceLoad reads every public rule without a diagnostic, and counts which of them run.
func TestConformanceLoad(t *testing.T) {
	dir := corpus.Dir(t, "corpus/rules")
	tally := corpus.NewTally(t, "rules/load")
	set := rule.Load(dir)
	for _, d := range set.Problems {
		tally.Fail(d.File, d.Render())
	}
	types, runs, off, reasons := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	for _, r := range set.Rules {
		tally.Pass()
		types[r.Type]++
		switch {
		case !r.Runs():
			for _, l := range r.Lacks() {
				reasons[l.Why]++
			}
		case r.Enabled:
			runs[r.Type]++
		default:
			runs[r.Type]++
			off[r.Type]++
		}
		if query := (diag.Diagnostic{Text: r.Query, Span: diag.At(0)}); r.Query != "" {
			if located := r.Locate(diag.List{query})[0]; located.Text == r.Query {
				reasons["query not found in its file"]++
			}
		}
	}
	want := map[string]int{"eql": 876, "query": 406, "new_terms": 197, "esql": 159, "machine_learning": 94,
		"threshold": 22, "threat_match": 8}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Errorf("rules by type:\n%s", diff)
	}
	// Of the 1,509 query, new_terms, threshold, eql and threat_match rules all run.
	if n := runs["query"] + runs["new_terms"] + runs["threshold"] + runs["eql"] + runs["threat_match"]; n != 1509 {
		t.Errorf("%d rules run: %v", n, reasons)
	}
	if set.Files != 1762 || len(set.Found) != 1762 {
		t.Errorf("%d files, %d found", set.Files, len(set.Found))
	}
	for _, of := range slices.Sorted(maps.Keys(runs)) {
		t.Logf("%4d of %4d %s rules run, %d of them switched off", runs[of], types[of], of, off[of])
	}
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		t.Logf("%4d cannot: %s", reasons[why], why)
	}
}

// eachRule reads the public rules one by one, with the text of their files.
func eachRule(t *testing.T, f func(r *rule.Rule, text []byte)) {
	t.Helper()
	set := rule.Load(corpus.Dir(t, "corpus/rules"))
	if len(set.Rules) != 1762 {
		t.Fatalf("%d rules", len(set.Rules))
	}
	for _, r := range set.Rules {
		text, err := os.ReadFile(r.File)
		if err != nil {
			t.Fatal(err)
		}
		f(r, text)
	}
}

// tree is a TOML text as maps and lists.
func tree(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var out map[string]any
	if err := toml.Unmarshal(text, &out); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return out
}

// TestConformanceRoundTripTOML writes every public rule as TOML again: nothing differs, down to the line breaks of wrapped
// texts; and through an export and back: nothing differs but these.
func TestConformanceRoundTripTOML(t *testing.T) {
	tally := corpus.NewTally(t, "rules/roundtrip-toml")
	eachRule(t, func(r *rule.Rule, text []byte) {
		again, err := r.AppendTOML(nil)
		if err != nil {
			tally.Fail(r.File, err.Error())
			return
		}
		want := tree(t, text)
		if diff := cmp.Diff(want, tree(t, again)); diff != "" {
			tally.Fail(r.File, diff)
			return
		}
		back, err := rule.Parse(r.File, again)
		if err != nil {
			tally.Fail(r.File, diag.Of(err).Render())
			return
		}
		if twice, _ := back.AppendTOML(nil); !bytes.Equal(again, twice) {
			tally.Fail(r.File, "written twice it differs")
			return
		}
		through, problems := rule.ParseExport("x.ndjson", append(r.AppendJSON(nil), '\n'))
		if len(problems) > 0 {
			tally.Fail(r.File, problems.Render())
			return
		}
		last, err := through.Rules()[0].AppendTOML(nil)
		if err != nil {
			tally.Fail(r.File, err.Error())
			return
		}
		if diff := cmp.Diff(unwrapped(want), tree(t, last)); diff != "" {
			tally.Fail(r.File, "through an export: "+diff)
			return
		}
		tally.Pass()
	})
}

// unwrapped is a rule's tree in the words of an export: wrapped texts on one line, lists for what may be one text.
func unwrapped(tree map[string]any) map[string]any {
	of := tree["rule"].(map[string]any)
	of["description"] = strings.Join(strings.Fields(of["description"].(string)), " ")
	if list, ok := of["false_positives"].([]any); ok {
		for i, s := range list {
			list[i] = strings.Join(strings.Fields(s.(string)), " ")
		}
	}
	if job, ok := of["machine_learning_job_id"].(string); ok {
		of["machine_learning_job_id"] = []any{job}
	}
	return tree
}

// TestConformanceRoundTripNDJSON writes every public rule as a line of an export. It says what the file says by the
// conversion that rule-execution.md §8.3 describes, done here a second time from the bare TOML, and read and written
// again it is the same.
func TestConformanceRoundTripNDJSON(t *testing.T) {
	tally := corpus.NewTally(t, "rules/roundtrip-ndjson")
	rendered := 0
	eachRule(t, func(r *rule.Rule, text []byte) {
		line := r.AppendJSON(nil)
		want, got := converted(t, tree(t, text)), decoded(t, line)
		own := got["meta"].(map[string]any)["tocsin"].(map[string]any)
		if kept, ok := own["transform"]; ok {
			if diff := cmp.Diff(jsonOf(t, tree(t, text)["transform"]), kept); diff != "" {
				tally.Fail(r.File, "the entries of the guide: "+diff)
				return
			}
			delete(own, "transform")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			tally.Fail(r.File, diff)
			return
		}
		if strings.Contains(r.Note, "!{investigate{") {
			rendered++
		}
		e, problems := rule.ParseExport("x.ndjson", line)
		if len(problems) > 0 {
			tally.Fail(r.File, problems.Render())
			return
		}
		if diff := cmp.Diff(decoded(t, line), decoded(t, e.AppendJSON(nil))); diff != "" {
			tally.Fail(r.File, "read and written again: "+diff)
			return
		}
		back := e.Rules()[0]
		if diff := cmp.Diff(stripped(r), stripped(back), values); diff != "" {
			tally.Fail(r.File, "read again: "+diff)
			return
		}
		tally.Pass()
	})
	if rendered < 100 {
		t.Errorf("%d guides with entries", rendered)
	}
}

// stripped is a rule without what depends on the file.
func stripped(r *rule.Rule) rule.Rule {
	out := *r
	out.File, out.Line = "", 0
	return out
}

func decoded(t *testing.T, line []byte) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal(line, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// jsonOf is a TOML value as JSON reads it.
func jsonOf(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

var named = regexp.MustCompile(`\$\{?(investigate|osquery)_([0-9]+)\}?`)

// converted is a rule's TOML tree as a line of an export.
func converted(t *testing.T, file map[string]any) map[string]any {
	t.Helper()
	file = unwrapped(file)
	out := file["rule"].(map[string]any)
	if terms, ok := out["new_terms"].(map[string]any); ok {
		delete(out, "new_terms")
		out["new_terms_fields"] = terms["value"]
		out["history_window_start"] = terms["history_window_start"].([]any)[0].(map[string]any)["value"]
	}
	entries, _ := file["transform"].(map[string]any)
	note, _ := out["note"].(string)
	note = named.ReplaceAllStringFunc(note, func(found string) string {
		m := named.FindStringSubmatch(found)
		n, _ := strconv.Atoi(m[2])
		list, _ := entries[m[1]].([]any)
		if n >= len(list) {
			return found
		}
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if err := e.Encode(list[n]); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("!{%s%s}", m[1], strings.TrimSpace(text.String()))
	})
	if note != "" {
		out["note"] = note
	}
	out["meta"] = map[string]any{"tocsin": map[string]any{"metadata": file["metadata"]}}
	return jsonOf(t, out).(map[string]any)
}
