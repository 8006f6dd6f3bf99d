package replay_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/schedule"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

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

// randomly calls f with n random sources, each of a seed of its own.
func randomly(t *testing.T, n uint64, f func(t *testing.T, r *rand.Rand, name string)) {
	t.Helper()
	n, seed := setting(t, "TOCSIN_REPLAYS", n), setting(t, "TOCSIN_SEED", 1)
	t.Logf("%d replays from seed %d (TOCSIN_REPLAYS, TOCSIN_SEED)", n, seed)
	for i := seed; i < seed+n && !t.Failed(); i++ {
		f(t, rand.New(rand.NewPCG(i, 0)), fmt.Sprintf("TOCSIN_REPLAYS=1 TOCSIN_SEED=%d", i))
	}
}

var began = time.Date(2026, 3, 1, 7, 0, 0, 0, time.UTC)

// randomEvents are n events of a few users over a stretch of time, ingested a little later or not at all, sorted by the
// time at which they happened.
func randomEvents(r *rand.Rand, n int, length time.Duration) []*event.Event {
	var out []*event.Event
	for i := range n {
		when := began.Add(time.Duration(r.Int64N(int64(length/time.Minute)))*time.Minute + time.Duration(r.IntN(3)-1)*time.Millisecond)
		e := &event.Event{ID: fmt.Sprintf("%03d", i), Stream: stream}
		e.Set("@timestamp", event.String(event.FormatTime(when)))
		if r.IntN(5) > 0 {
			e.Set("event.ingested", event.String(event.FormatTime(when.Add(time.Duration(r.IntN(20))*time.Minute))))
		}
		var users []string
		for _, u := range []string{"ann", "bob", "eve", "zoe"} {
			if r.IntN(3) == 0 {
				users = append(users, u)
			}
		}
		if len(users) > 0 {
			e.Set("user.name", event.Strings(users...))
		}
		e.SetString("event.action", []string{"login", "login", "logout"}[r.IntN(3)])
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *event.Event) int { return cmp.Compare(a.Text("@timestamp"), b.Text("@timestamp")) })
	return out
}

// randomRule is a rule of either type with some window.
func randomRule(t *testing.T, r *rand.Rand, id string) *detect.Program {
	window := fmt.Sprintf("interval='%s'\nfrom='%s'\nto='%s'\n", []string{"5m", "10m", "1h"}[r.IntN(3)],
		[]string{"now-9m", "now-1h", "now-65m", "now-5m"}[r.IntN(4)], []string{"now", "now", "now-2m"}[r.IntN(3)])
	if r.IntN(2) == 0 {
		window += "timestamp_override='event.ingested'\n"
	}
	query := "query='event.action: login'\n"
	if r.IntN(5) == 0 {
		query = "query='event.action: login and @timestamp > now-2h'\n"
	}
	if r.IntN(3) == 0 {
		return program(t, id, "type='query'\n"+query+window)
	}
	history := []string{"now-1d", "now-6h", "now-2d"}[r.IntN(3)]
	return program(t, id, "type='new_terms'\n"+query+window+"[rule.new_terms]\nfield='new_terms_fields'\nvalue=['user.name']\n"+
		"[[rule.new_terms.history_window_start]]\nfield='history_window_start'\nvalue='"+history+"'")
}

