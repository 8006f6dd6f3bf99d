package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// fill applies n events with their number as n, in one commit.
func (s *suite) fill(n int) {
	s.t.Helper()
	c := &store.Change{}
	for i := range n {
		c.Events = append(c.Events, doc("logs-a", fmt.Sprint(i), fmt.Sprintf(`{"n":%d,"@timestamp":%q}`, i, day(1+i%3))))
	}
	s.apply(1, c)
}

func rows(t *testing.T, s *suite) {
	ctx := context.Background()
	s.fill(100)
	at := s.latest()
	for _, p := range []plan.Node{
		plan.Scan{},
		parsed(t, "sort n:long"),
		parsed(t, "aggregate (each n n:long)"),
	} {
		rows, err := s.Query(ctx, plan.Prune(p), at)
		var no *store.Unsupported
		if errors.As(err, &no) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for rows.Next() {
			if rows.Event() == nil {
				t.Error("a row without an event")
			}
			n++
		}
		equal(t, "rows", 100, n)
		if rows.Next() {
			t.Error("a row after the last")
		}
		if err := rows.Err(); err != nil {
			t.Errorf("at the end: %v", err)
		}
		for range 2 {
			if err := rows.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
		// Rows that nobody reads, or only the first of which, cost nothing that lasts.
		for range 100 {
			rows, err := s.Query(ctx, plan.Prune(p), at)
			if err != nil {
				t.Fatal(err)
			}
			rows.Next()
			for range 2 {
				if err := rows.Close(); err != nil {
					t.Errorf("close early: %v", err)
				}
			}
			if rows.Next() {
				t.Fatal("a row after Close")
			}
		}
	}
	equal(t, "rows afterwards", 100, len(s.rows(plan.Scan{}, at)))
}

func cancellation(t *testing.T, s *suite) {
	const n = 9000
	s.fill(n)
	at := s.latest()
	done, cancel := context.WithCancel(context.Background())
	cancel()
	for _, text := range []string{"scan", "filter (in n:long 1)", "sort n:long", "aggregate (count n)", "limit 1"} {
		if _, err := query(done, s, parsed(t, text), at); !errors.Is(err, context.Canceled) {
			t.Errorf("%s after the end of its context: %v", text, err)
		}
	}
	for _, text := range []string{"scan", "sort (desc n:long)", "filter (range n:long >= 0)", "aggregate (each n n:long)"} {
		ctx, cancel := context.WithCancel(context.Background())
		rows, err := exec.Query(ctx, s, parsed(t, text), at)
		if err != nil {
			t.Fatal(err)
		}
		read := 0
		for rows.Next() {
			if read++; read == 1 {
				cancel()
			}
		}
		if !errors.Is(rows.Err(), context.Canceled) || read == 0 || read == n {
			t.Errorf("%s, cancelled at the first row: %d rows, then %v", text, read, rows.Err())
		}
		if err := rows.Close(); err != nil {
			t.Errorf("%s: close: %v", text, err)
		}
		cancel()
	}
	equal(t, "rows afterwards", n, len(s.rows(plan.Scan{}, at)))
}

// noScan holds that a plan that ends in nothing is an error.
func noScan(t *testing.T, s *suite) {
	for _, p := range []plan.Node{nil, plan.Filter{Cond: expr.Const{Value: true}}, plan.Limit{In: plan.Sort{}, N: 1},
		plan.Aggregate{}, plan.Project{}, plan.Eval{}} {
		if rows, err := query(context.Background(), s, p, s.latest()); err == nil {
			t.Errorf("%T over nothing: %d rows", p, len(rows))
		}
		if rows, err := s.Query(context.Background(), p, s.latest()); err == nil {
			t.Errorf("%T over nothing, asked directly: no error", p)
			rows.Close()
		}
	}
}

// concurrency holds that every snapshot shows whole commits and stays as it is. It is worth most under -race.
func concurrency(t *testing.T, s *suite) {
	const writers, commits, each = 3, 8, 7
	ctx := context.Background()
	count := parsed(t, "aggregate (count n)")
	counted := func(at store.Snapshot) (int64, error) {
		rows, err := query(ctx, s, count, at)
		if err != nil || len(rows) != 1 {
			return 0, fmt.Errorf("%d rows: %w", len(rows), err)
		}
		return rows[0].Get("n").Int(), nil
	}
	var write, read sync.WaitGroup
	stop := make(chan struct{})
	for w := range writers {
		write.Go(func() {
			for n := range commits {
				c := &store.Change{At: commitTime(1), Sightings: []store.Sighting{seen("p", 1, 1, 1, 10)},
					Records: []store.RecordWrite{{Kind: "rule", ID: "r", Data: []byte(`{}`)}},
					Alerts:  []*event.Event{doc("", fmt.Sprintf("%d-%d", w, n), `{}`)}}
				for i := range each {
					c.Events = append(c.Events, doc(fmt.Sprintf("logs-%d", i%2), fmt.Sprintf("%d-%d-%d", w, n, i),
						fmt.Sprintf(`{"@timestamp":%q,"field%d":%d}`, day(1+i%3), i, n)))
				}
				if err := s.Apply(ctx, c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		read.Go(func() {
			last := int64(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				at, err := s.Latest(ctx)
				if err != nil {
					t.Error(err)
					return
				}
				first, err := counted(at)
				if err != nil {
					t.Error(err)
					return
				}
				again, err := counted(at)
				if err != nil {
					t.Error(err)
					return
				}
				if first != again || first%each != 0 || first < last {
					t.Errorf("snapshot %d: %d events, then %d; before it %d", at.Seq, first, again, last)
				}
				last = first
				_, err1 := s.Streams(ctx, nil)
				_, err2 := s.List(ctx, store.LandingKind, "", 100)
				_, err3 := s.Sightings(ctx, "p", nil)
				if err := errors.Join(err1, err2, err3); err != nil {
					t.Error(err)
				}
			}
		})
	}
	write.Wait()
	close(stop)
	read.Wait()
	n, err := counted(s.latest())
	if err != nil || n != writers*commits*each {
		t.Errorf("%d events at the end, want %d: %v", n, writers*commits*each, err)
	}
	r, err := s.Get(ctx, "rule", "r")
	if err != nil || r.Version != writers*commits {
		t.Errorf("the record is at version %d: %v", r.Version, err)
	}
	equal(t, "sightings", []string{fmt.Sprintf("1 on 1 in logs-a/1: 10:00:00.000-10:00:00.000 ×%d h10", writers*commits)}, s.sightings("p", nil))
	equal(t, "alerts", writers*commits, len(s.rows(plan.Scan{Streams: []string{store.AlertStream}}, s.latest())))
}
