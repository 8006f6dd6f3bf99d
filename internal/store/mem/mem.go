// Package mem is the store in memory: slices, maps and exec. It is small, obvious and slow, and defines what the other
// engines have to do; tests that need a store use it. It keeps nothing beyond the process.
//
//	db := mem.New(nil)
//	err := db.Apply(ctx, &store.Change{At: at, Events: events})
package mem

import (
	"context"
	"sort"
	"sync"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Store is a store in memory. It is safe for concurrent use.
type Store struct {
	types func(path string) (event.Type, bool)

	mu        sync.RWMutex
	seq       uint64
	committed time.Time
	rows      []exec.Stored // in order of seq; events never change once they are here
	ids       map[docID]string
	alerts    map[string]bool
	states    map[string]map[string]event.Value
	sightings map[sightingID]store.Sighting
	records   map[recordID]store.Record
	view      *exec.Slice // of rows, the alerts with their states; nil after a change
}

var _ store.Store = (*Store)(nil)

// docID names a document; its value in Store.ids are the source bytes.
type docID struct {
	stream string
	day    store.Day
	id     string
}

type sightingID struct {
	program string
	tuple   store.Tuple
	day     store.Day
	stream  string
	segment store.Day
}

type recordID struct{ kind, id string }

// New returns an empty store. types tells the declared type of the field at a path, false where none is declared; it
// serves to count misfits, and may be nil.
func New(types func(path string) (event.Type, bool)) *Store {
	return &Store{
		types:     types,
		ids:       map[docID]string{},
		alerts:    map[string]bool{},
		states:    map[string]map[string]event.Value{},
		sightings: map[sightingID]store.Sighting{},
		records:   map[recordID]store.Record{},
	}
}

// Close does nothing.
func (s *Store) Close() error { return nil }

// Query runs p over what at shows.
func (s *Store) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	return s.slice().Query(ctx, p, at)
}

// slice returns the rows as queries see them.
func (s *Store) slice() *exec.Slice {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.view == nil {
		rows := make([]exec.Stored, len(s.rows))
		copy(rows, s.rows)
		for i, r := range rows {
			if states := s.states[r.Event.ID]; states != nil && r.Event.Stream == store.AlertStream {
				alert := r.Event.Clone()
				for path, v := range states {
					alert.Set(path, v)
				}
				rows[i].Event = alert
			}
		}
		s.view = exec.NewSlice(rows)
	}
	return s.view
}

// Latest is the snapshot of everything committed so far.
func (s *Store) Latest(context.Context) (store.Snapshot, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return store.Snapshot{Seq: s.seq, Committed: s.committed}, nil
}

// Streams returns the streams that patterns name.
func (s *Store) Streams(_ context.Context, patterns []string) ([]store.Stream, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	byName := map[string]*store.Stream{}
	paths := map[string]map[string]bool{}
	for _, r := range s.rows {
		name := r.Event.Stream
		if !store.Selects(patterns, name) {
			continue
		}
		stream := byName[name]
		if stream == nil {
			stream = &store.Stream{Name: name}
			stream.Seq.First = r.Seq
			byName[name], paths[name] = stream, map[string]bool{}
		}
		stream.Events++
		stream.Seq.Last = r.Seq
		if t, ok := timeAt(r.Event); ok {
			stream.Time = stream.Time.Include(t)
		}
		for _, t := range timesAt(r.Event, plan.Ingested) {
			stream.Ingested = stream.Ingested.Include(t)
		}
		for _, f := range r.Event.Fields() {
			addPaths(paths[name], f.Path, f.Value)
		}
	}
	out := make([]store.Stream, 0, len(byName))
	for name, stream := range byName {
		for path := range paths[name] {
			stream.Paths = append(stream.Paths, path)
		}
		sort.Strings(stream.Paths)
		stream.Paths = stream.Paths[:min(len(stream.Paths), store.MaxPaths)]
		out = append(out, *stream)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

// addPaths adds path, or the paths of the leaves where it holds a tree.
func addPaths(set map[string]bool, path string, v event.Value) {
	switch v.Kind() {
	case event.KindObject:
		for _, m := range v.Members() {
			addPaths(set, path+"."+m.Key, m.Value)
		}
	case event.KindList:
		for _, item := range v.Items() {
			addPaths(set, path, item)
		}
	case event.KindNull:
	default:
		set[path] = true
	}
}

// timeAt returns the event's @timestamp, which is one value.
func timeAt(e *event.Event) (time.Time, bool) {
	v, ok := event.Coerce(event.Date, e.Get(plan.Timestamp))
	return v.Time(), ok
}

// timesAt returns the instants of the date field at path: all that a condition on it may meet.
func timesAt(e *event.Event, path string) []time.Time {
	var out []time.Time
	for _, v := range expr.Read(expr.Field{Path: path, Type: event.Date}, e) {
		out = append(out, v.Time())
	}
	return out
}

// DropSegments removes the events of the streams that streams names (nil: all but alerts) whose day of @timestamp lies
// before the given one, with the sightings that these days fed and the landings that tell of them alone, and returns the number
// of days of streams removed.
func (s *Store) DropSegments(_ context.Context, before store.Day, streams []string) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type segment struct {
		stream string
		day    store.Day
	}
	dropped := map[segment]bool{}
	gone := func(stream string, day store.Day) bool { return day < before && store.Selects(streams, stream) }
	kept := make([]exec.Stored, 0, len(s.rows))
	for _, r := range s.rows {
		t, _ := timeAt(r.Event)
		if day := store.DayOf(t); gone(r.Event.Stream, day) {
			dropped[segment{r.Event.Stream, day}] = true
			delete(s.ids, docID{r.Event.Stream, day, r.Event.ID})
			if r.Event.Stream == store.AlertStream {
				delete(s.alerts, r.Event.ID)
				delete(s.states, r.Event.ID)
			}
			continue
		}
		kept = append(kept, r)
	}
	for id := range s.sightings {
		if gone(id.stream, id.segment) {
			delete(s.sightings, id)
		}
	}
	for id, r := range s.records {
		if id.kind != store.LandingKind {
			continue
		}
		l, err := store.ParseLanding(r)
		if err != nil {
			return 0, err
		}
		if store.Selects(streams, l.Stream) && l.Gone(before) {
			delete(s.records, id)
		}
	}
	s.rows, s.view = kept, nil
	return len(dropped), nil
}
