package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

func events(t *testing.T, s *suite) {
	equal(t, "latest of an empty store", store.Snapshot{}, s.latest())
	s.finds("scan", "")
	first := s.apply(1, &store.Change{Events: []*event.Event{
		doc("logs-a", "1", `{"user":{"name":"ann"}}`),
		doc("logs-b", "2", `{"user":{"name":"bob"}}`),
	}})
	equal(t, "first outcome", `stored 2 duplicates 0 conflicts 0 misfits 0 alerts []`, outcome(first))
	second := s.apply(2, &store.Change{Events: []*event.Event{doc("logs-a", "3", `{"user":{"name":"ann"}}`)}})
	if first.Outcome.Seq == 0 || second.Outcome.Seq <= first.Outcome.Seq {
		t.Errorf("sequence numbers %d, then %d", first.Outcome.Seq, second.Outcome.Seq)
	}
	equal(t, "latest", store.Snapshot{Seq: second.Outcome.Seq, Committed: commitTime(2)}, s.latest())
	s.finds("scan", "1 2 3")
	s.finds(`filter (in user.name:keyword "ann")`, "1 3")
	for _, e := range s.rows(plan.Scan{Streams: []string{"logs-b"}}, s.latest()) {
		equal(t, "the row", formatRow(doc("logs-b", "2", `{"user":{"name":"bob"}}`)), formatRow(e))
	}
	// What is read of a row always comes with its ID and stream; the source comes with whole documents alone.
	for _, e := range s.rows(plan.Project{In: plan.Scan{Streams: []string{"logs-b"}}}, s.latest()) {
		e.Source = event.Raw{}
		equal(t, "the row without fields", `"2" "logs-b" ""`, formatRow(e))
	}
}

func duplicates(t *testing.T, s *suite) {
	f := func(n int, want string, docs ...*event.Event) {
		t.Helper()
		equal(t, fmt.Sprintf("outcome %d", n), want+" misfits 0 alerts []", outcome(s.apply(n, &store.Change{Events: docs})))
	}
	one := `{"n":1}`
	f(1, "stored 1 duplicates 0 conflicts 0", doc("logs-a", "x", one))
	// The same bytes are the same event, in this commit or an earlier one.
	f(2, "stored 0 duplicates 1 conflicts 0", doc("logs-a", "x", one))
	f(3, "stored 1 duplicates 2 conflicts 0", doc("logs-a", "y", one), doc("logs-a", "y", one), doc("logs-a", "y", one))
	// The document does not matter, the bytes do.
	other := doc("logs-a", "x", one)
	other.Set("n", event.Int(2))
	f(4, "stored 0 duplicates 1 conflicts 0", other)
	// Other bytes are a conflict, once.
	f(5, "stored 1 duplicates 0 conflicts 1", doc("logs-a", "x", `{"n":2}`))
	f(6, "stored 0 duplicates 1 conflicts 0", doc("logs-a", "x", `{"n":2}`))
	f(7, "stored 1 duplicates 1 conflicts 1", doc("logs-a", "x", `{"n":3}`), doc("logs-a", "x", `{"n":3}`))
	f(8, "stored 2 duplicates 0 conflicts 1", doc("logs-a", "z", `{"n":1}`), doc("logs-a", "z", `{"n":2}`))
	// Another stream or day is another event.
	f(9, "stored 1 duplicates 0 conflicts 0", doc("logs-b", "x", one))
	f(10, "stored 1 duplicates 0 conflicts 0", doc("logs-a", "x", `{"n":1,"@timestamp":"2026-03-02T00:00:00.000Z"}`))
	f(11, "stored 1 duplicates 0 conflicts 0", doc("logs-a", "x", `{"n":1,"@timestamp":"2026-02-28T23:59:59.999Z"}`))
	f(12, "stored 0 duplicates 1 conflicts 0", doc("logs-a", "x", `{"n":1,"@timestamp":"2026-02-28T23:59:59.999Z"}`))
	// Without bytes the ID alone counts.
	empty := doc("logs-a", "e", one)
	empty.Source.Data = nil
	f(13, "stored 1 duplicates 1 conflicts 0", empty, empty.Clone())
	conflict := store.ConflictID("x", []byte(`{"n":2}`))
	s.finds("scan logs-a\nfilter (and (in n:long 2) (in @timestamp:date date\"2026-03-01T12:00:00Z\"))",
		conflict+" "+store.ConflictID("z", []byte(`{"n":2}`)))
	equal(t, "all rows", 10, len(s.rows(plan.Scan{}, s.latest())))
	// Who takes the ID that another event's conflict would have does not keep that event out: it goes one further.
	taken := store.ConflictID("w", []byte(`{"n":2}`))
	further := store.ConflictID(taken, []byte(`{"n":2}`))
	f(14, "stored 3 duplicates 0 conflicts 0", doc("logs-c", "w", one), doc("logs-c", taken, `{"n":8}`), doc("logs-c", further, `{"n":9}`))
	f(15, "stored 1 duplicates 0 conflicts 1", doc("logs-c", "w", `{"n":2}`))
	f(16, "stored 0 duplicates 1 conflicts 0", doc("logs-c", "w", `{"n":2}`))
	s.finds("scan logs-c\nfilter (in n:long 2)", store.ConflictID(further, []byte(`{"n":2}`)))
}

