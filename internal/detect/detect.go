// Package detect runs one rule over one window: Compile makes a Program of a rule once, Run runs it as often as there
// are windows. Live runs, scans, previews, back-tests and rule tests all call this Run; there is no second path.
//
// It decides what an alert is. When a window is run is schedule's matter, what an alert document holds is alert's.
// Nothing is written here: the Result goes into one Change together with the record of the run.
//
//	program, err := detect.Compile(r, resolver)
//	w, err := program.Window(slot)
//	result, err := detect.Run(ctx, program, w, env)
//	change.Alerts = append(change.Alerts, result.Alerts...) // and result.States, result.Records
package detect

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// Space is the space that alerts live in.
const Space = "default"

// Env is what a run reads from.
type Env struct {
	// Events answers for the window: the store, or a Querier over the candidates that a replay fetched once.
	Events store.Querier
	// Store answers for what lies before the window.
	Store store.Querier
	// Indicators answers for indicators, of a rule that Matches them; nil: Store does.
	Indicators store.Querier
	// At is the snapshot that is read.
	At store.Snapshot
	// Begin is when the data of the rule's streams begin, in the rule's time field; the zero time where there are none.
	Begin time.Time
	// Alerted is what the rule alerted before, the alerts of this replay that are not committed yet included.
	Alerted *Alerted
	// Index holds the sightings of a program that Remembers, folded up to At; nil for others.
	Index *sighting.Index
	// Limit is how many alerts the run makes at most; 0: as many as the rule says. None is for none.
	Limit int
	// Since is the Since of an earlier run over the same window and nothing that landed later: what comes before it needs no
	// second look. Zero: the whole window.
	Since time.Time
	// Direct says that Events reads the store itself: whole events are then fetched for alerts alone.
	Direct bool
	// Manual says that a person asked for the run.
	Manual bool
}

// None is the Env.Limit of a run that makes no alert: it counts what it would make, and folds into alerts that there are.
const None = -1

// Result is what one run found. It takes effect when it is committed.
type Result struct {
	// Candidates counts the events of the window that matched the query.
	Candidates int
	// Alerts are the new alerts, at most Env.Limit or the rule's maximum, oldest evidence first. Blocks counts those among
	// them that the alert on a sequence is made of: they come after it, and do not count towards the maximum.
	Alerts []*event.Event
	Blocks int
	// Folded counts what was folded into alerts, the new ones among them. States and Records are what is to be stored of it.
	Folded  int64
	States  []store.AlertState
	Records []store.RecordWrite
	// Over counts the new alerts beyond the maximum, which were not made; Since is the time of the first event of these, in
	// the rule's time field.
	Over  int
	Since time.Time

	folds []*fold
}

// executor is one rule type: it turns the events of a window into alerts.
type executor interface {
	run(ctx context.Context, p *Program, w window.Window, env Env) (Result, error)
}

// executors has one entry for each rule type that can run.
var executors = map[string]executor{
	rule.TypeQuery:       query{},
	rule.TypeSavedQuery:  query{}, // once its query is looked up it is nothing else (rule-execution.md §3.5)
	rule.TypeNewTerms:    newTerms{},
	rule.TypeThreshold:   threshold{},
	rule.TypeEQL:         eqlRule{},
	rule.TypeThreatMatch: threatRule{},
}

// Run runs p over w. It is deterministic: the same snapshot, window and history give the same alerts with the same IDs.
// The alerts and what is folded into them are noted in env.Alerted, so a Result that is not committed must not be followed by another run with the
// same Alerted.
func Run(ctx context.Context, p *Program, w window.Window, env Env) (Result, error) {
	result, err := executors[p.Rule.Type].run(ctx, p, w, env)
	if err != nil {
		return Result{}, fmt.Errorf("run rule %s over %s … %s: %w", p.Rule.RuleID, event.FormatTime(w.From), event.FormatTime(w.To), err)
	}
	for _, a := range result.Alerts {
		env.Alerted.Add(a)
	}
	result.States, result.Records, err = env.Alerted.take(result.folds, p.uuid, result.Alerts, w.Slot)
	return result, err
}

// leave counts a new alert that is not made, on an event at t.
func (r *Result) leave(t time.Time) {
	if r.Over == 0 || t.Before(r.Since) {
		r.Since = t
	}
	r.Over++
}

// most is how many alerts a run of p makes at most.
func (e Env) most(p *Program) int {
	switch {
	case e.Limit > 0:
		return e.Limit
	case e.Limit < 0:
		return 0
	}
	return p.Rule.MaxSignals
}

// input is what every alert of a run is made from.
func (p *Program) input(w window.Window, env Env, source *event.Event, id string) alert.Input {
	return alert.Input{Rule: p.Rule, Source: source, ID: id, Time: w.Slot, Manual: env.Manual}
}
