package cloudtrail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
)

// maxRescan is how many bytes may be scanned a second time, after lines that turned out broken, before the object
// counts as unreadable.
const maxRescan = 64 << 20

// maxWraps is how many wrappings of one record are opened: a compressed payload of log events that hold EventBridge
// events makes three.
const maxWraps = 4

// Split finds the records of one uncompressed object, whatever shape they come in, mixed or not:
//
//   - {"Records":[…]}, as CloudTrail delivers, whatever other keys stand before or after;
//   - a JSON array of records; JSON values one after another, one a line or not;
//   - CloudWatch Logs subscription payloads ({"messageType":"DATA_MESSAGE", … "logEvents":[{"message":"…"}]}), as they
//     are or as {"awslogs":{"data":…}} and {"kinesis":{"data":…}} hold them: base64 of gzip; control messages give nothing;
//   - EventBridge events (detail-type "… via CloudTrail"), of which the detail is the record;
//   - answers of LookupEvents ({"Events":[{"CloudTrailEvent":"…"}]}) and single {"CloudTrailEvent":"…"};
//   - digest files and Insight records, each its own record.
//
// Data is the record's exact bytes; of a record that came as a text, that text. Offset is where the record, or the text
// or the wrapping that holds it, begins in the object.
//
// A broken line in a file of lines is yielded, to be rejected by Normalize, and the next line goes on. Everything else
// that cannot be read ends the object with a *normalize.ObjectError.
func (c *CloudTrail) Split(r io.Reader, object string, yield func(event.Raw) error) error {
	return Split(r, object, yield)
}

// Split is CloudTrail.Split, which needs no options.
func Split(r io.Reader, object string, yield func(event.Raw) error) error {
	sp := splitter{s: newScanner(r), object: object, delivered: Delivered(object), yield: yield}
	err := sp.run()
	var y *errYield
	if errors.As(err, &y) {
		return y.err
	}
	return err
}

type splitter struct {
	s         *scanner
	object    string
	delivered time.Time
	yield     func(event.Raw) error
	rescanned int64     // bytes scanned in vain
	unpacked  int64     // bytes that payloads have unpacked to
	outer     *splitter // the object that holds this one as a payload
	at        int64     // where in outer that payload begins
}

// errYield carries an error of yield past everything that reads errors as the object's.
type errYield struct{ err error }

func (e *errYield) Error() string { return e.err.Error() }

// errStop is an error inside a list of records, where the next record cannot be found.
type errStop struct{ err error }

func (e *errStop) Error() string { return e.err.Error() }
func (e *errStop) Unwrap() error { return e.err }

func (sp *splitter) run() error {
	s := sp.s
	if c, err := s.next(); err == nil && c == 0xEF { // a byte order mark
		for s.end-s.pos < 3 && s.fill() == nil {
		}
		if bytes.HasPrefix(s.buf[s.pos:s.end], []byte("\xEF\xBB\xBF")) {
			s.pos += 3
		}
	}
	for {
		c, err := s.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return sp.fail(err)
		}
		start := s.offset()
		s.keep = start
		switch {
		case c == '{':
			err = sp.document(start)
		case c == '[':
			err = sp.array(start)
		case c == '"' || isLiteral(c):
			if err = s.value(); err == nil {
				err = sp.record(start, s.offset())
			}
		default:
			err = &errSyntax{want: "a JSON value"}
		}
		if err != nil {
			err = sp.recover(start, err)
		}
		if err != nil {
			return sp.fail(err)
		}
		s.keep = -1
	}
}

// recover goes on behind a broken line. It returns err where the broken value is not one of a file of lines.
func (sp *splitter) recover(start int64, err error) error {
	s := sp.s
	var syntax *errSyntax
	if !(errors.As(err, &syntax) || errors.Is(err, errEnd)) || errors.As(err, new(*errStop)) {
		return err
	}
	at := s.offset()
	line := bytes.IndexByte(s.bytes(start, at), '\n')
	if line < 0 { // broken within its first line, of which the rest is skipped
		for {
			if i := bytes.IndexByte(s.buf[s.pos:s.end], '\n'); i >= 0 {
				s.pos += i
				break
			}
			s.pos = s.end
			if err := s.fill(); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
		}
		return sp.record(start, s.offset())
	}
	// Broken in a later line: a file of lines when that line begins like a record, and then only the first is broken.
	next := start + int64(line) + 1
	rest := bytes.TrimLeft(s.bytes(next, s.base+int64(s.end)), "\r\n")
	if len(rest) > 0 && rest[0] != '{' || len(rest) == 0 && !errors.Is(err, errEnd) {
		return err
	}
	if sp.rescanned += at - next; sp.rescanned > maxRescan {
		return err
	}
	if err := sp.record(start, next-1); err != nil {
		return err
	}
	s.pos = int(next - s.base)
	return nil
}

