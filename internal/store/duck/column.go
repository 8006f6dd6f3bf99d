package duck

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// column is a path that has a typed column in the segments of a layout.
//
// The column holds what queries of its type read: the values at the path, coerced, in document order; NULL where there
// are none. What was given is rebuilt from it, but for a value that the column would give back in another form
// ("443" where a number is declared, a text where the column is a list): that one stands in rest as well, as it was
// (the segment's set odd). Values that the column cannot hold at all stand in rest alone (the set wild): several
// in a column of single values, objects, and what lies inside a tree at a shorter path.
type column struct {
	Path string     `json:"path"`
	Type event.Type `json:"type"`
	List bool       `json:"list,omitempty"`
	// UUID: the column holds UUIDs as they are mostly written, in 16 bytes, for texts; any other text stands in rest.
	UUID bool `json:"uuid,omitempty"`
}

// storage is the DuckDB type of the column.
func (c column) storage() columnType {
	t := columnType{base: bindings.TypeVarchar, list: c.List}
	switch c.Type {
	case event.Long, event.Date:
		t.base = bindings.TypeBigInt
	case event.Double:
		t.base = bindings.TypeDouble
	case event.Boolean:
		t.base = bindings.TypeBoolean
	case event.IPType: // 16 bytes: as numbers, which DuckDB keeps in no dictionary, they took ten times the room
		t.base = bindings.TypeBlob
	default:
		if c.UUID {
			t.base = bindings.TypeUUID
		}
	}
	return t
}

// isText reports whether the column holds texts.
func (c column) isText() bool {
	base := c.storage().base
	return base == bindings.TypeVarchar || base == bindings.TypeUUID
}

// The columns that every segment has besides those of its layout, in this order behind them.
const (
	colRest = iota
	colSeq
	colID
	colHash
	colSum
	colSource
	colObject
	colOffset
	colDelivered
	fixedColumns
)

var fixedNames = [fixedColumns]string{"rest", "seq", "id", "hash", "sum", "source", "object", "off", "delivered"}

var fixedTypes = [fixedColumns]columnType{typeText, typeBigint, typeBlob, typeUint, typeUbigint, typeBlob, typeBlob,
	typeBigint, typeBigint}

// layout is the columns of one generation of a stream, sorted by path. It never changes.
type layout struct {
	stream     int32
	generation int32
	columns    []column
	byPath     map[string]int
	ownID      int // the column of event.id, -1: none
}

func newLayout(stream, generation int32, columns []column) *layout {
	l := &layout{stream: stream, generation: generation, columns: columns, byPath: make(map[string]int, len(columns)), ownID: -1}
	for i, c := range columns {
		l.byPath[c.Path] = i
		if c.Path == "event.id" && c.UUID {
			l.ownID = i
		}
	}
	return l
}

// id is the ID of a row in SQL. Where event.id is the same, as it is for CloudTrail, it alone is stored.
func (l *layout) id() string {
	if l.ownID < 0 {
		return fixed(colID)
	}
	return "coalesce(" + fixed(colID) + ", encode(" + l.value(l.ownID) + "))"
}

// name is the name of column i in tables.
func (l *layout) name(i int) string { return fmt.Sprintf("c%d", i) }

// value is column i as queries read it.
func (l *layout) value(i int) string {
	if l.columns[i].UUID {
		return "CAST(" + l.name(i) + " AS VARCHAR)"
	}
	return l.name(i)
}

// fixed is the name of a column that every segment has.
func fixed(i int) string { return fixedNames[i] }

// types returns the types of all columns, the fixed ones last.
func (l *layout) types() []columnType {
	types := make([]columnType, 0, len(l.columns)+fixedColumns)
	for _, c := range l.columns {
		types = append(types, c.storage())
	}
	return append(types, fixedTypes[:]...)
}

// create is the statement that makes the table of a segment.
func (l *layout) create(table string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE %s (", table)
	for i, t := range l.types() {
		if i > 0 {
			b.WriteString(", ")
		}
		name := ""
		if i < len(l.columns) {
			name = l.name(i)
		} else {
			name = fixed(i - len(l.columns))
		}
		b.WriteString(name + " " + t.sql())
		if i == len(l.columns)+colSource || i == len(l.columns)+colRest {
			b.WriteString(" USING COMPRESSION zstd")
		}
	}
	b.WriteString(")")
	return b.String()
}

func (l *layout) encode() (string, error) {
	data, err := json.Marshal(l.columns)
	return string(data), err
}

func decodeLayout(stream, generation int32, data string) (*layout, error) {
	var columns []column
	if err := json.Unmarshal([]byte(data), &columns); err != nil {
		return nil, fmt.Errorf("decode layout %d of stream %d: %w", generation, stream, err)
	}
	return newLayout(stream, generation, columns), nil
}

// same reports whether l has just the given columns.
func (l *layout) same(columns []column) bool { return slices.Equal(l.columns, columns) }

// bits is a set of columns.
type bits [maxColumns / 64]uint64

// maxColumns bounds the columns of a layout.
const maxColumns = 128

func (b *bits) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b *bits) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

// wanted are the columns that new segments of a stream get, of those that catalogues name; types tells their types.
// lists are paths whose columns hold lists besides those that are known to.
func wanted(stream string, types func(string) (event.Type, bool), lists map[string]bool) []column {
	names := commonColumns
	if stream == store.AlertStream {
		names = append(slices.Clone(names), alertColumns...)
	}
	columns := make([]column, 0, len(names))
	for _, name := range names {
		path, list := strings.CutSuffix(name, "[]")
		path, uuid := strings.CutSuffix(path, "#")
		c := column{Path: path, List: list || lists[path]}
		if types != nil {
			c.Type, _ = types(path)
		}
		switch {
		case path == plan.Timestamp || path == plan.Ingested:
			c.Type, c.List = event.Date, false
		case c.Type == event.ObjectType || c.Type == event.Nested || c.Type == event.GeoPoint || c.Type == event.Flattened:
			continue
		}
		if base := c.storage().base; base != bindings.TypeVarchar {
			c.List = c.List && base == bindings.TypeBlob
		}
		c.UUID = uuid && c.isText() && !c.List
		columns = append(columns, c)
	}
	slices.SortFunc(columns, func(a, b column) int { return strings.Compare(a.Path, b.Path) })
	return slices.CompactFunc(columns, func(a, b column) bool { return a.Path == b.Path })
}

// plainText says of a text whether a VARCHAR holds it, and whether it is all ASCII.
func plainText(s string) (fits, ascii bool) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	i := 0
	for ; i+8 <= len(b); i += 8 {
		// The high bit of a byte is set in word where it is not ASCII, and in word-ones where it is 0, or an earlier one is.
		if word := binary.LittleEndian.Uint64(b[i:]); (word|(word-ones))&highs != 0 {
			return slowText(s)
		}
	}
	for ; i < len(b); i++ {
		if b[i] == 0 || b[i] >= utf8.RuneSelf {
			return slowText(s)
		}
	}
	return true, true
}

func slowText(s string) (fits, ascii bool) {
	if strings.IndexByte(s, 0) >= 0 {
		return false, false
	}
	return utf8.ValidString(s), false
}
