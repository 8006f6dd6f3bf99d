package indicator_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/indicator"
)

// The page names every code that is told, every column that it names is one, and the types of STIX objects are read.
func TestDocumentation(t *testing.T) {
	data, err := os.ReadFile("../../docs/indicators.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^\| (IND\d+) \|`).FindAllStringSubmatch(text, -1) {
		got = append(got, m[1])
	}
	want := []string{indicator.CodeUnreadable, indicator.CodeSyntax, indicator.CodeColumn, indicator.CodeNoHeader, indicator.CodeTooMany, indicator.CodeNone,
		indicator.CodeUnused,
		indicator.CodeValue, indicator.CodePattern, indicator.CodeCannot, indicator.CodeRefanged, indicator.CodeGuessed}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes (-told +documented):\n%s", diff)
	}
	table := text[strings.Index(text, "| column |"):strings.Index(text, "Several values in one line")]
	var names []string
	for _, line := range strings.Split(table, "\n")[2:] {
		if cells := strings.Split(line, "|"); len(cells) > 1 {
			for _, m := range regexp.MustCompile("`([a-z0-9_]+)`").FindAllStringSubmatch(cells[1], -1) {
				names = append(names, m[1])
			}
		}
	}
	if len(names) < 30 {
		t.Fatalf("the page names %d columns: %v", len(names), names)
	}
	if _, problems := load(t, "f.csv", strings.Join(names, ",")+"\n"); codes(problems) != "IND0106 1:1" { // there is no line below
		t.Errorf("columns that are documented: %s", problems.Render())
	}
	for _, suffix := range regexp.MustCompile("`(\\.[a-z0-9]+)`").FindAllStringSubmatch(text[strings.Index(text, "files are read that end in"):strings.Index(text, "Text is UTF-8")], -1) {
		if !slices.Contains([]string{".csv", ".tsv", ".txt", ".list", ".ioc", ".json", ".ndjson", ".jsonl", ".stix", ".stix2"}, suffix[1]) {
			t.Errorf("no file ends in %s", suffix[1])
		}
	}
}
