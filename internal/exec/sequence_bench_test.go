package exec_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// BenchmarkSequence finds sequences of three stages in a million events of them, of 100,000 keys, inside a span in which
// most keys occur. It reports what it holds at most, besides the events themselves.
func BenchmarkSequence(b *testing.B) {
	const events, keys = 1_000_000, 100_000
	all := make([]*event.Event, events)
	actions := []string{"open", "read", "close"}
	for i := range all {
		e := &event.Event{ID: fmt.Sprintf("%07d", i), Stream: "s"}
		e.Set(plan.Timestamp, event.Millis(int64(i)))
		e.Set("event.action", event.String(actions[(i/keys+i%keys)%3]))
		e.Set("user.name", event.String(fmt.Sprintf("user-%06d", i*7919%keys)))
		all[i] = e
	}
	user := []plan.Key{{Field: expr.Field{Path: "user.name"}}}
	p := plan.Sequence{In: plan.Scan{}, MaxSpan: 5 * time.Minute}
	for _, action := range actions {
		p.Stages = append(p.Stages, plan.Stage{Keys: user,
			Cond: expr.In{Field: expr.Field{Path: "event.action"}, Values: []event.Value{event.String(action)}}})
	}
	slice := exec.Over(all)
	// found counts the sequences, and now and then looks at what is held.
	found := func(look func()) int {
		rows, err := exec.Query(context.Background(), slice, plan.Project{In: p, Paths: []string{plan.FoundNumber}}, store.Snapshot{})
		if err != nil {
			b.Fatal(err)
		}
		defer rows.Close()
		n := 0
		for rows.Next() {
			if n++; n%20_000 == 1 && look != nil {
				look()
			}
		}
		if err := rows.Err(); err != nil || n < keys {
			b.Fatalf("%d sequences, %v", n, err)
		}
		return n
	}
	held := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, most := held(), int64(0)
	found(func() { most = max(most, held()) })
	n := 0
	for b.Loop() {
		n = found(nil)
	}
	b.ReportMetric(float64(n), "sequences")
	b.ReportMetric(float64(most-before)/(1<<20), "MiB-held")
}
