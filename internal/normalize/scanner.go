package normalize

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Scanner finds where JSON values begin and end in a stream, without building anything: strings are skipped, brackets
// are matched, commas and colons must stand where JSON wants them. What the scalars say is not looked at. It holds the
// bytes from a mark on (Keep), and otherwise as little as it can. Offsets are those of the object. Data sets split their
// objects with it: see Walk.
type Scanner struct {
	r      io.Reader
	buf    []byte // buf[:end] is read; buf[pos:end] is not scanned yet
	pos    int
	end    int
	base   int64 // offset of buf[0] in the object
	keep   int64 // offset from which bytes must stay in buf; none when negative
	barren int64 // offset from which no record has been found
	err    error // what reading ended with

	stack     []uint64 // a bit for each open bracket: set for an object
	depth     int
	hint      func(key []byte) Hint
	hints     Hint  // of the keys at the top of the value last scanned
	rescanned int64 // bytes scanned in vain
}

// Hint is a set of keys that stand at the top of a value, as the data set numbers them.
type Hint uint8

// maxRescan is how many bytes may be scanned a second time, after lines that turned out broken, before the object
// counts as unreadable.
const maxRescan = 64 << 20

// Sizes of the buffer.
const (
	firstBuffer = 64 << 10
	maxBuffer   = MaxRecord + firstBuffer
)

// SyntaxError is a place where JSON wants something else. The scanner's offset says where.
type SyntaxError struct{ Want string }

func (e *SyntaxError) Error() string { return "expected " + e.Want }

var (
	errEnd      = errors.New("unexpected end")
	errTooLarge = fmt.Errorf("a record exceeds %d MiB", MaxRecord>>20)
	errBarren   = fmt.Errorf("%d MiB passed without a record", MaxBarren>>20)
)

// NewScanner returns a scanner over what r reads. Value asks hint about each key at the top of an object; nil: none is
// of interest.
func NewScanner(r io.Reader, hint func(key []byte) Hint) *Scanner {
	return &Scanner{r: r, buf: make([]byte, firstBuffer), keep: -1, hint: hint}
}

// ScanBytes returns a scanner over data alone, all of which is kept.
func ScanBytes(data []byte, hint func(key []byte) Hint) *Scanner {
	return &Scanner{buf: data, end: len(data), keep: 0, err: io.EOF, hint: hint}
}

// Offset is where the next byte to be scanned stands in the object.
func (s *Scanner) Offset() int64 { return s.base + int64(s.pos) }

// Keep holds the bytes from the offset from on, until Drop or another Keep.
func (s *Scanner) Keep(from int64) { s.keep = from }

// Drop lets go of what is scanned.
func (s *Scanner) Drop() { s.keep = -1 }

// Bytes returns what stands between two offsets, which must be kept; it is valid until the next scan.
func (s *Scanner) Bytes(from, to int64) []byte { return s.buf[from-s.base : to-s.base] }

// Skip takes the byte that Next returned.
func (s *Scanner) Skip() { s.pos++ }

// Back goes back to an offset that is kept.
func (s *Scanner) Back(offset int64) { s.pos = int(offset - s.base) }

// Found notes that a record was found: MaxBarren counts from here.
func (s *Scanner) Found() { s.barren = s.Offset() }

// Hints are those of the keys at the top of the value that Value scanned last.
func (s *Scanner) Hints() Hint { return s.hints }

// Rescan notes that n bytes were scanned in vain. It is false when that has come to too much.
func (s *Scanner) Rescan(n int64) bool {
	s.rescanned += n
	return s.rescanned <= maxRescan
}

