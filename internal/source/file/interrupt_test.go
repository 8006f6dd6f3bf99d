package file_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/source/file"
)

// A file that unpacks to a thousand times its size costs no memory, and whoever reads may leave it at any point.
func TestBomb(t *testing.T) {
	dir := t.TempDir()
	const size = 96 << 20
	write(t, dir, "1.json", `[1]`)
	bomb := gz("[" + strings.Repeat(" ", size))
	write(t, dir, "2.json.gz", bomb)
	write(t, dir, "3.json", `[3]`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, limit := range []int64{1 << 20, size + 2} {
		ctx := context.Background()
		r, err := file.Open(ctx, []string{dir}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var read []int64
		for {
			o, err := r.Next(ctx)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, io.LimitReader(o.Body, limit))
			if err != nil {
				t.Error(err)
			}
			if err := o.Body.Close(); err != nil {
				t.Error(err)
			}
			read = append(read, n)
		}
		if len(read) != 3 || read[0] != 3 || read[1] != min(limit, size+1) || read[2] != 3 {
			t.Errorf("%d bytes at most: %v were read", limit, read)
		}
		if p := r.Progress(); p.Objects != 3 || p.Bytes != p.BytesTotal || p.BytesTotal != int64(len(bomb))+6 {
			t.Errorf("progress %+v", p)
		}
	}
	runtime.ReadMemStats(&after)
	if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 16 {
		t.Errorf("%d MiB were allocated", used)
	}
}

// A cancelled context ends the file that is being read, at the next piece of it.
func TestCancelWithinFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "1.json", "["+strings.Repeat(" ", 8<<20))
	write(t, dir, "2.json", `[2]`)
	ctx, cancel := context.WithCancel(context.Background())
	r, err := file.Open(ctx, []string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o, err := r.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, o.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	cancel()
	n, err := io.Copy(io.Discard, o.Body)
	if !errors.Is(err, context.Canceled) || n > 1<<20 {
		t.Errorf("%d bytes more, then %v", n, err)
	}
	if _, err := r.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("next: %v", err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := o.Body.Close(); err != nil {
			t.Errorf("close the object: %v", err)
		}
	}
	if _, err := o.Body.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a closed object can be read: %v", err)
	}
	if _, err := r.Next(context.Background()); err != io.EOF {
		t.Errorf("a closed reader hands out more: %v", err)
	}
}

// Progress may be asked for at any time, goes up alone, and never beyond its end.
func TestProgressWhileReading(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c", "d"} {
		write(t, dir, name+".json", "["+strings.Repeat(" ", 1<<20)+"]")
		write(t, dir, name+".txt", "notes")
		write(t, dir, name+".json.gz", gz("["+strings.Repeat("1, 22, 333, ", 1<<14)+"0]"))
	}
	ctx := context.Background()
	r, err := file.Open(ctx, []string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		last := r.Progress()
		for {
			p := r.Progress()
			if p.Objects < last.Objects || p.Bytes < last.Bytes || p.Objects > p.ObjectsTotal || p.Bytes > p.BytesTotal {
				t.Errorf("progress %+v after %+v", p, last)
				return
			}
			last = p
			select {
			case <-done:
				return
			default:
			}
		}
	})
	objects := 0
	for {
		o, err := r.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			continue
		}
		objects++
		if _, err := io.Copy(io.Discard, o.Body); err != nil {
			t.Errorf("%s: %v", filepath.Base(o.Name), err)
		}
		o.Body.Close()
	}
	close(done)
	watch.Wait()
	if p := r.Progress(); objects != 8 || p.Objects != 12 || p.Bytes != p.BytesTotal {
		t.Errorf("%d objects, progress %+v", objects, p)
	}
}
