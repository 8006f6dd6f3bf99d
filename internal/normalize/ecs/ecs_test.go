package ecs

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
)

// events returns one line for each record of in: "stream id source" or why it is rejected.
func events(t testing.TB, s *ECS, in string) string {
	t.Helper()
	var out strings.Builder
	var counts normalize.Counts
	n := int64(0)
	err := s.Split(strings.NewReader(in), "o", func(raw event.Raw) error {
		n++
		e, err := s.Normalize(raw, &counts)
		if err != nil {
			var rejected *normalize.Rejected
			if !errors.As(err, &rejected) || e != nil {
				t.Errorf("%q: %v", raw.Data, err)
				return nil
			}
			fmt.Fprintf(&out, "! %s\n", rejected.Reason)
			return nil
		}
		if at := int(e.Source.Offset); !strings.HasPrefix(in[at:], string(e.Source.Data)) {
			t.Errorf("%q does not stand at %d", e.Source.Data, at)
		}
		fmt.Fprintf(&out, "%s %s %s\n", e.Stream, e.ID, e.Source.Data)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	rejected := int64(0)
	for _, k := range counts.Rejected {
		rejected += k
	}
	if counts.Records != n || counts.Events+rejected != n {
		t.Errorf("%d records, counted %+v", n, counts)
	}
	return out.String()
}

func TestShapes(t *testing.T) {
	const doc = `{"@timestamp":"2026-03-01T12:00:00Z","event":{"action":"x"}}`
	hash := normalize.ContentID([]byte(doc))
	f := func(in, want string) {
		t.Helper()
		if diff := cmp.Diff(want, events(t, made(t, Options{Stream: "mine"}), in)); diff != "" {
			t.Errorf("%s\n%s", in, diff)
		}
	}
	// The same document is the same event whichever way it comes.
	named := "logs-a-b x " + doc + "\n"
	f(`{"_index":"logs-a-b","_id":"x","_source":`+doc+`}`, named)
	f(`{"_index":"logs-a-b","_type":"_doc","_id":"x","_score":1.5,"_source":`+doc+`,"sort":[1]}`, named)
	f(`{"took":1,"hits":{"hits":[{"_index":"logs-a-b","_id":"x","_source": `+doc+` }]}}`, named)
	f("{\"create\":{\"_index\":\"logs-a-b\",\"_id\":\"x\"}}\n"+doc+"\n", named)
	f("{\"index\":{\"_index\":\".ds-logs-a-b-2026.03.01-000001\",\"_id\":\"x\"}}\r\n"+doc+"\r\n", named)
	f(doc, "mine "+hash+" "+doc+"\n")
	f("{\"create\":{}}\n"+doc, "mine "+hash+" "+doc+"\n")

	// An identifier may be a number, and stand in the document; what belongs to the index is no field.
	f("{\"create\":{\"_id\":7}}\n"+doc, "mine 7 "+doc+"\n")
	flat := `{"_id":"x","_index":"logs-a-b","@timestamp":1772366400000}`
	f(flat, "logs-a-b x "+flat+"\n")
	f(`{"_id":"`+strings.Repeat("x", 513)+`","_source":`+doc+`}`, "mine "+hash+" "+doc+"\n")
	f(`{"_id":"","_source":`+doc+`}`, "mine "+hash+" "+doc+"\n")

	// Streams: the index, else the fields, in any spelling, else the one that was asked for.
	one := func(doc string) string {
		stream, _, _ := strings.Cut(events(t, made(t, Options{Stream: "mine"}), doc), " ")
		return strings.TrimSpace(stream)
	}
	g := func(fields, want string) {
		t.Helper()
		if got := one(`{"@timestamp":"2026","data_stream` + fields + `}`); got != want {
			t.Errorf("%s: %s, want %s", fields, got, want)
		}
	}
	g(`":{"type":"metrics","dataset":"a.b","namespace":"c"}`, "metrics-a.b-c")
	g(`.type":"metrics","data_stream.dataset":"a.b","data_stream.namespace":["c"]`, "metrics-a.b-c")
	g(`.dataset":"a.b"`, "logs-a.b-default")
	g(`":{"namespace":"c"}`, "logs-generic-c")
	g(`":{}`, "mine")
	g(`":{"dataset":"A"}`, "mine")
	g(`":{"type":".alerts","dataset":"security.alerts"}`, "mine")
	if got := one(`{"_index":"winlogbeat-8.1","_source":{"@timestamp":"2026","data_stream":{"dataset":"a"}}}`); got != "winlogbeat-8.1" {
		t.Errorf("the index does not win: %s", got)
	}
}

func TestRejected(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := events(t, made(t, Options{}), in); got != want {
			t.Errorf("%.100s: %.100s, want %s", in, got, want)
		}
	}
	const timed = `"@timestamp":"2026-03-01"`
	f("{\"a\":1,,}\n", "! not-json\n")
	f("{\"create\":{}}\n{\"a\":1,,}\n", "! not-json\n")
	f("12 \"x\" [[]]", "! not-an-object\n! not-an-object\n! not-an-object\n")
	f(`{"a":1}`, "! no-event-time\n")
	f(`{"@timestamp":"yesterday"}`, "! no-event-time\n")
	f(`{"@timestamp":null}`, "! no-event-time\n")
	f(`{"@timestamp":{"a":1}}`, "! no-event-time\n")
	f(`{"@timestamp":["2026","2027"]}`, "! no-event-time\n")
	f(`{"@timestamp":[]}`, "! no-event-time\n")
	f(`{"@timestamp":[{"a":"2026"}]}`, "! no-event-time\n")
	f(`{"_id":"x","_source":{"a":1}}`, "! no-event-time\n")
	f(`{"_id":"x"}`, "! no-source\n")
	f(`{"_id":"x","fields":{"@timestamp":["2026"]}}`, "! no-source\n")
	f(`{"_id":"x","_source":[],`+timed+`}`, "! no-source\n")
	f("{\"create\":{}}\n", "! no-source\n")
	f("{\"delete\":{\"_id\":\"x\"}}\n{\"update\":{\"_id\":\"x\"}}\n{\"doc\":{"+timed+"}}", "! bulk-delete\n! bulk-update\n")
	f("{\"create\":{}}\n{\"create\":{}}\n", "! no-event-time\n") // the second line is the document, whatever it holds
	for _, name := range []string{`"":1`, `"a.":1`, `".a":1`, `"a..b":1`, `"a":{"":1}`, `"a":{"b":{"c.":1}}`} {
		f(`{`+timed+`,`+name+`}`, "! bad-field\n")
	}
	f(`{`+timed+`,"`+strings.Repeat("a", maxPath+1)+`":1}`, "! bad-field\n")
	f(`{`+timed+`,"a":`+strings.Repeat(`{"aaaaaaaaaa":`, 500)+"1"+strings.Repeat("}", 501), "! bad-field\n")
	f(`{`+timed+`,"a":`+strings.Repeat("[", 2000)+strings.Repeat("]", 2001), "! too-deep\n")
	f(`{`+timed+`,"a":[`+strings.Repeat("0,", normalize.MaxValues)+"0]}", "! too-many\n")
	// One long name in front of many makes a long document of a short one.
	f(`{`+timed+`,"`+strings.Repeat("a", maxPath-20)+`":{`+strings.Repeat(`"b":0,`, 0)+keys(maxPaths/maxPath+100)+`}}`, "! bad-field\n")
	for _, index := range []string{".alerts-security.alerts-default", ".internal.alerts-security.alerts-default-000001", ".ds-.logs-x-2026.03.01-000001",
		"A", "a b", "a*", "-a", "_a", `a\"b`, "a/b", "a,b", strings.Repeat("a", 256), "cluster:", "a\\u0000", "..", "a\\ud800"} {
		f(`{"_index":"`+index+`","_source":{`+timed+`}}`, "! bad-stream\n")
	}
}

// keys are n different keys with a value.
func keys(n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf(`"%d":0`, i)
	}
	return strings.Join(out, ",")
}

