// Package ingest takes objects to the store: split into records, normalise, enrich, batch, commit. Every record that is
// read ends as stored, as a duplicate, or as rejected with its reason in a dead letter; none is lost in between.
//
// It knows no data set (that is normalize) and opens no file (that is source). Records keep their order, so which of two
// equal events is the duplicate does not depend on timing.
//
//	l := ingest.New(db, cloudtrail, enrichers, ingest.Options{Clock: time.Now})
//	err := l.Object(ctx, name, reader)  // once for each object
//	err = l.Close(ctx)                  // everything is durable when it returns nil
//	account := l.Account()
package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Options of a Loader.
type Options struct {
	// Clock stamps the commits.
	Clock func() time.Time
	// BatchEvents (rejected records among them) and BatchBytes (of source records and dead letters) are when a batch is
	// committed; 0: 32,768 events, 48 MiB.
	BatchEvents int
	BatchBytes  int
	// Workers normalise; 0: one for each processor.
	Workers int
}

const (
	defaultBatchEvents = 32 << 10
	defaultBatchBytes  = 48 << 20
	// A job is what a worker normalises at a time.
	jobRecords = 512
	jobBytes   = 1 << 20
	// aheadJobs may wait while a commit runs.
	aheadJobs = 32
	// What records weigh in memory (see weigh) bounds all of these as well: records of many small values take a hundred
	// times their own size.
	jobWeight   = 4 << 20
	aheadWeight = 64 << 20
	batchWeight = 96 << 20
)

// Account says what became of the records that were read: Read = Stored + Duplicates + the sum of Rejected once Close
// has returned nil.
type Account struct {
	Read       int64
	Stored     int64
	Duplicates int64
	Conflicts  int64 // of Stored: the same ID as another event, with other bytes
	Rejected   map[string]int64
	// Unkept counts those of Rejected that left no dead letter, as their object had left MaxLetters.
	Unkept int64
	// DuplicateKeys counts JSON keys that came twice in one object; the last value was kept.
	DuplicateKeys int64
	// Misfits counts values that do not fit their field's type: stored, but not matched.
	Misfits int64
	// Span is where the @timestamp of the events that were read lie.
	Span store.Span
	// LongestCommit is the longest that one commit took.
	LongestCommit time.Duration
}

// RejectedTotal is the number of rejected records.
func (a Account) RejectedTotal() int64 {
	var n int64
	for _, k := range a.Rejected {
		n += k
	}
	return n
}

// Enricher adds fields to an event. It is safe for concurrent use.
type Enricher func(*event.Event)

// Loader takes objects to a store, one after the other, working on several records at once. Its methods are called by
// one goroutine, Seen by any.
type Loader struct {
	db    store.Writer
	input *input // of the objects that come
	opt   Options

	jobs    chan *job // to the workers
	ordered chan *job // to the committer, in the order of the records
	workers sync.WaitGroup
	done    chan struct{} // closed when the committer has ended
	stop    context.CancelFunc
	ctx     context.Context
	failed  error // why the committer ended; read after done

	ahead atomic.Int64  // weight of the jobs that are sent and in no batch yet
	freed chan struct{} // told when that becomes less

	seen    atomic.Int64
	account Account
	batch   batch
	letters letters
	current *job
}

// input is what makes events of records.
type input struct {
	set       normalize.DataSet
	enrichers []Enricher
}

// job is a run of neighbouring records of one input.
type job struct {
	input  *input
	raws   []event.Raw
	bytes  int
	weight int64
	ready  chan struct{}
	events []*event.Event
	dead   []letter
	counts normalize.Counts
}

// New returns a loader. Its goroutines end with Close.
func New(db store.Writer, set normalize.DataSet, enrichers []Enricher, opt Options) *Loader {
	if opt.BatchEvents == 0 {
		opt.BatchEvents = defaultBatchEvents
	}
	if opt.BatchBytes == 0 {
		opt.BatchBytes = defaultBatchBytes
	}
	if opt.Workers == 0 {
		opt.Workers = runtime.GOMAXPROCS(0)
	}
	l := &Loader{db: db, input: &input{set, enrichers}, opt: opt,
		jobs: make(chan *job, opt.Workers), ordered: make(chan *job, aheadJobs), done: make(chan struct{}),
		freed: make(chan struct{}, 1), account: Account{Rejected: map[string]int64{}}}
	l.ctx, l.stop = context.WithCancel(context.Background())
	for range opt.Workers {
		l.workers.Go(l.work)
	}
	go l.commitAll()
	return l
}

// Seen is the number of records read so far.
func (l *Loader) Seen() int64 { return l.seen.Load() }

// Use says that the objects which follow are of set, which is a pointer, and which enrichers add to their events.
func (l *Loader) Use(set normalize.DataSet, enrichers []Enricher) {
	if l.input.set != set {
		l.input = &input{set, enrichers}
	}
}

