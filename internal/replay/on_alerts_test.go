package replay_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// overAlerts is the index of rules over alerts.
const overAlerts = "index=['.alerts-security.*']\n"

// raised is what alerts say, one text each, sorted: their time, rule, depth and user.
func raised(alerts []*event.Event) []string {
	out := []string{}
	for _, a := range alerts {
		out = append(out, fmt.Sprintf("%s %s %s %s", a.Text("@timestamp")[8:16], a.Text("kibana.alert.rule.rule_id"),
			a.Text("kibana.alert.depth"), a.Text("user.name")))
	}
	slices.Sort(out)
	return out
}

// A rule of each type sees what others alerted on, building blocks among it, and what rules over alerts alerted on.
func TestRuleTypesOnAlerts(t *testing.T) {
	rules := []*detect.Program{
		program(t, "over-count", "type='query'\nquery='kibana.alert.rule.rule_id: count'\n"+overAlerts),
		program(t, "count", "type='threshold'\nquery='kibana.alert.rule.rule_id: (in or out or sudo)'\ninterval='1h'\nfrom='now-1h'\n"+overAlerts+
			"[rule.threshold]\nfield='user.name'\nvalue=1\n[[rule.threshold.cardinality]]\nfield='kibana.alert.rule.rule_id'\nvalue=3"),
		program(t, "chain", "type='eql'\nlanguage='eql'\nfrom='now-1h'\n"+overAlerts+"query='sequence by user.name with maxspan=30m "+
			"[any where kibana.alert.rule.rule_id == \"in\"] [any where kibana.alert.rule.rule_id == \"sudo\"]'"),
		program(t, "newcomer", "type='new_terms'\nquery='kibana.alert.rule.rule_id: out'\n"+overAlerts+"[rule.new_terms]\nfield='new_terms_fields'\n"+
			"value=['user.name']\n[[rule.new_terms.history_window_start]]\nfield='history_window_start'\nvalue='now-1d'"),
		program(t, "blocks", "type='query'\nquery='kibana.alert.building_block_type: *'\n"+overAlerts),
		program(t, "in", "type='query'\nquery='event.action: login'\nindex=['logs-*']"),
		program(t, "out", "type='query'\nquery='event.action: logout'\nindex=['logs-*']"),
		program(t, "sudo", "type='query'\nquery='event.action: sudo'\nbuilding_block_type='default'\nindex=['logs-*']"),
	}
	events := []*event.Event{
		happened("1", at(t, "9 10:01"), "ann", "login"), happened("2", at(t, "9 10:11"), "ann", "logout"), happened("3", at(t, "9 10:21"), "ann", "sudo"),
		happened("4", at(t, "9 10:31"), "bob", "logout"), happened("5", at(t, "9 11:31"), "ann", "logout"),
	}
	want := []string{
		"09T10:05 in 1 ann", "09T10:15 out 1 ann", "09T10:25 sudo 1 ann", "09T10:35 out 1 bob", "09T11:35 out 1 ann",
		"09T11:00 count 2 ann", "09T11:00 over-count 3 ann",
		"09T10:25 chain 2 ann", "09T10:25 chain 2 ann", "09T10:25 chain 3 ann", // two blocks and the shell
		"09T10:15 newcomer 2 ann", "09T10:35 newcomer 2 bob",
		"09T10:25 blocks 2 ann", "09T10:25 blocks 3 ann", "09T10:25 blocks 3 ann", // on sudo, and on the blocks of chain
	}
	slices.Sort(want)
	for name, db := range map[string]store.Store{"mem": mem.New(nil), "duck": openDuck(t)} {
		now := clock()
		load(t, db, now, events...)
		report := run(t, db, now, replay.Options{}, rules...)
		if diff := gocmp.Diff(want, raised(report.Alerts)); diff != "" {
			t.Errorf("%s: alerts (-want +got):\n%s", name, diff)
		}
		if len(report.Rules) != len(rules) || report.Rules[0].Program.Rule.RuleID != "in" || report.Rules[3].Program.Rule.RuleID != "over-count" {
			t.Errorf("%s: %d rules in the report, the first %s", name, len(report.Rules), report.Rules[0].Program.Rule.RuleID)
		}
		nothingNew(t, name, db, now, rules)
		for _, a := range report.Alerts {
			if a.Text("kibana.alert.rule.rule_id") != "count" {
				continue
			}
			var on []string
			for _, v := range a.Values("kibana.alert.ancestors.rule") {
				i := slices.IndexFunc(rules, func(p *detect.Program) bool { return p.Rule.UUID() == v.Text() })
				on = append(on, rules[i].Rule.RuleID)
			}
			slices.Sort(on)
			if got := strings.Join(on, " "); got != "in out sudo" || len(a.Values("kibana.alert.ancestors.id")) != 7 {
				t.Errorf("%s: the count rests on the rules %s; ancestors %s", name, got, a.Get("kibana.alert.ancestors").AppendJSON(nil))
			}
		}
	}
}

