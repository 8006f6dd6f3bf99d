// Package ecs takes events that are documents of the Elastic Common Schema already, as Elasticsearch and OpenSearch hand
// them out and take them in: one a line, as search answers, as _bulk bodies, as elasticdump writes them.
//
// A document is taken as it is, into the stream that its index or its data_stream fields name, under its _id. Nothing is
// mapped, and nothing looked up. What its mapping would add, and the time of arrival where it is missing, is added by
// Finish. Elasticsearch would refuse some documents that are taken here: fields of the wrong type, for instance.
//
//	set, err := ecs.New(ecs.Options{Stream: "logs-endpoint.events.process-default"})
//	err = set.Split(r, name, func(raw event.Raw) error { e, err := set.Normalize(raw, &counts); … })
package ecs

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// DefaultStream takes the documents that name no stream, where Options do not either.
const DefaultStream = "logs-generic-default"

// Limits on what strangers' documents may make.
const (
	// MaxStreams is how many streams the documents of one ECS may name.
	MaxStreams = 1000
	// maxPath is the length of a field's path, in bytes.
	maxPath = 4 << 10
	// maxPaths is the length of all paths of a document, in bytes: a long key with many below it is written out for each.
	maxPaths = normalize.MaxRecord
	// maxID is the length from which an _id is no longer used, in bytes; Elasticsearch allows as many.
	maxID = 512
)

// usualDelay is how long after it happened an event counts as stored, where it does not say.
const usualDelay = 5 * time.Minute

// Options says what becomes of documents.
type Options struct {
	// Stream takes the documents that name none; "" is DefaultStream.
	Stream string
}

// ECS is the data set. It implements normalize.DataSet.
type ECS struct {
	opt  Options
	pool sync.Pool // of *event.Parser

	mu      sync.RWMutex
	streams map[string]bool // that documents have named
}

var _ normalize.DataSet = (*ECS)(nil)

// New returns the data set with opt. A stream that no index could be called is an error.
func New(opt Options) (*ECS, error) {
	if opt.Stream == "" {
		opt.Stream = DefaultStream
	}
	if why := badStream(opt.Stream); why != "" {
		return nil, fmt.Errorf("stream %.80q: %s", opt.Stream, why)
	}
	s := &ECS{opt: opt, streams: map[string]bool{}}
	s.pool.New = func() any { return &event.Parser{MaxValues: normalize.MaxValues} }
	return s, nil
}

// Name is "ecs".
func (s *ECS) Name() string { return "ecs" }

// Normalize makes the event of one document: see normalize.DataSet. Its Source is the document alone, without what wraps
// it, so that the same document is the same event whichever way it comes.
func (s *ECS) Normalize(raw event.Raw, counts *normalize.Counts) (*event.Event, error) {
	parser := s.pool.Get().(*event.Parser)
	defer s.pool.Put(parser)
	counts.Records++
	d, rejected := open(parser, raw.Data, counts)
	if rejected != nil {
		return nil, counts.Reject(rejected.Reason, rejected.Detail)
	}
	if why := badPaths(d.fields); why != "" {
		return nil, counts.Reject(normalize.BadField, why)
	}
	e := &event.Event{ID: d.id, Source: raw}
	e.SetObject("", d.fields, ecs.Integration.Flattened)
	if why := settleTime(e); why != "" {
		return nil, counts.Reject(normalize.NoEventTime, why)
	}
	e.Source.Data, e.Source.Offset = d.text, raw.Offset+int64(d.at)
	if e.ID == "" || len(e.ID) > maxID {
		e.ID = normalize.ContentID(d.text)
	}
	var why string
	if e.Stream, why = s.stream(d.index, e); why != "" {
		return nil, counts.Reject(normalize.BadStream, why)
	}
	counts.Events++
	return e, nil
}

// settleTime says why e has no @timestamp; "" where it has one. As in a data stream it has one value, which may stand in a
// list; what stores read is the value itself.
func settleTime(e *event.Event) string {
	values := e.Values(plan.Timestamp)
	if len(values) != 1 {
		return fmt.Sprintf("@timestamp has %d values", len(values))
	}
	if _, ok := event.Coerce(event.Date, values[0]); !ok {
		return fmt.Sprintf("@timestamp %.80q", values[0].Text())
	}
	if !e.Get(plan.Timestamp).IsScalar() {
		e.Set(plan.Timestamp, values[0])
	}
	return ""
}

// document is one that was found in a record.
type document struct {
	index, id string      // as what wraps it says; "" where it does not
	fields    event.Value // the document
	text      []byte      // its bytes
	at        int         // where in the record they begin
}

// open finds the document in a record.
func open(parser *event.Parser, record []byte, counts *normalize.Counts) (document, *normalize.Rejected) {
	d := document{text: record}
	if rejected := d.action(record); rejected != nil {
		return d, rejected
	}
	root, duplicates, bad := normalize.ParseObject(parser, d.text)
	counts.DuplicateKeys += int64(duplicates)
	if bad != nil {
		return d, bad
	}
	return d, d.unwrap(root, duplicates > 0)
}