// Object reads one uncompressed object to its end. What makes the rest of it unreadable is returned as a
// *normalize.ObjectError, and the loader is ready for the next object; any other error ends the load.
func (l *Loader) Object(ctx context.Context, name string, r io.Reader) error {
	err := l.input.set.Split(r, name, func(raw event.Raw) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if l.current != nil && l.current.input != l.input {
			if err := l.send(ctx); err != nil {
				return err
			}
		}
		l.seen.Add(1)
		if l.current == nil {
			l.current = &job{input: l.input, ready: make(chan struct{})}
		}
		l.current.raws = append(l.current.raws, raw)
		l.current.bytes += len(raw.Data)
		l.current.weight += weigh(raw.Data)
		if len(l.current.raws) >= jobRecords || l.current.bytes >= jobBytes || l.current.weight >= jobWeight {
			return l.send(ctx)
		}
		return nil
	})
	var broken *normalize.ObjectError
	if err == nil || errors.As(err, &broken) {
		return err
	}
	return fmt.Errorf("load %s: %w", name, err)
}

// weigh estimates what a record takes in memory once it is an event: each value that JSON holds costs up to 40 bytes, be it
// an empty list of two bytes.
func weigh(data []byte) int64 {
	values := bytes.Count(data, []byte{','}) + bytes.Count(data, []byte{'['}) + bytes.Count(data, []byte{'{'})
	return int64(len(data)) + 40*int64(values)
}

