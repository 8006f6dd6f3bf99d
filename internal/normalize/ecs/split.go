package ecs

import (
	"bytes"
	"io"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
)

// Split finds the documents of one uncompressed object, whatever shape they come in, mixed or not:
//
//   - documents and search hits ({"_index":…,"_id":…,"_source":{…}}) one after another, one a line or not, or in one list;
//   - answers of searches ({"hits":{"hits":[…]}}), also as Kibana shows them ({"rawResponse":{…}}), of any length;
//   - _bulk bodies: an action, and for create, index and update the line that follows. Updates and deletes are yielded, to
//     be rejected by Normalize.
//
// Data is the hit, the document, or the action with its document.
//
// A broken line in a file of lines is yielded, to be rejected by Normalize, and the next line goes on. Everything else
// that cannot be read ends the object with a *normalize.ObjectError.
func (s *ECS) Split(r io.Reader, object string, yield func(event.Raw) error) error {
	sp := splitter{s: normalize.NewScanner(r, actionKey), object: object, yield: yield}
	return sp.s.Failed(object, sp.s.Walk(&sp))
}

// splitter is the shape of objects that hold documents.
type splitter struct {
	s      *normalize.Scanner
	object string
	yield  func(event.Raw) error
}

// bulkOps are the actions of _bulk.
var bulkOps = map[string]bool{"index": true, "create": true, "update": true, "delete": true}

// hintOther is a key that no action holds.
const hintOther normalize.Hint = 1

// actionKey tells keys that no action of _bulk holds.
func actionKey(key []byte) normalize.Hint {
	switch string(key) {
	case "_index", "_id", "_type", "_routing", "_version", "_version_type", "routing", "parent", "version", "version_type",
		"if_seq_no", "if_primary_term", "retry_on_conflict", "pipeline", "op_type", "require_alias", "require_data_stream",
		"dynamic_templates", "list_executed_pipelines":
		return 0
	}
	return hintOther
}

// contents is what an object at the top turned out to hold.
type contents struct {
	held bool   // it holds hits
	op   string // it is this action of _bulk
}

// Document takes an object at the top.
func (sp *splitter) Document(start int64) error {
	k, err := sp.members(0)
	if err != nil {
		return err
	}
	switch {
	case k.held:
		return nil
	case k.op == "" || k.op == "delete":
		return sp.Record(start, sp.s.Offset())
	}
	return sp.bulk(start)
}

// maxWraps is how deep in an answer hits are looked for.
const maxWraps = 4

// members takes the object whose bracket comes next, and the hits in it.
func (sp *splitter) members(depth int) (k contents, err error) {
	s := sp.s
	s.Skip()
	n := 0
	for ; ; n++ {
		c, err := s.Must()
		if err != nil {
			return k, k.final(err)
		}
		if c == '}' {
			s.Skip()
			break
		}
		if n > 0 {
			if c != ',' {
				return k, k.final(&normalize.SyntaxError{Want: "',' or '}'"})
			}
			s.Skip()
		}
		key, err := s.Key()
		if err != nil {
			return k, k.final(err)
		}
		if c, err = s.Must(); err != nil {
			return k, k.final(err)
		}
		switch {
		case c == '[' && key == "hits":
			k.held = true
			s.Drop()
			if err := s.Elements(sp.Element); err != nil {
				return k, normalize.Final(err)
			}
			continue
		case c == '{' && depth < maxWraps && (key == "hits" || key == "rawResponse" || key == "response"):
			inner, err := sp.members(depth + 1)
			k.held = k.held || inner.held
			if err != nil {
				return k, k.final(err)
			}
			continue
		}
		if err := s.Value(); err != nil {
			return k, k.final(err)
		}
		if n == 0 && c == '{' && bulkOps[key] && s.Hints() == 0 {
			k.op = key
		}
	}
	if n > 1 || depth > 0 {
		k.op = ""
	}
	return k, nil
}

