package replay

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// logins is the program of a rule that alerts on logins.
func logins(t *testing.T) *detect.Program {
	t.Helper()
	mapping, err := kqltest.TypesMapping(map[string]string{"@timestamp": "date", "event.action": "keyword"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := rule.Parse("r.toml", []byte("[rule]\nname='r'\ndescription='d'\nrule_id='r'\nseverity='low'\nrisk_score=1\ntype='query'\nquery='event.action: login'"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := detect.Compile(r, mapping)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// idsOf are the IDs of what q answers for p's candidates within span, in order.
func idsOf(t *testing.T, p *detect.Program, q store.Querier, span window.Span, at store.Snapshot) []string {
	t.Helper()
	rows, err := exec.Query(context.Background(), q, p.Candidates(span), at)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := []string{}
	for rows.Next() {
		out = append(out, rows.Event().ID)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// hiding is a store that loses sight of an event for a while.
type hiding struct {
	store.Querier
	id string // "": of none
}

func (h *hiding) Query(ctx context.Context, node plan.Node, at store.Snapshot) (store.Rows, error) {
	rows, err := h.Querier.Query(ctx, node, at)
	if err != nil {
		return nil, err
	}
	return &withoutOne{rows, h.id}, nil
}

type withoutOne struct {
	store.Rows
	id string
}

func (w *withoutOne) Next() bool {
	for w.Rows.Next() {
		if w.Event().ID != w.id {
			return true
		}
	}
	return false
}

// After a fetch that failed nothing of it is held: the next window fetches its own candidates.
func TestCandidatesAfterFailedFetch(t *testing.T) {
	ctx, p, db := context.Background(), logins(t), mem.New(nil)
	began := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	minutes := func(from, to int) window.Span {
		return window.Span{From: began.Add(time.Duration(from) * time.Minute), To: began.Add(time.Duration(to) * time.Minute)}
	}
	var c store.Change
	for i := range 10 {
		e := &event.Event{ID: fmt.Sprint(i), Stream: "logs-a"}
		e.Set("@timestamp", event.String(event.FormatTime(minutes(i, i).From)))
		e.SetString("event.action", "login")
		c.Events = append(c.Events, e)
	}
	if err := db.Apply(ctx, &c); err != nil {
		t.Fatal(err)
	}
	at, err := db.Latest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	q := &hiding{Querier: db}
	found, err := findCandidates(ctx, q, p, at, minutes(0, 9))
	if err != nil {
		t.Fatal(err)
	}
	q.id = "2"
	if _, _, err := found.within(ctx, minutes(0, 1)); err == nil {
		t.Fatal("a candidate was lost, and nothing is said of it")
	}
	q.id = ""
	for from := range 9 {
		got, _, err := found.within(ctx, minutes(from, from+1))
		if err != nil {
			t.Fatal(err)
		}
		if ids := idsOf(t, p, got, minutes(0, 9), at); !slices.Equal(ids, []string{fmt.Sprint(from), fmt.Sprint(from + 1)}) {
			t.Errorf("candidates of minutes %d and %d: %v", from, from+1, ids)
		}
	}
}

// However small the pages are, and in whatever order windows come, each sees exactly its own candidates.
func TestCandidatesOfAnyWindow(t *testing.T) {
	ctx, p := context.Background(), logins(t)
	began := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	fetched, direct := 0, 0
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		db := mem.New(nil)
		var c store.Change
		for i := range r.IntN(40) {
			e := &event.Event{ID: fmt.Sprint(i), Stream: "logs-a"}
			e.Set("@timestamp", event.String(event.FormatTime(began.Add(time.Duration(r.IntN(30))*time.Minute))))
			e.SetString("event.action", []string{"login", "login", "logout"}[r.IntN(3)])
			c.Events = append(c.Events, e)
		}
		if err := db.Apply(ctx, &c); err != nil {
			t.Fatal(err)
		}
		at, err := db.Latest(ctx)
		if err != nil {
			t.Fatal(err)
		}
		all := window.Span{From: began.Add(2 * time.Minute), To: began.Add(28 * time.Minute)}
		found, err := findCandidates(ctx, db, p, at, all)
		if err != nil {
			t.Fatal(err)
		}
		found.pageSize, found.maxHeld = 1+r.IntN(6), 1+r.IntN(10)
		from := 0
		for range 20 {
			if from += r.IntN(4); r.IntN(8) == 0 {
				from = r.IntN(30) // windows that reach back by months go back now and then
			}
			span := window.Span{From: began.Add(time.Duration(from) * time.Minute), To: began.Add(time.Duration(from+r.IntN(10)-1) * time.Minute)}
			q, _, err := found.within(ctx, span.Intersect(all))
			if err != nil {
				t.Fatal(err)
			}
			if q == store.Querier(db) {
				direct++
			} else {
				fetched++
			}
			got, want := idsOf(t, p, q, span.Intersect(all), at), idsOf(t, p, db, span.Intersect(all), at)
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d: candidates of %v … %v: %v, want %v", seed, span.From, span.To, got, want)
			}
			if len(found.held) > 2*found.maxHeld+found.pageSize+10 {
				t.Fatalf("seed %d: %d candidates are held", seed, len(found.held))
			}
		}
	}
	if fetched < 1000 || direct < 100 {
		t.Errorf("%d windows from pages, %d from the store: the test shows nothing", fetched, direct)
	}
}