// nothingNew checks that a replay right after another runs no window.
func nothingNew(t *testing.T, name string, db store.Store, now func() time.Time, rules []*detect.Program) {
	t.Helper()
	again := run(t, db, now, replay.Options{}, rules...)
	for _, r := range again.Rules {
		if r.Windows > 0 || r.Alerts > 0 {
			t.Errorf("%s: again: rule %s ran %d windows and made %d alerts", name, r.Program.Rule.RuleID, r.Windows, r.Alerts)
		}
	}
}

// Rules that count each other's alerts, and every other one, come to an end.
func TestNoCircles(t *testing.T) {
	db, now := mem.New(nil), clock()
	load(t, db, now, happened("1", at(t, "9 10:01"), "ann", "login"))
	count := "type='threshold'\nquery='kibana.alert.rule.rule_id: *'\n" + overAlerts + "[rule.threshold]\nfield='user.name'\nvalue=1"
	rules := []*detect.Program{
		program(t, "in", "type='query'\nquery='event.action: login'\nindex=['logs-*']"),
		program(t, "a", count), program(t, "b", count), program(t, "c", "type='query'\nquery='*'\n"+overAlerts),
	}
	report := run(t, db, now, replay.Options{}, rules...)
	for _, a := range report.Alerts {
		own := a.Text("kibana.alert.rule.uuid")
		for _, v := range a.Values("kibana.alert.ancestors.rule") {
			if v.Text() == own {
				t.Errorf("%s rests on an alert of its own rule", raised([]*event.Event{a}))
			}
		}
	}
	if n := len(report.Alerts); n < 6 || n > 100 {
		t.Errorf("%d alerts", n)
	}
	nothingNew(t, "mem", db, now, rules)
}

// --to cuts events: what is alerted on the last of them, at the end of its slot, is there for rules over alerts.
func TestAlertsAfterTo(t *testing.T) {
	db, now := mem.New(nil), clock()
	load(t, db, now, happened("1", at(t, "9 10:01"), "ann", "login"), happened("2", at(t, "9 13:01"), "bob", "login"))
	rules := []*detect.Program{
		program(t, "in", "type='query'\nquery='event.action: login'\nindex=['logs-*']\ninterval='1h'\nfrom='now-1h'"),
		program(t, "over", "type='query'\nquery='kibana.alert.rule.rule_id: in'\n"+overAlerts)}
	report := run(t, db, now, replay.Options{To: at(t, "9 10:02")}, rules...)
	if diff := gocmp.Diff([]string{"09T11:00 in 1 ann", "09T11:05 over 2 ann"}, raised(report.Alerts)); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
	report = run(t, db, now, replay.Options{}, rules...)
	if diff := gocmp.Diff([]string{"09T14:00 in 1 bob", "09T14:00 over 2 bob"}, raised(report.Alerts)); diff != "" {
		t.Errorf("then (-want +got):\n%s", diff)
	}
}

