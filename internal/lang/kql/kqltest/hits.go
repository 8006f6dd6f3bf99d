package kqltest

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

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
)

// Engine takes documents in, whose fields m types, and returns how to query them. It may be called several times in a
// test, each time for documents of its own.
type Engine func(t testing.TB, m Mapping, docs []*event.Event) Query

// Query returns the IDs of the documents that match c, in any order.
type Query func(c expr.Cond) ([]string, error)

// Go is the engine that evaluates conditions with package expr.
func Go(_ testing.TB, _ Mapping, docs []*event.Event) Query {
	return func(c expr.Cond) ([]string, error) {
		var ids []string
		for _, e := range docs {
			if expr.Matches(c, e) {
				ids = append(ids, e.ID)
			}
		}
		return ids, nil
	}
}

// Set is one of the two sets of documents of the corpus.
type Set string

// The sets.
const (
	Plain  Set = ""        // documents made for whole queries
	Leaves Set = ".leaves" // documents on which one leaf of a query decides
)

// Stream is the stream that all documents land in.
const Stream = "logs-kql.documents-default"

// Now is what date math starts from: the answers hold for every time from 2026 to 2097.
var Now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// RunHits runs the corpus's rule queries over a set of documents and compares what is found with what the server found;
// the tally has the given name.
func RunHits(t *testing.T, set Set, name string, engine Engine) {
	dir := corpus.Dir(t, "corpus/kql")
	tally := corpus.NewTally(t, name)
	m := readMapping(t, dir)
	query := engine(t, m, Documents(t, set))
	type rule struct {
		RuleID string `json:"rule_id"`
		Key    string `json:"key"`
	}
	queries := readLines[struct {
		rule
		KQL string `json:"kql"`
	}](t, filepath.Join(dir, "rules_golden.jsonl"))
	hits := readLines[struct {
		rule
		Hits       []string  `json:"hits"`
		NoDataView *[]string `json:"hits_no_dataview"`
		DataView   *[]string `json:"hits_dataview"`
	}](t, filepath.Join(dir, "hits"+string(set)+".jsonl"))
	if len(queries) != len(hits) {
		t.Fatalf("%d queries, but hits of %d", len(queries), len(hits))
	}
	found := 0
	for i, q := range queries {
		id := q.RuleID + " " + q.Key
		if hits[i].rule != q.rule {
			tally.Fail(id, "the hits beside it are of "+hits[i].RuleID)
			continue
		}
		why := ""
		check := func(view kql.View, want *[]string) {
			if want != nil && why == "" {
				why = compareHits(q.KQL, m, view, query, *want)
			}
		}
		check(kql.ViewByQuery, &hits[i].Hits)
		check(kql.ViewNever, hits[i].NoDataView)
		check(kql.ViewAlways, hits[i].DataView)
		if why != "" {
			tally.Fail(id, why)
			continue
		}
		tally.Pass()
		found += len(hits[i].Hits)
	}
	if found == 0 {
		t.Errorf("no query found anything")
	}
}

// compareHits says how the answer to a query differs from want, or nothing.
func compareHits(text string, m Mapping, view kql.View, query Query, want []string) string {
	n, err := kql.Parse(text)
	if err != nil {
		return err.Error()
	}
	cond, err := kql.Lower(n, kql.Options{Resolver: m, Now: Now, View: view})
	if err != nil {
		return err.Error()
	}
	got, err := query(cond)
	if err != nil {
		return err.Error()
	}
	slices.Sort(got)
	if len(got) == 0 && len(want) == 0 {
		return ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Sprintf("hits (-want +got):\n%s%s", diff, text)
	}
	return ""
}

func readMapping(t testing.TB, dir string) Mapping {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(dir, "documents.mapping.json"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := ReadMapping(body)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Documents returns the documents of a set, each with its ID.
func Documents(t testing.TB, set Set) []*event.Event {
	t.Helper()
	dir := corpus.Dir(t, "corpus/kql")
	m := readMapping(t, dir)
	var docs []*event.Event
	for _, line := range readLines[json.RawMessage](t, filepath.Join(dir, "documents"+string(set)+".jsonl")) {
		e := decode(t, m, line)
		e.ID = e.Text("id")
		e.Set("id", event.Null())
		docs = append(docs, e)
	}
	return docs
}

func decode(t testing.TB, m Mapping, doc []byte) *event.Event {
	t.Helper()
	e, err := event.Decode(doc, event.DecodeOptions{Tree: m.Tree})
	if err != nil {
		t.Fatal(err)
	}
	e.Stream = Stream
	e.Source.Data = slices.Clone(doc)
	return e
}

// readLines reads a file of one JSON value a line.
func readLines[T any](t testing.TB, name string) []T {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []T
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var c T
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatalf("read %s: %v", name, err)
		}
		out = append(out, c)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}
