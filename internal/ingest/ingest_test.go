package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/demo"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/ingest"
	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/normalize/cloudtrail"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// bench is a store in memory with what happens on the way to it.
type bench struct {
	t      testing.TB
	db     *mem.Store
	now    time.Time
	set    normalize.DataSet
	opt    ingest.Options
	enrich []ingest.Enricher
	// before is called ahead of each commit, counted from 1; its error is the store's.
	before  func(n int, c *store.Change) error
	commits int
}

func newBench(t testing.TB) *bench {
	b := &bench{t: t, db: mem.New(nil), now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), set: cloudtrail.New(cloudtrail.Options{})}
	var mu sync.Mutex
	b.opt.Clock = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		b.now = b.now.Add(time.Second)
		return b.now
	}
	return b
}

// Apply implements store.Writer.
func (b *bench) Apply(ctx context.Context, c *store.Change) error {
	b.commits++
	if b.before != nil {
		if err := b.before(b.commits, c); err != nil {
			return err
		}
	}
	return b.db.Apply(ctx, c)
}

func (b *bench) loader() *ingest.Loader { return ingest.New(b, b.set, b.enrich, b.opt) }

// object is an object of a load.
type object struct{ name, text string }

// load loads objects and returns the account; what is wrong with one of them is returned by its name.
func (b *bench) load(objects ...object) (ingest.Account, map[string]*normalize.ObjectError) {
	b.t.Helper()
	l := b.loader()
	broken := map[string]*normalize.ObjectError{}
	for _, o := range objects {
		err := l.Object(context.Background(), o.name, strings.NewReader(o.text))
		var failed *normalize.ObjectError
		switch {
		case errors.As(err, &failed):
			broken[o.name] = failed
		case err != nil:
			b.t.Fatal(err)
		}
	}
	if err := l.Close(context.Background()); err != nil {
		b.t.Fatal(err)
	}
	a := l.Account()
	if a.Read != a.Stored+a.Duplicates+a.RejectedTotal() || a.Read != l.Seen() || a.Conflicts > a.Stored {
		b.t.Errorf("the account does not add up: %+v, seen %d", a, l.Seen())
	}
	return a, broken
}

// stored returns the stored events of all streams, source bytes by ID.
func (b *bench) stored() map[string]string {
	b.t.Helper()
	out := map[string]string{}
	for _, e := range everything(b.t, b.db) {
		if _, twice := out[e.ID]; twice {
			b.t.Errorf("two events are stored as %s", e.ID)
		}
		out[e.ID] = string(e.Source.Data)
	}
	return out
}

// letters returns the dead letters, by record ID.
func (b *bench) letters() map[string]ingest.DeadLetter {
	b.t.Helper()
	list, err := b.db.List(context.Background(), ingest.DeadLetterKind, "", 1<<20)
	if err != nil {
		b.t.Fatal(err)
	}
	out := map[string]ingest.DeadLetter{}
	for _, r := range list {
		var letter ingest.DeadLetter
		if err := json.Unmarshal(r.Data, &letter); err != nil {
			b.t.Fatal(err)
		}
		out[r.ID] = letter
	}
	return out
}

// record is a CloudTrail record with this ID, and more members.
func record(id, more string) string {
	return fmt.Sprintf(`{"eventVersion":"1.10","eventTime":"2026-03-01T12:00:00Z","eventSource":"sts.amazonaws.com","eventName":"GetCallerIdentity","eventID":"%s"%s}`, id, more)
}

// trail is an object with these records.
func trail(records ...string) string { return `{"Records":[` + strings.Join(records, ",") + `]}` }

// numbered returns n records with IDs from a prefix.
func numbered(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = record(fmt.Sprintf("%s-%d", prefix, i), "")
	}
	return out
}

