package opensearch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/opensearch"
)

// address is where the server is: one for these tests alone, whose indices they delete.
const address = "TOCSIN_OPENSEARCH"

// server is a real OpenSearch.
type server struct {
	t    testing.TB
	base string
	made map[string]bool // indices to delete
}

// connect returns the server of the environment, all of whose indices it deletes; the test is skipped where there is none.
func connect(t testing.TB) *server {
	t.Helper()
	s := &server{t: t, base: os.Getenv(address), made: map[string]bool{}}
	if s.base == "" {
		t.Skipf("skipped: %s names no server (make test-opensearch starts one)", address)
	}
	s.call("DELETE", "/*?expand_wildcards=open,hidden", "")
	t.Cleanup(func() {
		for name := range s.made {
			s.ask("DELETE", "/"+url.PathEscape(name), "")
		}
	})
	return s
}

// ask makes a request and returns status and answer.
func (s *server) ask(method, path, body string) (int, []byte) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.base+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// call makes a request that must succeed.
func (s *server) call(method, path, body string) event.Value {
	s.t.Helper()
	status, answer := s.ask(method, path, body)
	if status >= 300 {
		s.t.Fatalf("%s %s: %d %.1000s", method, path, status, answer)
	}
	v, err := event.ParseJSON(answer)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return v
}

// index makes an index.
func (s *server) index(name, body string) {
	s.t.Helper()
	s.call("PUT", "/"+url.PathEscape(name), body)
	s.made[name] = true
}

// drop deletes an index.
func (s *server) drop(name string) {
	s.t.Helper()
	if s.made[name] {
		s.call("DELETE", "/"+url.PathEscape(name), "")
		delete(s.made, name)
	}
}

// document is what is put into an index.
type document struct{ id, body string }

// load puts documents into an index; those that the server refuses are returned, by ID, with the reason.
func (s *server) load(name string, docs []document) map[string]string {
	s.t.Helper()
	refused := map[string]string{}
	for chunk := range slices.Chunk(docs, 2000) {
		var b bytes.Buffer
		for _, d := range chunk {
			id, _ := json.Marshal(d.id)
			fmt.Fprintf(&b, "{\"index\":{\"_id\":%s}}\n", id)
			if err := json.Compact(&b, []byte(d.body)); err != nil {
				s.t.Fatal(err)
			}
			b.WriteByte('\n')
		}
		answer := s.call("POST", "/"+url.PathEscape(name)+"/_bulk", b.String())
		for _, x := range answer.Member("items").Items() {
			if e := x.At("index", "error"); !e.IsNull() {
				reason := e.Member("reason").Str()
				if c := e.At("caused_by", "reason").Str(); c != "" {
					reason += ": " + c
				}
				refused[x.At("index", "_id").Str()] = reason
			}
		}
	}
	s.call("POST", "/"+url.PathEscape(name)+"/_refresh", "")
	return refused
}

