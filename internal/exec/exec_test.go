package exec

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// What the operators do with rows is held by the facts and random plans of store/storetest, which every engine passes;
// here stands what only exec does: what it asks engines for, its limits, and its indexes.

func field(path string) expr.Field { return expr.Field{Path: path, Type: event.Long} }
func one(path string) expr.Value   { return expr.One{Field: field(path)} }

func over(cond expr.Cond, in plan.Node) plan.Node { return plan.Filter{In: in, Cond: cond} }
func exists(path string) expr.Cond                { return expr.Exists{Field: field(path)} }
func by(path string, in plan.Node) plan.Node {
	return plan.Sort{In: in, Keys: []plan.SortKey{{Value: one(path)}}}
}

// numbered returns n events with n = 0, 1, 2 …
func numbered(n int) []*event.Event {
	out := make([]*event.Event, n)
	for i := range out {
		out[i] = &event.Event{ID: fmt.Sprintf("%06d", i), Stream: "s"}
		out[i].Set("n", event.Int(int64(i)))
	}
	return out
}

// engine is a querier that refuses some nodes, remembers what it was asked and how many of its rows are open.
type engine struct {
	*Slice
	refuse string   // node names, apart by blanks
	asked  []string // the plans, as the names of their nodes from the top
	open   int
	fail   error // after the first row
}

func names(p plan.Node) string {
	var out []string
	for n := p; n != nil; n = plan.Input(n) {
		out = append(out, strings.TrimPrefix(fmt.Sprintf("%T", n), "plan."))
	}
	return strings.Join(out, " ")
}

func (e *engine) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	e.asked = append(e.asked, names(p))
	for _, name := range strings.Fields(names(p)) {
		if slices.Contains(strings.Fields(e.refuse), name) {
			return nil, fmt.Errorf("engine: %w", &store.Unsupported{Node: p, Why: "refused"})
		}
	}
	rows, err := e.Slice.Query(ctx, p, at)
	e.open++
	return &engineTestRows{Rows: rows, engine: e}, err
}

type engineTestRows struct {
	store.Rows
	engine *engine
	read   int
	closed bool
}

func (r *engineTestRows) Next() bool {
	r.read++
	return (r.engine.fail == nil || r.read == 1) && r.Rows.Next()
}

func (r *engineTestRows) Err() error {
	if r.engine.fail != nil {
		return r.engine.fail
	}
	return r.Rows.Err()
}

func (r *engineTestRows) Close() error {
	if !r.closed {
		r.engine.open--
	}
	r.closed = true
	return r.Rows.Close()
}

func collect(t *testing.T, q store.Querier, p plan.Node) ([]*event.Event, error) {
	t.Helper()
	rows, err := Query(context.Background(), q, p, store.Snapshot{})
	if err != nil {
		return nil, err
	}
	var out []*event.Event
	for rows.Next() {
		out = append(out, rows.Event())
	}
	err = rows.Err()
	for range 2 {
		if closed := rows.Close(); closed != nil {
			t.Errorf("close: %v", closed)
		}
	}
	if rows.Next() {
		t.Error("a row after Close")
	}
	return out, err
}

// TestLargestPart holds which plans an engine is asked for: the whole, then the largest part that it takes, once.
func TestLargestPart(t *testing.T) {
	scan := plan.Scan{}
	all := plan.Project{Paths: []string{"n"}, In: plan.Limit{N: 3, In: by("n", over(exists("n"), scan))}}
	f := func(refuse string, p plan.Node, asked ...string) {
		t.Helper()
		e := &engine{Slice: Over(numbered(10)), refuse: refuse}
		rows, err := collect(t, e, p)
		if err != nil || len(rows) == 0 {
			t.Errorf("without %s: %d rows, %v", refuse, len(rows), err)
		}
		if diff := cmp.Diff(asked, e.asked); diff != "" {
			t.Errorf("without %q asked for (-want +got):\n%s", refuse, diff)
		}
		if e.open != 0 {
			t.Errorf("without %q: %d queries are left open", refuse, e.open)
		}
	}
	f("", all, "Project Limit Sort Filter Scan")
	f("Project", all, "Project Limit Sort Filter Scan", "Limit Sort Filter Scan")
	f("Limit", all, "Project Limit Sort Filter Scan", "Limit Sort Filter Scan", "Sort Filter Scan")
	f("Sort", all, "Project Limit Sort Filter Scan", "Limit Sort Filter Scan", "Sort Filter Scan", "Filter Scan")
	f("Filter", all, "Project Limit Sort Filter Scan", "Limit Sort Filter Scan", "Sort Filter Scan", "Filter Scan", "Scan")
	f("Aggregate", plan.Aggregate{In: over(exists("n"), scan), Aggs: []plan.Agg{{Name: "c"}}}, "Aggregate Filter Scan", "Filter Scan")
	f("Eval", over(exists("x"), plan.Eval{In: scan, Cols: []plan.Column{{Name: "x", Value: one("n")}}}),
		"Filter Eval Scan", "Eval Scan", "Scan")
}

