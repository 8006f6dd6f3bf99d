package cloudtrail

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
)

// pack wraps text as subscriptions do.
func pack(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, text)
	z.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

// split returns one line per record, "offset data", and a last one for the error.
func split(r io.Reader) string {
	var out strings.Builder
	err := Split(r, "o", func(raw event.Raw) error {
		fmt.Fprintf(&out, "%d %s\n", raw.Offset, raw.Data)
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
			if diff := cmp.Diff(want, split(r)); diff != "" {
				t.Errorf("%.80s\n%s", in, diff)
			}
		}
		Split(strings.NewReader(in), "o", func(raw event.Raw) error {
			at := in[raw.Offset:]
			if !strings.HasPrefix(at, string(raw.Data)) && at[0] != '"' && at[0] != '{' {
				t.Errorf("%.80s: %s is not at %d", in, raw.Data, raw.Offset)
			}
			return nil
		})
	}
	f(``, "")
	f(" \n\t\r\n", "")
	f(`{"Records":[]}`, "")
	f(`{"Records":[{"a":1},{"b":"]}\"\\"}]}`, "12 {\"a\":1}\n20 {\"b\":\"]}\\\"\\\\\"}\n")
	f(`{ "x" : {"Records":[1]}, "Records" : [ {"a":[1,{}]} ] , "y":"z"}`, "39 {\"a\":[1,{}]}\n")
	f("\xEF\xBB\xBF{\"a\":1}", "3 {\"a\":1}\n")
	f(`[{"a":1}, {"a":2}]`, "1 {\"a\":1}\n10 {\"a\":2}\n")
	f(`[]`, "")
	f("{\"a\":1}\n\n  {\"a\":2}\r\n{\"a\":3}{\"a\":4}", "0 {\"a\":1}\n11 {\"a\":2}\n20 {\"a\":3}\n27 {\"a\":4}\n")
	f("{\n  \"a\": 1\n}\n{\"a\":2}", "0 {\n  \"a\": 1\n}\n13 {\"a\":2}\n")
	f("[{\"a\":1}]\n{\"Records\":[{\"a\":2}]}\n{\"a\":3}", "1 {\"a\":1}\n22 {\"a\":2}\n32 {\"a\":3}\n")
	f(`7 "x" null`, "0 7\n2 \"x\"\n6 null\n")
	f(`{"Records":{"a":1}}`, "0 {\"Records\":{\"a\":1}}\n")

	// Wrappings.
	f(`{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","timestamp":2,"message":"{\"a\":\"\\\"\"}"},{"message":"hello"}]}`,
		"77 {\"a\":\"\\\"\"}\n108 hello\n")
	f(`{"messageType":"CONTROL_MESSAGE","logEvents":[{"message":"CWL CONTROL MESSAGE: Checking"}]}`, "")
	f(`{"logEvents":[{"message":"CWL"}],"messageType":"CONTROL_MESSAGE"}`, "")
	f(`{"logEvents":[ {"message":"{}"} , {"message":"{\"a\":1}"}],"messageType":"DATA_MESSAGE"}`, "26 {}\n45 {\"a\":1}\n")
	f(`{"detail-type":"AWS API Call via CloudTrail","detail":{"a":1}}`, "54 {\"a\":1}\n")
	f(`{"detail":{"a":1},"detail-type":"AWS Console Sign In via CloudTrail"}`, "10 {\"a\":1}\n")
	f(`{"detail":{"a":1},"detail-type":"GuardDuty Finding"}`, "0 {\"detail\":{\"a\":1},\"detail-type\":\"GuardDuty Finding\"}\n")
	f(`[{"detail":{"a":1},"detail-type":"AWS API Call via CloudTrail"}]`, "11 {\"a\":1}\n")
	f(`{"Events":[{"EventId":"x","CloudTrailEvent":"{\"a\":1}","Username":"u"},{"CloudTrailEvent":"{"}],"NextToken":"n"}`,
		"44 {\"a\":1}\n91 {\n")
	f(`{"CloudTrailEvent":"{\"a\":1}"}`, "19 {\"a\":1}\n")
	f(`{"CloudTrailEvent":{"a":1}}`, "19 {\"a\":1}\n")
	f(`{"messageType":"DATA_MESSAGE","logEvents":[{"message":"{\"detail-type\":\"AWS API Call via CloudTrail\",\"detail\":{\"a\":1}}"}]}`,
		"54 {\"a\":1}\n")
	data := pack(`{"messageType":"DATA_MESSAGE","logEvents":[{"message":"{\"a\":1}"},{"message":"{\"a\":2}"}]}`)
	f(`  {"awslogs":{"data":"`+data+`"}}`, "2 {\"a\":1}\n2 {\"a\":2}\n")
	f(`{"Records":[{"kinesis":{"partitionKey":"1","data":"`+data+`"}}]}`, "12 {\"a\":1}\n12 {\"a\":2}\n")
	f(`{"Records":[{"message":"no wrapping"}]}`, "12 {\"message\":\"no wrapping\"}\n")
	f(`{"awslogs":{"data":"!"}}`, "0 {\"awslogs\":{\"data\":\"!\"}}\n")
	broken := `{"awslogs":{"data":"` + pack(`{"Records":[{"a":1},{"a"`) + `"}}`
	f(broken+"{}", fmt.Sprintf("0 {\"a\":1}\n0 %s\n%d {}\n", broken, len(broken)))

	// Broken input.
	f("{\"a\":1}\n{\"a\":2,,}\n{\"a\":3}\n", "0 {\"a\":1}\n8 {\"a\":2,,}\n18 {\"a\":3}\n")
	f("{\"a\":1\n{\"a\":2}\n", "0 {\"a\":1\n7 {\"a\":2}\n")
	f("{\"a\":\"x\n{\"a\":2}\n", "0 {\"a\":\"x\n8 {\"a\":2}\n")
	f("{\"a\":{\"b\":1}\n{\"a\":2}\n{\"a\":3}", "0 {\"a\":{\"b\":1}\n13 {\"a\":2}\n21 {\"a\":3}\n")
	f("what is this\n[INFO] that\n{\"a\":2}\n", "0 what is this\n13 [INFO] that\n25 {\"a\":2}\n")
	f("{\"a\":1}\n{\"a\":2", "0 {\"a\":1}\n8 {\"a\":2\n")
	f("{\"a\":1}\n{\"a\":2\n\n", "0 {\"a\":1}\n8 {\"a\":2\n")
	f("{\n \"a\": 1,,\n \"b\": 2\n}\n", "! bad-syntax at 10\n")
	f(`{"Records":[{"a":1},{"a":2}`, "12 {\"a\":1}\n20 {\"a\":2}\n! truncated at 27\n")
	f(`{"Records":[{"a":1},{"a":`, "12 {\"a\":1}\n! truncated at 25\n")
	f(`{"Records":[{"a":1} {"a":2}]}`, "12 {\"a\":1}\n! bad-syntax at 20\n")
	f(`{"Records":[{"a":1},{"a":[}]},{"b":1}]}`, "12 {\"a\":1}\n! bad-syntax at 26\n")
	f(`[{"a":1},`, "1 {\"a\":1}\n! truncated at 9\n")
	f(`{"Records":[{"a" 1},{"b":1}]}`, "! bad-syntax at 17\n")
	f(`{"Records":[{"a":tru},{"a":-},{"b":1}]}`, "12 {\"a\":tru}\n22 {\"a\":-}\n30 {\"b\":1}\n")
}

