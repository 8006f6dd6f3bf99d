package duck

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// The column rest holds what no other column does, as one flat JSON object without blanks: paths as keys, sorted. What
// JSON cannot say stands as an object whose only key begins with U+0000 and a capital letter (tagString …); keys that
// begin with U+0000 themselves, or are no UTF-8, are written as U+0000 and hex. So every value is read back as it was.
const (
	tagString = "\\u0000S" // a text that is no UTF-8, in hex
	tagTime   = "\\u0000T" // an instant, in milliseconds
	tagIP     = "\\u0000I" // an address, in hex
	tagFloat  = "\\u0000F" // a number that is no JSON number, by its literal
)

// appendRest appends the fields, which are sorted by path, as one object, and to ends where the value of each begins and
// ends in dst.
func appendRest(dst []byte, fields []event.Field, ends []int) ([]byte, []int) {
	dst = append(dst, '{')
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendKey(dst, f.Path)
		dst = append(dst, ':')
		ends = append(ends, len(dst))
		dst = appendValue(dst, f.Value)
		ends = append(ends, len(dst))
	}
	return append(dst, '}'), ends
}

// restField returns the value of the k-th field of s as it stands there; false where there is none.
func restField(s string, k int) (string, bool) {
	r := &restReader{s: s}
	if !r.take('{') {
		return "", false
	}
	for ; ; k-- {
		if _, _, err := r.key(); err != nil || !r.take(':') {
			return "", false
		}
		from := r.i
		if err := r.skip(); err != nil {
			return "", false
		}
		if k == 0 {
			return s[from:r.i], true
		}
		if !r.take(',') {
			return "", false
		}
	}
}

func appendKey(dst []byte, key string) []byte {
	if strings.HasPrefix(key, "\x00") || !utf8.ValidString(key) {
		dst = append(dst, `"\u0000`...)
		dst = hex.AppendEncode(dst, []byte(key))
		return append(dst, '"')
	}
	return appendQuoted(dst, key)
}

func appendValue(dst []byte, v event.Value) []byte {
	switch v.Kind() {
	case event.KindNull:
		return append(dst, "null"...)
	case event.KindBool:
		return strconv.AppendBool(dst, v.Bool())
	case event.KindInt:
		return strconv.AppendInt(dst, v.Int(), 10)
	case event.KindFloat:
		literal := v.Text()
		if isNumber(literal) {
			return append(dst, literal...)
		}
		return append(appendQuoted(append(dst, `{"`+tagFloat+`":`...), literal), '}')
	case event.KindString:
		s := v.Str()
		if utf8.ValidString(s) {
			return appendQuoted(dst, s)
		}
		dst = append(dst, `{"`+tagString+`":"`...)
		dst = hex.AppendEncode(dst, []byte(s))
		return append(dst, `"}`...)
	case event.KindTime:
		return append(strconv.AppendInt(append(dst, `{"`+tagTime+`":`...), v.Int(), 10), '}')
	case event.KindIP:
		b := v.Addr().As16()
		dst = append(dst, `{"`+tagIP+`":"`...)
		dst = hex.AppendEncode(dst, b[:])
		return append(dst, `"}`...)
	case event.KindList:
		dst = append(dst, '[')
		for i, item := range v.Items() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, item)
		}
		return append(dst, ']')
	}
	dst = append(dst, '{')
	for i, m := range v.Members() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendKey(dst, m.Key)
		dst = append(dst, ':')
		dst = appendValue(dst, m.Value)
	}
	return append(dst, '}')
}

// appendQuoted writes s, which is UTF-8, with as few escapes as JSON allows, each in one form: what is looked for in
// rest is written by the same function.
func appendQuoted(dst []byte, s string) []byte {
	return append(appendEscaped(append(dst, '"'), s), '"')
}

func appendEscaped(dst []byte, s string) []byte {
	from := 0
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		if c == '"' || c == '\\' {
			dst = append(dst, '\\', c)
			continue
		}
		const digits = "0123456789abcdef"
		dst = append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
	}
	return append(dst, s[from:]...)
}

// isNumber reports whether s is a number as JSON writes it.
func isNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	digits := func() bool {
		n := 0
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		zero := n > 1 && s[0] == '0'
		s = s[n:]
		return n > 0 && !zero
	}
	if !digits() {
		return false
	}
	if strings.HasPrefix(s, ".") {
		s = "1" + s[1:] // any digits may follow the point, zeros first
		if len(s) == 1 || !digits() {
			return false
		}
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		s = "1" + s
		if len(s) == 1 || !digits() {
			return false
		}
	}
	return s == ""
}

// errRest says that the column rest is not as it was written.
var errRest = errors.New("a stored document is damaged")

// restReader reads what appendRest wrote. Texts without escapes share the memory of s.
type restReader struct {
	s string
	i int
}

// readRest calls f with each field of s in order, those alone that want takes (nil: all).
func readRest(s string, want func(path string) bool, f func(path string, v event.Value)) error {
	r := &restReader{s: s}
	if !r.take('{') {
		return errRest
	}
	for first := true; !r.take('}'); first = false {
		if !first && !r.take(',') {
			return errRest
		}
		key, _, err := r.key()
		if err != nil {
			return err
		}
		if !r.take(':') {
			return errRest
		}
		if want != nil && !want(key) {
			if err := r.skip(); err != nil {
				return err
			}
			continue
		}
		v, err := r.value()
		if err != nil {
			return err
		}
		f(key, v)
	}
	if r.i != len(s) {
		return errRest
	}
	return nil
}

