package exec

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// counting gives n rows, then err, and blocks before row stuck until ctx ends.
type counting struct {
	ctx    context.Context
	n      int
	stuck  int // 0: never
	err    error
	given  int
	closed bool
}

func (c *counting) next() (row, bool, error) {
	if c.closed {
		return row{}, false, errors.New("read after close")
	}
	if c.stuck > 0 && c.given == c.stuck {
		<-c.ctx.Done()
		return row{}, false, c.ctx.Err()
	}
	if c.given == c.n {
		return row{}, false, c.err
	}
	c.given++
	return row{e: &event.Event{ID: fmt.Sprint(c.given)}}, true, nil
}

func (c *counting) close() error {
	c.closed = true
	return nil
}

// TestReadAhead holds that rows read ahead come all and in order, that the error of the rows or of the context ends them, and that
// nothing goes on reading after close.
func TestReadAhead(t *testing.T) {
	broken := errors.New("broken")
	f := func(name string, n, stuck int, fails error, cancel bool, stop, want int, wantErr error) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			defer end()
			in := &counting{ctx: ctx, n: n, stuck: stuck, err: fails}
			a := readAhead(ctx, in)
			if cancel {
				synctest.Wait()
				end()
				synctest.Wait()
			}
			got := 0
			var err error
			for stop < 0 || got < stop {
				r, more, failed := a.next()
				if err = failed; !more || failed != nil {
					break
				}
				if got++; r.e.ID != fmt.Sprint(got) {
					t.Fatalf("%s: row %d is %s", name, got, r.e.ID)
				}
			}
			if got != want && !(cancel && got < want) || !errors.Is(err, wantErr) { // who cancels may lose what was read
				t.Errorf("%s: %d rows, %v; expected %d, %v", name, got, err, want, wantErr)
			}
			if in.given > want+3*aheadRows {
				t.Errorf("%s: %d rows are read for %d", name, in.given, want)
			}
			if err := a.close(); err != nil || !in.closed {
				t.Errorf("%s: %v, closed: %t", name, err, in.closed)
			}
		})
	}
	f("none", 0, 0, nil, false, -1, 0, nil)
	f("fewer than a batch", 3, 0, nil, false, -1, 3, nil)
	f("a batch", aheadRows, 0, nil, false, -1, aheadRows, nil)
	f("many", 10*aheadRows+1, 0, nil, false, -1, 10*aheadRows+1, nil)
	f("an error after rows", 700, 0, broken, false, -1, 700, broken)
	f("an error at once", 0, 0, broken, false, -1, 0, broken)
	f("closed early", 100*aheadRows, 0, nil, false, 5, 5, nil)
	f("cancelled while batches wait", 100*aheadRows, 0, nil, true, -1, aheadRows, context.Canceled)
	f("cancelled while nothing comes", 100*aheadRows, 10, nil, true, -1, 10, context.Canceled)
}
