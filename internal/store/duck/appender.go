package duck

import (
	"fmt"
	"runtime"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"
)

// chunkRows is the number of rows of a chunk.
const chunkRows = 2048

// columnType is the DuckDB type of a column that is written.
type columnType struct {
	base bindings.Type
	list bool
}

var (
	typeBlob    = columnType{base: bindings.TypeBlob}
	typeText    = columnType{base: bindings.TypeVarchar}
	typeBigint  = columnType{base: bindings.TypeBigInt}
	typeUbigint = columnType{base: bindings.TypeUBigInt}
	typeUint    = columnType{base: bindings.TypeUInteger}
	typeInteger = columnType{base: bindings.TypeInteger}
	typeHuge    = columnType{base: bindings.TypeUHugeInt}
	typeUUID    = columnType{base: bindings.TypeUUID}
)

func (t columnType) sql() string {
	name := map[bindings.Type]string{bindings.TypeBlob: "BLOB", bindings.TypeVarchar: "VARCHAR",
		bindings.TypeBigInt: "BIGINT", bindings.TypeUBigInt: "UBIGINT", bindings.TypeUInteger: "UINTEGER", bindings.TypeInteger: "INTEGER",
		bindings.TypeUHugeInt: "UHUGEINT", bindings.TypeUUID: "UUID", bindings.TypeDouble: "DOUBLE", bindings.TypeBoolean: "BOOLEAN"}[t.base]
	if t.list {
		name += "[]"
	}
	return name
}

// appender writes rows to a table in whole chunks, column by column straight into DuckDB's memory: about three times as
// fast as a call for each value. Rows are visible when flush has returned.
//
// Texts stand in an arena of pinned Go memory until their chunk is handed over, which copies them.
type appender struct {
	handle bindings.Appender
	chunk  bindings.DataChunk
	types  []bindings.LogicalType
	cols   []writer
	row    int
	arena  arena
}

// writer is one column of the chunk that is filled.
type writer struct {
	typ   columnType
	vec   bindings.Vector
	data  unsafe.Pointer
	valid unsafe.Pointer
	items []text // the elements of a list, until the chunk is handed over
}

// appendTo opens an appender to a table of the catalog, whose columns have the types.
func (c *conn) appendTo(catalog, table string, types []columnType) (*appender, error) {
	a := &appender{cols: make([]writer, len(types))}
	if bindings.AppenderCreateExt(c.handle, catalog, "main", table, &a.handle) == bindings.StateError {
		err := fmt.Errorf("append to %s: %s", table, bindings.AppenderError(a.handle))
		bindings.AppenderDestroy(&a.handle)
		return nil, err
	}
	for i, t := range types {
		logical := bindings.CreateLogicalType(t.base)
		if t.list {
			element := logical
			logical = bindings.CreateListType(element)
			bindings.DestroyLogicalType(&element)
		}
		a.types = append(a.types, logical)
		a.cols[i].typ = t
	}
	a.chunk = bindings.CreateDataChunk(a.types)
	a.begin()
	return a, nil
}

// begin makes the chunk ready: all values are NULL.
func (a *appender) begin() {
	a.row = 0
	for i := range a.cols {
		w := &a.cols[i]
		w.vec = bindings.DataChunkGetVector(a.chunk, bindings.IdxT(i))
		w.data = bindings.VectorGetData(w.vec)
		bindings.VectorEnsureValidityWritable(w.vec)
		w.valid = bindings.VectorGetValidity(w.vec)
		clear(unsafe.Slice((*uint64)(w.valid), chunkRows/64))
		w.items = w.items[:0]
	}
}

// next ends the row; every value that was not set is NULL.
func (a *appender) next() error {
	a.row++
	if a.row < chunkRows {
		return nil
	}
	return a.hand()
}

// hand gives the chunk to DuckDB.
func (a *appender) hand() error {
	if a.row == 0 {
		return nil
	}
	for i := range a.cols {
		if a.cols[i].typ.list {
			a.cols[i].writeItems(a.row)
		}
	}
	bindings.DataChunkSetSize(a.chunk, bindings.IdxT(a.row))
	if bindings.AppendDataChunk(a.handle, a.chunk) == bindings.StateError {
		return fmt.Errorf("append rows: %s", bindings.AppenderError(a.handle))
	}
	runtime.KeepAlive(a)
	bindings.DataChunkReset(a.chunk)
	a.arena.reset()
	a.begin()
	return nil
}

// flush writes what is left.
func (a *appender) flush() error {
	if err := a.hand(); err != nil {
		return err
	}
	if bindings.AppenderFlush(a.handle) == bindings.StateError {
		return fmt.Errorf("append rows: %s", bindings.AppenderError(a.handle))
	}
	return nil
}