// send hands the current job to the workers and the committer, as soon as there is room for its weight.
func (l *Loader) send(ctx context.Context) error {
	j := l.current
	l.current = nil
	for held := l.ahead.Load(); held > 0 && held+j.weight > aheadWeight; held = l.ahead.Load() {
		select {
		case <-l.freed:
		case <-l.done:
			return l.failed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.ahead.Add(j.weight)
	for _, to := range []chan *job{l.ordered, l.jobs} {
		select {
		case to <- j:
		case <-l.done:
			return l.failed
		case <-ctx.Done():
			l.stop() // the committer must not wait for a job that no worker has
			return ctx.Err()
		}
	}
	return nil
}

// Close commits what is left and ends the loader. After a cancelled ctx, or an error of the store, what was not committed
// is dropped: the store holds whole commits alone.
func (l *Loader) Close(ctx context.Context) error {
	defer l.stop()
	err := ctx.Err()
	if err == nil && l.current != nil {
		err = l.send(ctx)
	}
	if err != nil {
		l.stop()
	}
	close(l.jobs)
	close(l.ordered)
	undo := context.AfterFunc(ctx, l.stop)
	<-l.done
	undo()
	l.workers.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case l.failed != nil:
		return l.failed
	case err != nil:
		return err
	}
	l.account.Read = l.seen.Load()
	if out := l.account.Stored + l.account.Duplicates + l.account.RejectedTotal(); out != l.account.Read {
		return fmt.Errorf("the account is wrong: %d records read, %d accounted for", l.account.Read, out)
	}
	return nil
}

// Account returns what became of the records; it is complete when Close has returned.
func (l *Loader) Account() Account { return l.account }

// work normalises jobs until there are no more.
func (l *Loader) work() {
	for j := range l.jobs {
		for _, raw := range j.raws {
			e, err := j.normalise(raw)
			if err != nil {
				j.dead = append(j.dead, deadLetter(raw, err))
				continue
			}
			j.events = append(j.events, e)
		}
		close(j.ready)
	}
}

// internalError is the reason of a record on which the data set or an enricher itself failed.
const internalError = "internal-error"

// normalise makes one event, finished and enriched. A record on which that fails, by a panic or by an event that no store
// can take, is rejected like any other bad one: one record must never end a load.
func (j *job) normalise(raw event.Raw) (e *event.Event, err error) {
	counts := &j.counts
	defer func() {
		if r := recover(); r != nil {
			e, err = nil, counts.Reject(internalError, fmt.Sprint(r))
		}
	}()
	if e, err = j.input.set.Normalize(raw, counts); err != nil {
		if rejected := new(normalize.Rejected); !errors.As(err, &rejected) {
			err = counts.Reject(internalError, err.Error()) // the others are counted
		}
		return nil, err
	}
	for _, enrich := range j.input.enrichers {
		enrich(e)
	}
	j.input.set.Finish(e)
	if _, timed := happened(e); !timed || e.ID == "" || e.Stream == "" {
		return nil, counts.Reject(internalError, "an event without a time, an ID or a stream came out")
	}
	return e, nil
}

// happened is the @timestamp of e; false where there is none that a store reads.
func happened(e *event.Event) (time.Time, bool) {
	at, ok := event.Coerce(event.Date, e.Get(plan.Timestamp))
	return at.Time(), ok
}

// commitAll gathers the jobs in order and commits batch by batch.
func (l *Loader) commitAll() {
	defer close(l.done)
	for j := range l.ordered {
		select {
		case <-j.ready:
		case <-l.ctx.Done():
			l.failed = l.ctx.Err()
			return
		}
		l.note(j)
		l.ahead.Add(-j.weight)
		select {
		case l.freed <- struct{}{}:
		default:
		}
		if len(l.batch.events)+len(l.batch.dead) >= l.opt.BatchEvents || l.batch.bytes >= l.opt.BatchBytes ||
			l.batch.weight >= batchWeight {
			if l.failed = l.commit(false); l.failed != nil {
				return
			}
		}
	}
	if l.ctx.Err() == nil {
		l.failed = l.commit(true)
	}
}

// batch is what the next commit writes.
type batch struct {
	events []*event.Event
	dead   []store.RecordWrite
	bytes  int // of source records and dead letters
	weight int64
}

func (l *Loader) note(j *job) {
	l.batch.events = append(l.batch.events, j.events...)
	l.batch.bytes += j.bytes
	l.batch.weight += j.weight
	for _, in := range j.dead {
		if in.object != l.letters.object {
			l.noteLeftOut()
		}
		w, keep := l.letters.take(in)
		if !keep {
			l.account.Unkept++
			continue
		}
		l.batch.dead = append(l.batch.dead, w)
		l.batch.bytes += len(w.Data)
	}
	l.account.DuplicateKeys += j.counts.DuplicateKeys
	for reason, n := range j.counts.Rejected {
		l.account.Rejected[reason] += n
	}
	for _, e := range j.events {
		if t, timed := happened(e); timed {
			l.account.Span = l.account.Span.Include(t)
		}
	}
}

// noteLeftOut puts what the present object left out of letters into the batch.
func (l *Loader) noteLeftOut() {
	if w, some := l.letters.leftOut(); some {
		l.batch.dead = append(l.batch.dead, w)
	}
}

// commitDays is how many days of streams one commit writes to. A store that keeps each by itself takes memory for each:
// DuckDB 3 MB, so that records of 130 days in one commit took all of it.
const commitDays = 48

// wholeDay is from how many events of one day of a stream on a commit pays: DuckDB packs them at once then. Fewer go
// through its log as they are, and are packed again when the day grows.
const wholeDay = 8192

// commit writes the batch: in one commit, unless its events are of very many days. Without all, those of days of which
// there are few wait for the next batch, as long as the others are at least half of this one.
func (l *Loader) commit(all bool) error {
	l.noteLeftOut()
	days := byDay(l.batch.events)
	var wait batch
	if ripe, few := ripe(days); !all && len(few) > 0 && 2*sizeOf(ripe) >= len(l.batch.events) {
		days = ripe
		wait.events = slices.Concat(few...)
		share := float64(len(wait.events)) / float64(len(l.batch.events))
		wait.bytes, wait.weight = int(float64(l.batch.bytes)*share), int64(float64(l.batch.weight)*share)
	}
	dead := l.batch.dead
	for len(days) > 0 {
		n := min(len(days), commitDays)
		if err := l.apply(store.Change{Events: slices.Concat(days[:n]...), Records: dead}); err != nil {
			return err
		}
		days, dead = days[n:], nil
	}
	if len(dead) > 0 {
		if err := l.apply(store.Change{Records: dead}); err != nil {
			return err
		}
	}
	l.batch = wait
	return nil
}

// byDay parts events by stream and day, in the order in which these come. Events of one day stay together, in order:
// which of two is the duplicate does not change.
func byDay(events []*event.Event) [][]*event.Event {
	type place struct {
		stream string
		day    store.Day
	}
	number := map[place]int{}
	var days [][]*event.Event
	for _, e := range events {
		at, _ := happened(e)
		p := place{e.Stream, store.DayOf(at)}
		n, known := number[p]
		if !known {
			n = len(days)
			number[p] = n
			days = append(days, nil)
		}
		days[n] = append(days[n], e)
	}
	return days
}

// ripe parts days into those with enough events for a commit and the others.
func ripe(days [][]*event.Event) (ripe, few [][]*event.Event) {
	for _, d := range days {
		if len(d) >= wholeDay {
			ripe = append(ripe, d)
		} else {
			few = append(few, d)
		}
	}
	return ripe, few
}

func sizeOf(days [][]*event.Event) (n int) {
	for _, d := range days {
		n += len(d)
	}
	return n
}

func (l *Loader) apply(c store.Change) error {
	c.At = l.opt.Clock()
	if err := l.db.Apply(l.ctx, &c); err != nil {
		return fmt.Errorf("commit %d events: %w", len(c.Events), err)
	}
	l.account.LongestCommit = max(l.account.LongestCommit, l.opt.Clock().Sub(c.At))
	l.account.Stored += int64(c.Outcome.Stored)
	l.account.Duplicates += int64(c.Outcome.Duplicates)
	l.account.Conflicts += int64(c.Outcome.Conflicts)
	l.account.Misfits += int64(c.Outcome.Misfits)
	return nil
}
