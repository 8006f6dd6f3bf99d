package duck

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// TestEncoder lays out many chunks of rows, of which DuckDB is handed none.
func TestEncoder(t *testing.T) {
	ctx := context.Background()
	e, err := NewEncoder(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const n = 10_000
	var events []*event.Event
	for i := range n {
		ev := &event.Event{ID: fmt.Sprint(i), Stream: "logs"}
		ev.SetString("@timestamp", event.FormatTime(time.UnixMilli(int64(i))))
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
	if err := e.rw.app.flush(); err != nil { // the last chunk
		t.Fatal(err)
	}
	c, err := e.db.take()
	if err != nil {
		t.Fatal(err)
	}
	var held int64
	err = c.each(ctx, "SELECT count(*) FROM "+catalogName+"."+e.rw.seg.table(), func(cols []vector, _ int) error {
		held = cols[0].int64(0)
		return nil
	})
	if err != nil || held == 0 || held >= chunkRows {
		t.Errorf("DuckDB holds %d rows, expected the last chunk's (%v)", held, err)
	}
}
