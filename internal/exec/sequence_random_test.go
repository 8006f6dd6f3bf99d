package exec_test

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

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// history is a few events and what is looked for in them.
type history struct {
	events []moment // in order
	stages []phase
	until  *phase
	span   int // in milliseconds; 0: none
}

// moment is an event: its time, the stages that it is of, and the values of its two key fields.
type moment struct {
	time int
	of   int
	keys [2][]string
}

// phase is a stage: its number, the field of its key, whether null is one.
type phase struct {
	number, runs, key int
	optional, missing bool
}

func (p phase) keys(m moment) []string {
	switch {
	case m.of>>p.number&1 == 0:
		return nil
	case p.optional && len(m.keys[p.key]) == 0:
		return []string{""}
	}
	return m.keys[p.key]
}

// path is a sequence, or the beginning of one: the places of its events.
type path struct {
	key string
	at  []int
}

func (p path) last() int { return p.at[len(p.at)-1] }

// brute finds the sequences by the definition, with lists of everything that has begun and every event in hand.
func (h history) brute() (found []path) {
	var steps []phase
	for _, p := range h.stages {
		if !p.missing {
			steps = append(steps, slices.Repeat([]phase{p}, p.runs)...)
		}
	}
	var pending []path
	for e, m := range h.events {
		for n := len(steps) - 1; n >= 0; n-- {
			for _, key := range steps[n].keys(m) {
				s := path{key: key}
				pending = slices.DeleteFunc(pending, func(p path) bool {
					before := p.key == key && len(p.at) == n
					if before && (s.at == nil || p.last() > s.last()) {
						s.at = p.at
					}
					return before
				})
				if n > 0 && (s.at == nil || h.span > 0 && m.time-h.events[s.at[0]].time > h.span || h.ended(key, s.last(), e)) {
					continue
				}
				if s.at = append(s.at[:n:n], e); n < len(steps)-1 {
					pending = append(pending, s)
				} else if h.missing(s) {
					found = append(found, s)
				}
			}
		}
	}
	slices.SortFunc(found, func(a, b path) int {
		return cmp.Or(a.last()-b.last(), a.at[0]-b.at[0], cmp.Compare(a.key, b.key))
	})
	return found
}

func (h history) ended(key string, from, to int) bool {
	return h.until != nil && slices.ContainsFunc(h.events[from:to], func(m moment) bool { return slices.Contains(h.until.keys(m), key) })
}

// missing reports whether what should be missing around s is.
func (h history) missing(s path) bool {
	at := func(i int) int { return h.events[s.at[i]].time }
	first, last := at(0), at(len(s.at)-1)
	leading, trailing, n := h.stages[0].missing, h.stages[len(h.stages)-1].missing, 0
	before, after := map[bool]int{false: first, true: -1 << 40}[leading], map[bool]int{false: last, true: 1 << 40}[trailing]
	for _, p := range h.stages {
		for _, m := range h.events {
			switch there := p.missing && slices.Contains(p.keys(m), s.key); {
			case there && n == 0 && m.time < first:
				before = max(before, m.time)
			case there && n == len(s.at) && m.time > last:
				after = min(after, m.time)
			case there && n > 0 && n < len(s.at) && at(n-1) < m.time && m.time < at(n):
				return false
			}
		}
		if !p.missing {
			n += p.runs
		}
	}
	return !leading && !trailing || after-before > h.span
}

func randomHistory(r *rand.Rand) history {
	var h history
	for i := range 1 + r.IntN(4) {
		h.stages = append(h.stages, phase{number: i, runs: 1 + r.IntN(3)*r.IntN(2), key: r.IntN(4) / 3, optional: r.IntN(5) == 0})
	}
	if r.IntN(3) > 0 {
		h.span = 1 + r.IntN(20)
		if r.IntN(2) == 0 && len(h.stages) > 1 {
			for i := range 1 + r.IntN(len(h.stages)-1) {
				h.stages[(r.IntN(len(h.stages))+i)%len(h.stages)].missing = true
			}
			if !slices.ContainsFunc(h.stages, func(p phase) bool { return !p.missing }) {
				h.stages[r.IntN(len(h.stages))].missing = false
			}
		}
	}
	if r.IntN(3) == 0 {
		h.until = &phase{number: len(h.stages), key: r.IntN(2)}
	}
	now, pace := 0, 1+r.IntN(4)
	dense := 1 + r.IntN(3)
	values := [][]string{{"a"}, {"a"}, {"a"}, {"b"}, {"a", "b"}, nil}
	for range 1 + r.IntN(24) {
		now += r.IntN(pace)
		m := moment{time: now, keys: [2][]string{values[r.IntN(len(values))], values[r.IntN(len(values))]}}
		for range dense {
			m.of |= 1 << r.IntN(len(h.stages))
		}
		if r.IntN(12) == 0 {
			m.of |= 1 << len(h.stages)
		}
		h.events = append(h.events, m)
	}
	return h
}

