package replay_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/schedule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// newUser alerts on a user that acts for the first time in a day.
const newUser = "type='new_terms'\nquery='event.action: login'\nfrom='now-9m'\ninterval='5m'\n[rule.new_terms]\nfield='new_terms_fields'\n" +
	"value=['user.name']\n[[rule.new_terms.history_window_start]]\nfield='history_window_start'\nvalue='now-1d'"

func TestReplay(t *testing.T) {
	db, now := mem.New(nil), clock()
	p := program(t, "new-user", newUser)
	load(t, db, now,
		happened("1", at(t, "9 10:00"), "ann", "login"),
		happened("2", at(t, "9 10:01"), "bob", "login"),
		happened("3", at(t, "9 12:02"), "ann", "login"),
		happened("4", at(t, "10 10:04"), "bob", "login"), // a day and three minutes later
		happened("5", at(t, "10 10:04"), "eve", "logout"),
		happened("6", at(t, "10 10:04"), "eve", "login"))
	report := run(t, db, now, replay.Options{}, p)
	if diff := cmp.Diff([]string{"09T10:05 ann", "09T10:05 bob", "10T10:05 bob", "10T10:05 eve"}, said(report.Alerts)); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
	again := run(t, db, now, replay.Options{}, p)
	if len(again.Alerts) > 0 || again.Rules[0].Windows != 0 {
		t.Errorf("a second replay runs %d windows and finds %v", again.Rules[0].Windows, said(again.Alerts))
	}
}

// Of events that one object delivered the one that happened first is the evidence, whatever their order in it.
func TestReplayOfOneDelivery(t *testing.T) {
	db, now := mem.New(nil), clock()
	var events []*event.Event
	for i, minute := range []string{"04", "02", "03"} {
		e := happened(strconv.Itoa(i), at(t, "9 10:"+minute), "eve", "login")
		e.Set("event.ingested", event.String("2026-03-09T10:08:00.000Z"))
		events = append(events, e)
	}
	load(t, db, now, events...)
	report := run(t, db, now, replay.Options{}, program(t, "delivered", "timestamp_override='event.ingested'\ntimestamp_override_fallback_disabled=true\n"+newUser))
	if len(report.Alerts) != 1 || report.Alerts[0].Text("tocsin.alert.evidence_id") != "1" || report.Alerts[0].Text("event.ingested") == "" {
		t.Errorf("alerts %v on %s", said(report.Alerts), report.Alerts[0].Text("tocsin.alert.evidence_id"))
	}
}

// A program's zero time is an event's time like any other; it does not say that there are no data.
func TestZeroTimeIsATime(t *testing.T) {
	db, now := mem.New(nil), clock()
	load(t, db, now, happened("1", time.Time{}, "zed", "logout"), happened("2", at(t, "9 10:00"), "ann", "login"))
	report := run(t, db, now, replay.Options{From: at(t, "9")}, program(t, "new-user", newUser))
	if len(report.Alerts) != 1 || report.Alerts[0].Text("tocsin.alert.history.covered") != "1.0" {
		t.Errorf("alerts %v, history covered %s", said(report.Alerts), report.Alerts[0].Text("tocsin.alert.history.covered"))
	}
}

