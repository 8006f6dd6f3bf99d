package cloudtrail

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-sec/tocsin/internal/normalize"
)

// open yields the record that the JSON object data holds: data itself, unless its keys, which hints names, say that it
// is a wrapping. What looks like a wrapping and is none is yielded as it is.
func (sp *splitter) open(data []byte, offset int64, hints normalize.Hint, wraps int) error {
	if hints == 0 || wraps >= maxWraps {
		return sp.emit(data, offset)
	}
	within := func(at int) int64 { // where data[at] stands; places inside a text have no offset of their own
		if wraps > 0 {
			return offset
		}
		return offset + int64(at)
	}
	if hints&hintCloudTrailEvent != 0 {
		if from, to, ok := normalize.Member(data, "CloudTrailEvent"); ok {
			return sp.held(data[from:to], within(from), wraps)
		}
	}
	if hints&hintMessage != 0 {
		if from, to, ok := normalize.Member(data, "message"); ok && data[from] == '"' {
			return sp.held(data[from:to], within(from), wraps)
		}
	}
	if hints&hintDetail != 0 {
		if from, to, ok := normalize.Member(data, "detail-type"); ok && strings.HasSuffix(unquote(data[from:to]), "via CloudTrail") {
			if from, to, ok := normalize.Member(data, "detail"); ok && data[from] == '{' {
				return sp.emit(data[from:to], within(from))
			}
		}
	}
	for _, way := range [...]struct {
		hint normalize.Hint
		key  string
	}{{hintAWSLogs, "awslogs"}, {hintKinesis, "kinesis"}} {
		if hints&way.hint == 0 {
			continue
		}
		from, to, ok := normalize.Member(data, way.key)
		if !ok || data[from] != '{' {
			continue
		}
		inner := data[from:to]
		if from, to, ok := normalize.Member(inner, "data"); ok && inner[from] == '"' {
			if opened, err := sp.payload(unquote(inner[from:to]), offset); opened {
				return err
			}
		}
	}
	return sp.emit(data, offset)
}

// held yields the record in value, which is the record itself or a text that holds it.
func (sp *splitter) held(value []byte, offset int64, wraps int) error {
	if value[0] != '"' {
		return sp.emit(value, offset)
	}
	text := bytes.TrimSpace([]byte(unquote(value)))
	s := normalize.ScanBytes(text, wrapper)
	if len(text) == 0 || text[0] != '{' || s.Value() != nil || int(s.Offset()) != len(text) {
		return sp.emit(text, offset)
	}
	return sp.open(text, offset, s.Hints()&^hintMessage, wraps+1)
}

// How far payloads may unpack: maxGrowth times the bytes of the object that were read, and freeGrowth more. Real ones
// grow about tenfold, a bomb a thousandfold, and one within another a millionfold.
const (
	maxGrowth  = 100
	freeGrowth = 64 << 20
)

var errPayload = fmt.Errorf("payloads unpack to more than %d times the object's size", maxGrowth)

// unpacked reads a payload, and fails when those of one object unpack to too much.
type unpacked struct {
	r    io.Reader
	root *splitter
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	if u.root.unpacked += int64(n); u.root.unpacked > freeGrowth+maxGrowth*u.root.s.Offset() {
		return 0, errPayload
	}
	return n, err
}

// root is the splitter of the object itself.
func (sp *splitter) root() *splitter {
	for sp.outer != nil {
		sp = sp.outer
	}
	return sp
}

// payload splits what base64 and gzip wrap. It reports false, and has done nothing, when text is not that.
func (sp *splitter) payload(text string, offset int64) (opened bool, err error) {
	wraps := 0
	for p := sp; p.outer != nil; p = p.outer {
		wraps++
	}
	if wraps >= maxWraps {
		return false, nil
	}
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return false, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return false, nil
	}
	in := splitter{s: normalize.NewScanner(&unpacked{r: z, root: sp.root()}, wrapper), object: sp.object, delivered: sp.delivered, yield: sp.yield, outer: sp, at: offset}
	err = in.s.Walk(&in)
	switch {
	case err == nil || errors.As(err, new(*normalize.Yielded)):
		return true, err
	case errors.Is(err, errPayload):
		return true, errPayload
	}
	// The records that could be read stand; the payload itself is yielded too, to be rejected.
	if !sp.s.Rescan(in.s.Offset()) {
		return true, in.failed(err)
	}
	return false, nil
}

// lateLogEvents splits a subscription's payload whose type came behind its log events.
func (sp *splitter) lateLogEvents(start int64, message string) error {
	if message == "CONTROL_MESSAGE" {
		return nil
	}
	data := sp.s.Bytes(start, sp.s.Offset())
	from, to, ok := normalize.Member(data, "logEvents")
	if !ok {
		return sp.emit(data, start)
	}
	list := data[from:to]
	s := normalize.ScanBytes(list, wrapper)
	s.Skip()
	for {
		c, err := s.Next()
		if err != nil || c == ']' {
			return nil
		}
		if c == ',' {
			s.Skip()
			if _, err := s.Next(); err != nil {
				return nil
			}
		}
		at := s.Offset()
		if s.Value() != nil {
			return nil
		}
		if err := sp.open(list[at:s.Offset()], start+int64(from)+at, s.Hints()&hintMessage, 0); err != nil {
			return err
		}
	}
}

// unquote returns what the JSON string quoted says; "" where it is none.
func unquote(quoted []byte) string {
	text, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil && len(text) == 0 {
		return ""
	}
	return string(text)
}