func TestSplitReadError(t *testing.T) {
	r := io.MultiReader(strings.NewReader(`{"Records":[{"a":1},{"a":`), iotest.ErrReader(io.ErrUnexpectedEOF))
	if diff := cmp.Diff("12 {\"a\":1}\n! unreadable at 25\n", split(r)); diff != "" {
		t.Error(diff)
	}
}

func TestSplitStopsWhenYieldDoes(t *testing.T) {
	stop := errors.New("enough")
	for _, in := range []string{
		`{"Records":[{},{}]}`, "{}\n{}\n", `[{},{}]`,
		`{"awslogs":{"data":"` + pack(`{"Records":[{},{}]}`) + `"}}{}`,
	} {
		n := 0
		err := Split(strings.NewReader(in), "o", func(event.Raw) error { n++; return stop })
		if err != stop || n != 1 {
			t.Errorf("%s: %d records, %v", in, n, err)
		}
	}
}

// endless repeats text until left bytes are read.
type endless struct {
	text string
	left int
	at   int
}

func repeat(text string, n int) *endless {
	return &endless{text: strings.Repeat(text, 1+(64<<10)/len(text)), left: n}
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

func TestSplitBounds(t *testing.T) {
	const slack = 64 << 10 // a first buffer
	// The last offset may be up to two buffers behind what is wanted: it depends on how reading went.
	f := func(head, text string, n int, want, reason string, at int64) {
		t.Helper()
		var got strings.Builder
		in := &counted{r: io.MultiReader(strings.NewReader(head), repeat(text, n))}
		err := Split(in, "o", func(raw event.Raw) error { fmt.Fprintf(&got, "%d %.100s ", raw.Offset, raw.Data); return nil })
		var o *normalize.ObjectError
		if !errors.As(err, &o) || o.Reason != reason || o.Offset < at || o.Offset > at+2*slack || got.String() != want {
			t.Errorf("%.40s: got %.200q %v, want %q %s at %d", head, got.String(), err, want, reason, at)
		}
		if in.n > at+normalize.MaxRecord+4*slack {
			t.Errorf("%.40s: read on to %d", head, in.n)
		}
	}
	const mib = 1 << 20
	f("{\"a\":1}\n{\"a\":\"", "x", 1<<30, "0 {\"a\":1} ", "record-too-large", 8)
	f("{\"a\":1}\n", "x", 1<<30, "0 {\"a\":1} ", "record-too-large", 8)
	f(`{"Records":[{"a":1},{"a":[`, "[", 1<<30, "12 {\"a\":1} ", "record-too-large", 20)
	f(`{"Records":[{"a":1}],"junk":"`, "x", 1<<30, "12 {\"a\":1} ", "no-records", 64*mib)
	f(`{"Records":[{"a":1}],"junk":[`, "0,", 1<<30, "12 {\"a\":1} ", "no-records", 64*mib)
	f(`{"a":1}`, " ", 1<<30, "0 {\"a\":1} ", "no-records", 64*mib)
	// Each line might begin a file of lines, and is tried as one until too much has been scanned in vain.
	f(`{"a":[`, "{\"a\":[\n", 15*mib, `0 {"a":[{"a":[ 13 {"a":[ 20 {"a":[ 27 {"a":[ `, "truncated", 15*mib)
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// TestSplitGigabyteLine reads 1 GiB without a line break, and holds what it takes to do so.
func TestSplitGigabyteLine(t *testing.T) {
	record := `{"eventTime":"2026-03-01T12:00:00Z","requestParameters":{"x":"` + strings.Repeat("0123456789abcdef", 256) + `"}},`
	in := io.MultiReader(strings.NewReader(`{"Records":[`), repeat(record, 1<<30/len(record)*len(record)), strings.NewReader(`{}]}`))
	records, most := 0, uint64(0)
	err := Split(in, "o", func(raw event.Raw) error {
		if records++; records%4096 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
		}
		return nil
	})
	if want := 1<<30/len(record) + 1; err != nil || records != want {
		t.Errorf("%d records, want %d: %v", records, want, err)
	}
	t.Logf("%d records, %d MiB of heap at most", records, most>>20)
	if most > 128<<20 {
		t.Errorf("%d MiB of heap in use", most>>20)
	}
}

// TestSplitPayloadBomb packs many records, and payloads within payloads, into a few kilobytes.
func TestSplitPayloadBomb(t *testing.T) {
	f := func(name, payload string) {
		t.Helper()
		in := `{"a":1}` + "\n" + `{"awslogs":{"data":"` + payload + `"}}` + "\n" + `{"a":2}`
		records := 0
		err := Split(strings.NewReader(in), "o", func(raw event.Raw) error { records++; return nil })
		var o *normalize.ObjectError
		if !errors.As(err, &o) || o.Reason != normalize.PayloadTooLong || records < 1 {
			t.Errorf("%s: %d records, %v", name, records, err)
		}
	}
	packed := func(head, text string, n int) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := io.Copy(z, io.MultiReader(strings.NewReader(head), repeat(text, n))); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(b.Bytes())
	}
	f("records", packed("", "{\"a\":1234567890123456789}\n", 160<<20))
	inner := packed("", "{\"a\":1234567890123456789}\n", 4<<20)
	f("payloads", packed("", `{"kinesis":{"data":"`+inner+`"}}`+"\n", 4<<20))
}

func TestObjectName(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		o, ok := ParseObjectName(name)
		got := fmt.Sprint(ok, " ", o.Kind, " ", o.Account, " ", o.Region, " ", o.Delivered.Format(time.RFC3339))
		if got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	f("a/AWSLogs/1/CloudTrail/eu-west-1/2024/05/06/1_CloudTrail_eu-west-1_20240506T0710Z_abc.json.gz",
		"true CloudTrail 1 eu-west-1 2024-05-06T07:10:00Z")
	f("1_CloudTrail-Insight_us-gov-east-1_20240506T0710Z_abc.json",
		"true CloudTrail-Insight 1 us-gov-east-1 2024-05-06T07:10:00Z")
	f(`c:\logs\1_CloudTrail-Digest_us-west-2_my_trail_us-west-2_20200911T193649Z.json.gz`,
		"true CloudTrail-Digest 1 us-west-2 2020-09-11T19:36:49Z")
	f("1_CloudTrail_eu-west-1_2024.json", "false    0001-01-01T00:00:00Z")
	f("events.json", "false    0001-01-01T00:00:00Z")
	f("", "false    0001-01-01T00:00:00Z")
}
