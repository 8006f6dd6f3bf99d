package duck

import (
	"context"
	"fmt"
	"strconv"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// Encoder lays out events in DuckDB's memory as the rows of a segment and drops them there: the part of a commit that is
// Go's. It is for measurements.
type Encoder struct {
	db  *database
	rw  *rowWriter
	seq uint64
}

// NewEncoder returns an encoder; types are those of Options.
func NewEncoder(ctx context.Context, types func(path string) (event.Type, bool)) (*Encoder, error) {
	e := &Encoder{}
	if err := e.open(ctx, types); err != nil {
		e.Close()
		return nil, fmt.Errorf("encode events: %w", err)
	}
	return e, nil
}

func (e *Encoder) open(ctx context.Context, types func(path string) (event.Type, bool)) error {
	var err error
	if e.db, err = openDatabase(map[string]string{"threads": "1", "memory_limit": strconv.Itoa(defaultMemory>>10) + "KiB"}); err != nil {
		return err
	}
	c, err := e.db.take()
	if err != nil {
		return err
	}
	seg := &segment{id: 1, layout: newLayout(0, 0, wanted("", types, nil))}
	for _, sql := range []string{"ATTACH ':memory:' AS " + catalogName, "USE " + catalogName, seg.layout.create(seg.table())} {
		if err := c.exec(ctx, sql); err != nil {
			return err
		}
	}
	e.rw, err = newRowWriter(c, seg, &pathNotes{fresh: map[string]*pathState{}, types: types}, "")
	return err
}

// Encode lays out events.
func (e *Encoder) Encode(events []*event.Event) error {
	for _, ev := range events {
		if e.rw.app.row == chunkRows-1 {
			e.drop() // before it would be handed to DuckDB
		}
		ms, _ := timeOf(ev, "@timestamp")
		e.seq++
		if err := e.rw.write(stored{e: ev, id: ev.ID, hash: 1, ms: ms}, e.seq); err != nil {
			return fmt.Errorf("encode event %s: %w", ev.ID, err)
		}
	}
	return nil
}

// Rows is the number of rows laid out so far.
func (e *Encoder) Rows() int64 { return e.rw.seg.rows }

// drop empties the chunk.
func (e *Encoder) drop() {
	a := e.rw.app
	for i := range a.cols {
		if a.cols[i].typ.list {
			a.cols[i].writeItems(a.row)
		}
	}
	bindings.DataChunkReset(a.chunk)
	a.arena.reset()
	a.begin()
}

// Close frees what the encoder holds.
func (e *Encoder) Close() {
	if e.rw != nil {
		e.rw.app.close()
	}
	if e.db != nil {
		e.db.close()
	}
}