func TestStreamOf(t *testing.T) {
	f := func(index, want string) {
		t.Helper()
		if got := streamOf(index); got != want {
			t.Errorf("%s: %s, want %s", index, got, want)
		}
	}
	f(".ds-logs-aws.cloudtrail-default-2026.03.01-000001", "logs-aws.cloudtrail-default")
	f(".ds-logs-aws.cloudtrail-default-2026.03.01-1000001", "logs-aws.cloudtrail-default")
	f(".ds-logs-aws.cloudtrail-default-000001", "logs-aws.cloudtrail-default")
	f("prod:.ds-logs-a-b-2026.03.01-000001", "logs-a-b")
	f("partial-.ds-logs-a-b-2026.03.01-000001", "logs-a-b")
	f("partial-restored-.ds-logs-a-b-2026.03.01-000001", "logs-a-b")
	f("logs-aws.cloudtrail-default", "logs-aws.cloudtrail-default")
	f("prod:winlogbeat-8.1", "winlogbeat-8.1")
	f("filebeat-8.1.0-2026.03.01-000001", "filebeat-8.1.0-2026.03.01-000001")
	f("partial-x", "partial-x")
	f(".ds-x", ".ds-x")
	f(".ds-x-00001", ".ds-x-00001")
	f(".ds--000001", ".ds--000001")
	f(".ds-logs-a-b-2026.03.xx-000001", "logs-a-b-2026.03.xx")
}

