package rule_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/rules"
)

// A rule that was kept is the same rule: as it is written, and down to where its parts stand.
func TestKept(t *testing.T) {
	set := rule.LoadFS(rules.FS)
	export := rule.Export{}
	for _, r := range set.Rules {
		export.Lines = append(export.Lines, rule.Line{Kind: rule.LineRule, Rule: r})
	}
	read, problems := rule.ParseExport("export.ndjson", export.AppendJSON(nil))
	if len(problems) > 0 || len(set.Rules) == 0 {
		t.Fatal(len(set.Rules), problems)
	}
	for _, r := range append(set.Rules, read.Rules()...) {
		document, err := r.Keep()
		if err != nil {
			t.Fatal(err)
		}
		again, err := rule.Kept(document)
		if err != nil {
			t.Fatalf("%s: %v", r.RuleID, err)
		}
		if diff := cmp.Diff(string(r.AppendJSON(nil)), string(again.AppendJSON(nil))); diff != "" {
			t.Errorf("%s (-kept +read):\n%s", r.RuleID, diff)
		}
		at := func(r *rule.Rule) string {
			d := r.Locate(diag.List{{Span: diag.At(1), Text: r.Query}})[0]
			return d.File + ": " + d.Text[d.Span.Start:d.Span.End+10]
		}
		if at(r) != at(again) || r.Line != again.Line || r.InTOML() != again.InTOML() || r.Metadata.CreationDate != again.Metadata.CreationDate {
			t.Errorf("%s: line %d, %q; read line %d, %q", r.RuleID, r.Line, at(r), again.Line, at(again))
		}
	}
	for _, bad := range []string{"", "{", `{"text":"x"}`, `{"json":true,"text":"{}"}`, `{"json":true,"text":"{\"list_id\":\"l\"}"}`} {
		if _, err := rule.Kept([]byte(bad)); err == nil {
			t.Errorf("%s is a rule", bad)
		}
	}
}