// A slot makes no more alerts than its rule may, in however many rounds; what is over the cap is released as ever, and what
// was released from below is seen.
func TestCapOnAlerts(t *testing.T) {
	db, now := mem.New(nil), clock()
	for i := range 6 {
		load(t, db, now, happened(fmt.Sprint(i), at(t, "9 10:01"), fmt.Sprint("user", i), "login"))
	}
	rules := []*detect.Program{
		program(t, "in", "type='query'\nquery='event.action: login'\nindex=['logs-*']\nmax_signals=4"),
		program(t, "over", "type='query'\nquery='kibana.alert.rule.rule_id: (in or again)'\nmax_signals=3\ninterval='1h'\nfrom='now-1h'\n"+overAlerts),
		program(t, "again", "type='query'\nquery='kibana.alert.rule.rule_id: in'\ninterval='1h'\nfrom='now-1h'\n"+overAlerts)}
	count := func() (in, over, again int) {
		for _, a := range stored(t, db) {
			switch a.Text("kibana.alert.rule.rule_id") {
			case "in":
				in++
			case "over":
				over++
			case "again":
				again++
			}
		}
		return in, over, again
	}
	f := func(what string, wantIn, wantOver, wantAgain int) {
		t.Helper()
		if in, over, again := count(); in != wantIn || over != wantOver || again != wantAgain {
			t.Errorf("%s: %d, %d, %d, want %d, %d, %d", what, in, over, again, wantIn, wantOver, wantAgain)
		}
	}
	report := run(t, db, now, replay.Options{}, rules...)
	f("a scan", 4, 3, 4)
	if r := report.Rules[1]; r.Over != 5 || r.Pending != 5 || len(r.Capped) != 1 { // 4 + 4 − 3
		t.Errorf("over: %d left out, %d pending, capped at %v", r.Over, r.Pending, r.Capped)
	}
	report = run(t, db, now, replay.Options{}, rules...) // the windows over what is released run again
	f("the next scan", 6, 6, 6)
	release(t, db, now)
	f("a release", 6, 12, 6)
	run(t, db, now, replay.Options{}, rules...)
	f("at last", 6, 12, 6)
	nothingNew(t, "mem", db, now, rules)
	if list := pending(t, db); len(list) > 0 {
		t.Errorf("pending: %+v", list)
	}

	// What a release makes of the rule below, the next scan alerts on above.
	db = mem.New(nil)
	for i := range 6 {
		load(t, db, now, happened(fmt.Sprint(i), at(t, "9 10:01"), fmt.Sprint("user", i), "login"))
	}
	run(t, db, now, replay.Options{}, rules...)
	release(t, db, now, "in")
	f("released below", 6, 3, 4)
	run(t, db, now, replay.Options{}, rules...)
	release(t, db, now)
	f("released above", 6, 12, 6)

	// However many rounds there are, a scan releases as many as one run makes.
	db = mem.New(nil)
	for i := range 20 {
		load(t, db, now, happened(fmt.Sprint(i), at(t, []string{"9 10:01", "10 10:01"}[i%2]), fmt.Sprint("user", i), "logout"))
	}
	rules[0] = program(t, "in", "type='query'\nquery='event.action: logout'\nindex=['logs-*']")
	run(t, db, now, replay.Options{}, rules[:2]...)
	load(t, db, now, happened("late", at(t, "12 10:01"), "ann", "logout"))
	report = run(t, db, now, replay.Options{}, rules[:2]...)
	if r := report.Rules[1]; r.Released != 3 || r.Alerts != 4 {
		t.Errorf("over: %d alerts, %d of them released", r.Alerts, r.Released)
	}
}

