package duck

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// sightingID names the row that sightings of a tuple, day and segment are merged into.
type sightingID struct {
	program int32
	tuple   store.Tuple
	day     store.Day
	stream  int32
	segment store.Day
}

var sightingColumns = []columnType{typeInteger, typeHuge, typeInteger, typeInteger, typeInteger, typeBigint, typeBigint,
	typeBigint, typeBlob}

// sameSighting joins a stored row with one that is laid out.
const sameSighting = `sighting.program = t.program AND sighting.tuple = t.tuple AND sighting.day = t.day
	AND sighting.stream = t.stream AND sighting.segment = t.segment`

// writeSightings forgets programs and merges rows into those that are stored.
func (s *Store) writeSightings(ctx context.Context, w *conn, n *commit, forget []string, rows []store.Sighting) error {
	for _, name := range forget {
		if id, known := s.programs[name]; known {
			if err := w.exec(ctx, fmt.Sprintf("DELETE FROM sighting WHERE program = %d", id)); err != nil {
				return err
			}
		}
	}
	if len(rows) == 0 {
		return nil
	}
	merged := map[sightingID]store.Sighting{}
	for _, row := range rows {
		id := sightingID{s.programNumber(n, row.Program), row.Tuple, row.Day, s.number(n, row.Stream), row.Segment}
		merged[id] = mergeSightings(merged[id], row)
	}
	put := func(a *appender) error {
		for id, row := range merged {
			a.int32(0, id.program)
			a.huge(1, tupleNumber(id.tuple))
			a.int32(2, int32(id.day))
			a.int32(3, id.stream)
			a.int32(4, int32(id.segment))
			a.int64(5, row.First.UnixMilli())
			a.int64(6, row.Last.UnixMilli())
			a.int64(7, row.Count)
			a.text(8, row.FirstEvent)
			if err := a.next(); err != nil {
				return err
			}
		}
		return nil
	}
	if err := w.fill(ctx, "stage_sighting", sightingColumns, put); err != nil {
		return err
	}
	found := false
	err := w.each(ctx, `SELECT t.program, t.tuple, t.day, t.stream, t.segment, sighting.first, sighting.last, sighting.n,
		sighting.first_event FROM sighting JOIN temp.main.stage_sighting t ON `+sameSighting, func(cols []vector, rows int) error {
		found = true
		for i := range rows {
			id := sightingID{cols[0].int32(i), tupleOf(at[hugeint](&cols[1], i)), store.Day(cols[2].int32(i)), cols[3].int32(i),
				store.Day(cols[4].int32(i))}
			merged[id] = mergeSightings(readSighting(cols[5:], i), merged[id])
		}
		return nil
	})
	if err != nil {
		return err
	}
	if found {
		if err := w.fill(ctx, "stage_sighting", sightingColumns, put); err != nil {
			return err
		}
		err := w.exec(ctx, `UPDATE sighting SET first = t.first, last = t.last, n = t.n, first_event = t.first_event
			FROM temp.main.stage_sighting t WHERE `+sameSighting)
		if err != nil {
			return err
		}
	}
	for name, id := range n.programs {
		if err := w.exec(ctx, fmt.Sprintf("INSERT INTO program VALUES (%d, %s)", id, blob(name))); err != nil {
			return err
		}
	}
	return w.exec(ctx, `INSERT INTO sighting SELECT * FROM temp.main.stage_sighting t
		WHERE NOT EXISTS (SELECT 1 FROM sighting WHERE `+sameSighting+`)`)
}

// mergeSightings returns what old and more come to; old may be of no event.
func mergeSightings(old, more store.Sighting) store.Sighting {
	if old.Count == 0 {
		return more
	}
	old.Merge(more)
	return old
}

func readSighting(cols []vector, i int) store.Sighting {
	return store.Sighting{First: time.UnixMilli(cols[0].int64(i)).UTC(), Last: time.UnixMilli(cols[1].int64(i)).UTC(),
		Count: cols[2].int64(i), FirstEvent: cols[3].str(i)}
}

