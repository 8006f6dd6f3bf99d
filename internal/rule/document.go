package rule

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// The codes of the diagnostics.
const (
	codeUnreadable = "RULE0001" // the file cannot be read
	codeTooLarge   = "RULE0002" // the file, a line or a value exceeds its limit
	codeNoRules    = "RULE0003" // a folder, or a file, holds no rule
	codeNotTOML    = "RULE0101" // the text is not TOML
	codeUnknownKey = "RULE0102" // no rule has such a key
	codeWrongType  = "RULE0103" // a value of another type belongs there
	codeMissing    = "RULE0104" // a key that every such rule needs is absent
	codeNotOneOf   = "RULE0105" // the value is none of those that are allowed
	codeOutOfRange = "RULE0106" // too small, too large, too few or empty
	codeBadTime    = "RULE0107" // no date math, no interval, or a window that cannot be
	codeTwice      = "RULE0108" // the rule_id, or an element of a list, is there already
	codeWrongRule  = "RULE0109" // the key belongs to rules of another type
	codeNotJSON    = "RULE0110" // the line is not JSON
	codeNoObject   = "RULE0111" // the line is nothing that an export holds
	codeMiscounted = "RULE0112" // the last line of an export counts other lines than there are
)

// document is a text that is being read, TOML or a line of an export, with what was found wrong in it.
type document struct {
	file, text string
	what       string // the document is called: the file, the rule
	json       bool
	places     map[string]place
	found      diag.List
	more       int // found beyond maxFound
}

// maxFound bounds the diagnostics of one document.
const maxFound = 100

// openTOML reads text as TOML; nil and a diagnostic where it is none.
func openTOML(file, text string) (*document, map[string]any) {
	d := &document{file: file, text: text, what: "the file"}
	var top map[string]any
	err := toml.Unmarshal([]byte(text), &top)
	if err == nil {
		d.places = places(text)
		return d, top
	}
	at := diag.At(0)
	var decode *toml.DecodeError
	if errors.As(err, &decode) {
		at = wordAt(text, decode.Position)
	}
	message := strings.TrimPrefix(err.Error(), "toml: ")
	d.report(codeNotTOML, at, encodingHint(text), "the file is not valid TOML: %s", message)
	return d, nil
}

// encodingHint says what is odd about the encoding of text, "" where nothing is.
func encodingHint(text string) string {
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") || strings.HasPrefix(text, "[\x00") ||
		strings.HasPrefix(text, "{\x00") {
		return "save the file as UTF-8: this looks like UTF-16"
	}
	return ""
}

// wordAt is the word at a line and a column in bytes, or the empty span there.
func wordAt(text string, position func() (line, column int)) diag.Span {
	line, column := position()
	at := diag.OffsetOf(text, line, 1)
	at = min(at+max(column-1, 0), len(text))
	rest := text[at:]
	if end := strings.IndexAny(rest, " \t\r\n=,]}#"); end >= 0 {
		rest = rest[:end]
	}
	if len(rest) > 80 {
		rest = ""
	}
	return diag.Span{Start: at, End: at + len(rest)}
}

func (d *document) report(code string, at diag.Span, hint, format string, args ...any) {
	if len(d.found) == maxFound {
		d.more++
		return
	}
	d.found = append(d.found, diag.Diagnostic{Code: code, Message: fmt.Sprintf(format, args...), Span: at, File: d.file,
		Hint: hint, Text: d.text})
}

// diagnostics returns what was found, sorted.
func (d *document) diagnostics() diag.List {
	d.found.Sort()
	if d.more == 0 {
		return d.found
	}
	return append(slices.Clone(d.found), diag.Diagnostic{Severity: diag.Note, File: d.file,
		Message: fmt.Sprintf("%d more mistakes are not listed", d.more)})
}

// within is the place of the entry at path; of one that lies too deep to be followed, that of the nearest one around it.
func (d *document) within(path string) place {
	for {
		if p, ok := d.places[path]; ok {
			return p
		}
		up := strings.LastIndexByte(path, 0)
		if up < 0 {
			return d.places[""]
		}
		path = path[:up]
	}
}

// title is what a person calls the entry at path: rule.threat[2].
func (d *document) title(path string) string {
	if path == "" {
		return d.what
	}
	var b strings.Builder
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "\x00"), "\x00") {
		if n, err := strconv.Atoi(part); err == nil {
			fmt.Fprintf(&b, "[%d]", n+1)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}

// object and objects are what the document's format calls a group of keys.
func (d *document) object() string {
	if d.json {
		return "an object"
	}
	return "a table"
}

func (d *document) objects() string {
	if d.json {
		return "objects"
	}
	return "tables"
}

// kindOf names what stands where something else should.
func (d *document) kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "a text"
	case bool:
		return "true or false"
	case int64:
		return "a number"
	case float64:
		return "the number " + event.Float(v).Text()
	case number:
		return "the number " + short(string(v))
	case []any:
		return "a list"
	case map[string]any:
		return d.object()
	}
	return "a date"
}

// short cuts a text that a message quotes.
func short(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
