package ecs

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
)

// made returns the data set with opt.
func made(t testing.TB, opt Options) *ECS {
	t.Helper()
	s, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// split returns one line per record, "offset data", line breaks as |, and a last one for the error.
func split(t testing.TB, r io.Reader) string {
	var out strings.Builder
	err := made(t, Options{}).Split(r, "o", func(raw event.Raw) error {
		fmt.Fprintf(&out, "%d %s\n", raw.Offset, strings.ReplaceAll(string(raw.Data), "\n", "|"))
		return nil
	})
	var o *normalize.ObjectError
	switch {
	case errors.As(err, &o):
		fmt.Fprintf(&out, "! %s at %d\n", o.Reason, o.Offset)
	case err != nil:
		fmt.Fprintf(&out, "! %v\n", err)
	}
	return out.String()
}

func TestSplit(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		for _, r := range []io.Reader{strings.NewReader(in), iotest.OneByteReader(strings.NewReader(in))} {
			if diff := cmp.Diff(want, split(t, r)); diff != "" {
				t.Errorf("%s\n%s", in, diff)
			}
		}
	}
	// Documents and hits.
	f("", "")
	f("{\"a\":1}\n{\"a\":2}\r\n\n{\"a\":3}", "0 {\"a\":1}\n8 {\"a\":2}\n18 {\"a\":3}\n")
	f("\xEF\xBB\xBF[{\"a\":1}, {\"_id\":\"x\",\"_source\":{}}]", "4 {\"a\":1}\n13 {\"_id\":\"x\",\"_source\":{}}\n")
	f("{\n \"a\": 1\n}\n", "0 {| \"a\": 1|}\n")

	// Answers of searches.
	f(`{"took":1,"_shards":{"total":1},"hits":{"total":{"value":2},"max_score":null,"hits":[{"_id":"x"} , {"_id":"y"}],"z":[]},"aggregations":{"a":[1]}}{"a":1}`,
		"85 {\"_id\":\"x\"}\n99 {\"_id\":\"y\"}\n145 {\"a\":1}\n")
	f(`{"hits":[{"_id":"x"}]}`, "9 {\"_id\":\"x\"}\n")
	f(`{"took":1,"hits":{"hits":[]}}`, "")
	f(`{"rawResponse":{"hits":{"hits":[{"a":1}]}},"isRunning":false}`, "32 {\"a\":1}\n")
	f(`{"hits":{"b":1},"a":1}`, "0 {\"hits\":{\"b\":1},\"a\":1}\n")

	// Bodies of _bulk.
	f("{\"create\":{\"_id\":\"x\"}}\n{\"a\":1}\n{ \"index\" : {}}\n{\"a\":2}\n", "0 {\"create\":{\"_id\":\"x\"}}|{\"a\":1}\n31 { \"index\" : {}}|{\"a\":2}\n")
	f("{\"delete\":{\"_id\":\"x\"}}\n{\"update\":{\"_id\":\"y\"}}\n{\"doc\":{}}\n{\"a\":1}\n",
		"0 {\"delete\":{\"_id\":\"x\"}}\n23 {\"update\":{\"_id\":\"y\"}}|{\"doc\":{}}\n57 {\"a\":1}\n")
	f("{\"create\":{}}\n", "0 {\"create\":{}}|\n")
	f("{\"create\":{}}\n{\"a\":1,,}\n{\"create\":{}}\n{\"a\":2}\n", "0 {\"create\":{}}|{\"a\":1,,}\n24 {\"create\":{}}|{\"a\":2}\n")
	f("{\"create\":{}}\n{\"a\":1\n{\"create\":{}}\n{\"a\":2}\n", "0 {\"create\":{}}|{\"a\":1\n21 {\"create\":{}}|{\"a\":2}\n")
	f("{\"create\":{}}\n{\"a\":", "0 {\"create\":{}}|{\"a\":\n")
	// No actions: what they hold, or what stands beside them, is of a document.
	f("{\"index\":{\"name\":\"x\"}}\n{\"a\":1}\n", "0 {\"index\":{\"name\":\"x\"}}\n23 {\"a\":1}\n")
	f("{\"index\":{},\"a\":0}\n{\"a\":1}\n", "0 {\"index\":{},\"a\":0}\n19 {\"a\":1}\n")
	f("{\"index\":\"x\"}\n{\"a\":1}\n", "0 {\"index\":\"x\"}\n14 {\"a\":1}\n")

	// Broken input.
	f("{\"a\":1}\n{\"a\":2,,}\nhello\n{\"a\":3}\n", "0 {\"a\":1}\n8 {\"a\":2,,}\n18 hello\n24 {\"a\":3}\n")
	f(`{"hits":{"hits":[{"a":1},{"a":`, "17 {\"a\":1}\n! truncated at 30\n")
	f(`{"hits":{"hits":[{"a":1}],"x"`, "17 {\"a\":1}\n! truncated at 29\n")
	f(`{"hits":{"hits":[{"a":1} {"a":2}]}}`, "17 {\"a\":1}\n! bad-syntax at 25\n")
	f(`{"hits":{"hits":[{"a":1}]},}`, "17 {\"a\":1}\n! bad-syntax at 27\n")
}

