package duck_test

import (
	"compress/gzip"
	"context"
	"fmt"
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
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/normalize/cloudtrail"
	"github.com/tocsin-sec/tocsin/internal/plan"
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

// BenchmarkQuery asks a loaded store what rules and people ask.
func BenchmarkQuery(b *testing.B) {
	ctx := context.Background()
	db := load(b, filepath.Join(b.TempDir(), "events.tocsin"), benchEvents())
	defer db.Close()
	at, err := db.Latest(ctx)
	if err != nil {
		b.Fatal(err)
	}
	span := streamSpan(b, db)
	keyword := func(path string) expr.Field { r, _ := ecs.Resolve(path); return expr.Field{Path: r.Path, Type: r.Type} }
	is := func(path string, values ...string) expr.Cond {
		c := expr.In{Field: keyword(path)}
		for _, v := range values {
			c.Values = append(c.Values, event.String(v))
		}
		return c
	}
	five := expr.All(is("event.provider", "sts.amazonaws.com"), is("event.action", "GetCallerIdentity"), is("event.outcome", "success"),
		is("aws.cloudtrail.user_identity.type", "IAMUser", "AssumedRole"), expr.Not{Cond: is("user.name", "ci-deploy")})
	within := func(from, to time.Duration, c expr.Cond) expr.Cond {
		return expr.All(plan.TimeField{Primary: plan.Timestamp}.Within(span.To.Add(-from), span.To.Add(-to)), c)
	}
	newest := []plan.SortKey{{Value: expr.One{Field: expr.Field{Path: plan.Timestamp, Type: event.Date}}, Desc: true}}
	count := []plan.Agg{{Name: "n", Fn: plan.Count}}
	arn := keyword("aws.cloudtrail.user_identity.arn")
	tree := expr.Like{Field: expr.Field{Path: "aws.cloudtrail.flattened.request_parameters.roleName", Type: event.Flattened},
		Pattern: expr.Stars("", "admin", "")}
	for _, q := range []struct {
		name string
		p    plan.Node
	}{
		{"five clauses, all, count", plan.Aggregate{In: plan.Filter{In: plan.Scan{}, Cond: five}, Aggs: count}},
		{"five clauses, all, rows of one field", plan.Project{In: plan.Filter{In: plan.Scan{}, Cond: five}, Paths: []string{arn.Path, plan.Timestamp}}},
		{"five clauses, one hour, rows", plan.Filter{In: plan.Scan{}, Cond: within(49*time.Hour, 48*time.Hour, five)}},
		{"new terms of 15 days", plan.Aggregate{In: plan.Filter{In: plan.Scan{}, Cond: within(15*24*time.Hour, 0, five)},
			By: []plan.Group{{Name: "arn", Each: arn}}, Aggs: count}},
		{"events by action", plan.Aggregate{In: plan.Scan{}, By: []plan.Group{{Name: "action", Each: keyword("event.action")}}, Aggs: count}},
		{"newest 100, whole", plan.Limit{N: 100, In: plan.Sort{In: plan.Scan{}, Keys: newest}}},
		{"newest 100 of five clauses", plan.Limit{N: 100, In: plan.Sort{In: plan.Filter{In: plan.Scan{}, Cond: five}, Keys: newest}}},
		{"in a tree, all", plan.Project{In: plan.Filter{In: plan.Scan{}, Cond: tree}, Paths: []string{plan.Timestamp}}},
		{"all, two fields", plan.Project{In: plan.Scan{}, Paths: []string{plan.Timestamp, arn.Path}}},
		{"all, whole", plan.Scan{}},
	} {
		b.Run(q.name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				n = 0
				rows, err := exec.Query(ctx, db, q.p, at)
				if err != nil {
					b.Fatal(err)
				}
				for rows.Next() {
					n++
				}
				if err := rows.Err(); err != nil {
					b.Fatal(err)
				}
				rows.Close()
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms/query")
			b.ReportMetric(float64(n), "rows")
		})
	}
}

// streamSpan is the span of the stored events.
func streamSpan(b *testing.B, db store.Store) store.Span {
	streams, err := db.Streams(context.Background(), nil)
	if err != nil || len(streams) != 1 {
		b.Fatal(streams, err)
	}
	b.Logf("%d events of %s to %s", streams[0].Events, streams[0].Time.From, streams[0].Time.To)
	return streams[0].Time
}

// BenchmarkLive commits as a live server does: a few events, a record and some sightings at a time, over a store with many
// records.
func BenchmarkLive(b *testing.B) {
	ctx := context.Background()
	db := open(b)
	c := &store.Change{At: base}
	for i := range 100_000 {
		c.Records = append(c.Records, store.RecordWrite{Kind: "dead_letter", ID: fmt.Sprintf("object@%020d", i), Data: []byte(`{"reason":"x"}`)})
	}
	if err := db.Apply(ctx, c); err != nil {
		b.Fatal(err)
	}
	n := 0
	b.Run("commit", func(b *testing.B) {
		for b.Loop() {
			n++
			c := &store.Change{At: base.Add(time.Duration(n) * time.Second), Live: true,
				Records: []store.RecordWrite{{Kind: "mark", ID: "program", Data: []byte("{}")}}}
			for i := range 10 {
				e := &event.Event{ID: fmt.Sprint(n, "-", i), Stream: "logs"}
				e.SetString("@timestamp", event.FormatTime(base))
				e.SetString("user.name", "ann")
				c.Events = append(c.Events, e)
				c.Sightings = append(c.Sightings, store.Sighting{Program: "p", Tuple: store.Tuple{byte(i)}, Stream: "logs", First: base, Last: base, Count: 1})
			}
			if err := db.Apply(ctx, c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("get", func(b *testing.B) {
		for b.Loop() {
			if _, err := db.Get(ctx, "dead_letter", "object@00000000000000077777"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			if r, err := db.List(ctx, store.LandingKind, "", 100); err != nil || len(r) == 0 {
				b.Fatal(r, err)
			}
		}
	})
}
