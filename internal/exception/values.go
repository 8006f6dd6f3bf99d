package exception

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// Limits of a value list.
const (
	MaxValuesFile = 1 << 30  // bytes of a file
	MaxValue      = 32 << 10 // bytes of one value
)

// maxBadValues is how many bad values of a list are told one by one.
const maxBadValues = 10

// ValueList is a list of values that entries look fields up in. It is safe for concurrent use.
type ValueList struct {
	ID   string
	Type string // as Kibana calls it: keyword, ip_range, …

	base event.Type
	set  *expr.Set // nil: the list cannot be used
	at   place

	mutex sync.Mutex
	as    map[event.Type]*expr.Set // the values as fields of other types read them
}

// Len is the number of values and ranges.
func (v *ValueList) Len() int {
	if v.set == nil {
		return 0
	}
	return v.set.Len()
}

// valueTypes are the types of value lists: the type of the values, and whether they may be ranges.
var valueTypes = map[string]struct {
	base   event.Type
	ranges bool
}{
	"keyword": {event.Keyword, false}, "binary": {event.Keyword, false}, "text": {event.Text, false},
	"ip": {event.IPType, false}, "ip_range": {event.IPType, true}, "boolean": {event.Boolean, false},
	"byte": {event.Long, false}, "short": {event.Long, false}, "integer": {event.Long, false}, "long": {event.Long, false},
	"integer_range": {event.Long, true}, "long_range": {event.Long, true},
	"half_float": {event.Double, false}, "float": {event.Double, false}, "double": {event.Double, false},
	"float_range": {event.Double, true}, "double_range": {event.Double, true},
	"date": {event.Date, false}, "date_nanos": {event.Date, false}, "date_range": {event.Date, true},
}

// unusableTypes are the types that Kibana has besides: places on the earth.
var unusableTypes = []string{"geo_point", "geo_shape", "shape"}

func typeNames() []string {
	var names []string
	for name := range valueTypes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// readValues reads a [[value_list]] of the file f; nil where it has no name.
func readValues(f rule.File, t *rule.Table) *ValueList {
	t.Need("id", "type")
	v := &ValueList{ID: t.Word("id"), at: place(t.Place("id"))}
	if slices.Contains(unusableTypes, t.Text("type")) {
		t.Bad(numberType, "type", "one of: "+strings.Join(typeNames(), ", "), "lists of %s cannot be looked up", t.Text("type"))
	} else {
		v.Type = t.OneOf("type", typeNames()...)
	}
	inline, file := t.Texts("values"), t.Word("file")
	switch {
	case t.Given("values") && t.Given("file"):
		t.Bad(numberBesides, "file", "", "%s has both values and a file of them", t.Title())
	case v.Type == "":
	case t.Given("values"):
		v.readInline(t, inline)
	case file != "":
		if hint, err := v.readFile(f, file); err != nil {
			t.Bad(numberValues, "file", hint, "%v", err)
		}
	case !t.Given("file"):
		t.Bad(numberMissing, "id", "write values = [\"…\"], or file = \"…\" with a value a line", "%s has neither values nor a file", t.Title())
	}
	if v.ID == "" {
		return nil
	}
	return v
}

// readInline reads values that stand in t. With a bad one among them the list cannot be used: what is not in it would be
// hidden by mistake.
func (v *ValueList) readInline(t *rule.Table, values []string) {
	b, bad := newValues(v.Type), false
	for i, s := range values {
		if !b.add(s) {
			bad = true
			t.Bad(numberValues, "values", formOf(v.Type), "value %d, %s, is no %s", i+1, quoted(s), v.Type)
		}
	}
	if bad {
		return
	}
	if err := v.finish(b); err != nil {
		t.Bad(numberValues, "values", "", "%v", err)
	}
}

// readFile reads the values of a file, one a line.
func (v *ValueList) readFile(f rule.File, name string) (hint string, err error) {
	file, title, err := f.Sibling(name)
	if err != nil {
		return "", fmt.Errorf("the values cannot be read: %w", err)
	}
	defer file.Close()
	b := newValues(v.Type)
	var bad []string
	more := 0
	err = eachLine(file, func(number int, line string) {
		if b.add(line) {
			return
		}
		if len(bad) < maxBadValues {
			bad = append(bad, fmt.Sprintf("line %d, %s", number, quoted(line)))
		} else {
			more++
		}
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("the values of %s cannot be read: %w", title, err)
	case more > 0:
		bad = append(bad, fmt.Sprintf("and %d more lines", more))
	}
	if len(bad) > 0 {
		return formOf(v.Type), fmt.Errorf("%s holds what is no %s: %s", title, v.Type, strings.Join(bad, "; "))
	}
	return "", v.finish(b)
}

// eachLine calls take with each line of the file that is not blank. The file must not change meanwhile.
func eachLine(file fs.File, take func(number int, line string)) error {
	steady, err := rule.NewSteady(file, MaxValuesFile)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(steady)
	lines.Buffer(make([]byte, 4<<10), MaxValue+2)
	number := 0
	for lines.Scan() {
		number++
		line := strings.TrimSuffix(lines.Text(), "\r")
		if number == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		if strings.TrimSpace(line) != "" {
			take(number, line)
		}
	}
	err = steady.Err(lines.Err() == nil)
	switch {
	case err != nil:
		return err
	case errors.Is(lines.Err(), bufio.ErrTooLong):
		return fmt.Errorf("line %d is longer than %d bytes", number+1, MaxValue)
	}
	return lines.Err()
}

// valuesBuilder collects the values of a list.
type valuesBuilder struct {
	*expr.SetBuilder
	base   event.Type
	ranges bool
}

func newValues(typ string) *valuesBuilder {
	t := valueTypes[typ]
	return &valuesBuilder{expr.NewSet(t.base), t.base, t.ranges}
}

// finish takes over what was collected.
func (v *ValueList) finish(b *valuesBuilder) (err error) {
	v.base = b.base
	v.set, err = b.Set()
	return err
}

// add adds a value as it is written; false where it is none of the list's type.
func (b *valuesBuilder) add(s string) bool {
	if b.base != event.Keyword && b.base != event.Text {
		s = strings.TrimSpace(s)
	}
	if b.ranges {
		if from, to, isRange := b.split(s); isRange {
			return b.AddRange(from, to)
		}
	}
	v, ok := event.Coerce(b.base, event.String(s))
	return ok && b.Add(v)
}

// split reads a range: from-to, from,to where they are dates, or a network.
func (b *valuesBuilder) split(s string) (from, to event.Value, ok bool) {
	if b.base == event.IPType {
		if from, to, ok = network(s); ok {
			return from, to, true
		}
	}
	sign := "-"
	if b.base == event.Date {
		sign = ","
	}
	for at := 1; at < len(s); at++ { // a number may begin with a minus, and have one in its exponent
		if s[at:at+1] != sign {
			continue
		}
		var begins, ends bool
		from, begins = event.Coerce(b.base, event.String(strings.TrimSpace(s[:at])))
		to, ends = event.Coerce(b.base, event.String(strings.TrimSpace(s[at+1:])))
		if begins && ends {
			return from, to, true
		}
	}
	return from, to, false
}

// network returns the first and the last address of a network such as 10.0.0.0/8, which may be written with any of its
// addresses.
func network(s string) (from, to event.Value, ok bool) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return from, to, false
	}
	first := p.Masked().Addr()
	last := first.AsSlice()
	for bit := p.Bits(); bit < 8*len(last); bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return event.IP(first), event.IP(end), true
}