// programNumber returns the number of a program, a new one where it has none.
func (s *Store) programNumber(n *commit, name string) int32 {
	if id, known := s.programs[name]; known {
		return id
	}
	if id, known := n.programs[name]; known {
		return id
	}
	id := int32(len(s.programs) + len(n.programs))
	n.programs[name] = id
	return id
}

func (s *Store) takePrograms(n *commit) {
	if len(n.programs) == 0 {
		return
	}
	s.programsMu.Lock()
	defer s.programsMu.Unlock()
	for name, id := range n.programs {
		s.programs[name] = id
	}
}

func tupleNumber(t store.Tuple) hugeint {
	return hugeint{upper: binary.BigEndian.Uint64(t[:8]), lower: binary.BigEndian.Uint64(t[8:])}
}

func tupleOf(h hugeint) (t store.Tuple) {
	binary.BigEndian.PutUint64(t[:8], h.upper)
	binary.BigEndian.PutUint64(t[8:], h.lower)
	return t
}

// program returns the number of a program, false where nothing is stored of it.
func (s *Store) program(name string) (int32, bool) {
	s.programsMu.RLock()
	defer s.programsMu.RUnlock()
	id, known := s.programs[name]
	return id, known
}

// tuplesAtOnce is the number of tuples that one statement asks for.
const tuplesAtOnce = 2000

// Sightings returns the rows of the program for the tuples; nil: of all.
func (s *Store) Sightings(ctx context.Context, program string, tuples []store.Tuple) ([]store.Sighting, error) {
	id, known := s.program(program)
	if !known || tuples != nil && len(tuples) == 0 {
		return nil, nil
	}
	var out []store.Sighting
	seen := map[store.Tuple]bool{}
	for first := true; first || len(tuples) > 0; first = false {
		where := fmt.Sprintf("program = %d", id)
		if tuples != nil {
			some := tuples[:min(len(tuples), tuplesAtOnce)]
			tuples = tuples[len(some):]
			var list []string
			for _, t := range some {
				if !seen[t] {
					seen[t] = true
					list = append(list, hugeLiteral(tupleNumber(t)))
				}
			}
			if len(list) == 0 {
				continue
			}
			where += " AND tuple IN (" + strings.Join(list, ",") + ")"
		}
		err := s.read(ctx, `SELECT tuple, day, segment, stream.name, first, last, n, first_event
			FROM sighting JOIN stream ON stream.id = sighting.stream WHERE `+where,
			func(cols []vector, n int) error {
				for i := range n {
					row := readSighting(cols[4:], i)
					row.Program, row.Tuple, row.Day = program, tupleOf(at[hugeint](&cols[0], i)), store.Day(cols[1].int32(i))
					row.Segment, row.Stream = store.Day(cols[2].int32(i)), cols[3].str(i)
					out = append(out, row)
				}
				return nil
			})
		if err != nil {
			return nil, fmt.Errorf("read sightings of %s: %w", program, err)
		}
	}
	return out, nil
}

// SightingDays returns the number of events that the program's sightings count, by day.
func (s *Store) SightingDays(ctx context.Context, program string) (map[store.Day]int64, error) {
	days := map[store.Day]int64{}
	id, known := s.program(program)
	if !known {
		return days, nil
	}
	err := s.read(ctx, fmt.Sprintf("SELECT day, sum(n)::BIGINT FROM sighting WHERE program = %d GROUP BY day", id),
		func(cols []vector, n int) error {
			for i := range n {
				days[store.Day(cols[0].int32(i))] = cols[1].int64(i)
			}
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("count sightings of %s: %w", program, err)
	}
	return days, nil
}

// hugeLiteral writes h in SQL.
func hugeLiteral(h hugeint) string {
	n := new(big.Int).SetUint64(h.upper)
	n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(h.lower))
	return "'" + n.String() + "'::UHUGEINT"
}
