package mem

import (
	"bytes"
	"context"
	"fmt"
	"sort"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// Get returns one record, or store.ErrNotFound.
func (s *Store) Get(_ context.Context, kind, id string) (store.Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	r, ok := s.records[recordID{kind, id}]
	if !ok {
		return store.Record{}, fmt.Errorf("record %s/%s: %w", kind, id, store.ErrNotFound)
	}
	r.Data = bytes.Clone(r.Data)
	return r, nil
}

// List returns up to n records of a kind with IDs greater than after, sorted by ID.
func (s *Store) List(_ context.Context, kind, after string, n int) ([]store.Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []store.Record
	for id, r := range s.records {
		if id.kind == kind && id.id > after {
			r.Data = bytes.Clone(r.Data)
			out = append(out, r)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	return out[:min(len(out), max(n, 0))], nil
}

// Sightings returns the rows of the program for the tuples; nil: of all.
func (s *Store) Sightings(_ context.Context, program string, tuples []store.Tuple) ([]store.Sighting, error) {
	wanted := map[store.Tuple]bool{}
	for _, t := range tuples {
		wanted[t] = true
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []store.Sighting
	for id, row := range s.sightings {
		if id.program == program && (tuples == nil || wanted[id.tuple]) {
			out = append(out, row)
		}
	}
	return out, nil
}

// SightingDays returns the number of events that the program's sightings count, by day.
func (s *Store) SightingDays(_ context.Context, program string) (map[store.Day]int64, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	days := map[store.Day]int64{}
	for id, row := range s.sightings {
		if id.program == program {
			days[id.day] += row.Count
		}
	}
	return days, nil
}
