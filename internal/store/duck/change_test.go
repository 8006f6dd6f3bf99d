package duck_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sort"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

var base = time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)

// change draws a change over few IDs, so that duplicates, conflicts and versions meet.
func change(i int) *rapid.Generator[*store.Change] {
	return rapid.Custom(func(t *rapid.T) *store.Change {
		draw := func(n int, what string) int { return rapid.IntRange(0, n).Draw(t, what) }
		at := func() time.Time {
			return base.Add(time.Duration(max(draw(4, "day")-2, 0))*24*time.Hour + time.Duration(draw(3, "h"))*time.Hour)
		}
		c := &store.Change{At: base.Add(time.Duration(i)*time.Minute - time.Duration(draw(1, "back"))*90*time.Second), Live: draw(1, "live") == 1}
		doc := func(id string) *event.Event {
			e := &event.Event{ID: id}
			e.SetString("@timestamp", event.FormatTime(at()))
			e.SetString("user.name", rapid.SampledFrom([]string{"", "ann", "bob", "é"}).Draw(t, "user"))
			if draw(2, "n") == 0 {
				e.Set("source.as.number", event.String("x"))
			}
			if draw(2, "tree") == 0 {
				e.Set("aws.cloudtrail.resources", event.List(event.Object(event.Member{Key: "arn", Value: event.String("a")})))
			}
			return e
		}
		for range draw(6, "events") {
			e := doc(fmt.Sprint("e", draw(2, "id")))
			e.Stream = rapid.SampledFrom([]string{"logs-a", "logs-a", "logs-a", "logs-b", ".dot", store.AlertStream}).Draw(t, "stream")
			e.Source.Data = []byte(rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(t, "source"))
			if draw(9, "conflict id") == 0 {
				e.ID = store.ConflictID(e.ID, []byte("x"))
			}
			c.Events = append(c.Events, e)
		}
		for range draw(2, "alerts") {
			c.Alerts = append(c.Alerts, doc(fmt.Sprint("alert", draw(4, "id"))))
		}
		for range draw(2, "states") {
			c.States = append(c.States, store.AlertState{Alert: fmt.Sprint("alert", draw(4, "id")),
				Path:  rapid.SampledFrom([]string{"kibana.alert.workflow_status", "user.name", "x.y"}).Draw(t, "path"),
				Value: rapid.SampledFrom([]event.Value{event.Null(), event.String("open"), event.Strings("a", "b"), event.Int(3)}).Draw(t, "value")})
		}
		for range draw(4, "records") {
			w := store.RecordWrite{Kind: fmt.Sprint("k", draw(1, "kind")), ID: rapid.SampledFrom([]string{"a", "b", "\xff\x00'"}).Draw(t, "id"),
				IfVersion: int64(rapid.SampledFrom([]int{0, 0, 0, 0, 0, -1, 1, 2}).Draw(t, "if"))}
			if draw(3, "delete") > 0 {
				w.Data = []byte(fmt.Sprintf(`{"n":%d}`, draw(9, "n")))
			}
			c.Records = append(c.Records, w)
		}
		if draw(6, "forget") == 0 {
			c.Forget = append(c.Forget, fmt.Sprint("p", draw(1, "program")))
		}
		for range draw(3, "sightings") {
			first := at()
			c.Sightings = append(c.Sightings, store.Sighting{Program: fmt.Sprint("p", draw(1, "program")), Tuple: store.Tuple{byte(draw(2, "tuple"))},
				Day: store.DayOf(first), Stream: rapid.SampledFrom([]string{"logs-a", "new"}).Draw(t, "stream"),
				Segment: store.DayOf(at()), First: first, Last: first.Add(time.Duration(draw(5, "m")) * time.Minute),
				Count: int64(draw(3, "count") + 1), FirstEvent: fmt.Sprint("e", draw(5, "id"))})
		}
		return c
	})
}

func copyChange(c *store.Change) *store.Change {
	d := *c
	d.Events, d.Alerts = nil, nil
	for _, e := range c.Events {
		d.Events = append(d.Events, e.Clone())
	}
	for _, e := range c.Alerts {
		d.Alerts = append(d.Alerts, e.Clone())
	}
	return &d
}