// store returns the store over the server.
func (s *server) store(o opensearch.Options) *opensearch.Store {
	s.t.Helper()
	db, err := opensearch.New(s.base, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return db
}

// seqField is where the loader puts the number of the commit.
const seqField = "loader_seq"

// loader is a store whose events are put into indices by the test: one index a stream, mapped as the tests declare. Only
// events are kept.
type loader struct {
	*opensearch.Store
	server *server
	types  func(path string) (event.Type, bool)
	at     store.Snapshot
	tree   func(path string) bool
	events map[string][]*event.Event // by stream
	seqs   map[*event.Event]uint64
	// kept are the events that no index can hold, by stream.
	kept   map[string][]exec.Stored
	states map[string][]store.AlertState // by alert
	source map[[2]string]event.Raw       // by stream and ID
}

func newLoader(t testing.TB, types func(path string) (event.Type, bool), page int) *loader {
	s := connect(t)
	tree := func(path string) bool { k, declared := types(path); return declared && k == event.Flattened }
	return &loader{Store: s.store(opensearch.Options{SeqField: seqField, Page: page, Tree: tree}), server: s, types: types, tree: tree,
		kept: map[string][]exec.Stored{}, states: map[string][]store.AlertState{}, source: map[[2]string]event.Raw{}, events: map[string][]*event.Event{}, seqs: map[*event.Event]uint64{}}
}

func (l *loader) Close() error {
	all, kept := 0, 0
	for name := range l.events {
		all, kept = all+len(l.events[name]), kept+len(l.kept[name])
	}
	if kept > 0 {
		l.server.t.Logf("%d of %d events are such as no index can hold", kept, all)
	}
	for name := range maps.Clone(l.server.made) {
		l.server.drop(name)
	}
	return nil
}

// Latest is the last commit.
func (l *loader) Latest(context.Context) (store.Snapshot, error) { return l.at, nil }

// Apply stores the events; the indices that they belong to are made anew.
func (l *loader) Apply(_ context.Context, c *store.Change) error {
	l.at = store.Snapshot{Seq: l.at.Seq + 1, Committed: c.At}
	streams := map[string]bool{}
	events := slices.Clone(c.Events)
	for _, e := range c.Alerts {
		e = e.Clone()
		e.Stream = store.AlertStream
		events = append(events, e)
	}
	for _, st := range c.States {
		l.states[st.Alert] = append(l.states[st.Alert], st)
		streams[store.AlertStream] = len(l.events[store.AlertStream]) > 0
	}
	for _, e := range events {
		e = e.Clone()
		l.source[[2]string{e.Stream, e.ID}] = e.Source
		l.events[e.Stream] = append(l.events[e.Stream], e)
		l.seqs[e] = l.at.Seq
		streams[e.Stream] = true
	}
	for _, name := range slices.Sorted(maps.Keys(streams)) {
		if streams[name] {
			l.fill(name)
		}
	}
	c.Outcome = store.Outcome{Seq: l.at.Seq, Stored: len(c.Events)}
	for _, e := range c.Alerts {
		c.Outcome.NewAlerts = append(c.Outcome.NewAlerts, e.ID)
	}
	return nil
}

// fill makes the index of a stream anew.
func (l *loader) fill(name string) {
	l.server.drop(name)
	l.kept[name] = nil
	byID, fit := map[string]*event.Event{}, []*event.Event(nil)
	for _, e := range l.events[name] {
		if states := l.states[e.ID]; name == store.AlertStream && states != nil {
			seq := l.seqs[e]
			e = e.Clone()
			l.seqs[e] = seq
			for _, st := range states {
				e.Set(st.Path, st.Value)
			}
		}
		if byID[e.ID] = e; !slices.ContainsFunc(e.Fields(), func(f event.Field) bool { return strings.HasPrefix(f.Path, "_") }) {
			fit = append(fit, e)
		}
	}
	if strings.ToLower(name) == name {
		if status, answer := l.server.ask("PUT", "/"+url.PathEscape(name), l.mapping(fit)); status >= 300 {
			l.server.t.Logf("stream %s has no index: %s", name, answer)
		} else {
			l.server.made[name] = true
			inTree := func(path string) bool {
				for i := range path {
					if path[i] == '.' && l.tree(path[:i]) {
						return true
					}
				}
				return false
			}
			var docs []document
			for _, e := range fit {
				body := string(e.AppendJSON(nil, inTree))
				docs = append(docs, document{e.ID, fmt.Sprintf(`{"%s":%d,%s`, seqField, l.seqs[e], body[1:])})
			}
			refused := l.server.load(name, docs)
			for _, e := range fit {
				if _, no := refused[e.ID]; !no {
					delete(byID, e.ID)
				}
			}
		}
	}
	for _, e := range byID {
		l.kept[name] = append(l.kept[name], exec.Stored{Event: e, Seq: l.seqs[e]})
	}
}

// Query runs p on the server, unless it is about events that no index can hold: then a scan alone, which these are put
// into.
func (l *loader) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	var kept []exec.Stored
	for _, list := range l.kept {
		kept = append(kept, list...)
	}
	if len(kept) == 0 {
		return l.withSource(l.Store.Query(ctx, p, at))
	}
	about := bottom(p)
	if scan, ok := about.(plan.Scan); ok && scan.Fields != nil {
		scan.Fields = nil
		about = scan
	}
	extra, err := exec.NewSlice(kept).Query(ctx, about, at)
	if err != nil {
		return nil, err
	}
	defer extra.Close()
	var more []*event.Event
	for extra.Next() {
		more = append(more, extra.Event())
	}
	_, isScan := p.(plan.Scan)
	switch {
	case len(more) == 0:
		return l.withSource(l.Store.Query(ctx, p, at))
	case !isScan:
		return nil, &store.Unsupported{Node: p, Why: "some of its events are in no index"}
	}
	rows, err := l.withSource(l.Store.Query(ctx, p, at))
	return &withMore{Rows: rows, more: more}, err
}

