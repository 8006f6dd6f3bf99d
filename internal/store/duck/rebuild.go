package duck

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// event rebuilds the document of row i.
func (v *segmentScan) event(cols []vector, i int) (*event.Event, error) {
	e := &event.Event{ID: cols[0].str(i), Stream: v.stream}
	next := 1
	for _, c := range v.columns {
		if value, ok := v.seg.layout.columns[c].read(&cols[next], i); ok {
			e.Set(v.seg.layout.columns[c].Path, value)
		}
		next++
	}
	if v.rest {
		if !cols[next].null(i) {
			err := readRest(cols[next].str(i), v.wants, func(path string, value event.Value) { e.Set(path, value) })
			if err != nil {
				return nil, fmt.Errorf("read event %q of %s: %w", e.ID, v.stream, err)
			}
		}
		next++
	}
	if v.source {
		e.Source.Data = bytes.Clone(cols[next].bytes(i))
		e.Source.Object = cols[next+1].str(i)
		e.Source.Offset = cols[next+2].int64(i)
		if !cols[next+3].null(i) {
			e.Source.Delivered = time.UnixMicro(cols[next+3].int64(i)).UTC()
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

// read returns the value of row i of the column as documents have it, false where there is none.
func (c column) read(v *vector, i int) (event.Value, bool) {
	if v.null(i) {
		return event.Value{}, false
	}
	if !c.List {
		return c.readOne(v, i), true
	}
	child := v.child()
	from, to := v.list(i)
	items := make([]event.Value, 0, to-from)
	for j := from; j < to; j++ {
		items = append(items, c.readOne(&child, j))
	}
	return event.List(items...), true
}

func (c column) readOne(v *vector, i int) event.Value {
	switch {
	case c.isText():
		return event.String(v.str(i))
	case c.Type == event.Long:
		return event.Int(at[int64](v, i))
	case c.Type == event.Double:
		return event.Float(at[float64](v, i))
	case c.Type == event.Boolean:
		return event.Bool(at[bool](v, i))
	case c.Type == event.Date:
		return c.given(event.Millis(at[int64](v, i)))
	}
	return c.given(event.IP(addressFrom(at[hugeint](v, i))))
}

// addressFrom is the address that addressOf made h of.
func addressFrom(h hugeint) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], h.upper)
	binary.BigEndian.PutUint64(b[8:], h.lower)
	return netip.AddrFrom16(b)
}
