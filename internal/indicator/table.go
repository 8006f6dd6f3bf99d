package indicator

import (
	"encoding/binary"
	"encoding/hex"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/zeebo/xxh3"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// table is the indicators of one stream, packed: of each what it says itself, in a few dozen bytes; what all say stands
// once. Sealed it is safe for concurrent use.
type table struct {
	name
	common []event.Field // of every document, unless it says otherwise; sorted

	paths  []string // by number
	number map[string]int
	words  []string // values that many have, by number
	word   map[string]int

	chunks [][]byte // of packed rows, each of chunkSize at most, or one long row
	rows   []uint32 // where rows begin: the chunk, and the place in it
	ids    [][16]byte
	known  map[[16]byte]bool // while it is filled
	sum    [16]byte          // of the IDs, whatever their order

	first, last int64 // of @timestamp

	mutex   sync.Mutex
	indexes map[indexed]*index
}

// Sizes of chunks; place bits of a row's number are within its chunk.
const (
	placeBits = 20
	chunkSize = 1 << placeBits
	maxChunks = 1 << (32 - placeBits)
)

// maxWords bounds the values that are held once.
const maxWords = 1 << 16

// oftenSame are the paths whose values many indicators have in common.
var oftenSame = map[string]bool{
	"threat.indicator.type": true, "threat.feed.name": true, "threat.indicator.provider": true, "threat.indicator.confidence": true,
	"threat.indicator.marking.tlp": true, "threat.indicator.reference": true, "threat.indicator.description": true, "tags": true,
	"threat.tactic.name": true,
}

func newTable(n name) *table {
	t := &table{name: n, number: map[string]int{}, word: map[string]int{}, known: map[[16]byte]bool{}, indexes: map[indexed]*index{}}
	var e event.Event
	for path, text := range map[string]string{
		"data_stream.type": "logs", "data_stream.dataset": n.dataset, "data_stream.namespace": "default",
		"event.module": module, "event.dataset": n.dataset, "event.kind": "enrichment", "threat.feed.name": n.stem,
	} {
		e.Set(path, event.String(text))
	}
	e.Set("event.category", event.Strings("threat"))
	e.Set("event.type", event.Strings("indicator"))
	e.Set(plan.Timestamp, span(beginning, end))
	t.common = e.Fields()
	return t
}

// The first and the last instant that a document can say, in milliseconds.
const (
	beginning = 0               // 1970
	end       = 253402300799999 // the end of 9999
)

// span is an indicator's @timestamp: since when, and until when. A query for what is no older than 30 days meets the last,
// one for what is not of the future the first.
func span(from, until int64) event.Value { return event.List(event.Millis(from), event.Millis(until)) }

// add adds a document, whose fields are sorted by path, unless it is there.
func (t *table) add(fields []event.Field) (added, fits bool) {
	id := idOf(t.stream, fields)
	if t.known[id] {
		return false, true
	}
	row := t.pack(nil, fields)
	last := len(t.chunks) - 1
	if last < 0 || len(t.chunks[last]) > 0 && len(t.chunks[last])+len(row) > chunkSize {
		if len(t.chunks) == maxChunks {
			return false, false
		}
		t.chunks = append(t.chunks, make([]byte, 0, max(min(chunkSize, 4<<10<<min(len(t.chunks), 8)), len(row))))
		last++
	}
	t.rows = append(t.rows, uint32(last)<<placeBits|uint32(len(t.chunks[last])))
	t.chunks[last] = append(t.chunks[last], row...)
	t.ids = append(t.ids, id)
	t.known[id] = true
	for i := range t.sum {
		t.sum[i] ^= id[i]
	}
	return true, true
}

// seal ends the filling.
func (t *table) seal() {
	t.known, t.word = nil, nil
	t.rows, t.ids = slices.Clip(t.rows), slices.Clip(t.ids)
	t.first, t.last = beginning, end
}

// idOf names a document by what it says.
func idOf(stream string, fields []event.Field) [16]byte {
	text := append(make([]byte, 0, 256), stream...)
	for _, f := range fields {
		text = append(append(text, 0), f.Path...)
		text = f.Value.AppendJSON(append(text, 0))
	}
	return xxh3.Hash128(text).Bytes()
}

// The forms in which a value is packed.
const (
	formText  = iota // its length, and its bytes
	formWord         // the number of a word
	formSpan         // two instants
	formTexts        // a list of words or texts
	formJSON         // anything else
)

// pack appends fields to dst.
func (t *table) pack(dst []byte, fields []event.Field) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(fields)))
	for _, f := range fields {
		dst = binary.AppendUvarint(dst, uint64(t.numberOf(f.Path)))
		dst = t.packValue(dst, f)
	}
	return dst
}

