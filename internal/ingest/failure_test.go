package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/ingest"
	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/source"
	"github.com/tocsin-sec/tocsin/internal/source/file"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// files loads what is below dir as a scan does, and returns what was wrong by the name of the file. The function listed is
// called when the files are known and none is read yet.
func (b *bench) files(ctx context.Context, l *ingest.Loader, dir string, listed func()) map[string]string {
	b.t.Helper()
	r, err := file.Open(ctx, []string{dir}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Close()
	listed()
	problems := map[string]string{}
	for {
		o, err := r.Next(ctx)
		var problem *source.Problem
		switch {
		case err == io.EOF:
			return problems
		case errors.As(err, &problem):
			problems[filepath.Base(problem.Name)] = fmt.Sprint(problem.Skipped, " ", problem.Reason, problem.Err)
			continue
		case err != nil:
			b.t.Fatal(err)
		}
		err = l.Object(ctx, o.Name, o.Body)
		o.Body.Close()
		var broken *normalize.ObjectError
		switch {
		case errors.As(err, &broken):
			problems[filepath.Base(o.Name)] = fmt.Sprint(broken.Reason, " ", broken.Err)
		case err != nil:
			b.t.Fatal(err)
		}
	}
}

// TestBadFiles loads a folder with files that are bad in every way, good ones between them.
func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	good := 0
	write := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	between := func() {
		good++
		write(fmt.Sprintf("%02d.json", 10*good), []byte(trail(numbered(fmt.Sprint("good-", good), 5)...)))
	}
	many := trail(numbered("cut", 3000)...)
	packed := gz(t, many)
	between()
	write("11-truncated.json.gz", packed[:len(packed)/2])
	between()
	write("21-gone.json", []byte(trail(numbered("gone", 5)...)))
	between()
	write("31-notes.txt", []byte("what to do next\n"))
	between()
	write("41-bomb-blank.json.gz", gz(t, "{\"Records\":["+strings.Repeat(" ", normalize.MaxBarren+1<<20)+"]}"))
	between()
	write("51-bomb-record.json.gz", gz(t, trail(append(numbered("ahead", 3), record("huge", `,"a":"`+strings.Repeat("x", normalize.MaxRecord+1<<20)+`"`))...)))
	between()
	write("61-half.json", []byte(`{"Records":[`+strings.Join(numbered("half", 4), ",")+`,{"eventTime":"2026`))
	between()

	b := newBench(t)
	l := b.loader()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	problems := b.files(context.Background(), l, dir, func() {
		if err := os.Remove(filepath.Join(dir, "21-gone.json")); err != nil {
			t.Error(err)
		}
	})
	if err := l.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	for name, want := range map[string]string{
		"11-truncated.json.gz":   "unreadable unpack",
		"21-gone.json":           "no such file",
		"31-notes.txt":           "true it does not begin as JSON",
		"41-bomb-blank.json.gz":  "no-records",
		"51-bomb-record.json.gz": "record-too-large",
		"61-half.json":           "truncated",
	} {
		if !strings.Contains(problems[name], want) {
			t.Errorf("%s: %q, expected %q", name, problems[name], want)
		}
		delete(problems, name)
	}
	if len(problems) > 0 {
		t.Errorf("other problems: %v", problems)
	}
	a := l.Account()
	counts := map[string]int{}
	for id := range b.stored() {
		prefix, _, _ := strings.Cut(id, "-")
		counts[prefix]++
	}
	cut := counts["cut"]
	if cut < 500 || cut >= 3000 {
		t.Errorf("%d of the 3,000 records of the truncated file are stored", cut)
	}
	if want := map[string]int{"good": 5 * good, "cut": cut, "ahead": 3, "half": 4}; !reflect.DeepEqual(counts, want) {
		t.Errorf("stored %v, expected %v", counts, want)
	}
	if int(a.Stored) != len(b.stored()) || a.Duplicates != 0 {
		t.Errorf("the account is %+v", a)
	}
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 512 {
		t.Errorf("%d MiB were allocated on the way", used)
	}
}