// TestEngineErrors holds that an engine's errors reach the caller, and its rows are closed.
func TestEngineErrors(t *testing.T) {
	broken := errors.New("the disk is gone")
	p := plan.Limit{N: 5, In: by("n", over(exists("n"), plan.Scan{}))}
	for _, refuse := range []string{"", "Limit", "Sort", "Filter"} {
		e := &engine{Slice: Over(numbered(10)), refuse: refuse, fail: broken}
		if rows, err := collect(t, e, p); !errors.Is(err, broken) {
			t.Errorf("without %q: %d rows and %v", refuse, len(rows), err)
		}
		if e.open != 0 {
			t.Errorf("without %q: %d queries are left open", refuse, e.open)
		}
	}
	e := &engine{Slice: Over(numbered(10)), refuse: "Scan"}
	var no *store.Unsupported
	if _, err := collect(t, e, p); !errors.As(err, &no) {
		t.Errorf("an engine that takes no scan: %v", err)
	}
	failing := queryFunc(func() (store.Rows, error) { return nil, broken })
	if _, err := collect(t, failing, p); !errors.Is(err, broken) {
		t.Errorf("an engine that fails at once: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e = &engine{Slice: Over(numbered(10)), refuse: "Filter"}
	rows, err := Query(ctx, e, over(exists("n"), plan.Scan{}), store.Snapshot{})
	if err != nil {
		t.Fatal(err)
	}
	if !rows.Next() {
		t.Error("no row")
	}
	cancel()
	if rows.Next() || !errors.Is(rows.Err(), context.Canceled) {
		t.Errorf("after the end of the context: %v", rows.Err())
	}
	if err := rows.Close(); err != nil || e.open != 0 {
		t.Errorf("close: %v; %d queries are left open", err, e.open)
	}
}

type queryFunc func() (store.Rows, error)

func (f queryFunc) Query(context.Context, plan.Node, store.Snapshot) (store.Rows, error) { return f() }

// run runs p over the events with the given limits.
func run(events []*event.Event, p plan.Node, sortRows, groups int) (int, error) {
	s := Over(events)
	b := builder{sortRows: sortRows, groups: groups, leaf: func(n plan.Node) (cursor, bool, error) {
		scan, ok := n.(plan.Scan)
		return s.scan(context.Background(), scan, nil, store.Snapshot{}), ok, nil
	}}
	c, err := b.build(p)
	if err != nil {
		return 0, err
	}
	rows := &output{ctx: context.Background(), in: c}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
	}
	return n, rows.Err()
}

// TestLimits holds what operators hold at most, and that beyond it a query ends with an error and not with fewer rows.
func TestLimits(t *testing.T) {
	f := func(p plan.Node, want int, beyond string) {
		t.Helper()
		n, err := run(numbered(10), p, 4, 4)
		var limit *LimitError
		switch {
		case beyond == "" && (err != nil || n != want):
			t.Errorf("%s: %d rows, %v; want %d", names(p), n, err, want)
		case beyond != "" && (!errors.As(err, &limit) || limit.What != beyond || limit.Max != 4 || n != 0):
			t.Errorf("%s: %d rows, %v; want too many %s", names(p), n, err, beyond)
		}
	}
	scan := plan.Scan{}
	first := func(n int64) plan.Node {
		return over(expr.Range{Field: field("n"), Max: expr.Bound{Value: event.Int(n)}}, scan)
	}
	f(by("n", first(4)), 4, "")
	f(by("n", first(5)), 0, "rows to sort")
	// The first of many need room for themselves alone.
	f(plan.Limit{N: 4, In: by("n", scan)}, 4, "")
	f(plan.Limit{N: 0, In: by("n", scan)}, 0, "")
	f(plan.Limit{N: -1, In: by("n", scan)}, 0, "")
	f(plan.Limit{N: 5, In: by("n", scan)}, 0, "rows to sort")
	f(plan.Limit{N: 5, In: by("n", first(4))}, 4, "")
	f(plan.Limit{N: 2, In: over(exists("n"), by("n", scan))}, 0, "rows to sort")

	each := func(in plan.Node, paths ...string) plan.Node {
		a := plan.Aggregate{In: in, Aggs: []plan.Agg{{Name: "c"}}}
		for _, p := range paths {
			a.By = append(a.By, plan.Group{Name: "g" + p, Each: field(p)})
		}
		return a
	}
	f(each(first(4), "n"), 4, "")
	f(each(first(5), "n"), 0, "groups")
	distinct := func(in plan.Node) plan.Node {
		return plan.Aggregate{In: in, Aggs: []plan.Agg{{Name: "d", Fn: plan.CountDistinct, Value: one("n")}}}
	}
	f(distinct(first(4)), 1, "")
	f(distinct(first(5)), 0, "distinct values")

	many := &event.Event{}
	many.Set("l", event.List(event.Int(1), event.Int(2), event.Int(3)))
	many.Set("m", event.List(event.Int(1), event.Int(1), event.Int(2)))
	if _, err := run([]*event.Event{many}, each(scan, "l", "m"), 4, 4); err == nil || !strings.Contains(err.Error(), "combinations") {
		t.Errorf("six combinations in an event: %v", err)
	}
	if n, err := run([]*event.Event{many}, each(scan, "m", "m"), 4, 4); err != nil || n != 4 {
		t.Errorf("four combinations in an event: %d, %v", n, err)
	}
}

// TestHostileLists holds that an event whose lists would give 10^18 groups ends in an error at once.
func TestHostileLists(t *testing.T) {
	items := make([]event.Value, 1000)
	for i := range items {
		items[i] = event.Int(int64(i))
	}
	e := &event.Event{}
	a := plan.Aggregate{In: plan.Scan{}}
	for i := range 6 {
		path := fmt.Sprint("l", i)
		e.Set(path, event.List(items...))
		a.By = append(a.By, plan.Group{Name: path, Each: field(path)})
	}
	var limit *LimitError
	if _, err := collect(t, Over([]*event.Event{e}), a); !errors.As(err, &limit) {
		t.Errorf("no limit: %v", err)
	}
}

// TestTop holds that the first rows of a sort are those of the whole sort.
func TestTop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.IntRange(0, 9), 0, 60).Draw(t, "values")
		events := make([]*event.Event, len(values))
		for i, v := range values {
			events[i] = &event.Event{ID: fmt.Sprint(i % 20), Stream: fmt.Sprint("s", i/20)}
			if v > 0 {
				events[i].Set("n", event.Int(int64(v)))
			}
		}
		sort := plan.Sort{In: plan.Scan{}, Keys: []plan.SortKey{{Value: one("n"), Desc: rapid.Bool().Draw(t, "desc")}}}
		ids := func(p plan.Node) (out []string) {
			rows, err := Over(events).Query(context.Background(), p, store.Snapshot{})
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
				e := rows.Event()
				out = append(out, e.Text("n")+" "+e.Stream+" "+e.ID)
			}
			return out
		}
		n := rapid.IntRange(0, 70).Draw(t, "limit")
		whole := ids(sort)
		if diff := cmp.Diff(whole[:min(n, len(whole))], ids(plan.Limit{In: sort, N: n})); n > 0 && diff != "" {
			t.Fatalf("the first %d (-of all +alone):\n%s", n, diff)
		}
	})
}

