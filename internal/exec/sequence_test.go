package exec

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// happening reads "x,y/AB3" as an event with the keys x and y, of the stages A and B, at 3 ms. Its ID is what stands
// behind the slash, and its place that in the list.
func happening(t *testing.T, place int, text string) *event.Event {
	t.Helper()
	keys, rest, keyed := strings.Cut(text, "/")
	if !keyed {
		keys, rest = "", text
	}
	letters := strings.TrimRight(rest, "0123456789")
	at, err := strconv.Atoi(rest[len(letters):])
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	e := &event.Event{ID: rest, Stream: "s"}
	e.Set(plan.Timestamp, event.Millis(int64(at)))
	e.Set("place", event.Int(int64(place)))
	e.Set("stage", event.Strings(strings.Split(letters, "")...))
	if keyed {
		e.Set("k", event.Strings(strings.Split(keys, ",")...))
	}
	return e
}

func happenings(t *testing.T, text string) []*event.Event {
	t.Helper()
	var out []*event.Event
	for i, token := range strings.Fields(text) {
		out = append(out, happening(t, i, token))
	}
	return out
}

// sequenceOf reads "by span:5 A !B C*2 until:D": stages that are missing, run, or end; "by?" makes null a key.
func sequenceOf(t *testing.T, text string) plan.Sequence {
	t.Helper()
	p := plan.Sequence{In: plan.Scan{}, Order: plan.Order{Ties: []expr.Value{one("place")}}}
	var keys []plan.Key
	stage := func(letter string) plan.Stage {
		letter, runs, _ := strings.Cut(letter, "*")
		n, _ := strconv.Atoi(runs)
		return plan.Stage{Keys: keys, Runs: n,
			Cond: expr.In{Field: expr.Field{Path: "stage"}, Values: []event.Value{event.String(letter)}}}
	}
	for _, token := range strings.Fields(text) {
		head, rest, _ := strings.Cut(token, ":")
		switch {
		case head == "by" || head == "by?":
			keys = []plan.Key{{Field: expr.Field{Path: "k"}, Optional: head == "by?"}}
		case head == "span":
			n, err := strconv.Atoi(rest)
			if err != nil {
				t.Fatal(err)
			}
			p.MaxSpan = time.Duration(n) * time.Millisecond
		case head == "until":
			until := stage(rest)
			p.Until = &until
		case head[0] == '!':
			s := stage(head[1:])
			s.Missing = true
			p.Stages = append(p.Stages, s)
		default:
			p.Stages = append(p.Stages, stage(head))
		}
	}
	return p
}

func foundBy(t *testing.T, q store.Querier, p plan.Node) string {
	t.Helper()
	rows, err := Query(context.Background(), q, p, store.Snapshot{})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		f := plan.FoundIn(rows.Event())
		if f.Number != int64(len(out)+1) {
			t.Errorf("row %d has the number %d", len(out)+1, f.Number)
		}
		var ids []string
		for _, e := range f.Events {
			if e == nil {
				ids = append(ids, "-")
			} else {
				ids = append(ids, e.ID)
			}
		}
		out = append(out, strings.Join(ids, " "))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, ", ")
}

