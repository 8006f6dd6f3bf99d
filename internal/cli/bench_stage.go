package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-sec/tocsin/internal/bench"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/source"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

// stageEvents is how many events the stages are measured on, one by one; more give the same figures.
const stageEvents = 200_000

// onOneCore calls do with one processor for the program.
func onOneCore(do func() error) error {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	return do()
}

// limit measures how fast the files can be unpacked and cut into tokens of JSON, with nothing made of them; and counts
// their records.
func (b *benchmark) limit(ctx context.Context) error {
	decoder := jsontext.NewDecoder(io.MultiReader()) // an empty one
	records := 0
	watch := b.watch()
	err := onOneCore(func() error {
		for i := range b.objects {
			o := &b.objects[i]
			if err := ctx.Err(); err != nil {
				return err
			}
			err := unpacked(o.name, func(r io.Reader) (err error) {
				decoder.Reset(r, jsontext.AllowDuplicateNames(true))
				o.records, err = countRecords(decoder)
				return err
			})
			if err != nil {
				return fmt.Errorf("read %s: %w", o.name, err)
			}
			records += o.records
		}
		return nil
	})
	if err != nil {
		return err
	}
	if want := b.truth.Events + b.truth.Duplicates; records != want {
		return wrong("%d records read, expected %d", records, want)
	}
	b.result.Limit = float64(records) / watch.seconds()
	b.reading.Add("limit", b.result.Limit, "events/s")
	b.reading.Note("%s; one core unpacks and tokenises the same files, and makes nothing of them", watch.perEvent(records))
	return nil
}

// unpacked calls do with the content of the file called name.
func unpacked(name string, do func(io.Reader) error) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	u, err := source.Unpack(name, f)
	if err != nil {
		return err
	}
	defer u.Close()
	return do(u)
}

// countRecords reads an object to its end and counts the values in its list.
func countRecords(d *jsontext.Decoder) (int, error) {
	const inList = 3 // the object, its list, the record
	n := 0
	for {
		token, err := d.ReadToken()
		switch {
		case err == io.EOF:
			return n, nil
		case err != nil:
			return n, err
		case token.Kind() == '{' && d.StackDepth() == inList:
			n++
		}
	}
}