// withSource puts the source bytes, which the indices do not have, into rows.
func (l *loader) withSource(rows store.Rows, err error) (store.Rows, error) {
	if err != nil {
		return nil, err
	}
	return sourced{rows, l.source}, nil
}

type sourced struct {
	store.Rows
	source map[[2]string]event.Raw
}

func (r sourced) Event() *event.Event {
	e := r.Rows.Event()
	e.Source = r.source[[2]string{e.Stream, e.ID}]
	return e
}

// bottom is the part of p that filters what it scans.
func bottom(p plan.Node) plan.Node {
	last := p
	for n := p; n != nil; n = plan.Input(n) {
		switch n.(type) {
		case plan.Filter, plan.Scan:
		default:
			last = plan.Input(n)
		}
	}
	return last
}

// withMore are rows, and some more.
type withMore struct {
	store.Rows
	more []*event.Event
	row  *event.Event
}

func (r *withMore) Next() bool {
	if r.row = nil; r.Rows.Next() {
		return true
	}
	if len(r.more) == 0 || r.Err() != nil {
		return false
	}
	r.row, r.more = r.more[0], r.more[1:]
	return true
}

func (r *withMore) Event() *event.Event {
	if r.row != nil {
		return r.row
	}
	return r.Rows.Event()
}

// mapping is the body of an index for events.
func (l *loader) mapping(events []*event.Event) string {
	r := &shaper{types: l.types, kinds: map[string]string{}}
	for _, e := range events {
		for _, f := range e.Fields() {
			r.see(f.Path, f.Value)
		}
	}
	r.kinds[seqField] = "long"
	return indexBody(r.kinds)
}