// randomOnAlerts is rules over events and over alerts; plain leaves out those whose alerts depend on what came first.
func randomOnAlerts(t *testing.T, r *rand.Rand, plain bool) []*detect.Program {
	var out []*detect.Program
	window := func() string {
		return fmt.Sprintf("interval='%s'\nfrom='%s'\nmax_signals=1000\n", []string{"5m", "10m", "1h"}[r.IntN(3)], []string{"now-1h", "now-65m", "now-2h"}[r.IntN(3)])
	}
	for i := range 1 + r.IntN(3) {
		out = append(out, program(t, fmt.Sprint("e", i), "type='query'\nindex=['logs-*']\nquery='event.action: "+[]string{"login", "logout"}[i%2]+"'\n"+window()))
	}
	for i := range 1 + r.IntN(3) {
		query := []string{"*", "kibana.alert.rule.rule_id: e*", "kibana.alert.rule.rule_id: (e0 or u0)", "user.name: ann", "not kibana.alert.rule.rule_id: e1"}[r.IntN(5)]
		id, more := fmt.Sprint("u", i), overAlerts+window()
		kind := r.IntN(5)
		switch {
		case plain || kind < 2:
			more += "type='query'\nquery='" + query + "'"
		case kind == 2:
			more += "type='threshold'\nquery='" + query + "'\n[rule.threshold]\nfield='user.name'\nvalue=" + fmt.Sprint(1+r.IntN(3))
		case kind == 3:
			more += "type='eql'\nlanguage='eql'\nquery='sequence by user.name with maxspan=1h [any where true] [any where event.action == \"logout\"]'"
		default:
			more += "type='new_terms'\nquery='" + query + "'\n[rule.new_terms]\nfield='new_terms_fields'\nvalue=['user.name']\n" +
				"[[rule.new_terms.history_window_start]]\nfield='history_window_start'\nvalue='now-1d'"
		}
		out = append(out, program(t, id, more))
	}
	return out
}

// descent checks what each alert says of its ancestors against these, as they are stored.
func descent(t *testing.T, name string, all map[string]*event.Event) {
	t.Helper()
	for _, a := range all {
		deepest, own := int64(-1), a.Text("kibana.alert.rule.uuid")
		there := map[string]bool{}
		ancestors := a.Get("kibana.alert.ancestors").Items()
		for _, v := range ancestors {
			there[v.Member("id").Text()] = true
		}
		for _, v := range ancestors {
			depth := v.Member("depth").Int()
			deepest = max(deepest, depth)
			if v.Member("type").Text() != "signal" {
				if depth != 0 {
					t.Errorf("%s: %s descends from an event at depth %d", name, a.ID, depth)
				}
				continue
			}
			parent := all[v.Member("id").Text()]
			switch {
			case parent == nil:
				t.Fatalf("%s: %s descends from %s, which is not stored", name, a.ID, v.AppendJSON(nil))
			case parent.Get("kibana.alert.depth").Int() != depth || parent.Text("kibana.alert.rule.uuid") != v.Member("rule").Text():
				t.Errorf("%s: %s descends from %s, which is not what it says", name, a.ID, v.AppendJSON(nil))
			case parent.Text("kibana.alert.rule.uuid") == own && !alert.IsBlock(parent): // a sequence rests on its own blocks
				t.Errorf("%s: %s rests on %s of its own rule", name, a.ID, parent.ID)
			}
			for _, w := range parent.Get("kibana.alert.ancestors").Items() {
				if !there[w.Member("id").Text()] {
					t.Errorf("%s: %s leaves out %s, from which its ancestor %s descends", name, a.ID, w.AppendJSON(nil), parent.ID)
				}
			}
		}
		if got := a.Get("kibana.alert.depth").Int(); got != deepest+1 {
			t.Errorf("%s: %s has the depth %d, its deepest ancestor %d", name, a.ID, got, deepest)
		}
	}
}

