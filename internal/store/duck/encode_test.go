package duck_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

// TestEncoder lays out more rows than any memory set aside for one chunk of them holds.
func TestEncoder(t *testing.T) {
	e, err := duck.NewEncoder(context.Background(), ecsTypes)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const n = 10_000
	var events []*event.Event
	for i := range n {
		ev := &event.Event{ID: fmt.Sprint(i), Stream: "logs"}
		ev.SetString("@timestamp", event.FormatTime(base))
		ev.SetString("user.name", strings.Repeat("u", i%100))
		ev.Set("related.user", event.List(event.String("a long name of somebody"), event.String(fmt.Sprint("another long name ", i))))
		ev.SetString("no.column", strings.Repeat("x", 300))
		events = append(events, ev)
	}
	for i := range 3 {
		if err := e.Encode(events); err != nil {
			t.Fatal(err)
		}
		if got := e.Rows(); got != int64(i+1)*n {
			t.Errorf("%d rows, expected %d", got, (i+1)*n)
		}
	}
}