// A second replay commits nothing where nothing is new, and runs the windows in which something landed where it is.
func TestOnlyWhatIsLeft(t *testing.T) {
	db, now := mem.New(nil), clock()
	p := program(t, "new-user", newUser)
	load(t, db, now, happened("1", at(t, "9 10:00"), "ann", "login"), happened("2", at(t, "9 20:00"), "ann", "logout"))
	f := func(windows, empty int64, alerts ...string) {
		t.Helper()
		report := run(t, db, now, replay.Options{}, p)
		if diff := cmp.Diff(append([]string{}, alerts...), said(report.Alerts)); diff != "" {
			t.Errorf("alerts (-want +got):\n%s", diff)
		}
		if r := report.Rules[0]; r.Windows != windows || r.Empty != empty || r.Alerts != len(alerts) {
			t.Errorf("%d windows, %d empty, %d alerts; want %d, %d, %d", r.Windows, r.Empty, r.Alerts, windows, empty, len(alerts))
		}
	}
	f(120, 119, "09T10:05 ann") // 10:05 to 20:00
	before := latest(t, db)
	f(0, 0)
	if after := latest(t, db); after != before {
		t.Errorf("a replay without anything to do commits: %v after %v", after, before)
	}
	load(t, db, now, happened("3", at(t, "9 15:03"), "eve", "login")) // in the windows of 15:05 and 15:10
	f(2, 0, "09T15:05 eve")
	load(t, db, now, happened("4", at(t, "9 15:03"), "eve", "logout")) // nothing that matches, but who knows
	f(2, 0)
	load(t, db, now, happened("5", at(t, "9 09:50"), "zoe", "login")) // earlier than everything: 9:55, 10:00; 10:05 is there
	f(2, 0, "09T09:55 zoe")
	load(t, db, now, happened("6", at(t, "9 20:00:00.001"), "zed", "login")) // later than everything
	f(1, 0, "09T20:05 zed")
	f(0, 0)
	if err := db.Apply(ctx, &store.Change{At: now(), Records: []store.RecordWrite{{Kind: "note", ID: "x", Data: []byte("{}")}}}); err != nil {
		t.Fatal(err)
	}
	f(0, 0)
	changed := program(t, "new-user", strings.Replace(newUser, "now-9m", "now-10m", 1))
	if again := run(t, db, now, replay.Options{}, changed); again.Rules[0].Windows != 123 || len(again.Alerts) > 0 {
		t.Errorf("a changed rule runs %d windows and finds %v again", again.Rules[0].Windows, said(again.Alerts))
	}
}

