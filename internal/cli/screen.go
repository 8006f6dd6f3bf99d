package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/term"
)

// screen is where results go: a terminal of some width, or a file or pipe, where lines have no end.
type screen struct {
	terminal bool
	colour   bool
	width    int // in cells; 0: as wide as it takes
}

// screenOf finds out what w is. NO_COLOR and a dumb terminal take the colours away.
func (s Streams) screenOf(w io.Writer) screen {
	if s.screen != nil {
		return *s.screen
	}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return screen{}
	}
	sc := screen{terminal: true, colour: s.Getenv("NO_COLOR") == "" && s.Getenv("TERM") != "dumb"}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil {
		sc.width = width
	}
	return sc
}

// results buffers what is written to w; close it to learn whether everything arrived.
type results struct {
	*bufio.Writer
	screen
}

func (s Streams) results() *results {
	return &results{Writer: bufio.NewWriterSize(s.Out, 64<<10), screen: s.screenOf(s.Out)}
}

// close flushes. A reader that went away, such as head, is no error: it had what it wanted.
func (r *results) close() error {
	if err := r.Flush(); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, io.ErrClosedPipe) {
		return fmt.Errorf("write the results: %w", err)
	}
	return nil
}
