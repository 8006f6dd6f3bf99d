package exec_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// TestEach holds that rows come in order, that an error ends them, and that what is counted is what comes.
func TestEach(t *testing.T) {
	var rows []exec.Stored
	for i := range 5 {
		e := &event.Event{ID: fmt.Sprint(i), Stream: "logs-a-default"}
		e.Set("user.name", event.String(fmt.Sprint("u", i%2)))
		rows = append(rows, exec.Stored{Event: e})
	}
	events := exec.NewSlice(rows)
	cond := expr.In{Field: expr.Field{Path: "user.name"}, Values: []event.Value{event.String("u0")}}
	streams := []string{"logs-*"}
	node := plan.Filter{Cond: cond, In: plan.Scan{Streams: streams}}
	ended := errors.New("enough")
	f := func(most int, want string, wantErr error) {
		t.Helper()
		got := ""
		err := exec.Each(context.Background(), events, node, store.Snapshot{}, func(e *event.Event) error {
			if got += e.ID; len(got) == most {
				return ended
			}
			return nil
		})
		if got != want || !errors.Is(err, wantErr) {
			t.Errorf("%q, %v; expected %q, %v", got, err, want, wantErr)
		}
	}
	f(9, "024", nil)
	f(2, "02", ended)
	if n, err := exec.CountOf(context.Background(), events, streams, cond, store.Snapshot{}); n != 3 || err != nil {
		t.Errorf("%d events, %v; expected 3", n, err)
	}
}
