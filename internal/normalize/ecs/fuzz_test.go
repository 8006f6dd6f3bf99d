package ecs

import (
	"bytes"
	"errors"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
)

// FuzzDocuments holds that splitting ends with each record where it is said to stand, and that each becomes a sound event
// or is rejected with a reason and counted.
func FuzzDocuments(f *testing.F) {
	for _, in := range []string{
		`{"@timestamp":"2026-03-01T12:00:00Z","a.b":1,"a":{"b":[{"c":null}]}}`,
		`{"_index":".ds-logs-a-b-2026.03.01-000001","_id":"x","_score":1,"_source":{"@timestamp":"2026"},"sort":[1]}`,
		`{"took":1,"hits":{"total":1,"hits":[{"_id":"x","_source":{"@timestamp":1}},{}]},"aggregations":{}}`,
		"{\"create\":{\"_index\":\"logs-a-b\",\"_id\":\"x\"}}\n{\"@timestamp\":\"2026\",\"data_stream\":{\"dataset\":\"a\"}}\n{\"delete\":{}}\n{\"update\":{}}\n{}\n",
		`[{"@timestamp":"2026","event.ingested":"x"},{"_source":{}}]`,
		"{\"index\":{}}\n{\"a\":,}\n{\"@timestamp\":\"2026\"}",
		`{"_s\u006furce":{"@timestamp":"2026"}}`,
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		Looks(in)
		s := made(t, Options{})
		var counts normalize.Counts
		last, n := int64(-1), int64(0)
		err := s.Split(bytes.NewReader(in), "o", func(raw event.Raw) error {
			if n++; raw.Offset <= last || !bytes.HasPrefix(in[raw.Offset:], raw.Data) {
				t.Errorf("a record is said to stand at %d, behind one at %d", raw.Offset, last)
			}
			last = raw.Offset
			e, err := s.Normalize(raw, &counts)
			var rejected *normalize.Rejected
			if err != nil {
				if !errors.As(err, &rejected) || e != nil {
					t.Errorf("%v", err)
				}
				return nil
			}
			s.Finish(e)
			if why := unsound(e); why != "" {
				t.Error(why)
			}
			if !bytes.HasPrefix(in[e.Source.Offset:], e.Source.Data) {
				t.Errorf("the document is said to stand at %d", e.Source.Offset)
			}
			return nil
		})
		var broken *normalize.ObjectError
		if err != nil && (!errors.As(err, &broken) || broken.Offset < 0 || broken.Offset > int64(len(in))) {
			t.Error(err)
		}
		rejected := int64(0)
		for _, k := range counts.Rejected {
			rejected += k
		}
		if counts.Records != n || counts.Events+rejected != n {
			t.Errorf("%d records, counted %+v", n, counts)
		}
	})
}

// unsound says what is wrong with a finished event.
func unsound(e *event.Event) string {
	if e.ID == "" || badStream(e.Stream) != "" || len(e.Source.Data) == 0 {
		return "no ID, stream or source"
	}
	if _, ok := event.Coerce(event.Date, e.Get("@timestamp")); !ok {
		return "@timestamp is not what a store reads"
	}
	for _, path := range []string{"@timestamp", "event.ingested"} {
		ok := false
		for _, v := range e.Values(path) {
			_, is := event.Coerce(event.Date, v)
			ok = ok || is
		}
		if !ok {
			return path + " is no date"
		}
	}
	before := ""
	for _, f := range e.Fields() {
		if f.Path <= before || f.Value.IsNull() {
			return "field " + f.Path + " behind " + before
		}
		before = f.Path
	}
	return ""
}
