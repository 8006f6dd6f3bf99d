package rule_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/rule"
)

// Files with indicators are found in the folders that are read, beside files that are named, and by path.
func TestIndicatorFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.toml", "indicators/list.csv", "indicators/bundle.JSON", "indicators/export.ndjson", "indicators/b.toml", "indicators/readme.md",
		"sub/indicators/x.txt", "feeds/deep/y.csv", "feeds/z.txt", "feeds/other.pdf", "none/other.pdf"} {
		full := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		id := strings.TrimSuffix(filepath.Base(name), ".toml")
		text := "[rule]\nrule_id='" + id + "'\nname='n'\ndescription='d'\ntype='query'\nseverity='low'\nrisk_score=1\nquery='*'\n"
		if strings.HasSuffix(name, "ndjson") { // it looks like an export, and is none where it stands
			text = `{"rule_id":"e","name":"n","description":"d","type":"query","severity":"low","risk_score":1,"query":"*"}`
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names := func(files []rule.File) string {
		var out []string
		for _, f := range files {
			rel, err := filepath.Rel(dir, f.Name)
			if err != nil {
				rel = f.Name
			}
			out = append(out, filepath.ToSlash(rel))
		}
		return strings.Join(out, " ")
	}
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("files %q, expected %q", got, want)
		}
	}
	all := rule.Load(dir)
	f(names(all.Indicators), "indicators/bundle.JSON indicators/export.ndjson indicators/list.csv sub/indicators/x.txt")
	if len(all.Rules) != 2 || len(all.Problems) > 0 {
		t.Errorf("%d rules, problems %s", len(all.Rules), all.Problems.Render())
	}
	f(names(rule.Load(filepath.Join(dir, "a.toml")).Indicators), "indicators/bundle.JSON indicators/export.ndjson indicators/list.csv")
	f(names(rule.IndicatorsBeside(filepath.Join(dir, "a.toml"))), "indicators/bundle.JSON indicators/export.ndjson indicators/list.csv")
	list, err := rule.IndicatorFiles(filepath.Join(dir, "feeds"), filepath.Join(dir, "feeds", "z.txt"), filepath.Join(dir, "feeds", "other.pdf"))
	if err != nil {
		t.Fatal(err)
	}
	f(names(list), "feeds/deep/y.csv feeds/z.txt feeds/other.pdf")
	for _, name := range []string{"none", "absent"} {
		if _, err := rule.IndicatorFiles(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	inTree := rule.LoadFS(os.DirFS(dir))
	var out []string
	for _, i := range inTree.Indicators {
		out = append(out, i.Name)
		if _, err := i.Data(1 << 20); err != nil {
			t.Error(err)
		}
		if _, err := i.Data(5); err == nil {
			t.Errorf("%s is read though it is too large", i.Name)
		}
	}
	f(strings.Join(out, " "), "indicators/bundle.JSON indicators/export.ndjson indicators/list.csv sub/indicators/x.txt")
}
