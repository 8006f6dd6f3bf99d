// Package diag holds the errors that help: what is wrong, where in which text, and what to do about it. One value
// serves the command line (Render), an API (its JSON form) and an editor (positions).
//
// A position is a byte offset into the text; lines and columns are derived from it (both from 1, columns in characters).
// The package parses nothing and knows no language: whoever finds the mistake fills in a Diagnostic.
//
//	d := diag.Diagnostic{Code: "KQL0101", Message: "a value is missing", Span: diag.At(9), Text: "response:"}
//	fmt.Print(d.Render())
//	1:10: KQL0101: a value is missing
//	  1 | response:
//	    |          ^
package diag

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Severity says how bad a diagnostic is. The zero value is Error.
type Severity uint8

// The severities.
const (
	Error   Severity = iota // it cannot be used as it is
	Warning                 // it can be used and most likely does not do what was meant
	Note                    // worth knowing
)

// String returns error, warning or note.
func (s Severity) String() string {
	switch s {
	case Error:
		return "error"
	case Warning:
		return "warning"
	}
	return "note"
}

// MarshalText writes the severity's name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a severity's name.
func (s *Severity) UnmarshalText(text []byte) error {
	for _, known := range []Severity{Error, Warning, Note} {
		if string(text) == known.String() {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("read severity: %q is none of error, warning, note", text)
}

// Diagnostic is one thing found in a text. It is an error; as an error it reads "file:line:column: code: message".
type Diagnostic struct {
	Code     string   // stable, like KQL0101; documented by the package that reports it
	Severity Severity // Error when not set
	Message  string   // one sentence without a full stop
	Span     Span     // where, in Text
	File     string   // the name of the text, empty where it has none
	Hint     string   // what to do, empty when there is nothing to say
	Expected []string // what could stand there instead, for completion; may be empty
	// Text is the whole text that Span points into. Without it a diagnostic has no line and no excerpt: it is about the
	// file as a whole.
	Text string
}

// Error returns the diagnostic in one line, without excerpt and hint.
func (d Diagnostic) Error() string {
	var b strings.Builder
	if d.File != "" {
		b.WriteString(printable(d.File) + ":")
	}
	if d.Text != "" {
		start, _ := d.Span.Positions(d.Text)
		fmt.Fprintf(&b, "%d:%d:", start.Line, start.Column)
	}
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	switch {
	case d.Severity != Error && d.Code != "":
		b.WriteString(d.Severity.String() + " " + d.Code + ": ")
	case d.Severity != Error:
		b.WriteString(d.Severity.String() + ": ")
	case d.Code != "":
		b.WriteString(d.Code + ": ")
	}
	b.WriteString(printable(d.Message))
	return b.String()
}

// In returns d moved into a larger text: d.Text stands in text, the file called file, from byte offset at on. Where that
// is not so (the enclosing format has escapes of its own), d keeps its own text and takes the file's name alone.
func (d Diagnostic) In(file, text string, at int) Diagnostic {
	d.File = file
	if at < 0 || at > len(text) || !strings.HasPrefix(text[at:], d.Text) {
		return d
	}
	d.Text = text
	d.Span = Span{Start: d.Span.Start + at, End: d.Span.End + at}
	return d
}

// wire is the JSON form.
type wire struct {
	Code      string   `json:"code"`
	Severity  Severity `json:"severity"`
	Message   string   `json:"message"`
	File      string   `json:"file,omitempty"`
	Line      int      `json:"line"`
	Column    int      `json:"column"`
	EndLine   int      `json:"end_line"`
	EndColumn int      `json:"end_column"`
	Offset    int      `json:"offset"`
	Hint      string   `json:"hint,omitempty"`
	Expected  []string `json:"expected,omitempty"`
}

// MarshalJSON writes an object with the keys code, severity, message, file, line, column, end_line, end_column, offset
// (in bytes), hint and expected; file, hint and expected are left out when empty, the lines and columns of a diagnostic
// without Text are 0.
func (d Diagnostic) MarshalJSON() ([]byte, error) {
	w := wire{Code: d.Code, Severity: d.Severity, Message: d.Message, File: d.File, Hint: d.Hint, Expected: d.Expected,
		Offset: d.Span.Start}
	if d.Text != "" {
		start, end := d.Span.Positions(d.Text)
		w.Offset = start.Offset
		w.Line, w.Column, w.EndLine, w.EndColumn = start.Line, start.Column, end.Line, end.Column
	}
	return json.Marshal(w)
}

// List is a list of diagnostics. It is an error; errors.As finds the diagnostics in it.
type List []Diagnostic

// Error returns the first diagnostic that is an Error, else the first of all, and how many more there are.
func (l List) Error() string {
	if len(l) == 0 {
		return "no diagnostics"
	}
	first := l[max(0, slices.IndexFunc(l, func(d Diagnostic) bool { return d.Severity == Error }))]
	if len(l) == 1 {
		return first.Error()
	}
	return fmt.Sprintf("%s (and %d more)", first.Error(), len(l)-1)
}

// Unwrap returns the diagnostics one by one.
func (l List) Unwrap() []error {
	out := make([]error, len(l))
	for i, d := range l {
		out[i] = d
	}
	return out
}

// Err returns l as an error if a diagnostic in it is an Error, else nil: warnings alone stop nothing.
func (l List) Err() error {
	if slices.ContainsFunc(l, func(d Diagnostic) bool { return d.Severity == Error }) {
		return l
	}
	return nil
}

// Sort orders l by file, position, severity, code and message.
func (l List) Sort() {
	slices.SortStableFunc(l, func(a, b Diagnostic) int {
		for _, c := range []int{
			strings.Compare(a.File, b.File), a.Span.Start - b.Span.Start, a.Span.End - b.Span.End,
			int(a.Severity) - int(b.Severity), strings.Compare(a.Code, b.Code), strings.Compare(a.Message, b.Message),
		} {
			if c != 0 {
				return c
			}
		}
		return 0
	})
}

// Of returns the diagnostics that err is or wraps, in the order in which they are found: nil where there are none.
func Of(err error) List {
	switch e := err.(type) {
	case nil:
		return nil
	case Diagnostic:
		return List{e}
	case *Diagnostic:
		return List{*e}
	case interface{ Unwrap() []error }:
		var out List
		for _, sub := range e.Unwrap() {
			out = append(out, Of(sub)...)
		}
		return out
	}
	return Of(errors.Unwrap(err))
}