// TestSequence lists what sequences find.
func TestSequence(t *testing.T) {
	f := func(query, events, want string) {
		t.Helper()
		if got := foundBy(t, Over(happenings(t, events)), sequenceOf(t, query)); got != want {
			t.Errorf("%s over %s\nfinds %s\nwant  %s", query, events, got, want)
		}
	}
	// The latest event of a stage goes on; the older ones are gone with it.
	f("A B", "A1 B2", "A1 B2")
	f("A B", "B1 A2", "")
	f("A B", "A1 A2 B3", "A2 B3")
	f("A B", "A1 A2 B3 B4", "A2 B3")
	f("A B", "A1 B2 B3 B4", "A1 B2")
	f("A B C", "A1 B2 A3 B4 C5 C6", "A3 B4 C5")
	f("A B C", "A1 B2 A3 C4 B5 C6", "A1 B2 C4, A3 B5 C6")
	// An event may end one sequence and begin the next, but not follow itself.
	f("A A", "A1 A2 A3", "A1 A2, A2 A3")
	f("A B", "AB1", "")
	f("A B", "AB1 AB2 AB3", "AB1 AB2, AB2 AB3")
	f("A B C", "A1 BC2 C3", "A1 BC2 C3")
	// Events with one time follow each other too, as their ties say.
	f("A B", "A1 B1", "A1 B1")
	f("A B", "B1 A1", "")
	f("span:1 A B C", "A1 B1 C1", "A1 B1 C1")
	f("A B", "B2 A1", "A1 B2")
	// Rows come as sequences are completed, not as they begin.
	f("by A B", "x/A1 y/A2 y/B3 x/B4", "A2 B3, A1 B4")
	// The span is from the first event to the last, and may be as long; what is too late takes its sequence away.
	f("span:5 A B", "A1 B6", "A1 B6")
	f("span:5 A B", "A1 B7", "")
	f("span:5 A B C", "A1 B3 C7", "")
	f("span:5 A B C", "A1 B3 A4 B5 C8 C9", "A4 B5 C8")
	f("span:5 A B C", "A1 B2 B7 C8", "")
	f("A B", "A1 B9000000", "A1 B9000000")
	// Keys: each its own; several values each; none, none, unless it may be null.
	f("by A B", "x/A1 y/B2 x/B3", "A1 B3")
	f("by A B", "x,y/A1 y/B2 x/B3", "A1 B2, A1 B3")
	f("by A B", "x/A1 y/A2 x,y/B3", "A1 B3, A2 B3")
	f("by A B", "y/A1 x/A1 x,y/B3", "A1 B3, A1 B3")
	f("by A B", "y,x/A1 x,y/B3", "A1 B3, A1 B3")
	f("by A B", "x,x/A1 x,x/B3", "A1 B3")
	f("by A B", "A1 B2", "")
	f("by? A B", "A1 x/B2 B3", "A1 B3")
	// Runs overlap; a stage that runs takes its latest events.
	f("A*3", "A1 A2 A3 A4 A5", "A1 A2 A3, A2 A3 A4, A3 A4 A5")
	f("A*2 B", "A1 B2 A3 B4", "A1 A3 B4")
	f("A*2 B", "A1 A2 A3 B4 B5", "A2 A3 B4")
	f("A B*2", "A1 B2 A3 B4 B5 B6", "A1 B2 B4, A3 B4 B5")
	f("A B*3 C", "A1 B2 B3 C4 B5 C6", "A1 B2 B3 B5 C6")
	f("A*2 A", "A1 A2 A3 A4", "A1 A2 A3, A2 A3 A4")
	f("span:2 A*3", "A1 A2 A4 A5 A6", "A4 A5 A6")
	// What ends sequences ends those that have begun, itself too, and no whole ones.
	f("A B until:U", "A1 U2 B3", "")
	f("A B until:U", "A1 U2 A3 B4", "A3 B4")
	f("A B until:U", "A1 B2 U3", "A1 B2")
	f("A B until:U", "A1 BU2 B3", "A1 BU2")
	f("A B until:U", "AU1 B2", "")
	f("A B C until:U", "A1 BU2 C3", "")
	f("A B until:U", "A1 B1 U1", "A1 B1")
	f("A*2 until:U", "A1 U2 A3 A4", "A3 A4")
	f("by A B until:U", "x/A1 y/A2 x/U3 x/B4 y/B5", "A2 B5")
	f("by A B until:U", "x/A1 y/A2 U3 x/B4 y/B5", "A1 B4, A2 B5")
	// Missing between two stages: nothing strictly between their times. What is there is seen at the end alone: until then
	// the sequence stands in the way of older ones.
	f("span:9 A !Q B", "A1 B2", "A1 - B2")
	f("span:9 A !Q B", "A1 Q2 B3", "")
	f("span:9 A !Q B", "A1 Q1 Q3 B3", "A1 - B3")
	f("span:9 A !Q B", "A1 Q2 Q3 B3", "")
	f("span:9 A !Q B", "Q1 A2 B3 Q4", "A2 - B3")
	f("span:9 A !Q B", "A1 Q2 A3 B4", "A3 - B4")
	f("span:9 A !Q B C", "A1 B2 A3 Q4 B5 C6", "")
	f("span:9 A !Q*2 B", "A1 B2", "A1 - - B2")
	f("by span:9 A !Q B", "x/A1 y/Q2 Q3 x/B4", "A1 - B4")
	f("span:9 A !Q !R B", "A1 R2 B4", "")
	// Missing after the last: not known before the span has passed since the first event.
	f("span:5 A !Q", "A1", "A1 -")
	f("span:5 A !Q", "A1 Q1 Q6", "")
	f("span:5 A !Q", "A1 Q7", "A1 -")
	f("span:5 A B !Q", "A1 B4 Q6", "")
	f("span:5 A B !Q", "A1 B4 Q7", "A1 B4 -")
	f("span:5 A !Q", "A1 A4 Q7", "A1 -")
	f("by span:5 A !Q", "x/A1 y/A2 x/Q3", "A2 -")
	f("by span:5 A !Q", "x/A1 y/A2 z/A9 y/Q9", "A1 -, A2 -, A9 -")
	// Missing before the first: the span counts from what is there to the last event.
	f("span:5 !Q A", "A1 Q2 A4", "- A1")
	f("span:5 !Q A", "Q1 A6", "")
	f("span:5 !Q A", "Q1 A7", "- A7")
	f("span:5 !Q A", "Q1 A1", "- A1")
	f("span:5 !Q A B", "Q1 A3 B7", "- A3 B7")
	f("span:5 !Q A B", "Q1 A3 B6", "")
	f("by span:5 !Q A", "x/Q1 y/A2 x/A3", "- A2")
	// On both sides it counts from one to the other; a side without any passes.
	f("span:5 !Q A !Q", "Q1 A3 Q6", "")
	f("span:5 !Q A !Q", "Q1 A3 Q7", "- A3 -")
	f("span:5 !Q A !Q", "A3 Q4", "- A3 -")
	f("span:5 !Q A !Q", "Q2 A3", "- A3 -")
	// Not without an event.
	f("A B", "", "")
}

