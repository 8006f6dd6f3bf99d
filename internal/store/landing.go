package store

import (
	"encoding/json"
	"fmt"
	"sort"
	"time"
)

// LandingKind is the kind of the records in which Apply tells where events landed, one a commit and stream. They mark
// windows dirty: a window that ran at seq r is to be run again if a landing with a greater seq lies in it.
const LandingKind = "landing"

// MaxLandingSpans bounds the spans of one landing; more are merged where the gaps between them are least.
const MaxLandingSpans = 64

// Landing says in which stretches of time the events of one commit lie.
type Landing struct {
	Seq      uint64 `json:"seq"`
	Stream   string `json:"stream"`
	Time     []Span `json:"time"`     // of @timestamp
	Ingested []Span `json:"ingested"` // of event.ingested, or @timestamp where an event has none
}

// Gone reports whether everything that landed lies on days before the given one: once these are dropped it tells of nothing.
func (l Landing) Gone(before Day) bool {
	for _, s := range l.Time {
		if DayOf(s.To) >= before {
			return false
		}
	}
	return true
}

// LandingID is the record ID of a landing; IDs sort by seq. LandingID(seq+1, "") lists those after seq.
func LandingID(seq uint64, stream string) string { return fmt.Sprintf("%016x/%s", seq, stream) }

// Record returns l as the record to write.
func (l Landing) Record() (RecordWrite, error) {
	data, err := json.Marshal(l)
	if err != nil {
		return RecordWrite{}, fmt.Errorf("encode landing %d: %w", l.Seq, err)
	}
	return RecordWrite{Kind: LandingKind, ID: LandingID(l.Seq, l.Stream), Data: data}, nil
}

// ParseLanding reads a landing back.
func ParseLanding(r Record) (Landing, error) {
	var l Landing
	if err := json.Unmarshal(r.Data, &l); err != nil {
		return Landing{}, fmt.Errorf("decode landing %s: %w", r.ID, err)
	}
	return l, nil
}

// Cluster covers times by at most MaxLandingSpans spans, bridging the least gaps first, and never one beyond 15 minutes
// unless there are too many. It sorts times.
func Cluster(times []time.Time) []Span {
	if len(times) == 0 {
		return nil
	}
	sort.Slice(times, func(i, j int) bool { return times[i].Before(times[j]) })
	var gaps []time.Duration
	for i := 1; i < len(times); i++ {
		if gap := times[i].Sub(times[i-1]); gap > 15*time.Minute {
			gaps = append(gaps, gap)
		}
	}
	least := 15 * time.Minute
	if len(gaps) >= MaxLandingSpans {
		sort.Slice(gaps, func(i, j int) bool { return gaps[i] > gaps[j] })
		least = gaps[MaxLandingSpans-1]
	}
	spans := []Span{{times[0], times[0]}}
	for _, t := range times[1:] {
		last := &spans[len(spans)-1]
		if t.Sub(last.To) > least {
			spans = append(spans, Span{t, t})
		}
		spans[len(spans)-1].To = t
	}
	return spans
}
