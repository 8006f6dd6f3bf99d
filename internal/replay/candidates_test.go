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
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// However small the pages are, and in whatever order windows come, each sees exactly its own candidates.
func TestCandidatesOfAnyWindow(t *testing.T) {
	ctx := context.Background()
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
	ask := func(q store.Querier, span window.Span, at store.Snapshot) []string {
		t.Helper()
		rows, err := exec.Query(ctx, q, p.Candidates(span), at)
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
			got, want := ask(q, span.Intersect(all), at), ask(db, span.Intersect(all), at)
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
