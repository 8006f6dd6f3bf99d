package duck

import (
	"context"
	"sort"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// Latest is the snapshot of everything committed so far.
func (s *Store) Latest(context.Context) (store.Snapshot, error) {
	cat := s.catalog.Load()
	return store.Snapshot{Seq: cat.seq, Committed: cat.committed}, nil
}

// Streams returns the streams that patterns name. It reads what is kept of the segments, not the events.
func (s *Store) Streams(_ context.Context, patterns []string) ([]store.Stream, error) {
	cat := s.catalog.Load()
	out := []store.Stream{}
	last := int32(-1)
	for _, g := range cat.segments { // those of a stream stand together
		name := cat.streams[g.stream]
		if !store.Selects(patterns, name) {
			continue
		}
		if g.stream != last {
			last = g.stream
			out = append(out, store.Stream{Name: name, Paths: s.paths.sorted(g.stream)})
			out[len(out)-1].Seq.First = g.seq.first
		}
		st := &out[len(out)-1]
		st.Events += g.rows
		st.Time = union(st.Time, g.time.span())
		st.Ingested = union(st.Ingested, g.ingested.span())
		st.Seq.First, st.Seq.Last = min(st.Seq.First, g.seq.first), max(st.Seq.Last, g.seq.last)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

func union(a, b store.Span) store.Span {
	if b.Empty() {
		return a
	}
	return a.Include(b.From).Include(b.To)
}
