package indicator

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// json reads JSON: objects one after the other, lists of them, bundles of STIX.
func (r *reader) json(data []byte) {
	w := walk{data: data, object: func(raw []byte, _ int) { r.refersTo(raw) }}
	each := func(bad func(err *placed)) {
		if !isObjectALine(data) {
			if err := w.all(0, len(data), 0); err != nil {
				bad(err)
			}
			return
		}
		for at := 0; at < len(r.text); {
			line, next := lineAt(r.text, at)
			if strings.TrimSpace(line) != "" {
				if err := w.all(at, at+len(line), 0); err != nil {
					bad(err)
				}
			}
			at = next
		}
	}
	each(func(*placed) {}) // what STIX objects refer to may come behind them
	w.object = r.object
	each(func(err *placed) {
		at := min(err.at, len(r.text))
		r.account.Refused["syntax"]++
		r.account.Read++
		r.bad(CodeSyntax, at, at, "what comes before it is read", "the JSON cannot be read: %v", err.err)
	})
}

// isObjectALine reports whether the text has an object a line, so that a bad one does not stop the others.
func isObjectALine(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	n := bytes.IndexByte(data, '\n')
	return n > 0 && len(bytes.TrimSpace(data[n:])) > 0 && data[0] == '{' && jsontext.Value(data[:n]).IsValid(options...)
}

// walk finds the objects of a JSON text.
type walk struct {
	data   []byte
	object func(raw []byte, at int) // that begins at a place of the text
}

// placed is an error and where it is.
type placed struct {
	err error
	at  int
}

// maxWrapped is how deep bundles may stand within others.
const maxWrapped = 4

var options = []jsontext.Options{jsontext.AllowDuplicateNames(true)}

// all calls object with the objects of the values in part of the text: those of lists one by one, and of a bundle what it
// holds. Values that are no objects come as they are.
func (w *walk) all(from, to, depth int) *placed {
	d := jsontext.NewDecoder(bytes.NewBuffer(w.data[from:to:to]), options...)
	inList := false
	for {
		kind := d.PeekKind()
		switch {
		case kind == '[' && !inList, kind == ']' && inList:
			if _, err := d.ReadToken(); err != nil {
				return w.wrong(d, from, err)
			}
			inList = kind == '['
			continue
		}
		raw, err := d.ReadValue()
		if err != nil {
			if !inList && strings.TrimSpace(string(w.data[min(from+int(d.InputOffset()), to):to])) == "" {
				return nil
			}
			return w.wrong(d, from, err)
		}
		at := from + int(d.InputOffset()) - len(raw)
		if raw[0] == '{' && depth < maxWrapped {
			if inner, found := w.bundle(at, at+len(raw), depth); found {
				if inner != nil {
					return inner
				}
				continue
			}
		}
		w.object(raw, at)
	}
}

func (w *walk) wrong(d *jsontext.Decoder, from int, err error) *placed {
	at := from + int(d.InputOffset())
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		at, err = from+int(syntax.ByteOffset), syntax.Err
	}
	return &placed{err, at}
}

// bundle walks the objects of a STIX bundle, or of what else wraps them: an object whose member objects is a list.
func (w *walk) bundle(from, to, depth int) (err *placed, found bool) {
	if !bytes.Contains(w.data[from:min(to, from+(1<<20))], []byte(`"objects"`)) && to-from < 1<<20 {
		return nil, false
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(w.data[from:to:to]), options...)
	if _, err := d.ReadToken(); err != nil {
		return w.wrong(d, from, err), true
	}
	for d.PeekKind() == '"' {
		key, err := d.ReadToken()
		if err != nil {
			return w.wrong(d, from, err), true
		}
		isObjects := key.String() == "objects" && d.PeekKind() == '['
		value, err := d.ReadValue()
		if err != nil {
			return w.wrong(d, from, err), true
		}
		if isObjects {
			end := from + int(d.InputOffset())
			return w.all(end-len(value), end, depth+1), true
		}
	}
	return nil, false
}

