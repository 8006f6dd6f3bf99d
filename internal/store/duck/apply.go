package duck

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// commit is what a change comes to, until it is taken into the store.
type commit struct {
	store.Outcome
	at          time.Time
	streams     []string // all of them, new ones last
	numbers     map[string]int32
	layouts     []*layout // new ones
	segments    map[int64]*segment
	bySegment   map[segmentKey]*pending
	order       []segmentKey
	paths       map[int32]*pathNotes
	landings    map[string]*landed
	programs    map[string]int32 // new ones
	nextSegment int64
}

// segmentKey is a stream and a day.
type segmentKey struct {
	stream int32
	day    store.Day
}

// pending are the events that a commit adds to a stream and day.
type pending struct{ rows []stored }

// landed are the times of a stream's new events.
type landed struct{ time, ingested []time.Time }

// Apply commits c whole or not at all. Changes are applied one after the other; queries go on meanwhile.
func (s *Store) Apply(ctx context.Context, c *store.Change) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.closed.Load() {
		return errClosed
	}
	if s.broken != nil {
		return fmt.Errorf("the store failed before: %w", s.broken)
	}
	cat := s.catalog.Load()
	at := c.At.Truncate(time.Millisecond)
	if cat.seq > 0 && at.Before(cat.committed) {
		return fmt.Errorf("apply a change stamped %s after one of %s: %w", at, cat.committed, store.ErrClock)
	}
	n := &commit{
		Outcome:     store.Outcome{Seq: cat.seq + 1},
		at:          at,
		streams:     cat.streams[:len(cat.streams):len(cat.streams)],
		numbers:     map[string]int32{},
		segments:    map[int64]*segment{},
		bySegment:   map[segmentKey]*pending{},
		paths:       map[int32]*pathNotes{},
		landings:    map[string]*landed{},
		programs:    map[string]int32{},
		nextSegment: s.nextSegment,
	}
	w := s.writer
	if err := w.begin("BEGIN"); err != nil {
		return fmt.Errorf("apply a change: %w", err)
	}
	err := s.write(ctx, w, n, c)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return s.rollBack(w, err)
	}
	// From here on the change is made: a cancelled ctx must not leave it open whether it was.
	if err := w.exec(context.WithoutCancel(ctx), "COMMIT"); err != nil {
		return s.rollBack(w, fmt.Errorf("commit: %w", err))
	}
	s.take(n)
	c.Outcome = n.Outcome
	s.settle(context.WithoutCancel(ctx))
	return nil
}

// settleAt is how many segments may be written to before the file takes them in. Until then what they gained stays in
// memory in blocks of its own, up to 3 MB a segment however little it is: 133 took all that DuckDB has.
const settleAt = 64

// settle moves what commits wrote from the log and from memory into the file, when it has become much. Where that is not
// possible now, the next commit tries again.
func (s *Store) settle(ctx context.Context) {
	cat := *s.catalog.Load()
	if cat.loose < settleAt || s.writer.exec(ctx, "CHECKPOINT "+catalogName) != nil {
		return
	}
	cat.loose = 0
	s.catalog.Store(&cat)
}

// rollBack takes back what the open transaction did, and returns err.
func (s *Store) rollBack(w *conn, err error) error {
	// A failed COMMIT has ended the transaction already.
	if back := w.exec(context.Background(), "ROLLBACK"); back != nil && !strings.Contains(back.Error(), "no transaction is active") {
		s.broken = back
	}
	return err
}

// write does in the open transaction what c asks for.
func (s *Store) write(ctx context.Context, w *conn, n *commit, c *store.Change) error {
	if err := s.addEvents(ctx, w, n, c); err != nil {
		return err
	}
	if err := s.addAlerts(ctx, w, n, c.Alerts); err != nil {
		return err
	}
	live := ""
	if c.Live {
		live = event.FormatTime(n.at)
	}
	if err := s.insert(ctx, w, n, live); err != nil {
		return err
	}
	if err := s.setStates(ctx, w, c.States); err != nil {
		return err
	}
	records := c.Records
	for stream, l := range n.landings {
		r, err := store.Landing{Seq: n.Seq, Stream: stream, Time: store.Cluster(l.time), Ingested: store.Cluster(l.ingested)}.Record()
		if err != nil {
			return err
		}
		records = append(records[:len(records):len(records)], r)
	}
	if err := s.writeRecords(ctx, w, records); err != nil {
		return err
	}
	if err := s.writeSightings(ctx, w, n, c.Forget, c.Sightings); err != nil {
		return err
	}
	if err := s.save(ctx, w, n); err != nil {
		return err
	}
	return s.savePaths(ctx, w, n)
}

