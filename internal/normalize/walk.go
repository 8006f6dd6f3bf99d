package normalize

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Shape says what the values in an object of a data set are. An error that its methods return ends the walk, unless it is
// one of syntax in a file of lines; errors of a caller's yield are wrapped in Yielded.
type Shape interface {
	// Document takes the object whose bracket comes next; it begins at the offset start, from which on bytes are kept.
	Document(start int64) error
	// Element takes the element of a list at the top that stands between two offsets.
	Element(from, to int64) error
	// Record takes what stands between two offsets as it is: another value, or a broken line.
	Record(from, to int64) error
}

// Walk hands the values of the whole object to shape, one after the other, one a line or not, those of a list at the top
// one by one. A broken line in a file of lines is a Record, and the next line goes on; any other mistake ends the walk.
func (s *Scanner) Walk(shape Shape) error {
	if c, err := s.Next(); err == nil && c == 0xEF { // a byte order mark
		for s.end-s.pos < 3 && s.fill() == nil {
		}
		if bytes.HasPrefix(s.buf[s.pos:s.end], []byte("\xEF\xBB\xBF")) {
			s.pos += 3
		}
	}
	for {
		c, err := s.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		start := s.Offset()
		s.keep = start
		switch {
		case c == '{':
			err = shape.Document(start)
		case c == '[':
			err = s.array(start, shape)
		case c == '"' || isLiteral(c):
			if err = s.Value(); err == nil {
				err = shape.Record(start, s.Offset())
			}
		default:
			err = &SyntaxError{Want: "a JSON value"}
		}
		if err != nil {
			err = s.recover(start, shape, err)
		}
		if err != nil {
			return err
		}
		s.keep = -1
	}
}

// recover goes on behind a broken line. It returns err where the broken value is not one of a file of lines.
func (s *Scanner) recover(start int64, shape Shape, err error) error {
	if !broken(err) {
		return err
	}
	at := s.Offset()
	line := bytes.IndexByte(s.Bytes(start, at), '\n')
	if line < 0 {
		if err := s.SkipLine(); err != nil {
			return err
		}
		return shape.Record(start, s.Offset())
	}
	// Broken in a later line: a file of lines when that line begins like a record, and then only the first is broken.
	next := start + int64(line) + 1
	rest := bytes.TrimLeft(s.Bytes(next, s.base+int64(s.end)), "\r\n")
	if len(rest) > 0 && rest[0] != '{' || len(rest) == 0 && !errors.Is(err, errEnd) {
		return err
	}
	if !s.Rescan(at - next) {
		return err
	}
	if err := shape.Record(start, next-1); err != nil {
		return err
	}
	s.Back(next)
	return nil
}

// broken reports whether err is a mistake in a value that may be a line by itself.
func broken(err error) bool {
	var syntax *SyntaxError
	return (errors.As(err, &syntax) || errors.Is(err, errEnd)) && !errors.As(err, new(*final)) && !errors.As(err, new(*Yielded))
}