// stages measures each part of a load by itself on one core: the others wait meanwhile. The store of these loads is one
// of their own.
func (b *benchmark) stages(ctx context.Context) error {
	b.result.Stages = map[string]float64{}
	return onOneCore(func() (err error) {
		s := &stages{benchmark: b, spent: map[string]lapped{}}
		if s.input, s.close, err = trailInput(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		path := filepath.Join(b.dir, "stages.duckdb")
		if s.db, err = duck.Open(ctx, path, duck.Options{Types: fieldType, Memory: storeMemory, Threads: 1}); err != nil {
			return err
		}
		if err := s.measure(ctx); err != nil {
			return errors.Join(err, s.db.Close())
		}
		// What is not in the file yet is written at the end.
		if err := s.lap(stageInsert, s.db.Close); err != nil {
			return err
		}
		s.report()
		return os.Remove(path)
	})
}

// The stages, in the order of a load. Those from insert on are of the store.
const (
	stageDecode    = "decode"
	stageNormalise = "normalise"
	stageEnrich    = "enrich"
	stageEncode    = "encode"
	stageInsert    = "insert"
	stageDedupe    = "dedupe"
)

var stageNotes = []struct{ name, note string }{
	{stageDecode, "unpack, split into records"},
	{stageNormalise, "records to ECS, in the layout of their stream"},
	{stageEnrich, "user agents; no places"},
	{stageEncode, "events to rows in memory: a part of insert"},
	{stageInsert, "commits to a fresh store, up to the file"},
	{stageDedupe, "the same events again: each is looked up, none is stored"},
}

// stages is the work of benchmark.stages.
type stages struct {
	*benchmark
	input
	close   func() error // of the enrichers
	db      store.Store
	encoder *duck.Encoder
	spent   map[string]lapped
	records int // of one pass
}

// lapped is what a stage took: time that passed, and time of processors.
type lapped struct{ passed, used time.Duration }

// trailInput is CloudTrail as a scan reads it.
func trailInput() (input, func() error, error) {
	list, closeList, err := enrichers("")
	if err != nil {
		return input{}, nil, err
	}
	choose, err := dataSets("cloudtrail", "integration", "", list)
	if err != nil {
		return input{}, nil, errors.Join(err, closeList())
	}
	return choose(nil), closeList, nil
}

// loadTrail loads CloudTrail from paths into a store at path, which is closed then.
func loadTrail(ctx context.Context, path string, paths []string, now func() time.Time, p *progress) (_ loaded, err error) {
	db, err := openStore(ctx, path)
	if err != nil {
		return loaded{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	is, closeInput, err := trailInput()
	if err != nil {
		return loaded{}, err
	}
	defer func() { err = errors.Join(err, closeInput()) }()
	clock, err := stamps(ctx, db, now)
	if err != nil {
		return loaded{}, err
	}
	return loading{db: db, choose: func([]byte) input { return is }, clock: clock, progress: p}.load(ctx, paths, nil)
}

// lap adds to the time of a stage what do takes.
func (s *stages) lap(stage string, do func() error) error {
	began, used := s.streams.Now(), bench.ProcessorTime()
	err := do()
	sum := s.spent[stage]
	s.spent[stage] = lapped{sum.passed + s.streams.Now().Sub(began), sum.used + bench.ProcessorTime() - used}
	return err
}

// measure takes the events to the store, and then once more.
func (s *stages) measure(ctx context.Context) error {
	clock, err := stamps(ctx, s.db, s.streams.Now)
	if err != nil {
		return err
	}
	if s.encoder, err = duck.NewEncoder(ctx, fieldType); err != nil {
		return err
	}
	defer s.encoder.Close()
	var first, again store.Outcome
	commit := func(stage string, sum *store.Outcome) func([]*event.Event) error {
		return func(events []*event.Event) error {
			c := &store.Change{At: clock(), Events: events}
			err := s.lap(stage, func() error { return s.db.Apply(ctx, c) })
			sum.Stored += c.Outcome.Stored
			sum.Duplicates += c.Outcome.Duplicates
			return err
		}
	}
	insert := commit(stageInsert, &first)
	err = s.pass(ctx, func(events []*event.Event) error {
		if err := s.lap(stageEncode, func() error { return s.encoder.Encode(events) }); err != nil {
			return err
		}
		return insert(events)
	})
	if err != nil {
		return err
	}
	all := s.spent // the second pass measures dedupe alone
	s.spent = map[string]lapped{}
	if err := s.pass(ctx, commit(stageDedupe, &again)); err != nil {
		return err
	}
	all[stageDedupe], s.spent = s.spent[stageDedupe], all
	if first.Stored+first.Duplicates != s.records || first.Stored < s.records*9/10 || again.Stored != 0 || again.Duplicates != s.records ||
		s.encoder.Rows() != int64(s.records) {
		return wrong("%d records and %d rows, of which %d were stored and %d duplicates, and then %d and %d", s.records,
			s.encoder.Rows(), first.Stored, first.Duplicates, again.Stored, again.Duplicates)
	}
	return nil
}

// pass calls do with the events of the first objects, as many at a time as a load commits.
func (s *stages) pass(ctx context.Context, do func([]*event.Event) error) error {
	var raws []event.Raw
	s.records = 0
	for i, o := range s.objects {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.lap(stageDecode, func() error {
			return unpacked(o.name, func(r io.Reader) error {
				return s.set.Split(r, o.name, func(raw event.Raw) error {
					raws = append(raws, raw)
					return nil
				})
			})
		})
		if err != nil {
			return err
		}
		last := i == len(s.objects)-1 || s.records+len(raws) >= stageEvents
		if len(raws) < batchEvents && !last {
			continue
		}
		events, err := s.events(raws)
		if err == nil {
			err = do(events)
		}
		if err != nil {
			return err
		}
		s.records += len(raws)
		raws = raws[:0]
		if last {
			break
		}
	}
	return nil
}

// events makes the events of records.
func (s *stages) events(raws []event.Raw) ([]*event.Event, error) {
	events := make([]*event.Event, 0, len(raws))
	err := s.lap(stageNormalise, func() error {
		for _, raw := range raws {
			e, err := s.set.Normalize(raw, &normalize.Counts{})
			if err != nil {
				return err
			}
			events = append(events, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	_ = s.lap(stageEnrich, func() error {
		for _, e := range events {
			for _, enrich := range s.enrichers {
				enrich(e)
			}
		}
		return nil
	})
	_ = s.lap(stageNormalise, func() error {
		for _, e := range events {
			s.set.Finish(e)
		}
		return nil
	})
	return events, nil
}

// report adds the stages to the figures.
func (s *stages) report() {
	for _, stage := range stageNotes {
		rate := float64(s.records) / s.spent[stage.name].passed.Seconds()
		s.result.Stages[stage.name] = rate
		s.reading.Add("  "+stage.name, rate, "events/s")
		s.reading.Note("%s; one core, %s records: %s", perEvent(s.spent[stage.name].used, s.records), thousands(int64(s.records)), stage.note)
	}
}