// inPlan is what a history is to a plan: events that are not in order, and stages.
func (h history) inPlan(r *rand.Rand) ([]*event.Event, []plan.Stage, *plan.Stage) {
	events := make([]*event.Event, len(h.events))
	for i, m := range h.events {
		e := &event.Event{ID: strconv.Itoa(i), Stream: "s"}
		e.Set("@timestamp", event.Millis(int64(m.time)))
		e.Set("place", event.Int(int64(i)))
		for k, values := range m.keys {
			if len(values) > 0 {
				e.Set(fmt.Sprint("k", k), event.Strings(values...))
			}
		}
		var of []event.Value
		for b := range len(h.stages) + 1 {
			if m.of>>b&1 == 1 {
				of = append(of, event.Int(int64(b)))
			}
		}
		e.Set("of", event.List(of...))
		events[i] = e
	}
	if r.IntN(2) == 0 {
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	}
	stage := func(p phase) plan.Stage {
		return plan.Stage{Missing: p.missing, Runs: p.runs, Keys: []plan.Key{{Field: expr.Field{Path: fmt.Sprint("k", p.key)}, Optional: p.optional}},
			Cond: expr.In{Field: expr.Field{Path: "of", Type: event.Long}, Values: []event.Value{event.Int(int64(p.number))}}}
	}
	var stages []plan.Stage
	for _, p := range h.stages {
		stages = append(stages, stage(p))
	}
	if h.until == nil {
		return events, stages, nil
	}
	until := stage(*h.until)
	return events, stages, &until
}

// show prints what was found: the keys, and the places of the events.
func show(all []plan.Found) string {
	var out []string
	for _, f := range all {
		line := f.Keys[0].Text() + ":"
		for _, e := range f.Events {
			if e != nil {
				line += " " + e.ID
			}
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func showPaths(all []path) string {
	var out []string
	for _, s := range all {
		out = append(out, s.key+": "+strings.Trim(fmt.Sprint(s.at), "[]"))
	}
	return strings.Join(out, "\n")
}

func histories(t *testing.T) int {
	n := 50_000
	if text := os.Getenv("TOCSIN_HISTORIES"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// TestSequencesOfHistories holds that sequences are those that the definition gives, over random histories.
func TestSequencesOfHistories(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	some, sequences := map[string]int{}, 0
	n := histories(t)
	for i := range n {
		h := randomHistory(r)
		want := h.brute()
		events, stages, until := h.inPlan(r)
		p := plan.Sequence{In: plan.Scan{}, Stages: stages, Until: until, MaxSpan: time.Duration(h.span) * time.Millisecond, Order: asPlaced}
		if got := show(found(t, events, p)); got != showPaths(want) {
			t.Fatalf("history %d: %+v\ngot:\n%s\nwant:\n%s", i, h, got, showPaths(want))
		}
		sequences += len(want)
		count := func(name string, with history) {
			if len(want) > 0 {
				some[name]++
			}
			if showPaths(with.brute()) != showPaths(want) {
				some[name+" decides"]++
			}
		}
		count("all", h)
		if without := h; h.until != nil {
			without.until = nil
			count("until", without)
		}
		if without := h; slices.ContainsFunc(h.stages, func(p phase) bool { return p.missing }) {
			without.stages = slices.DeleteFunc(slices.Clone(h.stages), func(p phase) bool { return p.missing })
			count("missing", without)
		} else if h.span > 0 {
			without.span = 0
			count("span", without)
		}
	}
	t.Logf("%d histories, %d sequences; histories with some: %v", n, sequences, some)
	for _, name := range []string{"all", "until", "until decides", "missing", "missing decides", "span", "span decides"} {
		if some[name] < n/100 {
			t.Errorf("%s: %d histories of %d", name, some[name], n)
		}
	}
}

// bruteSamples finds the tuples of a key by trying all.
func (h history) bruteSamples(perKey int) (found []path) {
	for _, key := range []string{"", "a", "b"} {
		left := perKey
		var try func(at []int)
		try = func(at []int) {
			if len(at) == len(h.stages) && left > 0 {
				found, left = append(found, path{key, slices.Clone(at)}), left-1
			}
			for e := 0; e < len(h.events) && left > 0 && len(at) < len(h.stages); e++ {
				if !slices.Contains(at, e) && slices.Contains(h.stages[len(at)].keys(h.events[e]), key) {
					try(append(at[:len(at):len(at)], e))
				}
			}
		}
		try(nil)
	}
	return found
}

// TestSamplesOfHistories holds the same of samples.
func TestSamplesOfHistories(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	n, some, samples := histories(t)/5, 0, 0
	for i := range n {
		h := randomHistory(r)
		for i := range h.stages {
			h.stages[i].runs, h.stages[i].missing = 1, false
		}
		perKey := 1 + r.IntN(5)
		want := h.bruteSamples(perKey)
		events, stages, _ := h.inPlan(r)
		got := show(found(t, events, plan.Sample{In: plan.Scan{}, Stages: stages, PerKey: perKey, Order: asPlaced}))
		if got != showPaths(want) {
			t.Fatalf("history %d, %d for a key: %+v\ngot:\n%s\nwant:\n%s", i, perKey, h, got, showPaths(want))
		}
		if samples += len(want); len(want) > 0 {
			some++
		}
	}
	t.Logf("%d histories, %d with samples, %d in all", n, some, samples)
	if some < n/4 {
		t.Errorf("%d histories of %d have samples", some, n)
	}
}