// close drops what was not flushed.
func (a *appender) close() {
	bindings.AppenderClear(a.handle)
	bindings.AppenderDestroy(&a.handle)
	bindings.DestroyDataChunk(&a.chunk)
	for i := range a.types {
		bindings.DestroyLogicalType(&a.types[i])
	}
	a.arena.free()
}

func put[T any](a *appender, col int, v T) {
	w := &a.cols[col]
	*(*T)(unsafe.Add(w.data, a.row*int(unsafe.Sizeof(v)))) = v
	word := (*uint64)(unsafe.Add(w.valid, a.row/64*8))
	*word |= 1 << (a.row % 64)
}

func (a *appender) int64(col int, v int64)     { put(a, col, v) }
func (a *appender) uint64(col int, v uint64)   { put(a, col, v) }
func (a *appender) int32(col int, v int32)     { put(a, col, v) }
func (a *appender) uint32(col int, v uint32)   { put(a, col, v) }
func (a *appender) float64(col int, v float64) { put(a, col, v) }
func (a *appender) bool(col int, v bool)       { put(a, col, v) }
func (a *appender) huge(col int, v hugeint)    { put(a, col, v) }

// text sets a VARCHAR, which must be valid UTF-8, or a BLOB.
func (a *appender) text(col int, s string) { put(a, col, a.arena.text(s)) }

// bytes is text for bytes.
func (a *appender) bytes(col int, b []byte) {
	a.text(col, unsafe.String(unsafe.SliceData(b), len(b)))
}

// listOf begins a list of n elements, which item adds.
func (a *appender) listOf(col, n int) {
	w := &a.cols[col]
	put(a, col, listEntry{offset: uint64(len(w.items)), length: uint64(n)})
}

func (a *appender) item(col int, s string) {
	w := &a.cols[col]
	w.items = append(w.items, a.arena.text(s))
}

// writeItems writes the elements of the lists to the child vector, and empties the entries of NULL lists, which DuckDB
// reads too.
func (w *writer) writeItems(rows int) {
	for i := range rows {
		word := *(*uint64)(unsafe.Add(w.valid, i/64*8))
		if word&(1<<(i%64)) == 0 {
			*(*listEntry)(unsafe.Add(w.data, i*int(unsafe.Sizeof(listEntry{})))) = listEntry{}
		}
	}
	n := len(w.items)
	bindings.ListVectorReserve(w.vec, bindings.IdxT(n))
	bindings.ListVectorSetSize(w.vec, bindings.IdxT(n))
	if n == 0 {
		return
	}
	data := bindings.VectorGetData(bindings.ListVectorGetChild(w.vec))
	copy(unsafe.Slice((*text)(data), n), w.items)
}

// arena holds the bytes of the texts of one chunk in blocks that do not move.
type arena struct {
	blocks [][]byte
	cur    int // the block that is filled,
	used   int // and how far
	pins   runtime.Pinner
	big    runtime.Pinner // of texts too long for a block
}

const (
	arenaBlock = 256 << 10
	arenaKept  = 64 // blocks, between chunks
)

// text copies s to the arena and returns its value.
func (r *arena) text(s string) text {
	t := text{len: uint32(len(s))}
	if len(s) <= inlined {
		copy(unsafe.Slice(&t.prefix[0], inlined), s)
		return t
	}
	copy(t.prefix[:], s)
	to := r.room(len(s))
	copy(to, s)
	t.ptr = &to[0]
	return t
}

func (r *arena) room(n int) []byte {
	if n > arenaBlock/4 {
		to := make([]byte, n)
		r.big.Pin(&to[0])
		return to
	}
	if len(r.blocks) > 0 && r.used+n > arenaBlock {
		r.cur, r.used = r.cur+1, 0
	}
	if r.cur == len(r.blocks) {
		block := make([]byte, arenaBlock)
		r.pins.Pin(&block[0])
		r.blocks = append(r.blocks, block)
	}
	r.used += n
	return r.blocks[r.cur][r.used-n : r.used]
}

// reset empties the arena, and keeps blocks for the next chunk.
func (r *arena) reset() {
	r.big.Unpin()
	r.cur, r.used = 0, 0
	if len(r.blocks) <= arenaKept {
		return
	}
	r.pins.Unpin()
	r.blocks = r.blocks[:arenaKept:arenaKept]
	for _, block := range r.blocks {
		r.pins.Pin(&block[0])
	}
}

func (r *arena) free() {
	r.pins.Unpin()
	r.big.Unpin()
	r.blocks = nil
}
