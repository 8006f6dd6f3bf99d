package duck_test

import (
	"compress/gzip"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/demo"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/enrich"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/normalize/cloudtrail"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

// benchEvents is the number of events that measurements load: TOCSIN_BENCH_EVENTS, else 200,000.
func benchEvents() int {
	if n, err := strconv.Atoi(os.Getenv("TOCSIN_BENCH_EVENTS")); err == nil {
		return n
	}
	return 200_000
}

func memory() int64 { n, _ := strconv.Atoi(os.Getenv("TOCSIN_BENCH_MEMORY")); return int64(n) << 20 }

func threads() int { n, _ := strconv.Atoi(os.Getenv("TOCSIN_BENCH_THREADS")); return n }

func ecsTypes(path string) (event.Type, bool) {
	r, ok := ecs.Resolve(path)
	return r.Type, ok
}

// eachBatch makes an archive of CloudTrail files and calls f with its normalised events, 32,768 at a time.
func eachBatch(b *testing.B, n int, f func([]*event.Event)) {
	b.Helper()
	dir := os.Getenv("TOCSIN_BENCH_ARCHIVE") // an archive made before
	if dir == "" {
		dir = b.TempDir()
		opt := demo.Bundled()
		opt.Events = n
		if _, err := demo.Write(dir, opt); err != nil {
			b.Fatal(err)
		}
	}
	set := cloudtrail.New(cloudtrail.Options{})
	agent := enrich.NewAgent()
	var batch []*event.Event
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".gz") {
			return err
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		plain, err := gzip.NewReader(file)
		if err != nil {
			return err
		}
		return set.Split(plain, filepath.Base(name), func(raw event.Raw) error {
			e, err := set.Normalize(raw, &normalize.Counts{})
			if err != nil {
				return err
			}
			agent.Enrich(e)
			set.Finish(e)
			if os.Getenv("TOCSIN_BENCH_NOSOURCE") != "" {
				e.Source.Data = []byte("x")
			}
			if os.Getenv("TOCSIN_BENCH_ONEDAY") != "" {
				e.Set("@timestamp", event.String("2026-03-01"+e.Text("@timestamp")[10:]))
			}
			batch = append(batch, e)
			if len(batch) == 32<<10 {
				f(batch)
				batch = nil
			}
			return nil
		})
	})
	if err != nil {
		b.Fatal(err)
	}
	f(batch)
}

// resident is the memory that the process holds, in bytes; 0 where the system does not tell.
func resident() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}

// processorTime is what the process has used of all processors.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkApply loads an archive in batches and reports the rate of the commits alone.
func BenchmarkApply(b *testing.B) {
	for b.Loop() {
		load(b, filepath.Join(b.TempDir(), "events.tocsin"), benchEvents()).Close()
	}
}

func load(b *testing.B, path string, n int) *duck.Store {
	ctx := context.Background()
	db, err := duck.Open(ctx, path, duck.Options{Types: ecsTypes, Threads: threads(), Memory: memory()})
	if err != nil {
		b.Fatal(err)
	}
	var spent, longest time.Duration
	cpu := time.Duration(0)
	var stored, source int64
	var most, engine int64
	at := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	eachBatch(b, n, func(events []*event.Event) {
		began := time.Now()
		at = at.Add(time.Second)
		c := &store.Change{At: at, Events: events}
		used := processorTime()
		if err := db.Apply(ctx, c); err != nil {
			b.Fatal(err)
		}
		cpu += processorTime() - used
		took := time.Since(began)
		spent, longest = spent+took, max(longest, took)
		stored += int64(c.Outcome.Stored)
		for _, e := range events {
			source += int64(len(e.Source.Data))
		}
		var mem runtime.MemStats
		runtime.ReadMemStats(&mem)
		most, engine = max(most, resident()), max(engine, resident()-int64(mem.Sys-mem.HeapReleased))
	})
	runtime.GC()
	began := time.Now()
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	closing := time.Since(began)
	file, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(stored)/spent.Seconds(), "events/s")
	b.ReportMetric(cpu.Seconds()*1e6/float64(stored), "cpu-us/event")
	b.ReportMetric(longest.Seconds()*1000, "longest-ms")
	b.ReportMetric(float64(file.Size())/float64(stored), "B/event")
	b.ReportMetric(float64(source)/float64(stored), "source-B/event")
	b.ReportMetric(float64(most)/(1<<20), "MB-resident")
	b.ReportMetric(float64(engine)/(1<<20), "MB-engine")
	b.ReportMetric(closing.Seconds()*1000, "close-ms")
	b.ReportMetric(0, "ns/op")
	b.Logf("%d events in %v, close %v", stored, spent, closing)
	if db, err = duck.Open(ctx, path, duck.Options{Types: ecsTypes, Threads: threads(), Memory: memory()}); err != nil {
		b.Fatal(err)
	}
	return db
}
