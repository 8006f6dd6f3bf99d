package rule

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// maxValues bounds the values of one JSON object, so that a short line cannot take much memory.
const maxValues = 500_000

// number is a JSON number that is no integer of 64 bits, by its literal.
type number string

// openJSON reads the object that stands in text from start to end; nil and a diagnostic where there is none.
func openJSON(file, text string, start, end int) (*document, map[string]any) {
	d := &document{file: file, text: text, what: "the object", json: true, places: map[string]place{}}
	r := jsonReader{doc: d, text: text[start:end], start: start, decoder: jsontext.NewDecoder(strings.NewReader(text[start:end]))}
	v, err := r.value("", diag.Span{}, 0)
	if err == nil {
		if _, err = r.decoder.ReadToken(); err == nil {
			err = errors.New("more than one value")
		} else if err == io.EOF {
			err = nil
		}
	}
	var beyond limitError
	if errors.As(err, &beyond) {
		d.report(codeTooLarge, r.place(err), "", "the line %s", beyond)
		return d, nil
	} else if err != nil {
		d.report(codeNotJSON, r.place(err), encodingHint(text), "the line is not valid JSON: %s", reason(err))
		return d, nil
	}
	top, ok := v.(map[string]any)
	if !ok {
		d.report(codeNoObject, d.places[""].value, "", "the line must be an object, not %s", d.kindOf(v))
		return d, nil
	}
	return d, top
}

// jsonReader reads JSON into maps, lists and scalars and notes where everything stands.
type jsonReader struct {
	doc     *document
	decoder *jsontext.Decoder
	text    string
	start   int // of text in the document
	values  int
}

// token reads the next token and where it stands.
func (r *jsonReader) token() (jsontext.Token, diag.Span, error) {
	at := int(r.decoder.InputOffset())
	for at < len(r.text) && strings.IndexByte(" \t\r\n,:", r.text[at]) >= 0 {
		at++
	}
	tok, err := r.decoder.ReadToken()
	return tok, diag.Span{Start: r.start + at, End: r.start + int(r.decoder.InputOffset())}, err
}

// note remembers where the entry at path stands, as long as there are not too many.
func (r *jsonReader) note(path string, p place) {
	if len(r.doc.places) < maxPlaces {
		r.doc.places[path] = p
	}
}

// limitError says which limit a line exceeds.
type limitError string

func (e limitError) Error() string { return string(e) }

func (r *jsonReader) value(path string, key diag.Span, depth int) (any, error) {
	tok, at, err := r.token()
	if err != nil {
		return nil, err
	}
	if r.values++; r.values > maxValues {
		return nil, limitError(fmt.Sprintf("holds more than %d values", maxValues))
	}
	if depth > maxDepth {
		return nil, limitError(fmt.Sprintf("is nested deeper than %d", maxDepth))
	}
	p := place{key: key, value: at}
	if path == "" {
		p.key = diag.Span{Start: at.Start, End: at.Start + 1}
	}
	var v any
	switch tok.Kind() {
	case 'n':
	case 't', 'f':
		v = tok.Kind() == 't'
	case '"':
		v, p.content = tok.String(), at.Start+1
	case '0':
		v = number(tok.String())
		if n, err := strconv.ParseInt(tok.String(), 10, 64); err == nil && tok.String() != "-0" {
			v = n
		}
	case '[':
		list := []any{}
		for i := 0; r.decoder.PeekKind() != ']'; i++ {
			item, err := r.value(join(path, strconv.Itoa(i)), key, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, item)
		}
		v = list
	case '{':
		object := map[string]any{}
		for r.decoder.PeekKind() != '}' {
			name, at, err := r.token()
			if err != nil {
				return nil, err
			}
			inner := name.String()
			if object[inner], err = r.value(join(path, inner), at, depth+1); err != nil {
				return nil, err
			}
		}
		v = object
	}
	if kind := tok.Kind(); kind == '[' || kind == '{' {
		if _, _, err := r.token(); err != nil {
			return nil, err
		}
		p.value.End = r.start + int(r.decoder.InputOffset())
	}
	r.note(path, p)
	return v, nil
}

// place is where err was met.
func (r *jsonReader) place(err error) diag.Span {
	at := int(r.decoder.InputOffset())
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		at = len(r.text)
	case errors.As(err, &syntax):
		at = int(syntax.ByteOffset)
	}
	return diag.At(r.start + min(at, len(r.text)))
}

// reason says what is wrong with JSON, without the offset, which the diagnostic shows.
func reason(err error) string {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return "it ends too early"
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "a key comes twice"
	case errors.As(err, &syntax):
		return syntax.Err.Error()
	}
	return err.Error()
}

// toValue makes a value of what a document holds; the keys of objects are sorted. Dates, which JSON cannot say, and
// numbers that are none are errors.
func toValue(v any, depth int) (event.Value, error) {
	if depth > maxDepth {
		return event.Null(), fmt.Errorf("is nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case nil:
		return event.Null(), nil
	case string:
		return event.String(v), nil
	case bool:
		return event.Bool(v), nil
	case int64:
		return event.Int(v), nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return event.Null(), errors.New("holds a number that JSON cannot say")
		}
		return event.Float(v), nil
	case number:
		n, ok := event.Literal(string(v))
		if !ok || math.IsInf(n.Float(), 0) {
			return event.Null(), fmt.Errorf("holds a number out of range: %s", short(string(v)))
		}
		return n, nil
	case []any:
		items := make([]event.Value, len(v))
		for i, item := range v {
			var err error
			if items[i], err = toValue(item, depth+1); err != nil {
				return event.Null(), err
			}
		}
		return event.List(items...), nil
	case map[string]any:
		members := make([]event.Member, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			item, err := toValue(v[key], depth+1)
			if err != nil {
				return event.Null(), err
			}
			members = append(members, event.Member{Key: key, Value: item})
		}
		return event.Object(members...), nil
	}
	return event.Null(), errors.New("holds a date, which a rule cannot keep: write it as a text, in quotes")
}