// document splits an object at the top of the file: a record, or what holds records.
func (sp *splitter) document(start int64) error {
	s := sp.s
	s.pos++
	var (
		hints   hint
		held    bool   // the object holds records and is none itself
		message string // the messageType of a subscription's payload
		late    bool   // log events came before their messageType
	)
	for first := true; ; first = false {
		c, err := s.must()
		if err != nil {
			return sp.stopIf(held, err)
		}
		if c == '}' {
			s.pos++
			break
		}
		if !first {
			if c != ',' {
				return sp.stopIf(held, &errSyntax{want: "',' or '}'"})
			}
			s.pos++
		}
		key, err := sp.key(held)
		if err != nil {
			return sp.stopIf(held, err)
		}
		if c, err = s.must(); err != nil {
			return sp.stopIf(held, err)
		}
		switch {
		case c == '[' && (key == "Records" || key == "Events" || key == "logEvents" && message != ""):
			held, s.keep = true, -1
			each := sp.element
			if key == "logEvents" {
				each = sp.logEvent
				if message == "CONTROL_MESSAGE" {
					each = nil
				}
			}
			if err := sp.elements(each); err != nil {
				return &errStop{err}
			}
			continue
		case key == "logEvents" && c == '[':
			late = true
		case key == "messageType" && c == '"' && !held:
			at := s.offset()
			if err := s.text(); err != nil {
				return err
			}
			message = string(s.bytes(at+1, s.offset()-1))
			continue
		case key == "CloudTrailEvent":
			hints |= hintCloudTrailEvent
		case key == "detail":
			hints |= hintDetail
		case key == "awslogs":
			hints |= hintAWSLogs
		case key == "kinesis":
			hints |= hintKinesis
		}
		if err := s.value(); err != nil {
			return sp.stopIf(held, err)
		}
	}
	if held {
		return nil
	}
	if late && message != "" {
		return sp.lateLogEvents(start, message)
	}
	return sp.open(s.bytes(start, s.offset()), start, hints, 0)
}

// stopIf makes err final when records have been taken out of the object that it stands in.
func (sp *splitter) stopIf(held bool, err error) error {
	if held {
		return &errStop{err}
	}
	return err
}

// key takes a key and its colon, and returns the key when it is a short one.
func (sp *splitter) key(held bool) (string, error) {
	s := sp.s
	c, err := s.must()
	if err != nil {
		return "", err
	}
	if c != '"' {
		return "", &errSyntax{want: "a key"}
	}
	at := s.offset()
	if held {
		s.keep = at
	}
	if err := s.text(); err != nil {
		return "", err
	}
	key := ""
	if raw := s.bytes(at+1, s.offset()-1); len(raw) <= 16 {
		key = string(raw)
	}
	if held {
		s.keep = -1
	}
	return key, s.expect(':')
}

// array splits a list at the top of the file.
func (sp *splitter) array(start int64) error {
	s := sp.s
	s.pos++
	c, err := s.must()
	if err != nil {
		return err
	}
	if c != '{' && c != '[' && c != ']' && c != '"' && !isLiteral(c) {
		return &errSyntax{want: "a record"} // a line that begins with a bracket, such as a program's log
	}
	s.pos = int(start - s.base)
	s.keep = -1
	if err := sp.elements(sp.element); err != nil {
		return &errStop{err}
	}
	return nil
}

// elements calls each for every element of the list that comes next, with its offsets; a nil each skips them.
func (sp *splitter) elements(each func(from, to int64) error) error {
	s := sp.s
	s.pos++
	for first := true; ; first = false {
		c, err := s.must()
		if err != nil {
			return err
		}
		if c == ']' {
			s.pos++
			return nil
		}
		if !first {
			if c != ',' {
				return &errSyntax{want: "',' or ']'"}
			}
			s.pos++
			if _, err = s.must(); err != nil {
				return err
			}
		}
		from := s.offset()
		if each != nil {
			s.keep = from
		}
		if err := s.value(); err != nil {
			return err
		}
		if each != nil {
			if err := each(from, s.offset()); err != nil {
				return err
			}
		}
		s.keep = -1
	}
}

func (sp *splitter) element(from, to int64) error {
	return sp.open(sp.s.bytes(from, to), from, sp.s.hints&^hintMessage, 0)
}

func (sp *splitter) logEvent(from, to int64) error {
	return sp.open(sp.s.bytes(from, to), from, sp.s.hints&hintMessage, 0)
}

// record yields the bytes between two offsets as they are.
func (sp *splitter) record(from, to int64) error {
	return sp.emit(sp.s.bytes(from, to), from)
}

func (sp *splitter) emit(data []byte, offset int64) error {
	for p := sp; p.outer != nil; p = p.outer {
		offset = p.at
	}
	err := sp.yield(event.Raw{Data: bytes.Clone(data), Object: sp.object, Offset: offset, Delivered: sp.delivered})
	if err != nil {
		return &errYield{err}
	}
	for p := sp; p != nil; p = p.outer {
		p.s.barren = p.s.offset()
	}
	return nil
}

// fail says where and why the object cannot be read on.
func (sp *splitter) fail(err error) error {
	at, reason := sp.s.offset(), normalize.Unreadable
	var syntax *errSyntax
	switch {
	case errors.As(err, new(*errYield)):
		return err
	case errors.Is(err, errTooLarge):
		reason = normalize.RecordTooLarge
		at = max(sp.s.keep, 0)
	case errors.Is(err, errPayload):
		reason = normalize.PayloadTooLong
	case errors.Is(err, errBarren):
		reason = normalize.NoRecords
	case errors.Is(err, errEnd):
		reason = normalize.Truncated
	case errors.As(err, &syntax):
		reason = normalize.BadSyntax
		if sp.s.pos < sp.s.end {
			err = fmt.Errorf("%w, found %q", syntax, sp.s.buf[sp.s.pos])
		}
	}
	return &normalize.ObjectError{Object: sp.object, Offset: at, Reason: reason, Err: err}
}
