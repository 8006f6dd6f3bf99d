package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
)

// Result is the figures of one run by which two commits are compared: what is sought is high for events a second, low for
// all others.
type Result struct {
	Limit         float64            `json:"limit_events_per_s"`
	BareCopy      float64            `json:"bare_copy_events_per_s"`
	EndToEnd      float64            `json:"end_to_end_events_per_s"`
	Stages        map[string]float64 `json:"stages"` // events a second, by name
	PeakMemory    int64              `json:"peak_memory_bytes"`
	BytesPerEvent float64            `json:"bytes_per_event"`
	RuleLastHour  map[int]float64    `json:"rule_last_hour_ms"` // by the number of events stored
	NewTerms      map[int]float64    `json:"new_terms_ms"`      // by days of history
	LongestCommit float64            `json:"longest_commit_ms"`

	QueryLastHour map[int]float64 `json:"-"` // as RuleLastHour, of a query rule: held to the same bar
	ValueLists    []Ratio         `json:"-"` // of rules with a value list of a million entries to one without
}

// Ratio is how many times as long something took as what it is compared with.
type Ratio struct {
	Name  string
	Value float64
}

// WriteJSON writes r as one JSON object on lines of its own, with three digits behind the point.
func (r Result) WriteJSON(w io.Writer) error {
	for _, f := range []*float64{&r.Limit, &r.BareCopy, &r.EndToEnd, &r.BytesPerEvent, &r.LongestCommit} {
		*f = rounded(*f)
	}
	r.Stages, r.RuleLastHour, r.NewTerms = allRounded(r.Stages), allRounded(r.RuleLastHour), allRounded(r.NewTerms)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

func rounded(f float64) float64 { return math.Round(f*1000) / 1000 }

func allRounded[K comparable](m map[K]float64) map[K]float64 {
	out := make(map[K]float64, len(m))
	for k, f := range m {
		out[k] = rounded(f)
	}
	return out
}

// Bar is what a figure is to reach.
type Bar struct {
	Name  string
	Value float64
	Unit  string
	Bound float64
	Least bool // Bound is the least that Value may be, otherwise the most
}

// Met reports whether the figure is good enough.
func (b Bar) Met() bool {
	if b.Least {
		return b.Value >= b.Bound
	}
	return b.Value <= b.Bound
}

func (b Bar) String() string {
	sign, verdict := "<=", "missed"
	if b.Least {
		sign = ">="
	}
	if b.Met() {
		verdict = "met"
	}
	return fmt.Sprintf("%s, the bar is %s %s", verdict, sign, number(b.Bound))
}

// million is the size that larger ones are compared with.
const million = 1_000_000

// Bars are what r is held to. A ratio of two sizes, or of two histories, is left out where fewer were measured.
func (r Result) Bars() []Bar {
	bars := []Bar{{Name: "end to end / bare copy", Value: r.EndToEnd / r.BareCopy, Bound: 0.4, Least: true}}
	for _, rule := range []struct {
		name string
		took map[int]float64
	}{{"last hour", r.RuleLastHour}, {"last hour, query", r.QueryLastHour}} {
		sizes := slices.Sorted(maps.Keys(rule.took))
		if len(sizes) < 2 {
			continue
		}
		least, most := sizes[0], sizes[len(sizes)-1]
		if most > million && slices.Contains(sizes, million) {
			least = million
		}
		bars = append(bars, Bar{Name: fmt.Sprintf("%s, %s / %s events", rule.name, number(float64(most)), number(float64(least))),
			Value: rule.took[most] / rule.took[least], Bound: 1.2})
	}
	if days := slices.Sorted(maps.Keys(r.NewTerms)); len(days) > 1 {
		least, most := days[0], days[len(days)-1]
		bars = append(bars, Bar{Name: fmt.Sprintf("new terms, %d / %d days", most, least),
			Value: r.NewTerms[most] / r.NewTerms[least], Bound: 1.2})
	}
	for _, l := range r.ValueLists {
		bars = append(bars, Bar{Name: l.Name + " / without", Value: l.Value, Bound: 2})
	}
	return append(bars,
		Bar{Name: "peak memory", Value: float64(r.PeakMemory) / (1 << 20), Unit: "MiB", Bound: 1024},
		Bar{Name: "bytes an event", Value: r.BytesPerEvent, Unit: "bytes", Bound: 200})
}