// TestByTime holds that indexes change no row, and are used.
func TestByTime(t *testing.T) {
	date := func(path string) expr.Field { return expr.Field{Path: path, Type: event.Date} }
	found := 0
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 0))
		rows := timed(r)
		indexed := []*Slice{NewSlice(rows, ByTime("t")), NewSlice(rows, ByTime("u")), NewSlice(rows, ByTime("t"), ByTime("u"))}
		for range 20 {
			p := timePlan(r)
			at := store.Snapshot{After: r.Uint64N(2), Seq: 1 + r.Uint64N(3)}
			want := idsOf(t, NewSlice(rows), p, at)
			found += len(want)
			for i, s := range indexed {
				if diff := cmp.Diff(want, idsOf(t, s, p, at)); diff != "" {
					t.Fatalf("seed %d, index %d: %#v\n(-without +with an index):\n%s", seed, i, p, diff)
				}
			}
		}
	}
	if found < 1000 {
		t.Errorf("all plans found only %d rows", found)
	}

	var rows []Stored
	for i := range 1000 {
		e := &event.Event{ID: fmt.Sprint(i), Stream: "s"}
		e.Set("t", event.Int(1_700_000_000_000+int64(i)))
		rows = append(rows, Stored{Event: e})
	}
	s := NewSlice(rows, ByTime("t"))
	if s.Len() != 1000 {
		t.Errorf("%d events", s.Len())
	}
	bounds := boundsOf(over(expr.Range{Field: date("t"), Min: expr.Bound{Value: event.Millis(1_700_000_000_100), Inclusive: true},
		Max: expr.Bound{Value: event.Millis(1_700_000_000_109), Inclusive: true}}, plan.Scan{}))
	c := s.scan(context.Background(), plan.Scan{}, bounds, store.Snapshot{}).(*scan)
	if c.end != 10 {
		t.Errorf("with an index %d events are looked at, not 10", c.end)
	}
}

