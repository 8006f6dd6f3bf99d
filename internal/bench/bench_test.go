package bench_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/bench"
)

func TestPrint(t *testing.T) {
	var table bench.Table
	table.Add("end to end", 61234.4, "events/s")
	table.Note("200,000 events")
	table.Add("peak", 99.95, "MiB")
	table.Add("rule", 0.0421, "s")
	table.Add("rows", 100, "")
	table.AddBars([]bench.Bar{{Name: "ratio", Value: 0.41, Bound: 0.4, Least: true}, {Name: "size", Value: 201, Unit: "bytes", Bound: 200}})
	var out strings.Builder
	if err := table.Print(&out); err != nil {
		t.Fatal(err)
	}
	want := `end to end  61,234 events/s  200,000 events
peak           100 MiB
rule        0.0421 s
rows           100
ratio         0.41           met, the bar is >= 0.4
size           201 bytes     missed, the bar is <= 200
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// TestBars holds what is compared with what, and which side of a bar is good.
func TestBars(t *testing.T) {
	f := func(want string, r bench.Result) {
		t.Helper()
		var got []string
		for _, b := range r.Bars() {
			got = append(got, fmt.Sprintf("%s: %.4g %t", b.Name, b.Value, b.Met()))
		}
		if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
			t.Error(diff)
		}
	}
	f(`end to end / bare copy: 0.4 true
last hour, 10,000,000 / 1,000,000 events: 1.25 false
last hour, query, 10,000,000 / 1,000,000 events: 1.1 true
new terms, 90 / 1 days: 1.2 true
peak memory: 1024 true
bytes an event: 200 true`, bench.Result{EndToEnd: 40_000, BareCopy: 100_000, PeakMemory: 1 << 30, BytesPerEvent: 200,
		RuleLastHour: map[int]float64{100_000: 1, 1_000_000: 4, 10_000_000: 5}, NewTerms: map[int]float64{1: 5, 15: 9, 90: 6},
		QueryLastHour: map[int]float64{1_000_000: 10, 10_000_000: 11}})
	f(`end to end / bare copy: 0.39 false
last hour, 200,000 / 100,000 events: 2 false
names / without: 2 true
ranges / without: 2.1 false
peak memory: 1025 false
bytes an event: 200.1 false`, bench.Result{EndToEnd: 39_000, BareCopy: 100_000, PeakMemory: 1025 << 20, BytesPerEvent: 200.1,
		RuleLastHour: map[int]float64{100_000: 2, 200_000: 4}, NewTerms: map[int]float64{1: 5},
		ValueLists: []bench.Ratio{{Name: "names", Value: 2}, {Name: "ranges", Value: 2.1}}})
	f(`end to end / bare copy: 1 true
peak memory: 0 true
bytes an event: 0 true`, bench.Result{EndToEnd: 1, BareCopy: 1, RuleLastHour: map[int]float64{200_000: 4}})
}

func TestWriteJSON(t *testing.T) {
	r := bench.Result{Limit: 250_000.12345, BareCopy: 2, EndToEnd: 3, Stages: map[string]float64{"insert": 4.00049}, PeakMemory: 5,
		BytesPerEvent: 6, RuleLastHour: map[int]float64{100_000: 7}, NewTerms: map[int]float64{90: 8}, LongestCommit: 9.5}
	var out strings.Builder
	if err := r.WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	want := `{
  "limit_events_per_s": 250000.123,
  "bare_copy_events_per_s": 2,
  "end_to_end_events_per_s": 3,
  "stages": {
    "insert": 4
  },
  "peak_memory_bytes": 5,
  "bytes_per_event": 6,
  "rule_last_hour_ms": {
    "100000": 7
  },
  "new_terms_ms": {
    "90": 8
  },
  "longest_commit_ms": 9.5
}
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	if r.Limit != 250_000.12345 || r.Stages["insert"] != 4.00049 {
		t.Errorf("writing changed the figures: %+v", r)
	}
}

func TestProcessorTime(t *testing.T) {
	before := bench.ProcessorTime()
	if before == 0 {
		t.Skip("skipped: this system does not tell the time of processors")
	}
	for sum := 0; bench.ProcessorTime() < before+time.Millisecond; sum++ { // ends when the work is counted
	}
}

func TestPeakMemory(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skipf("skipped: the peak memory is read from /proc, which is Linux's: %v", err)
	}
	use := func() (grown int64) {
		before, err := bench.PeakMemory()
		if err != nil {
			t.Fatal(err)
		}
		block := make([]byte, 64<<20)
		for i := 0; i < len(block); i += 4096 {
			block[i] = 1
		}
		after, err := bench.PeakMemory()
		if err != nil || block[4096] != 1 {
			t.Fatal(err)
		}
		return after - before
	}
	if grown := use(); grown < 32<<20 {
		t.Errorf("64 MiB more were used, the peak grew by %d bytes", grown)
	}
	if !bench.ResetPeakMemory() {
		t.Skip("skipped: the peak memory cannot be reset here (/proc/self/clear_refs)")
	}
	if grown := use(); grown < 32<<20 {
		t.Errorf("64 MiB were used after a reset, the peak grew by %d bytes", grown)
	}
}