// formOf says how values of the type are written.
func formOf(typ string) string {
	t := valueTypes[typ]
	switch {
	case t.base == event.IPType && t.ranges:
		return "write 10.0.0.1, 10.0.0.0/8 or 10.0.0.1-10.0.0.9"
	case t.base == event.Date && t.ranges:
		return "write 2026-03-01T12:00:00Z, or two of these with a comma between them"
	case t.ranges:
		return "write a number, or two of them with a minus between them"
	case t.base == event.IPType:
		return "write an address; networks stand in lists of the type ip_range"
	case t.base == event.Date:
		return "write 2026-03-01T12:00:00Z"
	case t.base == event.Text:
		return "write a text that has words"
	case t.base == event.Boolean:
		return "write true or false"
	}
	return "write a number"
}

// read returns how a field is looked up in the list: as which type it is read, and in which values. nil: no value of the
// field is in the list.
func (v *ValueList) read(f expr.Field) (expr.Field, *expr.Set) {
	textual := f.Type.IsKeyword() || f.Type.IsText()
	as := f
	switch {
	case f.Type == event.ObjectType || f.Type == event.Nested || f.Type == event.GeoPoint:
		return f, nil
	case v.base == event.Text: // the whole value, by its words
		as.Type = event.Keyword
		return as, v.set
	case textual && v.base == event.IPType:
		as.Type = event.IPType
		return as, v.set
	case textual && v.ranged():
		as.Type = v.base
		if v.base == event.Long {
			as.Type = event.Double // 3.5 is not within 1-3
		}
		return as, v.typed(as.Type)
	case f.Type.IsText(): // tokens
		return as, v.typed(event.Keyword)
	case f.Type == event.Long && v.base == event.Double:
		as.Type = event.Double
		return as, v.set
	}
	return as, v.typed(f.Type)
}

func (v *ValueList) ranged() bool {
	for range v.set.Ranges() {
		return true
	}
	return false
}

// typed returns the values as a field of type t reads them; those that do not fit are left out.
func (v *ValueList) typed(t event.Type) *expr.Set {
	if t == v.base || t.IsKeyword() && t != event.Caseless && v.base == event.Keyword {
		return v.set
	}
	v.mutex.Lock()
	defer v.mutex.Unlock()
	if set, known := v.as[t]; known {
		return set
	}
	b := expr.NewSet(t)
	read := func(x event.Value) (event.Value, bool) { return event.Coerce(t, event.String(x.Text())) }
	for x := range v.set.Points() {
		if from, to, ok := network(x.Text()); ok && t == event.IPType {
			b.AddRange(from, to)
		} else if typed, ok := read(x); ok {
			b.Add(typed)
		}
	}
	for least, greatest := range v.set.Ranges() {
		from, begins := read(least)
		if to, ends := read(greatest); begins && ends {
			b.AddRange(from, to)
		}
	}
	set, err := b.Set()
	if err != nil { // no larger than what was read
		panic("exception: a list outgrew itself: " + err.Error())
	}
	if v.as == nil {
		v.as = map[event.Type]*expr.Set{}
	}
	v.as[t] = set
	return set
}