// TestDuplicates lists what becomes of events with the same ID.
func TestDuplicates(t *testing.T) {
	f := func(stored, duplicates, conflicts int64, loads ...[]object) {
		t.Helper()
		b := newBench(t)
		var sum ingest.Account
		for _, objects := range loads {
			a, _ := b.load(objects...)
			sum.Stored, sum.Duplicates, sum.Conflicts = sum.Stored+a.Stored, sum.Duplicates+a.Duplicates, sum.Conflicts+a.Conflicts
		}
		if sum.Stored != stored || sum.Duplicates != duplicates || sum.Conflicts != conflicts {
			t.Errorf("stored %d, duplicates %d, conflicts %d; expected %d, %d, %d", sum.Stored, sum.Duplicates, sum.Conflicts, stored, duplicates, conflicts)
		}
		if n := int64(len(everything(t, b.db))); n != stored {
			t.Errorf("%d events are in the store, expected %d", n, stored)
		}
	}
	a, other, third := record("a", ""), record("a", `,"readOnly":true`), record("a", `,"readOnly":false`)
	one := func(text string) []object { return []object{{"o", text}} }
	f(1, 0, 0, one(trail(a)))
	f(1, 1, 0, one(trail(a, a)))
	f(1, 1, 0, one(trail(a)), one(trail(a)))                           // a second load
	f(1, 2, 0, []object{{"o", trail(a, a)}, {"p", trail(a)}})          // another object
	f(2, 0, 1, one(trail(a, other)))                                   // the same ID, other bytes: both stay
	f(2, 2, 1, one(trail(a, other, a, other)))                         // and each is known again
	f(2, 2, 1, one(trail(a, other)), one(trail(other, a)))             // whatever the order
	f(3, 0, 2, one(trail(a, other, third)))                            //
	f(2, 0, 0, one(trail(a, strings.Replace(a, "03-01", "03-02", 1)))) // another day is another segment
	f(0, 0, 0, one(trail()))
	f(0, 0, 0, nil)
}

// TestFirstOfEquals holds that which of several events with one ID keeps it depends on their order alone.
func TestFirstOfEquals(t *testing.T) {
	var records []string
	for i := range 4000 {
		records = append(records, record(fmt.Sprint("id-", i%1000), fmt.Sprintf(`,"requestID":"%d"`, i)))
	}
	for _, workers := range []int{1, 8} {
		b := newBench(t)
		b.opt.Workers, b.opt.BatchEvents = workers, 700
		b.load(object{"o", trail(records...)})
		stored := b.stored()
		if len(stored) != 4000 {
			t.Fatalf("%d events are stored", len(stored))
		}
		for i := range 1000 {
			if got := stored[fmt.Sprint("id-", i)]; got != records[i] {
				t.Fatalf("%d workers: id-%d is %s", workers, i, got)
			}
		}
	}
}

// TestRejected holds that each record that is none leaves a letter with its place, its reason and its beginning.
func TestRejected(t *testing.T) {
	f := func(text string, at int64, reason, begins string) {
		t.Helper()
		b := newBench(t)
		a, broken := b.load(object{"trail/o.json", text})
		if len(broken) > 0 {
			t.Errorf("%.60s: %v", text, broken)
		}
		if want := map[string]int64{reason: 1}; !maps.Equal(a.Rejected, want) {
			t.Errorf("%.60s: rejected %v, expected %v", text, a.Rejected, want)
		}
		letters := b.letters()
		id := fmt.Sprintf("trail/o.json@%020d", at)
		letter, found := letters[id]
		if len(letters) != 1 || !found {
			t.Fatalf("%.60s: letters %v, expected %s alone", text, slices.Collect(maps.Keys(letters)), id)
		}
		letter.Detail = ""
		want := ingest.DeadLetter{Object: "trail/o.json", Offset: at, Reason: reason, Begins: begins, Size: letter.Size}
		if letter != want {
			t.Errorf("%.60s: letter %+v, expected %+v", text, letter, want)
		}
	}
	good := record("a", "")
	behind := int64(len(`{"Records":[` + good + `,`))
	noTime := `{"eventName":"ListBuckets","eventID":"b"}`
	f(noTime, 0, normalize.NoEventTime, noTime)
	f(trail(good, noTime), behind, normalize.NoEventTime, noTime)
	f(trail(good, `"text"`, record("b", "")), behind, normalize.NotAnObject, `"text"`)
	f(trail(good, `{"eventTime":"tomorrow"}`), behind, normalize.NoEventTime, `{"eventTime":"tomorrow"}`)
	deep := strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000)
	f(trail(good, deep), behind, normalize.TooDeep, deep[:ingest.MaxLetter])
	f(good+"\n{\"a\":\n"+record("b", ""), int64(len(good))+1, normalize.NotJSON, `{"a":`)

	// The letter holds 4 KiB at most, whole characters, and says how long the record was.
	long := `{"eventName":"` + strings.Repeat("x", ingest.MaxLetter-15) + "é" + strings.Repeat("y", 100) + `"}`
	f(long, 0, normalize.NoEventTime, long[:ingest.MaxLetter-1])
	f("{\"eventName\":\"\xff\xfe\"}", 0, normalize.NoEventTime, "{\"eventName\":\"\uFFFD\"}")
	b := newBench(t)
	b.load(object{"o", long})
	for _, letter := range b.letters() {
		if letter.Size != len(long) {
			t.Errorf("the letter gives %d bytes, the record had %d", letter.Size, len(long))
		}
	}
}

