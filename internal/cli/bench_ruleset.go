package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/bench"
	"github.com/tocsin-sec/tocsin/internal/demo"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
	"github.com/tocsin-sec/tocsin/internal/window"
)

type benchRulesCommand struct {
	Rules  []string `placeholder:"PATH" sep:"none" help:"Rule file or folder of rules, may be repeated. Without it the bundled rules run."`
	Events int      `default:"1000000" help:"Events to generate (${default})."`
	DB     string   `name:"db" placeholder:"FILE" help:"Run over a copy of this store instead."`
	Dir    string   `placeholder:"DIR" help:"Folder for a temporary folder with the data; the system's without it."`
}

// slowest is how many rules are told of one by one.
const slowest = 10

// Run runs rules over a store as a scan does, and prints what each took.
func (c benchRulesCommand) Run(ctx context.Context, streams Streams) (err error) {
	dir, err := os.MkdirTemp(c.Dir, "tocsin-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &rulesetBench{streams: streams, progress: streams.newProgress(), command: c, dir: dir}
	defer b.progress.Close()
	path := filepath.Join(dir, "rules.duckdb")
	if err := b.fill(ctx, path); err != nil {
		return fmt.Errorf("bench-rules, fill the store: %w", err)
	}
	db, err := duck.Open(ctx, path, duck.Options{Types: fieldType, Memory: storeMemory})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := b.run(ctx, db); err != nil {
		return fmt.Errorf("bench-rules: %w", err)
	}
	b.progress.Close()
	return b.print(db)
}

// rulesetBench is one run of the command.
type rulesetBench struct {
	streams  Streams
	progress *progress
	command  benchRulesCommand
	dir      string
	set      ruleset
	stored   []store.Stream
	result   replay.Report
	took     []time.Duration // by rule, as in result
	table    bench.Table
}

// fill makes the store at path: a copy, or of events that are generated.
func (b *rulesetBench) fill(ctx context.Context, path string) error {
	if b.command.DB != "" {
		return copyFile(b.command.DB, path)
	}
	trail := filepath.Join(b.dir, "trail")
	truth, err := demo.Write(trail, benchOptions(b.command.Events))
	if err != nil {
		return err
	}
	loaded, err := loadTrail(ctx, path, []string{trail}, b.streams.Now, b.progress)
	if err != nil {
		return err
	}
	if int(loaded.Stored) != truth.Events {
		return wrong("%d events stored, expected %d", loaded.Stored, truth.Events)
	}
	return os.RemoveAll(trail)
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// run reads, compiles and runs the rules. What is wrong with a rule is counted, not told.
func (b *rulesetBench) run(ctx context.Context, db store.Store) error {
	var err error
	if b.stored, err = db.Streams(ctx, nil); err != nil {
		return err
	}
	events, err := stored(ctx, db)
	if err != nil {
		return err
	}
	bench.ResetPeakMemory()
	began := b.streams.Now()
	b.set = readRules(b.command.Rules, nil, io.Discard)
	read := b.streams.Now()
	programs := b.set.compile(fieldsOf(ecs.Integration, b.stored), io.Discard)
	compiled := b.streams.Now()
	if len(programs) == 0 {
		return errors.New("there is no rule that runs")
	}
	clock, err := stamps(ctx, db, b.streams.Now)
	if err != nil {
		return err
	}
	done := 0
	b.progress.show(func() string { return fmt.Sprintf("bench-rules  %d of %d", done, len(programs)) })
	last := compiled
	b.result, err = replay.Run(ctx, db, programs, replay.Options{Fields: "integration", Clock: clock, Progress: func(n, _ int) {
		now := b.streams.Now()
		b.took = append(b.took, now.Sub(last))
		last = now
		b.progress.mu.Lock()
		defer b.progress.mu.Unlock()
		done = n
	}})
	if err != nil {
		return err
	}
	peak, err := bench.PeakMemory()
	if err != nil {
		return err
	}
	t := &b.table
	t.Add("read", read.Sub(began).Seconds(), "s")
	t.Note("%s, of which %s cannot run", counted(int64(len(b.set.rules)+len(b.set.skipped)), "rule"), thousands(int64(len(b.set.skipped))))
	t.Add("compile", compiled.Sub(read).Seconds(), "s")
	t.Add("run", last.Sub(compiled).Seconds(), "s")
	t.Note("%s over %s of %s; %s, %s", counted(int64(len(programs)), "rule"), counted(events, "event"), counted(int64(len(b.stored)), "stream"),
		counted(int64(len(b.result.Alerts)), "alert"), counted(b.folded(), "folded event"))
	t.Add("peak memory", float64(peak)/(1<<20), "MiB")
	return nil
}

// stored is the number of events that db holds.
func stored(ctx context.Context, db store.Store) (int64, error) {
	at, err := db.Latest(ctx)
	if err != nil {
		return 0, err
	}
	return exec.CountOf(ctx, db, nil, expr.Const{Value: true}, at)
}

func (b *rulesetBench) folded() int64 {
	var n int64
	for _, r := range b.result.Rules {
		n += r.Folded
	}
	return n
}

// group sums up rules.
type group struct {
	took               []time.Duration // of those that read events
	idle               []time.Duration // of those without a stream
	candidates, alerts int
	failed             int
}

// print prints the rules by type, and the slowest one by one with what they did.
func (b *rulesetBench) print(db *duck.Store) error {
	groups := map[string]*group{}
	var all group
	order := make([]int, len(b.result.Rules))
	for i, r := range b.result.Rules {
		order[i] = i
		name := string(r.Program.Rule.Type)
		if groups[name] == nil {
			groups[name] = &group{}
		}
		for _, g := range []*group{groups[name], &all} {
			g.add(r, b.took[i])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		b.addGroup(name, groups[name])
	}
	b.table.Add("median rule", median(all.took), "ms")
	b.table.Note("of the %s that read events", counted(int64(len(all.took)), "rule"))
	b.table.Add("95th of 100", percentile(all.took, 95), "ms")
	if len(all.idle) > 0 {
		b.table.Add("without stream", percentile(all.idle, 95), "ms")
		b.table.Note("95th of 100 of %s whose streams do not exist", counted(int64(len(all.idle)), "rule"))
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Compare(b.took[j], b.took[i]) })
	for _, i := range order[:min(slowest, len(order))] {
		r := b.result.Rules[i]
		b.table.Add(shortened(printable(r.Program.Rule.Name)), millis(b.took[i]), "ms")
		b.table.Note("%s", doing(r, db))
	}
	return b.table.Print(b.streams.Out)
}

func (b *rulesetBench) addGroup(name string, g *group) {
	var sum time.Duration
	for _, took := range slices.Concat(g.took, g.idle) {
		sum += took
	}
	b.table.Add("  "+name, sum.Seconds(), "s")
	b.table.Note("%s with a stream, %s without; %s, %s, %s", counted(int64(len(g.took)), "rule"), thousands(int64(len(g.idle))),
		counted(int64(g.candidates), "candidate"), counted(int64(g.alerts), "alert"), counted(int64(g.failed), "failure"))
}

func (g *group) add(r replay.RuleReport, took time.Duration) {
	switch {
	case r.Skipped != "":
		g.idle = append(g.idle, took)
	default:
		g.took = append(g.took, took)
	}
	if r.Err != nil {
		g.failed++
	}
	g.candidates += r.Candidates
	g.alerts += r.Alerts
}

// anySpan has room for all events.
var anySpan = window.Span{From: time.UnixMilli(math.MinInt64 / 4), To: time.UnixMilli(math.MaxInt64 / 4)}

// doing says what a rule did, and what of its query SQL did not decide.
func doing(r replay.RuleReport, db *duck.Store) string {
	parts := []string{string(r.Program.Rule.Type), fmt.Sprintf("%s in %s of %s", counted(int64(r.Candidates), "candidate"),
		thousands(r.Windows-r.Empty), counted(r.Windows, "window")), fmt.Sprintf("%s read", thousands(int64(r.Read)))}
	if r.Direct > 0 {
		parts = append(parts, fmt.Sprintf("%s too full to be held", counted(r.Direct, "window")))
	}
	parts = append(parts, counted(int64(r.Alerts), "alert"))
	if r.Folded > 0 {
		parts = append(parts, counted(r.Folded, "folded event"))
	}
	if r.Pending > 0 {
		parts = append(parts, fmt.Sprintf("%s over the cap", thousands(int64(r.Pending))))
	}
	if n := len(r.Program.Rule.NewTermsFields); n > 0 {
		parts = append(parts, fmt.Sprintf("sightings of %s", counted(int64(n), "field")))
	}
	if checked := db.Checks(r.Program.CandidateTimes(anySpan)); len(checked) > 0 {
		parts = append(parts, "checked in Go: "+strings.Join(checked, ", "))
	}
	if r.Err != nil {
		parts = append(parts, "failed: "+printable(r.Err.Error()))
	}
	return strings.Join(parts, ", ")
}

// shortened is a name that fits a column.
func shortened(name string) string {
	const most = 48
	if r := []rune(name); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return name
}

// percentile returns the one of durations that p of a hundred do not exceed, in milliseconds.
func percentile(durations []time.Duration, p int) float64 {
	if len(durations) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(durations))
	return millis(sorted[(len(sorted)-1)*p/100])
}
