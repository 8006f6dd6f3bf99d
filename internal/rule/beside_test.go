package rule_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/rule"
)

// A file beside rules is read as strictly as they are, under codes of its own.
func TestBeside(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.test.toml")
	f := func(text string, read func(*rule.Table), want ...string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		file, top := rule.OpenBeside("TEST", name)
		if top != nil {
			read(top)
			top.Close()
		}
		var got []string
		for _, d := range file.Problems() {
			got = append(got, strings.TrimPrefix(d.Error(), name+":"))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s\n%s", text, diff)
		}
	}
	nothing := func(*rule.Table) {}
	f("", nothing)
	f("\ufeffa = 'b'\r\n", func(top *rule.Table) {
		if got := top.Word("a"); got != "b" {
			t.Errorf("a is %q", got)
		}
	})
	f("a = 1\nb = 2", func(top *rule.Table) { top.Number("a", 0, 0, 9) }, `2:1: TEST0102: the file has no key "b"`)
	f("a", nothing, "1:1: TEST0101: the file is not valid TOML: expected '=' after key")
	// A place inside a text, whatever quotes it has.
	inside := func(top *rule.Table) { top.Text("a"); top.Inside("0999", "a", 5, "", "here") }
	f("a = '0123456'", inside, "1:11: TEST0999: here")
	f("a = '''\n0123456'''", inside, "2:6: TEST0999: here")
	f(`a = "\t\"234\u0035"`, inside, "1:13: TEST0999: here")
	f("[[c]]\n[[c]]\nd.e = 3", func(top *rule.Table) {
		second := top.Subs("c")[1]
		second.Bad("0106", "d", "", "%s is on line %d", second.Title(), second.Line())
		second.Sub("d")
	}, "3:1: TEST0106: c[2] is on line 2")
}

// Files with exceptions are no rules; they are found in the folders that are read, and beside files.
func TestLoadExceptions(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return full
	}
	one := write("r/aws/one.toml", text("one"))
	write("r/two.toml", text("two"))
	write("r/exceptions/all.toml", "[list]\n")
	aws := write("r/aws/exceptions/aws.toml", "[list]\n")
	write("r/aws/exceptions/hosts.txt", "10.0.0.1\n")
	write("r/aws/exceptions/notes.md", "")
	f := func(set rule.Set, rules int, want ...string) rule.Set {
		t.Helper()
		var got []string
		for _, e := range set.Exceptions {
			got = append(got, filepath.ToSlash(strings.TrimPrefix(e.Name, dir+string(filepath.Separator))))
		}
		if diff := cmp.Diff(want, got); diff != "" || len(set.Rules) != rules || set.Files != rules || len(set.Problems) > 0 {
			t.Errorf("%s %d rules of %d files, %s", diff, len(set.Rules), set.Files, set.Problems.Render())
		}
		return set
	}
	f(rule.Load(filepath.Join(dir, "r")), 2, "r/aws/exceptions/aws.toml", "r/exceptions/all.toml")
	f(rule.Load(one), 1, "r/aws/exceptions/aws.toml")
	f(rule.Load(filepath.Join(dir, "r", "two.toml"), one, one, aws), 2, "r/exceptions/all.toml", "r/aws/exceptions/aws.toml")
	f(rule.Load(filepath.Join(dir, "r", "exceptions")), 0, "r/exceptions/all.toml")
	set := f(rule.LoadFS(os.DirFS(dir)), 2, "r/aws/exceptions/aws.toml", "r/exceptions/all.toml")
	for _, e := range []rule.File{set.Exceptions[0], rule.Load(one).Exceptions[0]} {
		for _, name := range []string{"hosts.txt", "../exceptions/hosts.txt"} {
			file, title, err := e.Sibling(name)
			if err != nil || !strings.HasSuffix(filepath.ToSlash(title), "aws/exceptions/hosts.txt") {
				t.Fatal(title, err)
			}
			if err := file.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, _, err := e.Sibling("nothing.txt"); err == nil {
			t.Error("a file that is not there was opened")
		}
		if beside, top := e.Open("EXC"); top == nil || len(beside.Problems()) > 0 {
			t.Error(beside.Problems())
		}
	}
}

// What an export holds besides rules can be found in its text.
func TestLinePlaces(t *testing.T) {
	const item = `{"list_id":"l","type":"simple","name":"n","description":"d","entries":[{"field":"f","type":"exists","operator":"included"}]}`
	const summary = `{"exported_exception_list_count":0,"exported_exception_list_item_count":1}`
	export, problems := rule.ParseExport("x.ndjson", []byte("\n"+item+"\n"+summary))
	if len(problems) > 0 || len(export.Lines) != 2 || export.Lines[1].Kind != rule.LineSummary {
		t.Fatal(problems, export)
	}
	d := export.Lines[0].Places()("entries", "0", "field")
	at, _ := d.Span.Positions(d.Text)
	if d.File != "x.ndjson" || at.Line != 2 || item[at.Column-1:at.Column+2] != `"f"` {
		t.Error(d.File, at)
	}
	export, problems = rule.ParseExport("x.ndjson", []byte(item+"\n"+`{"exported_exception_list_count":3,"exported_exception_list_item_count":1}`))
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "exported_exception_list_count is 3, and the file holds 0") {
		t.Error(problems, export)
	}
}
