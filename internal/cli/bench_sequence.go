package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/tocsin-sec/tocsin/internal/bench"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

type benchSequencesCommand struct {
	Events int    `default:"1000000" help:"Events to generate, each of which is of some stage (${default})."`
	Keys   int    `default:"100000" help:"Keys that they have (${default})."`
	Dir    string `placeholder:"DIR" help:"Folder for a temporary folder with the data; the system's without it."`
}

// The bars, for a million events of 100,000 keys and three stages.
const (
	sequenceSeconds = 2
	sequenceMiB     = 300
)

// Run measures how long sequences of three stages take to be found in events that are made one by one, and in a store.
func (c benchSequencesCommand) Run(ctx context.Context, streams Streams) (err error) {
	if c.Events < 1 || c.Keys < 1 {
		return errors.New("there must be events and keys")
	}
	dir, err := os.MkdirTemp(c.Dir, "tocsin-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &sequenceBench{benchSequencesCommand: c, streams: streams, progress: streams.newProgress()}
	defer b.progress.Close()
	path := filepath.Join(dir, "sequences.duckdb")
	if err := b.fill(ctx, path); err != nil {
		return fmt.Errorf("bench-sequences, fill the store: %w", err)
	}
	var bars []bench.Bar
	for _, over := range []struct {
		name string
		open func() (store.Querier, func() error, error)
	}{
		{"matcher alone", func() (store.Querier, func() error, error) { return made(c), func() error { return nil }, nil }},
		{"through the store", func() (store.Querier, func() error, error) {
			db, err := duck.Open(ctx, path, duck.Options{Types: fieldType, Memory: storeMemory})
			if err != nil {
				return nil, nil, err
			}
			return db, db.Close, nil
		}},
	} {
		b.progress.show(func() string { return "bench-sequences  " + over.name })
		some, err := b.measure(ctx, over.name, over.open)
		if err != nil {
			return fmt.Errorf("bench-sequences, %s: %w", over.name, err)
		}
		bars = append(bars, some...)
	}
	b.progress.Close()
	b.table.AddBars(bars)
	return b.table.Print(streams.Out)
}

// sequenceBench is one run of the command.
type sequenceBench struct {
	benchSequencesCommand
	streams  Streams
	progress *progress
	table    bench.Table
}

// stageActions are the actions of the stages. Each key has them in turn.
var stageActions = [...]string{"open", "read", "close"}

const (
	stageSpan   = 5 * time.Minute // which is longer than a key takes to come again twice, of a million events
	stageStream = "logs-bench-default"
)

// stageEvent is the i-th event: a millisecond after the one before it.
func (c benchSequencesCommand) stageEvent(i int) *event.Event {
	e := &event.Event{ID: fmt.Sprintf("%09d", i), Stream: stageStream}
	e.SetAll([]event.Field{
		{Path: plan.Timestamp, Value: event.String(event.FormatTime(time.UnixMilli(1_767_225_600_000 + int64(i))))},
		{Path: "event.action", Value: event.String(stageActions[(i/c.Keys+i%c.Keys)%len(stageActions)])},
		{Path: "user.name", Value: event.String(fmt.Sprintf("user-%06d", i%c.Keys))},
	})
	return e
}

// expected is the number of sequences in all events.
func (c benchSequencesCommand) expected() int {
	const stages = len(stageActions)
	n := 0
	for key := range min(c.Keys, c.Events) {
		rounds := (c.Events-key-1)/c.Keys + 1
		first := (stages - key%stages) % stages // the round in which the key begins
		if left := rounds - first; left > 0 {
			n += left / stages
		}
	}
	return n
}

// sequence is the plan.
func (c benchSequencesCommand) sequence() plan.Node {
	s := plan.Sequence{In: plan.Scan{Streams: []string{stageStream}}, MaxSpan: stageSpan}
	for _, action := range stageActions {
		s.Stages = append(s.Stages, plan.Stage{Keys: []plan.Key{{Field: expr.Field{Path: "user.name"}}},
			Cond: expr.In{Field: expr.Field{Path: "event.action"}, Values: []event.Value{event.String(action)}}})
	}
	below := plan.FoundEvents + "." // what a rule asks for of them
	p := plan.Project{In: s, Paths: []string{plan.FoundNumber, below + plan.FoundID, below + plan.FoundStream}}
	for _, path := range []string{plan.Timestamp, "event.action", "user.name"} {
		p.Paths = append(p.Paths, below+plan.FoundFields+"."+path)
	}
	return p
}

// fill stores the events in a new store at path.
func (b *sequenceBench) fill(ctx context.Context, path string) (err error) {
	db, err := openStore(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	clock, err := stamps(ctx, db, b.streams.Now)
	if err != nil {
		return err
	}
	for i := 0; i < b.Events; {
		b.progress.show(func() string { return fmt.Sprintf("bench-sequences  %s stored", thousands(int64(i))) })
		change := &store.Change{At: clock()}
		for ; i < b.Events && len(change.Events) < batchEvents; i++ {
			change.Events = append(change.Events, b.stageEvent(i))
		}
		if err := db.Apply(ctx, change); err != nil {
			return err
		}
	}
	return nil
}

// measure finds the sequences once.
func (b *sequenceBench) measure(ctx context.Context, name string, open func() (store.Querier, func() error, error)) (bars []bench.Bar, err error) {
	debug.FreeOSMemory()
	alone := bench.ResetPeakMemory()
	q, closed, err := open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closed()) }()
	at := store.Snapshot{}
	if c, is := q.(store.Catalog); is {
		if at, err = c.Latest(ctx); err != nil {
			return nil, err
		}
	}
	began, used := b.streams.Now(), bench.ProcessorTime()
	rows, err := exec.Query(ctx, q, b.sequence(), at)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	n, first := 0, 0.0
	for rows.Next() {
		if n++; n == 1 {
			first = b.streams.Now().Sub(began).Seconds()
		}
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	took, spent := b.streams.Now().Sub(began).Seconds(), (bench.ProcessorTime() - used).Seconds()
	peak, err := bench.PeakMemory()
	if err != nil {
		return nil, err
	}
	if want := b.expected(); n != want {
		return nil, wrong("%d sequences, expected %d", n, want)
	}
	mib := float64(peak) / (1 << 20)
	b.table.Add(name, took, "s")
	b.table.Note("%s of %s, %s found, the first after %.2f s; %.2f s of processors", counted(int64(b.Events), "event"),
		counted(int64(b.Keys), "key"), counted(int64(n), "sequence"), first, spent)
	b.table.Add("  peak memory", mib, "MiB")
	if b.table.Note("of the whole process"); !alone {
		b.table.Note("of the whole process since it began: this system does not tell more")
	}
	return []bench.Bar{{Name: name, Value: took, Unit: "s", Bound: sequenceSeconds},
		{Name: name + ", memory", Value: mib, Unit: "MiB", Bound: sequenceMiB}}, nil
}

// made is a Querier that makes the events of the bench while they are read, in order: nothing but the matcher holds any.
type made benchSequencesCommand

// Query gives all events, in whatever filter and order.
func (m made) Query(ctx context.Context, p plan.Node, _ store.Snapshot) (store.Rows, error) {
	if _, is := p.(plan.Sort); !is {
		return nil, &store.Unsupported{Node: p, Why: "the events come in order"}
	}
	return &madeRows{made: m, ctx: ctx}, nil
}

type madeRows struct {
	made
	ctx context.Context
	n   int
	row *event.Event
}

// Next makes the next event.
func (r *madeRows) Next() bool {
	if r.n == r.made.Events || r.ctx.Err() != nil {
		return false
	}
	r.row = benchSequencesCommand(r.made).stageEvent(r.n)
	r.n++
	return true
}

// Event is the present event.
func (r *madeRows) Event() *event.Event { return r.row }

// Err is the context's error.
func (r *madeRows) Err() error { return r.ctx.Err() }

// Close ends the rows.
func (r *madeRows) Close() error {
	r.n = r.made.Events
	return nil
}
