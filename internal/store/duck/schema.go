package duck

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// catalogName is the name under which the file is attached.
const catalogName = "tocsin"

// version is the version of the tables below. A file of another version is refused.
const version = 3

// The tables that a store has besides its segments. Names and IDs that users choose are BLOBs: they may hold any bytes,
// and compare as Go's strings do.
var tables = []string{
	`CREATE TABLE meta (version INTEGER, seq UBIGINT, committed BIGINT, next_segment BIGINT)`,
	`CREATE TABLE stream (id INTEGER, name BLOB)`,
	`CREATE TABLE layout (stream INTEGER, generation INTEGER, columns VARCHAR)`,
	`CREATE TABLE segment (id BIGINT, stream INTEGER, day INTEGER, generation INTEGER, nrows BIGINT,
		time_min BIGINT, time_max BIGINT, ingested_min BIGINT, ingested_max BIGINT,
		seq_first UBIGINT, seq_last UBIGINT, wild VARCHAR, odd VARCHAR, wide VARCHAR)`,
	`CREATE TABLE path (stream INTEGER, path BLOB, day INTEGER)`,
	`CREATE TABLE alert (id BLOB, day INTEGER)`,
	`CREATE TABLE alert_state (alert BLOB, path BLOB, val VARCHAR)`,
	`CREATE TABLE record (kind BLOB, id BLOB, version BIGINT, doc BLOB)`,
	`CREATE TABLE program (id INTEGER, name BLOB)`,
	`CREATE TABLE sighting (program INTEGER, tuple UHUGEINT, day INTEGER, stream INTEGER, segment INTEGER,
		first BIGINT, last BIGINT, n BIGINT, first_event BLOB)`,
	`INSERT INTO meta VALUES (3, 0, 0, 1)`,
}

// The tables of a connection in which a commit lays out what it joins with.
var staging = []string{
	`CREATE TEMP TABLE stage_hash (hash UINTEGER)`,
	`CREATE TEMP TABLE stage_uuid (id UUID)`,
	`CREATE TEMP TABLE stage_id (id BLOB)`,
	`CREATE TEMP TABLE stage_state (alert BLOB, path BLOB, val VARCHAR)`,
	`CREATE TEMP TABLE stage_record (kind BLOB, id BLOB, version BIGINT, doc BLOB)`,
	`CREATE TEMP TABLE stage_sighting (program INTEGER, tuple UHUGEINT, day INTEGER, stream INTEGER, segment INTEGER,
		first BIGINT, last BIGINT, n BIGINT, first_event BLOB)`,
}

