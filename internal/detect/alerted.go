package detect

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// The fields of an alert that later runs read.
const (
	fieldRule       = "kibana.alert.rule.uuid"
	fieldProgram    = "tocsin.alert.program"
	fieldTuple      = "tocsin.alert.tuple"
	fieldEvidence   = "tocsin.alert.evidence_time"
	fieldHistory    = "tocsin.alert.history.from"
	fieldKnownSince = "tocsin.alert.known_since"
	fieldEvidenceID = "tocsin.alert.evidence_id"
	fieldWindow     = "tocsin.alert.window.from"
	fieldGroup      = "kibana.alert.instance.id"
	fieldStart      = "kibana.alert.start"
	fieldStatus     = "kibana.alert.workflow_status"
)

// Alerted is what one rule alerted before: the IDs of its alerts, of new-terms alerts the tuple and the time of the
// evidence, and of alerts on groups of events what belongs to them. It is not safe for concurrent use.
type Alerted struct {
	ids      map[string]bool
	episodes map[store.Tuple][]*episode
	groups   map[string]*groupAlerts // by group
}

// episode is one alert of a tuple.
type episode struct {
	alert      string
	tuple      store.Tuple
	program    string // whose history was looked at
	evidence   time.Time
	history    time.Time // where the history that was looked at began
	knownSince time.Time // the earliest late evidence; zero: none
}

// LoadAlerted reads what the rule with this UUID alerted before; of a program that Folds, LoadFolds reads the rest.
func LoadAlerted(ctx context.Context, q store.Querier, at store.Snapshot, uuid string) (*Alerted, error) {
	a := &Alerted{ids: map[string]bool{}, episodes: map[store.Tuple][]*episode{}, groups: map[string]*groupAlerts{}}
	p := plan.Project{
		Paths: []string{fieldProgram, fieldTuple, fieldEvidence, fieldHistory, fieldKnownSince, fieldEvidenceID, fieldWindow,
			fieldGroup, fieldStart, fieldStatus, alert.SuppressionCount, alert.SuppressionStart, alert.SuppressionEnd, alert.LastDetected},
		In: plan.Filter{
			Cond: expr.In{Field: expr.Field{Path: fieldRule}, Values: []event.Value{event.String(uuid)}},
			In:   plan.Scan{Streams: []string{store.AlertStream}},
		},
	}
	err := exec.Each(ctx, q, p, at, func(e *event.Event) error {
		a.Add(e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the earlier alerts of rule %s: %w", uuid, err)
	}
	return a, nil
}

// Add notes an alert.
func (a *Alerted) Add(e *event.Event) {
	if a.ids[e.ID] {
		return
	}
	a.ids[e.ID] = true
	a.addRaised(e)
	tuple, ok := parseTuple(e.Text(fieldTuple))
	if !ok {
		return
	}
	a.episodes[tuple] = append(a.episodes[tuple], &episode{alert: e.ID, tuple: tuple, program: e.Text(fieldProgram),
		evidence: instant(e, fieldEvidence), history: instant(e, fieldHistory),
		knownSince: instant(e, fieldKnownSince)})
}

func parseTuple(text string) (t store.Tuple, ok bool) {
	b, err := hex.DecodeString(text)
	return t, err == nil && copy(t[:], b) == len(t) && len(b) == len(t)
}

func instant(e *event.Event, path string) time.Time {
	v, _ := event.Coerce(event.Date, e.Get(path))
	return v.Time()
}

// has reports whether the alert is there already.
func (a *Alerted) has(id string) bool { return a.ids[id] }

// within reports whether an alert of the tuple has its evidence in [from, to].
func (a *Alerted) within(tuple store.Tuple, from, to time.Time) bool {
	for _, e := range a.episodes[tuple] {
		if !e.evidence.Before(from) && !e.evidence.After(to) {
			return true
		}
	}
	return false
}
