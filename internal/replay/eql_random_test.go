package replay_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// randomEQL is a rule in EQL with some window.
func randomEQL(t *testing.T, r *rand.Rand, id string) *detect.Program {
	t.Helper()
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	stage := func() string {
		return "[any where " + pick(`event.action == "login"`, `event.action == "logout"`, `user.name == "ann"`, "true") + "]"
	}
	by := pick("", "by user.name ", "by ?user.name ")
	var query string
	switch r.IntN(6) {
	case 0:
		query = `any where event.action == "login"` + pick("", " | head 3", " | tail 3", " | tail 5 | head 2")
	case 1:
		query = "sample " + pick("by user.name ", "by ?user.name ") + stage() + " " + stage()
	default:
		var terms []string
		for range 2 + r.IntN(2) {
			terms = append(terms, stage()+pick("", "", "", " with runs=2"))
		}
		span := pick("", "with maxspan=5m ", "with maxspan=20m ", "with maxspan=1h ")
		if span != "" && r.IntN(3) == 0 {
			missing := "!" + stage()
			terms = slices.Insert(terms, []int{0, len(terms)}[r.IntN(2)], missing)
		}
		query = "sequence " + by + span + strings.Join(terms, " ")
		if r.IntN(4) == 0 {
			query += ` until [any where event.action == "logout"]`
		}
		query += pick("", "", "", " | head 2", " | tail 2")
	}
	text := fmt.Sprintf("type='eql'\nlanguage='eql'\nquery='''%s'''\ninterval='%s'\nfrom='%s'\nto='%s'\nmax_signals=%s\n", query,
		pick("5m", "10m", "1h"), pick("now-9m", "now-1h", "now-65m"), pick("now", "now", "now-2m"), pick("1000", "1000", "3"))
	text += pick("", "timestamp_override='event.ingested'\n") + pick("", "", "tiebreaker_field='event.action'\n")
	if r.IntN(4) == 0 {
		text += "[rule.alert_suppression]\ngroup_by=['user.name']\nmissing_fields_strategy='" + pick("suppress", "doNotSuppress") + "'\n" +
			pick("", "duration={value=90,unit='m'}\n")
	}
	return program(t, id, text)
}

// A rule in EQL finds in its candidates, slot by slot, what it finds in the whole store: the same documents, on either store.
func TestReplayOfEQLIsEverySlot(t *testing.T) {
	alerts, sequences, folded := 0, 0, 0
	randomly(t, 400, func(t *testing.T, r *rand.Rand, name string) {
		p := randomEQL(t, r, "rule")
		events := randomEvents(r, 1+r.IntN(60), time.Duration(1+r.IntN(12))*time.Hour)
		var opt replay.Options
		if r.IntN(4) == 0 {
			opt.From = began.Add(time.Duration(r.IntN(8)) * 30 * time.Minute)
		}
		over := 0
		replayed := func(db store.Store) []string {
			now := clock()
			load(t, db, now, events...)
			over = run(t, db, now, opt, p).Rules[0].Over
			return texts(stored(t, db))
		}
		db := mem.New(nil)
		got := replayed(db)
		slots, now := mem.New(nil), clock()
		load(t, slots, now, events...)
		atEverySlot(t, slots, now, p, opt)
		if diff := gocmp.Diff(texts(stored(t, slots)), got); diff != "" {
			t.Errorf("%s: %s: alerts slot by slot (-) and of a replay (+):\n%s", name, p.Rule.Query, diff)
		}
		if r.IntN(20) == 0 {
			if diff := gocmp.Diff(got, replayed(openDuck(t))); diff != "" {
				t.Errorf("%s: %s: alerts on mem (-) and on duck (+):\n%s", name, p.Rule.Query, diff)
			}
		}
		if again := run(t, db, now, opt, p); over == 0 && len(again.Alerts) > 0 {
			t.Errorf("%s: a replay right after another makes %d alerts", name, len(again.Alerts))
		}
		var groups []string
		for _, a := range stored(t, db) {
			alerts++
			if !a.Get("kibana.alert.suppression.docs_count").IsNull() {
				folded += int(a.Get("kibana.alert.suppression.docs_count").Int())
			}
			if a.Get("kibana.alert.group.id").IsNull() || !a.Get("kibana.alert.group.index").IsNull() {
				continue
			}
			sequences++
			evidence := fmt.Sprint(a.Get("tocsin.alert.evidence_ids"))
			if slices.Contains(groups, evidence) {
				t.Errorf("%s: two alerts on %s", name, evidence)
			}
			groups = append(groups, evidence)
		}
	})
	t.Logf("%d alerts, %d on sequences, %d folded", alerts, sequences, folded)
	if alerts < 3000 || sequences < 700 || folded < 80 {
		t.Error("too little happened: the test shows nothing")
	}
}