// TestLettersOfOneText holds that records which share a place, having come in one text, each leave a letter.
func TestLettersOfOneText(t *testing.T) {
	b := newBench(t)
	line := func(text string) string {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf(`{"message":%s}`, quoted)
	}
	bad := `{"eventName":"A"}`
	packed := subscription(t, bad, record("a", ""), bad, bad)
	objects := []object{{"o", packed}, {"p", packed}, {"q", line(bad) + "\n" + line(bad)}}
	for range 2 { // a second load finds the same IDs
		a, broken := b.load(objects...)
		if a.Rejected[normalize.NoEventTime] != 8 || len(broken) > 0 {
			t.Errorf("rejected %v, broken %v", a.Rejected, broken)
		}
		if n := len(b.letters()); n != 8 {
			t.Errorf("%d letters for 8 rejected records: %v", n, slices.Sorted(maps.Keys(b.letters())))
		}
	}
}

// TestFaultyDataSet holds that a data set or an enricher that fails on a record costs this record alone.
func TestFaultyDataSet(t *testing.T) {
	f := func(detail string, change func(b *bench)) {
		t.Helper()
		b := newBench(t)
		change(b)
		a, _ := b.load(object{"o", trail(record("a", ""), record("faulty", ""), record("b", ""))}, object{"p", trail(record("c", ""))})
		if a.Stored != 3 || a.Rejected["internal-error"] != 1 || len(a.Rejected) != 1 {
			t.Errorf("the account is %+v", a)
		}
		if got := slices.Sorted(maps.Keys(b.stored())); !slices.Equal(got, []string{"a", "b", "c"}) {
			t.Errorf("stored %q", got)
		}
		letters := slices.Collect(maps.Values(b.letters()))
		if len(letters) != 1 || letters[0].Reason != "internal-error" || letters[0].Begins != record("faulty", "") ||
			!strings.Contains(letters[0].Detail, detail) {
			t.Errorf("letters %+v, expected one with %q", letters, detail)
		}
	}
	set := func(fault func(e *event.Event, counts *normalize.Counts) error) func(b *bench) {
		return func(b *bench) { b.set = faulty{b.set, fault} }
	}
	f("no such thing", set(func(*event.Event, *normalize.Counts) error { panic("no such thing") }))
	f("nil pointer", set(func(*event.Event, *normalize.Counts) error { var e *event.Event; return errors.New(e.ID) }))
	f("not of the known kind", set(func(*event.Event, *normalize.Counts) error { return errors.New("not of the known kind") }))
	f("a time, an ID", set(func(e *event.Event, _ *normalize.Counts) error { e.ID = ""; return nil }))
	f("a time, an ID", set(func(e *event.Event, _ *normalize.Counts) error { e.Set("@timestamp", event.Null()); return nil }))
	f("a time, an ID", set(func(e *event.Event, _ *normalize.Counts) error {
		e.Set("@timestamp", event.String("tomorrow"))
		return nil
	}))
	f("a time, an ID", set(func(e *event.Event, _ *normalize.Counts) error {
		e.Set("@timestamp", event.Strings("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z"))
		return nil
	}))
	f("index out of range", func(b *bench) {
		b.enrich = []ingest.Enricher{func(e *event.Event) {
			if e.ID == "faulty" {
				_ = e.Fields()[len(e.Fields())]
			}
		}}
	})
}

// faulty is a data set that fails on the event with this ID.
type faulty struct {
	normalize.DataSet
	fault func(e *event.Event, counts *normalize.Counts) error
}