func latest(t *testing.T, db store.Store) store.Snapshot {
	t.Helper()
	at, err := db.Latest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Any field can be the one that windows are cut on; what lands in windows that ran is found by it, too.
func TestAnyTimestampOverride(t *testing.T) {
	created := func(id, when, created, user string) *event.Event {
		e := happened(id, at(t, when), user, "login")
		if created != "" {
			e.Set("event.created", event.String(event.FormatTime(at(t, created))))
		}
		return e
	}
	db, now := mem.New(nil), clock()
	rules := []*detect.Program{
		program(t, "with", "type='query'\nquery='event.action: login'\nfrom='now-5m'\ntimestamp_override='event.created'"),
		program(t, "alone", "type='query'\nquery='event.action: login'\nfrom='now-5m'\ntimestamp_override='event.created'\ntimestamp_override_fallback_disabled=true"),
	}
	f := func(with, alone []string, events ...*event.Event) {
		t.Helper()
		load(t, db, now, events...)
		report := run(t, db, now, replay.Options{}, rules...)
		got := map[string][]string{"with": {}, "alone": {}}
		for _, a := range report.Alerts {
			name := a.Text("kibana.alert.rule.name")
			got[name] = append(got[name], said([]*event.Event{a})...)
		}
		if diff := cmp.Diff(map[string][]string{"with": with, "alone": alone}, got); diff != "" {
			t.Errorf("alerts (-want +got):\n%s", diff)
		}
	}
	f([]string{"09T10:05 ann", "09T12:05 eve"}, []string{"09T12:05 eve"}, created("1", "9 10:01", "", "ann"), created("2", "9 10:02", "9 12:03", "eve"))
	f([]string{"09T10:05 bob", "09T11:05 zoe"}, []string{"09T11:05 zoe"}, created("3", "9 10:03", "", "bob"), created("4", "9 10:03", "9 11:04", "zoe"))
	f([]string{}, []string{})
}

// Windows are cut where the options say: what came before is history alone.
func TestCut(t *testing.T) {
	p := program(t, "new-user", newUser)
	f := func(opt replay.Options, want ...string) {
		t.Helper()
		db, now := mem.New(nil), clock()
		load(t, db, now,
			happened("1", at(t, "9 10:00"), "ann", "login"),
			happened("2", at(t, "9 10:03"), "bob", "login"),
			happened("3", at(t, "9 10:04"), "ann", "login"),
			happened("4", at(t, "9 10:04"), "eve", "login"))
		for range 2 { // the second finds nothing more
			if diff := cmp.Diff(append([]string{}, want...), said(run(t, db, now, opt, p).Alerts)); diff != "" {
				t.Errorf("%v (-want +got):\n%s", opt, diff)
			}
			want = nil
		}
	}
	f(replay.Options{}, "09T10:05 ann", "09T10:05 bob", "09T10:05 eve")
	f(replay.Options{From: at(t, "9 10:03")}, "09T10:05 bob", "09T10:05 eve")
	f(replay.Options{From: at(t, "9 10:03:00.001")}, "09T10:05 eve")
	f(replay.Options{To: at(t, "9 10:03")}, "09T10:05 ann", "09T10:05 bob")
	f(replay.Options{From: at(t, "9 10:03"), To: at(t, "9 10:03")}, "09T10:05 bob")
	f(replay.Options{From: at(t, "9 10:05")})
	f(replay.Options{To: at(t, "9 09:00")})
	f(replay.Options{From: at(t, "12")})

	// A cut that leaves more is another run; one that leaves less is not.
	db, now := mem.New(nil), clock()
	load(t, db, now, happened("1", at(t, "9 10:00"), "ann", "login"), happened("2", at(t, "9 10:03"), "bob", "login"), happened("3", at(t, "9 10:30"), "eve", "login"))
	windows := func(opt replay.Options, want int64, alerts ...string) {
		t.Helper()
		report := run(t, db, now, opt, p)
		if got := report.Rules[0].Windows; got != want {
			t.Errorf("%v: %d windows, want %d", opt, got, want)
		}
		if diff := cmp.Diff(append([]string{}, alerts...), said(report.Alerts)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", opt, diff)
		}
	}
	windows(replay.Options{From: at(t, "9 10:03")}, 6, "09T10:05 bob", "09T10:30 eve")
	windows(replay.Options{From: at(t, "9 10:10")}, 0)
	windows(replay.Options{From: at(t, "9 10:03")}, 0)
	windows(replay.Options{}, 6, "09T10:05 ann")
	windows(replay.Options{From: at(t, "9 10:03")}, 0)
}

// The maximum of a rule holds for each window, and what is left out is said.
func TestCapped(t *testing.T) {
	db, now := mem.New(nil), clock()
	p := program(t, "capped", "type='query'\nquery='event.action: login'\nfrom='now-5m'\nmax_signals=2")
	for i, when := range []string{"9 10:01", "9 10:02", "9 10:03", "9 10:04", "9 10:06", "9 10:12", "9 10:13"} {
		load(t, db, now, happened(strconv.Itoa(i), at(t, when), "ann", "login"))
	}
	report := run(t, db, now, replay.Options{}, p)
	r := report.Rules[0]
	if r.Alerts != 5 || r.Over != 2 || len(r.Capped) != 1 || !r.Capped[0].Equal(at(t, "9 10:05")) {
		t.Errorf("%d alerts, %d over, at %v", r.Alerts, r.Over, r.Capped)
	}
}

// A rule that cannot run keeps no other from running.
func TestRulesThatFail(t *testing.T) {
	db, now := mem.New(nil), clock()
	load(t, db, now, happened("1", at(t, "9 10:01"), "ann", "login"), happened("2", at(t, "9 10:02"), "eve", "login"))
	nobody := program(t, "nobody", "type='query'\nquery='*'\nindex=['logs-other-*']")
	calendar := program(t, "calendar", strings.Replace(strings.Replace(newUser, "now-9m", "now-30d", 1), "now-1d", "now-1M", 1))
	good := program(t, "good", newUser)
	done := ""
	report, err := replay.Run(ctx, db, []*detect.Program{nobody, calendar, good}, replay.Options{Clock: now,
		Progress: func(n, of int) { done += fmt.Sprintf("%d/%d ", n, of) }})
	if err != nil {
		t.Fatal(err)
	}
	if done != "1/3 2/3 3/3 " {
		t.Errorf("progress %s", done)
	}
	if r := report.Rules[0]; r.Skipped != "no stream matches logs-other-*" || r.Err != nil {
		t.Errorf("%+v", r)
	}
	if r := report.Rules[1]; !errors.Is(r.Err, window.ErrHistory) || r.Skipped != "" || len(r.Failed) == 0 || r.Alerts != 0 ||
		!strings.HasPrefix(r.Err.Error(), "run rule calendar at 2026-03-09T10:05:00.000Z: ") {
		t.Errorf("%+v", r)
	}
	if r := report.Rules[2]; r.Err != nil || r.Alerts != 2 || len(report.Alerts) != 2 {
		t.Errorf("%+v", r)
	}
}

// A window that fails is left as it is, and the rule's other windows run. The next replay runs it.
func TestWindowsThatFail(t *testing.T) {
	db, now := mem.New(nil), clock()
	calendar := program(t, "calendar", strings.Replace(strings.Replace(newUser, "now-9m", "now-29d", 1), "now-1d", "now-1M", 1))
	may := time.Date(2026, 5, 20, 12, 0, 0, 0, time.UTC)
	load(t, db, now, happened("1", at(t, "9 10:01"), "ann", "login"), happened("2", may, "eve", "login"))
	for range 2 {
		report, err := replay.Run(ctx, db, []*detect.Program{calendar}, replay.Options{Clock: now})
		if err != nil {
			t.Fatal(err)
		}
		// In March a month back is 28 days: the history would begin after the window. From the 30th on it is 30 and 31.
		r := report.Rules[0]
		if len(r.Failed) == 0 || r.Failed[len(r.Failed)-1].Month() != time.March || !errors.Is(r.Err, window.ErrHistory) {
			t.Errorf("%d windows failed, %v", len(r.Failed), r.Err)
		}
		ledger, err := schedule.Open(ctx, db, calendar.ID(), calendar.Schedule().Interval())
		if err != nil {
			t.Fatal(err)
		}
		if ledger.Covers(window.Slots{First: r.Failed[0], Last: r.Failed[0], Every: 5 * time.Minute}, schedule.Clamp{}) {
			t.Error("a window that failed counts as run")
		}
	}
	if diff := cmp.Diff([]string{"20T12:00 eve", "30T00:00 ann"}, said(slices.Collect(maps.Values(stored(t, db))))); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

// flaky is a store whose nth query fails.
type flaky struct {
	store.Store
	n int
}

var errDisk = errors.New("the disk cannot be read")

func (f *flaky) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	if f.n--; f.n == 0 {
		return nil, errDisk
	}
	return f.Store.Query(ctx, p, at)
}

// Whichever query fails, the next replay ends where one ends that never failed.
func TestFailedQueries(t *testing.T) {
	rules := []*detect.Program{
		program(t, "new-user", newUser),
		program(t, "volatile", strings.Replace(newUser, "event.action: login", "event.action: login and @timestamp > now-1h", 1)),
		program(t, "few", "type='query'\nquery='event.action: login'\nmax_signals=2"),
	}
	r := rand.New(rand.NewPCG(1, 1))
	var events []*event.Event
	for i := range 60 {
		events = append(events, happened(strconv.Itoa(i), began.Add(time.Duration(r.IntN(120))*time.Minute), fmt.Sprint("user", r.IntN(9)), "login"))
	}
	all := func(n int) (alerts []string, failed, queries int) {
		t.Helper()
		db, now := mem.New(nil), clock()
		load(t, db, now, events...)
		fault := &flaky{Store: db, n: n}
		report, err := replay.Run(ctx, fault, rules, replay.Options{Clock: now})
		if err != nil && !errors.Is(err, errDisk) {
			t.Fatal(err)
		}
		for _, rule := range report.Rules {
			failed += len(rule.Failed)
			if rule.Err != nil && !errors.Is(rule.Err, errDisk) {
				t.Fatal(rule.Err)
			}
		}
		run(t, db, now, replay.Options{}, rules...)
		release(t, db, now)
		return alertIDs(t, db), failed, n - fault.n
	}
	want, _, queries := all(1 << 30)
	windows := 0
	for n := 1; n <= queries; n++ {
		got, failed, _ := all(n)
		windows += failed
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("query %d of %d failed (-want +got):\n%s", n, queries, diff)
		}
	}
	if windows < queries/2 || len(want) < 50 {
		t.Errorf("%d of %d queries failed a window, %d alerts: the test shows little", windows, queries, len(want))
	}
	t.Logf("%d queries, of which %d failed a window; %d alerts", queries, windows, len(want))
}

