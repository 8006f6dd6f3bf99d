package replay_test

import (
	"cmp"
	"encoding/json"
	"errors"
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
	"github.com/tocsin-sec/tocsin/internal/window"
)

// grouping is a random rule that groups, in words of the models below.
type grouping struct {
	fields    []string // user.name, source.ip
	value     int      // 0: the rule is no threshold
	different int      // of the field that is no group; 0: not asked
	lasts     time.Duration
	folds     bool
	alone     bool
	ingested  bool
	window    string // interval, from, to
	most      int    // max_signals; 0: enough
}

var windowsOfGroups = []string{"interval='5m'\nfrom='now-9m'", "interval='10m'\nfrom='now-1h'", "interval='1h'\nfrom='now-65m'",
	"interval='1h'\nfrom='now-1h'\nto='now-2m'", "interval='30m'\nfrom='now-45m'"}

func randomGrouping(r *rand.Rand) grouping {
	g := grouping{ingested: r.IntN(2) == 0, window: windowsOfGroups[r.IntN(len(windowsOfGroups))], folds: true,
		lasts: []time.Duration{0, 0, 30 * time.Minute, 90 * time.Minute, 7 * time.Hour}[r.IntN(5)], alone: r.IntN(3) == 0}
	g.fields = [][]string{{"user.name"}, {"source.ip"}, {"user.name", "source.ip"}, {"source.ip", "user.name"}}[r.IntN(4)]
	return g
}

func (g grouping) program(t *testing.T, id string) *detect.Program {
	t.Helper()
	text := fmt.Sprintf("%s\nmax_signals=%d\nquery='event.action: login'\n", g.window, cmp.Or(g.most, 1000))
	if g.ingested {
		text += "timestamp_override='event.ingested'\n"
	}
	list := "['" + strings.Join(g.fields, "','") + "']"
	if len(g.fields) == 0 {
		list = "[]"
	}
	duration := ""
	if g.lasts > 0 {
		duration = fmt.Sprintf("duration={value=%d,unit='m'}", int(g.lasts/time.Minute))
	}
	if g.value == 0 {
		strategy := "suppress"
		if g.alone {
			strategy = "doNotSuppress"
		}
		return program(t, id, "type='query'\n"+text+"[rule.alert_suppression]\ngroup_by="+list+"\nmissing_fields_strategy='"+strategy+"'\n"+duration)
	}
	if g.folds {
		text += "alert_suppression={" + duration + "}\n"
	}
	text += fmt.Sprintf("[rule.threshold]\nfield=%s\nvalue=%d\n", list, g.value)
	if g.different > 0 {
		text += fmt.Sprintf("[[rule.threshold.cardinality]]\nfield='%s'\nvalue=%d\n", g.other(), g.different)
	}
	return program(t, id, "type='threshold'\n"+text)
}

// other is the field that a threshold asks different values of.
func (g grouping) other() string {
	if slices.Contains(g.fields, "user.name") {
		return "source.ip"
	}
	return "user.name"
}

// seen is an event as the models know it.
type seen struct {
	id     string
	at     int64
	groups []string // the terms, as in alerts
	others []string
}

// facts are the events that match, by time.
func (g grouping) facts(events []*event.Event) []seen {
	var out []seen
	for _, e := range events {
		if e.Text("event.action") != "login" {
			continue
		}
		s := seen{id: e.ID, at: g.at(e), others: texted(e.Values(g.other()))}
		all := []string{""}
		for _, f := range g.fields {
			values := texted(e.Values(f))
			quoted := make([]string, len(values))
			for i, v := range values {
				quoted[i] = `"` + v + `"`
			}
			if len(values) == 0 && !g.alone && g.value == 0 {
				quoted = []string{"null"}
			}
			var next []string
			for _, before := range all {
				for _, v := range quoted {
					next = append(next, before+fmt.Sprintf(`,{"field":"%s","value":%s}`, f, v))
				}
			}
			all = next
		}
		for _, terms := range all {
			s.groups = append(s.groups, "["+strings.TrimPrefix(terms, ",")+"]")
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b seen) int { return int(a.at - b.at) })
	return out
}

// at is the time of e in the rule's time field.
func (g grouping) at(e *event.Event) int64 {
	text := e.Text("@timestamp")
	if ingested := e.Text("event.ingested"); g.ingested && ingested != "" {
		text = ingested
	}
	t, _ := event.ParseTime(text)
	return t.UnixMilli()
}

func texted(values []event.Value) []string {
	var out []string
	for _, v := range values {
		if !slices.Contains(out, v.Text()) {
			out = append(out, v.Text())
		}
	}
	return out
}

