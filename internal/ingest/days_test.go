package ingest_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// TestManyDays loads records of many days, interleaved, in one batch: each commit is of a few days, and what comes twice
// is stored once.
func TestManyDays(t *testing.T) {
	b := newBench(t)
	const days = 200
	most := 0
	b.before = func(_ int, c *store.Change) error {
		seen := map[string]bool{}
		for _, e := range c.Events {
			seen[e.Text("@timestamp")[:10]] = true
		}
		most = max(most, len(seen))
		return nil
	}
	var records []string
	for round := range 3 {
		for n := range days {
			at := time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, n).Format(time.RFC3339)
			records = append(records, strings.Replace(record(fmt.Sprintf("%d-%d", min(round, 1), n), ""), "2026-03-01T12:00:00Z", at, 1))
		}
	}
	a, broken := b.load(object{"o", trail(append(records, "{}")...)})
	if len(broken) != 0 || a.Stored != 2*days || a.Duplicates != days || a.Conflicts != 0 || a.RejectedTotal() != 1 || len(b.letters()) != 1 {
		t.Errorf("%+v, %d letters", a, len(b.letters()))
	}
	if most != 48 || b.commits != 5 {
		t.Errorf("%d commits, of %d days at most", b.commits, most)
	}
}

// TestWholeDays holds that what a batch has of a day whose events are still to come waits for them, and that nothing
// waits where days are small.
func TestWholeDays(t *testing.T) {
	f := func(batch int, want string, counts ...int) {
		t.Helper()
		b := newBench(t)
		b.opt.BatchEvents = batch
		var commits []string
		b.before = func(_ int, c *store.Change) error {
			days := map[string]int{}
			for _, e := range c.Events {
				days[e.Text("@timestamp")[8:10]]++
			}
			var parts []string
			for _, day := range slices.Sorted(maps.Keys(days)) {
				parts = append(parts, fmt.Sprintf("%s:%d", day, days[day]))
			}
			commits = append(commits, strings.Join(parts, " "))
			return nil
		}
		var records []string
		total := 0
		for day, n := range counts {
			at := time.Date(2025, 1, 1+day, 12, 0, 0, 0, time.UTC).Format(time.RFC3339)
			for i := range n {
				records = append(records, strings.Replace(record(fmt.Sprintf("%d-%d", day, i), ""), "2026-03-01T12:00:00Z", at, 1))
			}
			total += n
		}
		if a, broken := b.load(object{"o", trail(records...)}); len(broken) != 0 || int(a.Stored) != total {
			t.Errorf("%+v %v", a, broken)
		}
		if got := strings.Join(commits, ", "); got != want {
			t.Errorf("batches of %d of %v: the commits are %s; expected %s", batch, counts, got, want)
		}
	}
	f(10*1024, "01:9000, 02:9000, 03:8600", 9000, 9000, 8600)
	f(10*1024, "01:9000, 02:9000, 03:9000 04:500", 9000, 9000, 9000, 500)
	f(10*1024, "01:4000 02:4000 03:2240, 03:1760 04:4000", 4000, 4000, 4000, 4000)
	f(1024, "01:1024, 01:476 02:548, 02:952", 1500, 1500)
}
