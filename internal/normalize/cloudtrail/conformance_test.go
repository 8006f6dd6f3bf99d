package cloudtrail_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/enrich"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/normalize/cloudtrail"
)

// enrichers returns what the expected documents were enriched by.
func enrichers(t testing.TB) []func(*event.Event) {
	t.Helper()
	geo, err := enrich.OpenGeo(corpus.Dir(t, "data/geo"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := geo.Close(); err != nil {
			t.Error(err)
		}
	})
	return []func(*event.Event){geo.Enrich, enrich.NewAgent().Enrich}
}

// documents reads a file of records into the JSON documents of its events, as they are before Finish; what is Tocsin's
// own is left out.
func documents(t *testing.T, ct *cloudtrail.CloudTrail, file string, enrichers []func(*event.Event)) []map[string]any {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []map[string]any
	var counts normalize.Counts
	err = ct.Split(bytes.NewReader(data), filepath.Base(file), func(raw event.Raw) error {
		e, err := ct.Normalize(raw, &counts)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, enrich := range enrichers {
			enrich(e)
		}
		var doc map[string]any
		if err := decode(e.AppendJSON(nil, nil), &doc); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		delete(doc, "tocsin")
		out = append(out, doc)
		return nil
	})
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return out
}

func decode(data []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(to)
}

// retained reads what a test's configuration, or the common one, says about retain.
func retained(t *testing.T, dir, test string) cloudtrail.Retain {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "config", test+".log-config.yml"))
	if os.IsNotExist(err) {
		text, err = os.ReadFile(filepath.Join(dir, "config", "test-common-config.yml"))
	}
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^ *retain: *(\w+)`).FindSubmatch(text)
	if m == nil {
		return cloudtrail.RetainAll
	}
	retain, known := map[string]cloudtrail.Retain{
		"all": cloudtrail.RetainAll, "keyword": cloudtrail.RetainKeyword, "minimal": cloudtrail.RetainMinimal,
		"flattened": cloudtrail.RetainFlattened, "none": cloudtrail.RetainNone,
	}[string(m[1])]
	if !known {
		t.Fatalf("%s: retain %s", test, m[1])
	}
	return retain
}

func TestIntegrationConformance(t *testing.T) {
	dir := corpus.Dir(t, "corpus/cloudtrail-ecs")
	files, err := filepath.Glob(filepath.Join(dir, "input", "*.log"))
	if err != nil || len(files) != 121 {
		t.Fatalf("%d input files, want 121 (%v)", len(files), err)
	}
	enrichers := enrichers(t)
	tally := corpus.NewTally(t, "cloudtrail-ecs/integration")
	kinds := map[cloudtrail.Retain]int{}
	events := 0
	for _, file := range files {
		test := strings.TrimSuffix(filepath.Base(file), ".log")
		retain := retained(t, dir, test)
		kinds[retain]++
		ct := cloudtrail.New(cloudtrail.Options{
			Retain: retain, PreserveOriginal: true, Tags: []string{"preserve_original_event", "actor_target_mapping"},
			ReadAt: time.Date(2021, 11, 11, 1, 2, 3, 123456789, time.UTC),
		})
		text, err := os.ReadFile(filepath.Join(dir, "expected", test+".log-expected.json"))
		if err != nil {
			t.Fatal(err)
		}
		var want struct{ Expected []map[string]any }
		if err := decode(text, &want); err != nil {
			t.Fatal(err)
		}
		got := documents(t, ct, file, enrichers)
		events += len(want.Expected)
		for _, doc := range append(slices.Clone(got), want.Expected...) {
			tolerate(doc)
		}
		if diff := cmp.Diff(want.Expected, got, numbers); diff != "" {
			tally.Fail(test, diff)
		} else {
			tally.Pass()
		}
	}
	if events != 132 {
		t.Errorf("%d expected events, want 132", events)
	}
	if len(kinds) != 5 {
		t.Errorf("files of %d kinds of retain, want all 5: %v", len(kinds), kinds)
	}
}

// numbers compares JSON numbers by value.
var numbers = cmp.Comparer(func(a, b json.Number) bool {
	x, errX := a.Float64()
	y, errY := b.Float64()
	return a == b || errX == nil && errY == nil && x == y
})

// tolerate takes away the one difference that counts for nothing: the dot that old versions left behind a version.
func tolerate(doc map[string]any) {
	agent, _ := doc["user_agent"].(map[string]any)
	if v, ok := agent["version"].(string); ok {
		agent["version"] = strings.TrimSuffix(v, ".")
	}
	if v, ok := doc["user_agent.version"].(string); ok {
		doc["user_agent.version"] = strings.TrimSuffix(v, ".")
	}
}

func TestFilebeatConformance(t *testing.T) {
	dir := corpus.Dir(t, "corpus/cloudtrail-ecs")
	files, err := filepath.Glob(filepath.Join(dir, "filebeat-2026-01", "*.log"))
	if err != nil || len(files) != 33 {
		t.Fatalf("%d input files, want 33 (%v)", len(files), err)
	}
	ct := cloudtrail.New(cloudtrail.Options{Profile: cloudtrail.Filebeat, PreserveOriginal: true})
	enrichers := enrichers(t)
	tally := corpus.NewTally(t, "cloudtrail-ecs/filebeat")
	for _, file := range files {
		text, err := os.ReadFile(file + "-expected.json")
		if err != nil {
			t.Fatal(err)
		}
		var want []map[string]any
		if err := decode(text, &want); err != nil || len(want) == 0 {
			t.Fatalf("%s: %d documents, %v", file, len(want), err)
		}
		got := documents(t, ct, file, enrichers)
		for i := range got {
			got[i] = flat(got[i])
		}
		for _, doc := range append(slices.Clone(got), want...) {
			tolerate(doc)
			for k, v := range doc { // the recorded documents went through a harness that sorts all lists
				doc[k] = sorted(v)
			}
		}
		if diff := cmp.Diff(want, got, numbers); diff != "" {
			tally.Fail(filepath.Base(file), diff)
		} else {
			tally.Pass()
		}
	}
}

// flat writes the keys of objects, which are not in lists, as paths.
func flat(doc map[string]any) map[string]any {
	out := map[string]any{}
	var walk func(prefix string, v any)
	walk = func(prefix string, v any) {
		object, ok := v.(map[string]any)
		if !ok {
			out[prefix] = v
			return
		}
		for k, v := range object {
			walk(prefix+"."+k, v)
		}
	}
	for k, v := range doc {
		walk(k, v)
	}
	return out
}

func sorted(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			v[k] = sorted(item)
		}
	case []any:
		text := make(map[int]string, len(v))
		order := make([]int, len(v))
		for i, item := range v {
			v[i] = sorted(item)
			line, err := json.Marshal(v[i])
			if err != nil {
				panic(err)
			}
			text[i], order[i] = string(line), i
		}
		sort.Slice(order, func(a, b int) bool { return text[order[a]] < text[order[b]] })
		out := make([]any, len(v))
		for i, at := range order {
			out[i] = v[at]
		}
		return out
	}
	return v
}
