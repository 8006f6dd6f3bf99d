package duck_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

// TestBareCopy holds that the copy has every row of the store, in every stream, and leaves nothing behind.
func TestBareCopy(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "events.tocsin")
	db, err := duck.Open(ctx, path, duck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	loadDays(t, db, 70, 30) // more than are copied at once
	loadDays(t, db, 3, 10)
	_, err = duck.BareCopy(ctx, path, duck.Options{})
	if err == nil || !strings.Contains(err.Error(), "open already") {
		t.Errorf("a store that is open: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if rows, err := duck.BareCopy(ctx, path, duck.Options{}); err != nil || rows != 70*30+3*10 {
			t.Errorf("%d rows, expected %d (%v)", rows, 70*30+3*10, err)
		}
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the store is another one (%v)", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("%q is left behind (%v)", left, err)
	}
	if err := os.WriteFile(path+".bare", []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := duck.BareCopy(ctx, path, duck.Options{}); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a file that is in the way: %v", err)
	}
	if kept, err := os.ReadFile(path + ".bare"); err != nil || string(kept) != "mine" {
		t.Errorf("a file that was in the way holds %q (%v)", kept, err)
	}
	if err := os.Remove(path + ".bare"); err != nil {
		t.Fatal(err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := duck.BareCopy(cancelled, path, duck.Options{}); err == nil {
		t.Error("a cancelled copy ended well")
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("%q is left behind by a cancelled copy (%v)", left, err)
	}
}

// TestSizes holds that what cannot be packed is found where it was put.
func TestSizes(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "events.tocsin")
	db, err := duck.Open(ctx, path, duck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const n, rest, source, column = 10_000, 100, 300, 50
	r := rand.New(rand.NewPCG(1, 1))
	letters := func(n int) string { // six bits each
		text := make([]byte, n)
		for i := range text {
			text[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-"[r.IntN(64)]
		}
		return string(text)
	}
	c := &store.Change{At: base}
	for i := range n {
		e := &event.Event{ID: fmt.Sprint(i), Stream: "logs"}
		e.SetString("@timestamp", event.FormatTime(base))
		e.SetString("user.name", letters(column))
		e.SetString("no.column", letters(rest))
		e.Source.Data = []byte(letters(source))
		c.Events = append(c.Events, e)
	}
	if err := db.Apply(ctx, c); err != nil {
		t.Fatal(err)
	}
	if _, err := duck.SizesOf(ctx, path); err == nil || !strings.Contains(err.Error(), "open already") {
		t.Errorf("a store that is open: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := duck.SizesOf(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	f := func(name string, got int64, letters int) {
		t.Helper()
		least := int64(n * letters * 6 / 8)
		if most := least + n*50; got < least || got > most { // IDs and sums are columns too
			t.Errorf("%s: %d bytes, expected %d to %d", name, got, least, most)
		}
	}
	f("source", s.Source, source)
	f("rest", s.Rest, rest)
	f("columns", s.Columns, column)
	if all := s.Source + s.Rest + s.Columns; all > s.File || all < s.File*9/10 {
		t.Errorf("%d bytes in all, of a file of %d", all, s.File)
	}
}
