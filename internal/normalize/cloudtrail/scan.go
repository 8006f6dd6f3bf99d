package cloudtrail

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/tocsin-sec/tocsin/internal/normalize"
)

// scanner finds where JSON values begin and end in a stream, without building anything: strings are skipped, brackets
// are matched, commas and colons must stand where JSON wants them. What the scalars say is not looked at. It holds the
// bytes from a mark on, and otherwise as little as it can.
type scanner struct {
	r      io.Reader
	buf    []byte // buf[:end] is read; buf[pos:end] is not scanned yet
	pos    int
	end    int
	base   int64 // offset of buf[0] in the object
	keep   int64 // offset from which bytes must stay in buf; none when negative
	barren int64 // offset from which no record has been found
	err    error // what reading ended with

	stack []uint64 // a bit for each open bracket: set for an object
	depth int
	hints hint // wrapper keys seen at the top of the value last scanned
}

// hint says which keys that may hold a record inside a value stand at its top.
type hint uint8

const (
	hintCloudTrailEvent hint = 1 << iota
	hintDetail
	hintMessage
	hintAWSLogs
	hintKinesis
)

// Sizes of the buffer.
const (
	firstBuffer = 64 << 10
	maxBuffer   = normalize.MaxRecord + firstBuffer
)

// errSyntax is a place where JSON wants something else. The scanner's offset says where.
type errSyntax struct{ want string }

func (e *errSyntax) Error() string { return "expected " + e.want }

var (
	errEnd      = errors.New("unexpected end")
	errTooLarge = fmt.Errorf("a record exceeds %d MiB", normalize.MaxRecord>>20)
	errBarren   = fmt.Errorf("%d MiB passed without a record", normalize.MaxBarren>>20)
)

func newScanner(r io.Reader) *scanner {
	return &scanner{r: r, buf: make([]byte, firstBuffer), keep: -1}
}

// scanBytes returns a scanner over data alone.
func scanBytes(data []byte) *scanner {
	return &scanner{buf: data, end: len(data), keep: 0, err: io.EOF}
}

// offset is where the next byte to be scanned stands in the object.
func (s *scanner) offset() int64 { return s.base + int64(s.pos) }

// bytes returns what stands between two offsets, which must be kept; it is valid until the next scan.
func (s *scanner) bytes(from, to int64) []byte { return s.buf[from-s.base : to-s.base] }

// fill reads more. It returns nil when at least one byte came.
func (s *scanner) fill() error {
	if s.err != nil {
		return s.err
	}
	from := s.pos
	if s.keep >= 0 && int(s.keep-s.base) < from {
		from = int(s.keep - s.base)
	}
	if s.keep >= 0 && s.end-from > normalize.MaxRecord {
		return errTooLarge
	}
	if s.base+int64(s.end)-s.barren > normalize.MaxBarren {
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

// next skips white space and returns the byte that follows, without taking it; io.EOF at the end.
func (s *scanner) next() (byte, error) {
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

// must is next where the value cannot end.
func (s *scanner) must() (byte, error) {
	c, err := s.next()
	if err == io.EOF {
		err = errEnd
	}
	return c, err
}

// expect takes the byte c after white space.
func (s *scanner) expect(c byte) error {
	got, err := s.must()
	if err != nil {
		return err
	}
	if got != c {
		return &errSyntax{want: "'" + string(c) + "'"}
	}
	s.pos++
	return nil
}

// text scans the string whose opening quote comes next.
func (s *scanner) text() error {
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
			return &errSyntax{want: "the end of a string before the end of its line"}
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
func (s *scanner) more() error {
	err := s.fill()
	if err == io.EOF {
		return errEnd
	}
	return err
}

// literal scans a number, true, false or null, without looking at it.
func (s *scanner) literal() error {
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

func (s *scanner) push(object bool) {
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

func (s *scanner) inObject() bool {
	at := s.depth - 1
	return s.stack[at/64]&(1<<(at%64)) != 0
}

// value scans one whole value, which begins at the next byte that is no white space, and sets hints.
func (s *scanner) value() error {
	s.depth, s.hints = 0, 0
	state := wantValue
	for {
		c, err := s.must()
		if err != nil {
			return err
		}
		switch {
		case state == wantColon:
			if c != ':' {
				return &errSyntax{want: "':'"}
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
			return &errSyntax{want: wanted(state, s)}
		case c == '{' || c == '[':
			s.pos++
			s.push(c == '{')
			state = wantValueOrEnd
			if c == '{' {
				state = wantKeyOrEnd
			}
			continue
		case c == '"':
			if err := s.text(); err != nil {
				return err
			}
		case isLiteral(c):
			if err := s.literal(); err != nil {
				return err
			}
		default:
			return &errSyntax{want: wanted(state, s)}
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

func wanted(state int, s *scanner) string {
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
func (s *scanner) key() error {
	if s.depth != 1 {
		return s.text()
	}
	// A key that the buffer does not hold whole is read on from its beginning, which no hint's length makes likely.
	at := s.offset()
	if err := s.text(); err != nil {
		return err
	}
	if at < s.base {
		return nil
	}
	key := s.bytes(at+1, s.offset()-1)
	switch string(key) {
	case "CloudTrailEvent":
		s.hints |= hintCloudTrailEvent
	case "detail":
		s.hints |= hintDetail
	case "message":
		s.hints |= hintMessage
	case "awslogs":
		s.hints |= hintAWSLogs
	case "kinesis":
		s.hints |= hintKinesis
	}
	return nil
}
