package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tocsin-sec/tocsin/internal/ingest"
	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/source"
	"github.com/tocsin-sec/tocsin/internal/source/file"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// loaded is what became of the files of a scan.
type loaded struct {
	ingest.Account
	files   int           // read to their end
	skipped []skippedFile // all others
	letters []ingest.DeadLetter
}

// skippedFile is a file that was not read, or not to its end.
type skippedFile struct {
	File   string `json:"file"`
	Offset *int64 `json:"offset,omitempty"` // in the unpacked content, where reading ended early
	Reason string `json:"reason"`

	failed bool // something is wrong with it; otherwise it is just none to be read
}

func (s skippedFile) String() string {
	if s.Offset != nil {
		return fmt.Sprintf("%s at offset %s: %s", s.File, thousands(*s.Offset), s.Reason)
	}
	return s.File + ": " + s.Reason
}

// bad reports whether some input was bad, or there was none.
func (l loaded) bad() bool {
	if l.RejectedTotal() > 0 || l.files == 0 {
		return true
	}
	for _, s := range l.skipped {
		if s.failed {
			return true
		}
	}
	return false
}

// headBytes is how much of a file is looked at to see what it holds.
const headBytes = 64 << 10

// input is a data set, and what is added to its events.
type input struct {
	set       normalize.DataSet
	enrichers []ingest.Enricher
}

// chooser says what a file holds that begins with head.
type chooser func(head []byte) input

// loading is what a load needs.
type loading struct {
	db       store.Writer
	choose   chooser
	clock    func() time.Time
	progress *progress
}

// load takes what paths lead to into the store. What is wrong with one file is told at once and stops no other; the error
// is that of the store, or ctx's.
func (l loading) load(ctx context.Context, paths []string, stdin io.Reader) (loaded, error) {
	var out loaded
	reader, err := file.Open(ctx, paths, stdin)
	if err != nil {
		return out, err
	}
	defer reader.Close()
	reader.ByDelivery(delivered)
	watched := &letterWatch{Writer: l.db}
	first := l.choose(nil)
	loader := ingest.New(watched, first.set, first.enrichers, ingest.Options{Clock: l.clock, BatchEvents: batchEvents})
	l.progress.show(l.progress.reading(reader.Progress, loader.Seen))
	defer l.progress.show(nil)
	err = l.each(ctx, reader, loader, &out)
	if closed := loader.Close(ctx); err == nil {
		err = closed
	}
	out.Account = loader.Account()
	out.letters = watched.first
	return out, err
}

// each loads the objects of reader one after the other.
func (l loading) each(ctx context.Context, reader source.Reader, loader *ingest.Loader, out *loaded) error {
	for {
		o, err := reader.Next(ctx)
		var problem *source.Problem
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, &problem):
			l.skip(out, skippedProblem(problem))
			continue
		case err != nil:
			return err
		}
		body := bufio.NewReaderSize(o.Body, headBytes)
		head, _ := body.Peek(headBytes) // what is wrong with the file shows when it is read
		is := l.choose(head)
		loader.Use(is.set, is.enrichers)
		err = loader.Object(ctx, o.Name, body)
		o.Body.Close()
		var broken *normalize.ObjectError
		switch {
		case err == nil:
			out.files++
		case ctx.Err() != nil: // the reader's end looks like a broken file
			return ctx.Err()
		case errors.As(err, &broken):
			l.skip(out, skippedFile{File: broken.Object, Offset: &broken.Offset, Reason: broken.Reason + ": " + cause(broken.Err), failed: true})
		default:
			return err
		}
	}
}

func (l loading) skip(out *loaded, s skippedFile) {
	out.skipped = append(out.skipped, s)
	if s.failed {
		fmt.Fprintln(l.progress, "tocsin:", printable(s.String()))
	}
}

func skippedProblem(p *source.Problem) skippedFile {
	s := skippedFile{File: p.Name, Reason: p.Reason, failed: !p.Skipped}
	switch {
	case p.Err != nil && s.Reason == "":
		s.Reason = cause(p.Err)
	case p.Err != nil:
		s.Reason += ": " + cause(p.Err)
	}
	return s
}

// cause is what err says without the name of the file, which is told already.
func cause(err error) string {
	var read *source.ReadError
	if errors.As(err, &read) {
		return fmt.Sprintf("%v (after %s of the file as it is stored)", read.Err, counted(read.Packed, "byte"))
	}
	return err.Error()
}

// maxLetters bounds the rejected records that are told one by one.
const maxLetters = 20

// letterWatch hands changes on and remembers the first dead letters among them.
type letterWatch struct {
	store.Writer
	first []ingest.DeadLetter
}

// Apply applies c.
func (w *letterWatch) Apply(ctx context.Context, c *store.Change) error {
	if err := w.Writer.Apply(ctx, c); err != nil {
		return err
	}
	for _, r := range c.Records {
		if len(w.first) == maxLetters {
			break
		}
		var letter ingest.DeadLetter
		if r.Kind != ingest.DeadLetterKind {
			continue
		}
		if err := json.Unmarshal(r.Data, &letter); err != nil {
			return fmt.Errorf("decode dead letter %s: %w", r.ID, err)
		}
		w.first = append(w.first, letter)
	}
	return nil
}