// timed makes events with values, or none, of the date fields t and u.
func timed(r *rand.Rand) []Stored {
	rows := make([]Stored, r.IntN(40))
	instant := func() event.Value { return event.Int(1_700_000_000_000 + r.Int64N(20)) }
	for i := range rows {
		e := &event.Event{ID: fmt.Sprint(i), Stream: []string{"a", "b"}[r.IntN(2)]}
		for _, path := range []string{"t", "u"} {
			switch r.IntN(6) {
			case 0:
			case 1:
				e.Set(path, event.String("soon"))
			case 2:
				e.Set(path, event.List(instant(), instant()))
			default:
				e.Set(path, instant())
			}
		}
		rows[i] = Stored{Event: e, Seq: r.Uint64N(4)}
	}
	return rows
}

// timePlan makes a plan that filters by the date fields t and u, and changes them on the way.
func timePlan(r *rand.Rand) plan.Node {
	date := func(path string) expr.Field { return expr.Field{Path: path, Type: event.Date} }
	bound := func() expr.Bound {
		if r.IntN(3) == 0 {
			return expr.Bound{}
		}
		return expr.Bound{Value: event.Millis(1_700_000_000_000 + r.Int64N(20)), Inclusive: r.IntN(2) == 0}
	}
	cond := func() expr.Cond {
		within := expr.Range{Field: date([]string{"t", "t", "u"}[r.IntN(3)]), Min: bound(), Max: bound()}
		switch r.IntN(6) {
		case 0:
			return expr.Not{Cond: within}
		case 1:
			return expr.Or{Conds: []expr.Cond{within, expr.Exists{Field: date("u")}}}
		case 2:
			return expr.And{Conds: []expr.Cond{within, expr.Range{Field: date("t"), Min: bound()}}}
		}
		return within
	}
	var p plan.Node = plan.Scan{Streams: [][]string{nil, {"a"}}[r.IntN(2)]}
	for range 1 + r.IntN(4) {
		switch r.IntN(10) {
		case 0:
			p = plan.Sort{In: p, Keys: []plan.SortKey{{Value: expr.One{Field: date("t")}}}}
		case 1, 2: // moves t: what a filter above it says is not about the events' t
			p = plan.Eval{In: p, Cols: []plan.Column{{Name: "t", Value: expr.One{Field: date("u")}}}}
		case 3:
			p = plan.Project{In: p, Paths: []string{"u"}}
		case 4:
			p = plan.Limit{In: plan.Sort{In: p}, N: 7}
		default:
			p = plan.Filter{In: p, Cond: cond()}
		}
	}
	return plan.Filter{In: p, Cond: cond()}
}

func idsOf(t *testing.T, s *Slice, p plan.Node, at store.Snapshot) (out []string) {
	t.Helper()
	rows, err := s.Query(context.Background(), p, at)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		out = append(out, rows.Event().ID)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// TestSharedEvents holds that whoever is handed a row may change it.
func TestSharedEvents(t *testing.T) {
	events := numbered(3)
	s := Over(events)
	for _, p := range []plan.Node{plan.Scan{}, over(exists("n"), plan.Scan{}), by("n", plan.Scan{}), plan.Limit{In: plan.Scan{}, N: 2},
		plan.Eval{In: plan.Scan{}, Cols: []plan.Column{{Name: "n", Value: expr.Lit{}}}}} {
		rows, err := collect(t, s, p)
		if err != nil || len(rows) == 0 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for _, e := range rows {
			e.Set("n", event.Null())
			e.Set("mine", event.Bool(true))
			e.ID = "mine"
		}
		for i, e := range events {
			if e.ID != fmt.Sprintf("%06d", i) || e.Get("n").Int() != int64(i) || len(e.Fields()) != 1 {
				t.Errorf("%s: the stored event is now %s", names(p), e.AppendJSON(nil, nil))
			}
		}
	}
}
