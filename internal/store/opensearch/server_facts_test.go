package opensearch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/filter"
	"github.com/tocsin-sec/tocsin/internal/lang/filter/filtertest"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/opensearch"
)

// TestFilters asks the server the queries of package filter's facts: as they are written, as package filter prints them,
// and as the conditions that it makes of them. It finds what the facts say, or what they say that it finds.
func TestFilters(t *testing.T) {
	s := connect(t)
	s.index("filters", filtertest.Index)
	var docs []document
	for i, body := range filtertest.Documents() {
		docs = append(docs, document{fmt.Sprint(i + 1), body})
	}
	if refused := s.load("filters", docs); len(refused) > 0 {
		t.Fatal(refused)
	}
	raw := func(query string) string {
		status, answer := s.ask("POST", "/filters/_search", `{"size":100,"_source":false,"query":`+query+`}`)
		if status >= 300 {
			return filtertest.Failed
		}
		v, err := event.ParseJSON(answer)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, hit := range v.At("hits", "hits").Items() {
			ids = append(ids, hit.Member("_id").Str())
		}
		sort.Strings(ids)
		return strings.Join(ids, " ")
	}
	types, err := kqltest.TypesMapping(filtertest.Types)
	if err != nil {
		t.Fatal(err)
	}
	db := s.store(opensearch.Options{})
	asked, differ := 0, 0
	for _, f := range filtertest.Facts() {
		want := f.Want
		if f.Why != "" {
			want = f.Server
			differ++
		}
		if want == filtertest.Refused { // most are no queries for the server either, which is not what matters
			continue
		}
		asked++
		if got := raw(f.Query); got != want {
			t.Errorf("%s: the server finds %q, want %q", f.Query, got, want)
		}
		v, err := event.ParseJSON([]byte(`{"query":` + f.Query + `}`))
		if err != nil {
			t.Fatal(err)
		}
		n, err := filter.Parse([]event.Value{v}, filter.Options{})
		if err != nil {
			continue // as TestFacts of package filter holds
		}
		if got := raw(filter.String(n)); got != want {
			t.Errorf("%s, printed as %s: the server finds %q, want %q", f.Query, filter.String(n), got, want)
		}
		c, err := filter.Lower(n, types, time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC))
		if err != nil {
			continue
		}
		found, err := ids(db, c, "filters")
		if slices.Sort(found); err != nil || strings.Join(found, " ") != f.Want {
			t.Errorf("%s: the store finds %q (%v), want %q", f.Query, found, err, f.Want)
		}
	}
	t.Logf("%d queries asked, %d on which the server says something else by intention", asked, differ)
	if asked < 100 {
		t.Error("too few")
	}
}

