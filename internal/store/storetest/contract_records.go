package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/store"
)

func records(t *testing.T, s *suite) {
	ctx := context.Background()
	n := 0
	write := func(w ...store.RecordWrite) error {
		n++
		return s.Apply(ctx, &store.Change{At: commitTime(n), Records: w})
	}
	rule := func(id, data string, version int64) store.RecordWrite {
		w := store.RecordWrite{Kind: "rule", ID: id, IfVersion: version}
		if data != "" {
			w.Data = []byte(data)
		}
		return w
	}
	ok := func(w ...store.RecordWrite) {
		t.Helper()
		if err := write(w...); err != nil {
			t.Errorf("write %v: %v", w, err)
		}
	}
	refused := func(w ...store.RecordWrite) {
		t.Helper()
		if err := write(w...); !errors.Is(err, store.ErrVersion) {
			t.Errorf("write %v: %v, want ErrVersion", w, err)
		}
	}
	has := func(id, data string, version int64) {
		t.Helper()
		r, err := s.Get(ctx, "rule", id)
		if version == 0 {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("get %s: %v, want ErrNotFound", id, err)
			}
			return
		}
		if err != nil {
			t.Errorf("get %s: %v", id, err)
			return
		}
		if r.Kind != "rule" || r.ID != id || r.Version != version || string(r.Data) != data {
			t.Errorf("record %s: %s/%s at version %d: %.100s; want version %d: %.100s", id, r.Kind, r.ID, r.Version, r.Data, version, data)
		}
	}
	has("a", "", 0)
	ok(rule("a", `{"n":1}`, 0))
	has("a", `{"n":1}`, 1)
	ok(rule("a", `{"n":2}`, 0))
	has("a", `{"n":2}`, 2)
	ok(rule("a", `{"n":3}`, 2))
	has("a", `{"n":3}`, 3)
	refused(rule("a", `{"n":4}`, 2))
	refused(rule("a", `{"n":4}`, 4))
	refused(rule("a", `{"n":4}`, -1))
	has("a", `{"n":3}`, 3)
	// New ones.
	ok(rule("b", `{}`, -1))
	has("b", `{}`, 1)
	refused(rule("c", `{}`, 1))
	has("c", "", 0)
	// In order, within one change.
	ok(rule("d", `{"n":1}`, -1), rule("d", `{"n":2}`, 1), rule("d", `{"n":3}`, 0))
	has("d", `{"n":3}`, 3)
	refused(rule("e", `{}`, -1), rule("e", `{}`, -1))
	has("e", "", 0)
	ok(rule("d", "", 3), rule("d", `{"n":9}`, -1))
	has("d", `{"n":9}`, 1)
	ok(rule("f", `{}`, 0), rule("f", "", 1))
	has("f", "", 0)
	// Gone, and new again.
	refused(rule("a", "", 2))
	refused(rule("nothing", "", 1))
	ok(rule("a", "", 3))
	has("a", "", 0)
	ok(rule("a", "", 0)) // what is not there may be deleted
	refused(rule("a", `{}`, 3))
	ok(rule("a", `{}`, -1))
	has("a", `{}`, 1)
	// Kinds are apart; names and bytes are kept as they are.
	ok(store.RecordWrite{Kind: "cursor", ID: "a", Data: []byte("{ \"ü\" : [1.50, 1e3] }\n")})
	has("a", `{}`, 1)
	r, err := s.Get(ctx, "cursor", "a")
	if err != nil || string(r.Data) != "{ \"ü\" : [1.50, 1e3] }\n" {
		t.Errorf("the bytes of a record: %q, %v", r.Data, err)
	}
	odd := "it's \"odd\"/日本\\%_ "
	big := `{"s":"` + strings.Repeat("x", 1<<20) + `"}`
	ok(rule(odd, big, 0))
	has(odd, big, 1)
	// A change of other things leaves records alone.
	ok()
	has("d", `{"n":9}`, 1)
}

func pages(t *testing.T, s *suite) {
	ctx := context.Background()
	const n = 2500
	c := &store.Change{}
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("%d", i*7919%n)) // out of order
		c.Records = append(c.Records, store.RecordWrite{Kind: "rule", ID: ids[i], Data: []byte(ids[i])})
		c.Records = append(c.Records, store.RecordWrite{Kind: "ruler", ID: ids[i], Data: []byte("no")})
	}
	s.apply(1, c)
	slices.Sort(ids) // by bytes: 10 before 9
	var got []string
	for after := ""; len(got) <= n; {
		page, err := s.List(ctx, "rule", after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		if len(page) != min(1000, n-len(got)) {
			t.Errorf("a page of %d records after %d", len(page), len(got))
		}
		for _, r := range page {
			if r.Kind != "rule" || r.Version != 1 || string(r.Data) != r.ID {
				t.Fatalf("a page holds %+v", r)
			}
			got = append(got, r.ID)
		}
		after = page[len(page)-1].ID
	}
	equal(t, "all pages", ids, got)
	f := func(kind, after string, n int, want ...string) {
		t.Helper()
		page, err := s.List(ctx, kind, after, n)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range page {
			got = append(got, r.ID)
		}
		equal(t, fmt.Sprintf("list %s after %q, %d", kind, after, n), want, got)
	}
	f("rule", "", 3, "0", "1", "10")
	f("rule", "10", 2, "100", "1000") // after is not in the page
	f("rule", "1000x", 1, "1001")     // and need not be there
	f("rule", "999", 5)
	f("rule", "", 0)
	f("nothing", "", 5)
	s.apply(2, &store.Change{Records: []store.RecordWrite{{Kind: "rule", ID: "1"}, {Kind: "rule", ID: "00", Data: []byte("00")}}})
	f("rule", "", 4, "0", "00", "10", "100")
}
