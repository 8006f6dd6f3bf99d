package indicator

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unsafe"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// maxTold is how many diagnostics of one code a file gets; the others are counted.
const maxTold = 5

// reader reads one file into a table.
type reader struct {
	table   *table
	account Account
	left    int // how many indicators may still come, of most
	most    int
	text    string
	told    diag.List
	more    map[string]int  // diagnostics beyond maxTold, by code
	once    map[string]bool // columns that were told of
	full    bool

	refs references

	refanged, guessed int
	firstRefanged     diag.Diagnostic
	firstGuessed      diag.Diagnostic
	kinds             map[string]int // of values that were guessed
}

// file reads f.
func (r *reader) file(f rule.File) {
	data, err := f.Data(MaxFile)
	if err != nil {
		r.say(diag.Diagnostic{Code: CodeUnreadable, Message: fmt.Sprintf("the indicators cannot be read: %v", err)})
		return
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	r.text = unsafe.String(unsafe.SliceData(data), len(data)) // nobody writes to it
	switch head := bytes.TrimLeft(data, " \t\r\n"); {
	case len(head) == 0:
		r.warn(CodeNone, 0, 0, "", "the file is empty: it holds no indicator")
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		r.bad(CodeUnreadable, 0, 0, "save it as UTF-8", "the file is UTF-16")
	case bytes.HasPrefix(head, []byte("PK\x03\x04")), bytes.HasPrefix(head, []byte("\x1f\x8b")):
		r.bad(CodeUnreadable, 0, 0, "unpack it first", "the file is packed")
	case head[0] == '{' || head[0] == '[' && beginsList(head[1:]):
		r.json(data)
	default:
		r.lines(r.text)
	}
	if r.account.Read == 0 && r.account.RefusedTotal() == 0 && len(r.told) == 0 {
		r.warn(CodeNone, 0, 0, "", "the file holds no indicator")
	}
}

// beginsList reports whether what follows a [ is JSON: [::1] is an address.
func beginsList(rest []byte) bool {
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) > 0 && strings.IndexByte(`{["]`, rest[0]) >= 0
}

// say adds a diagnostic, unless there are enough of its code.
func (r *reader) say(d diag.Diagnostic) {
	d.File = r.account.File
	if r.enough(d.Code) {
		if r.more == nil {
			r.more = map[string]int{}
		}
		r.more[d.Code]++
		return
	}
	r.told = append(r.told, d)
}

// enough reports whether so many diagnostics of a code were told that others are counted alone.
func (r *reader) enough(code string) bool {
	n := 0
	for _, told := range r.told {
		if told.Code == code {
			n++
		}
	}
	return n == maxTold
}

// at is a diagnostic at a part of the text.
func (r *reader) at(severity diag.Severity, code string, from, to int, hint, format string, args ...any) diag.Diagnostic {
	return diag.Diagnostic{Severity: severity, Code: code, Text: r.text, Span: diag.Span{Start: from, End: to}, Hint: hint,
		Message: fmt.Sprintf(format, args...)}
}

func (r *reader) bad(code string, from, to int, hint, format string, args ...any) {
	r.say(r.at(diag.Error, code, from, to, hint, format, args...))
}

func (r *reader) warn(code string, from, to int, hint, format string, args ...any) {
	r.say(r.at(diag.Warning, code, from, to, hint, format, args...))
}

