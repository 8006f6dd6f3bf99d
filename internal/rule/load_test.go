package rule_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/rules"
)

func text(id string) string {
	return "[rule]\ntype = 'query'\nrule_id = '" + id + "'\nname = 'n'\ndescription = 'd'\nseverity = 'low'\nrisk_score = 0\n"
}

// loaded lists the rule_ids of a set and renders its problems, with the folder's name taken away.
func loaded(dir string, set rule.Set) (ids []string, problems string) {
	for _, r := range set.Rules {
		ids = append(ids, r.RuleID)
	}
	return ids, strings.ReplaceAll(set.Problems.Render(), dir+string(filepath.Separator), "")
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	write("r/b.toml", text("two"))
	write("r/a.toml", "[rule]\nname = \n")
	write("r/sub/c.toml", text("one"))
	write("r/z.toml", text("two"))
	write("r/notes.md", "notes")
	write("r/b.test.toml", "tests of a rule are no rule")
	write("r/large.toml", text("large")+"#"+strings.Repeat("x", rule.MaxFile))
	write("other.rule", text("three"))
	write("empty/notes.md", "")
	if err := syscall.Mkfifo(at("r/pipe.toml"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(at("other.rule"), at("r/link.toml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", at("r/lost.toml")); err != nil {
		t.Fatal(err)
	}
	set := rule.Load(at("r"), at("r/b.toml"), at("empty"), at("absent"))
	ids, problems := loaded(dir, set)
	if diff := cmp.Diff([]string{"two", "three", "one"}, ids); diff != "" {
		t.Error(diff)
	}
	want := `r/a.toml:2:8: RULE0101: the file is not valid TOML: unexpected character U+000A at start of value
  2 | name = 
    |        ^
r/large.toml:8:4194204: RULE0002: the file is larger than 4 MiB
  8 | …xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    |                                          ^
r/lost.toml: RULE0001: the file cannot be read: no such file or directory
r/pipe.toml: RULE0001: the file cannot be read: it is no regular file
r/z.toml:3:11: RULE0108: rule_id "two" is taken
  3 | rule_id = 'two'
    |           ^^^^^
hint: the rule in ` + at("r/b.toml") + ` has it; give this one its own
empty: RULE0003: the folder holds no rule file
hint: rule files are called *.toml, exports *.ndjson
absent: RULE0001: the path cannot be read: no such file or directory
`
	if diff := cmp.Diff(strings.ReplaceAll(want, dir+string(filepath.Separator), ""), problems); diff != "" {
		t.Error(diff)
	}
	if set.Files != 8 {
		t.Errorf("%d files", set.Files)
	}
}

func TestLoadFS(t *testing.T) {
	ids, problems := loaded("-", rule.LoadFS(fstest.MapFS{
		"b.toml":   {Data: []byte(text("2"))},
		"a/a.toml": {Data: []byte(text("1"))},
		"a/a.txt":  {Data: []byte("no rule")},
	}))
	if diff := cmp.Diff([]string{"1", "2"}, ids); diff != "" || problems != "" {
		t.Error(diff, problems)
	}
}

// The rules that come with Tocsin are sound and run.
func TestOwnRules(t *testing.T) {
	set := rule.LoadFS(rules.FS)
	if len(set.Problems) > 0 || len(set.Rules) < 2 {
		t.Errorf("%d rules\n%s", len(set.Rules), set.Problems.Render())
	}
	run, skipped := rule.Runnable(set.Rules)
	for _, r := range skipped {
		t.Errorf("%s: %s", r.File, r.CannotRun)
	}
	if len(run) != len(set.Rules) {
		t.Errorf("%d of %d rules run", len(run), len(set.Rules))
	}
}

const exported = `{"type":"query","rule_id":"%s","name":"n","description":"d","severity":"low","risk_score":0}`

// Exports are read line by line, beside files of one rule; other kinds of NDJSON in a folder are left alone.
func TestLoadExport(t *testing.T) {
	line := func(id string) string { return fmt.Sprintf(exported, id) + "\n" }
	list := `{"list_id":"l","name":"l","description":"","type":"detection"}` + "\n"
	set := rule.LoadFS(fstest.MapFS{
		"a.toml":        {Data: []byte(text("a"))},
		"b.ndjson":      {Data: []byte("\ufeff" + line("b") + "\r\n" + strings.ReplaceAll(line("a"), "\n", "\r\n") + list + line("c")[:40] + "\n" + line("d") + line("d"))},
		"events.ndjson": {Data: []byte(`{"@timestamp":"2026-03-01T12:00:00Z","event":{"action":"x"}}` + "\n")},
		"half.ndjson":   {Data: []byte(line("e")[:60])},
		"pretty.ndjson": {Data: []byte(strings.ReplaceAll(line("f"), ",", ",\n  "))},
	})
	ids, problems := loaded("-", set)
	if diff := cmp.Diff([]string{"a", "b", "d", "f"}, ids); diff != "" {
		t.Error(diff)
	}
	want := `b.ndjson:3:27: RULE0108: rule_id "a" is taken
  3 | {"type":"query","rule_id":"a","name":"n","description":"d","severity":"low","risk_score":0}
    |                           ^^^
hint: the rule in a.toml has it; give this one its own
b.ndjson:5:41: RULE0110: the line is not valid JSON: it ends too early
  5 | {"type":"query","rule_id":"c","name":"n"
    |                                         ^
b.ndjson:7:27: RULE0108: rule_id "d" is taken
  7 | {"type":"query","rule_id":"d","name":"n","description":"d","severity":"low","risk_score":0}
    |                           ^^^
hint: the rule in b.ndjson, line 6, has it; give this one its own
half.ndjson:1:61: RULE0110: the line is not valid JSON: it ends too early
  1 | {"type":"query","rule_id":"e","name":"n","description":"d","
    |                                                             ^
`
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Error(diff)
	}
	if len(set.Lines) != 1 || set.Lines[0].Kind != rule.LineExceptionList || set.Lines[0].Number != 4 {
		t.Errorf("lines besides rules: %v", set.Lines)
	}
	var found []string
	for _, f := range set.Found {
		found = append(found, fmt.Sprintf("%s:%d %t", f.File, f.Line, len(f.Problems) == 0))
	}
	if diff := cmp.Diff([]string{"a.toml:1 true", "b.ndjson:1 true", "b.ndjson:3 false", "b.ndjson:5 false", "b.ndjson:6 true",
		"b.ndjson:7 false", "half.ndjson:1 false", "pretty.ndjson:1 true"}, found); diff != "" {
		t.Error(diff)
	}
}