// fill reads more. It returns nil when at least one byte came.
func (s *Scanner) fill() error {
	if s.err != nil {
		return s.err
	}
	from := s.pos
	if s.keep >= 0 && int(s.keep-s.base) < from {
		from = int(s.keep - s.base)
	}
	if s.keep >= 0 && s.end-from > MaxRecord {
		return errTooLarge
	}
	if s.base+int64(s.end)-s.barren > MaxBarren {
		return errBarren
	}
	if from > 0 && (s.end == len(s.buf) || from == s.end) {
		copy(s.buf, s.buf[from:s.end])
		s.base += int64(from)
		s.pos -= from
		s.end -= from
	}
	if s.end == len(s.buf) {
		s.buf = append(make([]byte, 0, min(2*len(s.buf), maxBuffer)), s.buf...)
		s.buf = s.buf[:cap(s.buf)]
	}
	for range 100 {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		s.err = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	s.err = io.ErrNoProgress
	return s.err
}

// Next skips white space and returns the byte that follows, without taking it; io.EOF at the end.
func (s *Scanner) Next() (byte, error) {
	for {
		for s.pos < s.end {
			switch c := s.buf[s.pos]; c {
			case ' ', '\t', '\r', '\n':
				s.pos++
			default:
				return c, nil
			}
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
}

// Must is Next where the value cannot end.
func (s *Scanner) Must() (byte, error) {
	c, err := s.Next()
	if err == io.EOF {
		err = errEnd
	}
	return c, err
}

// Expect takes the byte c after white space.
func (s *Scanner) Expect(c byte) error {
	got, err := s.Must()
	if err != nil {
		return err
	}
	if got != c {
		return &SyntaxError{Want: "'" + string(c) + "'"}
	}
	s.pos++
	return nil
}

// Text scans the string whose opening quote comes next.
func (s *Scanner) Text() error {
	s.pos++
	for {
		seg := s.buf[s.pos:s.end]
		quote := bytes.IndexByte(seg, '"')
		lim := quote
		if quote < 0 {
			lim = len(seg)
		}
		if at := bytes.IndexByte(seg[:lim], '\n'); at >= 0 {
			s.pos += at
			return &SyntaxError{Want: "the end of a string before the end of its line"}
		}
		p := 0 // behind the last escape
		for p <= lim {
			at := bytes.IndexByte(seg[p:lim], '\\')
			if at < 0 {
				break
			}
			p += at + 2
		}
		if quote >= 0 {
			if p <= quote {
				s.pos += quote + 1
				return nil
			}
			s.pos += p // the quote was escaped
			continue
		}
		s.pos = s.end
		if p > lim { // the escaped byte is still to come
			if err := s.more(); err != nil {
				return err
			}
			s.pos++
		}
		if s.pos == s.end {
			if err := s.more(); err != nil {
				return err
			}
		}
	}
}

// more is fill within a value.
func (s *Scanner) more() error {
	err := s.fill()
	if err == io.EOF {
		return errEnd
	}
	return err
}

// literal scans a number, true, false or null, without looking at it.
func (s *Scanner) literal() error {
	for {
		for s.pos < s.end {
			switch s.buf[s.pos] {
			case ' ', '\t', '\r', '\n', ',', ':', ']', '}', '[', '{', '"':
				return nil
			}
			s.pos++
		}
		if err := s.fill(); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// What the grammar waits for.
const (
	wantValue = iota
	wantValueOrEnd
	wantKey
	wantKeyOrEnd
	wantColon
	wantCommaOrEnd
)

func (s *Scanner) push(object bool) {
	if s.depth/64 == len(s.stack) {
		s.stack = append(s.stack, 0)
	}
	bit := uint64(1) << (s.depth % 64)
	if object {
		s.stack[s.depth/64] |= bit
	} else {
		s.stack[s.depth/64] &^= bit
	}
	s.depth++
}

func (s *Scanner) inObject() bool {
	at := s.depth - 1
	return s.stack[at/64]&(1<<(at%64)) != 0
}

// Value scans one whole value, which begins at the next byte that is no white space, and sets hints.
func (s *Scanner) Value() error {
	s.depth, s.hints = 0, 0
	state := wantValue
	for {
		c, err := s.Must()
		if err != nil {
			return err
		}
		switch {
		case state == wantColon:
			if c != ':' {
				return &SyntaxError{Want: "':'"}
			}
			s.pos++
			state = wantValue
			continue
		case state == wantCommaOrEnd && c == ',':
			s.pos++
			state = wantValue
			if s.inObject() {
				state = wantKey
			}
			continue
		case c == '"' && (state == wantKey || state == wantKeyOrEnd):
			if err := s.key(); err != nil {
				return err
			}
			state = wantColon
			continue
		case c == '}' && (state == wantCommaOrEnd && s.inObject() || state == wantKeyOrEnd),
			c == ']' && (state == wantCommaOrEnd && !s.inObject() || state == wantValueOrEnd):
			s.pos++
			s.depth--
		case state != wantValue && state != wantValueOrEnd:
			return &SyntaxError{Want: wanted(state, s)}
		case c == '{' || c == '[':
			s.pos++
			s.push(c == '{')
			state = wantValueOrEnd
			if c == '{' {
				state = wantKeyOrEnd
			}
			continue
		case c == '"':
			if err := s.Text(); err != nil {
				return err
			}
		case isLiteral(c):
			if err := s.literal(); err != nil {
				return err
			}
		default:
			return &SyntaxError{Want: wanted(state, s)}
		}
		if s.depth == 0 {
			return nil
		}
		state = wantCommaOrEnd
	}
}

func isLiteral(c byte) bool {
	return c >= '0' && c <= '9' || c == '-' || c == 't' || c == 'f' || c == 'n'
}

func wanted(state int, s *Scanner) string {
	switch state {
	case wantKey:
		return "a key"
	case wantKeyOrEnd:
		return "a key or '}'"
	case wantCommaOrEnd:
		if s.inObject() {
			return "',' or '}'"
		}
		return "',' or ']'"
	}
	return "a value"
}

// key scans a key; those at the top of a value may be hints.
func (s *Scanner) key() error {
	if s.depth != 1 || s.hint == nil {
		return s.Text()
	}
	// A key that the buffer does not hold whole is read on from its beginning, which no hint's length makes likely.
	at := s.Offset()
	if err := s.Text(); err != nil {
		return err
	}
	if at < s.base {
		return nil
	}
	s.hints |= s.hint(s.Bytes(at+1, s.Offset()-1))
	return nil
}
