package rule_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// publicRules returns the texts of every n-th public rule, none where the corpus is absent.
func publicRules(f *testing.F, n int) [][]byte {
	var out [][]byte
	count := 0
	_ = filepath.WalkDir(filepath.Join(corpus.Root(), "corpus", "rules"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(p) != ".toml" {
			return nil
		}
		if count++; count%n == 0 {
			if text, err := os.ReadFile(p); err == nil {
				out = append(out, text)
			}
		}
		return nil
	})
	return out
}

// sound fails where problems point outside of the text they are about.
func sound(t *testing.T, problems diag.List) {
	t.Helper()
	for _, d := range problems {
		if d.Span.Start < 0 || d.Span.End < d.Span.Start || d.Text != "" && d.Span.End > len(d.Text) {
			t.Errorf("a diagnostic at %v of %d bytes: %s", d.Span, len(d.Text), d.Message)
		}
	}
	_ = problems.Render()
}

// FuzzTOML: a text is a rule or an error; a rule is written and read again as the same.
func FuzzTOML(f *testing.F) {
	f.Add([]byte("[rule]\nrule_id='r'\nname='n'\ndescription='d'\nseverity='low'\nrisk_score=0\ntype='new_terms'\n[rule.new_terms]\nvalue=['a']"))
	f.Add([]byte("[[rule.threat]]\ntactic.id={a=[[1]]}\n[rule.threat.technique]"))
	f.Add([]byte("rule.a.b.c = \"\"\"\\u0041\"\"\"\n[rule]"))
	for _, text := range publicRules(f, 17) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := rule.Parse("x.toml", text)
		if (r == nil) == (err == nil) {
			t.Error("neither a rule nor an error")
		}
		sound(t, diag.Of(err))
		if err != nil {
			return
		}
		sound(t, r.Locate(diag.List{{Span: diag.Span{Start: 0, End: len(r.Query)}, Text: r.Query}}))
		first, err := r.AppendTOML(nil)
		if err != nil {
			t.Fatal(err)
		}
		back, err := rule.Parse("x.toml", first)
		if err != nil {
			t.Fatalf("%s\n%s", diag.Of(err).Render(), first)
		}
		if diff := cmp.Diff(stripped(r), stripped(back), ignoringSource, numbers); diff != "" {
			t.Fatal(diff)
		}
		second, err := back.AppendTOML(nil)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("written again it differs: %v\n%s", err, cmp.Diff(string(first), string(second)))
		}
		e, problems := rule.ParseExport("x.ndjson", r.AppendJSON(nil))
		if len(problems) > 0 {
			t.Fatal(problems.Render())
		}
		if diff := cmp.Diff(stripped(r), stripped(e.Rules()[0]), ignoringSource, numbers); diff != "" {
			t.Fatalf("through an export: %s", diff)
		}
	})
}

// FuzzNDJSON: lines are read or refused one by one; what is read is written and read again as the same.
func FuzzNDJSON(f *testing.F) {
	if text, err := os.ReadFile("testdata/whole.ndjson"); err == nil {
		f.Add(text)
		for line := range bytes.Lines(text) {
			f.Add(line)
		}
	}
	for _, text := range publicRules(f, 17) {
		if r, err := rule.Parse("x.toml", text); err == nil {
			f.Add(r.AppendJSON(nil))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e, problems := rule.ParseExport("x.ndjson", text)
		sound(t, problems)
		if len(e.Lines) == 0 {
			return
		}
		first := e.AppendJSON(nil)
		again, problems := rule.ParseExport("x.ndjson", first)
		if problems.Err() != nil {
			t.Fatalf("%s\n%s", problems.Render(), first)
		}
		if second := again.AppendJSON(nil); !bytes.Equal(first, second) {
			t.Fatalf("written again it differs: %s", cmp.Diff(string(first), string(second)))
		}
		for i, r := range e.Rules() {
			sound(t, r.Locate(diag.List{{Span: diag.Span{Start: 0, End: len(r.Query)}, Text: r.Query}}))
			if diff := cmp.Diff(stripped(r), stripped(again.Rules()[i]), ignoringSource, numbers); diff != "" {
				t.Fatal(diff)
			}
			if file, err := r.AppendTOML(nil); err == nil {
				if _, err := rule.Parse("x.toml", file); err != nil {
					t.Fatalf("%s\n%s", diag.Of(err).Render(), file)
				}
			}
		}
	})
}
