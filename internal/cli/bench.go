package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tocsin-sec/tocsin/internal/bench"
	"github.com/tocsin-sec/tocsin/internal/demo"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

type benchCommand struct {
	Events int    `default:"200000" help:"Events to generate (${default})."`
	JSON   string `name:"json" placeholder:"FILE" help:"Write the figures by which two versions are compared to this file, too."`
	Dir    string `placeholder:"DIR" help:"Folder for a temporary folder with the data; the system's without it."`
}

// What is generated: enough days for the longest history, more where a day would get too full, up to a year; and more
// keys of request parameters than any table has columns.
const (
	benchDays    = 100
	benchADay    = 10_000
	benchKeys    = 10_000
	benchSeed    = 1
	benchMaxDays = 365
)

// benchOptions are those of an archive of so many events: fewer days and keys where there are too few events for them.
func benchOptions(events int) demo.Options {
	opt := demo.Bundled()
	opt.Seed, opt.Events = benchSeed, events
	opt.Days = min(max(benchDays, events/benchADay), benchMaxDays)
	opt.Days = max(min(opt.Days, events/demo.MinPerDay), demo.MinDays)
	opt.Keys = min(benchKeys, events/4)
	opt.LastHour = true
	return opt
}

// Run generates events, measures, and prints the figures. Figures that miss their bar are no error, wrong results are.
func (c benchCommand) Run(ctx context.Context, streams Streams) (err error) {
	var report *os.File
	if c.JSON != "" { // a file that cannot be written is told before the work
		if report, err = os.Create(c.JSON); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, report.Close()) }()
	}
	dir, err := os.MkdirTemp(c.Dir, "tocsin-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &benchmark{streams: streams, progress: streams.newProgress(), opt: benchOptions(c.Events), dir: dir,
		trail: filepath.Join(dir, "trail"), db: filepath.Join(dir, "bench.duckdb")}
	defer b.progress.Close()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"making files", b.generate},
		{"scan", b.scan}, // before the others, so that nothing but it counts for the peak of memory
		{"bare copy", b.bareCopy},
		{"sizes", b.size},
		{"limit", b.limit},
		{"stages", b.stages},
		{"rules", b.rules},
		{"value lists", b.lists},
	} {
		b.progress.show(func() string { return "bench  " + step.name })
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("bench, %s: %w", step.name, err)
		}
	}
	b.progress.Close()
	if err := b.print(); err != nil || report == nil {
		return err
	}
	return b.result.WriteJSON(report)
}

// benchmark is one run of the command.
type benchmark struct {
	streams  Streams
	progress *progress
	opt      demo.Options
	dir      string // of everything
	trail    string // the archive
	db       string // what the scan stored
	truth    demo.Truth
	objects  []object // in order of delivery; known after size, how many records they hold after limit
	alerts   int      // of the scan

	result bench.Result
	// The parts of what is printed, in this order.
	reading, scanning, storing, running bench.Table
}

// object is a file of the archive.
type object struct {
	name      string
	delivered time.Time
	records   int
}

// wrong is the error that a part of the bench did other work than it was to do.
func wrong(format string, args ...any) error {
	return fmt.Errorf("%s: what was measured is not right", fmt.Sprintf(format, args...))
}

func (b *benchmark) generate(context.Context) (err error) {
	b.truth, err = demo.Write(b.trail, b.opt)
	return err
}

// scan measures a scan from the files to the alerts, in a store that is kept.
func (b *benchmark) scan(ctx context.Context) error {
	alone := bench.ResetPeakMemory()
	watch := b.watch()
	s := &scan{
		scanCommand: scanCommand{Paths: []string{b.trail}, DB: b.db, From: instant(b.truth.RulesFrom), Profile: "integration", Data: "cloudtrail"},
		streams:     b.streams, progress: b.progress, began: b.streams.Now(),
	}
	var err error
	if s.span, err = readSpan(s.From, ""); err != nil {
		return err
	}
	var loaded time.Time
	s.afterLoad = func() { loaded = b.streams.Now() }
	if err := s.open(ctx, func() error { return s.run(ctx) }); err != nil {
		return err
	}
	end, used := b.streams.Now(), watch.perEvent(b.truth.Events)
	if int(s.loaded.Stored) != b.truth.Events || int(s.loaded.Duplicates) != b.truth.Duplicates {
		return wrong("%d events and %d duplicates, expected %d and %d", s.loaded.Stored, s.loaded.Duplicates,
			b.truth.Events, b.truth.Duplicates)
	}
	if b.alerts = len(s.result.Alerts); !b.foundHidden(s.result.Alerts) {
		return wrong("%d alerts, and not the %d that are hidden in the files", b.alerts, len(b.truth.Alerts))
	}
	stored := float64(s.loaded.Stored)
	b.result.EndToEnd = stored / end.Sub(s.began).Seconds()
	b.result.LongestCommit = millis(s.loaded.LongestCommit)
	if b.result.PeakMemory, err = bench.PeakMemory(); err != nil {
		return err
	}
	t := &b.scanning
	t.Add("end to end", b.result.EndToEnd, "events/s")
	t.Note("%s; %s stored, %s, %s over %d days, %s, %d alerts", used, counted(s.loaded.Stored, "event"), counted(s.loaded.Duplicates, "duplicate"),
		counted(int64(s.loaded.files), "file"), b.opt.Days, counted(int64(s.ran()), "rule"), b.alerts)
	t.Add("  load", stored/loaded.Sub(s.began).Seconds(), "events/s")
	t.Add("  rules", end.Sub(loaded).Seconds(), "s")
	t.Note("over the last five days, and all is in the file at the end")
	t.Add("longest commit", b.result.LongestCommit, "ms")
	t.Add("peak memory", float64(b.result.PeakMemory)/(1<<20), "MiB")
	t.Note("of the scan")
	if !alone {
		t.Note("of the scan or the making of its files: this system does not tell them apart")
	}
	return nil
}

