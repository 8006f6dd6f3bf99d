package duck_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// TestCancelAtOnce cancels changes and queries at whatever statement they have come to, the first one above all: none may
// leave a transaction open, in which nothing that comes later could run.
func TestCancelAtOnce(t *testing.T) {
	db := open(t)
	cancelled := 0
	for i := range 1_500 {
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			for range i % 50 * 20 {
				_ = ctx.Err() // a little later each time
			}
			cancel()
		}()
		at, err := db.Latest(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			err = db.Apply(ctx, &store.Change{At: time.Unix(int64(i), 0), Records: []store.RecordWrite{{Kind: "k", ID: "id", Data: []byte(`{}`)}}})
		} else if rows, failed := db.Query(ctx, plan.Scan{}, at); failed != nil {
			err = failed
		} else {
			rows.Close()
		}
		switch {
		case errors.Is(err, context.Canceled):
			cancelled++
		case err != nil:
			t.Fatalf("round %d: %v", i, err)
		}
		cancel()
	}
	if cancelled == 0 {
		t.Error("nothing was cancelled")
	}
	if err := db.Apply(context.Background(), &store.Change{At: time.Unix(10_000, 0)}); err != nil {
		t.Fatal(err)
	}
}
