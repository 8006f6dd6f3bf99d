// Package file reads objects from files, folders and standard input.
//
// A path is a file, a folder (every file in it and below it, sorted by path, unless ByDelivery is called) or "-", standard
// input. Links are followed; a folder that was read already, by whatever way, is not read again. What is no regular file or
// does not begin as JSON is skipped with a reason, what cannot be read is a problem of its own, and the rest goes on.
//
//	r, err := file.Open(ctx, []string{"trail/", "-"}, os.Stdin)
//
// It splits no records and changes no file.
package file

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tocsin-sec/tocsin/internal/source"
)

// StandardInput is the path that stands for standard input, and the name of its object.
const StandardInput = "-"

// entry is one thing that a path led to: an object, or a problem.
type entry struct {
	name    string
	size    int64
	problem *source.Problem
}

// Reader reads the objects of paths. See source.Reader.
type Reader struct {
	entries []entry
	stdin   io.Reader
	next    int
	open    *body

	done, bytes atomic.Int64
	total       int64 // -1: nobody knows
}

var _ source.Reader = (*Reader)(nil)

// Open looks through paths and returns a reader of what they lead to. stdin is read where a path is StandardInput; it may
// be nil otherwise. Only a cancelled ctx is an error: a path that leads nowhere is a problem that Next returns.
func Open(ctx context.Context, paths []string, stdin io.Reader) (*Reader, error) {
	f := finder{ctx: ctx, folders: map[string]string{}, files: map[string]string{}}
	for _, p := range paths {
		if err := f.path(p); err != nil {
			return nil, err
		}
	}
	r := &Reader{entries: f.entries, stdin: stdin}
	for _, e := range f.entries {
		if e.problem != nil {
			continue
		}
		if e.size < 0 {
			r.total = -1
			break
		}
		r.total += e.size
	}
	return r, nil
}

// ByDelivery puts the objects that are still to be read in the order in which they were delivered, as delivered tells of
// their names; those of which it does not (the zero time) come first, and equal ones stay as they are. An archive is
// sorted by account and region before the day: read by its paths, each commit would hold some events of every day.
func (r *Reader) ByDelivery(delivered func(name string) time.Time) {
	type timed struct {
		entry
		at time.Time
	}
	rest := make([]timed, 0, len(r.entries)-r.next)
	for _, e := range r.entries[r.next:] {
		rest = append(rest, timed{e, delivered(e.name)})
	}
	slices.SortStableFunc(rest, func(a, b timed) int { return a.at.Compare(b.at) })
	for i, e := range rest {
		r.entries[r.next+i] = e.entry
	}
}

// Next returns the next object: see source.Reader.
func (r *Reader) Next(ctx context.Context) (*source.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.open != nil {
		r.open.Close()
	}
	if r.next == len(r.entries) {
		return nil, io.EOF
	}
	e := r.entries[r.next]
	r.entries[r.next] = entry{} // a long list of names need not be kept
	r.next++
	if e.problem != nil {
		r.done.Add(1)
		return nil, e.problem
	}
	b, err := r.body(ctx, e)
	if err != nil {
		r.done.Add(1)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	r.open = b
	return &source.Object{Name: e.name, Size: e.size, Body: b}, nil
}

// body opens what an entry leads to. The error is a *source.Problem.
func (r *Reader) body(ctx context.Context, e entry) (*body, error) {
	b := &body{ctx: ctx, reader: r, size: e.size}
	if e.name == StandardInput {
		b.from, b.closer = r.fromInput(ctx)
	} else {
		f, err := os.Open(e.name)
		if err != nil {
			return nil, failed(e.name, err)
		}
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			f.Close()
			return nil, &source.Problem{Name: e.name, Skipped: true, Reason: "it is no regular file any more"}
		}
		b.from, b.closer = f, f
	}
	unpacked, err := source.Unpack(e.name, (*packed)(b))
	if err != nil {
		b.release()
		return nil, &source.Problem{Name: e.name, Err: err}
	}
	b.unpacked = unpacked
	why, err := unpacked.Why()
	switch {
	case err != nil:
		b.release()
		return nil, &source.Problem{Name: e.name, Err: err}
	case why != "":
		b.release()
		return nil, &source.Problem{Name: e.name, Skipped: true, Reason: why}
	}
	return b, nil
}

// fromInput reads standard input so that a cancelled ctx ends a read that waits: the input itself cannot be woken.
func (r *Reader) fromInput(ctx context.Context) (io.Reader, io.Closer) {
	if r.stdin == nil {
		return eof{}, eof{}
	}
	out, in := io.Pipe()
	stop := context.AfterFunc(ctx, func() { out.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.Copy(in, r.stdin)
		stop()
		in.CloseWithError(err)
	}()
	return out, out
}

// eof is an input that holds nothing.
type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
func (eof) Close() error             { return nil }

// Progress says how far the reading is: see source.Reader.
func (r *Reader) Progress() source.Progress {
	return source.Progress{Objects: int(r.done.Load()), ObjectsTotal: len(r.entries), Bytes: r.bytes.Load(), BytesTotal: r.total}
}

// Close closes the object that is being read.
func (r *Reader) Close() error {
	r.next = len(r.entries)
	if r.open != nil {
		return r.open.Close()
	}
	return nil
}

// body is the content of the object that is being read.
type body struct {
	ctx      context.Context
	reader   *Reader
	size     int64
	from     io.Reader
	closer   io.Closer
	unpacked *source.Unpacked
	read     int64 // packed bytes
	closed   bool
}

// packed is a body read as it is stored: it counts, and ends when ctx does.
type packed body

func (p *packed) Read(buf []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.from.Read(buf)
	p.read += int64(n)
	p.reader.bytes.Add(int64(n))
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return n, err
}

func (b *body) Read(p []byte) (int, error) {
	if b.closed {
		return 0, fs.ErrClosed
	}
	return b.unpacked.Read(p)
}

func (b *body) Close() error {
	if b.closed {
		return nil
	}
	b.reader.open = nil
	b.reader.done.Add(1)
	return b.release()
}

// release closes the file and counts as read what of it was left.
func (b *body) release() error {
	b.closed = true
	if b.unpacked != nil {
		b.unpacked.Close()
	}
	if left := b.size - b.read; left > 0 {
		b.reader.bytes.Add(left)
	}
	return b.closer.Close()
}

// failed is the problem that an error of the file system makes.
func failed(name string, err error) *source.Problem {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return &source.Problem{Name: name, Err: err}
}
