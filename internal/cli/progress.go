package cli

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-sec/tocsin/internal/source"
)

// redrawEvery is how often the progress line changes.
const redrawEvery = 200 * time.Millisecond

// progress is a line at the foot of a terminal that says how far a command is. What is written through it appears above
// that line. Where it leads to no terminal there is no line, and writing is all that it does.
type progress struct {
	w      io.Writer
	screen screen
	now    func() time.Time

	mu     sync.Mutex
	status func() string // nil: nothing is going on
	shown  bool
	done   chan struct{}
	ended  sync.WaitGroup
}

// newProgress begins showing on w. Close ends it.
func (s Streams) newProgress() *progress {
	p := &progress{w: s.Err, now: s.Now, done: make(chan struct{})}
	held := s
	held.screen = nil
	if p.screen = held.screenOf(s.Err); p.screen.terminal {
		p.ended.Go(p.redraw)
	}
	return p
}

// show says what goes on from now on; status is called from another goroutine. Nil: nothing.
func (p *progress) show(status func() string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
	p.erase()
}

// Write writes above the line.
func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	return p.w.Write(b)
}

// Close takes the line away for good. It may be called twice.
func (p *progress) Close() {
	p.show(nil)
	select {
	case <-p.done:
	default:
		close(p.done)
	}
	p.ended.Wait()
}

func (p *progress) erase() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

func (p *progress) redraw() {
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		if p.status != nil {
			p.erase()
			line := p.status()
			if width := max(20, p.screen.width-1); len([]rune(line)) > width {
				line = string([]rune(line)[:width])
			}
			fmt.Fprint(p.w, line)
			p.shown = true
		}
		p.mu.Unlock()
	}
}

// reading says how far the loading of files is, from the moment when it is made on.
func (p *progress) reading(files func() source.Progress, events func() int64) func() string {
	began := p.now()
	return func() string { return readingLine(files(), events(), p.now().Sub(began)) }
}

// readingLine is the progress of a load: files, speed, time left.
func readingLine(f source.Progress, events int64, spent time.Duration) string {
	parts := []string{fmt.Sprintf("reading  %s of %s", thousands(int64(f.Objects)), counted(int64(f.ObjectsTotal), "file"))}
	known := f.BytesTotal > 0
	if f.ObjectsTotal > 0 && f.Objects == f.ObjectsTotal {
		return fmt.Sprintf("storing  %s from %s", counted(events, "event"), counted(int64(f.Objects), "file"))
	}
	if known {
		parts = append(parts, fmt.Sprintf("%d %%", 100*min(f.Bytes, f.BytesTotal)/f.BytesTotal))
	}
	if seconds := spent.Seconds(); seconds > 0 {
		parts = append(parts, fmt.Sprintf("%.1f MB/s", float64(f.Bytes)/1e6/seconds),
			thousands(int64(float64(events)/seconds))+" events/s")
		if known && f.Bytes > 0 {
			parts = append(parts, left(time.Duration(float64(spent)*float64(max(0, f.BytesTotal-f.Bytes))/float64(f.Bytes))))
		}
	}
	return strings.Join(parts, "   ")
}

// left says how much longer something takes.
func left(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d h %02d min left", int(d.Hours()), int(d.Minutes())%60)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%d min %02d s left", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d s left", int(d.Seconds()))
}
