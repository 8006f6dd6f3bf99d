package duck

import (
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// stored is an event on its way into a segment.
type stored struct {
	e    *event.Event
	id   string
	hash uint32 // 0 for alerts, which are known elsewhere
	sum  uint64
	ms   int64 // of @timestamp
}

// rowWriter writes events to one segment.
type rowWriter struct {
	seg    *segment // the next state of it
	app    *appender
	notes  *pathNotes
	live   string  // the event.ingested of events, or ""
	landed []int64 // of the last row: every value of its event.ingested, or its @timestamp where it has none
	rest   []event.Field
	buf    []byte // the row's rest, then its source
	ends   []int  // where the values of rest begin and end in buf
	path   []byte
	vals   []event.Value
	kin    map[string]kin // by the path of a field in rest
	misfit int
	multi  []int  // by column, the rows with several values in a column of single ones
	text   []bool // by column, whether it holds texts,
	noted  []bool // and whether its path has been noted
	cut    cutter
}

func newRowWriter(c *conn, seg *segment, notes *pathNotes, live string) (*rowWriter, error) {
	app, err := c.appendTo(catalogName, seg.table(), seg.layout.types())
	if err != nil {
		return nil, err
	}
	n := len(seg.layout.columns)
	w := &rowWriter{seg: seg, app: app, notes: notes, live: live, kin: map[string]kin{}, multi: make([]int, n),
		text: make([]bool, n), noted: make([]bool, n)}
	for i, c := range seg.layout.columns {
		w.text[i] = c.isText()
	}
	return w, nil
}

// write adds one row.
func (w *rowWriter) write(s stored, seq uint64) error {
	cols, i := w.seg.layout.columns, 0
	w.rest = w.rest[:0]
	w.cut.begin()
	ingested, live := event.Value{}, w.live != "" && s.hash != 0
	for _, f := range s.e.Fields() {
		if f.Path == plan.Ingested {
			if live {
				continue
			}
			ingested = f.Value
		}
		for i < len(cols) && cols[i].Path < f.Path {
			i++
		}
		switch {
		case i < len(cols) && cols[i].Path == f.Path:
			w.store(i, f)
		default:
			w.other(f)
		}
	}
	if live {
		ingested = event.String(w.live)
		if i, ok := w.seg.layout.byPath[plan.Ingested]; ok {
			w.store(i, event.Field{Path: plan.Ingested, Value: ingested})
			slices.SortFunc(w.rest, func(a, b event.Field) int { return strings.Compare(a.Path, b.Path) })
		}
	}
	n := len(cols)
	w.buf, w.ends = w.buf[:0], w.ends[:0]
	if len(w.rest) > 0 {
		w.buf, w.ends = appendRest(w.buf, w.rest, w.ends)
		w.app.bytes(n+colRest, w.buf)
	}
	w.app.uint64(n+colSeq, seq)
	own := w.isOwnID(s.id)
	if !own {
		w.app.text(n+colID, s.id)
	}
	if s.hash != 0 {
		if !own {
			w.app.uint32(n+colHash, s.hash)
		}
		w.app.uint64(n+colSum, s.sum)
	}
	if src := s.e.Source; src.Data != nil {
		rest := len(w.buf)
		w.buf = w.cut.cut(w.buf, src.Data, w.ends)
		w.app.bytes(n+colSource, w.buf[rest:])
	}
	if src := s.e.Source; src.Object != "" {
		w.app.text(n+colObject, src.Object)
	}
	w.app.int64(n+colOffset, s.e.Source.Offset)
	if d := s.e.Source.Delivered; !d.IsZero() {
		w.app.int64(n+colDelivered, packInstant(d))
	}
	w.seg.rows++
	w.seg.time.add(s.ms)
	w.ingested(s, ingested)
	w.seg.seq.last = seq
	if w.seg.seq.first == 0 {
		w.seg.seq.first = seq
	}
	return w.app.next()
}

// ingested notes the instants of a row's event.ingested, which v stands at: all that a condition on the field may meet.
func (w *rowWriter) ingested(s stored, v event.Value) {
	w.landed = w.landed[:0]
	if parent := s.e.Get("event"); parent.IsNull() && (v.IsNull() || v.IsScalar()) {
		if t, ok := event.Coerce(event.Date, v); ok {
			w.landed = append(w.landed, t.Int())
		}
	} else { // a list, or a tree that may hold the field too
		var e event.Event
		e.Set("event", parent)
		e.Set(plan.Ingested, v)
		for _, t := range expr.Read(expr.Field{Path: plan.Ingested, Type: event.Date}, &e) {
			w.landed = append(w.landed, t.Int())
		}
	}
	for _, ms := range w.landed {
		w.seg.ingested.add(ms)
	}
	if len(w.landed) == 0 {
		w.landed = append(w.landed, s.ms)
	}
}

// isOwnID reports whether the row's event.id stands in its column and is id.
func (w *rowWriter) isOwnID(id string) bool {
	at := w.seg.layout.ownID
	return at >= 0 && w.cut.held(at) == id && id != ""
}

// other puts a field that has no column into rest.
func (w *rowWriter) other(f event.Field) {
	w.rest = append(w.rest, f)
	w.path = append(w.path[:0], f.Path...)
	w.misfit += w.notes.walk(w.path, f.Value, w.seg.day)
	k := w.kinOf(f.Path)
	for _, i := range k.above {
		w.seg.odd.set(i)
	}
	if len(k.below) > 0 && holdsObject(f.Value) {
		for _, i := range k.below {
			w.seg.wild.set(i)
		}
	}
}

// kin are the columns on the way to a path, and those below it.
type kin struct{ above, below []int }

func (w *rowWriter) kinOf(path string) kin {
	k, known := w.kin[path]
	if known {
		return k
	}
	for i, c := range w.seg.layout.columns {
		if isBelow(c.Path, path) {
			k.below = append(k.below, i)
		}
		if isBelow(path, c.Path) {
			k.above = append(k.above, i)
		}
	}
	if len(w.kin) < 10_000 {
		w.kin[path] = k
	}
	return k
}

// isBelow reports whether path lies below base.
func isBelow(path, base string) bool {
	return len(path) > len(base) && path[len(base)] == '.' && path[:len(base)] == base
}

func holdsObject(v event.Value) bool {
	switch v.Kind() {
	case event.KindObject:
		return true
	case event.KindList:
		for _, item := range v.Items() {
			if holdsObject(item) {
				return true
			}
		}
	}
	return false
}

// store puts a field into its column, and into rest what the column does not give back as it is.
func (w *rowWriter) store(i int, f event.Field) {
	c := &w.seg.layout.columns[i]
	if w.storeText(i, c, f.Value) {
		w.noteColumn(i, f.Path)
		return
	}
	if c.UUID {
		w.seg.wild.set(i)
		w.other(f)
		return
	}
	direct := true // whether f holds scalars, or a list of nothing else
	w.vals, direct = scalars(w.vals[:0], f.Value)
	typed, asGiven, missed := w.coerce(c, w.vals)
	switch {
	case holdsObject(f.Value), missed < 0, missed > 0 && f.Value.Kind() == event.KindList, !c.List && len(w.vals) > 1:
		if !c.List && len(w.vals) > 1 {
			w.multi[i]++
		}
		w.seg.wild.set(i)
		w.other(f)
		return
	case len(typed) == 0: // nothing, or a misfit
		w.other(f)
		w.seg.odd.set(i)
		return
	}
	w.noteColumn(i, f.Path)
	if c.List {
		w.app.listOf(i, len(typed))
	}
	for _, v := range typed {
		w.put(i, c, v)
	}
	if asGiven && direct && c.List == (f.Value.Kind() == event.KindList) {
		return
	}
	w.seg.odd.set(i)
	w.rest = append(w.rest, f)
}

// storeText stores what most fields are: a text in a column of texts, or a list of texts in one of lists. It reports
// whether v was that.
func (w *rowWriter) storeText(i int, c *column, v event.Value) bool {
	if !w.text[i] {
		return false
	}
	if c.UUID {
		u, ok := parseUUID(v.Text())
		if ok = ok && v.Kind() == event.KindString; ok {
			w.app.huge(i, u)
			w.cut.add(i, v.Str())
		}
		return ok
	}
	if v.Kind() == event.KindString && !c.List {
		fits, ascii := plainText(v.Str())
		if fits {
			w.app.text(i, v.Str())
			w.cut.add(i, v.Str())
			if !ascii {
				w.seg.wide.set(i)
			}
		}
		return fits
	}
	items := v.Items()
	if len(items) == 0 || !c.List {
		return false
	}
	for _, item := range items {
		fits, ascii := plainText(item.Str())
		if item.Kind() != event.KindString || !fits {
			return false
		}
		if !ascii {
			w.seg.wide.set(i)
		}
	}
	w.app.listOf(i, len(items))
	for _, item := range items {
		w.app.item(i, item.Str())
	}
	return true
}

// noteColumn says that the column, whose path it is, holds a value.
func (w *rowWriter) noteColumn(i int, path string) {
	if !w.noted[i] {
		w.path = append(w.path[:0], path...)
		w.notes.note(w.path, w.seg.day)
		w.noted[i] = true
	}
}

// scalars appends the scalars of v, those of nested lists too; direct says that there are no lists within lists and no
// nulls.
func scalars(out []event.Value, v event.Value) (_ []event.Value, direct bool) {
	switch v.Kind() {
	case event.KindNull, event.KindObject:
		return out, false
	case event.KindList:
		direct = true
		for _, item := range v.Items() {
			ok := item.IsScalar()
			out, _ = scalars(out, item)
			direct = direct && ok
		}
		return out, direct
	}
	return append(out, v), true
}

// coerce types values in place. asGiven says that the column gives each back as it was; missed counts those that do not
// fit the type, and is -1 where a text fits no VARCHAR.
func (w *rowWriter) coerce(c *column, values []event.Value) (typed []event.Value, asGiven bool, missed int) {
	asGiven = true
	typed = values[:0:len(values)]
	for _, v := range values {
		t, ok := v, true
		switch {
		case !c.isText():
			t, ok = event.Coerce(c.Type, v)
		case v.Kind() != event.KindString:
			t = event.String(v.Text())
		}
		if !ok {
			missed++
			continue
		}
		if c.isText() {
			fits, ascii := plainText(t.Str())
			if !fits {
				return nil, false, -1
			}
			if !ascii {
				w.wide(c)
			}
		}
		asGiven = asGiven && c.givesBack(t, v)
		typed = append(typed, t)
	}
	return typed, asGiven && missed == 0, missed
}

func (w *rowWriter) wide(c *column) {
	if i, ok := w.seg.layout.byPath[c.Path]; ok {
		w.seg.wide.set(i)
	}
}

// given returns the value that a document mostly has where the column holds v: what rows are rebuilt with.
func (c *column) given(v event.Value) event.Value {
	switch v.Kind() {
	case event.KindTime, event.KindIP:
		return event.String(v.Text())
	}
	return v
}

// givesBack reports whether a row whose column holds t is rebuilt with v.
func (c *column) givesBack(t, v event.Value) bool {
	if t.Kind() == event.KindTime && v.Kind() == event.KindString {
		// What reads as an instant and has this shape is what FormatTime writes.
		s := v.Str()
		return len(s) == len("2006-01-02T15:04:05.000Z") && s[10] == 'T' && s[19] == '.' && s[23] == 'Z'
	}
	return event.Equal(v, c.given(t))
}

// put writes one value of column i, or adds one to its list.
func (w *rowWriter) put(i int, c *column, v event.Value) {
	switch {
	case c.isText() && c.List:
		w.app.item(i, v.Str())
	case c.isText():
		w.app.text(i, v.Str())
	case c.Type == event.Date:
		w.app.int64(i, v.Int())
		if s, ok := secondsText(v.Int()); ok && c.Path != plan.Ingested { // which may be written out of order
			w.cut.add(i, s)
		}
	case c.Type == event.Long:
		w.app.int64(i, v.Int())
	case c.Type == event.Double:
		w.app.float64(i, v.Float())
	case c.Type == event.Boolean:
		w.app.bool(i, v.Bool())
	case c.List:
		w.app.item(i, addressOf(v))
	default:
		w.app.text(i, addressOf(v))
		w.cut.add(i, v.Text())
	}
}

// addressOf returns an address as the columns of addresses hold it: its 16 bytes, which compare as addresses do.
func addressOf(v event.Value) string {
	b := v.Addr().As16()
	return string(b[:])
}

// timeOf returns the instant that stands at path, in milliseconds.
func timeOf(e *event.Event, path string) (int64, bool) {
	v, ok := event.Coerce(event.Date, e.Get(path))
	return v.Int(), ok
}

// dayOf returns the UTC day of an instant in milliseconds.
func dayOf(ms int64) store.Day {
	const day = 24 * 60 * 60 * 1000
	if ms < 0 {
		ms -= day - 1
	}
	return store.Day(ms / day)
}