// indexBody is the body of an index whose fields are of these kinds; what lies below one that is not read, or is
// flattened, is passed over.
func indexBody(kinds map[string]string) string {
	root := map[string]any{}
	for _, path := range slices.Sorted(maps.Keys(kinds)) {
		at, steps := root, strings.Split(path, ".")
		for n := 1; n < len(steps) && at != nil; n++ {
			if k := kinds[strings.Join(steps[:n], ".")]; k == "off" || k == "flat_object" {
				at = nil
				continue
			}
			at = member(member(at, steps[n-1]), "properties")
		}
		if at != nil {
			maps.Copy(member(at, steps[len(steps)-1]), fieldBody(kinds[path]))
		}
	}
	body, err := json.Marshal(map[string]any{
		"settings": map[string]any{"number_of_shards": 2, "number_of_replicas": 0,
			"index.mapping.ignore_malformed": true, "index.mapping.total_fields.limit": 5000,
			"analysis": map[string]any{
				"analyzer":   map[string]any{"ps": map[string]any{"type": "pattern", "pattern": `[\W&&[^-]]+`, "lowercase": true}},
				"normalizer": map[string]any{"lower": map[string]any{"type": "custom", "filter": []string{"lowercase"}}}}},
		"mappings": map[string]any{"properties": root},
	})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// member returns the object at key, a new one where there is none.
func member(object map[string]any, key string) map[string]any {
	m, _ := object[key].(map[string]any)
	if m == nil {
		m = map[string]any{}
		object[key] = m
	}
	return m
}

// fieldBody is the mapping of a field.
func fieldBody(kind string) map[string]any {
	switch kind {
	case "off":
		return map[string]any{"type": "object", "enabled": false}
	case "keyword":
		return map[string]any{"type": "keyword", "fields": map[string]any{"text": map[string]any{"type": "text"},
			"caseless": map[string]any{"type": "keyword", "normalizer": "lower"}}}
	case "wildcard":
		return map[string]any{"type": "wildcard", "fields": map[string]any{"text": map[string]any{"type": "match_only_text"},
			"caseless": map[string]any{"type": "keyword", "normalizer": "lower"}}}
	case "text_pattern":
		return map[string]any{"type": "text", "analyzer": "ps"}
	case "keyword_lowercase":
		return map[string]any{"type": "keyword", "normalizer": "lower"}
	}
	return map[string]any{"type": kind}
}

// shaper finds how the paths of events are to be mapped: as they are declared, or not at all where events hold there
// what an index takes for two things.
type shaper struct {
	types func(path string) (event.Type, bool)
	kinds map[string]string
}

func (r *shaper) see(path string, v event.Value) {
	for i := range path {
		if path[i] != '.' {
			continue
		}
		r.put(path[:i], "object")
		if t, declared := r.types(path[:i]); declared && t == event.Flattened {
			r.kinds[path[:i]] = "off" // the server refuses what stands beside a flattened field's value
		}
	}
	r.value(path, v)
}

func (r *shaper) value(path string, v event.Value) {
	switch v.Kind() {
	case event.KindNull:
	case event.KindList:
		for _, item := range v.Items() {
			r.value(path, item)
		}
	case event.KindObject:
		r.put(path, "object")
		if t, declared := r.types(path); declared && t == event.Flattened {
			return
		}
		for _, m := range v.Members() {
			r.see(path+"."+m.Key, m.Value)
		}
	default:
		r.put(path, "leaf")
		if t, declared := r.types(path); declared && (t == event.Boolean || t == event.GeoPoint) {
			if _, fits := event.Coerce(t, v); !fits {
				r.kinds[path] = "off" // the server refuses it whole
			}
		}
	}
}

// put notes that a leaf or an object stands at path.
func (r *shaper) put(path, what string) {
	kind := what
	t, declared := r.types(path)
	switch {
	case declared && t == event.Flattened:
		if kind = "flat_object"; what == "leaf" {
			kind = "off"
		}
	case declared && t == event.Nested:
		if kind = "nested"; what == "leaf" {
			kind = "off"
		}
	case declared && t == event.GeoPoint:
		kind = "off"
	case what == "leaf" && declared && t != event.ObjectType:
		kind = t.String()
		if t == event.ConstantKeyword {
			kind = "keyword"
		}
	case what == "leaf":
		kind = "keyword"
	}
	if before := r.kinds[path]; before != "" && before != kind {
		kind = "off"
	}
	r.kinds[path] = kind
}

// The rest of a store.

func (l *loader) Get(context.Context, string, string) (store.Record, error) {
	return store.Record{}, store.ErrNotFound
}
func (l *loader) List(context.Context, string, string, int) ([]store.Record, error) { return nil, nil }
func (l *loader) Sightings(context.Context, string, []store.Tuple) ([]store.Sighting, error) {
	return nil, nil
}
func (l *loader) SightingDays(context.Context, string) (map[store.Day]int64, error) { return nil, nil }