// stored returns the alerts of a store as documents, by ID.
func stored(t *testing.T, db store.Store) map[string]*event.Event {
	t.Helper()
	latest, err := db.Latest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(ctx, plan.Scan{Streams: []string{store.AlertStream}}, latest)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]*event.Event{}
	for rows.Next() {
		out[rows.Event().ID] = rows.Event()
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// texts are alerts as JSON, sorted.
func texts(alerts map[string]*event.Event) []string {
	out := []string{}
	for _, a := range alerts {
		out = append(out, string(a.AppendJSON(nil, alert.Dotted)))
	}
	slices.Sort(out)
	return out
}

// atEverySlot is what a replay promises to be the same as: the program is run at one slot after the other over the whole
// store, and everything is committed each time.
func atEverySlot(t *testing.T, db store.Store, now func() time.Time, p *detect.Program, opt replay.Options) {
	t.Helper()
	latest, err := db.Latest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(ctx, plan.Scan{Streams: p.Streams()}, latest)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var begin, end time.Time
	for rows.Next() {
		at, timed := p.Time.Of(rows.Event())
		if !timed {
			continue
		}
		if begin.IsZero() || at.Before(begin) {
			begin = at
		}
		if at.After(end) {
			end = at
		}
	}
	from, to := begin, end
	if opt.From.After(from) {
		from = opt.From
	}
	if !opt.To.IsZero() && opt.To.Before(to) {
		to = opt.To
	}
	if from.After(to) {
		return
	}
	every := p.Schedule().Interval()
	slot := from.Truncate(every).Add(every) // the zero time of Truncate and of slots differ by whole days
	for first := true; first || slot.Add(-every).Before(to); first = false {
		w, err := p.Window(slot)
		if err != nil {
			t.Fatal(err)
		}
		alerted, err := detect.LoadAlerted(ctx, db, latest, p.Rule.UUID())
		if err != nil {
			t.Fatal(err)
		}
		if err := alerted.LoadFolds(ctx, db, p.Rule.UUID()); err != nil {
			t.Fatal(err)
		}
		env := detect.Env{Events: db, Store: db, At: latest, Begin: begin, Alerted: alerted}
		var c store.Change
		if p.Remembers() {
			if env.Index, err = sighting.Open(ctx, db, p.Sightings()); err != nil {
				t.Fatal(err)
			}
			if c.Sightings, c.Records, err = env.Index.Fold(ctx, latest); err != nil {
				t.Fatal(err)
			}
		}
		result, err := detect.Run(ctx, p, w.Clamp(opt.From, opt.To), env)
		if err != nil {
			t.Fatal(err)
		}
		c.At, c.Alerts, c.States, c.Records = now(), result.Alerts, result.States, append(c.Records, result.Records...)
		if err := db.Apply(ctx, &c); err != nil {
			t.Fatal(err)
		}
		if latest, err = db.Latest(ctx); err != nil {
			t.Fatal(err)
		}
		slot = slot.Add(every)
	}
}

// Looking at the slots that hold candidates is the same as looking at all: the same documents, the same ledger.
func TestReplayIsEverySlot(t *testing.T) {
	alerts := 0
	randomly(t, 150, func(t *testing.T, r *rand.Rand, name string) {
		p := randomRule(t, r, "rule")
		events := randomEvents(r, 1+r.IntN(40), time.Duration(1+r.IntN(30))*time.Hour)
		if r.IntN(3) == 0 {
			g := randomGrouping(r)
			if g.value = r.IntN(3); g.value > 0 {
				g.folds = g.lasts > 0
			}
			p = g.program(t, "rule")
		}
		var opt replay.Options
		if r.IntN(3) == 0 {
			opt.From = began.Add(time.Duration(r.IntN(20))*30*time.Minute + time.Duration(r.IntN(2))*time.Millisecond)
		}
		if r.IntN(3) == 0 {
			opt.To = began.Add(time.Duration(10+r.IntN(30)) * 30 * time.Minute)
		}
		if !opt.To.IsZero() && opt.To.Before(opt.From) {
			opt.To = time.Time{}
		}
		var got [3][]string
		var ledgers [2]string
		var reports [2]replay.RuleReport
		for way := range got {
			db, now := mem.New(nil), clock()
			load(t, db, now, events...)
			if way == 2 {
				atEverySlot(t, db, now, p, opt)
				got[way] = texts(stored(t, db))
				continue
			}
			opt.EverySlot = way == 1
			reports[way] = run(t, db, now, opt, p).Rules[0]
			got[way] = texts(stored(t, db))
			list, err := db.List(ctx, schedule.LedgerKind, "", 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range list {
				ledgers[way] += string(rec.Data)
			}
		}
		for way, what := range map[int]string{1: "with EverySlot", 2: "slot by slot"} {
			if diff := gocmp.Diff(got[way], got[0]); diff != "" {
				t.Errorf("%s: alerts %s (-) and of a replay (+):\n%s", name, what, diff)
			}
		}
		if ledgers[0] != ledgers[1] {
			t.Errorf("%s: ledgers %s\nand with EverySlot %s", name, ledgers[0], ledgers[1])
		}
		if reports[0].Windows != reports[1].Windows || reports[0].Empty != reports[1].Empty {
			t.Errorf("%s: %d windows, %d empty, with EverySlot %d, %d", name, reports[0].Windows, reports[0].Empty, reports[1].Windows, reports[1].Empty)
		}
		alerts += len(got[0])
	})
	if alerts < 300 {
		t.Errorf("%d alerts: the test shows nothing", alerts)
	}
}

// parts cuts events into k runs of neighbours, some of which may be empty.
func parts(r *rand.Rand, events []*event.Event, k int) [][]*event.Event {
	cuts := []int{0, len(events)}
	for range k - 1 {
		cuts = append(cuts, r.IntN(len(events)+1))
	}
	slices.Sort(cuts)
	var out [][]*event.Event
	for i := range k {
		out = append(out, events[cuts[i]:cuts[i+1]])
	}
	return out
}

// Data that come in order of time, in however many parts, end in the alerts of one replay over all.
func TestReplayInParts(t *testing.T) {
	alerts := 0
	randomly(t, 150, func(t *testing.T, r *rand.Rand, name string) {
		p := randomRule(t, r, "rule")
		events := randomEvents(r, 5+r.IntN(60), time.Duration(1+r.IntN(60))*time.Hour)
		slices.SortStableFunc(events, func(a, b *event.Event) int {
			x, _ := p.Time.Of(a)
			y, _ := p.Time.Of(b)
			return x.Compare(y)
		})
		whole, inParts := mem.New(nil), mem.New(nil)
		now := clock()
		load(t, whole, now, events...)
		run(t, whole, now, replay.Options{}, p)
		now = clock()
		for _, part := range parts(r, events, 1+r.IntN(6)) {
			load(t, inParts, now, part...)
			run(t, inParts, now, replay.Options{}, p)
		}
		want, got := ids(stored(t, whole)), ids(stored(t, inParts))
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%s: alerts in one go (-) and in parts (+):\n%s", name, diff)
		}
		alerts += len(want)
		for _, a := range stored(t, inParts) {
			if since := a.Text("tocsin.alert.known_since"); since != "" {
				t.Errorf("%s: nothing came late, but an alert is known since %s", name, since)
			}
		}
	})
	if alerts < 300 {
		t.Errorf("%d alerts: the test shows nothing", alerts)
	}
}

func ids(alerts map[string]*event.Event) []string {
	out := []string{}
	for id, a := range alerts {
		out = append(out, a.Text("tocsin.alert.evidence_id")+" "+id)
	}
	slices.Sort(out)
	return out
}

// Data that come in any order end in the same alerts where a rule looks at no history. Where it does, each alert of one
// replay over all has its counterpart, whatever is more is marked as known before, and nothing is raised twice.
func TestReplayOfLateData(t *testing.T) {
	alerts, more, missing := 0, 0, 0
	randomly(t, 300, func(t *testing.T, r *rand.Rand, name string) {
		p := randomRule(t, r, "rule")
		if len(p.Rule.NewTermsFields) > 0 && !p.Remembers() {
			return // date math: late events are not looked for
		}
		events := randomEvents(r, 5+r.IntN(60), time.Duration([]int{2, 5, 60}[r.IntN(3)])*time.Hour)
		whole, late := mem.New(nil), mem.New(nil)
		now := clock()
		load(t, whole, now, events...)
		run(t, whole, now, replay.Options{}, p)
		now = clock()
		shuffled := slices.Clone(events)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		for _, part := range parts(r, shuffled, 1+r.IntN(5)) {
			load(t, late, now, part...)
			run(t, late, now, replay.Options{}, p)
			if again := run(t, late, now, replay.Options{}, p); len(again.Alerts) > 0 || again.Rules[0].Windows > 0 || again.Rules[0].Late > 0 {
				t.Errorf("%s: a replay right after another runs %d windows", name, again.Rules[0].Windows)
			}
		}
		want, got := stored(t, whole), stored(t, late)
		alerts += len(want)
		if len(p.Rule.NewTermsFields) == 0 {
			if diff := gocmp.Diff(ids(want), ids(got)); diff != "" {
				t.Errorf("%s: alerts in one go (-) and late (+):\n%s", name, diff)
			}
			return
		}
		for id, a := range got {
			if want[id] != nil {
				// At another slot the history is another one.
				if a.Text("@timestamp") == want[id].Text("@timestamp") && !a.Get("tocsin.alert.known_since").IsNull() {
					t.Errorf("%s: the right alert %s is said to be known since %s", name, id, a.Text("tocsin.alert.known_since"))
				}
				continue
			}
			// Of two events at one instant neither came before the other, and either may be the evidence.
			if slices.ContainsFunc(values(want), func(b *event.Event) bool {
				return a.Text("tocsin.alert.tuple") == b.Text("tocsin.alert.tuple") &&
					a.Text("tocsin.alert.evidence_time") == b.Text("tocsin.alert.evidence_time")
			}) {
				continue
			}
			if more++; a.Get("tocsin.alert.known_since").IsNull() {
				t.Errorf("%s: alert %s of %s is not among those of one replay, and not marked", name, id, a.Text("tocsin.alert.evidence_time"))
			}
		}
		for id, a := range want {
			if got[id] != nil {
				continue
			}
			missing++
			w, err := p.Window(when(t, a, "@timestamp"))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(values(got), func(b *event.Event) bool {
				evidence := when(t, b, "tocsin.alert.evidence_time")
				return a.Text("tocsin.alert.tuple") == b.Text("tocsin.alert.tuple") && !evidence.Before(w.History) && !evidence.After(w.To)
			}) {
				t.Errorf("%s: alert %s has no counterpart", name, id)
			}
		}
		for _, a := range got {
			for _, b := range got {
				if a == b || a.Text("tocsin.alert.tuple") != b.Text("tocsin.alert.tuple") || !b.Get("tocsin.alert.known_since").IsNull() {
					continue
				}
				first, second := when(t, a, "tocsin.alert.evidence_time"), when(t, b, "tocsin.alert.evidence_time")
				if !first.Before(when(t, b, "tocsin.alert.history.from")) && first.Before(second) {
					t.Errorf("%s: %s and %s are one find", name, a.ID, b.ID)
				}
			}
		}
	})
	t.Logf("%d alerts in one go; late: %d more, %d others in their place", alerts, more, missing)
	if alerts < 500 || more < 50 || missing < 20 {
		t.Error("too little happened: the test shows nothing")
	}
}

// The store in a file and the store in memory end in the same documents and sightings, part by part.
func TestReplayOnDuck(t *testing.T) {
	alerts := 0
	randomly(t, 12, func(t *testing.T, r *rand.Rand, name string) {
		rules := []*detect.Program{randomRule(t, r, "a"), randomRule(t, r, "b"), randomRule(t, r, "c")}
		events := randomEvents(r, 20+r.IntN(100), time.Duration(1+r.IntN(60))*time.Hour)
		cut := parts(r, events, 3)
		var got [2][]string
		for way, db := range []store.Store{mem.New(nil), openDuck(t)} {
			now := clock()
			for _, part := range cut {
				load(t, db, now, part...)
				run(t, db, now, replay.Options{}, rules...)
			}
			got[way] = state(t, db, rules)
			alerts += len(stored(t, db))
		}
		if diff := gocmp.Diff(got[0], got[1]); diff != "" {
			t.Errorf("%s: mem (-) and duck (+):\n%s", name, diff)
		}
	})
	if alerts < 200 {
		t.Errorf("%d alerts: the test shows nothing", alerts)
	}
}

func when(t *testing.T, e *event.Event, path string) time.Time {
	t.Helper()
	v, ok := event.Coerce(event.Date, e.Get(path))
	if !ok {
		t.Fatalf("%s of alert %s: %q", path, e.ID, e.Text(path))
	}
	return v.Time()
}

func values(alerts map[string]*event.Event) []*event.Event {
	var out []*event.Event
	for _, a := range alerts {
		out = append(out, a)
	}
	return out
}