func live(t *testing.T, s *suite) {
	stamp := event.FormatTime(commitTime(1))
	s.apply(1, &store.Change{Live: true, Events: []*event.Event{
		doc("logs-a", "1", `{"n":1}`), doc("logs-a", "2", `{"event":{"ingested":"2020-01-01T00:00:00Z"}}`),
	}})
	s.apply(2, &store.Change{Events: []*event.Event{
		doc("logs-a", "3", `{"event":{"ingested":"2020-01-01T00:00:00Z"}}`), doc("logs-a", "4", `{}`),
	}})
	s.finds(fmt.Sprintf("filter (in event.ingested:date %q)", stamp), "1 2")
	s.finds(`filter (in event.ingested:date "2020-01-01")`, "3")
	s.finds("filter (not (exists event.ingested:date))", "4")
	// The stamp is a part of the document, not of what makes duplicates.
	c := s.apply(3, &store.Change{Live: true, Events: []*event.Event{doc("logs-a", "1", `{"n":1}`)}})
	equal(t, "a live duplicate", "stored 0 duplicates 1 conflicts 0 misfits 0 alerts []", outcome(c))
	s.finds(fmt.Sprintf("filter (in event.ingested:date %q)", stamp), "1 2")
}

// good returns a change that writes one of everything, under the name.
func good(name string) *store.Change {
	return &store.Change{
		Events:    []*event.Event{doc("logs-a", name, `{"n":1}`)},
		Alerts:    []*event.Event{doc("", "alert-"+name, `{"n":1}`)},
		States:    []store.AlertState{{Alert: "alert-first", Path: "status", Value: event.String(name)}},
		Sightings: []store.Sighting{seen("p", 1, 1, 1, 10)},
		Records:   []store.RecordWrite{{Kind: "rule", ID: name, Data: []byte(`{}`)}},
	}
}