// TestCatalog holds what is told of streams: data streams, constants, aliases, several shapes of a field, hidden indices.
func TestCatalog(t *testing.T) {
	s := connect(t)
	s.call("PUT", "/_index_template/tocsin-test", `{"index_patterns":["logs-catalog-*"],"priority":900,"data_stream":{},
		"template":{"settings":{"number_of_replicas":0},"mappings":{"properties":{
		"@timestamp":{"type":"date_nanos"},"event":{"properties":{"ingested":{"type":"date"}}},
		"data_stream":{"properties":{"dataset":{"type":"constant_keyword","value":"catalog"}}},
		"user":{"properties":{"name":{"type":"keyword","fields":{"text":{"type":"text"}}}}},
		"who":{"type":"alias","path":"user.name"},"n":{"type":"long"},"flat":{"type":"flat_object"}}}}}`)
	t.Cleanup(func() {
		s.call("DELETE", "/_data_stream/logs-catalog-x", "")
		s.call("DELETE", "/_index_template/tocsin-test", "")
	})
	s.call("PUT", "/_data_stream/logs-catalog-x", "")
	put := func(index, id, body string) {
		s.call("POST", "/"+index+"/_create/"+id+"?refresh=true", body)
	}
	put("logs-catalog-x", "1", `{"@timestamp":"2026-03-01T00:00:00.000500Z","user":{"name":"ann"},"n":1}`)
	s.call("POST", "/logs-catalog-x/_rollover", "")
	put("logs-catalog-x", "2", `{"@timestamp":"2026-03-02T00:00:00.000500Z","event":{"ingested":"2026-03-02T00:05:00Z"},"data_stream":{"dataset":"catalog"},"flat":{"a.b":1}}`)
	s.index("plain-1", `{"settings":{"number_of_replicas":0},"mappings":{"properties":{"@timestamp":{"type":"date"},"n":{"type":"keyword"}}}}`)
	put("plain-1", "3", `{"@timestamp":"2026-01-01","n":"7","free":"a text that is mapped by itself"}`)
	s.index(".hidden-1", `{"settings":{"number_of_replicas":0,"hidden":true}}`)
	db := s.store(opensearch.Options{})
	ctx := context.Background()
	names := func(want string, patterns ...string) []store.Stream {
		t.Helper()
		list, err := db.Streams(ctx, patterns)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, x := range list {
			got = append(got, x.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("streams of %q: %q, want %q", patterns, got, want)
		}
		return list
	}
	names(".hidden-1 logs-catalog-x plain-1")
	names("logs-catalog-x plain-1", "*")
	names("plain-1", "*", "-logs-*")
	names("", "nothing-*")
	names(".hidden-1", ".h*")
	names("", ".ds-logs-catalog-*")
	x := names("logs-catalog-x", "logs-catalog-*")[0]
	if x.Events != 2 || x.Time.From.After(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)) || x.Time.To.Before(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)) ||
		!x.Ingested.From.Equal(time.Date(2026, 3, 2, 0, 5, 0, 0, time.UTC)) {
		t.Errorf("the stream is told as %+v", x)
	}
	if want := []string{"@timestamp", "data_stream.dataset", "event.ingested", "flat", "n", "user.name"}; !slices.Equal(x.Paths, want) {
		t.Errorf("its paths: %q", x.Paths)
	}

	fields, err := db.Fields(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	field := func(name, want string, declared bool) {
		t.Helper()
		if f, ok := fields.Field(name); f.String() != want || ok != declared {
			t.Errorf("%s is read as %s, %t", name, f, ok)
		}
	}
	field("user.name", "user.name:keyword", true)
	field("user.name.text", "user.name:text", true)
	field("who", "user.name:keyword", true)
	field("n", "n:keyword", true) // a number here, a keyword there
	field("flat", "flat:flattened*", true)
	field("flat.any.key", "flat.any.key:flattened", true)
	field("@timestamp", "@timestamp:date", true)
	field("free", "free:text", true)
	field("free.keyword", "free:keyword", true)
	field("user", "user:object", true)
	field("nowhere", "nowhere:keyword", false)
	if got := fields.Expand(expr.Stars("user.", "")); len(got) != 2 {
		t.Errorf("user.*: %v", got)
	}

	finds := func(want string, c expr.Cond) {
		t.Helper()
		got, err := ids(db, c, "*")
		if slices.Sort(got); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, %v; want %q", expr.String(c), got, err, want)
		}
	}
	in := func(f expr.Field, v event.Value) expr.Cond { return expr.In{Field: f, Values: []event.Value{v}} }
	// A constant is a value of all documents of its index.
	dataset := expr.Field{Path: "data_stream.dataset", Type: event.ConstantKeyword}
	finds("1 2", in(dataset, event.String("catalog")))
	finds("1 2", expr.Exists{Field: dataset})
	finds("3", expr.Not{Cond: expr.Like{Field: dataset, Pattern: expr.Stars("cat", "")}})
	// Where indices differ, each is asked in its way, or the condition is evaluated here.
	finds("3", in(expr.Field{Path: "n"}, event.String("7")))
	finds("1", in(expr.Field{Path: "n", Type: event.Long}, event.Int(1)))
	finds("1 3", expr.Exists{Field: expr.Field{Path: "n"}})
	finds("2", in(expr.Field{Path: "@timestamp", Type: event.Date}, event.Time(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC))))
	finds("1 2 3", expr.Range{Field: expr.Field{Path: "@timestamp", Type: event.Date}, Min: expr.Bound{Value: event.Time(time.Unix(0, 0)), Inclusive: true}})
	rows, err := exec.Query(ctx, db, plan.Filter{In: plan.Scan{Streams: []string{"logs-*"}}, Cond: in(expr.Field{Path: "flat.a.b", Type: event.Flattened}, event.String("1"))}, store.Snapshot{Seq: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if !rows.Next() || rows.Event().Stream != "logs-catalog-x" || rows.Event().Get("flat").Kind() != event.KindObject {
		t.Errorf("the document with a flattened field: %v", rows.Err())
	}
	if _, err := db.Query(ctx, plan.Scan{}, store.Snapshot{After: 1, Seq: 2}); err == nil {
		t.Error("a snapshot that hides commits, which nothing tells, is accepted")
	}
}

// readings are the odd values that an index reads in another way than package event: who reads them at all.
var readings = map[string]struct{ here, server bool }{
	`double " 7"`: {false, true}, `double "7 "`: {false, true}, `date "7.9"`: {false, true}, `date "1772359200123.9"`: {false, true},
	`date "+7"`: {true, false}, `date 1e3`: {true, false}, `date -7.9`: {true, true}, // towards zero here, down on the server
}

// TestReadings holds that an index reads odd values as package event does, but for readings, where both take what does
// not fit for nothing.
func TestReadings(t *testing.T) {
	s := connect(t)
	db := s.store(opensearch.Options{})
	values := []string{`0`, `-0`, `7`, `7.0`, `7.9`, `-7.9`, `1e3`, `1E400`, `9223372036854775807`, `9223372036854775808`, `-9223372036854775808`,
		`9007199254740993`, `0.1`, `"7"`, `"7.9"`, `" 7"`, `"7 "`, `"+7"`, `"1e3"`, `"0x1F"`, `"1_000"`, `"NaN"`, `"Infinity"`, `"-0"`, `"007"`, `""`, `"x"`,
		`true`, `false`, `"true"`, `"True"`, `"2026"`, `2026`, `"2026-03"`, `"2026-3-1"`, `"2026-03-01"`, `"2026-03-01T"`, `"2026-03-01T10"`,
		`"2026-03-01T10:11"`, `"2026-03-01T10:11:12"`, `"2026-03-01T10:11:12.1234567Z"`, `"2026-03-01T10:11:12+02:00"`, `"2026-03-01T10:11:12+0200"`,
		`"2026-03-01T10:11:12+02"`, `"2026-03-01 10:11:12"`, `"2026-02-30"`, `"2026-03-01T24:00:00"`, `"2026-03-01T23:59:60"`, `"20260301"`,
		`1772359200123`, `"1772359200123"`, `-1`, `"-1"`, `1772359200123.9`, `"1772359200123.9"`, `"12026-01-01"`,
		`"10.0.0.1"`, `"10.0.0.01"`, `"10.0.0.256"`, `"10.0.0"`, `"::1"`, `"::ffff:10.0.0.1"`, `"2001:DB8::1"`, `"10.0.0.0/8"`, `"1:2:3:4:5:6:7:8"`,
		`"::1%eth0"`, `["7","x"]`, `[]`, `null`}
	types := map[string]event.Type{"long": event.Long, "double": event.Double, "boolean": event.Boolean, "date": event.Date, "ip": event.IPType, "keyword": event.Keyword}
	for kind, typ := range types {
		name := "readings-" + kind
		s.index(name, `{"settings":{"number_of_replicas":0,"index.mapping.ignore_malformed":true},"mappings":{"dynamic":"strict","properties":{"f":{"type":"`+kind+`"}}}}`)
		var docs []document
		byID := map[string]*event.Event{}
		for i, v := range values {
			id := fmt.Sprint(i)
			e, err := event.Decode([]byte(`{"f":`+v+`}`), event.DecodeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			byID[id] = e
			docs = append(docs, document{id, `{"f":` + v + `}`})
		}
		for id := range s.load(name, docs) { // an index that refuses a document does not read it wrongly
			delete(byID, id)
		}
		there, err := ids(db, expr.Exists{Field: expr.Field{Path: "f", Type: typ}}, name)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			e := byID[fmt.Sprint(i)]
			want, odd := readings[kind+" "+v]
			if e == nil || !odd {
				continue
			}
			here, server := len(expr.Read(expr.Field{Path: "f", Type: typ}, e)) > 0, slices.Contains(there, fmt.Sprint(i))
			if here != want.here || server != want.server {
				t.Errorf("%s %s is read: %t here, %t on the server", kind, v, here, server)
			}
			s.call("DELETE", "/"+name+"/_doc/"+fmt.Sprint(i)+"?refresh=true", "")
			delete(byID, fmt.Sprint(i))
		}
		field := expr.Field{Path: "f", Type: typ}
		conds := []expr.Cond{expr.Exists{Field: field}}
		for _, e := range byID {
			for _, v := range expr.Read(field, e) {
				conds = append(conds, expr.In{Field: field, Values: []event.Value{v}}, expr.Range{Field: field, Min: expr.Bound{Value: v}})
			}
		}
		asked := &counted{Querier: db}
		for _, c := range conds {
			var want []string
			for id, e := range byID {
				if expr.Matches(c, e) {
					want = append(want, id)
				}
			}
			got, err := ids(asked, c, name)
			if err != nil {
				t.Fatal(err)
			}
			for id, e := range byID {
				if here, there := slices.Contains(want, id), slices.Contains(got, id); here != there {
					t.Errorf("%s: %s of %s: %t here, %t on the server", kind, expr.String(c), e.AppendJSON(nil, nil), here, there)
				}
			}
		}
		t.Logf("%s: %d documents, %d conditions, %d of them answered by the server", kind, len(byID), len(conds), asked.whole)
		if asked.whole != len(conds) || len(byID) < 20 {
			t.Errorf("%s: too few mean something", kind)
		}
	}
}

// TestPointInTime holds that rows are those of one instant however long they are read, that a query that is cancelled
// ends soon, and that the cluster is given back what it kept.
func TestPointInTime(t *testing.T) {
	s := connect(t)
	const n = 5000
	for i := range 3 {
		name := fmt.Sprintf("points-%d", i)
		s.index(name, `{"settings":{"number_of_shards":3,"number_of_replicas":0},"mappings":{"properties":{"n":{"type":"long"}}}}`)
		var docs []document
		for j := i; j < n; j += 3 {
			docs = append(docs, document{fmt.Sprint(j), fmt.Sprintf(`{"n":%d}`, j)})
		}
		s.load(name, docs)
	}
	open := func() int64 {
		total := int64(0)
		for _, node := range s.call("GET", "/_nodes/stats/indices/search", "").Member("nodes").Members() {
			total += node.Value.At("indices", "search", "point_in_time_current").Int()
		}
		return total
	}
	before := open()
	db := s.store(opensearch.Options{Page: 7})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	query := func(ctx context.Context, p plan.Node) store.Rows {
		t.Helper()
		rows, err := db.Query(ctx, p, store.Snapshot{Seq: 1})
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	rows := query(ctx, plan.Scan{Streams: []string{"points-*"}})
	if open() <= before {
		t.Error("no point in time is open while rows are read")
	}
	seen := map[string]bool{}
	for rows.Next() {
		e := rows.Event()
		if seen[e.ID] {
			t.Fatalf("document %s came twice", e.ID)
		}
		if seen[e.ID] = true; len(seen) == 10 { // later writes are not seen, deleted documents are
			s.load("points-0", []document{{"new", `{"n":-1}`}})
			s.call("POST", "/points-1/_delete_by_query?refresh=true", `{"query":{"range":{"n":{"gte":0}}}}`)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close(), rows.Close()); err != nil || len(seen) != n || seen["new"] {
		t.Errorf("%d of %d documents, %v", len(seen), n, err)
	}

	rows = query(ctx, plan.Sort{In: plan.Scan{Streams: []string{"points-*"}}, Keys: []plan.SortKey{{Value: expr.One{Field: expr.Field{Path: "n", Type: event.Long}}}}})
	if !rows.Next() || rows.Event().ID != "new" {
		t.Errorf("the first row: %v", rows.Err())
	}
	cancel()
	start := time.Now()
	for rows.Next() {
	}
	if !errors.Is(rows.Err(), context.Canceled) || time.Since(start) > 5*time.Second {
		t.Errorf("after its end: %v, %s", rows.Err(), time.Since(start))
	}
	if err := rows.Close(); err != nil {
		t.Error(err)
	}
	if now := open(); now != before {
		t.Errorf("%d points in time are left open", now-before)
	}
	if _, err := db.Query(ctx, plan.Scan{}, store.Snapshot{Seq: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("a query of an ended context: %v", err)
	}
}