func (t *table) packValue(dst []byte, f event.Field) []byte {
	v := f.Value
	items := v.Items()
	switch {
	case v.Kind() == event.KindString:
		return t.packText(dst, f.Path, v.Str())
	case f.Path == plan.Timestamp && len(items) == 2 && items[0].Kind() == event.KindTime:
		return binary.AppendVarint(binary.AppendVarint(append(dst, formSpan), items[0].Int()), items[1].Int())
	case len(items) > 0 && !slices.ContainsFunc(items, func(v event.Value) bool { return v.Kind() != event.KindString }):
		dst = binary.AppendUvarint(append(dst, formTexts), uint64(len(items)))
		for _, item := range items {
			dst = t.packText(dst, f.Path, item.Str())
		}
		return dst
	}
	text := v.AppendJSON(nil)
	return append(binary.AppendUvarint(append(dst, formJSON), uint64(len(text))), text...)
}

func (t *table) packText(dst []byte, path, s string) []byte {
	if oftenSame[path] {
		n, known := t.word[s]
		if !known && len(t.words) < maxWords {
			n, known = len(t.words), true
			s = strings.Clone(s)
			t.word[s] = n
			t.words = append(t.words, s)
		}
		if known {
			return binary.AppendUvarint(append(dst, formWord), uint64(n))
		}
	}
	return append(binary.AppendUvarint(append(dst, formText), uint64(len(s))), s...)
}

func (t *table) numberOf(path string) int {
	n, known := t.number[path]
	if !known {
		n = len(t.paths)
		path = strings.Clone(path)
		t.number[path] = n
		t.paths = append(t.paths, path)
	}
	return n
}

// unpacker reads a packed row.
type unpacker struct {
	table *table
	data  []byte
}

func (u *unpacker) count() int {
	n, size := binary.Uvarint(u.data)
	u.data = u.data[size:]
	return int(n)
}

func (u *unpacker) bytes() []byte {
	n := u.count()
	out := u.data[:n]
	u.data = u.data[n:]
	return out
}

func (u *unpacker) instant() int64 {
	n, size := binary.Varint(u.data)
	u.data = u.data[size:]
	return n
}

// value reads a value; one that is not wanted costs nothing.
func (u *unpacker) value(wanted bool) event.Value {
	form := u.data[0]
	u.data = u.data[1:]
	switch form {
	case formWord:
		return event.String(u.table.words[u.count()])
	case formSpan:
		from := u.instant()
		return span(from, u.instant())
	case formTexts:
		items := make([]event.Value, u.count())
		for i := range items {
			items[i] = u.value(wanted)
		}
		return event.List(items...)
	}
	text := u.bytes()
	switch {
	case !wanted:
		return event.Value{}
	case form == formJSON:
		v, _ := event.ParseJSON(text) // which pack has written
		return v
	}
	return event.String(string(text))
}

// keeps says by path's number whether a scan of fields reads it; nil: of all.
func (t *table) keeps(fields []string) []bool {
	if fields == nil {
		return nil
	}
	keep := make([]bool, len(t.paths))
	for i, p := range t.paths {
		keep[i] = reads(fields, p)
	}
	return keep
}

// reads reports whether what stands at path is at, below or above one of fields.
func reads(fields []string, path string) bool {
	return slices.ContainsFunc(fields, func(f string) bool {
		return f == path || strings.HasPrefix(path, f) && path[len(f)] == '.' || strings.HasPrefix(f, path) && f[len(path)] == '.'
	})
}

// event returns the document of a row, or what keep says of it.
func (t *table) event(row uint32, keep []bool) *event.Event {
	at := t.rows[row]
	u := unpacker{t, t.chunks[at>>placeBits][at&(chunkSize-1):]}
	id := t.ids[row]
	e := &event.Event{ID: hex.EncodeToString(id[:]), Stream: t.stream}
	n := u.count()
	fields := make([]event.Field, 0, n+len(t.common))
	common := t.common
	for range n {
		number := u.count()
		wanted := keep == nil || keep[number]
		path, v := t.paths[number], u.value(wanted)
		for len(common) > 0 && common[0].Path <= path {
			if common[0].Path < path {
				fields = append(fields, common[0])
			}
			common = common[1:]
		}
		if wanted {
			fields = append(fields, event.Field{Path: path, Value: v})
		}
	}
	e.SetAll(append(fields, common...))
	return e
}

// allPaths are the paths that documents hold, sorted.
func (t *table) allPaths() []string {
	out := slices.Clone(t.paths)
	for _, f := range t.common {
		if _, has := t.number[f.Path]; !has {
			out = append(out, f.Path)
		}
	}
	sort.Strings(out)
	return out
}