// parse reads an object; false where it is none that can be read, which it tells.
func (r *reader) parse(raw []byte, at int) (event.Value, bool) {
	p := event.Parser{MaxValues: MaxValues}
	v, _, err := p.Parse(raw)
	switch {
	case err != nil:
		r.refuse("not readable", CodeSyntax, at, at, "", "the object cannot be read: %v", err)
		return v, false
	case v.Kind() != event.KindObject:
		r.refuse("no object", CodeSyntax, at, at+min(len(raw), 80), "write {\"ip\": \"198.51.100.7\"}", "an indicator is an object")
		return v, false
	}
	return v, true
}

// object takes an object of the file.
func (r *reader) object(raw []byte, at int) {
	r.account.Read++
	if raw[0] == '"' { // a list of texts is one of values
		if v, err := event.ParseJSON(raw); err == nil {
			var d document
			r.record(&d, []cell{{column{is: columnValue}, v.Str(), at, at + len(raw)}})
			return
		}
	}
	v, ok := r.parse(raw, at)
	if !ok {
		return
	}
	if source := v.Member("_source"); source.Kind() == event.KindObject { // a hit of a search
		v = source
	}
	switch {
	case isSTIX(v):
		r.stix(v, raw, at)
	case isDocument(v):
		r.document(v, at)
	default:
		r.flat(v, raw, at)
	}
}

// isDocument reports whether the object is an event as ECS has it.
func isDocument(v event.Value) bool {
	return slices.ContainsFunc(v.Members(), func(m event.Member) bool {
		return (m.Key == "threat" || m.Key == "event") && m.Value.Kind() == event.KindObject || strings.HasPrefix(m.Key, "threat.indicator")
	})
}

// document takes an event as it is.
func (r *reader) document(v event.Value, at int) {
	var e event.Event
	e.SetObject("", v, func(path string) bool {
		f, _ := ecs.Lookup(path)
		return f.Type == event.Flattened
	})
	var d document
	for _, f := range e.Fields() {
		if strings.HasPrefix(f.Path, "data_stream.") {
			continue
		}
		d.fields = append(d.fields, f)
		d.observed = d.observed || isObservable(f.Path) || f.Path == "threat.indicator" || f.Path == "vulnerability.id"
	}
	for _, ip := range e.Values("threat.indicator.ip") {
		if _, _, err := readAddress(ip.Text()); err != nil {
			r.refuse("a value that is none of its kind", CodeValue, at, at, "", "threat.indicator.ip: %s is %v", quoted(ip.Text()), err)
			return
		}
	}
	if !d.observed {
		r.refuse("nothing to look for", CodeValue, at, at, "", "the document says nothing to look for: it has no threat.indicator.ip, .url, .file …")
		return
	}
	r.take(&d)
}

// flat takes an object with the names that columns have.
func (r *reader) flat(v event.Value, raw []byte, at int) {
	var e event.Event
	e.SetObject("", v, nil)
	if len(e.Fields()) > MaxColumns {
		r.refuse("too many values", CodeValue, at, at, "", "the object has more than %d values", MaxColumns)
		return
	}
	place := func(name string) (from, to int) {
		key := name[strings.LastIndexByte(name, '.')+1:]
		n := max(0, bytes.Index(raw, []byte(`"`+key+`"`)))
		return at + n, min(at+n+len(key)+2, at+len(raw))
	}
	var cells []cell
	for _, f := range e.Fields() {
		from, to := place(f.Path)
		c, known := columnOf(f.Path)
		if !known {
			r.unknownColumn(f.Path, from, to)
			continue
		}
		var texts []string
		for _, item := range e.Values(f.Path) {
			texts = append(texts, item.Text())
		}
		if len(texts) > 1 && c.is != "tags" {
			r.refuse("several values of one kind", CodeValue, from, to, "write an object for each", "%s has %d values", f.Path, len(texts))
			return
		}
		cells = append(cells, cell{c, strings.TrimSpace(strings.Join(texts, ",")), from, to})
	}
	if len(cells) == 0 {
		r.refuse("nothing to look for", CodeValue, at, at, "", "the object says nothing to look for")
		return
	}
	var d document
	r.record(&d, cells)
}
