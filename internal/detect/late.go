package detect

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// AuditKind is the kind of the records that say why an alert's state changed without a person doing it.
const AuditKind = "audit"

// lateAudit is such a record.
type lateAudit struct {
	Alert  string `json:"alert"`
	Field  string `json:"field"`
	Value  string `json:"value"`
	Event  string `json:"event"`
	Reason string `json:"reason"`
}

// LateEvidence marks the alerts of the index's program that events proved wrong which landed late: their tuple was seen
// before the alert's evidence, within the history that the alert looked at. Each gets the time of the first such event
// as its "known since", and the change an audit record.
func (a *Alerted) LateEvidence(ctx context.Context, x *sighting.Index) ([]store.AlertState, []store.RecordWrite, error) {
	program := x.Program().ID()
	var episodes []*episode
	for _, list := range a.episodes {
		for _, e := range list {
			if e.program == program {
				episodes = append(episodes, e)
			}
		}
	}
	slices.SortFunc(episodes, func(a, b *episode) int { return cmp.Compare(a.alert, b.alert) })
	if err := x.Load(ctx, tuplesOfEpisodes(episodes)); err != nil {
		return nil, nil, err
	}
	var states []store.AlertState
	var records []store.RecordWrite
	for _, e := range episodes {
		first, ok, err := x.First(ctx, e.tuple, sighting.Span{From: e.history, To: e.evidence.Add(-time.Millisecond)})
		if err != nil {
			return nil, nil, err
		}
		if !ok || !e.knownSince.IsZero() && !first.Time.Before(e.knownSince) {
			continue
		}
		e.knownSince = first.Time
		since := event.FormatTime(first.Time)
		states = append(states, store.AlertState{Alert: e.alert, Path: fieldKnownSince, Value: event.String(since)})
		data, err := json.Marshal(lateAudit{Alert: e.alert, Field: fieldKnownSince, Value: since, Event: first.Event,
			Reason: "an event that landed late holds the same values, within the history that the alert looked at"})
		if err != nil {
			return nil, nil, fmt.Errorf("encode the audit record of alert %s: %w", e.alert, err)
		}
		records = append(records, store.RecordWrite{Kind: AuditKind, ID: e.alert + "/known-since/" + since, Data: data})
	}
	return states, records, nil
}

func tuplesOfEpisodes(list []*episode) []store.Tuple {
	tuples := make([]store.Tuple, len(list))
	for i, e := range list {
		tuples[i] = e.tuple
	}
	return tuples
}
