package duck_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

// TestManyDays writes a few events to each of many days, twice: what a day takes in memory is freed again, and looking for
// duplicates in all of them takes no more than there is.
func TestManyDays(t *testing.T) {
	ctx := context.Background()
	types := func(path string) (event.Type, bool) { f, ok := ecs.Lookup(path); return f.Type, ok }
	db, err := duck.Open(ctx, filepath.Join(t.TempDir(), "events.tocsin"), duck.Options{Types: types})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	const days, together, each = 240, 20, 12
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for round := range 2 {
		for first := 0; first < days; first += together {
			now = now.Add(time.Second)
			c := store.Change{At: now}
			for i := range together * each {
				day := first + i%together
				e := &event.Event{ID: fmt.Sprint(day, "-", i/together), Stream: "logs-a-b", Source: event.Raw{Data: []byte(fmt.Sprint(i))}}
				e.Set("@timestamp", event.String(event.FormatTime(time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, day))))
				e.Set("user.name", event.String(fmt.Sprint("user ", i)))
				c.Events = append(c.Events, e)
			}
			if err := db.Apply(ctx, &c); err != nil {
				t.Fatalf("round %d, day %d: %v", round, first, err)
			}
			if stored := together * each * (1 - round); c.Outcome.Stored != stored || c.Outcome.Duplicates != together*each-stored {
				t.Fatalf("round %d, day %d: %+v", round, first, c.Outcome)
			}
		}
	}
	at, err := db.Latest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(ctx, plan.Scan{}, at)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
	}
	if err := rows.Err(); err != nil || n != days*each {
		t.Errorf("%d events, %v", n, err)
	}
}
