package schedule

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
	"github.com/tocsin-sec/tocsin/internal/window"
)

const step = 10 * time.Minute

func slots(first, last int) window.Slots {
	return window.Slots{First: slot(first), Last: slot(last), Every: step}
}

func slot(i int) time.Time { return time.Unix(int64(i)*600, 0).UTC() }

func (l *Ledger) text() string {
	var out []string
	for _, r := range l.runs {
		word := "run"
		if r.Empty {
			word = "empty"
		}
		out = append(out, fmt.Sprintf("%d..%d %s@%d", r.From.Unix()/600, r.To.Unix()/600, word, r.Seq))
	}
	return strings.Join(out, ", ")
}

func TestNeighboursAreOneSpan(t *testing.T) {
	l := &Ledger{interval: step}
	g := func(first, last int, seq uint64, empty bool, want string) {
		t.Helper()
		l.Ran(slots(first, last), seq, empty, Clamp{})
		if got := l.text(); got != want {
			t.Errorf("after slots %d..%d: %s, want %s", first, last, got, want)
		}
	}
	f := func(i int, seq uint64, empty bool, want string) { t.Helper(); g(i, i, seq, empty, want) }
	f(1, 5, true, "1..1 empty@5")
	f(2, 5, true, "1..2 empty@5")
	f(4, 5, true, "1..2 empty@5, 4..4 empty@5")
	f(3, 5, true, "1..4 empty@5")
	f(2, 6, false, "1..1 empty@5, 2..2 run@6, 3..4 empty@5")
	f(3, 6, false, "1..1 empty@5, 2..3 run@6, 4..4 empty@5")
	f(2, 7, true, "1..1 empty@5, 2..2 empty@7, 3..3 run@6, 4..4 empty@5")
	f(0, 7, true, "0..0 empty@7, 1..1 empty@5, 2..2 empty@7, 3..3 run@6, 4..4 empty@5")
	f(1, 7, true, "0..2 empty@7, 3..3 run@6, 4..4 empty@5")
	g(2, 3, 8, false, "0..1 empty@7, 2..3 run@8, 4..4 empty@5")
	g(6, 1_000_000_000, 8, true, "0..1 empty@7, 2..3 run@8, 4..4 empty@5, 6..1000000000 empty@8")
	g(7, 8, 9, false, "0..1 empty@7, 2..3 run@8, 4..4 empty@5, 6..6 empty@8, 7..8 run@9, 9..1000000000 empty@8")
	g(1, 7, 9, false, "0..0 empty@7, 1..8 run@9, 9..1000000000 empty@8")
	g(3, 2, 9, true, "0..0 empty@7, 1..8 run@9, 9..1000000000 empty@8")
}

// The ledger equals a plain list of slots, and what is left what the list says, whatever the order of runs.
func TestLedgerEqualsPlainList(t *testing.T) {
	const n = 24
	states := map[string]int{}
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		from := []string{"now-10m", "now-25m", "now-1h", "now/h-10m"}[r.IntN(4)]
		s, err := window.New(window.Spec{Interval: "10m", From: from, To: []string{"now", "now-5m"}[r.IntN(2)]})
		if err != nil {
			t.Fatal(err)
		}
		cut := func() (c Clamp) {
			if r.IntN(3) == 0 {
				c.From = slot(r.IntN(n)).Add(time.Duration(r.IntN(3)-1) * time.Millisecond)
			}
			if r.IntN(3) == 0 {
				c.To = slot(r.IntN(n)).Add(time.Duration(r.IntN(3)-1) * time.Millisecond)
			}
			return c
		}
		l := &Ledger{interval: step}
		plain := map[int]Run{}
		for range r.IntN(30) {
			first := r.IntN(n)
			last := min(first+r.IntN(4), n-1)
			run := Run{Seq: r.Uint64N(4) + 1, Empty: r.IntN(2) == 0, Clamp: cut()}
			l.Ran(slots(first, last), run.Seq, run.Empty, run.Clamp)
			for i := first; i <= last; i++ {
				plain[i] = run
			}
		}
		var landed []Landed
		for range r.IntN(4) {
			from := slot(r.IntN(n)).Add(time.Duration(r.IntN(600_001)) * time.Millisecond)
			landed = append(landed, Landed{r.Uint64N(5) + 1, window.Span{From: from, To: from.Add(time.Duration(r.IntN(600)) * time.Second)}})
		}
		clamp := cut()
		var want []time.Time
		for i := range n {
			var found *Run
			for k := range l.runs {
				if !l.runs[k].From.After(slot(i)) && !l.runs[k].To.Before(slot(i)) {
					if found != nil {
						t.Fatalf("seed %d: slot %d lies in two runs: %s", seed, i, l.text())
					}
					found = &l.runs[k]
				}
			}
			was, ran := plain[i]
			if ran != (found != nil) || ran && (found.Seq != was.Seq || found.Empty != was.Empty || found.Clamp != was.Clamp) {
				t.Fatalf("seed %d: slot %d: %v, want %v: %s", seed, i, found, was, l.text())
			}
			w, err := s.Window(slot(i))
			if err != nil {
				t.Fatal(err)
			}
			state := "clean"
			if !ran || !clamp.Within(was.Clamp) {
				state = "never"
			}
			for _, d := range landed {
				if state == "clean" && d.Seq > was.Seq && d.Overlaps(w.Clamp(clamp.From, clamp.To).Span()) {
					state = "dirty"
				}
			}
			if states[state]++; state != "clean" {
				want = append(want, slot(i))
			}
		}
		var got []time.Time
		for _, run := range l.Left(s, slots(0, n-1), clamp, landed) {
			for at := range run.All() {
				got = append(got, at)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d: left are %v, want %v", seed, got, want)
		}
	}
	for _, state := range []string{"clean", "never", "dirty"} {
		if states[state] < 1000 {
			t.Errorf("only %d windows were %s: the test shows nothing of them", states[state], state)
		}
	}
}