// take makes the commit known to queries.
func (s *Store) take(n *commit) {
	s.nextSegment = n.nextSegment
	s.takePaths(n)
	s.takePrograms(n)
	cat := s.catalog.Load().with(n.segments)
	cat.seq, cat.committed, cat.streams = n.Seq, n.at, n.streams
	cat.loose += len(n.segments)
	if len(n.layouts) > 0 {
		layouts := map[int32][]*layout{}
		for stream, all := range cat.layouts {
			layouts[stream] = all
		}
		for _, l := range n.layouts {
			all := layouts[l.stream]
			layouts[l.stream] = append(all[:len(all):len(all)], l)
		}
		cat.layouts = layouts
	}
	s.catalog.Store(cat)
}

// number returns the number of a stream, a new one where it has none.
func (s *Store) number(n *commit, stream string) int32 {
	if id, ok := n.numbers[stream]; ok {
		return id
	}
	id, ok := (&catalog{streams: n.streams}).number(stream)
	if !ok {
		id = int32(len(n.streams))
		n.streams = append(n.streams, stream)
	}
	n.numbers[stream] = id
	return id
}

// add puts a row to those that n inserts.
func (s *Store) add(n *commit, key segmentKey, row stored) {
	p := n.bySegment[key]
	if p == nil {
		p = &pending{}
		n.bySegment[key] = p
		n.order = append(n.order, key)
	}
	p.rows = append(p.rows, row)
}

// insert writes the new rows to their segments.
func (s *Store) insert(ctx context.Context, w *conn, n *commit, live string) error {
	cat := s.catalog.Load()
	layouts := map[int32]*layout{}
	for _, key := range n.order {
		l := layouts[key.stream]
		if l == nil {
			l = s.layoutFor(n, cat, key.stream)
			layouts[key.stream] = l
		}
		notes := n.paths[key.stream]
		if notes == nil {
			notes = &pathNotes{known: s.paths.byName[key.stream], fresh: map[string]*pathState{}, types: s.types}
			n.paths[key.stream] = notes
		}
		seg, fresh := segmentFor(n, cat, key, l)
		if fresh {
			if err := w.exec(ctx, l.create(seg.table())); err != nil {
				return err
			}
		}
		n.segments[seg.id] = seg
		if err := s.insertRows(ctx, w, n, seg, notes, live, n.bySegment[key].rows); err != nil {
			return fmt.Errorf("insert into %s: %w", seg.table(), err)
		}
	}
	return nil
}

func (s *Store) insertRows(ctx context.Context, w *conn, n *commit, seg *segment, notes *pathNotes, live string, rows []stored) error {
	rw, err := newRowWriter(w, seg, notes, live)
	if err != nil {
		return err
	}
	defer rw.app.close()
	stream := n.streams[seg.stream]
	l := n.landings[stream]
	if l == nil {
		l = &landed{}
		n.landings[stream] = l
	}
	for i, row := range rows {
		if i%chunkRows == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if err := rw.write(row, n.Seq); err != nil {
			return err
		}
		l.time = append(l.time, time.UnixMilli(row.ms).UTC())
		for _, ms := range rw.landed {
			l.ingested = append(l.ingested, time.UnixMilli(ms).UTC())
		}
	}
	n.Misfits += rw.misfit
	s.noteShapes(seg.layout, rw.multi, len(rows))
	return rw.app.flush()
}

// segmentFor returns the next state of the segment that takes rows of key in layout l.
func segmentFor(n *commit, cat *catalog, key segmentKey, l *layout) (seg *segment, fresh bool) {
	for _, g := range cat.of(key.stream, key.day) {
		if g.layout == l {
			next := *g
			return &next, false
		}
	}
	seg = &segment{id: n.nextSegment, stream: key.stream, day: key.day, layout: l}
	n.nextSegment++
	return seg, true
}

// layoutFor returns the layout in which new rows of a stream are written: the present one, or a new generation where
// other columns are wanted by now.
func (s *Store) layoutFor(n *commit, cat *catalog, stream int32) *layout {
	present := cat.layout(stream)
	lists := map[string]bool{}
	if present != nil {
		for _, c := range present.columns {
			lists[c.Path] = c.List || s.turned[columnKey{stream, c.Path}]
		}
	}
	columns := wanted(n.streams[stream], s.types, lists)
	if present != nil && present.same(columns) {
		return present
	}
	generation := int32(0)
	if present != nil {
		generation = present.generation + 1
	}
	l := newLayout(stream, generation, columns)
	n.layouts = append(n.layouts, l)
	return l
}

// columnKey is a column of a stream.
type columnKey struct {
	stream int32
	path   string
}

// noteShapes remembers which columns of single values met lists in more than a twentieth of at least 200 rows: they are
// lists in the next generation.
func (s *Store) noteShapes(l *layout, multi []int, rows int) {
	for i, k := range multi {
		if k >= 200 && k > rows/20 {
			s.turned[columnKey{l.stream, l.columns[i].Path}] = true
		}
	}
}