// TestBadSequence lists the nodes that nothing can run.
func TestBadSequence(t *testing.T) {
	events := Over(happenings(t, "A1 B2"))
	f := func(p plan.Node, want string) {
		t.Helper()
		rows, err := Query(context.Background(), events, p, store.Snapshot{})
		if err == nil {
			rows.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", p, err, want)
		}
	}
	s := func(text string, change func(*plan.Sequence)) plan.Node {
		p := sequenceOf(t, text)
		if change != nil {
			change(&p)
		}
		return p
	}
	f(s("", nil), "no stages")
	f(s("span:5 !A", nil), "all stages are missing")
	f(s("A !B", nil), "a missing stage needs a span")
	f(s("A B", func(p *plan.Sequence) { p.MaxSpan = -1 }), "a span less than 0")
	f(s("A*101", nil), "runs 101 times, 100 are the most")
	f(s(strings.Repeat("A ", 65), nil), "65 stages, 64 are the most")
	f(s(strings.Repeat("A ", 64)+"until:B", nil), "65 stages, 64 are the most")
	f(s("by A B", func(p *plan.Sequence) { p.Stages[1].Keys = nil }), "stage 1 has 0 keys, the first 1")
	f(s("by A B until:A", func(p *plan.Sequence) { p.Until.Keys = nil }), "the stage that ends has 0 keys, the first 1")
	stages := sequenceOf(t, "A !B").Stages
	f(plan.Sample{In: plan.Scan{}}, "no stages")
	f(plan.Sample{In: plan.Scan{}, Stages: stages}, "stage 1 is missing, or runs")
	f(plan.Sample{In: plan.Scan{}, Stages: sequenceOf(t, "A*2").Stages}, "stage 0 is missing, or runs")
	f(plan.Sample{In: plan.Scan{}, Stages: stages[:1], PerKey: 1001}, "1001 for a key, 1000 are the most")
	if got := foundBy(t, events, s(strings.Repeat("A ", 63)+"until:B", nil)); got != "" {
		t.Errorf("63 stages find %s", got)
	}
}

// TestSequenceLimits holds that memory is that of the keys inside the span, and that what needs more ends with an error.
func TestSequenceLimits(t *testing.T) {
	var events []*event.Event
	for i := range 1000 {
		events = append(events, happening(t, i, fmt.Sprintf("k%d/AQ%d", i, i)), happening(t, i, fmt.Sprintf("k%d/B%d", i, i+5)))
	}
	slice := Over(events)
	f := func(query string, keys, rows int, want string) {
		t.Helper()
		b := builder{ctx: context.Background(), sortRows: rows, groups: keys, leaf: func(n plan.Node) (cursor, bool, error) {
			scan, ok := n.(plan.Scan)
			if !ok {
				return nil, false, nil
			}
			return slice.scan(context.Background(), scan, nil, store.Snapshot{}), true, nil
		}}
		c, err := b.build(sequenceOf(t, query))
		if err != nil {
			t.Fatal(err)
		}
		n, ok := 0, true
		for ok && err == nil {
			if _, ok, err = c.next(); ok {
				n++
			}
		}
		var limit *LimitError
		switch {
		case want == "" && (err != nil || n != 1000):
			t.Errorf("%s, at most %d keys and %d rows: %d sequences, %v", query, keys, rows, n, err)
		case want != "" && (!errors.As(err, &limit) || limit.What != want):
			t.Errorf("%s, at most %d keys and %d rows: %v, want %s", query, keys, rows, err, want)
		}
		if err := c.close(); err != nil {
			t.Error(err)
		}
	}
	f("by span:10 A B", 11, 2000, "")
	f("by span:10 A B", 10, 2000, "keys whose sequences go on at once")
	f("by A B", 1000, 2000, "")
	f("by A B", 999, 2000, "keys whose sequences go on at once")
	f("by span:10 A B", 11, 1999, "events of the stages of a sequence")
	f("by span:10 A !Q", 12, 2000, "")
	f("span:3 A !B", 4, 2000, "sequences that wait for their span to pass")
	e := happening(t, 0, "x/A1")
	for _, k := range []string{"k", "l"} {
		values := make([]event.Value, 101)
		for i := range values {
			values[i] = event.Int(int64(i))
		}
		e.Set(k, event.List(values...))
	}
	p := sequenceOf(t, "by A")
	p.Stages[0].Keys = append(p.Stages[0].Keys, plan.Key{Field: expr.Field{Path: "l"}})
	for _, n := range []plan.Node{p, plan.Sample{In: plan.Scan{}, Stages: p.Stages}} {
		rows, err := Query(context.Background(), Over([]*event.Event{e}), n, store.Snapshot{})
		if err != nil {
			t.Fatal(err)
		}
		var limit *LimitError
		if rows.Next() || !errors.As(rows.Err(), &limit) || limit.Max != maxKeys {
			t.Errorf("%T of an event with 10,201 keys: %v", n, rows.Err())
		}
		rows.Close()
	}
}

