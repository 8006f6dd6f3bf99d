package detect_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// BenchmarkNewTerms runs a rule at the last slot of data that go back 1, 15 or 90 days, 2,000 matching events of 200 users
// a day, as a live run does: the sightings are stored, and read for the tuples of the window alone.
func BenchmarkNewTerms(b *testing.B) {
	for _, e := range engines() {
		for _, days := range []int{1, 15, 90} {
			b.Run(fmt.Sprintf("%s/%dd", e.name, days), func(b *testing.B) {
				history := newBench(b)
				history.db = e.open(b)
				p := newTerms(b, "now-9m", fmt.Sprintf("now-%dd", days), "user.name")
				r := rand.New(rand.NewPCG(1, 1))
				end := at(b, "31 12:00")
				for day := range days + 1 {
					var events []*event.Event
					for i := range 2000 {
						ev := &event.Event{ID: fmt.Sprintf("%d-%d", day, i), Stream: stream}
						when := end.AddDate(0, 0, -day).Add(-time.Duration(r.Int64N(int64(24 * time.Hour))))
						ev.Set("@timestamp", event.String(event.FormatTime(when)))
						ev.Set("event.action", event.String("login"))
						ev.Set("user.name", event.String(fmt.Sprint("user", r.IntN(200))))
						events = append(events, ev)
					}
					history.land(events...)
				}
				fresh := login(b, "fresh", "31 11:58", `{"user":{"name":"eve"}}`)
				history.land(fresh)
				env := history.env(p)
				if e.name == "mem" { // whose own queries look at every event
					env.Events = indexed(b, history.db, env.At)
					env.Store = env.Events
				}
				w, err := p.Window(end)
				if err != nil {
					b.Fatal(err)
				}
				b.ResetTimer()
				for range b.N {
					once(b, p, w, env, history.db)
				}
			})
		}
	}
}

// indexed returns the events of db with an index by time.
func indexed(b *testing.B, db store.Store, at store.Snapshot) store.Querier {
	b.Helper()
	rows, err := db.Query(ctx, plan.Scan{}, at)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	var events []*event.Event
	for rows.Next() {
		events = append(events, rows.Event())
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	return exec.Over(events, exec.ByTime(plan.Timestamp))
}

// once is one run with nothing in memory but what a live process keeps.
func once(b *testing.B, p *detect.Program, w window.Window, env detect.Env, db store.Store) {
	b.Helper()
	var err error
	if env.Index, err = sighting.Open(ctx, db, p.Sightings()); err != nil {
		b.Fatal(err)
	}
	if env.Alerted, err = detect.LoadAlerted(ctx, exec.Over(nil), env.At, p.Rule.UUID()); err != nil {
		b.Fatal(err)
	}
	result, err := detect.Run(ctx, p, w, env)
	if err != nil {
		b.Fatal(err)
	}
	if len(result.Alerts) != 1 {
		b.Fatalf("%d alerts, want that on eve", len(result.Alerts))
	}
}