// parseValue reads one value that appendValue wrote.
func parseValue(s string) (event.Value, error) {
	r := &restReader{s: s}
	v, err := r.value()
	if err == nil && r.i != len(s) {
		err = errRest
	}
	return v, err
}

func (r *restReader) take(c byte) bool {
	if r.i < len(r.s) && r.s[r.i] == c {
		r.i++
		return true
	}
	return false
}

// key reads a key; tag is the capital letter of a tag, else 0.
func (r *restReader) key() (key string, tag byte, err error) {
	key, err = r.text()
	if err != nil || !strings.HasPrefix(key, "\x00") {
		return key, 0, err
	}
	if len(key) == 2 && key[1] >= 'A' && key[1] <= 'Z' {
		return "", key[1], nil
	}
	raw, err := hex.DecodeString(key[1:])
	if err != nil {
		return "", 0, errRest
	}
	return string(raw), 0, nil
}

// text reads a quoted text.
func (r *restReader) text() (string, error) {
	if !r.take('"') {
		return "", errRest
	}
	end := strings.IndexByte(r.s[r.i:], '"')
	if end < 0 {
		return "", errRest
	}
	if plain := r.s[r.i : r.i+end]; strings.IndexByte(plain, '\\') < 0 {
		r.i += end + 1
		return plain, nil
	}
	var out []byte
	for {
		stop := strings.IndexAny(r.s[r.i:], `"\`)
		if stop < 0 {
			return "", errRest
		}
		out = append(out, r.s[r.i:r.i+stop]...)
		r.i += stop + 1
		if r.s[r.i-1] == '"' {
			return string(out), nil
		}
		switch {
		case r.take('"'):
			out = append(out, '"')
		case r.take('\\'):
			out = append(out, '\\')
		case r.take('u') && r.i+4 <= len(r.s):
			n, err := strconv.ParseUint(r.s[r.i:r.i+4], 16, 8)
			if err != nil {
				return "", errRest
			}
			out = append(out, byte(n))
			r.i += 4
		default:
			return "", errRest
		}
	}
}

func (r *restReader) value() (event.Value, error) {
	if r.i >= len(r.s) {
		return event.Value{}, errRest
	}
	switch c := r.s[r.i]; c {
	case '"':
		s, err := r.text()
		return event.String(s), err
	case '[':
		return r.list()
	case '{':
		return r.object()
	}
	from := r.i
	for r.i < len(r.s) && r.s[r.i] != ',' && r.s[r.i] != '}' && r.s[r.i] != ']' {
		r.i++
	}
	switch word := r.s[from:r.i]; word {
	case "null":
		return event.Null(), nil
	case "true":
		return event.Bool(true), nil
	case "false":
		return event.Bool(false), nil
	default:
		v, ok := event.Literal(word)
		if !ok {
			return event.Value{}, errRest
		}
		return v, nil
	}
}

func (r *restReader) list() (event.Value, error) {
	r.i++
	var items []event.Value
	for first := true; !r.take(']'); first = false {
		if !first && !r.take(',') {
			return event.Value{}, errRest
		}
		v, err := r.value()
		if err != nil {
			return event.Value{}, err
		}
		items = append(items, v)
	}
	return event.List(items...), nil
}

func (r *restReader) object() (event.Value, error) {
	r.i++
	var members []event.Member
	for first := true; !r.take('}'); first = false {
		if !first && !r.take(',') {
			return event.Value{}, errRest
		}
		key, tag, err := r.key()
		if err == nil && !r.take(':') {
			err = errRest
		}
		if err != nil {
			return event.Value{}, err
		}
		v, err := r.value()
		if err != nil {
			return event.Value{}, err
		}
		if tag != 0 {
			if !r.take('}') {
				return event.Value{}, errRest
			}
			return untag(tag, v)
		}
		members = append(members, event.Member{Key: key, Value: v})
	}
	return event.Object(members...), nil
}

// untag returns what a tagged value stands for.
func untag(tag byte, v event.Value) (event.Value, error) {
	switch tag {
	case tagTime[len(tagTime)-1]:
		return event.Millis(v.Int()), nil
	case tagFloat[len(tagFloat)-1]:
		if f, ok := event.Literal(v.Str()); ok {
			return f, nil
		}
	case tagString[len(tagString)-1]:
		if raw, err := hex.DecodeString(v.Str()); err == nil {
			return event.String(string(raw)), nil
		}
	case tagIP[len(tagIP)-1]:
		raw, err := hex.DecodeString(v.Str())
		if a, ok := netip.AddrFromSlice(raw); err == nil && ok {
			return event.IP(a), nil
		}
	}
	return event.Value{}, fmt.Errorf("%w: a value of the form %q", errRest, tag)
}

// skip passes over one value.
func (r *restReader) skip() error {
	depth := 0
	for r.i < len(r.s) {
		switch r.s[r.i] {
		case '"':
			if _, err := r.text(); err != nil {
				return err
			}
			if depth == 0 {
				return nil
			}
			continue
		case '[', '{':
			depth++
		case ']', '}':
			if depth == 0 {
				return nil
			}
			depth--
			if depth == 0 {
				r.i++
				return nil
			}
		case ',':
			if depth == 0 {
				return nil
			}
		}
		r.i++
	}
	if depth > 0 {
		return errRest
	}
	return nil
}