// windows are all windows of p that a replay over events comes to, in order.
func (g grouping) windows(t *testing.T, p *detect.Program, events []*event.Event) []window.Window {
	t.Helper()
	span := window.Span{From: time.UnixMilli(g.at(events[0])), To: time.UnixMilli(g.at(events[0]))}
	for _, e := range events {
		at := time.UnixMilli(g.at(e))
		if at.Before(span.From) {
			span.From = at
		}
		if at.After(span.To) {
			span.To = at
		}
	}
	var out []window.Window
	for slot := range p.Schedule().Over(span).All() {
		w, err := p.Window(slot)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, w)
	}
	return out
}

// modelled is an alert of a model.
type modelled struct {
	slot                  int64
	group                 string
	count, different      int
	from, last            int64
	folded                int
	end, detected, source int64
}

// counting is what the rule finds, counted by hand from one window to the next: an event that an alert of its group counted
// does not count again (rule-execution.md §1.11, §3.1).
func (g grouping) counting(windows []window.Window, facts []seen) []*modelled {
	type state struct {
		counted int64 // up to when; the events of a group are counted in order
		alerts  []*modelled
	}
	groups := map[string]*state{}
	var out []*modelled
	for _, w := range windows {
		slot := w.Slot.UnixMilli()
		found := map[string]*modelled{}
		values := map[string]map[string]bool{}
		var order []string
		for _, s := range facts {
			if s.at < w.From.UnixMilli() || s.at > w.To.UnixMilli() {
				continue
			}
			if g.alone && g.value == 0 && len(s.groups) == 0 {
				if groups[s.id] == nil {
					groups[s.id] = &state{}
					out = append(out, &modelled{slot: slot, group: s.id, folded: -1})
				}
				continue
			}
			for _, name := range s.groups {
				if st := groups[name]; st != nil && s.at <= st.counted {
					continue
				}
				m := found[name]
				if m == nil {
					m = &modelled{slot: slot, group: name, from: s.at, source: s.at}
					found[name], values[name] = m, map[string]bool{}
					order = append(order, name)
				}
				m.count++
				m.last = s.at
				for _, v := range s.others {
					values[name][v] = true
				}
			}
		}
		for _, name := range order {
			m := found[name]
			m.different = len(values[name])
			if m.count < g.value || m.different < g.different {
				continue
			}
			st := groups[name]
			if st == nil {
				st = &state{counted: -1 << 62}
				groups[name] = st
			}
			st.counted = m.last
			rise := 1
			if g.value == 0 {
				rise = m.count
			}
			if n := len(st.alerts) - 1; g.folds && n >= 0 && st.alerts[n].slot >= slot-g.lasts.Milliseconds() {
				a := st.alerts[n]
				a.folded, a.end, a.detected = a.folded+rise, max(a.end, m.last), slot
				continue
			}
			m.folded, m.end, m.detected = rise-1, m.last, slot
			st.alerts = append(st.alerts, m)
			out = append(out, m)
		}
	}
	return out
}

// said says of an alert what the models know.
func (g grouping) said(a *event.Event) string {
	at := func(path string) int64 {
		t, _ := event.ParseTime(a.Text(path))
		return t.UnixMilli()
	}
	text := fmt.Sprintf("at %d ", at("@timestamp"))
	if g.value > 0 {
		different := a.Get("kibana.alert.threshold_result.cardinality").Items()
		text += fmt.Sprintf("%s of %s from %d to %d", a.Text("kibana.alert.threshold_result.count"),
			a.Get("kibana.alert.threshold_result.terms").AppendJSON(nil), at("kibana.alert.threshold_result.from"), at("kibana.alert.original_time"))
		if len(different) > 0 {
			text += " different " + different[0].Member("value").Text()
		}
	}
	if g.folds {
		terms := a.Get("kibana.alert.suppression.terms")
		if terms.IsNull() {
			return text + "alone " + a.Text("tocsin.alert.evidence_id")
		}
		text += fmt.Sprintf(" %s folded into %s from %d to %d at %d", a.Text("kibana.alert.suppression.docs_count"), terms.AppendJSON(nil),
			at("kibana.alert.suppression.start"), at("kibana.alert.suppression.end"), at("kibana.alert.last_detected"))
	}
	return text
}

func (g grouping) says(m *modelled) string {
	text := fmt.Sprintf("at %d ", m.slot)
	if m.folded < 0 {
		return text + "alone " + m.group
	}
	if g.value > 0 {
		text += fmt.Sprintf("%d of %s from %d to %d", m.count, m.group, m.from, m.last)
		if g.different > 0 {
			text += fmt.Sprint(" different ", m.different)
		}
	}
	if g.folds {
		text += fmt.Sprintf(" %d folded into %s from %d to %d at %d", m.folded, m.group, m.source, m.end, m.detected)
	}
	return text
}

