package replay_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/schedule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
	"github.com/tocsin-sec/tocsin/internal/window"
)

var errPower = errors.New("the power is gone")

// failing is a store whose Apply fails at the nth change: before it is taken, or after, when nobody learns of it.
type failing struct {
	store.Store
	n     int
	after bool
}

func (f *failing) Apply(ctx context.Context, c *store.Change) error {
	if f.n--; f.n != 0 {
		return f.Store.Apply(ctx, c)
	}
	if f.after {
		if err := f.Store.Apply(ctx, c); err != nil {
			return err
		}
	}
	return errPower
}

// state is everything that replays leave behind, as texts.
func state(t *testing.T, db store.Store, rules []*detect.Program) []string {
	t.Helper()
	out := texts(stored(t, db))
	for _, p := range rules {
		if p.Remembers() {
			days, err := db.SightingDays(ctx, p.Sightings().ID())
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprint(p.Rule.RuleID, " counted ", days))
		}
		ledger, err := schedule.Open(ctx, db, p.ID(), p.Schedule().Interval())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range ledger.Runs() { // slot by slot: at which snapshot each was read is another matter
			for slot := range (window.Slots{First: r.From, Last: r.To, Every: p.Schedule().Interval()}).All() {
				out = append(out, fmt.Sprint(p.Rule.RuleID, " ran ", event.FormatTime(slot), " empty ", r.Empty))
			}
		}
	}
	return out
}

// Whichever commit fails, a replay afterwards ends where one that never failed ends: nothing is lost, nothing doubled.
func TestFailedCommits(t *testing.T) {
	rules := []*detect.Program{
		program(t, "new-user", newUser),
		program(t, "many", "type='query'\nquery='event.action: login'\nmax_signals=1000"),
		program(t, "same-sightings", newUser),
		program(t, "folds", "type='query'\nquery='event.action: login'\ninterval='1h'\nfrom='now-2h'\nmax_signals=1000\n[rule.alert_suppression]\n"+
			"group_by=['event.action']\nduration={value=5,unit='h'}"),
		program(t, "counts", "type='threshold'\nquery='event.action: login'\ninterval='1h'\nfrom='now-2h'\nalert_suppression={duration={value=5,unit='h'}}\n"+
			"[rule.threshold]\nfield='event.action'\nvalue=5"),
		program(t, "counts-alerts", "type='threshold'\nquery='kibana.alert.rule.rule_id: many'\ninterval='1h'\nfrom='now-2h'\nindex=['.alerts-security.*']\n"+
			"[rule.threshold]\nfield='event.action'\nvalue=50"),
	}
	r := rand.New(rand.NewPCG(1, 1))
	var events []*event.Event
	for i := range 800 {
		within := 3 * 24 * 60
		if i%2 == 0 {
			within = 120 // most users come in the first two hours
		}
		events = append(events, happened(fmt.Sprint(i), began.Add(time.Duration(r.IntN(within))*time.Minute), fmt.Sprint("user", r.IntN(500)), "login"))
	}
	// The last tenth lands late, after the others were replayed.
	onTime, late := events[:720], events[720:]
	all := func(t *testing.T, db store.Store, fault *failing) {
		t.Helper()
		now := clock()
		for _, part := range [][]*event.Event{onTime, late} {
			load(t, db, now, part...)
			target := store.Store(db)
			if fault != nil {
				fault.Store, target = db, fault
			}
			report, err := replay.Run(ctx, target, rules, replay.Options{Clock: now})
			there := stored(t, db)
			for _, a := range report.Alerts {
				if there[a.ID] == nil {
					t.Error("the report has an alert that is not stored")
				}
			}
			if err == nil {
				continue
			}
			if !errors.Is(err, errPower) {
				t.Fatal(err)
			}
			run(t, db, now, replay.Options{}, rules...)
		}
	}
	plain := mem.New(nil)
	counting := &failing{n: 1 << 30}
	all(t, plain, counting)
	want := state(t, plain, rules)
	commits := 1<<30 - counting.n
	t.Logf("%d commits, %d facts", commits, len(want))
	if commits < 10 || len(want) < 1000 {
		t.Fatalf("%d commits, %d facts: the test shows nothing", commits, len(want))
	}
	for n := 1; n <= commits; n++ {
		for _, after := range []bool{false, true} {
			db, fault := mem.New(nil), &failing{n: n, after: after}
			all(t, db, fault)
			if fault.n > 0 {
				t.Fatalf("commit %d never came", n)
			}
			got := state(t, db, rules)
			if slices.Equal(want, got) {
				continue
			}
			for i := range min(len(want), len(got)) {
				if want[i] != got[i] {
					t.Fatalf("commit %d of %d failed (taken: %t), then another replay: %s\nwant %s", n, commits, after, got[i], want[i])
				}
			}
			t.Fatalf("commit %d of %d failed (taken: %t), then another replay: %d facts, want %d", n, commits, after, len(got), len(want))
		}
	}
}

// A change that the store does not take ends the replay, and is no rule's fault.
func TestRefusedChange(t *testing.T) {
	db, now := mem.New(nil), clock()
	load(t, db, now, happened("1", at(t, "9 10:01"), "ann", "login"))
	backwards := func() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }
	report, err := replay.Run(ctx, db, []*detect.Program{program(t, "one", newUser), program(t, "two", newUser)}, replay.Options{Clock: backwards})
	if !errors.Is(err, store.ErrClock) || len(report.Alerts) != 0 || len(report.Rules) != 1 {
		t.Errorf("%v, %d alerts, %d rules", err, len(report.Alerts), len(report.Rules))
	}
}
