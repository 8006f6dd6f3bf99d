// Package eqltest holds the recorded answers of a real server to EQL queries against whatever runs plans: the operators in
// Go, a store in memory, a database. It reads the corpus, gives the fields' types as the server had them, and counts what
// agrees. It is for tests.
//
//	func TestConformanceQueries(t *testing.T) {
//		eqltest.RunEvents(t, "eql/queries", func(t testing.TB, d *eqltest.Data) eqltest.Query {
//			db := load(t, d.Fields, d.Events)
//			return func(p plan.Node) ([]*event.Event, error) { return db.Rows(p) }
//		})
//	}
package eqltest

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Engine takes a set of events in and returns how to query it. It may be called several times in a test.
type Engine func(t testing.TB, d *Data) Query

// Query returns the rows of p in their order.
type Query func(p plan.Node) ([]*event.Event, error)

// Go is the engine that runs plans with package exec.
func Go(_ testing.TB, d *Data) Query {
	events := exec.Over(d.Events)
	return func(p plan.Node) ([]*event.Event, error) {
		rows, err := exec.Query(context.Background(), events, p, store.Snapshot{})
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		var out []*event.Event
		for rows.Next() {
			out = append(out, rows.Event())
		}
		return out, rows.Err()
	}
}

// Case is a query with the server's answer.
type Case struct {
	Name  string
	Query string
	// Want are the IDs of the events in their order, one list or several of which any may come out; -1 is an event that
	// is missing. Results of several events follow each other.
	Want [][]int
	Keys []string // of sequences and samples: the keys of the results, null as "null"
	Set  string   // the name of the set of events, for ReadData
	// Size is the number of samples or sequences asked for, PerKey that of one key.
	Size, PerKey int
}

// sets are the files of queries, with the events that they are about.
var sets = []struct{ file, data string }{
	{"test_queries.toml", "endgame-140"},
	{"additional_test_queries.toml", "endgame-140"},
	{"test_queries_date.toml", "endgame-140"},
	{"test_extra.toml", "extra"},
	{"test_missing_events.toml", "missing-events"},
	{"test_sample.toml", "sample"},
	{"test_sample_multi.toml", "sample-multi"},
}

// Dir is the folder of the corpus; without it the test is skipped.
func Dir(t testing.TB) string {
	t.Helper()
	return corpus.Dir(t, "corpus/eql/elasticsearch")
}

// Cases reads all cases of the corpus.
func Cases(t testing.TB) []Case {
	t.Helper()
	var out []Case
	for _, set := range sets {
		text, err := os.ReadFile(filepath.Join(Dir(t), set.file))
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Queries []struct {
				Name  string   `toml:"name"`
				Query string   `toml:"query"`
				Want  []any    `toml:"expected_event_ids"`
				Keys  []string `toml:"join_keys"`
				Size  *int     `toml:"size"`
				Per   int      `toml:"max_samples_per_key"`
			} `toml:"queries"`
		}
		if err := toml.Unmarshal(text, &file); err != nil {
			t.Fatalf("read %s: %v", set.file, err)
		}
		for _, q := range file.Queries {
			c := Case{Name: q.Name, Query: q.Query, Keys: q.Keys, Set: set.data, Size: 10, PerKey: max(q.Per, 1)}
			if q.Size != nil {
				c.Size = *q.Size
			}
			if len(q.Want) > 0 {
				if _, lists := q.Want[0].([]any); lists {
					for _, list := range q.Want {
						c.Want = append(c.Want, ids(t, list.([]any)))
					}
				}
			}
			if c.Want == nil {
				c.Want = [][]int{ids(t, q.Want)}
			}
			out = append(out, c)
		}
	}
	return out
}

func ids(t testing.TB, list []any) []int {
	t.Helper()
	out := make([]int, len(list))
	for i, v := range list {
		n, ok := v.(int64)
		if !ok {
			t.Fatalf("%v is no ID", v)
		}
		out[i] = int(n)
	}
	return out
}

// RunEvents runs the event queries of the corpus; the tally has the given name. Sequences and samples are lowered, and
// counted as skipped.
func RunEvents(t *testing.T, name string, engine Engine) {
	cases := Cases(t)
	tally := corpus.NewTally(t, name)
	data, queries := map[string]*Data{}, map[string]Query{}
	found := 0
	for _, c := range cases {
		d := data[c.Set]
		if d == nil {
			d = ReadData(t, c.Set)
			data[c.Set] = d
		}
		q, err := eql.Parse(c.Query)
		if err != nil {
			tally.Fail(c.Name, diag.Of(err).Render())
			continue
		}
		p, err := eql.Lower(q, eql.Options{Resolver: d.Fields})
		switch {
		case err != nil:
			tally.Fail(c.Name, diag.Of(err).Render())
			continue
		case p.Events == nil:
			tally.Skip(c.Name, "no event query")
			continue
		}
		if queries[c.Set] == nil {
			queries[c.Set] = engine(t, d)
		}
		rows, err := queries[c.Set](p.Plan(plan.Scan{}, d.Order()))
		if err != nil {
			tally.Fail(c.Name, err.Error())
			continue
		}
		got := make([]int, len(rows))
		for i, e := range rows {
			got[i] = d.Number(e)
		}
		if !slices.ContainsFunc(c.Want, func(want []int) bool { return slices.Equal(want, got) }) {
			tally.Fail(c.Name, "events (-want +got):\n"+cmp.Diff(c.Want[0], got)+strings.TrimSpace(c.Query))
			continue
		}
		tally.Pass()
		found += len(got)
	}
	if found == 0 {
		t.Error("no query found anything")
	}
}
