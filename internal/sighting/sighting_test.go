package sighting_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// types are the fields that the tests of tuples read, by path.
var types = map[string]event.Type{"user.name": event.Keyword, "source.ip": event.IPType, "port": event.Long, "load": event.Double,
	"ok": event.Boolean, "host.name": event.Caseless, "labels": event.Flattened}

func tuples(t *testing.T, document string, paths ...string) ([]sighting.Occurrence, error) {
	t.Helper()
	e, err := event.Decode([]byte(document), event.DecodeOptions{Tree: func(path string) bool { return path == "labels" }})
	if err != nil {
		t.Fatal(err)
	}
	var fields []expr.Field
	for _, p := range paths {
		fields = append(fields, expr.Field{Path: p, Type: types[p], Root: p == "labels"})
	}
	return sighting.Tuples(fields, e)
}

func TestTuples(t *testing.T) {
	f := func(document string, paths []string, want ...string) {
		t.Helper()
		list, err := tuples(t, document, paths...)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range list {
			var texts []string
			for _, v := range o.Values {
				texts = append(texts, v.Text())
			}
			got = append(got, strings.Join(texts, " "))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v of %s (-want +got):\n%s", paths, document, diff)
		}
	}
	one := func(paths ...string) []string { return paths }
	f(`{"user":{"name":"ann"}}`, one("user.name"), "ann")
	f(`{"user":{"name":["ann","bob","ann"]}}`, one("user.name"), "ann", "bob")
	f(`{"user":{"name":["b","a"]},"port":[1,2]}`, one("user.name", "port"), "b 1", "b 2", "a 1", "a 2")
	f(`{"user":{"name":["b","a"]},"port":[1,2]}`, one("port", "user.name"), "1 b", "1 a", "2 b", "2 a")
	f(`{"user":{"name":null}}`, one("user.name"))
	f(`{"user":{"name":[]}}`, one("user.name"))
	f(`{"user":{"name":""}}`, one("user.name"), "")
	f(`{"user":{"name":"ann"}}`, one("user.name", "port"))
	f(`{"user":[{"name":"ann"},{"name":"bob"},{"id":1}]}`, one("user.name"), "ann", "bob")
	f(`{"port":["1",1,1.7,"x"]}`, one("port"), "1")
	f(`{"load":[1,"1.0",1e0]}`, one("load"), "1.0")
	f(`{"source":{"ip":["10.0.0.1","::ffff:10.0.0.1","2001:DB8::1","nonsense"]}}`, one("source.ip"), "10.0.0.1", "2001:db8::1")
	f(`{"ok":["false",false,true,""]}`, one("ok"), "false", "true")
	f(`{"host":{"name":["A","a"]}}`, one("host.name"), "a")
	f(`{"labels":{"env":"prod","team":["a","b"]}}`, one("labels"), "prod", "a", "b")
}

// No two tuples are the same by how they are written down, and one tuple is the same wherever it stands.
func TestTuplesDiffer(t *testing.T) {
	of := func(document string, paths ...string) store.Tuple {
		t.Helper()
		list, err := tuples(t, document, paths...)
		if err != nil || len(list) != 1 {
			t.Fatalf("%s holds %d tuples, %v", document, len(list), err)
		}
		return list[0].Tuple
	}
	a := of(`{"user":{"name":"ab"},"host":{"name":"c"}}`, "user.name", "host.name")
	for _, b := range []store.Tuple{
		of(`{"user":{"name":"a"},"host":{"name":"bc"}}`, "user.name", "host.name"),
		of(`{"user":{"name":"abc"},"host":{"name":""}}`, "user.name", "host.name"),
		of(`{"user":{"name":"ab"},"host":{"name":"c"}}`, "host.name", "user.name"),
		of(`{"user":{"name":"ab"}}`, "user.name"),
	} {
		if a == b {
			t.Error("two tuples have one hash")
		}
	}
	// What stands between two values, as part of a value.
	between := `\u001b\u0000\u0000\u0000\u0000\u0000\u0000\u0000host.name:keyword_lowercase\u0004`
	if of(`{"user":{"name":"x"},"host":{"name":"y`+between+`z"}}`, "user.name", "host.name") ==
		of(`{"user":{"name":"x`+between+`y"},"host":{"name":"z"}}`, "user.name", "host.name") {
		t.Error("values can be written so that two tuples have one hash")
	}
	if of(`{"user":{"name":"x"}}`, "user.name") == of(`{"host":{"name":"x"}}`, "host.name") {
		t.Error("the same value of two fields is one tuple: a rule that is changed to the other field would know it")
	}
	if of(`{"port":1}`, "port") != of(`{"port":["1"]}`, "port") || of(`{"load":1}`, "load") != of(`{"load":"1.0"}`, "load") {
		t.Error("one number in two writings is two tuples")
	}
}

