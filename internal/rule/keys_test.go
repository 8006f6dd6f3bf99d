package rule

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
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

// TestDocumentation holds docs/rules.md to the keys and codes that there are.
func TestDocumentation(t *testing.T) {
	const name, begin, end = "../../docs/rules.md", "<!-- keys: made from the table of keys: go test ./internal/rule -run Documentation -update -->\n", "<!-- end of keys -->"
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(page), begin)
	table, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the keys", name)
	}
	want := keyTable()
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(name, []byte(head+begin+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if diff := cmp.Diff(want, table); diff != "" {
		t.Errorf("%s is not what the table of keys says; regenerate it with: go test ./internal/rule -run Documentation -update\n%s", name, diff)
	}

	var codes []string
	for _, file := range []string{"document.go", "types.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`= "(RULE[0-9]{4})"`).FindAllSubmatch(source, -1) {
			codes = append(codes, string(m[1]))
		}
	}
	var told []string
	for _, m := range regexp.MustCompile(`(?m)^\| (RULE[0-9]{4}) \|`).FindAllStringSubmatch(string(page), -1) {
		told = append(told, m[1])
	}
	if diff := cmp.Diff(codes, told); diff != "" || len(codes) < 15 {
		t.Errorf("%s tells of other codes than there are:\n%s", name, diff)
	}
}

// keyTable is the keys as a table of the documentation.
func keyTable() string {
	var b strings.Builder
	b.WriteString("\n| key | in | rules of type | what stands there | without it |\n|---|---|---|---|---|\n")
	for _, k := range keys {
		of, in, usual := "all", "both", ""
		if k.types != nil {
			of = strings.Join(k.types, ", ")
		}
		switch k.in {
		case inTOML:
			in = "TOML"
		case inExports:
			in = "exports"
		}
		if k.usual != nil {
			sample := &Rule{Type: TypeQuery}
			usual = "`" + string(k.usual(sample).AppendJSON(nil)) + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.name, in, of, k.about, usual)
	}
	b.WriteString("\n")
	return b.String()
}
