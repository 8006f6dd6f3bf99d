package lucene_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// TestConformanceRules holds that the public rules in Lucene can be used, with a warning for the small "or" that one has,
// and find what their authors meant them to.
func TestConformanceRules(t *testing.T) {
	dir := filepath.Join(corpus.Dir(t, "corpus/rules"), "rules")
	tally := corpus.NewTally(t, "lucene/rules")
	declared, err := kqltest.TypesMapping(map[string]string{"event.category": "keyword", "event.type": "keyword",
		"process.name": "keyword", "process.args": "keyword", "user.name": "keyword"})
	if err != nil {
		t.Fatal(err)
	}
	rules := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".toml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		r, err := rule.Parse(path, text)
		if err != nil || r.Language != rule.LanguageLucene {
			return nil // TestConformance of package rule counts those that cannot be read
		}
		rules++
		n, err := lucene.Parse(r.Query)
		if err != nil {
			tally.Fail(r.Name, err.Error())
			return nil
		}
		if why := refix(n, lucene.String(n)); why != "" {
			tally.Fail(r.Name, why)
			return nil
		}
		cond, err := lucene.Lower(n, lucene.Options{Resolver: declared})
		if err != nil {
			tally.Fail(r.Name, err.Error())
			return nil
		}
		for doc, want := range map[string]bool{
			`{"event.category":"process","event.type":"start or process_started","process.name":"chmod","process.args":["chmod","2755","/x"],"user.name":"eve"}`: true,
			`{"event.category":"process","event.type":"start or process_started","process.name":"chmod","process.args":["chmod","g+s","/x"],"user.name":"eve"}`:  true,
			// As query_string reads it: the words on both sides of a small "or" are one value with it.
			`{"event.category":"process","event.type":"start","process.name":"chmod","process.args":["chmod","g+s","/x"],"user.name":"eve"}`:                     false,
			`{"event.category":"process","event.type":"start or process_started","process.name":"chmod","process.args":["chmod","755","/x"],"user.name":"eve"}`:  false,
			`{"event.category":"process","event.type":"start or process_started","process.name":"chmod","process.args":["chmod","g+s","/x"],"user.name":"root"}`: false,
		} {
			e, err := event.Decode([]byte(doc), event.DecodeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := expr.Matches(cond, e); got != want {
				tally.Fail(r.Name, doc)
				return nil
			}
		}
		if found := lucene.Check(n, declared); len(found) != 1 || found[0].Code != lucene.CodeSmallWord {
			tally.Fail(r.Name, found.Render())
			return nil
		}
		tally.Pass()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if rules != 1 {
		t.Errorf("%d rules are in Lucene, want 1", rules)
	}
}