// final makes err end the object when hits have been taken out of it.
func (k contents) final(err error) error {
	if k.held {
		return normalize.Final(err)
	}
	return err
}

// bulk takes the line behind an action, which begins at start.
func (sp *splitter) bulk(start int64) error {
	s := sp.s
	switch _, err := s.Next(); err {
	case nil:
	case io.EOF:
		return sp.Record(start, s.Offset())
	default:
		return err
	}
	from := s.Offset()
	if err := s.Value(); err != nil {
		if err = s.EndLine(from, err); err != nil {
			return err
		}
	}
	return sp.Record(start, s.Offset())
}

// Element yields an element of a list.
func (sp *splitter) Element(from, to int64) error { return sp.Record(from, to) }

// Record yields the bytes between two offsets as they are.
func (sp *splitter) Record(from, to int64) error {
	err := sp.yield(event.Raw{Data: bytes.Clone(sp.s.Bytes(from, to)), Object: sp.object, Offset: from})
	if err != nil {
		return &normalize.Yielded{Err: err}
	}
	sp.s.Found()
	return nil
}

// firstKey is the key that an object begins with; "" where there is none, or it is long or written with escapes.
func firstKey(object []byte) string {
	const white = " \t\r\n"
	rest, ok := bytes.CutPrefix(object, []byte("{"))
	if !ok {
		return ""
	}
	if rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest, white), []byte(`"`)); !ok {
		return ""
	}
	at := bytes.IndexByte(rest[:min(len(rest), 16)], '"')
	if at < 0 {
		return ""
	}
	return string(rest[:at])
}

// Looks reports whether an object that begins with head holds documents of ECS rather than CloudTrail's records: by the
// keys of the first of its values that tell. head may end anywhere.
func Looks(head []byte) bool {
	head = bytes.TrimPrefix(head, []byte("\xEF\xBB\xBF"))
	for {
		s := normalize.ScanBytes(head, nil)
		c, err := s.Next()
		if err != nil {
			return false
		}
		if c == '[' { // its first element
			s.Skip()
			if c, err = s.Next(); err != nil {
				return false
			}
		}
		if c == '{' {
			if is, told := looks(s); told {
				return is
			}
		} else if err := s.Value(); err != nil || c == '[' {
			s.SkipLine()
		}
		// The next value, or the next line behind one that is broken or tells nothing.
		at := int(s.Offset())
		if at >= len(head) {
			return false
		}
		if head = head[at:]; head[0] == ',' || head[0] == ']' || head[0] == '}' {
			head = head[1:]
		}
	}
}

// looks reads the keys of the object that comes next; told says whether one of them tells what it is.
func looks(s *normalize.Scanner) (is, told bool) {
	s.Skip()
	for n := 0; ; n++ {
		c, err := s.Next()
		if err != nil {
			return is, told
		}
		if c == '}' {
			s.Skip()
			return is, told
		}
		if c == ',' && n > 0 {
			s.Skip()
		}
		if c, err = s.Next(); err != nil || c != '"' {
			s.SkipLine()
			return is, told
		}
		key, err := s.Key()
		if err != nil {
			s.SkipLine()
			return is, told
		}
		switch key {
		case "Records", "Events", "logEvents", "awslogs", "CloudTrailEvent", "eventVersion", "eventName", "eventSource",
			"eventID", "userIdentity", "digestEndTime", "detail-type":
			return false, true
		case "_index", "_id", "_source", "_shards", "rawResponse", "hits", "@timestamp", "data_stream", "ecs", "ecs.version":
			is, told = true, true
		}
		if c, err = s.Next(); err != nil {
			return is, told
		}
		if n == 0 && c == '{' && bulkOps[key] || strings.HasPrefix(key, "data_stream.") {
			is, told = true, true
		}
		if s.Value() != nil {
			s.SkipLine()
			return is, told
		}
	}
}
