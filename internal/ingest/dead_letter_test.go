package ingest_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/ingest"
	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// leftOut returns what objects left out of letters, by object.
func (b *bench) leftOut() map[string]map[string]int64 {
	b.t.Helper()
	list, err := b.db.List(context.Background(), ingest.LeftOutKind, "", 100)
	if err != nil {
		b.t.Fatal(err)
	}
	out := map[string]map[string]int64{}
	for _, r := range list {
		var l ingest.LeftOut
		if err := json.Unmarshal(r.Data, &l); err != nil {
			b.t.Fatal(err)
		}
		if l.Object != r.ID {
			b.t.Errorf("%s is about %s", r.ID, l.Object)
		}
		out[r.ID] = l.Rejected
	}
	return out
}

// TestLettersOfOneObject holds that each object leaves MaxLetters letters, its first, and an exact count of all others, however
// it is cut into batches, read again, or broken off.
func TestLettersOfOneObject(t *testing.T) {
	const over = 1234
	noTime, noObject := "{}\n", "\"x\"\n"
	many := strings.Repeat(noTime, ingest.MaxLetters-1) + strings.Repeat(noObject+noTime, over)
	good := record("a", "") + "\n"
	objects := []object{{"few", strings.Repeat(noTime, 3)}, {"many", good + many}, {"full", strings.Repeat(noTime, ingest.MaxLetters)}, {"one", noTime + good}}
	rejected := map[string]int64{normalize.NotAnObject: over, normalize.NoEventTime: 3 + ingest.MaxLetters - 1 + over + ingest.MaxLetters + 1}
	check := func(b *bench) {
		t.Helper()
		want := map[string]int64{normalize.NotAnObject: over - 1, normalize.NoEventTime: over}
		if left := b.leftOut(); len(left) != 1 || !maps.Equal(left["many"], want) {
			t.Errorf("left out %v, want %v of one object", left, want)
		}
		letters := map[string]int{}
		for _, l := range b.letters() {
			letters[l.Object]++
		}
		if want := map[string]int{"few": 3, "many": ingest.MaxLetters, "full": ingest.MaxLetters, "one": 1}; !maps.Equal(letters, want) {
			t.Errorf("letters %v, want %v", letters, want)
		}
	}
	for _, batch := range []int{700, 1 << 20} {
		b := newBench(t)
		b.opt.BatchEvents = batch
		for range 2 { // read again, all is as it was
			a, _ := b.load(objects...)
			if !maps.Equal(a.Rejected, rejected) || a.Unkept != 2*over-1 || a.Stored+a.Duplicates != 2 {
				t.Errorf("%+v, want %v rejected", a, rejected)
			}
			check(b)
		}
	}

	// A load that breaks off in the middle is made whole by the next.
	errPower := errors.New("the power is gone")
	for n := 1; ; n += 29 {
		b := newBench(t)
		b.opt.BatchEvents, b.opt.BatchBytes = 700, 500
		b.before = func(commit int, _ *store.Change) error {
			if commit == n {
				return errPower
			}
			return nil
		}
		l := b.loader()
		var err error
		for _, o := range objects {
			if err = l.Object(context.Background(), o.name, strings.NewReader(o.text)); err != nil {
				break
			}
		}
		if closed := l.Close(context.Background()); err == nil {
			err = closed
		}
		if err != nil && !errors.Is(err, errPower) {
			t.Fatal(err)
		}
		b.before = nil
		b.load(objects...)
		check(b)
		if err == nil {
			break
		}
	}
}
