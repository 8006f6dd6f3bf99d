package eqltest

import (
	"sort"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// Match is a sequence that was found: its events, nil where one is missing.
type Match struct {
	Events []*event.Event
	key    string
	stage  int // of the positive stages, how many are there
	at     []int
}

// Sequences finds the sequences in events, which are in ascending order, as the language defines them: slowly, and with
// every event in hand. What finds them for users is held against it.
func Sequences(s *eql.Stages, events []*event.Event) []Match {
	var stages []eql.Stage // repeated as often as they run
	for _, st := range s.Stages {
		for range st.Runs {
			stages = append(stages, st)
		}
	}
	var positive []int
	for i, st := range stages {
		if !st.Missing {
			positive = append(positive, i)
		}
	}
	when := func(i int) time.Time {
		v, _ := event.Coerce(event.Date, events[i].Get(plan.Timestamp))
		return v.Time()
	}
	fulfils := func(st eql.Stage, i int, key string) bool {
		if expr.Matches(st.Cond, events[i]) {
			for _, k := range keysOf(st.Keys, events[i]) {
				if k == key {
					return true
				}
			}
		}
		return false
	}
	pending := map[string][]Match{}
	var found []Match
	for i, e := range events {
		for k := len(positive) - 1; k >= 0; k-- {
			st := stages[positive[k]]
			if !expr.Matches(st.Cond, e) {
				continue
			}
			for _, key := range keysOf(st.Keys, e) {
				m := Match{key: key}
				if k > 0 {
					latest, rest := -1, []Match(nil)
					for n, p := range pending[key] {
						if p.stage == k && (latest < 0 || p.at[k-1] > pending[key][latest].at[k-1]) {
							latest = n
						}
					}
					if latest < 0 {
						continue
					}
					m = pending[key][latest]
					for _, p := range pending[key] { // what is older at this stage goes too
						if p.stage != k {
							rest = append(rest, p)
						}
					}
					pending[key] = rest
					if s.MaxSpan > 0 && when(i).Sub(when(m.at[0])) > s.MaxSpan {
						continue
					}
					ended := false // an event that ends may be the last match itself, but not the present one
					for j := m.at[k-1]; j < i && s.Until != nil; j++ {
						ended = ended || fulfils(*s.Until, j, key)
					}
					if ended {
						continue
					}
				}
				m.at = append(m.at[:len(m.at):len(m.at)], i)
				m.stage = k + 1
				if m.stage < len(positive) {
					pending[key] = append(pending[key], m)
				} else if missing(stages, positive, m, s.MaxSpan, len(events), when, fulfils) {
					m.Events = make([]*event.Event, len(stages))
					for n, at := range m.at {
						m.Events[positive[n]] = events[at]
					}
					found = append(found, m)
				}
			}
		}
	}
	sort.SliceStable(found, func(a, b int) bool {
		x, y := found[a], found[b]
		if i, j := x.at[len(x.at)-1], y.at[len(y.at)-1]; i != j { // as they are completed, not as they begin
			return i < j
		}
		if x.at[0] != y.at[0] {
			return x.at[0] < y.at[0]
		}
		return x.key < y.key
	})
	return found
}

// missing reports whether no event lies where a stage says that there is none.
func missing(stages []eql.Stage, positive []int, m Match, span time.Duration, events int, when func(int) time.Time,
	fulfils func(eql.Stage, int, string) bool) bool {
	first, last := when(m.at[0]), when(m.at[len(m.at)-1])
	var before, after []time.Time // the events nearest to the sequence that leading and trailing stages name
	leading, trailing := 0, 0
	for i, st := range stages {
		if !st.Missing {
			continue
		}
		n := sort.SearchInts(positive, i) // the positive stages before it
		var nearest time.Time
		some := false
		for j := range events {
			if !fulfils(st, j, m.key) {
				continue
			}
			switch t := when(j); {
			case n > 0 && n < len(positive):
				if t.After(when(m.at[n-1])) && t.Before(when(m.at[n])) {
					return false
				}
			case n == 0 && t.Before(first) && (!some || t.After(nearest)), n > 0 && t.After(last) && (!some || t.Before(nearest)):
				nearest, some = t, true
			}
		}
		switch {
		case n == 0:
			if leading++; some {
				before = append(before, nearest)
			}
		case n == len(positive):
			if trailing++; some {
				after = append(after, nearest)
			}
		}
	}
	if trailing == 0 {
		after = append(after, last)
	}
	if leading == 0 {
		before = append(before, first)
	}
	for _, l := range before {
		for _, t := range after {
			if leading+trailing > 0 && t.Sub(l) <= span {
				return false
			}
		}
	}
	return true
}

// keysOf are the keys of an event: every combination of the values of the fields, none where one is missing that need not.
func keysOf(keys []eql.Key, e *event.Event) []string {
	out := []string{""}
	for _, k := range keys {
		var values []string
		if !k.Absent {
			for _, v := range expr.Read(k.Field, e) {
				if v.Kind() == event.KindFloat { // numbers are equal whatever their type
					v = event.Int(v.Int())
				}
				values = append(values, v.Text())
			}
		}
		if len(values) == 0 && (k.Optional || k.Absent) {
			values = []string{"\x00"}
		}
		sort.Strings(values)
		var more []string
		for _, prefix := range out {
			for i, v := range values {
				if i == 0 || v != values[i-1] {
					more = append(more, prefix+"\x01"+v)
				}
			}
		}
		out = more
	}
	return out
}

// Differences are the sequences of the corpus that come out in another way, and why.
var Differences = map[string]string{
	"sequenceWithVersionRangeCheck":  noVersions,
	"sequenceWithVersionRangeCheck2": noVersions,
}

const noVersions = "the type version is read as a keyword, whose order is that of bytes: 1.11.3 lies before 1.5.0"

// RunSequences runs the sequences of the corpus with find; the tally has the given name. Queries of other kinds are
// counted as skipped.
func RunSequences(t *testing.T, name string, find func(s *eql.Stages, events []*event.Event) []Match) {
	tally := corpus.NewTally(t, name)
	data := map[string]*Data{}
	found := 0
	for _, c := range Cases(t) {
		d := data[c.Set]
		if d == nil {
			d = ReadData(t, c.Set)
			data[c.Set] = d
			sort.SliceStable(d.Events, func(a, b int) bool {
				x, _ := event.Coerce(event.Date, d.Events[a].Get(plan.Timestamp))
				y, _ := event.Coerce(event.Date, d.Events[b].Get(plan.Timestamp))
				if n := event.Compare(x, y); n != 0 {
					return n < 0
				}
				return d.Number(d.Events[a]) < d.Number(d.Events[b])
			})
		}
		q, err := eql.Parse(c.Query)
		if err != nil {
			tally.Fail(c.Name, diag.Of(err).Render())
			continue
		}
		p, err := eql.Lower(q, eql.Options{Resolver: d.Fields})
		if err != nil {
			tally.Fail(c.Name, diag.Of(err).Render())
			continue
		}
		if p.Sequence == nil {
			tally.Skip(c.Name, "no sequence")
			continue
		}
		matches := find(p.Sequence, d.Events)
		for _, pipe := range p.Pipes {
			if n := min(pipe.N, len(matches)); pipe.Tail {
				matches = matches[len(matches)-n:]
			} else {
				matches = matches[:n]
			}
		}
		got := []int{}
		for _, m := range matches {
			for _, e := range m.Events {
				if e == nil {
					got = append(got, -1)
				} else {
					got = append(got, d.Number(e))
				}
			}
		}
		diff := cmp.Diff(c.Want[0], got)
		why, known := Differences[c.Name]
		switch {
		case known && diff == "":
			tally.Fail(c.Name, "comes out as recorded, and is listed as different: "+why)
		case known:
			tally.Skip(c.Name, why)
		case diff != "":
			tally.Fail(c.Name, "events (-want +got):\n"+diff+c.Query)
		default:
			tally.Pass()
			found += len(matches)
		}
	}
	if found == 0 {
		t.Error("no sequence was found")
	}
}