func whole(t *testing.T, s *suite) {
	s.apply(1, good("first"))
	before := s.everything()
	fails := func(what string, spoil func(c *store.Change), want error) {
		t.Helper()
		c := good("second")
		c.Forget = []string{"p"}
		c.At = commitTime(2)
		spoil(c)
		if err := s.Apply(context.Background(), c); err == nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
		equal(t, what, before, s.everything())
	}
	with := func(e *event.Event) func(c *store.Change) {
		return func(c *store.Change) { c.Events = append(c.Events, e) }
	}
	lacks := func(path string) *event.Event {
		e := doc("logs-a", "bad", `{}`)
		e.Set(path, event.Null())
		return e
	}
	fails("an event without @timestamp", with(lacks(plan.Timestamp)), nil)
	fails("an event whose @timestamp is no date", with(doc("logs-a", "bad", `{"@timestamp":"soon"}`)), nil)
	fails("an event with two @timestamps", with(doc("logs-a", "bad", `{"@timestamp":["2026-03-01","2026-03-02"]}`)), nil)
	fails("an event without a stream", with(doc("", "bad", `{}`)), nil)
	fails("an event without an ID", with(doc("logs-a", "", `{}`)), nil)
	alert := func(e *event.Event) func(c *store.Change) {
		return func(c *store.Change) { c.Alerts = append(c.Alerts, e) }
	}
	fails("an alert without @timestamp", alert(lacks(plan.Timestamp)), nil)
	fails("an alert without an ID", alert(doc("", "", `{}`)), nil)
	record := func(id string, version int64) func(c *store.Change) {
		return func(c *store.Change) {
			c.Records = append(c.Records, store.RecordWrite{Kind: "rule", ID: id, IfVersion: version, Data: []byte(`{}`)})
		}
	}
	fails("a record that is there", record("first", -1), store.ErrVersion)
	fails("a record of another version", record("first", 2), store.ErrVersion)
	fails("a record that is not there", record("nothing", 1), store.ErrVersion)
	fails("a stamp that is too early", func(c *store.Change) { c.At = commitTime(0) }, store.ErrClock)
	// After all that the store takes the change.
	s.apply(2, good("second"))
	s.finds("scan", "first second")
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	before = s.everything()
	if err := s.Apply(cancelled, good("third")); !errors.Is(err, context.Canceled) {
		t.Errorf("apply after the end of its context: %v", err)
	}
	equal(t, "after a change that was cancelled", before, s.everything())
}

// copies holds that nobody shares memory with the store.
func copies(t *testing.T, s *suite) {
	c := &store.Change{
		Events:  []*event.Event{doc("logs-a", "1", `{"n":1}`)},
		Alerts:  []*event.Event{doc("", "a", `{"n":1}`)},
		Records: []store.RecordWrite{{Kind: "rule", ID: "r", Data: []byte(`{"n":1}`)}},
	}
	s.apply(1, c)
	before := s.everything()
	c.Events[0].Set("n", event.Int(2))
	c.Events[0].Source.Data[1] = 'X'
	c.Alerts[0].Set("n", event.Int(2))
	c.Records[0].Data[1] = 'X'
	equal(t, "after the caller changed what it applied", before, s.everything())
	for _, e := range s.rows(plan.Scan{Streams: []string{"*", ".*"}}, s.latest()) {
		e.Set("n", event.Int(3))
		e.ID, e.Source = "mine", event.Raw{}
	}
	r, err := s.Get(context.Background(), "rule", "r")
	if err != nil {
		t.Fatal(err)
	}
	r.Data[0] = 'Y'
	equal(t, "after the caller changed what it was given", before, s.everything())
	if c.Events[0].ID != "1" || c.Events[0].Stream != "logs-a" {
		t.Error("apply changed the caller's event")
	}
}

func misfits(t *testing.T, s *suite) {
	f := func(n int, text string, want int) {
		t.Helper()
		c := s.apply(n, &store.Change{Events: []*event.Event{doc("logs-a", fmt.Sprint(n), text)}})
		equal(t, "misfits of "+text, want, c.Outcome.Misfits)
	}
	f(1, `{"source":{"port":443,"ip":"10.0.0.1"},"user":{"name":7}}`, 0)
	f(2, `{"source":{"port":"https","ip":"AWS Internal"}}`, 2)
	f(3, `{"source":{"port":["https",1,null,"ftp"]}}`, 2)
	f(4, `{"custom":{"flag":"yes","ratio":"1.5","when":"soon"},"other":{"port":"https"}}`, 2)
	f(5, `{"files":[{"size":"big"},{"size":1}],"source":{"geo":{"location":"here"}}}`, 1)
	// A misfit is stored, and not matched.
	s.finds("filter (exists source.port:long)", "1 3")
	s.finds(`filter (in source.port:keyword "https")`, "2 3")
	// Duplicates count nothing.
	c := s.apply(6, &store.Change{Events: []*event.Event{doc("logs-a", "2", `{"source":{"port":"https","ip":"AWS Internal"}}`)}})
	equal(t, "misfits of a duplicate", 0, c.Outcome.Misfits)
}

