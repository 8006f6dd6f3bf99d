package detect_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// exceptionScenario is a recorded execution of a rule with exceptions over one of a few data sets.
type exceptionScenario struct {
	ID         string
	Rule       map[string]any
	Exceptions [][]json.RawMessage // items of entries
	ValueLists map[string]struct {
		Type     string
		Contents []string
	} `json:"value_lists"`
	Expect struct {
		Alerts []struct {
			ID string `json:"_id"`
		} `json:"alert_docs"`
	}
}

// exceptionData is a data set, stored.
type exceptionData struct {
	*bench
	fields kqltest.Mapping
}

func readExceptionScenarios(t *testing.T) []exceptionScenario {
	t.Helper()
	f, err := os.Open(filepath.Join(corpus.Dir(t, "corpus/rule-exec"), "exceptions.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []exceptionScenario
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s exceptionScenario
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// storeExceptionData stores each data set on e.
func storeExceptionData(t *testing.T, e engine) map[string]exceptionData {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(corpus.Dir(t, "corpus/rule-exec"), "exceptions.datasets.json"))
	if err != nil {
		t.Fatal(err)
	}
	var sets map[string]struct {
		Mappings map[string]struct{ Type string }
		Docs     []json.RawMessage
	}
	if err := json.Unmarshal(text, &sets); err != nil {
		t.Fatal(err)
	}
	out := map[string]exceptionData{}
	for name, set := range sets {
		types := map[string]string{}
		for field, m := range set.Mappings {
			types[field] = m.Type
		}
		if name == "text_as_array" { // it declares another field than its documents have; a text without a mapping is one
			types["text"] = "text"
		}
		data := exceptionData{bench: newBench(t)}
		data.db = e.open(t)
		if data.fields, err = kqltest.TypesMapping(types); err != nil {
			t.Fatal(err)
		}
		var docs []*event.Event
		for _, raw := range set.Docs {
			doc, err := event.Decode(raw, event.DecodeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			doc.ID, doc.Stream = doc.Text("_id"), name
			doc.Set("_id", event.Null())
			docs = append(docs, doc)
		}
		data.land(docs...)
		out[name] = data
	}
	return out
}

// write puts the scenario's rule, lists and values into a folder as files; each value list gets as many values besides as
// padding says, which no document has.
func (s exceptionScenario) write(t *testing.T, dir string, padding int) {
	t.Helper()
	var export []string
	add := func(object map[string]any) {
		line, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		export = append(export, string(line))
	}
	r := map[string]any{"rule_id": s.ID, "name": s.ID, "description": "d", "severity": "low", "risk_score": 1,
		"exceptions_list": []any{map[string]any{"id": "1", "list_id": "list", "type": "detection", "namespace_type": "single"}}}
	for k, v := range s.Rule {
		r[k] = v
	}
	add(r)
	add(map[string]any{"list_id": "list", "name": "n", "description": "d", "type": "detection", "namespace_type": "single"})
	for i, entries := range s.Exceptions {
		add(map[string]any{"list_id": "list", "item_id": fmt.Sprint(i), "name": fmt.Sprint("item ", i), "description": "d",
			"type": "simple", "namespace_type": "single", "entries": entries})
	}
	files := map[string]string{"rule.ndjson": strings.Join(export, "\n") + "\n"}
	var lists strings.Builder
	for name, list := range s.ValueLists {
		fmt.Fprintf(&lists, "[[value_list]]\nid = %q\ntype = %q\nfile = %q\n", name, list.Type, name+".values")
		values := slices.Clone(list.Contents)
		for i := range padding {
			values = append(values, otherValue(list.Type, i))
		}
		files[filepath.Join(rule.ExceptionsFolder, name+".values")] = strings.Join(values, "\r\n")
	}
	if lists.Len() > 0 {
		files[filepath.Join(rule.ExceptionsFolder, "values.toml")] = lists.String()
	}
	for name, content := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// otherValue is a value of a list's type that no document has.
func otherValue(typ string, i int) string {
	switch strings.TrimSuffix(typ, "_range") {
	case "ip":
		return fmt.Sprintf("192.0.%d.%d", i/256, i%256)
	case "date":
		return time.Date(1990, 1, 1, 0, i, 0, 0, time.UTC).Format(time.RFC3339)
	case "integer", "long":
		return fmt.Sprint(1000 + 2*i)
	case "float", "double":
		return fmt.Sprintf("%d.5", 1000+2*i)
	}
	return fmt.Sprint("other", i)
}

// play returns what is not as it was recorded, "" for nothing.
func (s exceptionScenario) play(t *testing.T, sets map[string]exceptionData, padding int) string {
	dir := t.TempDir()
	s.write(t, dir, padding)
	set := rule.Load(dir)
	lists, problems := exception.Load(set)
	if problems = append(set.Problems, problems...); len(problems) > 0 || len(set.Rules) != 1 {
		return problems.Render()
	}
	data, ok := sets[fmt.Sprint(s.Rule["index"].([]any)[0])]
	if !ok {
		return "no data set"
	}
	p, err := detect.CompileWith(set.Rules[0], data.fields, lists)
	if err != nil {
		return err.Error()
	}
	w, err := p.Window(time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		return err.Error()
	}
	result, err := detect.Run(ctx, p, w, data.env(p))
	if err != nil {
		return err.Error()
	}
	var got, want []string
	for _, a := range result.Alerts {
		got = append(got, a.Text("tocsin.alert.evidence_id"))
	}
	for _, a := range s.Expect.Alerts {
		want = append(want, a.ID)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Sprintf("alerts on %v, want %v", got, want)
	}
	// Of an item that was to hide all the warning is expected.
	for _, d := range p.Warnings {
		if d.Code != exception.CodeHidesAll {
			return d.Error()
		}
	}
	return ""
}

func TestExceptionsConformance(t *testing.T) {
	scenarios := readExceptionScenarios(t)
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			sets := storeExceptionData(t, e)
			tally := corpus.NewTally(t, "rule-exec/exceptions on "+e.name)
			large := corpus.NewTally(t, "rule-exec/exceptions with value lists of 1,000 more values on "+e.name)
			for _, s := range scenarios {
				if why := s.play(t, sets, 0); why != "" {
					tally.Fail(s.ID, why)
				} else {
					tally.Pass()
				}
				if len(s.ValueLists) == 0 {
					continue
				}
				if why := s.play(t, sets, 1000); why != "" {
					large.Fail(s.ID, why)
				} else {
					large.Pass()
				}
			}
		})
	}
}