// TestSampleThatCannotBe holds that a sample of more stages than there are events does not try all ways.
func TestSampleThatCannotBe(t *testing.T) {
	stages := sequenceOf(t, "by "+strings.Repeat("A ", 40)).Stages
	events := ""
	for i := range 39 {
		events += fmt.Sprintf("x/A%d ", i)
	}
	if got := foundBy(t, Over(happenings(t, events)), plan.Sample{In: plan.Scan{}, Stages: stages, PerKey: 5}); got != "" {
		t.Errorf("found %s", got)
	}
	// The last stage has one event, which all others may have too.
	stages = sequenceOf(t, "by "+strings.Repeat("A ", 39)+"B").Stages
	got := foundBy(t, Over(happenings(t, "x/AB0 "+events[len("x/A0 "):]+"x/A39")), plan.Sample{In: plan.Scan{}, Stages: stages, PerKey: 1})
	if !strings.HasPrefix(got, "A1 A2 A3 ") || !strings.HasSuffix(got, " A39 AB0") {
		t.Errorf("found %s", got)
	}
}

// TestSequenceAsks holds what a sequence asks an engine for: the events of its stages, sorted if the engine does that.
func TestSequenceAsks(t *testing.T) {
	f := func(refuse string, p plan.Node, want ...string) {
		t.Helper()
		q := &engine{Slice: Over(happenings(t, "x/B2 x/A1")), refuse: refuse}
		if got := foundBy(t, q, p); got != "A1 B2" {
			t.Errorf("without %s: %s", refuse, got)
		}
		if got := strings.Join(q.asked, ", "); got != strings.Join(want, ", ") || q.open != 0 {
			t.Errorf("without %s it is asked for %s, want %s; %d are open", refuse, got, strings.Join(want, ", "), q.open)
		}
	}
	s := sequenceOf(t, "by A B")
	f("Sequence", s, "Sequence Scan", "Sort Filter Scan")
	f("Sequence Sort", s, "Sequence Scan", "Sort Filter Scan", "Filter Scan")
	f("Sequence Sort Filter", s, "Sequence Scan", "Sort Filter Scan", "Filter Scan", "Scan")
	m := plan.Sample{In: plan.Scan{}, Stages: s.Stages}
	f("Sample", m, "Sample Scan", "Filter Scan")
	f("Sample Filter", m, "Sample Scan", "Filter Scan", "Scan")
}

// TestSequenceCancelled holds that a query that is cancelled ends with the reason.
func TestSequenceCancelled(t *testing.T) {
	slice := Over(numbered(100_000))
	any := plan.Stage{Cond: expr.Const{Value: true}}
	never := plan.Stage{Cond: expr.Const{}}
	for _, p := range []plan.Node{
		plan.Sequence{In: plan.Scan{}, Stages: []plan.Stage{any, never}, Order: plan.Order{Time: "n"}},
		plan.Sample{In: plan.Scan{}, Stages: []plan.Stage{any, never}},
	} {
		ctx, cancel := context.WithCancel(context.Background())
		rows, err := Query(ctx, slice, p, store.Snapshot{})
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		if rows.Next() || !errors.Is(rows.Err(), context.Canceled) {
			t.Errorf("%T: %v", p, rows.Err())
		}
		rows.Close()
	}
}
