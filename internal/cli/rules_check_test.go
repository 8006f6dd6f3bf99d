package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/cli"
	"github.com/tocsin-sec/tocsin/internal/corpus"
)

// run runs a command in this process.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, told bytes.Buffer
	code = cli.Run(context.Background(), args, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &told})
	return code, out.String(), told.String()
}

// checked is one object of rules check --json.
type checked struct {
	File, RuleID, Name, Type, Language, Status string
	Problems                                   []struct {
		Code, Severity, Message, Hint string
		Line, Column                  int
	}
}

func check(t *testing.T, paths ...string) (code int, found []checked) {
	t.Helper()
	code, out, told := run(t, append([]string{"rules", "check", "--json"}, paths...)...)
	if told != "" {
		t.Errorf("on standard error: %s", told)
	}
	for line := range strings.Lines(out) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"file", "rule_id", "name", "type", "language", "status", "problems"} {
			if _, ok := object[key]; !ok {
				t.Errorf("an object lacks %s: %s", key, line)
			}
		}
		var c checked
		if err := json.Unmarshal([]byte(strings.Replace(line, `"rule_id"`, `"RuleID"`, 1)), &c); err != nil {
			t.Fatal(err)
		}
		found = append(found, c)
	}
	return code, found
}

// Whatever is wrong with a rule gets one diagnostic with its place, and the sound rule beside it is read.
func TestRulesCheckBadInput(t *testing.T) {
	const head = "[rule]\nrule_id = 'bad'\nname = 'n'\ndescription = 'd'\nseverity = 'low'\nrisk_score = 21\n"
	const query = head + "type = 'query'\n"
	const terms = head + "type = 'new_terms'\nquery = '*'\n"
	const history = "[[rule.new_terms.history_window_start]]\nfield = 'history_window_start'\nvalue = "
	good := strings.Replace(query, "'bad'", "'good'", 1) + "query = 'event.action : x'\n"
	line := strings.Replace(`{"type":"query","rule_id":"bad","name":"n","description":"d","severity":"low","risk_score":21,"query":"Q"}`, "Q", "", 1)

	f := func(name, text, code string, line, column int) {
		t.Helper()
		dir := t.TempDir()
		bad := filepath.Join(dir, "a", name)
		if err := os.MkdirAll(filepath.Dir(bad), 0o777); err != nil {
			t.Fatal(err)
		}
		for file, content := range map[string]string{bad: text, filepath.Join(dir, "z.toml"): good} {
			if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		exit, found := check(t, dir)
		want := "invalid"
		if code == "KQL0201" { // the rule runs, and most likely finds nothing
			want = "runs"
		}
		if (exit == cli.ExitIncomplete) != (want == "invalid") {
			t.Errorf("%s: exit code %d", name, exit)
		}
		if len(found) != 2 || found[0].Status != want || found[1].Status != "runs" || found[1].RuleID != "good" || found[1].Name != "n" ||
			found[1].Type != "query" || found[1].Language != "kuery" {
			t.Fatalf("%s: %+v", name, found)
		}
		if p := found[0].Problems; len(p) != 1 || p[0].Code != code || p[0].Line != line || p[0].Column != column || p[0].Message == "" {
			t.Errorf("%s: %.500v, want %s at %d:%d", name, p, code, line, column)
		}
		if strict, _, _ := run(t, "rules", "check", "--strict", dir); strict != cli.ExitIncomplete {
			t.Errorf("%s: --strict ends with %d", name, strict)
		}
		if code == "RUN0102" {
			line, column = 11, 10 // lint names the field
		}
		if linted, out, _ := run(t, "rules", "lint", dir); linted != cli.ExitIncomplete || line > 0 && !strings.Contains(out, fmt.Sprintf(":%d:%d: ", line, column)) {
			t.Errorf("%s: lint ends with %d: %.300s", name, linted, out)
		}
	}
	f("query.toml", query+"query = '''\nevent.action : a and user.name :\n'''\n", "KQL0105", 10, 1)
	f("query.ndjson", strings.Replace(line, `"query":""`, `"query":"a : \"x\" and )"`, 1), "KQL0106", 1, 118)
	f("field.toml", query+"query = 'event.acton : a'\n", "KQL0201", 8, 10)
	f("date.toml", query+"from = 'now-6x'\n", "RULE0107", 8, 8)
	f("zero.toml", query+"interval = '0m'\n", "RULE0107", 8, 12)
	f("negative.toml", query+"interval = '-5m'\n", "RULE0107", 8, 12)
	f("order.toml", query+"from = 'now-1m'\nto = 'now-5m'\n", "RULE0107", 8, 8)
	f("six.toml", terms+"[rule.new_terms]\nfield = 'new_terms_fields'\nvalue = ['a', 'b', 'c', 'd', 'e', 'f']\n"+history+"'now-7d'\n", "RULE0106", 11, 9)
	f("history.toml", terms+"[rule.new_terms]\nfield = 'new_terms_fields'\nvalue = ['user.name']\n"+history+"'now-1m'\n", "RULE0107", 9, 2)
	f("text.toml", terms+"[rule.new_terms]\nfield = 'new_terms_fields'\nvalue = ['message']\n"+history+"'now-7d'\n", "RUN0102", 9, 2)
	f("parentheses.toml", strings.Repeat("(", 10<<20), "RULE0002", 1, 4<<20+1)
	f("parentheses3.toml", query+"query = '"+strings.Repeat("(", 3<<20)+"'\n", "KQL0101", 8, 10+1<<20)
	f("parentheses600.toml", query+"query = '"+strings.Repeat("(", 600)+"'\n", "KQL0102", 8, 510)
	f("parentheses.ndjson", strings.Replace(line, `"query":""`, `"query":"`+strings.Repeat("(", 10<<20)+`"`, 1), "RULE0002", 1, 4<<20+1)
	f("ors.toml", query+"query = 'a : b"+strings.Repeat(" or a : b", 100_000)+"'\n", "KQL0310", 8, 10+5+65_535*9+1)
	f("ors.ndjson", strings.Replace(line, `"query":""`, `"query":"a`+strings.Repeat(" or a", 100_000)+`"`, 1), "KQL0310", 1, 327_781)
	f("keys.toml", query+"frm = 'now-6m'\n", "RULE0102", 8, 1)
	f("key.ndjson", strings.Replace(line, `21,"query"`, `21,"qeury"`, 1), "RULE0102", 1, 95)
	f("crlf.toml", "\ufeff"+strings.ReplaceAll(query+"frm = 'now-6m'\n", "\n", "\r\n"), "RULE0102", 8, 1)
	f("crlf.ndjson", "\ufeff"+strings.Replace(line, `21,"query"`, `21,"qeury"`, 1)+"\r\n", "RULE0102", 1, 95)
	f("half.toml", query[:len(query)-12], "RULE0101", 7, 3)
	f("half.ndjson", line[:60], "RULE0110", 1, 61)
	f("utf16.toml", "\xff\xfe[\x00r\x00u\x00l\x00e\x00]\x00", "RULE0101", 1, 1)
	f("empty.toml", "", "RULE0104", 0, 0)

	dir := t.TempDir()
	for _, name := range []string{"a.toml", "b.toml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(good), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	exit, found := check(t, dir)
	if exit != cli.ExitIncomplete || len(found) != 2 || found[0].Status != "runs" || found[1].Status != "invalid" ||
		found[1].Problems[0].Code != "RULE0108" || found[1].Problems[0].Line != 2 || found[1].Problems[0].Column != 11 {
		t.Errorf("the same ID twice: %d %+v", exit, found)
	}
}

// TestConformanceRulesCheck says of each public rule whether it runs.
func TestConformanceRulesCheck(t *testing.T) {
	dir := corpus.Dir(t, "corpus/rules")
	tally := corpus.NewTally(t, "rules/check")
	code, found := check(t, dir)
	if code != cli.ExitNothing || len(found) != 1762 {
		t.Errorf("exit code %d, %d rules", code, len(found))
	}
	counts := map[string]int{}
	for _, c := range found {
		counts[c.Type+" "+c.Status]++
		why := slices.IndexFunc(c.Problems, func(p struct {
			Code, Severity, Message, Hint string
			Line, Column                  int
		}) bool {
			return p.Code == "RULE0201"
		})
		switch {
		case c.Status == "invalid":
			tally.Fail(c.File, fmt.Sprint(c.Problems))
		case (c.Status == "cannot_run") != (why >= 0) || why >= 0 && (c.Problems[why].Message == "" || c.Problems[why].Line == 0):
			tally.Fail(c.File, "cannot run without a reason, or runs with one")
		default:
			tally.Pass()
		}
	}
	want := map[string]int{"query runs": 406, "new_terms runs": 197, "eql runs": 876, "esql cannot_run": 159,
		"machine_learning cannot_run": 94, "threat_match runs": 8, "threshold runs": 22}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("rules by type and status:\n%s", diff)
	}
	t.Logf("%v", counts)
}
