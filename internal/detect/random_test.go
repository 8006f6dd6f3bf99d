package detect_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// fact is an event as the reference knows it.
type fact struct {
	id    string
	ms    int64
	users []string
	hosts []string
}

func (f fact) document() *event.Event {
	e := &event.Event{ID: f.id, Stream: stream}
	e.Set("@timestamp", event.String(event.FormatTime(time.UnixMilli(f.ms))))
	e.Set("event.action", event.String("login"))
	if len(f.users) > 0 {
		e.Set("user.name", event.Strings(f.users...))
	}
	if len(f.hosts) > 0 {
		e.Set("host.name", event.Strings(f.hosts...))
	}
	return e
}

// tuples are the combinations of values, as texts.
func (f fact) tuples(pair bool) []string {
	if !pair {
		return f.users
	}
	var out []string
	for _, u := range f.users {
		for _, h := range f.hosts {
			out = append(out, u+" "+h)
		}
	}
	return out
}

// raised is an alert as the reference knows it.
type raised struct {
	tuple      string
	evidence   fact
	history    int64
	knownSince int64
}

func (r raised) String() string {
	return fmt.Sprintf("%s %s since %d", r.evidence.id, r.tuple, r.knownSince)
}

func setting(t *testing.T, name string, standard uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return standard
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// Runs over random histories, in whatever order and however often, raise what the definition says: a tuple of the window
// is new unless an event of [history, from] holds it, or an alert of it has its evidence in [history, to]; the evidence
// is its oldest event. An alert is known since the oldest event of its history that holds the tuple.
func TestRunIsTheDefinition(t *testing.T) {
	n, seed := setting(t, "TOCSIN_RUNS", 3_000), setting(t, "TOCSIN_SEED", 1)
	t.Logf("%d histories from seed %d (TOCSIN_RUNS, TOCSIN_SEED)", n, seed)
	total, late, again := 0, 0, 0
	for i := seed; i < seed+n && !t.Failed(); i++ {
		r := rand.New(rand.NewPCG(i, 0))
		const minute, origin = int64(60_000), int64(1_772_323_200_000) // 1 March 2026
		from := []string{"now-10m", "now-1h", "now-23h"}[r.IntN(3)]
		history := []string{"now-1d", "now-2d", "now-25h", "now-3d/d"}[r.IntN(4)]
		fields := []string{"user.name", "host.name"}[:1+r.IntN(2)]
		p := newTerms(t, from, history, fields...)
		b := newBench(t)
		span := []int64{60, 600, 6000}[r.IntN(3)] * minute
		base := origin + r.Int64N(3)*24*60*minute
		var facts []fact
		var want []*raised
		for range 3 + r.IntN(5) {
			var batch []*event.Event
			for range r.IntN(4) {
				f := fact{id: fmt.Sprint(len(facts)), ms: base + r.Int64N(span/minute)*minute + r.Int64N(3) - 1}
				for _, u := range []string{"a", "b", "c"} {
					if r.IntN(3) == 0 {
						f.users = append(f.users, u)
					}
				}
				for _, h := range []string{"x", "y"} {
					if r.IntN(2) == 0 {
						f.hosts = append(f.hosts, h)
					}
				}
				facts = append(facts, f)
				batch = append(batch, f.document())
			}
			if len(batch) > 0 {
				b.land(batch...)
			}
			w, err := p.Window(time.UnixMilli(base + r.Int64N(span/minute+60)/10*10*minute))
			if err != nil {
				t.Fatal(err)
			}
			if r.IntN(4) == 0 {
				w = w.Clamp(w.From.Add(time.Duration(r.IntN(20)-5)*time.Minute), time.Time{})
			}
			if r.IntN(4) == 0 {
				w = w.Clamp(time.Time{}, w.To.Add(-time.Duration(r.IntN(5))*time.Minute))
			}
			result := b.run(p, w)

			// The reference, from the definition.
			sorted := slices.Clone(facts)
			slices.SortFunc(sorted, func(a, b fact) int { return cmp.Or(cmp.Compare(a.ms, b.ms), cmp.Compare(a.id, b.id)) })
			h, f, to := w.History.UnixMilli(), w.From.UnixMilli(), w.To.UnixMilli()
			if w.Clamped {
				f-- // a cut window has its first instant to itself
			}
			oldest := func(tuple string, from, to int64) *fact {
				for k, e := range sorted {
					if from <= e.ms && e.ms <= to && slices.Contains(e.tuples(len(fields) == 2), tuple) {
						return &sorted[k]
					}
				}
				return nil
			}
			for _, alert := range want {
				if e := oldest(alert.tuple, alert.history, alert.evidence.ms-1); e != nil && e.ms != alert.knownSince {
					alert.knownSince = e.ms
					late++
				}
			}
			var fresh []*raised
			for _, e := range sorted {
				if e.ms < w.From.UnixMilli() || e.ms > to {
					continue
				}
				for _, tuple := range e.tuples(len(fields) == 2) {
					if oldest(tuple, h, f) != nil {
						continue
					}
					if slices.ContainsFunc(append(slices.Clone(want), fresh...), func(a *raised) bool {
						return a.tuple == tuple && h <= a.evidence.ms && a.evidence.ms <= to
					}) {
						continue
					}
					fresh = append(fresh, &raised{tuple: tuple, evidence: e, history: h})
				}
			}
			if len(fresh) > 0 && slices.ContainsFunc(want, func(a *raised) bool { return a.tuple == fresh[0].tuple }) {
				again++
			}
			want = append(want, fresh...)
			var wantNow []string
			for _, a := range fresh {
				wantNow = append(wantNow, a.evidence.id+" "+a.tuple)
			}
			gotNow := found(result.Alerts)
			slices.Sort(wantNow)
			slices.Sort(gotNow)
			if !slices.Equal(gotNow, wantNow) {
				t.Errorf("TOCSIN_RUNS=1 TOCSIN_SEED=%d: window %v … %v, history %v: alerts %v, want %v", i, w.From, w.To, w.History, gotNow, wantNow)
			}
			total += len(fresh)
		}
		b.env(p) // what landed last may prove alerts wrong
		var got, wanted []string
		for _, a := range b.alerts() {
			since := int64(0)
			if v := a.Text("tocsin.alert.known_since"); v != "" {
				parsed, ok := event.ParseTime(v)
				if !ok {
					t.Fatalf("known since %s", v)
				}
				since = parsed.UnixMilli()
			}
			got = append(got, fmt.Sprintf("%s since %d", strings.Join(found([]*event.Event{a}), ""), since))
		}
		for _, a := range want {
			wanted = append(wanted, a.String())
		}
		slices.Sort(got)
		slices.Sort(wanted)
		if diff := gocmp.Diff(wanted, got); diff != "" {
			t.Errorf("TOCSIN_RUNS=1 TOCSIN_SEED=%d: at the end (-want +got):\n%s", i, diff)
		}
	}
	t.Logf("%d alerts, %d times known since, %d new once more", total, late, again)
	if uint64(total) < n || uint64(late) < n/10 || uint64(again) < n/30 {
		t.Error("too little happened: the test shows nothing")
	}
}