// SkipLine goes to the end of the line, or of the object.
func (s *Scanner) SkipLine() error {
	for {
		if i := bytes.IndexByte(s.buf[s.pos:s.end], '\n'); i >= 0 {
			s.pos += i
			return nil
		}
		s.pos = s.end
		if err := s.fill(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// EndLine goes to the end of the line that begins at the offset from, which is kept, after scanning it failed with err.
// It returns err where that is no mistake in the line.
func (s *Scanner) EndLine(from int64, err error) error {
	if !broken(err) {
		return err
	}
	at := s.Offset()
	line := bytes.IndexByte(s.Bytes(from, at), '\n')
	if line < 0 {
		return s.SkipLine()
	}
	if !s.Rescan(at - from - int64(line)) {
		return err
	}
	s.Back(from + int64(line))
	return nil
}

// array walks a list at the top of the object.
func (s *Scanner) array(start int64, shape Shape) error {
	s.pos++
	c, err := s.Must()
	if err != nil {
		return err
	}
	if c != '{' && c != '[' && c != ']' && c != '"' && !isLiteral(c) {
		return &SyntaxError{Want: "a record"} // a line that begins with a bracket, such as a program's log
	}
	s.Back(start)
	s.keep = -1
	return Final(s.Elements(shape.Element))
}

// Elements calls each for every element of the list that comes next, with its offsets, between which bytes are kept; a
// nil each skips them.
func (s *Scanner) Elements(each func(from, to int64) error) error {
	s.pos++
	for first := true; ; first = false {
		c, err := s.Must()
		if err != nil {
			return err
		}
		if c == ']' {
			s.pos++
			return nil
		}
		if !first {
			if c != ',' {
				return &SyntaxError{Want: "',' or ']'"}
			}
			s.pos++
			if _, err = s.Must(); err != nil {
				return err
			}
		}
		from := s.Offset()
		if each != nil {
			s.keep = from
		}
		if err := s.Value(); err != nil {
			return err
		}
		if each != nil {
			if err := each(from, s.Offset()); err != nil {
				return err
			}
		}
		s.keep = -1
	}
}

// longestKey is the length up to which Key tells what it took, in bytes.
const longestKey = 32

// Key takes a key and its colon, and returns the key when it is no longer than 32 bytes, else "". Where nothing is kept,
// the key is not kept either.
func (s *Scanner) Key() (string, error) {
	c, err := s.Must()
	if err != nil {
		return "", err
	}
	if c != '"' {
		return "", &SyntaxError{Want: "a key"}
	}
	at, free := s.Offset(), s.keep < 0
	if free {
		s.keep = at
	}
	if err := s.Text(); err != nil {
		return "", err
	}
	key := ""
	if raw := s.Bytes(at+1, s.Offset()-1); len(raw) <= longestKey {
		key = string(raw)
	}
	if free {
		s.keep = -1
	}
	return key, s.Expect(':')
}

// Member returns where the value of key stands in the JSON object data, the last one if there are several.
func Member(data []byte, key string) (from, to int, ok bool) {
	s := ScanBytes(data, nil)
	if c, err := s.Next(); err != nil || c != '{' {
		return 0, 0, false
	}
	s.Skip()
	for {
		c, err := s.Next()
		if err != nil || c == '}' {
			return from, to, ok
		}
		if c == ',' {
			s.Skip()
			if c, err = s.Next(); err != nil {
				return from, to, ok
			}
		}
		if c != '"' {
			return from, to, ok
		}
		at := s.Offset()
		if s.Text() != nil {
			return from, to, ok
		}
		name := data[at+1 : s.Offset()-1]
		if s.Expect(':') != nil {
			return from, to, ok
		}
		if _, err := s.Next(); err != nil {
			return from, to, ok
		}
		at = s.Offset()
		if s.Value() != nil {
			return from, to, ok
		}
		if string(name) == key {
			from, to, ok = int(at), int(s.Offset()), true
		}
	}
}

// Yielded carries an error of yield past everything that reads errors as the object's.
type Yielded struct{ Err error }

func (e *Yielded) Error() string { return e.Err.Error() }

// final is an error inside a list of records, where the next record cannot be found.
type final struct{ err error }

func (e *final) Error() string { return e.err.Error() }
func (e *final) Unwrap() error { return e.err }

// Final makes err, where there is one, end a walk: records have been taken out of the value that it stands in.
func Final(err error) error {
	if err == nil {
		return nil
	}
	return &final{err}
}

// Failed turns what Walk returned into what Split returns: an error of yield as it is, any other as an *ObjectError of the
// object called name. The reasons that only a data set knows are its own to add.
func (s *Scanner) Failed(name string, err error) error {
	at, reason := s.Offset(), Unreadable
	var yielded *Yielded
	var syntax *SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &yielded):
		return yielded.Err
	case errors.Is(err, errTooLarge):
		reason = RecordTooLarge
		at = max(s.keep, 0)
	case errors.Is(err, errBarren):
		reason = NoRecords
	case errors.Is(err, errEnd):
		reason = Truncated
	case errors.As(err, &syntax):
		reason = BadSyntax
		if s.pos < s.end {
			err = fmt.Errorf("%w, found %q", syntax, s.buf[s.pos])
		}
	}
	return &ObjectError{Object: name, Offset: at, Reason: reason, Err: err}
}