// TestChanges holds that random changes leave mem and duck in the same state, through closing, opening and retention.
func TestChanges(t *testing.T) {
	ctx := context.Background()
	seen := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(t.TempDir(), "events.tocsin")
		db, err := duck.Open(ctx, path, duck.Options{Types: types})
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { db.Close() }()
		ref := mem.New(types)
		changes := rapid.IntRange(1, 8).Draw(rt, "changes")
		for i := range changes {
			c := change(i).Draw(rt, "change")
			d := copyChange(c)
			errDuck, errMem := db.Apply(ctx, c), ref.Apply(ctx, d)
			for _, kind := range []error{store.ErrClock, store.ErrVersion} {
				if errors.Is(errDuck, kind) != errors.Is(errMem, kind) {
					rt.Fatalf("duck %v, mem %v", errDuck, errMem)
				}
				if errors.Is(errDuck, kind) {
					seen[kind.Error()]++
				}
			}
			if (errDuck == nil) != (errMem == nil) {
				rt.Fatalf("duck %v, mem %v", errDuck, errMem)
			}
			if diff := cmp.Diff(d.Outcome, c.Outcome); diff != "" {
				rt.Fatalf("outcome, -mem +duck:\n%s", diff)
			}
			seen["duplicates"] += c.Outcome.Duplicates
			seen["conflicts"] += c.Outcome.Conflicts
			seen["misfits"] += c.Outcome.Misfits
			if rapid.IntRange(0, 5).Draw(rt, "drop") == 0 {
				before := store.DayOf(base) + store.Day(rapid.IntRange(0, 4).Draw(rt, "before"))
				patterns := rapid.SampledFrom([][]string{nil, {"*"}, {".*"}, {"*", "-logs-a"}}).Draw(rt, "patterns")
				a, err := db.DropSegments(ctx, before, patterns)
				if err != nil {
					rt.Fatal(err)
				}
				b, _ := ref.DropSegments(ctx, before, patterns)
				if a != b {
					rt.Fatalf("dropped %d days, mem %d", a, b)
				}
				seen["dropped"] += a
			}
			if rapid.IntRange(0, 5).Draw(rt, "reopen") == 0 {
				if err := db.Close(); err != nil {
					rt.Fatal(err)
				}
				if db, err = duck.Open(ctx, path, duck.Options{Types: types}); err != nil {
					rt.Fatal(err)
				}
			}
			if i == changes-1 || rapid.IntRange(0, 3).Draw(rt, "compare") == 0 {
				same(rt, db, ref)
			}
		}
	})
	for _, what := range []string{"duplicates", "conflicts", "misfits", "dropped", store.ErrClock.Error(), store.ErrVersion.Error()} {
		if seen[what] == 0 {
			t.Errorf("no change made %s", what)
		}
	}
}

// same compares everything that two stores answer.
func same(t *rapid.T, db, ref store.Store) {
	ctx := context.Background()
	state := func(s store.Store) map[string]any {
		out := map[string]any{}
		must := func(v any, err error) any {
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		out["latest"] = must(s.Latest(ctx))
		for _, patterns := range [][]string{nil, {"*"}, {".*", "logs-a"}} {
			out[fmt.Sprint("streams ", patterns)] = must(s.Streams(ctx, patterns))
		}
		for _, kind := range []string{"k0", "k1", store.LandingKind} {
			out["list "+kind] = must(s.List(ctx, kind, "", 100))
			out["list after "+kind] = must(s.List(ctx, kind, "a", 1))
			if r, err := s.Get(ctx, kind, "\xff\x00'"); err == nil {
				out["get "+kind] = r
			} else if !errors.Is(err, store.ErrNotFound) {
				t.Fatal(err)
			}
		}
		for _, p := range []string{"p0", "p1", "none"} {
			out["days "+p] = must(s.SightingDays(ctx, p))
			for _, tuples := range [][]store.Tuple{nil, {}, {{1}, {1}, {7}}} {
				rows, err := s.Sightings(ctx, p, tuples)
				if err != nil {
					t.Fatal(err)
				}
				sort.Slice(rows, func(i, j int) bool { return fmt.Sprint(rows[i]) < fmt.Sprint(rows[j]) })
				out[fmt.Sprint("sightings ", p, tuples == nil, len(tuples))] = append([]store.Sighting{}, rows...)
			}
		}
		at, _ := s.Latest(ctx)
		for _, snap := range []store.Snapshot{at, {Seq: at.Seq / 2}, {Seq: at.Seq, After: at.Seq / 2}} {
			var rows []string
			r, err := s.Query(ctx, plan.Scan{Streams: []string{"*", ".*"}}, snap)
			if err != nil {
				t.Fatal(err)
			}
			for r.Next() {
				e := r.Event()
				rows = append(rows, fmt.Sprintf("%s %s %q %s", e.Stream, e.ID, e.Source.Data, e.AppendJSON(nil, nil)))
			}
			if err := r.Err(); err != nil {
				t.Fatal(err)
			}
			r.Close()
			sort.Strings(rows)
			out[fmt.Sprint("rows ", snap.Seq, snap.After)] = rows
		}
		return out
	}
	if diff := cmp.Diff(state(ref), state(db)); diff != "" {
		t.Fatalf("-mem +duck:\n%s", diff)
	}
}

// TestLookUpOfManyDays holds that events of many days are looked up in little memory, be their IDs UUIDs or not.
func TestLookUpOfManyDays(t *testing.T) {
	db, err := duck.Open(context.Background(), filepath.Join(t.TempDir(), "events.tocsin"), duck.Options{Types: types, Memory: 200 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var events []*event.Event
	for i := range 48 * 20 {
		id := fmt.Sprintf("%08x-0000-4e1b-8c3d-0123456789ab", i)
		if i%3 == 0 {
			id = fmt.Sprint("e", i)
		}
		e := &event.Event{ID: id, Stream: "logs"}
		e.Set("@timestamp", event.String(time.Date(2024, 3, 1+i%48, 12, 0, 0, 0, time.UTC).Format(time.RFC3339)))
		e.Set("event.id", event.String(id))
		e.Source.Data = []byte(id)
		events = append(events, e)
	}
	for round := range 3 {
		c := &store.Change{At: time.UnixMilli(int64(round + 1)), Events: events}
		if err := db.Apply(context.Background(), c); err != nil {
			t.Fatal(err)
		}
		if stored := c.Outcome.Stored; round == 0 && stored != len(events) || round > 0 && c.Outcome.Duplicates != len(events) {
			t.Errorf("round %d: %+v", round, c.Outcome)
		}
	}
}