func TestSplitStopsWhenYieldDoes(t *testing.T) {
	stop := errors.New("enough")
	for _, in := range []string{"{}\n{}\n", `[{},{}]`, `{"hits":{"hits":[{},{}]}}`, "{\"index\":{}}\n{}\n{}\n"} {
		n := 0
		err := made(t, Options{}).Split(strings.NewReader(in), "o", func(event.Raw) error { n++; return stop })
		if err != stop || n != 1 {
			t.Errorf("%s: %d records, %v", in, n, err)
		}
	}
}

// endless repeats text until left bytes are read.
type endless struct {
	text     string
	left, at int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), e.left)], e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	e.left -= n
	return n, nil
}

// TestSplitBounds holds that objects without an end are left, having been read for no longer than the limits say.
func TestSplitBounds(t *testing.T) {
	f := func(head, text, reason string, most int64) {
		t.Helper()
		long := &endless{text: strings.Repeat(text, 1+(64<<10)/len(text)), left: 1 << 30}
		err := made(t, Options{}).Split(io.MultiReader(strings.NewReader(head), long), "o", func(event.Raw) error { return nil })
		var o *normalize.ObjectError
		if !errors.As(err, &o) || o.Reason != reason {
			t.Errorf("%s: %v", head, err)
		}
		if read := int64(1<<30 - long.left); read > most+1<<20 {
			t.Errorf("%s: read on to %d", head, read)
		}
	}
	f(`{"a":"`, "x", normalize.RecordTooLarge, normalize.MaxRecord)
	f(`{"hits":{"hits":[{"a":1},{"a":"`, "x", normalize.RecordTooLarge, normalize.MaxRecord)
	f("{\"create\":{}}\n{\"a\":\"", "x", normalize.RecordTooLarge, normalize.MaxRecord)
	f("{\"create\":{}}\n", " ", normalize.RecordTooLarge, normalize.MaxRecord)
	f(`{"hits":{"hits":[{"a":1}],"x":[`, "0,", normalize.NoRecords, normalize.MaxBarren)
	f(`{"hits":{"hits":[],"x":"`, "x", normalize.NoRecords, normalize.MaxBarren)
}

// TestSplitLongAnswer reads an answer of 256 MiB in one line: none of it but a hit is held.
func TestSplitLongAnswer(t *testing.T) {
	hit := `{"_index":"logs-a-b","_id":"x","_source":{"@timestamp":"2026-03-01T12:00:00Z","message":"` + strings.Repeat("0123456789abcdef", 256) + `"}},`
	in := io.MultiReader(strings.NewReader(`{"took":3,"hits":{"total":7,"hits":[`), &endless{text: hit, left: 256 << 20 / len(hit) * len(hit)}, strings.NewReader(`{}]}}`))
	n := 0
	err := made(t, Options{}).Split(in, "o", func(raw event.Raw) error { n++; return nil })
	if want := 256<<20/len(hit) + 1; err != nil || n != want {
		t.Errorf("%d hits, want %d: %v", n, want, err)
	}
}

func TestLooks(t *testing.T) {
	f := func(want bool, heads ...string) {
		t.Helper()
		for _, head := range heads {
			if Looks([]byte(head)) != want {
				t.Errorf("%s: not %v", head, want)
			}
		}
	}
	f(true, `{"@timestamp":1}`, "\xEF\xBB\xBF\n [ {\"message\":\"x\",\"data_stream.dataset\":\"x\"", `{"_index":"x","_source":`, `{"took":1,"_shards":`,
		`{"hits":{`, `{"rawResponse":{`, "{\"create\":{}}\n", `{"ecs":{"version":"8"}}`, `{"message":"x","ecs.version":"8"}`,
		"# made by hand\n{\"a\":1}\n{\"@timestamp\":1}", "{\"a\":1,,}\n{\"@timestamp\":1}", `[{"a":1},{"@timestamp":1}]`)
	f(false, "", "x", "{", "{}", "[", "[]", `{"a":1}`, `{"Records":[{"@timestamp":1}]}`, `{"eventVersion":"1"}`, `[{"eventVersion":"1","@timestamp":"2"}]`,
		`{"@timestamp":1,"@version":"1","eventName":"x"}`, `{"messageType":"DATA_MESSAGE","logEvents":[`, `{"awslogs":`, `{"detail-type":"x","detail":`,
		`{"index":"x"}`, `{"a":"@timestamp"}`, `{"Events":[`, strings.Repeat("[", 5000), strings.Repeat("{\"a\":", 5000), strings.Repeat("]}", 5000))
}