func TestLeft(t *testing.T) {
	s, err := window.New(window.Spec{Interval: "10m", From: "now-1h", To: "now"})
	if err != nil {
		t.Fatal(err)
	}
	l := &Ledger{interval: step}
	l.Ran(slots(10, 10), 5, false, Clamp{})
	l.Ran(slots(11, 11), 5, false, Clamp{From: slot(8)})
	f := func(name string, i int, clamp Clamp, landed []Landed, want bool) {
		t.Helper()
		if got := len(l.Left(s, slots(i, i), clamp, landed)) > 0; got != want {
			t.Errorf("%s: left %t, want %t", name, got, want)
		}
	}
	landed := func(seq uint64, from, to time.Time) []Landed { return []Landed{{seq, window.Span{From: from, To: to}}} }
	f("not run", 9, Clamp{}, nil, true)
	f("run", 10, Clamp{}, nil, false)
	f("landed before the run", 10, Clamp{}, landed(5, slot(9), slot(9)), false)
	f("landed inside", 10, Clamp{}, landed(6, slot(9), slot(9)), true)
	f("landed at the very end", 10, Clamp{}, landed(6, slot(10), slot(12)), true)
	f("landed at the very start", 10, Clamp{}, landed(6, slot(2), slot(4)), true)
	f("landed after", 10, Clamp{}, landed(6, slot(10).Add(time.Millisecond), slot(12)), false)
	f("landed before what is asked for", 10, Clamp{From: slot(10)}, landed(6, slot(9), slot(9)), false)
	f("run as a smaller cut", 11, Clamp{}, nil, true)
	f("run as the same cut", 11, Clamp{From: slot(8)}, nil, false)
	f("run as a larger cut", 11, Clamp{From: slot(9)}, nil, false)
}

// Millennia of slots, which one event with a nonsense clock makes, cost no more than an hour of them.
func TestLeftOfMillennia(t *testing.T) {
	s, err := window.New(window.Spec{Interval: "10m", From: "now-15m", To: "now"})
	if err != nil {
		t.Fatal(err)
	}
	l := &Ledger{interval: step}
	all := slots(0, 400_000_000)
	l.Ran(all, 5, true, Clamp{})
	left := l.Left(s, all, Clamp{}, []Landed{{6, window.Span{From: slot(300_000_000), To: slot(300_000_000)}}})
	if want := []window.Slots{slots(300_000_000, 300_000_001)}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
}

func TestLedgerIsStoredWhole(t *testing.T) {
	ctx := context.Background()
	db := mem.New(nil)
	apply := func(l *Ledger) error {
		t.Helper()
		w, err := l.Write()
		if err != nil {
			t.Fatal(err)
		}
		return db.Apply(ctx, &store.Change{At: slot(1), Records: []store.RecordWrite{w}})
	}
	open := func(interval time.Duration) (*Ledger, error) { return Open(ctx, db, "rule", interval) }
	l, err := open(step)
	if err != nil {
		t.Fatal(err)
	}
	l.Ran(slots(1, 9), 5, true, Clamp{From: slot(3)})
	l.Ran(slots(4, 4), 5, false, Clamp{})
	if err := apply(l); err != nil {
		t.Fatal(err)
	}
	again, err := open(step)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := again.text(), "1..3 empty@5, 4..4 run@5, 5..9 empty@5"; got != want || again.runs[0].Clamp != l.runs[0].Clamp {
		t.Errorf("read back %s, want %s", got, want)
	}
	if err := apply(l); err != nil {
		t.Errorf("the ledger that wrote last cannot write again: %v", err)
	}
	if err := apply(again); !errors.Is(err, store.ErrVersion) {
		t.Errorf("a ledger that is behind was written: %v", err)
	}
	if _, err := open(time.Hour); err == nil {
		t.Error("a ledger of another interval was opened")
	}
}

func TestLandings(t *testing.T) {
	ctx := context.Background()
	db := mem.New(nil)
	land := func(stream string, at, ingested int) {
		t.Helper()
		e := &event.Event{ID: fmt.Sprint(stream, at), Stream: stream}
		e.Set("@timestamp", event.String(event.FormatTime(slot(at))))
		if ingested > 0 {
			e.Set("event.ingested", event.String(event.FormatTime(slot(ingested))))
		}
		if err := db.Apply(ctx, &store.Change{At: slot(100), Events: []*event.Event{e}}); err != nil {
			t.Fatal(err)
		}
	}
	land("logs-a", 1, 2)
	land("logs-a", 3, 4)
	land("logs-b", 5, 6)
	land("logs-a", 7, 0)
	f := func(after, seq uint64, patterns []string, path string, want string) {
		t.Helper()
		list, err := Landings(ctx, db, store.Snapshot{After: after, Seq: seq})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range In(list, patterns, path) {
			if l.Span == window.AllTime() {
				got = append(got, fmt.Sprintf("any@%d", l.Seq))
				continue
			}
			got = append(got, fmt.Sprintf("%d@%d", l.From.Unix()/600, l.Seq))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("landed after %d up to %d in %v by %s: %s, want %s", after, seq, patterns, path, s, want)
		}
	}
	f(0, 9, nil, "@timestamp", "1@1 3@2 5@3 7@4")
	f(0, 9, nil, "event.ingested", "2@1 4@2 6@3 7@4")
	f(0, 9, []string{"logs-a"}, "event.ingested", "2@1 4@2 7@4")
	f(1, 3, nil, "@timestamp", "3@2 5@3")
	f(2, 9, []string{"logs-a"}, "event.created", "any@4")
}