// blob writes bytes as a SQL literal.
func blob(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteByte('\'')
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '\'' || c == '\\' {
			b.WriteString(`\x`)
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteString("'::BLOB")
	return b.String()
}

// quote writes a text as a SQL literal; false for one that no VARCHAR column of a segment holds.
func quote(s string) (string, bool) {
	if strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s) {
		return "", false
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'", true
}

// load reads the catalog and the paths of the streams.
func (s *Store) load(ctx context.Context, c *conn) error {
	cat := &catalog{layouts: map[int32][]*layout{}, distinct: &distinct{}}
	err := c.each(ctx, "SELECT seq, committed, next_segment FROM meta", func(cols []vector, n int) error {
		cat.seq = uint64(cols[0].int64(0))
		if cat.seq > 0 {
			cat.committed = time.UnixMilli(cols[1].int64(0)).UTC()
		}
		s.nextSegment = cols[2].int64(0)
		return nil
	})
	if err != nil {
		return err
	}
	err = c.each(ctx, "SELECT id, name FROM stream ORDER BY id", func(cols []vector, n int) error {
		for i := range n {
			id := int(cols[0].int32(i))
			for len(cat.streams) <= id {
				cat.streams = append(cat.streams, "")
			}
			cat.streams[id] = cols[1].str(i)
		}
		return nil
	})
	if err != nil {
		return err
	}
	byGeneration := map[[2]int32]*layout{}
	err = c.each(ctx, "SELECT stream, generation, columns FROM layout ORDER BY stream, generation", func(cols []vector, n int) error {
		for i := range n {
			l, err := decodeLayout(cols[0].int32(i), cols[1].int32(i), cols[2].str(i))
			if err != nil {
				return err
			}
			cat.layouts[l.stream] = append(cat.layouts[l.stream], l)
			byGeneration[[2]int32{l.stream, l.generation}] = l
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = c.each(ctx, `SELECT id, stream, day, generation, nrows, time_min, time_max, ingested_min, ingested_max,
		seq_first, seq_last, wild, odd, wide FROM segment`, func(cols []vector, n int) error {
		for i := range n {
			g := &segment{id: cols[0].int64(i), stream: cols[1].int32(i), day: store.Day(cols[2].int32(i)), rows: cols[4].int64(i)}
			g.layout = byGeneration[[2]int32{g.stream, cols[3].int32(i)}]
			if g.layout == nil {
				return fmt.Errorf("segment %d has no layout", g.id)
			}
			g.time = bounds{!cols[5].null(i), cols[5].int64(i), cols[6].int64(i)}
			g.ingested = bounds{!cols[7].null(i), cols[7].int64(i), cols[8].int64(i)}
			g.seq.first, g.seq.last = uint64(cols[9].int64(i)), uint64(cols[10].int64(i))
			for j, set := range []*bits{&g.wild, &g.odd, &g.wide} {
				b, err := bitsOf(cols[11+j].str(i))
				if err != nil {
					return fmt.Errorf("segment %d: %w", g.id, err)
				}
				*set = b
			}
			cat.segments = append(cat.segments, g)
		}
		return nil
	})
	if err != nil {
		return err
	}
	cat.sort()
	err = c.each(ctx, "SELECT stream, path, day FROM path", func(cols []vector, n int) error {
		for i := range n {
			path := cols[1].str(i)
			s.paths.put(cols[0].int32(i), path, newPathState(s.types, path, store.Day(cols[2].int32(i))))
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = c.each(ctx, "SELECT id, name FROM program", func(cols []vector, n int) error {
		for i := range n {
			s.programs[cols[1].str(i)] = cols[0].int32(i)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.catalog.Store(cat)
	return nil
}

// nullable writes ms as a SQL literal, NULL where b is empty.
func nullable(b bounds, ms int64) string {
	if !b.some {
		return "NULL"
	}
	return fmt.Sprint(ms)
}

// save writes the segments of a commit, and what it made.
func (s *Store) save(ctx context.Context, c *conn, n *commit) error {
	if len(n.segments) > 0 {
		var ids, rows []string
		for _, g := range n.segments {
			ids = append(ids, fmt.Sprint(g.id))
			rows = append(rows, fmt.Sprintf("(%d,%d,%d,%d,%d,%s,%s,%s,%s,%d,%d,'%s','%s','%s')", g.id, g.stream, g.day,
				g.layout.generation, g.rows, nullable(g.time, g.time.min), nullable(g.time, g.time.max),
				nullable(g.ingested, g.ingested.min), nullable(g.ingested, g.ingested.max), g.seq.first, g.seq.last,
				g.wild.hexOf(), g.odd.hexOf(), g.wide.hexOf()))
		}
		if err := c.exec(ctx, "DELETE FROM segment WHERE id IN ("+strings.Join(ids, ",")+")"); err != nil {
			return err
		}
		if err := c.exec(ctx, "INSERT INTO segment VALUES "+strings.Join(rows, ",")); err != nil {
			return err
		}
	}
	for id := len(s.catalog.Load().streams); id < len(n.streams); id++ {
		if err := c.exec(ctx, fmt.Sprintf("INSERT INTO stream VALUES (%d, %s)", id, blob(n.streams[id]))); err != nil {
			return err
		}
	}
	for _, l := range n.layouts {
		columns, err := l.encode()
		if err != nil {
			return err
		}
		literal, _ := quote(columns)
		if err := c.exec(ctx, fmt.Sprintf("INSERT INTO layout VALUES (%d, %d, %s)", l.stream, l.generation, literal)); err != nil {
			return err
		}
	}
	return c.exec(ctx, fmt.Sprintf("UPDATE meta SET seq = %d, committed = %d, next_segment = %d",
		n.Seq, n.at.UnixMilli(), n.nextSegment))
}