// eventsOfGroups are random events that have addresses besides.
func eventsOfGroups(r *rand.Rand, n int, length time.Duration) []*event.Event {
	events := randomEvents(r, n, length)
	for _, e := range events {
		var ips []string
		for range r.IntN(3) {
			ips = append(ips, fmt.Sprint("10.0.0.", 1+r.IntN(3)))
		}
		switch {
		case len(ips) == 1 && r.IntN(2) == 0:
			e.SetString("source.ip", ips[0])
		case len(ips) > 0:
			e.Set("source.ip", event.Strings(ips...))
		}
	}
	return events
}

// What threshold rules and rules that fold alerts find in a replay is what counting by hand finds, and it is the same when
// every slot is looked at.
func TestGroupsAreCounting(t *testing.T) {
	found, folded := 0, 0
	randomly(t, 300, func(t *testing.T, r *rand.Rand, name string) {
		g := randomGrouping(r)
		if r.IntN(3) > 0 {
			g.value, g.alone = 1+r.IntN(4), false
			if r.IntN(4) == 0 {
				g.fields = nil
			}
			if g.folds = g.lasts > 0; r.IntN(3) == 0 && len(g.fields) < 2 {
				g.different = 1 + r.IntN(3)
			}
		}
		events := eventsOfGroups(r, 1+r.IntN(60), time.Duration(1+r.IntN(30))*time.Hour)
		p := g.program(t, "groups")
		var want []string
		for _, m := range g.counting(g.windows(t, p, events), g.facts(events)) {
			want = append(want, g.says(m))
			found++
			folded += max(0, m.folded)
		}
		slices.Sort(want)
		for _, every := range []bool{false, true} {
			db, now := mem.New(nil), clock()
			load(t, db, now, events...)
			report := run(t, db, now, replay.Options{EverySlot: every}, p)
			got := []string{}
			for _, a := range stored(t, db) {
				got = append(got, g.said(a))
			}
			slices.Sort(got)
			if diff := gocmp.Diff(want, got, gocmp.Transformer("none", func(s []string) []string { return append([]string{}, s...) })); diff != "" {
				t.Fatalf("%s: %+v, every slot %t:\n%s", name, g, every, diff)
			}
			var told []string
			for _, a := range report.Alerts {
				told = append(told, g.said(a))
			}
			slices.Sort(told)
			if !slices.Equal(got, told) && len(got) > 0 {
				t.Fatalf("%s: the report does not say what is stored:\n%s", name, gocmp.Diff(got, told))
			}
		}
	})
	if found < 1000 || folded < 1000 {
		t.Errorf("%d alerts, %d folded: the test shows nothing", found, folded)
	}
}

// However data land and whatever fails on the way, every event of a group belongs to one alert, once: it is the alert's own
// or is listed among what is folded into it, and the counts say how many these are.
func TestFoldedOnce(t *testing.T) {
	members, late, released := 0, 0, 0
	randomly(t, 120, func(t *testing.T, r *rand.Rand, name string) {
		g := randomGrouping(r)
		g.window = strings.TrimSuffix(g.window, "\nto='now-2m'") // which leaves gaps between windows
		if r.IntN(2) == 0 {
			g.most = 1 // what is left out is released later
		}
		p := g.program(t, "groups")
		events := eventsOfGroups(r, 1+r.IntN(60), time.Duration(1+r.IntN(30))*time.Hour)
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		db, now := mem.New(nil), clock()
		for rest := events; len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			load(t, db, now, rest[:n]...)
			if rest = rest[n:]; len(rest) > 0 {
				late++
			}
			fault := &failing{Store: db, n: 1 + r.IntN(3), after: r.IntN(2) == 0}
			if _, err := replay.Run(ctx, fault, []*detect.Program{p}, replay.Options{Clock: now}); err != nil && !errors.Is(err, errPower) {
				t.Fatal(err)
			}
			released += run(t, db, now, replay.Options{}, p).Rules[0].Released
		}
		for pending := true; pending; {
			report := run(t, db, now, replay.Options{}, p).Rules[0]
			released += report.Released
			pending = report.PendingWindows > 0
		}
		want := []string{}
		for _, s := range g.facts(events) {
			for _, group := range s.groups {
				want = append(want, group+" "+s.id)
			}
			if len(s.groups) == 0 {
				want = append(want, s.id)
			}
		}
		got := []string{}
		for _, a := range stored(t, db) {
			group := ""
			if terms := a.Get("kibana.alert.suppression.terms"); !terms.IsNull() {
				group = string(terms.AppendJSON(nil)) + " "
			}
			got = append(got, group+a.Text("tocsin.alert.evidence_id"))
			list, err := detect.FoldedInto(ctx, db, p.Rule.UUID(), a.ID)
			if err != nil {
				t.Fatal(err)
			}
			n := int64(0)
			for _, f := range list {
				n += f.Count
				for _, e := range f.Events {
					got = append(got, group+e.ID)
				}
			}
			if group != "" && a.Get("kibana.alert.suppression.docs_count").Int() != n {
				t.Fatalf("%s: %+v: docs_count is %s where %d were folded", name, g, a.Text("kibana.alert.suppression.docs_count"), n)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		members += len(got)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("%s: %+v:\n%s", name, g, diff)
		}
	})
	if members < 1000 || late < 100 || released < 30 {
		t.Errorf("%d events, %d times late, %d alerts released: the test shows nothing", members, late, released)
	}
}