func (f faulty) Normalize(raw event.Raw, counts *normalize.Counts) (*event.Event, error) {
	e, err := f.DataSet.Normalize(raw, counts)
	if err == nil && e.ID == "faulty" {
		if err := f.fault(e, counts); err != nil {
			return nil, err
		}
	}
	return e, err
}

// TestEnrichers holds that each event passes all enrichers, in their order, before the fields of its stream are added.
func TestEnrichers(t *testing.T) {
	b := newBench(t)
	var calls atomic.Int64
	b.enrich = []ingest.Enricher{
		func(e *event.Event) {
			calls.Add(1)
			if !e.Get("data_stream.dataset").IsNull() {
				t.Error("the event has the fields of its stream already")
			}
			e.SetString("tocsin.agent.class", "first")
		},
		func(e *event.Event) { e.SetString("tocsin.agent.class", e.Text("tocsin.agent.class")+", second") },
	}
	const n = 2000
	b.load(object{"o", trail(numbered("e", n)...)})
	if calls.Load() != n {
		t.Errorf("%d calls for %d events", calls.Load(), n)
	}
	for _, e := range everything(t, b.db) {
		if e.Text("tocsin.agent.class") != "first, second" || e.Text("data_stream.dataset") != "aws.cloudtrail" {
			t.Fatalf("event %s has class %q", e.ID, e.Text("tocsin.agent.class"))
		}
	}
}

// TestBatches holds that neither the size of commits nor the number of workers changes what is stored, and that no commit
// is larger than it may be: many rejected records count as well.
func TestBatches(t *testing.T) {
	dir := t.TempDir()
	opt := demo.Bundled()
	opt.Events = demo.MinEvents
	truth, err := demo.Write(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]string
	f := func(batchEvents, batchBytes, workers int) {
		t.Helper()
		b := newBench(t)
		b.opt.BatchEvents, b.opt.BatchBytes, b.opt.Workers = batchEvents, batchBytes, workers
		l := b.loader()
		if problems := b.files(context.Background(), l, dir, func() {}); len(problems) > 0 {
			t.Fatal(problems)
		}
		if err := l.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		a := l.Account()
		if int(a.Stored) != truth.Events || int(a.Duplicates) != truth.Duplicates || int(a.Read) != truth.Events+truth.Duplicates {
			t.Errorf("the account is %+v, expected %+v", a, truth)
		}
		if a.Span.From.Before(truth.From) || !a.Span.To.Before(truth.To) || a.Span.To.Sub(a.Span.From) < 19*24*time.Hour {
			t.Errorf("the span is %v", a.Span)
		}
		got := b.stored()
		if want == nil {
			want = got
		}
		if len(got) != truth.Events || !maps.Equal(got, want) {
			t.Errorf("batches of %d events and %d bytes, %d workers: %d events are stored, other ones than before", batchEvents, batchBytes, workers, len(got))
		}
	}
	f(0, 0, 0)
	f(1, 0, 3)
	f(0, 64<<10, 2)
}

// TestDense holds that records of many small values, which take far more memory than bytes, are committed before they
// pile up.
func TestDense(t *testing.T) {
	b := newBench(t)
	most := 0
	b.before = func(_ int, c *store.Change) error {
		most = max(most, len(c.Events))
		return nil
	}
	const n, values = 400, 10_000 // 12 MB of records, a third of a batch's bytes; 512 MB by weight
	records := make([]string, n)
	for i := range records {
		records[i] = record(fmt.Sprint(i), `,"requestParameters":{"a":[[]`+strings.Repeat(",[]", values-1)+`]}`)
	}
	a, _ := b.load(object{"dense.json", trail(records...)})
	if a.Stored != n || b.commits < 3 || most > 170 {
		t.Errorf("%d events are stored in %d commits, %d in one", a.Stored, b.commits, most)
	}
}

