package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// KQL stores the documents of the KQL corpus and holds that queries find what a real server found: the rule queries over
// both sets of documents, the match cases and the probed answers.
func KQL(t *testing.T, e Engine) {
	engine := func(t testing.TB, m kqltest.Mapping, docs []*event.Event) kqltest.Query {
		return loadDocuments(t, e, m, docs)
	}
	t.Run("hits", func(t *testing.T) { kqltest.RunHits(t, kqltest.Plain, "kql/hits/"+e.Name, engine) })
	t.Run("hits of leaves", func(t *testing.T) { kqltest.RunHits(t, kqltest.Leaves, "kql/hits-leaves/"+e.Name, engine) })
	t.Run("matches", func(t *testing.T) { kqltest.RunMatches(t, "kql/match-cases/"+e.Name, engine) })
	t.Run("probes", func(t *testing.T) { kqltest.RunProbes(t, "kql/match-probed/"+e.Name, engine) })
}

// ownTime is where the @timestamp of a document of the corpus stands in the store. Few have one, some several, and the
// store wants exactly one: so all get one that no condition reads.
const ownTime = "corpus.timestamp"

func loadDocuments(t testing.TB, e Engine, m kqltest.Mapping, docs []*event.Event) kqltest.Query {
	t.Helper()
	types := func(path string) (event.Type, bool) {
		if path == ownTime {
			path = plan.Timestamp
		}
		f, ok := m.Field(path)
		return f.Type, ok && (f.Path == path && f.Type != event.Flattened || f.Root)
	}
	db := e.open(t, types)
	c := &store.Change{At: commitTime(1)}
	for i, d := range docs {
		d = d.Clone()
		d.Set(ownTime, d.Get(plan.Timestamp))
		d.Set(plan.Timestamp, event.String(fmt.Sprintf("2001-01-%02dT00:00:00.000Z", 1+i%3)))
		c.Events = append(c.Events, d)
	}
	if err := db.Apply(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	if c.Outcome.Stored != len(docs) {
		t.Fatalf("%d of %d documents were stored", c.Outcome.Stored, len(docs))
	}
	at, err := db.Latest(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return func(cond expr.Cond) ([]string, error) {
		p := plan.Project{In: plan.Filter{In: plan.Scan{}, Cond: readOwnTime(cond)}}
		rows, err := query(context.Background(), db, p, at)
		if err != nil {
			return nil, err
		}
		ids := make([]string, len(rows))
		for i, e := range rows {
			ids[i] = e.ID
		}
		return ids, nil
	}
}

// readOwnTime returns c reading ownTime in place of @timestamp.
func readOwnTime(c expr.Cond) expr.Cond {
	field := func(f expr.Field) expr.Field {
		if f.Path == plan.Timestamp {
			f.Path = ownTime
		}
		return f
	}
	return expr.Rewrite(c, func(c expr.Cond) expr.Cond {
		switch c := c.(type) {
		case expr.In:
			c.Field = field(c.Field)
			return c
		case expr.Range:
			c.Field = field(c.Field)
			return c
		case expr.Like:
			c.Field = field(c.Field)
			return c
		case expr.Words:
			c.Field = field(c.Field)
			return c
		case expr.Exists:
			c.Field = field(c.Field)
			return c
		}
		return c // KQL has no Cmp and no IsNull
	})
}
