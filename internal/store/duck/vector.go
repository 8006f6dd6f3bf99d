package duck

import (
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"
)

// vector is one column of a chunk that was read. It is valid until the chunk is.
type vector struct {
	data  unsafe.Pointer
	valid *uint64 // nil: every row is
	vec   bindings.Vector
	n     int
}

func readVector(v bindings.Vector, n int) vector {
	return vector{data: bindings.VectorGetData(v), valid: (*uint64)(bindings.VectorGetValidity(v)), vec: v, n: n}
}

// null reports whether row i is NULL.
func (v *vector) null(i int) bool {
	if v.valid == nil {
		return false
	}
	word := *(*uint64)(unsafe.Add(unsafe.Pointer(v.valid), i/64*8))
	return word&(1<<(i%64)) == 0
}

func at[T any](v *vector, i int) T {
	var zero T
	return *(*T)(unsafe.Add(v.data, i*int(unsafe.Sizeof(zero))))
}

// int64 reads a BIGINT (or UBIGINT, as the same bits); 0 for NULL.
func (v *vector) int64(i int) int64 {
	if v.null(i) {
		return 0
	}
	return at[int64](v, i)
}

// int32 reads an INTEGER; 0 for NULL.
func (v *vector) int32(i int) int32 {
	if v.null(i) {
		return 0
	}
	return at[int32](v, i)
}

// text is DuckDB's string: up to 12 bytes stand inside, longer ones at ptr.
type text struct {
	len    uint32
	prefix [4]byte
	ptr    *byte
}

const inlined = 12

// bytes returns the bytes of a VARCHAR or BLOB where they stand in the chunk; nil for NULL.
func (v *vector) bytes(i int) []byte {
	if v.null(i) {
		return nil
	}
	t := (*text)(unsafe.Add(v.data, i*int(unsafe.Sizeof(text{}))))
	if t.len <= inlined {
		return unsafe.Slice(&t.prefix[0], t.len)
	}
	return unsafe.Slice(t.ptr, t.len)
}

// str returns a copy of a VARCHAR or BLOB; "" for NULL.
func (v *vector) str(i int) string { return string(v.bytes(i)) }

// hugeint is the layout of HUGEINT and UHUGEINT.
type hugeint struct{ lower, upper uint64 }

// listEntry is where the elements of a list stand in the child vector.
type listEntry struct{ offset, length uint64 }

// child returns the elements of all lists of a LIST column.
func (v *vector) child() vector {
	c := bindings.ListVectorGetChild(v.vec)
	return readVector(c, int(bindings.ListVectorGetSize(v.vec)))
}

// list returns where the list of row i begins and ends in the child vector.
func (v *vector) list(i int) (from, to int) {
	if v.null(i) {
		return 0, 0
	}
	e := at[listEntry](v, i)
	return int(e.offset), int(e.offset + e.length)
}
