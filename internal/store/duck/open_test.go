package duck_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

// holdFile names, for a process that is to keep it open, a store.
const holdFile = "TOCSIN_TEST_HOLD_FILE"

// TestHoldChild holds a store open until its input ends. TestOpenErrors runs it.
func TestHoldChild(t *testing.T) {
	path := os.Getenv(holdFile)
	if path == "" {
		t.Skip("run by TestOpenErrors alone")
	}
	db, err := duck.Open(context.Background(), path, duck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestOpenErrors holds that what cannot be opened says why, and stays as it is.
func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	f := func(path, want string) {
		t.Helper()
		before, _ := os.ReadFile(path)
		db, err := duck.Open(ctx, path, duck.Options{})
		if err == nil {
			db.Close()
			t.Errorf("%s was opened, want an error with %q", path, want)
			return
		}
		if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("open %s: %v, want %q", path, err, want)
		}
		if after, _ := os.ReadFile(path); string(after) != string(before) {
			t.Errorf("open %s changed the file", path)
		}
	}
	stored := func(name string) string {
		path := filepath.Join(dir, name)
		db, err := duck.Open(ctx, path, duck.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Apply(ctx, crashChange(0)); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}

	f(filepath.Join(dir, "no", "such", "folder"), "there is no folder")
	f(dir, "it is a folder")
	f(file("text", []byte(strings.Repeat("not a database\n", 1000))), "it is no Tocsin store")
	f(file("short", []byte("x")), "it is no Tocsin store")

	whole, err := os.ReadFile(stored("whole"))
	if err != nil {
		t.Fatal(err)
	}
	f(file("cut", whole[:20_000]), "damaged")
	head := append([]byte{}, whole...)
	for i := 4096; i < 12288; i++ {
		head[i] ^= 0x5a
	}
	f(file("head", head), "damaged")

	// Open already, here and in another process.
	path := stored("held")
	db, err := duck.Open(ctx, path, duck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f(path, "has it open")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	f(link, "has it open")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestHoldChild$")
	child.Env = append(os.Environ(), holdFile+"="+path)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("held\n"))); err != nil {
		t.Fatal(err)
	}
	f(path, "another program has it open")
	in.Close()
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if db, err = duck.Open(ctx, path, duck.Options{}); err != nil {
		t.Fatal(err)
	}

	// A store that is closed says so.
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Get(ctx, "k", "id"); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("reading a closed store: %v", err)
	}
	if err := db.Apply(ctx, &store.Change{At: base.AddDate(1, 0, 0)}); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("writing to a closed store: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

// TestSurvivesEmptyFile holds that a file of no bytes, as os.CreateTemp leaves it, becomes a store.
func TestSurvivesEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := duck.Open(context.Background(), path, duck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