func clock(t *testing.T, s *suite) {
	ctx := context.Background()
	at := time.Date(2026, 3, 20, 1, 2, 3, 4_567_890, time.UTC)
	if err := s.Apply(ctx, &store.Change{At: at, Live: true, Events: []*event.Event{doc("logs-a", "1", `{}`)}}); err != nil {
		t.Fatal(err)
	}
	// Stamps are milliseconds.
	ms := at.Truncate(time.Millisecond)
	if got := s.latest().Committed; !got.Equal(ms) {
		t.Errorf("committed at %s, want %s", got, ms)
	}
	s.finds(fmt.Sprintf("filter (in event.ingested:date %q)", event.FormatTime(ms)), "1")
	// The same millisecond again is fine, the one before is not.
	if err := s.Apply(ctx, &store.Change{At: ms, Events: []*event.Event{doc("logs-a", "2", `{}`)}}); err != nil {
		t.Error(err)
	}
	if err := s.Apply(ctx, &store.Change{At: ms.Add(-time.Millisecond)}); !errors.Is(err, store.ErrClock) {
		t.Errorf("an earlier stamp: %v", err)
	}
	zone := time.FixedZone("", 3600)
	if err := s.Apply(ctx, &store.Change{At: ms.Add(time.Second).In(zone), Events: []*event.Event{doc("logs-a", "3", `{}`)}}); err != nil {
		t.Error(err)
	}
	if got := s.latest().Committed; !got.Equal(ms.Add(time.Second)) {
		t.Errorf("committed at %s after a stamp of another zone", got)
	}
}

// large holds that a change of many events is one commit, with all its duplicates found.
func large(t *testing.T, s *suite) {
	const n = 6000
	c := &store.Change{}
	for i := range n {
		stream, id := fmt.Sprintf("logs-%c", 'a'+i%3), fmt.Sprintf("id-%d", i)
		c.Events = append(c.Events, doc(stream, id, fmt.Sprintf(`{"n":%d,"@timestamp":%q}`, i, day(1+i%4))))
		if i%10 == 0 {
			c.Events = append(c.Events, doc(stream, id, fmt.Sprintf(`{"n":%d,"@timestamp":%q}`, i, day(1+i%4))))
		}
		if i%100 == 0 {
			c.Events = append(c.Events, doc(stream, id, fmt.Sprintf(`{"n":-1,"@timestamp":%q}`, day(1+i%4))))
		}
	}
	s.apply(1, c)
	equal(t, "outcome", fmt.Sprintf("stored %d duplicates %d conflicts %d misfits 0 alerts []", n+n/100, n/10, n/100), outcome(c))
	equal(t, "all rows", n+n/100, len(s.rows(plan.Scan{}, s.latest())))
	s.finds("filter (in n:long 4321)", "id-4321")
	equal(t, "conflicts", n/100, len(s.rows(parsed(t, "filter (in n:long -1)"), s.latest())))
	// Once more: nothing is new.
	again := &store.Change{Events: c.Events}
	s.apply(2, again)
	equal(t, "outcome of the repeat", fmt.Sprintf("stored 0 duplicates %d conflicts 0 misfits 0 alerts []", len(c.Events)), outcome(again))
}

func parsed(t *testing.T, text string) plan.Node {
	t.Helper()
	p, err := parsePlan(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