// Rules that read alerts run on what the others found.
func TestRulesOnAlerts(t *testing.T) {
	db, now := mem.New(nil), clock()
	load(t, db, now, happened("1", at(t, "9 10:01"), "ann", "login"))
	onAlerts := program(t, "on-alerts", "type='query'\nquery='kibana.alert.rule.name: new-user'\nindex=['.alerts-security.*']")
	report := run(t, db, now, replay.Options{}, onAlerts, program(t, "new-user", newUser))
	if diff := cmp.Diff([]string{"09T10:05 ann", "09T10:10 ann"}, said(report.Alerts)); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
	for range 2 {
		if again := run(t, db, now, replay.Options{}, onAlerts); len(again.Alerts) > 0 || again.Rules[0].Windows != 0 {
			t.Errorf("again: %v, %d windows", said(again.Alerts), again.Rules[0].Windows)
		}
	}
}

// Clocks that say nonsense make the data span millennia, and cost nothing.
func TestNonsenseClocks(t *testing.T) {
	db, now := mem.New(nil), clock()
	load(t, db, now,
		happened("1", time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), "ann", "login"),
		happened("2", at(t, "9 10:01"), "eve", "login"),
		happened("3", time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC), "zoe", "login"))
	report := run(t, db, now, replay.Options{}, program(t, "new-user", newUser))
	if diff := cmp.Diff([]string{"01T00:05 ann", "09T10:05 eve", "31T23:00 zoe"}, said(report.Alerts)); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
	if r := report.Rules[0]; r.Windows < 1e9 || r.Windows-r.Empty > 6 {
		t.Errorf("%d windows, %d empty", r.Windows, r.Empty)
	}
	list, err := db.List(ctx, schedule.LedgerKind, "", 10)
	if err != nil || len(list) != 1 || len(list[0].Data) > 2000 {
		t.Errorf("%d ledgers, %v: %s", len(list), err, list[0].Data)
	}
}

