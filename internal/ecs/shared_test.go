package ecs_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// The committed table is what the generator makes of the shared data.
func TestTableIsGenerated(t *testing.T) {
	data := corpus.Dir(t, "data")
	cmd := exec.Command("go", "run", "generate.go", "-shared", filepath.Dir(data), "-o", "-")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	want, err := cmd.Output()
	if err != nil {
		t.Fatalf("run the generator: %v\n%s", err, stderr.String())
	}
	got, err := os.ReadFile("table.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("table.go is not what go generate makes (-generated +committed):\n%s",
			cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")))
	}
}

// Every leaf of the documents that the two pipelines write is declared, and its value fits the declared type.
func TestConformanceDocuments(t *testing.T) {
	t.Run("integration", func(t *testing.T) {
		// The pipelines' expected documents come before the stream's own fields are added. One key is nobody's: a stray
		// one of a single input record.
		documents(t, ecs.Integration, "corpus/cloudtrail-ecs/expected", "ecs/integration", "aws.cloudtrail.resources.accountid")
	})
	t.Run("filebeat", func(t *testing.T) {
		documents(t, ecs.Filebeat, "corpus/cloudtrail-ecs/filebeat-2026-01", "ecs/filebeat", "")
	})
}

func documents(t *testing.T, p ecs.Profile, folder, name, stray string) {
	dir := corpus.Dir(t, folder)
	files, err := filepath.Glob(filepath.Join(dir, "*-expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	tally := corpus.NewTally(t, name)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var docs []json.RawMessage
		if json.Unmarshal(text, &docs) != nil {
			var wrapped struct{ Expected []json.RawMessage }
			if err := json.Unmarshal(text, &wrapped); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			docs = wrapped.Expected
		}
		for i, doc := range docs {
			id := fmt.Sprintf("%s#%d", filepath.Base(file), i+1)
			e, err := event.Decode(doc, event.DecodeOptions{Tree: p.Flattened})
			if err != nil {
				tally.Fail(id, err.Error())
				continue
			}
			if bad := misfits(p, e, "", stray); len(bad) > 0 {
				tally.Fail(id, strings.Join(bad, "; "))
			} else {
				tally.Pass()
			}
		}
	}
}

// misfits says what of e the catalogue does not declare, or declares as something else.
func misfits(p ecs.Profile, e *event.Event, prefix, stray string) []string {
	var bad []string
	for _, f := range e.Fields() {
		path := prefix + f.Path
		r, declared := p.Resolve(path)
		switch {
		case path == stray:
		case !declared:
			bad = append(bad, path+" is not declared")
		case r.Type == event.Flattened || r.Type == event.GeoPoint:
		default:
			bad = append(bad, misfit(p, r, f.Value, stray)...)
		}
	}
	return bad
}

func misfit(p ecs.Profile, r ecs.Resolved, v event.Value, stray string) []string {
	switch v.Kind() {
	case event.KindList:
		var bad []string
		for _, item := range v.Items() {
			bad = append(bad, misfit(p, r, item, stray)...)
		}
		return bad
	case event.KindObject:
		if r.Type != event.ObjectType && r.Type != event.Nested {
			return []string{r.Path + " is an object, declared as " + r.Type.String()}
		}
		e := &event.Event{}
		e.SetObject("", v, nil)
		return misfits(p, e, r.Path+".", stray)
	}
	if _, ok := event.Coerce(r.Type, v); !ok {
		return []string{fmt.Sprintf("%s: %q is no %s", r.Path, v.Text(), r.Type)}
	}
	return nil
}

// The mapping that the recorded answers to the rules' queries were made with declares the same types, as far as the
// catalogue knows the fields.
func TestConformanceMapping(t *testing.T) {
	file := filepath.Join(corpus.Dir(t, "corpus/kql"), "documents.mapping.json")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type property struct {
		Type       string
		Analyzer   string
		Normalizer string
		Enabled    *bool
		Meta       struct{ Declared string }
		Properties map[string]json.RawMessage
		Fields     map[string]json.RawMessage
	}
	tally := corpus.NewTally(t, "ecs/mapping")
	var walk func(prefix string, properties map[string]json.RawMessage)
	walk = func(prefix string, properties map[string]json.RawMessage) {
		for name, raw := range properties {
			var m property
			if err := json.Unmarshal(raw, &m); err != nil {
				t.Fatal(err)
			}
			path := prefix + name
			walk(path+".", m.Properties)
			walk(path+".", m.Fields)
			got, declared := ecs.Resolve(path)
			if got.Type == event.ConstantKeyword { // of one data stream; the mapping is for all
				got.Type = event.Keyword
			}
			if m.Type == "" || !declared || m.Enabled != nil {
				continue
			}
			if m.Meta.Declared != "" {
				m.Type = m.Meta.Declared
			}
			want, ok := event.TypeNamed(m.Type)
			switch {
			case m.Normalizer != "":
				want = event.Caseless
			case want == event.Text && m.Analyzer != "" && m.Analyzer != "standard":
				want = event.PatternText
			case want == event.ConstantKeyword:
				want = event.Keyword
			}
			if !ok || got.Type != want {
				tally.Fail(path, fmt.Sprintf("%s, mapped as %s", got.Type, m.Type))
			} else {
				tally.Pass()
			}
		}
	}
	var body struct {
		Mappings struct{ Properties map[string]json.RawMessage }
	}
	if err := json.Unmarshal(text, &body); err != nil {
		t.Fatal(err)
	}
	walk("", body.Mappings.Properties)
}
