package enrich_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/enrich"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// expected reads every expected document of both profiles, by a name of its own.
func expected(t *testing.T) map[string]*event.Event {
	t.Helper()
	dir := corpus.Dir(t, "corpus/cloudtrail-ecs")
	documents := map[string]*event.Event{}
	add := func(file string, list []json.RawMessage) {
		for i, raw := range list {
			e, err := event.Decode(raw, event.DecodeOptions{})
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			documents[filepath.Base(file)+"/"+string(rune('a'+i))] = e
		}
	}
	for _, pattern := range []string{"expected/*.json", "filebeat-*/*-expected.json"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var list []json.RawMessage
			if json.Unmarshal(text, &list) != nil {
				var document struct{ Expected []json.RawMessage }
				if err := json.Unmarshal(text, &document); err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				list = document.Expected
			}
			add(file, list)
		}
	}
	return documents
}

// below prints the fields of e at the prefixes, sorted, one a line.
func below(e *event.Event, prefixes ...string) string {
	var b strings.Builder
	for _, f := range e.Fields() {
		for _, p := range prefixes {
			if strings.HasPrefix(f.Path, p) {
				b.WriteString(f.Path + "=" + string(f.Value.AppendJSON(nil)) + "\n")
			}
		}
	}
	return b.String()
}

// TestConformanceAgents reads each distinct user agent of the expected documents.
func TestConformanceAgents(t *testing.T) {
	agent := enrich.NewAgent()
	tally := corpus.NewTally(t, "cloudtrail-ecs/agents")
	seen := map[string]bool{}
	for name, want := range expected(t) {
		original := want.Text("user_agent.original")
		if original == "" || seen[original] {
			continue
		}
		seen[original] = true
		got := &event.Event{}
		got.SetString("user_agent.original", original)
		agent.Enrich(got)
		// Elasticsearch before 8.16.2 ended some versions with a dot; we do not.
		want.SetString("user_agent.version", strings.TrimSuffix(want.Text("user_agent.version"), "."))
		if g, w := below(got, "user_agent."), below(want, "user_agent."); g != w {
			tally.Fail(name, original+"\ngot\n"+g+"want\n"+w)
			continue
		}
		tally.Pass()
	}
	if len(seen) != 92 {
		t.Errorf("%d distinct user agents, expected 92", len(seen))
	}
}

// TestConformancePlaces looks up each distinct address of the expected documents, those that no database knows among
// them.
func TestConformancePlaces(t *testing.T) {
	geo, err := enrich.OpenGeo(corpus.Dir(t, "data/geo"))
	if err != nil {
		t.Fatal(err)
	}
	defer geo.Close()
	tally := corpus.NewTally(t, "cloudtrail-ecs/places")
	seen, found := map[string]bool{}, 0
	for name, want := range expected(t) {
		address := want.Text("source.ip")
		if address == "" || seen[address] {
			continue
		}
		seen[address] = true
		got := &event.Event{}
		got.SetString("source.ip", address)
		geo.Enrich(got)
		g, w := below(got, "source.geo.", "source.as."), below(want, "source.geo.", "source.as.")
		if g != "" {
			found++
		}
		if g != w {
			tally.Fail(name, address+"\ngot\n"+g+"want\n"+w)
			continue
		}
		tally.Pass()
	}
	if found < 5 {
		t.Errorf("%d addresses have a place or network, expected 5", found)
	}
}