func TestTooManyTuples(t *testing.T) {
	list := "["
	for i := range 1025 {
		list += fmt.Sprintf("%d,", i)
	}
	list = strings.TrimSuffix(list, ",") + "]"
	_, err := tuples(t, fmt.Sprintf(`{"port":%s,"load":%s}`, list, list), "port", "load")
	if err == nil || !strings.Contains(err.Error(), "more than 1048576 combinations") {
		t.Errorf("1,050,625 combinations: %v", err)
	}
}

var fixture = sighting.Program{
	Streams: []string{"logs-*"}, Time: plan.TimeField{Primary: plan.Timestamp},
	Cond:   expr.Exists{Field: expr.Field{Path: "user.name"}},
	Fields: []expr.Field{{Path: "user.name"}},
}

func TestProgramID(t *testing.T) {
	seen := map[string]string{fixture.ID(): "itself"}
	f := func(what string, change func(*sighting.Program)) {
		t.Helper()
		p := fixture
		change(&p)
		if other, same := seen[p.ID()]; same {
			t.Errorf("another %s is the same program as %s", what, other)
		}
		seen[p.ID()] = what
	}
	f("stream", func(p *sighting.Program) { p.Streams = []string{"logs-a"} })
	f("stream list", func(p *sighting.Program) { p.Streams = nil })
	f("empty stream list", func(p *sighting.Program) { p.Streams = []string{} })
	f("condition", func(p *sighting.Program) { p.Cond = expr.Not{Cond: p.Cond} })
	f("field", func(p *sighting.Program) { p.Fields = []expr.Field{{Path: "user.id"}} })
	f("type of the field", func(p *sighting.Program) { p.Fields = []expr.Field{{Path: "user.name", Type: event.Caseless}} })
	f("number of fields", func(p *sighting.Program) { p.Fields = []expr.Field{{Path: "user.name"}, {Path: "user.name"}} })
	f("time", func(p *sighting.Program) { p.Time.Primary = plan.Ingested })
	f("fallback", func(p *sighting.Program) { p.Time = plan.TimeField{Primary: plan.Ingested, Fallback: plan.Timestamp} })
	if fixture.ID() != (sighting.Program{Streams: []string{"logs-*"}, Time: fixture.Time, Cond: fixture.Cond, Fields: fixture.Fields}).ID() {
		t.Error("the same program has two IDs")
	}
}

func TestTwoFoldersCountOnce(t *testing.T) {
	ctx := context.Background()
	db := mem.New(nil)
	now := time.Unix(2e9, 0)
	for round := range 2 { // the first makes the mark, the second moves it
		e := &event.Event{ID: fmt.Sprint(round), Stream: "logs-a"}
		e.Set("@timestamp", event.String("2026-03-01T12:00:00Z"))
		e.Set("user.name", event.String("ann"))
		if err := db.Apply(ctx, &store.Change{At: now, Events: []*event.Event{e}}); err != nil {
			t.Fatal(err)
		}
		at, err := db.Latest(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var changes []*store.Change
		for range 2 {
			x, err := sighting.Open(ctx, db, fixture)
			if err != nil {
				t.Fatal(err)
			}
			rows, marks, err := x.Fold(ctx, at)
			if err != nil {
				t.Fatal(err)
			}
			if x.Mark() != at.Seq {
				t.Errorf("the mark is %d after a fold up to %d", x.Mark(), at.Seq)
			}
			if again, none, err := x.Fold(ctx, at); len(again)+len(none) > 0 || err != nil {
				t.Errorf("a second fold up to the same mark gives %v, %v", again, err)
			}
			changes = append(changes, &store.Change{At: now, Sightings: rows, Records: marks})
		}
		if err := db.Apply(ctx, changes[0]); err != nil {
			t.Fatal(err)
		}
		if err := db.Apply(ctx, changes[1]); !errors.Is(err, store.ErrVersion) {
			t.Errorf("what two folded was stored twice: %v", err)
		}
		days, err := db.SightingDays(ctx, fixture.ID())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[store.Day]int64{store.DayOf(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)): int64(round + 1)}, days); diff != "" {
			t.Errorf("counted (-want +got):\n%s", diff)
		}
	}
}