// TestFloodOfRejected holds that records which are none, however small, do not pile up before they are committed.
func TestFloodOfRejected(t *testing.T) {
	b := newBench(t)
	b.opt.BatchEvents = 2000
	most, letters := 0, 0
	b.before = func(_ int, c *store.Change) error {
		most = max(most, len(c.Records)+len(c.Events))
		letters += len(c.Records)
		return nil
	}
	const n = 50_000
	a, _ := b.load(object{"o", strings.Repeat("{}\n", n)})
	if a.Rejected[normalize.NoEventTime] != n || a.Unkept != n-ingest.MaxLetters || letters < ingest.MaxLetters+1 || letters > ingest.MaxLetters+n/2000 {
		t.Errorf("rejected %v, %d without a letter, %d records written", a.Rejected, a.Unkept, letters)
	}
	if most > 2000+512 {
		t.Errorf("a commit has %d records, where 2,000 are the limit", most)
	}
	// The beginning of a record that is no text takes six times its size.
	b.opt.BatchEvents, b.opt.BatchBytes = 0, 10<<20
	largest := 0
	b.before = func(_ int, c *store.Change) error {
		size := 0
		for _, r := range c.Records {
			size += len(r.Data)
		}
		largest = max(largest, size)
		return nil
	}
	b.load(object{"p", strings.Repeat(`{"a":"`+strings.Repeat("\u007f\x01", 2000)+"\"}\n", 2000)})
	if largest < 2<<20 || largest > 14<<20 {
		t.Errorf("a commit has %d bytes of letters, where 10 MiB of records and letters are the limit", largest)
	}
	// What a data set says is cut as well.
	b = newBench(t)
	b.set = faulty{b.set, func(*event.Event, *normalize.Counts) error { panic(strings.Repeat("no! ", 1<<20)) }}
	b.load(object{"q", trail(record("faulty", ""))})
	for _, letter := range b.letters() {
		if len(letter.Detail) != ingest.MaxLetter {
			t.Errorf("the letter's detail has %d bytes", len(letter.Detail))
		}
	}
}

// TestAccountOfMistakes holds what is counted besides.
func TestAccountOfMistakes(t *testing.T) {
	b := newBench(t)
	b.db = mem.New(func(path string) (event.Type, bool) { return event.IPType, path == "source.ip" })
	a, _ := b.load(object{"o", trail(record("a", `,"eventID":"a","awsRegion":"x","awsRegion":"y"`), record("b", ""))})
	if a.DuplicateKeys != 2 || a.Stored != 2 || a.LongestCommit != time.Second || a.Misfits != 0 {
		t.Errorf("the account is %+v", a)
	}
	if diff := cmp.Diff(store.Span{From: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), To: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, a.Span); diff != "" {
		t.Error(diff)
	}
	b.enrich = []ingest.Enricher{func(e *event.Event) { e.SetString("source.ip", "no address") }}
	if a, _ := b.load(object{"o", trail(record("c", ""))}); a.Misfits != 1 {
		t.Errorf("misfits: %+v", a)
	}
}

// TestOddNames holds that files may be called anything.
func TestOddNames(t *testing.T) {
	b := newBench(t)
	b.load(object{"\xff\xfe.json", "{}"})
	for id, letter := range b.letters() {
		if id != "\uFFFD.json@00000000000000000000" || letter.Object != "\uFFFD.json" {
			t.Errorf("the letter is %q: %+v", id, letter)
		}
	}
	if len(b.letters()) != 1 {
		t.Errorf("letters: %v", b.letters())
	}
}

// TestUse loads objects of two data sets by turns: each record is read by its own, in order, with its own enrichers.
func TestUse(t *testing.T) {
	b := newBench(t)
	second := cloudtrail.New(cloudtrail.Options{Profile: cloudtrail.Filebeat})
	mark := func(text string) []ingest.Enricher {
		return []ingest.Enricher{func(e *event.Event) { e.Set("labels.by", event.String(text)) }}
	}
	l := b.loader()
	var want []string
	for n := range 7 {
		by, set := "first", b.set
		if n%3 == 1 {
			by, set = "second", second
		}
		l.Use(set, mark(by))
		if err := l.Object(context.Background(), fmt.Sprint(n), strings.NewReader(trail(numbered(fmt.Sprint("o", n), 3)...))); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			want = append(want, fmt.Sprintf("o%d-%d %s", n, i, by))
		}
	}
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range everything(t, b.db) {
		by := e.Text("labels.by")
		if (e.Stream == "filebeat-aws-default") != (by == "second") {
			by = "another set than its enricher's"
		}
		if by == "" { // what the loader was made with
			by = "first"
		}
		got = append(got, e.ID+" "+by)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