// problems returns what is to be said of the file.
func (r *reader) problems() diag.List {
	if r.refanged > 0 {
		d := r.firstRefanged
		d.Message = fmt.Sprintf("%s written so that nobody follows it (1.2.3[.]4, hxxp://), and read as it was meant", many(r.refanged, "value is", "values are"))
		r.say(d)
	}
	if r.guessed > 0 {
		var kinds []string
		for k := range r.kinds {
			kinds = append(kinds, k)
		}
		sort.Slice(kinds, func(i, j int) bool {
			return r.kinds[kinds[i]] > r.kinds[kinds[j]] || r.kinds[kinds[i]] == r.kinds[kinds[j]] && kinds[i] < kinds[j]
		})
		for i, k := range kinds {
			kinds[i] = fmt.Sprintf("%d %s", r.kinds[k], k)
		}
		d := r.firstGuessed
		d.Message = fmt.Sprintf("the kind of %s is told by how they look: %s", many(r.guessed, "value", "values"), strings.Join(kinds, ", "))
		r.say(d)
	}
	codes := make([]string, 0, len(r.more))
	for code := range r.more {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	for _, code := range codes {
		severity := diag.Warning
		for _, d := range r.told {
			if d.Code == code {
				severity = d.Severity
			}
		}
		r.told = append(r.told, diag.Diagnostic{Severity: severity, Code: code, File: r.account.File,
			Message: fmt.Sprintf("and so %s", many(r.more[code], "more time", "more times"))})
	}
	return r.told
}

func many(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// refuse counts a line or object that becomes no indicator, and tells why and where.
func (r *reader) refuse(reason, code string, from, to int, hint, format string, args ...any) {
	r.account.Refused[reason]++
	r.warn(code, from, to, hint, format, args...)
}

// document is an indicator that is being read.
type document struct {
	fields      []event.Field
	from, until int64 // milliseconds; 0: not said
	observed    bool  // it says what is to be looked for
}

func (d *document) reset() { *d = document{fields: d.fields[:0]} }

// get returns what stands at path.
func (d *document) get(path string) event.Value {
	for _, f := range d.fields {
		if f.Path == path {
			return f.Value
		}
	}
	return event.Value{}
}

// set puts v at path.
func (d *document) set(path string, v event.Value) {
	for i := range d.fields {
		if d.fields[i].Path == path {
			d.fields[i].Value = v
			return
		}
	}
	d.fields = append(d.fields, event.Field{Path: path, Value: v})
}

// text puts a text at path.
func (d *document) text(path, s string) { d.set(path, event.String(s)) }

// look puts what is to be looked for at path; kind is the indicator's type, which the first one gives.
func (d *document) look(path, kind string, v event.Value) {
	d.set(path, v)
	d.observed = true
	if d.get("threat.indicator.type").IsNull() && kind != "" {
		d.text("threat.indicator.type", kind)
	}
}

// finish makes the document ready to be stored.
func (d *document) finish() []event.Field {
	if ip := d.get("threat.indicator.ip"); !ip.IsNull() {
		d.set("threat.indicator.ip", withAddresses(ip))
	}
	if d.until != 0 {
		d.set(Expires, event.Millis(d.until))
	}
	if d.get(plan.Timestamp).IsNull() && d.from|d.until != 0 {
		until := int64(end)
		if d.until != 0 {
			until = d.until
		}
		d.set(plan.Timestamp, span(d.from, until))
	}
	slices.SortFunc(d.fields, func(a, b event.Field) int { return strings.Compare(a.Path, b.Path) })
	return d.fields
}

// withAddresses adds to a network its own address: the field then has a value that is one, which threat.indicator.ip:* finds.
func withAddresses(v event.Value) event.Value {
	if v.IsScalar() && strings.IndexByte(v.Text(), '/') < 0 {
		return v
	}
	var out []event.Value
	seen := map[string]bool{}
	add := func(v event.Value) {
		if !seen[v.Text()] {
			seen[v.Text()] = true
			out = append(out, v)
		}
	}
	var each func(v event.Value)
	each = func(v event.Value) {
		if v.Kind() == event.KindList {
			for _, item := range v.Items() {
				each(item)
			}
			return
		}
		if address, network := networkOf(v.Text()); network {
			add(event.String(address))
		}
		add(v)
	}
	each(v)
	if len(out) == 1 {
		return out[0]
	}
	return event.List(out...)
}

// add stores a document; false where no more may come.
func (r *reader) add(d *document) (added bool) {
	if r.left == 0 {
		if !r.full {
			r.full = true
			r.say(diag.Diagnostic{Code: CodeTooMany, Message: fmt.Sprintf("there are more than %d indicators: what comes from here on is left out", r.most)})
		}
		return false
	}
	added, fits := r.table.add(d.finish())
	if !fits {
		r.left = 0
		return r.add(d)
	}
	if added {
		r.left--
		r.account.Indicators++
	}
	return added
}

// take stores the document of a line or object.
func (r *reader) take(d *document) {
	switch added := r.add(d); {
	case added:
		r.account.Used++
	case r.full:
		r.account.Refused["too many indicators"]++
	default:
		r.account.Duplicates++
	}
}
