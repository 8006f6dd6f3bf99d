package rule_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

var update = flag.Bool("update", false, "rewrite what the tests expect")

// TestBroken holds what is said about broken rules to testdata/broken.txtar.
func TestBroken(t *testing.T) {
	const name = "testdata/broken.txtar"
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for i, f := range archive.Files {
		if !strings.HasSuffix(f.Name, ".toml") {
			continue
		}
		cases++
		r, err := rule.Parse(f.Name, f.Data)
		if err == nil || r != nil {
			t.Errorf("%s: no diagnostic", f.Name)
			continue
		}
		got := diag.Of(err).Render()
		want := &archive.Files[i+1]
		if *update {
			want.Data = []byte(got)
		} else if diff := cmp.Diff(string(want.Data), got); diff != "" {
			t.Errorf("%s:\n%s", f.Name, diff)
		}
	}
	if cases < 30 {
		t.Errorf("%d cases", cases)
	}
	if *update {
		if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBrokenExports holds what is said about broken exports to testdata/broken-exports.txtar.
func TestBrokenExports(t *testing.T) {
	const name = "testdata/broken-exports.txtar"
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for i, f := range archive.Files {
		if !strings.HasSuffix(f.Name, ".ndjson") {
			continue
		}
		cases++
		e, problems := rule.ParseExport(f.Name, f.Data)
		if len(problems) == 0 {
			t.Errorf("%s: no diagnostic", f.Name)
		}
		got := problems.Render() + "good:"
		for _, l := range e.Lines {
			got += fmt.Sprintf(" %d", l.Number)
		}
		got += "\n"
		want := &archive.Files[i+1]
		if *update {
			want.Data = []byte(got)
		} else if diff := cmp.Diff(string(want.Data), got); diff != "" {
			t.Errorf("%s:\n%s", f.Name, diff)
		}
	}
	if cases < 14 {
		t.Errorf("%d cases", cases)
	}
	if *update {
		if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The rule that the documentation shows is sound, and runs.
func TestDocumentedRule(t *testing.T) {
	page, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```toml\n")
	text, _, found := strings.Cut(rest, "```\n")
	r, err := rule.Parse("rules.md", []byte(text))
	if !found || err != nil {
		t.Fatalf("%v %s", found, diag.Of(err).Render())
	}
	if r.CannotRun != "" || r.Metadata.Maturity != "production" || len(r.Threat) != 1 {
		t.Errorf("%s %+v", r.CannotRun, r)
	}
}
