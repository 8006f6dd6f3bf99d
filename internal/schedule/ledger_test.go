package schedule

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/store"
)

const step = 10 * time.Minute

func slot(i int) time.Time { return time.Unix(0, 0).UTC().Add(time.Duration(i) * step) }

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
	f := func(i int, seq uint64, empty bool, want string) {
		t.Helper()
		l.Ran(slot(i), seq, empty, Clamp{})
		if got := l.text(); got != want {
			t.Errorf("after slot %d: %s, want %s", i, got, want)
		}
	}
	f(1, 5, true, "1..1 empty@5")
	f(2, 5, true, "1..2 empty@5")
	f(4, 5, true, "1..2 empty@5, 4..4 empty@5")
	f(3, 5, true, "1..4 empty@5")
	f(2, 6, false, "1..1 empty@5, 2..2 run@6, 3..4 empty@5")
	f(3, 6, false, "1..1 empty@5, 2..3 run@6, 4..4 empty@5")
	f(2, 7, true, "1..1 empty@5, 2..2 empty@7, 3..3 run@6, 4..4 empty@5")
	f(0, 7, true, "0..0 empty@7, 1..1 empty@5, 2..2 empty@7, 3..3 run@6, 4..4 empty@5")
	f(1, 7, true, "0..2 empty@7, 3..3 run@6, 4..4 empty@5")
}

// The ledger equals a plain list of slots whatever the order of runs.
func TestLedgerEqualsPlainList(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		l := &Ledger{interval: step}
		plain := map[int]Run{}
		for range 60 {
			i, seq, empty := r.IntN(20), r.Uint64N(3)+1, r.IntN(2) == 0
			l.Ran(slot(i), seq, empty, Clamp{})
			plain[i] = Run{Seq: seq, Empty: empty}
		}
		for i := range 20 {
			var found *Run
			for k := range l.runs {
				if !l.runs[k].From.After(slot(i)) && !l.runs[k].To.Before(slot(i)) {
					if found != nil {
						t.Fatalf("seed %d: slot %d lies in two runs: %s", seed, i, l.text())
					}
					found = &l.runs[k]
				}
			}
			want, ran := plain[i]
			if ran != (found != nil) || ran && (found.Seq != want.Seq || found.Empty != want.Empty) {
				t.Fatalf("seed %d: slot %d: %v, want %v: %s", seed, i, found, want, l.text())
			}
		}
	}
}

func TestState(t *testing.T) {
	l := &Ledger{interval: step}
	l.Ran(slot(10), 5, false, Clamp{})
	l.Ran(slot(11), 5, false, Clamp{From: slot(8)})
	window := func(i int) store.Span { return store.Span{From: slot(i - 6), To: slot(i)} }
	landed := func(seq uint64, from, to time.Time) []Landed {
		return []Landed{{seq, store.Span{From: from, To: to}}}
	}
	f := func(name string, got, want State) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	f("not run", l.State(slot(9), window(9), Clamp{}, nil), Never)
	f("run", l.State(slot(10), window(10), Clamp{}, nil), Clean)
	f("landed before the run", l.State(slot(10), window(10), Clamp{}, landed(5, slot(9), slot(9))), Clean)
	f("landed inside", l.State(slot(10), window(10), Clamp{}, landed(6, slot(9), slot(9))), Dirty)
	f("landed at the very end", l.State(slot(10), window(10), Clamp{}, landed(6, slot(10), slot(12))), Dirty)
	f("landed at the very start", l.State(slot(10), window(10), Clamp{}, landed(6, slot(2), slot(4))), Dirty)
	f("landed after", l.State(slot(10), window(10), Clamp{}, landed(6, slot(10).Add(time.Millisecond), slot(12))), Clean)
	f("run as a smaller cut", l.State(slot(11), window(11), Clamp{}, nil), Never)
	f("run as the same cut", l.State(slot(11), window(11), Clamp{From: slot(8)}, nil), Clean)
	f("run as a larger cut", l.State(slot(11), window(11), Clamp{From: slot(9)}, nil), Clean)
}
