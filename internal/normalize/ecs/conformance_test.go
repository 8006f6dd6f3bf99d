package ecs_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	catalogue "github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/ingest"
	"github.com/tocsin-sec/tocsin/internal/normalize/ecs"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

var ctx = context.Background()

func declaredType(path string) (event.Type, bool) {
	f, ok := catalogue.Lookup(path)
	return f.Type, ok
}

// onEachStore runs f on an empty store of every kind.
func onEachStore(t *testing.T, f func(t *testing.T, name string, db store.Store)) {
	t.Helper()
	t.Run("mem", func(t *testing.T) { f(t, "mem", mem.New(declaredType)) })
	t.Run("duck", func(t *testing.T) {
		db, err := duck.Open(ctx, filepath.Join(t.TempDir(), "ecs.duckdb"), duck.Options{Types: declaredType})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		f(t, "duck", db)
	})
}

// load loads one object and returns the account.
func load(t *testing.T, db store.Store, opt ecs.Options, object string) ingest.Account {
	t.Helper()
	set, err := ecs.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	l := ingest.New(db, set, nil, ingest.Options{Clock: time.Now})
	if err := l.Object(ctx, "object", strings.NewReader(object)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(ctx); err != nil {
		t.Fatal(err)
	}
	return l.Account()
}

// flat is a document as paths and the JSON of what stands there, read without any of our own code: nested or dotted, nulls
// left out.
type flat map[string]string

func flatten(t *testing.T, doc []byte) flat {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var root map[string]any
	if err := d.Decode(&root); err != nil {
		t.Fatalf("%.200s: %v", doc, err)
	}
	out := flat{}
	var lay func(prefix string, obj map[string]any)
	lay = func(prefix string, obj map[string]any) {
		for key, v := range obj {
			path := prefix + key
			if inner, ok := v.(map[string]any); ok && len(inner) > 0 {
				lay(path+".", inner)
				continue
			}
			if v == nil {
				continue
			}
			text, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			if _, twice := out[path]; twice {
				t.Fatalf("%s stands twice in %.200s", path, doc)
			}
			out[path] = string(text)
		}
	}
	lay("", root)
	return out
}

// stored returns the documents of streams by ID.
func stored(t *testing.T, db store.Store, streams ...string) map[string]flat {
	t.Helper()
	at, err := db.Latest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(ctx, plan.Scan{Streams: streams}, at)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]flat{}
	for rows.Next() {
		e := rows.Event()
		out[e.ID] = flatten(t, e.AppendJSON(nil, nil))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// compare holds documents equal to what came back, but for what Finish may have added where they lack it.
func compare(tally *corpus.Tally, name string, want, got flat, added map[string]string) {
	for path, text := range added {
		if _, there := want[path]; !there && got[path] == text {
			delete(got, path)
		}
	}
	if _, there := want["event.ingested"]; !there && got["event.ingested"] != "" {
		delete(got, "event.ingested")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		tally.Fail(name, diff)
		return
	}
	tally.Pass()
}

// TestDocumentsConformance loads all documents that the answers of a real server are about, in every wrapping, and holds
// that each is one event, whichever way it comes, and comes back as it was.
func TestDocumentsConformance(t *testing.T) {
	dir := corpus.Dir(t, "corpus/kql")
	docs := map[string]string{} // by ID
	var order []string
	refused := map[string]bool{} // a data stream refuses them, too: they have several times, or none
	for _, name := range []string{"documents.jsonl", "documents.leaves.jsonl"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range strings.Lines(string(data)) {
			var doc struct {
				ID   string          `json:"id"`
				Time json.RawMessage `json:"@timestamp"`
			}
			if err := json.Unmarshal([]byte(line), &doc); err != nil {
				t.Fatal(err)
			}
			line = strings.TrimSpace(line)
			if times := timesIn(t, doc.Time); len(times) != 1 && doc.Time != nil {
				refused[doc.ID] = true
			} else if doc.Time == nil { // none but some of the documents were made with one
				line = fmt.Sprintf(`{"@timestamp":"2026-03-%02dT12:00:00.000Z",%s`, 1+n%3, line[1:])
			}
			docs[doc.ID] = line
			order = append(order, doc.ID)
			n++
		}
	}
	if len(docs) != 4855+5398 || len(order) != len(docs) {
		t.Fatalf("%d documents, %d IDs", len(order), len(docs))
	}
	t.Logf("documents with several times, or none: %d", len(refused))
	if len(refused) == 0 || len(refused) > 20 {
		t.Fatalf("%d documents are refused", len(refused))
	}
	const index = "kql-documents"
	join := func(head, sep, tail string, one func(id, doc string) string) string {
		parts := make([]string, len(order))
		for i, id := range order {
			parts[i] = one(id, docs[id])
		}
		return head + strings.Join(parts, sep) + tail
	}
	hit := func(id, doc string) string {
		return fmt.Sprintf(`{"_index":%q,"_id":%q,"_score":1,"_source":%s}`, index, id, doc)
	}
	shapes := []struct{ name, object string }{
		{"one hit a line", join("", "\n", "\n", hit)},
		{"an answer", join(`{"took":1,"hits":{"total":{"value":1},"hits":[`, ",", `]}}`, hit)},
		{"a _bulk body", join("", "\n", "\n", func(id, doc string) string {
			return fmt.Sprintf("{\"create\":{\"_index\":%q,\"_id\":%q}}\n%s", index, id, doc)
		})},
		{"a list of hits", join("[", ",\n", "]", hit)},
	}
	plain := join("", "\n", "\n", func(_, doc string) string { return doc })
	onEachStore(t, func(t *testing.T, name string, db store.Store) {
		tally := corpus.NewTally(t, "ecs documents on "+name)
		for i, shape := range shapes {
			got := load(t, db, ecs.Options{}, shape.object)
			want := int64(len(docs) - len(refused))
			first := i == 0 && got.Stored == want && got.Duplicates == 0
			again := i > 0 && got.Stored == 0 && got.Duplicates == want
			if got.Read != int64(len(docs)) || got.Rejected["no-event-time"] != int64(len(refused)) || got.Conflicts != 0 || !first && !again {
				tally.Fail(shape.name, fmt.Sprintf("%+v", got))
			}
		}
		if got := load(t, db, ecs.Options{Stream: "kql-plain"}, plain); got.Stored != int64(len(docs)-len(refused)) {
			tally.Fail("one document a line", fmt.Sprintf("%+v", got))
		}
		named := stored(t, db, index)
		if len(named) != len(docs)-len(refused) {
			tally.Fail(index, fmt.Sprintf("%d documents came back", len(named)))
		}
		for _, id := range order {
			if refused[id] {
				tally.Skip(id, "it has several times, or none")
				continue
			}
			compare(tally, id, original(t, docs[id]), named[id], nil)
		}
		// Without an index they land where their data_stream fields say, which some of them have.
		plain := stored(t, db, "kql-plain", "logs-*", "metrics-*")
		if len(plain) != len(docs)-len(refused) {
			tally.Fail("one document a line", fmt.Sprintf("%d documents came back", len(plain)))
		}
		for id, got := range plain {
			if !strings.HasPrefix(id, "sha256:") {
				tally.Fail(id, "is no hash")
			}
			want := original(t, docs[strings.Trim(got["id"], `"`)])
			compare(tally, "plain "+id, want, got, map[string]string{"data_stream.type": `"logs"`, "data_stream.dataset": `"generic"`,
				"data_stream.namespace": `"default"`, "event.dataset": firstIn(t, want["data_stream.dataset"])})
		}
	})
}

// firstIn is the first text in the JSON of a field, as JSON.
func firstIn(t *testing.T, field string) string {
	t.Helper()
	var list []*string
	if !strings.HasPrefix(field, "[") {
		return field
	}
	if err := json.Unmarshal([]byte(field), &list); err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if p != nil {
			return fmt.Sprintf("%q", *p)
		}
	}
	return ""
}

// timesIn are the values of a @timestamp.
func timesIn(t *testing.T, text json.RawMessage) (times []string) {
	t.Helper()
	var one string
	var list []*string
	switch {
	case text == nil:
		return nil
	case json.Unmarshal(text, &one) == nil:
		return []string{one}
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for _, p := range list {
		if p != nil {
			times = append(times, *p)
		}
	}
	return times
}

// original is what comes back of a document: a @timestamp in a list comes back without it.
func original(t *testing.T, doc string) flat {
	t.Helper()
	out := flatten(t, []byte(doc))
	out["@timestamp"] = fmt.Sprintf("%q", timesIn(t, json.RawMessage(out["@timestamp"]))[0])
	return out
}

// TestIntegrationConformance loads the documents that Elastic's AWS integration and Filebeat make, nested and dotted: they
// come back as they were, with what the mapping of their data stream adds.
func TestIntegrationConformance(t *testing.T) {
	dir := corpus.Dir(t, "corpus/cloudtrail-ecs")
	var docs []string
	files, err := filepath.Glob(filepath.Join(dir, "*", "*expected.json"))
	if err != nil || len(files) != 121+33 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var list []json.RawMessage
		var file struct{ Expected []json.RawMessage }
		if json.Unmarshal(data, &list) != nil {
			if err := json.Unmarshal(data, &file); err != nil {
				t.Fatal(err)
			}
			list = file.Expected
		}
		for _, doc := range list {
			if string(doc) != "null" {
				docs = append(docs, string(doc)) // over many lines
			}
		}
	}
	if len(docs) != 132+41 {
		t.Fatalf("%d documents", len(docs))
	}
	added := map[string]string{"data_stream.type": `"logs"`, "data_stream.dataset": `"aws.cloudtrail"`,
		"data_stream.namespace": `"default"`, "event.dataset": `"aws.cloudtrail"`}
	onEachStore(t, func(t *testing.T, name string, db store.Store) {
		tally := corpus.NewTally(t, "ecs integration on "+name)
		const stream = "logs-aws.cloudtrail-default"
		account := load(t, db, ecs.Options{Stream: stream}, strings.Join(docs, "\n"))
		got := stored(t, db, stream)
		if account.RejectedTotal() != 0 || account.Read != int64(len(docs)) || int64(len(got)) != account.Stored {
			t.Errorf("%d came back of %+v", len(got), account)
		}
		for id, doc := range got {
			for path, text := range added {
				if doc[path] != text {
					t.Errorf("%s: %s is %s", id, path, doc[path])
				}
			}
		}
		for i, doc := range docs {
			id := idOf(doc)
			back := flat{}
			for path, text := range got[id] {
				back[path] = text
			}
			compare(tally, fmt.Sprint(i, " ", id), flatten(t, []byte(doc)), back, added)
		}
	})
}

// idOf is the ID that a document gets which names none.
func idOf(doc string) string {
	sum := sha256.Sum256([]byte(doc))
	return "sha256:" + hex.EncodeToString(sum[:16])
}