// A new-terms rule that folds alerts finds what it finds without, whatever lands late: as alerts, or folded into them.
func TestFoldedTermsAreTerms(t *testing.T) {
	terms, folded := 0, 0
	randomly(t, 120, func(t *testing.T, r *rand.Rand, name string) {
		g := randomGrouping(r)
		text := g.window + "\nmax_signals=1000\nquery='event.action: login'\n"
		if g.ingested {
			text += "timestamp_override='event.ingested'\n"
		}
		duration, strategy := "", "suppress"
		if g.lasts > 0 {
			duration = fmt.Sprintf("duration={value=%d,unit='m'}", int(g.lasts/time.Minute))
		}
		if g.alone {
			strategy = "doNotSuppress"
		}
		list := func(folding string) *detect.Program {
			return program(t, "terms", "type='new_terms'\n"+text+folding+"[rule.new_terms]\nfield='new_terms_fields'\nvalue=['user.name']\n"+
				"[[rule.new_terms.history_window_start]]\nfield='history_window_start'\nvalue='now-6h'")
		}
		plain := list("")
		folds := list("[rule.alert_suppression]\ngroup_by=['source.ip']\nmissing_fields_strategy='" + strategy + "'\n" + duration + "\n")
		events := eventsOfGroups(r, 1+r.IntN(60), time.Duration(1+r.IntN(30))*time.Hour)
		if r.IntN(2) == 0 {
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		}
		stores, now := [2]store.Store{mem.New(nil), mem.New(nil)}, clock()
		for rest := events; len(rest) > 0; {
			n := 1 + r.IntN(len(rest))
			for i, p := range []*detect.Program{plain, folds} {
				load(t, stores[i], now, rest[:n]...)
				run(t, stores[i], now, replay.Options{}, p)
			}
			rest = rest[n:]
		}
		var found [2][]string
		for i, db := range stores {
			for _, a := range stored(t, db) {
				found[i] = append(found[i], a.Text("tocsin.alert.tuple")+" "+a.Text("tocsin.alert.evidence_id"))
				n, err := detect.FoldedInto(ctx, db, plain.Rule.UUID(), a.ID)
				if err != nil {
					t.Fatal(err)
				}
				if terms := a.Get("kibana.alert.suppression.terms"); i == 1 && !terms.IsNull() && a.Get("kibana.alert.suppression.docs_count").Int() != int64(len(n)) {
					t.Fatalf("%s: docs_count is %s where %d were folded", name, a.Text("kibana.alert.suppression.docs_count"), len(n))
				}
			}
			records, err := db.List(ctx, detect.FoldKind, "", 10_000)
			if err != nil {
				t.Fatal(err)
			}
			for _, record := range records {
				events, err := db.Get(ctx, detect.FoldEventsKind, record.ID)
				if err != nil {
					t.Fatal(err)
				}
				var f struct {
					Tuple  string
					Events []detect.FoldedEvent
				}
				if err := errors.Join(json.Unmarshal(record.Data, &f), json.Unmarshal(events.Data, &f)); err != nil {
					t.Fatal(err)
				}
				found[i] = append(found[i], f.Tuple+" "+f.Events[0].ID)
				folded++
			}
			slices.Sort(found[i])
		}
		terms += len(found[0])
		if diff := gocmp.Diff(found[0], found[1]); diff != "" {
			t.Fatalf("%s: %+v:\n%s", name, g, diff)
		}
	})
	if terms < 500 || folded < 100 {
		t.Errorf("%d new terms, %d folded: the test shows nothing", terms, folded)
	}
}