func TestNewRefusesStreams(t *testing.T) {
	for _, name := range []string{"A", ".alerts-security.alerts-default", "a*", "a b"} {
		if _, err := New(Options{Stream: name}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// TestStreamsAreBounded holds that documents cannot make any number of streams, and that those that are known go on.
func TestStreamsAreBounded(t *testing.T) {
	s := made(t, Options{})
	doc := func(n int) string {
		return events(t, s, fmt.Sprintf(`{"_index":"i%d","_id":"x","_source":{"@timestamp":"2026"}}`, n))
	}
	for n := range MaxStreams {
		if got := doc(n); !strings.HasPrefix(got, fmt.Sprintf("i%d ", n)) {
			t.Fatal(got)
		}
	}
	if got := doc(MaxStreams); got != "! bad-stream\n" {
		t.Error(got)
	}
	if got := doc(3); !strings.HasPrefix(got, "i3 ") {
		t.Error(got)
	}
}

func TestFinish(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		s := made(t, Options{})
		e, err := s.Normalize(event.Raw{Data: []byte(in)}, &normalize.Counts{})
		if err != nil {
			t.Fatal(err)
		}
		s.Finish(e)
		if diff := cmp.Diff(want, string(e.AppendJSON(nil, nil))); diff != "" {
			t.Errorf("%s\n%s", in, diff)
		}
	}
	// What stands there stays; what the mapping holds for all documents, and the time of arrival, are added.
	f(`{"_index":"winlogbeat-8","_source":{"@timestamp":"2026-03-01T12:00:00Z","event":{"ingested":"2026-03-01T12:00:01.5Z"}}}`,
		`{"@timestamp":"2026-03-01T12:00:00Z","event":{"ingested":"2026-03-01T12:00:01.5Z"}}`)
	f(`{"_index":"winlogbeat-8","_source":{"@timestamp":"2026-03-01T12:00:00Z"}}`,
		`{"@timestamp":"2026-03-01T12:00:00Z","event":{"ingested":"2026-03-01T12:05:00.000Z"}}`)
	f(`{"_index":"logs-a.b-c","_source":{"@timestamp":1772366400000,"event.dataset":"other","event.ingested":"nonsense"}}`,
		`{"@timestamp":1772366400000,"data_stream":{"dataset":"a.b","namespace":"c","type":"logs"},"event":{"dataset":"other","ingested":"2026-03-01T12:05:00.000Z"}}`)
	f(`{"@timestamp":"2026-03-01T12:00:00+02:00"}`,
		`{"@timestamp":"2026-03-01T12:00:00+02:00","data_stream":{"dataset":"generic","namespace":"default","type":"logs"},"event":{"ingested":"2026-03-01T10:05:00.000Z"}}`)
	f(`{"@timestamp":"2026-03-01T12:00:00Z","data_stream":{"dataset":"a.b"}}`,
		`{"@timestamp":"2026-03-01T12:00:00Z","data_stream":{"dataset":"a.b","namespace":"default","type":"logs"},"event":{"dataset":"a.b","ingested":"2026-03-01T12:05:00.000Z"}}`)
	f(`{"_index":"x","@timestamp":[null,["2026"]],"event.ingested":"2026"}`, `{"@timestamp":"2026","event":{"ingested":"2026"}}`)
	f(`{"@timestamp":"9999-12-31T23:59:00Z","_index":"x"}`, `{"@timestamp":"9999-12-31T23:59:00Z","event":{"ingested":"9999-12-31T23:59:00.000Z"}}`)
	// Trees stay trees, keys nested or dotted; the last of two counts.
	f(`{"@timestamp":"2026","_index":"x","event.ingested":"2026","a.b":1,"a":{"b":2,"c.d":[]},"l":[{"x":1},{"x":2}],"aws":{"cloudtrail.flattened":{"request_parameters":{"k.v":[1]}}}}`,
		`{"@timestamp":"2026","a":{"b":2,"c":{"d":[]}},"aws":{"cloudtrail":{"flattened":{"request_parameters":{"k.v":[1]}}}},"event":{"ingested":"2026"},"l":[{"x":1},{"x":2}]}`)
}