// Late events mark the alerts that they prove wrong, for every rule that shares the sightings.
func TestLateForEveryRule(t *testing.T) {
	db, now := mem.New(nil), clock()
	rules := []*detect.Program{program(t, "one", newUser), program(t, "two", newUser)}
	if rules[0].Sightings().ID() != rules[1].Sightings().ID() {
		t.Fatal("the two rules share nothing")
	}
	load(t, db, now, happened("1", at(t, "9 10:01"), "ann", "login"))
	if got := run(t, db, now, replay.Options{}, rules...); len(got.Alerts) != 2 {
		t.Fatalf("alerts %v", said(got.Alerts))
	}
	load(t, db, now, happened("2", at(t, "8 20:01"), "ann", "login"))
	report := run(t, db, now, replay.Options{From: at(t, "9")}, rules...)
	for _, r := range report.Rules {
		if r.Late != 1 || r.Alerts != 0 {
			t.Errorf("%s: %d late, %d alerts", r.Program.Rule.RuleID, r.Late, r.Alerts)
		}
	}
	for _, a := range stored(t, db) {
		if got := a.Text("tocsin.alert.known_since"); got != "2026-03-08T20:01:00.000Z" {
			t.Errorf("alert of %s: known since %q", a.Text("kibana.alert.rule.name"), got)
		}
	}
	days, err := db.SightingDays(ctx, rules[0].Sightings().ID())
	if err != nil {
		t.Fatal(err)
	}
	if n := days[store.DayOf(at(t, "9"))] + days[store.DayOf(at(t, "8"))]; n != 2 || len(days) != 2 {
		t.Errorf("two events are counted as %v", days)
	}
}

// Cancelling ends a replay; what was committed stays, and the next one goes on.
func TestCancel(t *testing.T) {
	db, now := mem.New(nil), clock()
	load(t, db, now, happened("1", at(t, "9 10:01"), "ann", "login"))
	cancelled, cancel := context.WithCancel(ctx)
	first := program(t, "first", newUser)
	second := program(t, "second", newUser)
	report, err := replay.Run(cancelled, db, []*detect.Program{first, second}, replay.Options{Clock: now, Progress: func(int, int) { cancel() }})
	if !errors.Is(err, context.Canceled) || len(report.Alerts) != 1 {
		t.Errorf("%v, alerts %v", err, said(report.Alerts))
	}
	if report := run(t, db, now, replay.Options{}, first, second); len(report.Alerts) != 1 || report.Rules[1].Alerts != 1 {
		t.Errorf("afterwards: %v", said(report.Alerts))
	}
}
