package replay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// feed is where indicators land.
const feed = "logs-ti_feed-default"

func indicator(id string, when time.Time, field string, values ...string) *event.Event {
	e := &event.Event{ID: id, Stream: feed}
	e.Set("@timestamp", event.String(event.FormatTime(when)))
	e.Set(field, event.Strings(values...))
	return e
}

// indicatorRule is a rule on logins of users that are indicators; more are other lines.
func indicatorRule(mapping, more string) string {
	if !strings.Contains(more, "threat_query=") {
		more += "\nthreat_query='*'"
	}
	return "type='threat_match'\nindex=['logs-test-*']\nquery='event.action: login'\nthreat_index=['logs-ti_*']\nthreat_mapping=[" + mapping + "]\n" + more
}

const byUser = "{entries=[{field='user.name',type='mapping',value='threat.user'}]}"

// randomIndicatorRule is an indicator match rule with some window.
func randomIndicatorRule(t *testing.T, r *rand.Rand, id string) *detect.Program {
	t.Helper()
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	mapping := pick(byUser, byUser+",{entries=[{field='source.ip',type='mapping',value='threat.ip'}]}",
		"{entries=[{field='user.name',type='mapping',value='threat.user'},{field='source.ip',type='mapping',value='threat.ip'}]}",
		"{entries=[{field='source.ip',type='mapping',value='threat.ip'},{field='user.name',type='mapping',value='threat.user',negate=true}]}")
	text := fmt.Sprintf("interval='%s'\nfrom='%s'\nto='%s'\nmax_signals=%s\n", pick("5m", "10m", "1h"), pick("now-9m", "now-1h", "now-65m"),
		pick("now", "now", "now-2m"), pick("1000", "1000", "3"))
	text += pick("", "timestamp_override='event.ingested'\n")
	text += pick("threat_query='*'\n", "threat_query='@timestamp >= \"now-2h\"'\n", "threat_query='@timestamp >= \"now-3h/h\" and @timestamp <= now'\n")
	if r.IntN(4) == 0 {
		text += "[rule.alert_suppression]\ngroup_by=['user.name']\nmissing_fields_strategy='" + pick("suppress", "doNotSuppress") + "'\n" +
			pick("", "duration={value=90,unit='m'}\n")
	}
	return program(t, id, indicatorRule(mapping, text))
}

// A rule that looks for indicators finds in its candidates, slot by slot, what it finds in the whole store, where it reads the
// indicators each time: the same documents, on either store.
func TestReplayOfIndicatorsIsEverySlot(t *testing.T) {
	alerts, folded, pending := 0, 0, 0
	randomly(t, 500, func(t *testing.T, r *rand.Rand, name string) {
		p := randomIndicatorRule(t, r, "rule")
		events := randomEvents(r, 1+r.IntN(60), time.Duration(1+r.IntN(12))*time.Hour)
		for _, e := range events {
			if r.IntN(2) == 0 {
				e.Set("source.ip", event.String(fmt.Sprint("10.0.0.", r.IntN(4))))
			}
		}
		for i := range 1 + r.IntN(6) {
			when := began.Add(time.Duration(r.IntN(12)) * time.Hour)
			e := indicator(fmt.Sprint("i", i), when, "threat.user", []string{"ann", "bob", "eve", "nobody"}[:1+r.IntN(2)]...)
			if r.IntN(2) == 0 {
				e = indicator(fmt.Sprint("i", i), when, "threat.ip", []string{"10.0.0.1", "10.0.0.2/31", "192.168.0.0/16"}[r.IntN(3)])
			}
			if r.IntN(3) == 0 {
				e.Set("threat.user", event.String([]string{"ann", "bob", "eve"}[r.IntN(3)]))
			}
			events = append(events, e)
		}
		var opt replay.Options
		if r.IntN(4) == 0 {
			opt.From = began.Add(time.Duration(r.IntN(8)) * 30 * time.Minute)
		}
		over := 0
		replayed := func(db store.Store, opt replay.Options) []string {
			now := clock()
			load(t, db, now, events...)
			over = run(t, db, now, opt, p).Rules[0].Over
			return texts(stored(t, db))
		}
		db := mem.New(nil)
		got := replayed(db, opt)
		slots, now := mem.New(nil), clock()
		load(t, slots, now, events...)
		atEverySlot(t, slots, now, p, opt)
		if diff := gocmp.Diff(texts(stored(t, slots)), got); diff != "" {
			t.Errorf("%s: alerts slot by slot (-) and of a replay (+):\n%s", name, diff)
		}
		if r.IntN(12) == 0 {
			if diff := gocmp.Diff(got, replayed(openDuck(t), opt)); diff != "" {
				t.Errorf("%s: alerts on mem (-) and on duck (+):\n%s", name, diff)
			}
		}
		if again := run(t, db, now, opt, p); over == 0 && len(again.Alerts) > 0 {
			t.Errorf("%s: a replay right after another makes %d alerts", name, len(again.Alerts))
		} else {
			pending += len(again.Alerts)
		}
		for _, a := range stored(t, db) {
			alerts++
			folded += int(a.Get("kibana.alert.suppression.docs_count").Int())
			if len(a.Get("threat.enrichments").Items()) == 0 {
				t.Errorf("%s: an alert on no indicator", name)
			}
		}
	})
	t.Logf("%d alerts, %d folded, %d released", alerts, folded, pending)
	if alerts < 600 || folded < 25 || pending < 12 {
		t.Error("too little happened: the test shows nothing")
	}
}