// action takes off the action of _bulk that a record begins with, if it does.
func (d *document) action(record []byte) *normalize.Rejected {
	op := firstKey(record)
	if !bulkOps[op] {
		return nil
	}
	s := normalize.ScanBytes(record, nil)
	if s.Value() != nil {
		return nil
	}
	end := int(s.Offset())
	rest := bytes.TrimLeft(record[end:], " \t\r\n")
	root, err := event.ParseJSON(record[:end])
	if err != nil || len(root.Members()) != 1 {
		return nil
	}
	meta := root.Member(op)
	if meta.Kind() != event.KindObject || len(rest) == 0 && !onlyMeta(meta) {
		return nil
	}
	d.index, d.id = meta.Member("_index").Text(), meta.Member("_id").Text()
	d.text, d.at = rest, len(record)-len(rest)
	switch {
	case op == "delete":
		return &normalize.Rejected{Reason: normalize.BulkDelete, Detail: fmt.Sprintf("of _id %.80q", d.id)}
	case op == "update":
		return &normalize.Rejected{Reason: normalize.BulkUpdate, Detail: fmt.Sprintf("of _id %.80q", d.id)}
	case len(rest) == 0:
		return &normalize.Rejected{Reason: normalize.NoSource, Detail: "nothing follows the action " + op}
	}
	return nil
}

// unwrap takes the document out of a search hit, and what is the index's own out of a document. ambiguous says that keys
// came twice.
func (d *document) unwrap(root event.Value, ambiguous bool) *normalize.Rejected {
	var rest []event.Member
	var source event.Value
	hit := false
	for i, m := range root.Members() {
		if !metaKeys[m.Key] {
			if rest != nil {
				rest = append(rest, m)
			}
			continue
		}
		if rest == nil {
			rest = append(make([]event.Member, 0, len(root.Members())), root.Members()[:i]...)
		}
		switch m.Key {
		case "_source":
			source, hit = m.Value, true
		case "_index":
			d.index = m.Value.Text()
		case "_id":
			d.id = m.Value.Text()
		}
	}
	switch {
	case rest == nil:
		d.fields = root
	case source.Kind() == event.KindObject:
		from, to, ok := normalize.Member(d.text, "_source")
		if !ok || ambiguous { // which text is the document's is not plain: the hit stands for it
			from, to = 0, len(d.text)
		}
		d.fields, d.text, d.at = source, d.text[from:to], d.at+from
	case hit || root.Member(plan.Timestamp).IsNull():
		return &normalize.Rejected{Reason: normalize.NoSource, Detail: fmt.Sprintf("the hit with _id %.80q holds no document", d.id)}
	default:
		d.fields = event.Object(rest...)
	}
	return nil
}

// metaKeys are the keys at the top of a hit or a document that belong to the index.
var metaKeys = map[string]bool{"_index": true, "_id": true, "_type": true, "_score": true, "_source": true, "_version": true,
	"_seq_no": true, "_primary_term": true, "_routing": true, "_ignored": true}

// onlyMeta reports whether an object is what a _bulk action says.
func onlyMeta(action event.Value) bool {
	for _, m := range action.Members() {
		if actionKey([]byte(m.Key)) != 0 {
			return false
		}
	}
	return true
}

// badPaths says why the fields of a document cannot be laid out; "" where they can. Elasticsearch refuses empty names, too.
func badPaths(doc event.Value) string {
	total := 0
	var walk func(obj event.Value, length int) string
	walk = func(obj event.Value, length int) string {
		for _, m := range obj.Members() {
			if emptyPart(m.Key) {
				return fmt.Sprintf("a part of the name %.80q is empty", m.Key)
			}
			n := length + len(m.Key)
			if total += n; n > maxPath || total > maxPaths {
				return fmt.Sprintf("the names of fields are too long, at %.80q", m.Key)
			}
			if m.Value.Kind() == event.KindObject {
				if why := walk(m.Value, n+1); why != "" {
					return why
				}
			}
		}
		return ""
	}
	return walk(doc, 0)
}

// emptyPart reports whether a key has a part between dots, or before or behind them, that is empty.
func emptyPart(key string) bool {
	before := byte('.')
	for i := range len(key) {
		if key[i] == '.' && before == '.' {
			return true
		}
		before = key[i]
	}
	return before == '.'
}

// Finish adds what the mapping of a data stream holds for all of its documents (data_stream.*, event.dataset), and
// event.ingested, where the document lacks them.
func (s *ECS) Finish(e *event.Event) {
	var more []event.Field
	add := func(path, text string) {
		if len(e.Values(path)) == 0 {
			more = append(more, event.Field{Path: path, Value: event.String(text)})
		}
	}
	kind, dataset, space, ok := parts(e.Stream)
	if ok {
		add("data_stream.dataset", dataset)
		add("data_stream.namespace", space)
		add("data_stream.type", kind)
		if dataset != genericDataset {
			add("event.dataset", dataset)
		}
	}
	if _, ok := (plan.TimeField{Primary: plan.Ingested}).Of(e); !ok {
		happened, _ := plan.TimeField{Primary: plan.Timestamp}.Of(e)
		at := happened.Add(usualDelay)
		if at.Year() > 9999 {
			at = happened
		}
		more = append(more, event.Field{Path: plan.Ingested, Value: event.String(event.FormatTime(at))})
	}
	e.SetAll(more)
}
