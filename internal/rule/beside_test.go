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
