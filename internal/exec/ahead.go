package exec

import (
	"context"
	"sync"
)

// ahead reads the rows of a cursor in a goroutine of its own, a few batches ahead of who asks for them: reading and what is
// done with the rows take turns on one processor no longer.
type ahead struct {
	in      cursor
	batches chan []row
	stop    context.CancelFunc
	ended   sync.WaitGroup
	err     error // of in, once batches is closed
	batch   []row
}

// Rows are handed on in batches of aheadRows, of which at most one waits.
const aheadRows = 512

func readAhead(ctx context.Context, in cursor) *ahead {
	a := &ahead{in: in, batches: make(chan []row, 1)}
	ctx, a.stop = context.WithCancel(ctx)
	a.ended.Go(func() {
		defer close(a.batches)
		for more := true; more; {
			batch := make([]row, 0, aheadRows)
			for more && len(batch) < aheadRows {
				var r row
				if r, more, a.err = in.next(); more && a.err == nil {
					batch = append(batch, r)
				}
				more = more && a.err == nil
			}
			select {
			case a.batches <- batch:
			case <-ctx.Done():
				if a.err == nil {
					a.err = ctx.Err()
				}
				return
			}
		}
	})
	return a
}

func (a *ahead) next() (row, bool, error) {
	for len(a.batch) == 0 {
		batch, more := <-a.batches
		if !more {
			a.ended.Wait()
			return row{}, false, a.err
		}
		a.batch = batch
	}
	r := a.batch[0]
	a.batch[0] = row{}
	a.batch = a.batch[1:]
	return r, true, nil
}

func (a *ahead) close() error {
	a.stop()
	a.ended.Wait()
	a.batch = nil
	return a.in.close()
}
