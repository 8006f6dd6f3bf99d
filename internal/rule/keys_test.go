package rule

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The keys that are read, for each type and layout, are those of the table: none is read that would not be written, and
// none is written that would not be read.
func TestKeysAreRead(t *testing.T) {
	for _, of := range Types() {
		for _, l := range []layout{inTOML, inExports} {
			doc := document{json: l == inExports}
			table := doc.table("", map[string]any{"type": of})
			new(Rule).read(table)
			var want []string
			for _, k := range keysIn(of, l) {
				want = append(want, k.name)
			}
			read := slices.Clone(table.asked)
			if l == inTOML { // asked for to say that they stand elsewhere
				read = slices.DeleteFunc(read, func(s string) bool { return s == "new_terms_fields" || s == "history_window_start" })
			}
			for _, k := range typeKeys { // asked for whatever the type is, and refused by it
				if !slices.Contains(k.types, of) {
					read = slices.DeleteFunc(read, func(s string) bool { return s == k.name })
				}
			}
			slices.Sort(want)
			slices.Sort(read)
			if diff := cmp.Diff(want, slices.Compact(read)); diff != "" {
				t.Errorf("%s, layout %d:\n%s", of, l, diff)
			}
		}
	}
}

// What a file says in other words than the model is kept for few keys only: everything else has to be in the model.
func TestRewordedKeys(t *testing.T) {
	var got []string
	seen := map[string]bool{}
	for _, k := range keys {
		if k.rewritten {
			got = append(got, k.name)
		}
		if place := fmt.Sprint(k.name, k.in); seen[place] || k.about == "" {
			t.Errorf("%s stands twice, or says nothing of itself", k.name)
		} else {
			seen[place] = true
		}
	}
	want := []string{"description", "false_positives", "note", "severity_mapping", "risk_score_mapping", "investigation_fields", "threshold", "threat_mapping", "machine_learning_job_id"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
