package replay_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// crowd are users that log in within one window, and one that does later.
func crowd(t *testing.T) []*event.Event {
	var events []*event.Event
	for i, user := range []string{"ann", "bob", "cid", "dan", "eve"} {
		events = append(events, happened(strconv.Itoa(i), at(t, fmt.Sprintf("9 10:0%d", i)), user, "login"))
	}
	return append(events, happened("9", at(t, "9 11:02"), "fay", "login"))
}

const atMostTwo = "type='query'\nquery='event.action: login'\nfrom='now-5m'\nmax_signals=2"

// A replay releases as many alerts as one run may make, oldest first, with the time of the slot that left them out.
func TestRelease(t *testing.T) {
	db, now := mem.New(nil), clock()
	p := program(t, "capped", atMostTwo)
	load(t, db, now, crowd(t)...)
	f := func(opt replay.Options, pending int, want ...string) {
		t.Helper()
		report := run(t, db, now, opt, p)
		if diff := cmp.Diff(append([]string{}, want...), said(report.Alerts)); diff != "" {
			t.Errorf("alerts (-want +got):\n%s", diff)
		}
		if got := report.Rules[0].Pending; got != pending {
			t.Errorf("%d pending, want %d", got, pending)
		}
	}
	f(replay.Options{}, 3, "09T10:05 ann", "09T10:05 bob", "09T11:05 fay")
	f(replay.Options{}, 1, "09T10:05 cid", "09T10:05 dan")
	load(t, db, now, happened("10", at(t, "9 12:01"), "gil", "login"))
	f(replay.Options{}, 0, "09T10:05 eve", "09T12:05 gil") // what is new takes no room from what is pending
	f(replay.Options{}, 0)
	records, err := db.List(ctx, replay.PendingKind, "", 10)
	if err != nil || len(records) > 0 {
		t.Errorf("records are left: %v, %v", records, err)
	}
}

// release releases what is pending of the rules with these IDs, of all without any.
func release(t testing.TB, db store.Store, now func() time.Time, rules ...string) replay.Report {
	t.Helper()
	report, err := replay.Release(ctx, db, released(t, db, rules...), replay.Options{Clock: now})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Rules {
		if r.Err != nil || r.Pending != 0 || r.PendingWindows != 0 || r.Windows != 0 || r.Released != r.Alerts {
			t.Errorf("%+v", r)
		}
	}
	return report
}

// released compiles what is pending, as the command line does.
func released(t testing.TB, db store.Store, rules ...string) []replay.Released {
	t.Helper()
	var list []replay.Released
	for _, p := range pending(t, db) {
		if len(rules) > 0 && !slices.Contains(rules, p.RuleID) {
			continue
		}
		compiled, err := detect.Compile(p.Rule, fields(t))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, replay.Released{Pending: p, Program: compiled})
	}
	return list
}

