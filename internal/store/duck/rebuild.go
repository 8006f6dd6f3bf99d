package duck

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// reader rebuilds the documents of one segment. It keeps what rows share: texts that come again and again, and memory.
type reader struct {
	cols    []event.Field
	rest    []event.Field
	texts   []shared // by column
	element []vector // by column, the elements of the chunk's lists
}

// shared are the texts that a column gave. One that hardly ever gives the same again is no longer looked up.
type shared struct {
	known map[string]string
	hits  int
	off   bool
}

// Texts of up to sharedText bytes are shared, sharedTexts of a column.
const (
	sharedText  = 100
	sharedTexts = 2000
)

// event rebuilds the document of row i of the chunk that begin was given.
func (v *segmentScan) event(cols []vector, i int) (*event.Event, error) {
	e := &event.Event{ID: cols[0].str(i), Stream: v.stream}
	r := &v.reader
	r.cols, r.rest = r.cols[:0], r.rest[:0]
	next := 1
	for k, c := range v.columns {
		if value, ok := r.read(&v.seg.layout.columns[c], k, &cols[next], i); ok {
			r.cols = append(r.cols, event.Field{Path: v.seg.layout.columns[c].Path, Value: value})
		}
		next++
	}
	rest := ""
	if v.rest {
		if !cols[next].null(i) {
			rest = cols[next].str(i)
			err := readRest(rest, v.wants, func(path string, value event.Value) {
				r.rest = append(r.rest, event.Field{Path: path, Value: value})
			})
			if err != nil {
				return nil, fmt.Errorf("read event %q of %s: %w", e.ID, v.stream, err)
			}
		}
		next++
	}
	e.SetAll(r.merge())
	if v.source {
		if !cols[next].null(i) {
			if e.Source.Data = mend(cols[next].bytes(i), v.seg.layout, cols[1:], i, rest); e.Source.Data == nil {
				return nil, fmt.Errorf("read event %q of %s: %w", e.ID, v.stream, errRest)
			}
		}
		e.Source.Object = cols[next+1].str(i)
		e.Source.Offset = cols[next+2].int64(i)
		if !cols[next+3].null(i) {
			e.Source.Delivered = unpackInstant(cols[next+3].int64(i))
		}
		next += 4
	}
	if v.states && !cols[next].null(i) {
		paths, values := cols[next].child(), cols[next+1].child()
		from, to := cols[next].list(i)
		other, _ := cols[next+1].list(i)
		for j := from; j < to; j++ {
			value, err := parseValue(values.str(other + j - from))
			if err != nil {
				return nil, fmt.Errorf("read the state of alert %q: %w", e.ID, err)
			}
			e.Set(paths.str(j), value)
		}
	}
	return e, nil
}

// begin makes the scan ready for the rows of a chunk.
func (v *segmentScan) begin(cols []vector) {
	r := &v.reader
	if r.texts == nil {
		r.texts = make([]shared, len(v.columns))
		r.element = make([]vector, len(v.columns))
	}
	for k, c := range v.columns {
		if v.seg.layout.columns[c].List {
			r.element[k] = cols[1+k].child()
		}
	}
}

// merge returns the fields in order of their paths; of a path that stands in a column and in rest, the latter.
func (r *reader) merge() []event.Field {
	out := make([]event.Field, 0, len(r.cols)+len(r.rest))
	a, b := r.cols, r.rest
	for len(a) > 0 && len(b) > 0 {
		switch c := strings.Compare(a[0].Path, b[0].Path); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			a = a[1:]
		}
	}
	return append(append(out, a...), b...)
}

// read returns the value of row i of the column, the k-th that is read, as documents have it; false where there is none.
func (r *reader) read(c *column, k int, v *vector, i int) (event.Value, bool) {
	if v.null(i) {
		return event.Value{}, false
	}
	if !c.List {
		return r.readOne(c, k, v, i), true
	}
	from, to := v.list(i)
	items := make([]event.Value, 0, to-from)
	for j := from; j < to; j++ {
		items = append(items, r.readOne(c, k, &r.element[k], j))
	}
	return event.List(items...), true
}

func (r *reader) readOne(c *column, k int, v *vector, i int) event.Value {
	switch c.Type {
	case event.Long:
		return event.Int(at[int64](v, i))
	case event.Double:
		return event.Float(at[float64](v, i))
	case event.Boolean:
		return event.Bool(at[bool](v, i))
	case event.Date:
		return c.given(event.Millis(at[int64](v, i)))
	case event.IPType:
		return c.given(event.IP(addressFrom(v.bytes(i))))
	}
	if c.UUID {
		return event.String(string(appendUUID(nil, at[hugeint](v, i))))
	}
	return event.String(r.text(k, v.bytes(i)))
}

// text returns b as a text, the same one as before where the column had it before.
func (r *reader) text(k int, b []byte) string {
	t := &r.texts[k]
	if len(b) > sharedText || t.off {
		return string(b)
	}
	if s, known := t.known[string(b)]; known {
		t.hits++
		return s
	}
	if len(t.known) == sharedTexts && t.hits < sharedTexts {
		*t = shared{off: true}
		return string(b)
	}
	if t.known == nil || len(t.known) == sharedTexts {
		*t = shared{known: map[string]string{}}
	}
	s := string(b)
	t.known[s] = s
	return s
}

// addressFrom is the address that addressOf made b of.
func addressFrom(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}
