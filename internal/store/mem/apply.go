package mem

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// commit is what a change comes to. It is made without touching the store, which then takes all of it.
type commit struct {
	store.Outcome
	at       time.Time
	rows     []exec.Stored
	ids      map[docID]string
	alerts   map[string]bool
	landings map[string]*landed
	records  map[recordID]store.Record
	deleted  map[recordID]bool
}

// landed are the times of a stream's new events.
type landed struct{ time, ingested []time.Time }

// Apply commits c whole or not at all.
func (s *Store) Apply(ctx context.Context, c *store.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := c.At.Truncate(time.Millisecond)
	if at.Before(s.committed) {
		return fmt.Errorf("apply a change stamped %s after one of %s: %w", at, s.committed, store.ErrClock)
	}
	n := &commit{
		Outcome:  store.Outcome{Seq: s.seq + 1},
		at:       at,
		ids:      map[docID]string{},
		alerts:   map[string]bool{},
		landings: map[string]*landed{},
		records:  map[recordID]store.Record{},
		deleted:  map[recordID]bool{},
	}
	for i, e := range c.Events {
		if err := s.addEvent(n, e, c.Live); err != nil {
			return fmt.Errorf("apply event %d: %w", i, err)
		}
	}
	for i, e := range c.Alerts {
		if err := s.addAlert(n, e); err != nil {
			return fmt.Errorf("apply alert %d: %w", i, err)
		}
	}
	for _, w := range c.Records {
		if err := s.write(n, w); err != nil {
			return err
		}
	}
	for stream, l := range n.landings {
		w, err := store.Landing{
			Seq: n.Seq, Stream: stream, Time: store.Cluster(l.time), Ingested: store.Cluster(l.ingested),
		}.Record()
		if err == nil {
			err = s.write(n, w)
		}
		if err != nil {
			return err
		}
	}
	s.take(n, c)
	c.Outcome = n.Outcome
	return nil
}

// addEvent adds a copy of e to n, unless it is a duplicate.
func (s *Store) addEvent(n *commit, e *event.Event, live bool) error {
	t, ok := timeAt(e)
	if !ok || e.Stream == "" || e.ID == "" {
		return fmt.Errorf("event %q of stream %q has no @timestamp, stream or ID", e.ID, e.Stream)
	}
	id := docID{e.Stream, store.DayOf(t), e.ID}
	source, conflict := string(e.Source.Data), false
	for {
		stored, known := n.ids[id]
		if !known {
			stored, known = s.ids[id]
		}
		if !known {
			break
		}
		if stored == source {
			n.Duplicates++
			return nil
		}
		conflict, id.id = true, store.ConflictID(id.id, e.Source.Data)
	}
	e = copyOf(e)
	e.ID = id.id
	if live {
		e.Set("event.ingested", event.String(event.FormatTime(n.at)))
	}
	n.ids[id] = source
	n.Stored++
	if conflict {
		n.Conflicts++
	}
	s.add(n, e, t)
	return nil
}

// addAlert adds a copy of the alert to n, unless its ID is known.
func (s *Store) addAlert(n *commit, e *event.Event) error {
	t, ok := timeAt(e)
	if !ok || e.ID == "" {
		return fmt.Errorf("alert %q has no @timestamp or ID", e.ID)
	}
	if s.alerts[e.ID] || n.alerts[e.ID] {
		return nil
	}
	e = copyOf(e)
	e.Stream = store.AlertStream
	n.alerts[e.ID] = true
	n.NewAlerts = append(n.NewAlerts, e.ID)
	s.add(n, e, t)
	return nil
}

func (s *Store) add(n *commit, e *event.Event, t time.Time) {
	n.rows = append(n.rows, exec.Stored{Event: e, Seq: n.Seq})
	for _, f := range e.Fields() {
		n.Misfits += s.misfits(f.Path, f.Value)
	}
	l := n.landings[e.Stream]
	if l == nil {
		l = &landed{}
		n.landings[e.Stream] = l
	}
	l.time = append(l.time, t)
	ingested := timesAt(e, plan.Ingested)
	if len(ingested) == 0 {
		ingested = append(ingested, t)
	}
	l.ingested = append(l.ingested, ingested...)
}

// misfits counts the scalars at and below path that the type declared for their path cannot read.
func (s *Store) misfits(path string, v event.Value) (n int) {
	switch v.Kind() {
	case event.KindNull:
		return 0
	case event.KindList:
		for _, item := range v.Items() {
			n += s.misfits(path, item)
		}
		return n
	case event.KindObject:
		for _, m := range v.Members() {
			n += s.misfits(path+"."+m.Key, m.Value)
		}
		return n
	}
	if s.types == nil {
		return 0
	}
	t, declared := s.types(path)
	if !declared || t == event.GeoPoint || t == event.ObjectType || t == event.Nested {
		return 0
	}
	if _, fits := event.Coerce(t, v); fits {
		return 0
	}
	return 1
}

// write adds a write of a record to n.
func (s *Store) write(n *commit, w store.RecordWrite) error {
	id := recordID{w.Kind, w.ID}
	old, exists := n.records[id]
	if !exists && !n.deleted[id] {
		old, exists = s.records[id]
	}
	if w.IfVersion == -1 && exists || w.IfVersion > 0 && (!exists || old.Version != w.IfVersion) {
		return fmt.Errorf("write record %s/%s at version %d: %w", w.Kind, w.ID, w.IfVersion, store.ErrVersion)
	}
	if w.Data == nil {
		delete(n.records, id)
		n.deleted[id] = true
		return nil
	}
	delete(n.deleted, id)
	n.records[id] = store.Record{Kind: w.Kind, ID: w.ID, Version: old.Version + 1, Data: bytes.Clone(w.Data)}
	return nil
}

// take makes n part of the store.
func (s *Store) take(n *commit, c *store.Change) {
	s.seq, s.committed, s.view = n.Seq, n.at, nil
	s.rows = append(s.rows, n.rows...)
	for id, source := range n.ids {
		s.ids[id] = source
	}
	for id := range n.alerts {
		s.alerts[id] = true
	}
	for _, st := range c.States {
		if s.states[st.Alert] == nil {
			s.states[st.Alert] = map[string]event.Value{}
		}
		s.states[st.Alert][st.Path] = st.Value
	}
	for id := range n.deleted {
		delete(s.records, id)
	}
	for id, r := range n.records {
		s.records[id] = r
	}
	for _, program := range c.Forget {
		for id := range s.sightings {
			if id.program == program {
				delete(s.sightings, id)
			}
		}
	}
	for _, row := range c.Sightings {
		id := sightingID{row.Program, row.Tuple, row.Day, row.Stream, row.Segment}
		sum := s.sightings[id]
		if sum.Count == 0 {
			sum = row
		} else {
			sum.Merge(row)
		}
		s.sightings[id] = sum
	}
}

// copyOf returns a copy that shares nothing that the caller could change.
func copyOf(e *event.Event) *event.Event {
	e = e.Clone()
	e.Source.Data = bytes.Clone(e.Source.Data)
	return e
}