func pending(t testing.TB, db store.Store) []replay.Pending {
	t.Helper()
	list, err := replay.ListPending(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range list {
		if p.Err != nil {
			t.Fatal(p.Err)
		}
	}
	return list
}

// nothingPending checks that no record is left.
func nothingPending(t testing.TB, db store.Store) {
	t.Helper()
	for _, kind := range []string{replay.PendingKind, replay.PendingRuleKind} {
		if list, err := db.List(ctx, kind, "", 10); err != nil || len(list) > 0 {
			t.Errorf("records of kind %s are left: %v, %v", kind, list, err)
		}
	}
}

// Release runs no new window, and leaves nothing pending, be it of cut windows. The alerts are those of a rule without a
// maximum, but for that maximum.
func TestReleaseAll(t *testing.T) {
	for _, kind := range []string{"type='query'\nquery='event.action: login'\nfrom='now-5m'\n%s", "%s\n" + strings.Replace(newUser, "now-9m", "now-5m", 1)} {
		db, now := mem.New(nil), clock()
		p, other := program(t, "capped", fmt.Sprintf(kind, "max_signals=2")), program(t, "other", fmt.Sprintf(kind, "max_signals=2"))
		load(t, db, now, crowd(t)...)
		cut := replay.Options{From: at(t, "9 10:01"), Fields: "some"}
		run(t, db, now, cut, p, other)
		load(t, db, now, happened("10", at(t, "10 12:01"), "gil", "login"))
		if list := pending(t, db); len(list) != 2 || list[0].RuleID != "capped" || list[0].Alerts != 2 || list[0].Windows != 1 || list[0].Fields != "some" ||
			!list[0].First.Equal(at(t, "9 10:05")) || !list[0].Last.Equal(at(t, "9 10:05")) {
			t.Fatalf("pending: %+v", list)
		}
		report := release(t, db, now, "capped")
		if diff := cmp.Diff([]string{"09T10:05 dan", "09T10:05 eve"}, said(report.Alerts)); diff != "" {
			t.Errorf("alerts (-want +got):\n%s", diff)
		}
		if list := pending(t, db); len(list) != 1 || list[0].RuleID != "other" {
			t.Errorf("pending: %+v", list)
		}
		release(t, db, now)
		nothingPending(t, db)

		free := mem.New(nil)
		load(t, free, now, crowd(t)...)
		run(t, free, now, cut, program(t, "capped", fmt.Sprintf(kind, "")), program(t, "other", fmt.Sprintf(kind, "")))
		if diff := cmp.Diff(textsBesidesMaximum(stored(t, free)), textsBesidesMaximum(stored(t, db))); diff != "" {
			t.Errorf("alerts without and with a maximum (-want +got):\n%s", diff)
		}
	}
}

// textsBesidesMaximum are alerts as JSON without what they say of max_signals.
func textsBesidesMaximum(alerts map[string]*event.Event) []string {
	out := texts(alerts)
	for i := range out {
		out[i] = strings.NewReplacer(`"max_signals":2`, `"max_signals":100`, `"kibana.alert.rule.max_signals":2`, `"kibana.alert.rule.max_signals":100`).Replace(out[i])
	}
	return out
}

// What a window left out and its neighbour found is not pending any more.
func TestPendingOfOverlappingWindows(t *testing.T) {
	db, now := mem.New(nil), clock()
	p := program(t, "capped", "type='query'\nquery='event.action: login'\nfrom='now-10m'\nmax_signals=2")
	load(t, db, now, crowd(t)...) // 10:00 … 10:04, all in the windows of 10:05 and 10:10
	report := run(t, db, now, replay.Options{}, p)
	if r := report.Rules[0]; r.Pending != 1+1 || r.PendingWindows != 2 || r.Over != 3+1 {
		t.Errorf("%d pending in %d windows, %d over", r.Pending, r.PendingWindows, r.Over)
	}
	report = run(t, db, now, replay.Options{}, p)
	if r := report.Rules[0]; r.Pending != 0 || r.PendingWindows != 0 || r.Released != 1 {
		t.Errorf("%d pending in %d windows, %d released", r.Pending, r.PendingWindows, r.Released)
	}
	nothingPending(t, db)
}

// A run that looks at more takes the place of one that looked at less, and not the other way round.
func TestPendingOfCutWindows(t *testing.T) {
	db, now := mem.New(nil), clock()
	p := program(t, "capped", atMostTwo)
	load(t, db, now, crowd(t)...)
	f := func(opt replay.Options, alerts, windows int) {
		t.Helper()
		report := run(t, db, now, opt, p)
		if r := report.Rules[0]; r.Pending != alerts || r.PendingWindows != windows {
			t.Errorf("%d pending in %d windows, want %d in %d", r.Pending, r.PendingWindows, alerts, windows)
		}
	}
	f(replay.Options{From: at(t, "9 10:02")}, 1, 1) // eve
	f(replay.Options{From: at(t, "9 10:00")}, 1, 1) // ann, bob; the cut leaves the window whole
	f(replay.Options{From: at(t, "9 10:01")}, 0, 0) // nothing ran again; eve is released
	load(t, db, now, happened("20", at(t, "9 10:00"), "kim", "login"), happened("21", at(t, "9 10:03"), "lea", "login"),
		happened("22", at(t, "9 10:03"), "max", "login"), happened("23", at(t, "9 10:03"), "mia", "login"), happened("24", at(t, "9 10:03"), "tom", "login"))
	f(replay.Options{}, 3, 1)                       // kim and lea come, max, mia and tom are left
	f(replay.Options{From: at(t, "9 10:01")}, 1, 1) // nothing to run: two are released
	load(t, db, now, happened("25", at(t, "9 10:02"), "uli", "login"), happened("26", at(t, "9 10:02"), "ute", "login"))
	f(replay.Options{From: at(t, "9 10:02")}, 0, 0) // the window runs again, cut: uli and ute; then what the whole one had left
	nothingPending(t, db)
	if got := len(stored(t, db)); got != 13 {
		t.Errorf("%d alerts, want 13", got)
	}
}

// What a rule left out is released by the rule as it was, until the changed rule has looked at the same windows.
func TestPendingOfChangedRule(t *testing.T) {
	db, now := mem.New(nil), clock()
	load(t, db, now, crowd(t)...)
	old := program(t, "capped", atMostTwo)
	run(t, db, now, replay.Options{}, old)
	changed := program(t, "capped", strings.Replace(atMostTwo, "login'", "login and not user.name: cid'", 1)+"\ninterval='10m'")
	f := func(opt replay.Options, want ...int) {
		t.Helper()
		run(t, db, now, opt, changed)
		got := []int{}
		for _, p := range pending(t, db) {
			got = append(got, p.Alerts)
		}
		slices.Sort(got)
		if diff := cmp.Diff(append([]int{}, want...), got); diff != "" {
			t.Errorf("pending (-want +got):\n%s", diff)
		}
	}
	f(replay.Options{From: at(t, "9 11:00")}, 3)        // the old windows are not looked at
	f(replay.Options{From: at(t, "9 10:03:30.000")}, 3) // not at all of them: eve comes
	f(replay.Options{})                                 // and now they are: from='now-5m' leaves half of each interval out
	nothingPending(t, db)
	if diff := cmp.Diff([]string{"09T10:05 ann", "09T10:05 bob", "09T11:05 fay"}, said(slices.Collect(maps.Values(stored(t, db))))); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

// What a rule left out is not released by one that means something else.
func TestReleaseByAnotherRule(t *testing.T) {
	db, now := mem.New(nil), clock()
	load(t, db, now, crowd(t)...)
	run(t, db, now, replay.Options{}, program(t, "capped", atMostTwo))
	list := released(t, db)
	list[0].Program = program(t, "capped", strings.Replace(atMostTwo, "login'", "login and not user.name: cid'", 1))
	report, err := replay.Release(ctx, db, list, replay.Options{Clock: now})
	if err != nil || !errors.Is(report.Rules[0].Err, replay.ErrChanged) || len(report.Alerts) > 0 || report.Rules[0].Pending != 3 {
		t.Errorf("%v, %+v", err, report)
	}
	release(t, db, now)
	nothingPending(t, db)
}

// Where it is to be taken as it is now, another program releases what it finds in the windows, however far these were come to,
// and nothing stays pending.
func TestReleaseAsNow(t *testing.T) {
	db, now := mem.New(nil), clock()
	load(t, db, now, crowd(t)...)
	old := strings.Replace(atMostTwo, "login'", "login and not user.name: (ann or bob)'", 1)
	run(t, db, now, replay.Options{}, program(t, "capped", old)) // looks no further than to where it left alerts out
	list := released(t, db)
	list[0].Program, list[0].AsNow = program(t, "capped", strings.Replace(atMostTwo, "login'", "login and not user.name: eve'", 1)), true
	report, err := replay.Release(ctx, db, list, replay.Options{Clock: now})
	if err != nil || report.Rules[0].Err != nil {
		t.Fatal(err, report.Rules[0].Err)
	}
	nothingPending(t, db)
	if diff := cmp.Diff([]string{"09T10:05 ann", "09T10:05 bob"}, said(report.Alerts)); diff != "" {
		t.Errorf("released (-want +got):\n%s", diff)
	}
}

// What a release folds into an alert it folds once, however often that takes running the window.
func TestReleaseOfFolds(t *testing.T) {
	db, now := mem.New(nil), clock()
	var events []*event.Event
	for i := range 2500 {
		events = append(events, happened(strconv.Itoa(i), at(t, "9 10:01").Add(time.Duration(i)*time.Millisecond), "ann", "login"))
	}
	load(t, db, now, events...)
	run(t, db, now, replay.Options{}, program(t, "folds", "type='eql'\nlanguage='eql'\nquery='any where event.action == \"login\"'\nmax_signals=5\n"+
		"[rule.alert_suppression]\ngroup_by=['user.name']\nduration={value=5,unit='h'}"))
	if report := release(t, db, now); report.Rules[0].Folded != 2495 {
		t.Errorf("%d folded", report.Rules[0].Folded)
	}
	nothingPending(t, db)
}

// A window of any size is released with bounded commits, and is read no more often than that takes.
func TestReleaseOfLargeWindow(t *testing.T) {
	f := func(kind string, n int) {
		t.Helper()
		db, now := mem.New(nil), clock()
		var events []*event.Event
		for i := range n {
			events = append(events, happened(strconv.Itoa(i), at(t, "9 10:01").Add(time.Duration(i/100)*time.Millisecond), "u"+strconv.Itoa(i), "login"))
		}
		load(t, db, now, events...)
		first := run(t, db, now, replay.Options{}, program(t, "capped", "max_signals=7\n"+kind))
		watch := &watching{Store: db}
		report, err := replay.Release(ctx, watch, released(t, db), replay.Options{Clock: now})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(first.Alerts) + report.Rules[0].Released; got != n || len(first.Alerts) > 2*7 || len(stored(t, db)) != n {
			t.Errorf("%d alerts and %d released of %d, %d stored", len(first.Alerts), report.Rules[0].Released, n, len(stored(t, db)))
		}
		// Each run makes a thousand, with one query for them and some for what they say.
		if watch.most > 256+1000 || watch.queries > 10+8*n/1000 {
			t.Errorf("%d alerts in one commit, %d queries", watch.most, watch.queries)
		}
		nothingPending(t, db)
	}
	f("type='query'\nquery='event.action: login'\nfrom='now-5m'", 20_500) // more than a replay holds at once
	f(newUser, 3_500)
}

// watching is a store that counts queries, and the alerts of its largest commit.
type watching struct {
	store.Store
	queries, most int
}

func (w *watching) Apply(ctx context.Context, c *store.Change) error {
	w.most = max(w.most, len(c.Alerts))
	return w.Store.Apply(ctx, c)
}

func (w *watching) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	w.queries++
	return w.Store.Query(ctx, p, at)
}

// alertIDs are the IDs of the alerts that are stored, sorted. One that is there twice is listed twice.
func alertIDs(t *testing.T, db store.Store) []string {
	t.Helper()
	rows, err := db.Query(ctx, plan.Scan{Streams: []string{store.AlertStream}}, latest(t, db))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		ids = append(ids, rows.Event().ID)
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	sort.Strings(ids)
	return ids
}

// capRounds is how many rounds the random tests of what is pending go.
const capRounds = 150

// A rule under a small maximum ends, after enough releases, in the alerts that it makes without one, whatever commits fail.
func TestReleaseEndsAsWithoutCap(t *testing.T) {
	total, freed, failed := 0, 0, 0
	randomly(t, capRounds, func(t *testing.T, r *rand.Rand, name string) {
		kind := []string{"interval='5m'\nfrom='now-5m'\ntype='query'\nquery='event.action: login'", newUser,
			"interval='5m'\nfrom='now-14m'\ntype='query'\nquery='event.action: login'"}[r.IntN(3)]
		small := program(t, "rule", fmt.Sprintf("max_signals=%d\n%s", 1+r.IntN(3), kind))
		large := program(t, "rule", "max_signals=100000\n"+kind)
		capped, free, now := mem.New(nil), mem.New(nil), clock()
		when, id := at(t, "9 10:00"), 0
		for range 1 + r.IntN(3) {
			var events []*event.Event
			for range 1 + r.IntN(20) {
				id++
				when = when.Add(time.Duration(r.IntN(4*60)) * time.Second)
				events = append(events, happened(strconv.Itoa(id), when, string(rune('a'+r.IntN(12))), "login"))
			}
			when = when.Add(time.Duration(r.IntN(30)) * time.Hour)
			load(t, capped, now, events...)
			load(t, free, now, events...)
			for fault := (&failing{Store: capped, n: 1 + r.IntN(3), after: r.IntN(2) == 0}); ; fault.n = 1 << 30 {
				if _, err := replay.Run(ctx, fault, []*detect.Program{small}, replay.Options{Clock: now}); err == nil {
					break
				} else if !errors.Is(err, errPower) {
					t.Fatal(err)
				}
				failed++
			}
			run(t, free, now, replay.Options{}, large)
		}
		command := r.IntN(2) == 0
		for n := 0; len(pending(t, capped)) > 0; n++ {
			var target store.Store = &failing{Store: capped, n: 1 + r.IntN(2), after: r.IntN(2) == 0}
			if n%2 == 1 {
				target = capped
			}
			before := len(alertIDs(t, capped))
			var err error
			if command {
				_, err = replay.Release(ctx, target, released(t, capped), replay.Options{Clock: now})
			} else {
				_, err = replay.Run(ctx, target, []*detect.Program{small}, replay.Options{Clock: now})
			}
			if err != nil {
				failed++
				if !errors.Is(err, errPower) {
					t.Fatal(err)
				}
			}
			freed += len(alertIDs(t, capped)) - before
			if n > 200 {
				t.Fatalf("%s: %+v after %d releases", name, pending(t, capped), n)
			}
		}
		want := alertIDs(t, free)
		total += len(want)
		if diff := cmp.Diff(want, alertIDs(t, capped)); diff != "" {
			t.Errorf("%s: alerts without and with a maximum (-want +got):\n%s", name, diff)
		}
		nothingPending(t, capped)
	})
	if total == 0 || freed < capRounds || failed < capRounds/2 {
		t.Errorf("too little to compare: %d alerts, %d released, %d failed commits", total, freed, failed)
	}
	t.Logf("%d alerts, %d of them released, %d failed commits", total, freed, failed)
}

// With data that come late a rule under a maximum ends in what it finds where all data are there at once and nothing is
// left out: each alert that is not marked as known before is one of those, but for which of two events of one instant it
// names; and each of those is there, or another one of its tuple is, with its evidence in the history or the window that
// it looked at.
func TestReleaseOfLateData(t *testing.T) {
	total, late, freed := 0, 0, 0
	randomly(t, capRounds, func(t *testing.T, r *rand.Rand, name string) {
		kind := []string{"interval='5m'\nfrom='now-14m'\ntype='query'\nquery='event.action: login'", newUser, strings.Replace(newUser, "now-9m", "now-35m", 1)}[r.IntN(3)]
		small := program(t, "rule", fmt.Sprintf("max_signals=%d\n%s", 1+r.IntN(2), kind))
		large := program(t, "rule", "max_signals=100000\n"+kind)
		capped, free, now := mem.New(nil), mem.New(nil), clock()
		var all []*event.Event
		for range 40 + r.IntN(60) {
			when := began.Add(time.Duration(r.IntN(30))*time.Minute + time.Duration(r.IntN(3))*20*time.Hour)
			all = append(all, happened(strconv.Itoa(len(all)), when, string(rune('a'+r.IntN(8))), "login"))
		}
		load(t, free, now, all...)
		run(t, free, now, replay.Options{}, large)
		for part := range slices.Chunk(all, 1+r.IntN(len(all))) {
			load(t, capped, now, part...)
			if r.IntN(3) > 0 {
				run(t, capped, now, replay.Options{}, small)
			}
			if r.IntN(4) == 0 {
				freed += len(release(t, capped, now).Alerts)
			}
		}
		run(t, capped, now, replay.Options{}, small)
		freed += len(release(t, capped, now).Alerts)
		nothingPending(t, capped)

		want, got := stored(t, free), stored(t, capped)
		byTuple, first := map[string][]*event.Event{}, map[string]bool{}
		for _, a := range want {
			first[a.Text("tocsin.alert.tuple")+a.Text("tocsin.alert.evidence_time")] = true
		}
		for id, a := range got {
			byTuple[a.Text("tocsin.alert.tuple")] = append(byTuple[a.Text("tocsin.alert.tuple")], a)
			if !a.Get("tocsin.alert.known_since").IsNull() {
				late++
			} else if tuple := a.Text("tocsin.alert.tuple"); want[id] == nil && (tuple == "" || !first[tuple+a.Text("tocsin.alert.evidence_time")]) {
				t.Errorf("%s: an alert that is none: %s", name, a.AppendJSON(nil, nil))
			}
		}
		for id, a := range want {
			total++
			tuple := a.Text("tocsin.alert.tuple")
			if got[id] == nil && (tuple == "" || !slices.ContainsFunc(byTuple[tuple], func(o *event.Event) bool {
				at := o.Text("tocsin.alert.evidence_time")
				return at >= a.Text("tocsin.alert.history.from") && at <= a.Text("@timestamp")
			})) {
				t.Errorf("%s: an alert is missing: %s", name, a.AppendJSON(nil, nil))
			}
		}
	})
	if total == 0 || freed < capRounds || late == 0 {
		t.Errorf("too little to compare: %d alerts, %d released, %d known before", total, freed, late)
	}
	t.Logf("%d alerts, %d released, %d known before", total, freed, late)
}
