package storetest

import (
	"context"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/lang/eql/eqltest"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// EQL stores the events of the EQL corpus and holds that event queries find what a real server found, in its order.
func EQL(t *testing.T, e Engine) {
	eqltest.RunEvents(t, "eql/queries/"+e.Name, func(t testing.TB, d *eqltest.Data) eqltest.Query {
		types := func(path string) (event.Type, bool) {
			f, ok := d.Fields.Field(path)
			return f.Type, ok && f.Path == path
		}
		db := e.open(t, types)
		c := &store.Change{At: commitTime(1)}
		for _, ev := range d.Events {
			c.Events = append(c.Events, ev.Clone())
		}
		if err := db.Apply(context.Background(), c); err != nil {
			t.Fatal(err)
		}
		if c.Outcome.Stored != len(d.Events) {
			t.Fatalf("%d of %d events were stored", c.Outcome.Stored, len(d.Events))
		}
		at, err := db.Latest(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return func(p plan.Node) ([]*event.Event, error) { return query(context.Background(), db, p, at) }
	})
}