// foundHidden reports whether the alerts of the rules that the archive is written for are the hidden ones. Other rules may find
// something by chance.
func (b *benchmark) foundHidden(alerts []*event.Event) bool {
	want, got := map[string]bool{}, map[string]bool{}
	for _, a := range b.truth.Alerts {
		want[a.RuleID+" "+a.EventID] = true
	}
	for _, a := range alerts {
		if id := a.Text("kibana.alert.rule.rule_id"); id == demo.RuleIdentity || id == demo.RuleRole {
			got[id+" "+a.Text("tocsin.alert.evidence_id")] = true
		}
	}
	return len(want) > 0 && maps.Equal(want, got)
}

// watch says what has passed since it began.
type watch struct {
	now  func() time.Time
	at   time.Time
	used time.Duration // of processors
}

func (b *benchmark) watch() watch {
	return watch{b.streams.Now, b.streams.Now(), bench.ProcessorTime()}
}

// perEvent is the processor time that each of n events took, for a note.
func (w watch) perEvent(n int) string { return perEvent(bench.ProcessorTime()-w.used, n) }

func perEvent(used time.Duration, n int) string {
	return fmt.Sprintf("%.1f us of a core an event", float64(used)/float64(time.Microsecond)/float64(n))
}

// seconds is the time that has passed.
func (w watch) seconds() float64 { return w.now().Sub(w.at).Seconds() }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// bareCopy measures how long DuckDB takes to copy what the scan stored.
func (b *benchmark) bareCopy(ctx context.Context) error {
	watch := b.watch()
	rows, err := duck.BareCopy(ctx, b.db, duck.Options{Types: fieldType, Memory: storeMemory})
	if err != nil {
		return err
	}
	if want := int64(b.truth.Events + b.alerts); rows != want {
		return wrong("%d rows copied, expected %d", rows, want)
	}
	b.result.BareCopy = float64(rows) / watch.seconds()
	b.scanning = slices.Insert(b.scanning, 0, bench.Figure{Name: "bare copy", Value: b.result.BareCopy, Unit: "events/s",
		Note: watch.perEvent(int(rows)) + "; the same rows from one file to another, by DuckDB alone"})
	return nil
}

// size measures what an event takes in the store, and as it came.
func (b *benchmark) size(ctx context.Context) error {
	var packed int64
	err := filepath.WalkDir(b.trail, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		packed += info.Size()
		b.objects = append(b.objects, object{name: name, delivered: delivered(name)})
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(b.objects, func(x, y object) int { return x.delivered.Compare(y.delivered) })
	s, err := duck.SizesOf(ctx, b.db)
	if err != nil {
		return err
	}
	events := float64(b.truth.Events)
	b.result.BytesPerEvent = float64(s.File) / events
	t := &b.storing
	t.Add("store", b.result.BytesPerEvent, "bytes/event")
	t.Note("%.1f MiB; the files have %.0f bytes an event", float64(s.File)/(1<<20), float64(packed)/events)
	t.Add("  columns", float64(s.Columns)/events, "bytes/event")
	t.Add("  rest", float64(s.Rest)/events, "bytes/event")
	t.Note("fields without a column; requests have %s made-up keys", thousands(int64(b.opt.Keys)))
	t.Add("  source", float64(s.Source)/events, "bytes/event")
	t.Add("  other", float64(s.File-s.Columns-s.Rest-s.Source)/events, "bytes/event")
	t.Note("other tables, and what is free in the file")
	return nil
}

// barEvents is the size that the bars are made for.
const barEvents = 1_000_000

// print prints the figures, and the bars with what became of them.
func (b *benchmark) print() error {
	all := slices.Concat(b.reading, b.scanning, b.storing, b.running)
	all.AddBars(b.result.Bars())
	if err := all.Print(b.streams.Out); err != nil || b.truth.Events >= barEvents {
		return err
	}
	_, err := fmt.Fprintf(b.streams.Out, "The bars are made for %s and more.\n", counted(barEvents, "event"))
	return err
}

// median returns the middle one of durations, in milliseconds.
func median(durations []time.Duration) float64 {
	if len(durations) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(durations))
	return millis(sorted[len(sorted)/2])
}