// counted counts how often the streams of indicators are read.
type counted struct {
	store.Store
	reads int
}

func (c *counted) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	for n := p; n != nil; n = plan.Input(n) {
		if s, ok := n.(plan.Scan); ok && slices.Equal(s.Streams, []string{"logs-ti_*"}) {
			c.reads++
		}
	}
	return c.Store.Query(ctx, p, at)
}

// However many windows there are, the indicators are read twice: once by their values, once those that matched.
func TestIndicatorsAreReadOnce(t *testing.T) {
	for _, query := range []string{"*", `@timestamp >= "now-400d"`} {
		db, now := &counted{Store: mem.New(nil)}, clock()
		for i := range 200 {
			load(t, db, now, happened(fmt.Sprint(i), began.Add(time.Duration(i)*time.Hour), fmt.Sprint("user", i), "login"))
			if i%2 == 0 {
				load(t, db, now, indicator(fmt.Sprint(i), began, "threat.user", fmt.Sprint("user", i)))
			}
		}
		report := run(t, db, now, replay.Options{}, program(t, "rule", indicatorRule(byUser, "threat_query='"+query+"'")))
		if len(report.Alerts) != 100 || db.reads != 2 || report.Rules[0].Candidates != 100 {
			t.Errorf("%d alerts, %d reads, %d candidates", len(report.Alerts), db.reads, report.Rules[0].Candidates)
		}
	}
}

// A rule without indicators says so and runs no window, so that it looks at all of the past once there are some. Indicators
// that land later are looked for in the windows that run then.
func TestNoIndicators(t *testing.T) {
	db, now := mem.New(nil), clock()
	p := program(t, "rule", indicatorRule(byUser, "threat_query='threat.user: *'"))
	load(t, db, now, happened("1", began.Add(2*time.Minute), "ann", "login"), happened("2", began.Add(62*time.Minute), "bob", "login"))
	f := func(skipped string, alerts ...string) {
		t.Helper()
		report := run(t, db, now, replay.Options{}, p)
		if got := report.Rules[0].Skipped; got != skipped || skipped != "" && report.Rules[0].Windows > 0 {
			t.Errorf("skipped: %q, %d windows", got, report.Rules[0].Windows)
		}
		if diff := gocmp.Diff(append([]string{}, alerts...), said(report.Alerts)); diff != "" {
			t.Error(diff)
		}
	}
	f("there are no indicators: no stream matches threat_index (logs-ti_*)")
	load(t, db, now, indicator("other", began, "threat.ip", "10.0.0.1"))
	f("there are no indicators: threat_query finds none in logs-ti_*")
	load(t, db, now, indicator("i", began, "threat.user", "ann"))
	f("", "01T07:05 ann")
	load(t, db, now, indicator("j", began, "threat.user", "bob"))
	f("")
	load(t, db, now, happened("3", began.Add(122*time.Minute), "bob", "login"))
	f("", "01T09:05 bob")
}

// files are indicators that stand in files: a Querier over them, and over the store for everything else.
type files struct {
	store.Store
	held []*event.Event
}

func (f files) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	return exec.Over(f.held).Query(ctx, p, at)
}

func (f files) Streams(context.Context, []string) ([]store.Stream, error) {
	return []store.Stream{{Name: feed}}, nil
}