// happenedIn makes events a minute apart: a letter is what each does, its user the one after a slash.
func happenedIn(when time.Time, script string) []*event.Event {
	var out []*event.Event
	for i, word := range strings.Fields(script) {
		action, user, _ := strings.Cut(word, "/")
		if action == "-" {
			continue
		}
		out = append(out, happened(fmt.Sprintf("%s%d", action, i), when.Add(time.Duration(i)*time.Minute), user, action))
	}
	return out
}

// TestMissingAtTheEnd holds that what should be missing after a sequence is waited for, however short the windows are, and
// that nothing is lost for that.
func TestMissingAtTheEnd(t *testing.T) {
	p := program(t, "missing", "type='eql'\nlanguage='eql'\ninterval='5m'\nfrom='now-9m'\n"+
		`query='sequence by user.name with maxspan=7m [any where event.action == "a"] ![any where event.action == "q"]'`)
	if w, err := p.Window(began); err != nil || w.To.Sub(w.From) != 12*time.Minute {
		t.Fatalf("windows last %s, %v: the interval and maxspan are 12m", w.To.Sub(w.From), err)
	}
	before := program(t, "before", "type='eql'\nlanguage='eql'\ninterval='5m'\nfrom='now-9m'\n"+
		`query='sequence by user.name with maxspan=7m ![any where event.action == "q"] [any where event.action == "a"] [any where event.action == "b"]'`)
	for i := range 10 { // wherever slots cut it
		begin := began.Add(time.Duration(i) * time.Minute)
		p := p
		f := func(script string, want ...string) {
			t.Helper()
			db, now := mem.New(nil), clock()
			load(t, db, now, happenedIn(begin, script)...)
			var got []string
			for _, a := range run(t, db, now, replay.Options{}, p).Alerts {
				if a.Get("kibana.alert.group.index").IsNull() {
					got = append(got, a.Text("tocsin.alert.evidence_id"))
				}
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s from %s on: %v, want %v", script, begin.Format("15:04"), got, want)
			}
		}
		f("a/x - - - - - - - - - - - - - - - z/x", "a0")
		f("a/x - - - - - q/x - - - - - - - - z/x")
		f("a/x - - - - - - q/x - - - - - - - z/x")       // as long as maxspan
		f("a/x - - - - - - - q/x - - - - - - z/x", "a0") // longer
		f("a/x a/y - - - - q/x - - - - - - - z/x", "a1")
		f("q/x a/x - - - - - - - - - - - - - z/x", "a1")
		p = before
		f("- - - - - - - - - - a/x b/x", "b11")
		f("- - - - q/x - - - - - a/x b/x") // as long as maxspan
		f("- - - q/x - - - - - - a/x b/x", "b11")
		f("- - - q/x - - - a/x - q/x a/x b/x a/y b/y", "b13")
	}
}

// The maximum of a run counts sequences, not what their alerts are made of, when pending ones are released, too.
func TestReleaseOfSequences(t *testing.T) {
	p := program(t, "sequences", "type='eql'\nlanguage='eql'\ninterval='1h'\nfrom='now-1h'\nmax_signals=2\n"+
		`query='sequence by user.name [any where event.action == "a"] [any where event.action == "b"]'`)
	db, now := mem.New(nil), clock()
	load(t, db, now, happenedIn(began, "a/x b/x a/x b/x a/x b/x a/x b/x a/x b/x")...)
	for i, want := range []int{2, 2, 1, 0} {
		report := run(t, db, now, replay.Options{}, p)
		if r := report.Rules[0]; len(report.Alerts) != 3*want || r.Pending != max(0, 3-2*i) {
			t.Errorf("replay %d: %d alerts and %d pending, want %d sequences and %d", i, len(report.Alerts), r.Pending, want, max(0, 3-2*i))
		}
	}
}
