package cloudtrail

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
)

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
	sp := splitter{s: normalize.NewScanner(r, wrapper), object: object, delivered: Delivered(object), yield: yield}
	return sp.failed(sp.s.Walk(&sp))
}

// splitter is the shape of CloudTrail's objects.
type splitter struct {
	s         *normalize.Scanner
	object    string
	delivered time.Time
	yield     func(event.Raw) error
	unpacked  int64     // bytes that payloads have unpacked to
	outer     *splitter // the object that holds this one as a payload
	at        int64     // where in outer that payload begins
}

// The keys that may hold a record inside a value.
const (
	hintCloudTrailEvent normalize.Hint = 1 << iota
	hintDetail
	hintMessage
	hintAWSLogs
	hintKinesis
)

// wrapper says which of them key is.
func wrapper(key []byte) normalize.Hint {
	switch string(key) {
	case "CloudTrailEvent":
		return hintCloudTrailEvent
	case "detail":
		return hintDetail
	case "message":
		return hintMessage
	case "awslogs":
		return hintAWSLogs
	case "kinesis":
		return hintKinesis
	}
	return 0
}

// Document splits an object at the top of the file: a record, or what holds records.
func (sp *splitter) Document(start int64) error {
	s := sp.s
	s.Skip()
	var (
		hints   normalize.Hint
		held    bool   // the object holds records and is none itself
		message string // the messageType of a subscription's payload
		late    bool   // log events came before their messageType
	)
	for first := true; ; first = false {
		c, err := s.Must()
		if err != nil {
			return sp.stopIf(held, err)
		}
		if c == '}' {
			s.Skip()
			break
		}
		if !first {
			if c != ',' {
				return sp.stopIf(held, &normalize.SyntaxError{Want: "',' or '}'"})
			}
			s.Skip()
		}
		key, err := s.Key()
		if err != nil {
			return sp.stopIf(held, err)
		}
		if c, err = s.Must(); err != nil {
			return sp.stopIf(held, err)
		}
		switch {
		case c == '[' && (key == "Records" || key == "Events" || key == "logEvents" && message != ""):
			held = true
			s.Drop()
			each := sp.Element
			if key == "logEvents" {
				each = sp.logEvent
				if message == "CONTROL_MESSAGE" {
					each = nil
				}
			}
			if err := s.Elements(each); err != nil {
				return normalize.Final(err)
			}
			continue
		case key == "logEvents" && c == '[':
			late = true
		case key == "messageType" && c == '"' && !held:
			at := s.Offset()
			if err := s.Text(); err != nil {
				return err
			}
			message = string(s.Bytes(at+1, s.Offset()-1))
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
		if err := s.Value(); err != nil {
			return sp.stopIf(held, err)
		}
	}
	if held {
		return nil
	}
	if late && message != "" {
		return sp.lateLogEvents(start, message)
	}
	return sp.open(s.Bytes(start, s.Offset()), start, hints, 0)
}

// stopIf makes err final when records have been taken out of the object that it stands in.
func (sp *splitter) stopIf(held bool, err error) error {
	if held {
		return normalize.Final(err)
	}
	return err
}

// Element yields the record in an element of a list.
func (sp *splitter) Element(from, to int64) error {
	return sp.open(sp.s.Bytes(from, to), from, sp.s.Hints()&^hintMessage, 0)
}

func (sp *splitter) logEvent(from, to int64) error {
	return sp.open(sp.s.Bytes(from, to), from, sp.s.Hints()&hintMessage, 0)
}

// Record yields the bytes between two offsets as they are.
func (sp *splitter) Record(from, to int64) error {
	return sp.emit(sp.s.Bytes(from, to), from)
}

func (sp *splitter) emit(data []byte, offset int64) error {
	for p := sp; p.outer != nil; p = p.outer {
		offset = p.at
	}
	err := sp.yield(event.Raw{Data: bytes.Clone(data), Object: sp.object, Offset: offset, Delivered: sp.delivered})
	if err != nil {
		return &normalize.Yielded{Err: err}
	}
	for p := sp; p != nil; p = p.outer {
		p.s.Found()
	}
	return nil
}

// failed turns what a walk returned into what Split returns.
func (sp *splitter) failed(err error) error {
	err = sp.s.Failed(sp.object, err)
	var broken *normalize.ObjectError
	if errors.Is(err, errPayload) && errors.As(err, &broken) {
		broken.Reason = normalize.PayloadTooLong
	}
	return err
}