// Where the files of indicators change, all windows run anew: what was found before is not found twice. What is left out over
// the maximum is released with the files alone.
func TestIndicatorsFromFiles(t *testing.T) {
	db, now := mem.New(nil), clock()
	for i := range 6 {
		load(t, db, now, happened(fmt.Sprint(i), began.Add(time.Duration(i)*time.Minute), []string{"ann", "bob"}[i%2], "login"))
	}
	f := func(version string, most int, held []*event.Event, alerts, pending int) {
		t.Helper()
		r, err := rule.Parse("r.toml", fmt.Appendf(nil, "[rule]\nname='r'\ndescription='d'\nrule_id='r'\nseverity='low'\nrisk_score=1\n%s",
			indicatorRule(byUser, fmt.Sprint("from='now-1h'\ninterval='1h'\nmax_signals=", most))))
		if err != nil {
			t.Fatal(err)
		}
		p, err := detect.Compiler{Resolver: fields(t), Indicators: func([]string) string { return version }}.Compile(r)
		if err != nil {
			t.Fatal(err)
		}
		report := run(t, db, now, replay.Options{Indicators: files{db, held}}, p)
		if got := report.Rules[0]; len(report.Alerts) != alerts || got.Pending != pending || got.Skipped != "" {
			t.Errorf("version %s: %d alerts, %d pending, %s, want %d and %d", version, len(report.Alerts), got.Pending, got.Skipped, alerts, pending)
		}
		for _, a := range report.Alerts {
			if got := a.Get("threat.enrichments").Items()[0].At("matched", "index").Text(); got != feed {
				t.Error(got)
			}
		}
	}
	ann, bob := indicator("i", began, "threat.user", "ann"), indicator("j", began, "threat.user", "bob")
	f("1", 100, []*event.Event{ann}, 3, 0)
	f("1", 100, []*event.Event{ann}, 0, 0)
	f("2", 100, []*event.Event{ann, bob}, 3, 0)
	db = mem.New(nil)
	for i := range 6 {
		load(t, db, now, happened(fmt.Sprint(i), began.Add(time.Duration(i)*time.Minute), "ann", "login"))
	}
	f("1", 2, []*event.Event{ann}, 2, 4)
	pending, err := replay.ListPending(ctx, db)
	if err != nil || len(pending) != 1 {
		t.Errorf("%+v, %v", pending, err)
	}
	f("1", 2, []*event.Event{ann}, 2, 2)
	f("1", 2, []*event.Event{ann}, 2, 0)
}

// All that is pending of a rule whose indicators are stored is released with them; without any it stays pending.
func TestReleaseOfIndicators(t *testing.T) {
	for name, open := range map[string]func() store.Store{"mem": func() store.Store { return mem.New(nil) }, "duck": func() store.Store { return openDuck(t) }} {
		db, now := open(), clock()
		p := program(t, "rule", indicatorRule(byUser, "from='now-1h'\ninterval='1h'\nmax_signals=2"))
		load(t, db, now, indicator("i", began, "threat.user", "ann"))
		for i := range 9 {
			load(t, db, now, happened(fmt.Sprint(i), began.Add(time.Duration(i)*time.Minute), "ann", "login"))
		}
		first := run(t, db, now, replay.Options{}, p)
		pending, err := replay.ListPending(ctx, db)
		if err != nil || len(pending) != 1 || pending[0].Err != nil {
			t.Fatalf("%s: %+v, %v", name, pending, err)
		}
		report, err := replay.Release(ctx, db, []replay.Released{{Pending: pending[0], Program: p}},
			replay.Options{Clock: now, Indicators: files{db, nil}})
		if err != nil || len(report.Alerts) != 0 || report.Rules[0].Err == nil {
			t.Errorf("%s: without indicators: %d alerts, %v, %v", name, len(report.Alerts), err, report.Rules[0].Err)
		}
		if report, err = replay.Release(ctx, db, []replay.Released{{Pending: pending[0], Program: p}}, replay.Options{Clock: now}); err != nil {
			t.Fatal(err)
		}
		if len(first.Alerts) != 2 || len(report.Alerts) != 7 || report.Rules[0].Pending != 0 {
			t.Errorf("%s: %d and %d alerts, %d pending", name, len(first.Alerts), len(report.Alerts), report.Rules[0].Pending)
		}
	}
}
