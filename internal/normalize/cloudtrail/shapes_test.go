package cloudtrail

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// chunks reads at most the next of sizes at a time.
type chunks struct {
	r     io.Reader
	sizes []int
	at    int
}

func (c *chunks) Read(p []byte) (int, error) {
	n := c.sizes[c.at%len(c.sizes)]
	c.at++
	return c.r.Read(p[:min(n, len(p))])
}

// TestEveryShape writes random records in random shapes behind one another, and finds exactly these records again.
func TestEveryShape(t *testing.T) {
	quote := func(s string) string {
		out, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	text := rapid.SampledFrom([]string{`""`, `"x"`, `"{[\",:]}"`, `"\\"`, `"a\\\""`, `"é"`, `"` + strings.Repeat(`\\\"y`, 40) + `"`})
	gap := rapid.SampledFrom([]string{"", "", " ", "\n", "\r\n\t "})
	var value func(t *rapid.T, depth int) string
	value = func(t *rapid.T, depth int) string {
		kind := rapid.IntRange(0, 5).Draw(t, "kind")
		if depth > 4 {
			kind %= 4
		}
		switch kind {
		case 0, 1:
			return text.Draw(t, "text")
		case 2:
			return rapid.SampledFrom([]string{"0", "-1.5e3", "12345678901234567890"}).Draw(t, "number")
		case 3:
			return rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "word")
		}
		var items []string
		for range rapid.IntRange(0, 4).Draw(t, "n") {
			item := gap.Draw(t, "gap") + value(t, depth+1) + gap.Draw(t, "gap")
			if kind == 4 {
				item = gap.Draw(t, "gap") + text.Draw(t, "key") + gap.Draw(t, "gap") + ":" + item
			}
			items = append(items, item)
		}
		if kind == 4 {
			return "{" + strings.Join(items, ",") + "}"
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	rapid.Check(t, func(t *rapid.T) {
		var in strings.Builder
		var want, got []string
		for range rapid.IntRange(0, 4).Draw(t, "documents") {
			var records []string
			for range rapid.IntRange(0, 3).Draw(t, "records") {
				records = append(records, `{"r":`+value(t, 0)+`}`)
			}
			each := func(wrap func(string) string) string {
				out := make([]string, len(records))
				for i, r := range records {
					out[i] = gap.Draw(t, "gap") + wrap(r) + gap.Draw(t, "gap")
				}
				return strings.Join(out, ",")
			}
			bare := func(r string) string { return r }
			message := func(r string) string { return `{"id":"1","timestamp":2,"message":` + quote(r) + `}` }
			event := func(r string) string {
				return `{"version":"0","detail-type":"AWS API Call via CloudTrail","source":"aws.s3","detail":` + r + `}`
			}
			payload := `{"messageType":"DATA_MESSAGE","owner":"1","logEvents":[` + each(message) + `]}`
			switch rapid.IntRange(0, 9).Draw(t, "shape") {
			case 0:
				in.WriteString(`{"a":` + value(t, 2) + `,"Records":[` + each(bare) + `],"b":{}}`)
			case 1:
				in.WriteString(`[` + each(bare) + `]`)
			case 2:
				in.WriteString(strings.Join(records, "\n"))
			case 3:
				in.WriteString(payload)
			case 4:
				in.WriteString(`{"logEvents":[` + each(message) + `],"messageType":"DATA_MESSAGE"}`)
			case 5:
				in.WriteString(`{"awslogs":{"data":"` + pack(payload) + `"}}`)
			case 6:
				in.WriteString(`{"Records":[{"kinesis":{"kinesisSchemaVersion":"1.0","data":"` + pack(payload) + `"}}]}`)
			case 7:
				in.WriteString(`[` + each(event) + `]`)
			case 8:
				in.WriteString(`{"Events":[` + each(func(r string) string { return `{"EventId":"1","CloudTrailEvent":` + quote(r) + `}` }) + `]}`)
			case 9:
				in.WriteString(`{"messageType":"CONTROL_MESSAGE","logEvents":[{"message":"CWL"}]}`)
				records = nil
			}
			in.WriteString("\n" + gap.Draw(t, "gap"))
			want = append(want, records...)
		}
		sizes := rapid.SliceOfN(rapid.IntRange(1, 60), 1, 5).Draw(t, "sizes")
		err := Split(&chunks{r: strings.NewReader(in.String()), sizes: sizes}, "o", func(raw event.Raw) error {
			got = append(got, string(raw.Data))
			return nil
		})
		if err != nil {
			t.Fatalf("%s\n%v", in.String(), errors.Unwrap(err))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s\n%s", in.String(), diff)
		}
	})
}
