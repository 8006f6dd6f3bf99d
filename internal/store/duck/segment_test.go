package duck

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

func openHere(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestGenerations holds that a column whose path holds lists more and more becomes a column of lists in new segments, and
// that queries read both generations alike.
func TestGenerations(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "store")
	s := openHere(t, path)
	day := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
	commit := func(n int, v event.Value) {
		t.Helper()
		c := &store.Change{At: day.Add(time.Duration(n) * time.Second)}
		for i := range 1000 {
			e := &event.Event{ID: fmt.Sprint(n, "-", i), Stream: "logs"}
			e.SetString("@timestamp", event.FormatTime(day))
			e.Set("user.name", v)
			c.Events = append(c.Events, e)
		}
		if err := s.Apply(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	layouts := func() (lists []bool) {
		for _, g := range s.catalog.Load().segments {
			lists = append(lists, g.layout.columns[g.layout.byPath["user.name"]].List)
		}
		return lists
	}
	commit(1, event.String("ann"))
	commit(2, event.Strings("ann", "bob"))
	if got := layouts(); !slices.Equal(got, []bool{false}) {
		t.Fatalf("columns of lists after the first lists: %v", got)
	}
	commit(3, event.Strings("bob", "cid"))
	commit(4, event.String("dan"))
	if got := layouts(); !slices.Equal(got, []bool{false, true}) {
		t.Fatalf("columns of lists after more of them: %v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openHere(t, path)
	commit(5, event.Strings("ann"))
	if got := layouts(); !slices.Equal(got, []bool{false, true}) {
		t.Fatalf("columns of lists after opening again: %v", got)
	}
	field := expr.Field{Path: "user.name"}
	count := func(name string) int {
		t.Helper()
		rows, err := s.Query(ctx, plan.Filter{In: plan.Scan{}, Cond: expr.In{Field: field, Values: []event.Value{event.String(name)}}},
			store.Snapshot{Seq: 9})
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		n := 0
		for rows.Next() {
			n++
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for name, want := range map[string]int{"ann": 3000, "bob": 2000, "cid": 1000, "dan": 1000, "eve": 0} {
		if n := count(name); n != want {
			t.Errorf("%s: %d events, want %d", name, n, want)
		}
	}
}

// TestHardened holds that SQL reaches no file and no setting once a store is open.
func TestHardened(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	s := openHere(t, filepath.Join(dir, "store"))
	for sql, want := range map[string]string{
		"SELECT * FROM read_csv('/etc/passwd')":             "disabled by configuration",
		"SELECT * FROM '/etc/passwd'":                       "",
		"COPY (SELECT 1) TO '" + dir + "/out'":              "disabled by configuration",
		"ATTACH '" + dir + "/other'":                        "disabled by configuration",
		"INSTALL httpfs":                                    "disabled",
		"LOAD httpfs":                                       "disabled",
		"SET enable_external_access = true":                 "Cannot",
		"SET memory_limit = '10GB'":                         "locked",
		"PRAGMA temp_directory='/tmp/elsewhere'":            "locked",
		"SELECT * FROM glob('/etc/*')":                      "disabled by configuration",
		"EXPORT DATABASE '" + dir + "/export'":              "disabled by configuration",
		"CREATE SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')": "",
	} {
		err := s.read(ctx, sql, func([]vector, int) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", sql, err, want)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) > 2 {
		t.Errorf("files were made: %q", files)
	}
}

// TestForeign holds that a DuckDB file of somebody else is refused, as is a store of another version.
func TestForeign(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	f := func(name, want string, statements ...string) {
		t.Helper()
		path := filepath.Join(dir, name)
		db, err := openDatabase(nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := db.take()
		if err != nil {
			t.Fatal(err)
		}
		for _, sql := range append([]string{"ATTACH '" + path + "' AS x", "USE x"}, statements...) {
			if err := c.exec(ctx, sql); err != nil {
				t.Fatal(err)
			}
		}
		db.close()
		s, err := Open(ctx, path, Options{})
		if err == nil {
			s.Close()
			t.Errorf("%s was opened", name)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	f("tables", "no Tocsin store", "CREATE TABLE t (a INTEGER)")
	f("meta", "no Tocsin store", "CREATE TABLE meta (a INTEGER)")
	f("empty", "no Tocsin store", "CREATE TABLE meta (version INTEGER)")
	f("later", "version 99", "CREATE TABLE meta (version INTEGER, seq UBIGINT, committed BIGINT, next_segment BIGINT)", "INSERT INTO meta VALUES (99, 0, 0, 1)")
}