// TestCancel stops loads in the middle, at a commit or between two of them: the store holds whole commits alone, nothing
// is left running, and a second load completes what the first began.
func TestCancel(t *testing.T) {
	var objects []object
	want := map[string]string{}
	for n := range 40 {
		list := numbered(fmt.Sprint("o", n), 150)
		objects = append(objects, object{fmt.Sprint("o", n), trail(list...)})
		for i, text := range list {
			want[fmt.Sprintf("o%d-%d", n, i)] = text
		}
	}
	running := runtime.NumGoroutine()
	interrupted := 0
	for _, at := range []int{1, 2, 5, 0, -700, -2500, -5800} {
		b := newBench(t)
		b.opt.BatchEvents = 600
		ctx, cancel := context.WithCancel(context.Background())
		whole := []int{0} // how many events are stored after each commit
		b.before = func(n int, c *store.Change) error {
			if n == at {
				cancel() // while the commit runs
			}
			whole = append(whole, whole[len(whole)-1]+len(c.Events))
			return nil
		}
		if at == 0 {
			cancel()
		}
		l := b.loader()
		var err error
		for _, o := range objects {
			if at < 0 && l.Seen() > int64(-at) {
				cancel() // while records are read
			}
			if err = l.Object(ctx, o.name, strings.NewReader(o.text)); err != nil {
				break
			}
		}
		closed := l.Close(ctx)
		if !errors.Is(closed, context.Canceled) || err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at %d: %v, then %v", at, err, closed)
		}
		got := b.stored()
		if !slices.Contains(whole, len(got)) {
			t.Errorf("cancelled at %d: %d events are stored, whole commits end at %v", at, len(got), whole)
		}
		if len(got) > 0 && len(got) < len(want) {
			interrupted++
		}
		for id, text := range got {
			if want[id] != text {
				t.Fatalf("cancelled at %d: %s is stored as %s", at, id, text)
			}
		}
		b.before = nil
		a, _ := b.load(objects...)
		if int(a.Duplicates) != len(got) || int(a.Stored) != len(want)-len(got) || !maps.Equal(b.stored(), want) {
			t.Errorf("cancelled at %d with %d events: the second load says %+v", at, len(got), a)
		}
		cancel()
	}
	if interrupted < 2 {
		t.Errorf("%d loads were stopped in the middle", interrupted)
	}
	settled(t, running)
}

// TestCancelWhileWaiting cancels the reading of an object that waits for a worker, and closes under a context of its own:
// that must not wait for the job which no worker has, nor say that all went well.
func TestCancelWhileWaiting(t *testing.T) {
	running := runtime.NumGoroutine()
	b := newBench(t)
	b.opt.Workers = 1
	busy := make(chan struct{})
	b.enrich = []ingest.Enricher{func(*event.Event) { <-busy }}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l := b.loader()
	ended := make(chan error, 1)
	go func() {
		ended <- l.Object(ctx, "o", strings.NewReader(trail(numbered("e", 20_000)...)))
	}()
	for l.Seen() < 3*512 { // one job with the worker, one queued, one waiting
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	if seen := l.Seen(); seen != 3*512 {
		t.Errorf("%d records were read ahead of one worker", seen)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Object says %v", err)
	}
	close(busy)
	go func() { ended <- l.Close(context.Background()) }()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Close says %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Close waits for a job that no worker has")
	}
	settled(t, running)
}

// settled waits until no more goroutines run than before.
func settled(t *testing.T, before int) {
	t.Helper()
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines run, %d did before", runtime.NumGoroutine(), before)
}

// TestStoreFails holds that an error of the store ends the load, once, and leaves what was committed.
func TestStoreFails(t *testing.T) {
	full := errors.New("the disk is full")
	running := runtime.NumGoroutine()
	for _, at := range []int{1, 3} {
		b := newBench(t)
		b.opt.BatchEvents = 1000
		b.before = func(n int, _ *store.Change) error {
			if n >= at {
				return full
			}
			return nil
		}
		l := b.loader()
		var err error
		for n := 0; n < 200 && err == nil; n++ {
			err = l.Object(context.Background(), "o", strings.NewReader(trail(numbered(fmt.Sprint("o", n), 600)...)))
		}
		if !errors.Is(err, full) {
			t.Errorf("reading goes on: %v", err)
		}
		if err := l.Close(context.Background()); !errors.Is(err, full) || !strings.Contains(err.Error(), "commit") {
			t.Errorf("Close says %v", err)
		}
		if b.commits != at {
			t.Errorf("%d commits, the store failed at %d", b.commits, at)
		}
		if n := len(b.stored()); at == 1 && n != 0 || at == 3 && (n < 2000 || n > 2*1600) {
			t.Errorf("failed at %d: %d events are stored", at, n)
		}
	}
	settled(t, running)
}
