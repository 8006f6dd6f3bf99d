package detect_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// joined is an event or an indicator of the brute-force join: the values of its fields as they are written.
type joined struct {
	id     string
	hour   int // of 9 March
	values map[string][]string
}

func (j joined) document() *event.Event {
	e := &event.Event{ID: j.id, Stream: stream}
	e.Set("@timestamp", event.String(fmt.Sprintf("2026-03-09T%02d:00:00.000Z", j.hour)))
	e.Set("event.action", event.String("login"))
	for field, values := range j.values {
		e.Set(field, event.Strings(values...))
		e.Set("labels", event.Object(event.Member{Key: "id", Value: event.String(j.id)}))
	}
	return e
}

// The fields that are compared, of events and of indicators, with values of either.
var joinedFields = []struct {
	event, indicator  string
	values, indicated []string
	same              func(v, w string) bool
}{
	{"user.name", "threat.user", []string{"a", "b", "c"}, []string{"a", "b", "B"}, func(v, w string) bool { return v == w }},
	{"host.name", "host.name", []string{"g", "h"}, []string{"g", "h"}, func(v, w string) bool { return v == w }},
	{"source.ip", "threat.ip", []string{"10.0.0.1", "10.0.0.2", "::1", "x"}, []string{"10.0.0.2", "10.0.0.0/31", "0.0.0.0/0", "::/1", "x"}, func(v, w string) bool {
		a, err := netip.ParseAddr(v)
		if err != nil {
			return false
		}
		if p, err := netip.ParsePrefix(w); err == nil {
			return p.Contains(a) || p == netip.MustParsePrefix("::/1") // where the long form of short addresses lies
		}
		b, err := netip.ParseAddr(w)
		return err == nil && a == b
	}},
	{"user.id", "threat.id", []string{"1", "2", "3"}, []string{"1", "2", "2.5", "two"}, func(v, w string) bool {
		a, _ := strconv.ParseFloat(v, 64)
		b, err := strconv.ParseFloat(w, 64)
		return err == nil && a == b
	}},
	{"message", "threat.words", []string{"red fox", "Blue fox", "green"}, []string{"RED wine", "fox", "yellow"}, func(v, w string) bool {
		return slices.ContainsFunc(strings.Fields(strings.ToLower(v)), func(word string) bool {
			return slices.Contains(strings.Fields(strings.ToLower(w)), word)
		})
	}},
}

// whole are alerts as documents.
func whole(alerts []*event.Event) (out []string) {
	for _, a := range alerts {
		out = append(out, string(a.AppendJSON(nil, alert.Dotted)))
	}
	return out
}

// present are the values that a field can hold: of addresses and numbers no others, but an indicator may be a network.
func present(field int, values []string, indicating bool) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return field == 2 && v == "x" && !indicating })
}

