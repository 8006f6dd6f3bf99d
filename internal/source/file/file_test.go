package file_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/source"
	"github.com/tocsin-sec/tocsin/internal/source/file"
)

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	full := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, dir, to, name string) {
	t.Helper()
	if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func gz(content string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, content)
	w.Close()
	return b.String()
}

// read lists what a reader hands out, with the folder's name taken away, and the reader's last progress.
func read(t *testing.T, dir string, stdin io.Reader, paths ...string) (lines []string, p source.Progress) {
	t.Helper()
	ctx := context.Background()
	r, err := file.Open(ctx, paths, stdin)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		o, err := r.Next(ctx)
		var problem *source.Problem
		switch {
		case err == io.EOF:
			return lines, r.Progress()
		case errors.As(err, &problem):
			lines = append(lines, strings.ReplaceAll(problem.Error(), dir+string(filepath.Separator), ""))
			continue
		case err != nil:
			t.Fatal(err)
		}
		content, err := io.ReadAll(o.Body)
		name := strings.TrimPrefix(o.Name, dir+string(filepath.Separator))
		line := fmt.Sprintf("%s = %s", name, content)
		if err != nil {
			line += " ! " + strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
		}
		lines = append(lines, line)
		if err := o.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "2026/03/b.json.gz", gz(`{"n":2}`)+gz(`{"n":3}`))
	write(t, dir, "2026/03/a.json", `{"n":1}`)
	write(t, dir, "2026/03.json", `[0]`)
	write(t, dir, "notes.txt", "some notes")
	write(t, dir, "empty.json", "")
	packed := gz(`{"n":4}` + strings.Repeat("\n", 1<<16))
	write(t, dir, "z.gz", packed[:len(packed)-6])
	got, p := read(t, dir, nil, dir)
	want := []string{
		`2026/03.json = [0]`,
		`2026/03/a.json = {"n":1}`,
		`2026/03/b.json.gz = {"n":2}{"n":3}`,
		`skip empty.json: it is empty`,
		`skip notes.txt: it does not begin as JSON`,
		`z.gz = {"n":4}` + strings.Repeat("\n", 1<<16) + fmt.Sprintf(" ! unpack z.gz (gzip) after %d bytes: the content ends early: unexpected EOF", len(packed)-6),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if p.Objects != 6 || p.ObjectsTotal != 6 || p.Bytes != p.BytesTotal || p.BytesTotal == 0 {
		t.Errorf("progress %+v", p)
	}
}

func TestWhatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "sub/a.json", `{"a":1}`)
	write(t, dir, "other/b.json", `{"b":1}`)
	link(t, dir, "..", "sub/up")
	link(t, dir, "self", "self")
	link(t, dir, "nowhere", "lost")
	link(t, dir, "sub/a.json", "one.json")
	link(t, dir, "other", "twin")
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, p := read(t, dir, nil, dir)
	want := []string{
		`skip lost: it is a link that leads nowhere`,
		`one.json = {"a":1}`,
		`other/b.json = {"b":1}`,
		`skip pipe: it is a pipe`,
		`skip self: it is a link that cannot be followed: too many levels of symbolic links`,
		`sub/a.json = {"a":1}`,
		`skip sub/up: the folder is read already, as ` + dir,
		`skip twin: the folder is read already, as other`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if p.Objects != 8 || p.Bytes != p.BytesTotal {
		t.Errorf("progress %+v", p)
	}

	got, _ = read(t, dir, nil, filepath.Join(dir, "pipe"), "/dev/null", filepath.Join(dir, "absent"))
	want = []string{`skip pipe: it is a pipe`, `skip /dev/null: it is a device`, `read absent: no such file or directory`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What several paths lead to is read once.
func TestOverlappingPaths(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a/1.json", `[1]`)
	write(t, dir, "a/b/2.json", `[2]`)
	at := func(name string) string { return filepath.Join(dir, name) }
	got, _ := read(t, dir, nil, at("a/b"), at("a/1.json"), at("a"), at("a/b/2.json"), at("a/1.json"))
	want := []string{
		`a/b/2.json = [2]`,
		`a/1.json = [1]`,
		`skip a/1.json: it is read already, as a/1.json`,
		`skip a/b: the folder is read already, as a/b`,
		`skip a/b/2.json: it is read already, in a/b`,
		`skip a/1.json: it is read already, as a/1.json`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A file that cannot be read is reported, and the rest goes on.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.json", `[1]`)
	write(t, dir, "b.json", `[2]`)
	write(t, dir, "c.json", `[3]`)
	write(t, dir, "d/e.json", `[4]`)
	ctx := context.Background()
	r, err := file.Open(ctx, []string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// As root every mode can be read: take the file away after it was listed.
	if err := os.Remove(filepath.Join(dir, "b.json")); err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		o, err := r.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			got = append(got, strings.ReplaceAll(err.Error(), dir, ""))
			continue
		}
		got = append(got, filepath.Base(o.Name)) // and left half read
	}
	want := []string{"a.json", "read /b.json: no such file or directory", "c.json", "e.json"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if p := r.Progress(); p.Objects != 4 || p.ObjectsTotal != 4 {
		t.Errorf("progress %+v", p)
	}
}

func TestStandardInput(t *testing.T) {
	f := func(in io.Reader, want ...string) {
		t.Helper()
		got, p := read(t, "", in, "-", "-")
		if diff := cmp.Diff(append(want, "skip -: standard input is read already"), got); diff != "" {
			t.Error(diff)
		}
		if p.BytesTotal != -1 || p.Objects != 2 {
			t.Errorf("progress %+v", p)
		}
	}
	f(strings.NewReader(`{"a":1}`), `- = {"a":1}`)
	f(strings.NewReader(gz(`{"a":1}`)), `- = {"a":1}`)
	f(strings.NewReader(""), `skip -: it is empty`)
	f(nil, `skip -: it is empty`)
}

// A cancelled context ends a read that waits for input that does not come.
func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	in, out := io.Pipe()
	defer out.Close()
	r, err := file.Open(ctx, []string{"-"}, in)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		out.Write([]byte(`{"a":1}`))
		time.Sleep(time.Millisecond)
		cancel()
	}()
	o, err := r.Next(ctx)
	if err == nil {
		_, err = io.ReadAll(o.Body)
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if _, err := r.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("next: error %v", err)
	}
	if _, err := file.Open(ctx, []string{t.TempDir()}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("open: error %v", err)
	}
}

func TestByDelivery(t *testing.T) {
	dir := t.TempDir()
	// The names end in a digit that stands for the time of delivery; x has none.
	for _, name := range []string{"a/1-3", "a/2-1", "b/1-2", "b/2-1", "b/x", "c/x"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	r, err := file.Open(ctx, []string{dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	r.ByDelivery(func(name string) time.Time {
		if last := name[len(name)-1]; last != 'x' {
			return time.Unix(int64(last-'0'), 0)
		}
		return time.Time{}
	})
	var got []string
	for {
		o, err := r.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name, _ := filepath.Rel(dir, o.Name)
		got = append(got, filepath.ToSlash(name))
		o.Body.Close()
	}
	want := []string{"b/x", "c/x", "a/2-1", "b/2-1", "b/1-2", "a/1-3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