// Random rules over alerts end: scanning again finds nothing, no rule alerts on its own alerts, whatever the order of the
// rules and the store.
func TestRandomRulesOnAlerts(t *testing.T) {
	alerts, deep := 0, 0
	randomly(t, 40, func(t *testing.T, r *rand.Rand, name string) {
		rules := randomOnAlerts(t, r, false)
		events := randomEvents(r, 3+r.IntN(10), time.Duration(1+r.IntN(5))*time.Hour)
		var got [2][]string
		for way := range got {
			db, now := mem.New(nil), clock()
			if way == 1 && r.IntN(5) == 0 {
				name += " (duck)"
				now = clock()
				got[way] = onAlerts(t, name, openDuck(t), now, events, rules)
				continue
			}
			got[way] = onAlerts(t, name, db, now, events, rules)
			r.Shuffle(len(rules), func(i, j int) { rules[i], rules[j] = rules[j], rules[i] })
			all := stored(t, db)
			alerts += len(all)
			for _, a := range all {
				if a.Get("kibana.alert.depth").Int() > 2 {
					deep++
				}
			}
			descent(t, name, all)
		}
		if diff := gocmp.Diff(got[0], got[1]); diff != "" {
			t.Errorf("%s: in one order (-) and another (+):\n%s", name, diff)
		}
	})
	t.Logf("%d alerts, %d of rules over alerts of rules over alerts", alerts, deep)
	if alerts < 1000 || deep < 100 {
		t.Error("the test shows little")
	}
}

func onAlerts(t *testing.T, name string, db store.Store, now func() time.Time, events []*event.Event, rules []*detect.Program) []string {
	t.Helper()
	load(t, db, now, events...)
	run(t, db, now, replay.Options{}, rules...)
	nothingNew(t, name, db, now, rules)
	return texts(stored(t, db))
}

// A rule that alerts on each alert finds each one there is, whether the data come at once or in parts, and whichever commit
// fails: an oracle that reads the stored alerts says which.
func TestQueriesOnAlertsAreComplete(t *testing.T) {
	alerts, failed := 0, 0
	randomly(t, 25, func(t *testing.T, r *rand.Rand, name string) {
		rules := randomOnAlerts(t, r, true)
		events := randomEvents(r, 3+r.IntN(8), 3*time.Hour)
		whole, inParts, broken := mem.New(nil), mem.New(nil), mem.New(nil)
		now := clock()
		onAlerts(t, name, whole, now, events, rules)
		now = clock()
		for _, part := range parts(r, events, 1+r.IntN(4)) {
			load(t, inParts, now, part...)
			run(t, inParts, now, replay.Options{}, rules...)
		}
		nothingNew(t, name+" in parts", inParts, now, rules)
		now = clock()
		load(t, broken, now, events...)
		for n := 1; ; n++ {
			fault := &failing{Store: broken, n: 1 + r.IntN(2), after: r.IntN(2) == 0}
			if _, err := replay.Run(ctx, fault, rules, replay.Options{Clock: now}); err == nil {
				break
			}
			failed++
			if n > 1000 {
				t.Fatal("it never ends")
			}
		}
		nothingNew(t, name+" with failures", broken, now, rules)
		all := stored(t, whole)
		want := ids(all)
		alerts += len(want)
		for what, db := range map[string]store.Store{"in parts": inParts, "with failures": broken} {
			if diff := gocmp.Diff(want, ids(stored(t, db))); diff != "" {
				t.Errorf("%s: alerts at once (-) and %s (+):\n%s", name, what, diff)
			}
		}
		for _, p := range rules {
			if !p.OnAlerts() || p.Rule.Query != "*" {
				continue
			}
			for _, a := range all {
				made := all[alert.QueryID(detect.Space, p.Rule.UUID(), store.AlertStream, a.ID)] != nil
				if rests := slices.Contains(alert.RestsOn(a), p.Rule.UUID()); made == rests {
					t.Errorf("%s: alert %s rests on rule %s: %v; it alerted on it: %v", name, a.ID, p.Rule.RuleID, rests, made)
				}
			}
		}
	})
	t.Logf("%d alerts, %d failed commits", alerts, failed)
	if alerts < 400 || failed < 50 {
		t.Error("the test shows little")
	}
}