// Rules of random comparisons alert on what a join finds that compares every event with every indicator, and name the
// indicators that it finds.
func TestIndicatorsAreAJoin(t *testing.T) {
	n, seed := setting(t, "TOCSIN_JOINS", 6_000), setting(t, "TOCSIN_SEED", 1)
	t.Logf("%d cases from seed %d (TOCSIN_JOINS, TOCSIN_SEED)", n, seed)
	alerts, negated, dated, expired := 0, 0, 0, 0
	for i := seed; i < seed+n && !t.Failed(); i++ {
		r := rand.New(rand.NewPCG(i, 7))
		some := func(of []string) (out []string) {
			for _, v := range of {
				if r.IntN(3) == 0 {
					out = append(out, v)
				}
			}
			return out
		}
		var events, indicators []joined
		for k := range 1 + r.IntN(5) {
			j := joined{fmt.Sprint("e", k), 10, map[string][]string{}}
			for _, f := range joinedFields {
				if v := some(f.values); v != nil {
					j.values[f.event] = v
				}
			}
			events = append(events, j)
		}
		for k := range r.IntN(6) {
			j := joined{fmt.Sprint("i", k), r.IntN(24), map[string][]string{}}
			for _, f := range joinedFields {
				if v := some(f.indicated); v != nil {
					j.values[f.indicator] = v
				}
			}
			indicators = append(indicators, j)
		}
		type entry struct {
			field  int
			negate bool
		}
		var groups [][]entry
		var written []string
		for range 1 + r.IntN(3) {
			var group []entry
			var texts []string
			fields := r.Perm(len(joinedFields))[:1+r.IntN(3)]
			for k, f := range fields {
				e := entry{f, k > 0 && r.IntN(2) == 0}
				group = append(group, e)
				text := joinedFields[f].event + "=" + joinedFields[f].indicator
				if e.negate {
					negated++
					text = "!" + text
				}
				texts = append(texts, text)
			}
			r.Shuffle(len(group), func(a, b int) { group[a], group[b] = group[b], group[a]; texts[a], texts[b] = texts[b], texts[a] })
			groups, written = append(groups, group), append(written, strings.Join(texts, " & "))
		}
		since, more := 0, ""
		if r.IntN(2) == 0 {
			since = r.IntN(10)
			more = fmt.Sprintf("threat_query='@timestamp >= \"now-%dh\"'", 10-since)
			dated++
		}

		var want []string
		for _, e := range events {
			text := ""
			order := slices.Clone(indicators)
			slices.SortStableFunc(order, func(a, b joined) int { return b.hour - a.hour })
			for _, ind := range order {
				holds := func(en entry) bool {
					f := joinedFields[en.field]
					v, w := present(en.field, e.values[f.event], false), present(en.field, ind.values[f.indicator], true)
					common := slices.ContainsFunc(v, func(a string) bool { return slices.ContainsFunc(w, func(b string) bool { return f.same(a, b) }) })
					if en.negate {
						return !common && len(v)+len(w) > 0
					}
					return common
				}
				said := map[int]bool{}
				for _, g := range groups {
					if slices.ContainsFunc(g, func(en entry) bool { return !holds(en) }) {
						continue
					}
					for _, en := range g {
						f := joinedFields[en.field]
						if en.negate || said[en.field] {
							continue
						}
						said[en.field] = true
						if ind.hour < since {
							expired++
							continue
						}
						k := slices.IndexFunc(e.values[f.event], func(a string) bool {
							return slices.ContainsFunc(ind.values[f.indicator], func(b string) bool { return f.same(a, b) })
						})
						text += fmt.Sprintf(" %s %s=%s", ind.id, f.event, e.values[f.event][k])
					}
				}
			}
			if text != "" {
				want = append(want, e.id+":"+text)
			}
		}
		slices.Sort(want)

		b := newBench(t)
		var docs []*event.Event
		for _, e := range events {
			docs = append(docs, e.document())
		}
		for _, ind := range indicators {
			d := ind.document()
			d.Stream = feed
			docs = append(docs, d)
		}
		b.land(docs...)
		p := compile(t, parse(t, "join", indicatorRule(strings.Join(written, " | "), more)))
		if r.IntN(2) == 0 {
			latest, err := b.db.Latest(ctx)
			if err == nil {
				p, err = p.Bind(ctx, b.db, latest)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		w, err := p.Window(at(t, "9 10:00"))
		if err != nil {
			t.Fatal(err)
		}
		env := b.env(p)
		env.Direct = true // reads events narrowly first: the alerts are the same
		direct, err := detect.Run(ctx, p, w, env)
		if err != nil {
			t.Fatal(err)
		}
		result := b.run(p, w)
		if diff := gocmp.Diff(whole(result.Alerts), whole(direct.Alerts)); diff != "" {
			t.Errorf("seed %d: alerts (-) and those of a run that reads the store (+): %s", i, diff)
		}
		got := matchesOf(result.Alerts)
		if diff := gocmp.Diff(append([]string{}, want...), got); diff != "" {
			t.Errorf("seed %d: %s %s\nevents %v\nindicators %v\n%s", i, strings.Join(written, " | "), more, events, indicators, diff)
		}
		alerts += len(got)
	}
	if n >= 1000 && (alerts < int(n)/4 || negated < int(n)/4 || dated < int(n)/4 || expired < int(n)/20) {
		t.Errorf("%d alerts, %d negated comparisons, %d rules with date math, %d matches of indicators that no longer count: too few", alerts, negated, dated, expired)
	}
	t.Logf("%d alerts, %d negated comparisons, %d rules with date math, %d matches of indicators that no longer count", alerts, negated, dated, expired)
}
