package bench_test

import (
	"strings"
	"testing"

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
	var out strings.Builder
	if err := table.Print(&out); err != nil {
		t.Fatal(err)
	}
	want := `end to end  61,234 events/s  200,000 events
peak           100 MiB
rule        0.0421 s
rows           100
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestPeakMemory(t *testing.T) {
	before, err := bench.PeakMemory()
	if err != nil {
		t.Skip(err)
	}
	block := make([]byte, 64<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	after, err := bench.PeakMemory()
	if err != nil || after < before+32<<20 || block[4096] != 1 {
		t.Errorf("64 MiB more were used: %d bytes before, %d after, %v", before, after, err)
	}
}
