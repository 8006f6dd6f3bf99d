package duck

import (
	"context"
	"fmt"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// DropSegments removes the events of the streams that streams names (nil: all but alerts) whose day of @timestamp lies
// before the given one, with the sightings that these days fed and the landings that tell of them alone, and returns the number
// of days of streams removed. What the file frees is used again by later commits.
func (s *Store) DropSegments(ctx context.Context, before store.Day, streams []string) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closed.Load() {
		return 0, errClosed
	}
	cat := s.catalog.Load()
	var selected []int32
	for id, name := range cat.streams {
		if store.Selects(streams, name) {
			selected = append(selected, int32(id))
		}
	}
	if len(selected) == 0 {
		return 0, nil
	}
	numbers := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(selected)), ","), "[]")
	gone := map[int64]bool{}
	days := map[segmentKey]bool{}
	var sql []string
	for _, g := range cat.segments {
		if g.day < before && store.Selects(streams, cat.streams[g.stream]) {
			gone[g.id] = true
			days[segmentKey{g.stream, g.day}] = true
			if cat.streams[g.stream] == store.AlertStream {
				sql = append(sql, "DELETE FROM alert_state WHERE alert IN (SELECT "+g.layout.id()+" FROM "+g.table()+")",
					"DELETE FROM alert WHERE id IN (SELECT "+g.layout.id()+" FROM "+g.table()+")")
			}
			sql = append(sql, "DROP TABLE "+g.table(), fmt.Sprintf("DELETE FROM segment WHERE id = %d", g.id))
		}
	}
	sql = append(sql,
		fmt.Sprintf("DELETE FROM sighting WHERE stream IN (%s) AND segment < %d", numbers, before),
		fmt.Sprintf("DELETE FROM path WHERE stream IN (%s) AND day < %d", numbers, before))
	w := s.writer
	if err := w.begin("BEGIN"); err != nil {
		return 0, fmt.Errorf("drop segments: %w", err)
	}
	for _, q := range sql {
		if err := w.exec(ctx, q); err != nil {
			return 0, s.rollBack(w, fmt.Errorf("drop segments: %w", err))
		}
	}
	if err := s.dropLandings(ctx, w, before, streams); err != nil {
		return 0, s.rollBack(w, fmt.Errorf("drop segments: %w", err))
	}
	s.layout.Lock()
	defer s.layout.Unlock()
	if err := w.exec(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		return 0, s.rollBack(w, fmt.Errorf("drop segments: %w", err))
	}
	next := *cat
	next.segments = nil
	for _, g := range cat.segments {
		if !gone[g.id] {
			next.segments = append(next.segments, g)
		}
	}
	s.catalog.Store(&next)
	s.paths.mu.Lock()
	defer s.paths.mu.Unlock()
	for _, id := range selected {
		for path, st := range s.paths.byName[id] {
			if st.day < before {
				delete(s.paths.byName[id], path)
			}
		}
	}
	return len(days), nil
}

// dropLandings removes in the open transaction the landings of streams that tell of days before the given one alone.
func (s *Store) dropLandings(ctx context.Context, w *conn, before store.Day, streams []string) error {
	var gone []store.RecordWrite
	err := w.each(ctx, "SELECT id, doc FROM record WHERE kind = "+blob(store.LandingKind), func(cols []vector, n int) error {
		for i := range n {
			l, err := store.ParseLanding(store.Record{Kind: store.LandingKind, ID: cols[0].str(i), Data: cols[1].bytes(i)})
			if err != nil {
				return err
			}
			if store.Selects(streams, l.Stream) && l.Gone(before) {
				gone = append(gone, store.RecordWrite{Kind: store.LandingKind, ID: strings.Clone(cols[0].str(i))})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.writeRecords(ctx, w, gone)
}
