// Package source is the contract between places that hold logs and whoever loads them: a Reader hands out objects (files,
// S3 objects), one after the other, each as the plain bytes of its content, and says what it could not hand out.
//
// It also knows what all such places have in common: content is unpacked by what it is, not by what it is called (Unpack),
// and what is not JSON is passed over. It splits no records and keeps no state between loads; an object is named so that
// a later load can know it again.
//
//	for {
//		o, err := r.Next(ctx)
//		if problem := new(source.Problem); errors.As(err, &problem) {
//			report(problem) // this one alone; the next may be fine
//			continue
//		} else if err != nil {
//			break // io.EOF at the end
//		}
//		err = load(o.Name, o.Body)
//		o.Body.Close()
//	}
package source

import (
	"context"
	"fmt"
	"io"
)

// Reader hands out objects in an order that is the same each time. Next and Close are called by one goroutine, Progress by
// any.
type Reader interface {
	// Next returns the next object, whose Body the caller closes before it calls Next again. A *Problem concerns one
	// object alone, and Next goes on behind it; io.EOF is the end; any other error ends the reading, ctx.Err() after ctx
	// was cancelled, which also ends the Body that is being read.
	Next(ctx context.Context) (*Object, error)
	// Progress says how far the reading is.
	Progress() Progress
	// Close frees what the reader holds. It may be called twice.
	Close() error
}

// Object is one thing that holds records.
type Object struct {
	// Name is what the object is called, the same in each load.
	Name string
	// Size is its size as it is stored, in bytes; -1 where nobody knows.
	Size int64
	// Body is its content, unpacked. Reading fails with a *ReadError; what was read before stays good.
	Body io.ReadCloser
}

// Progress is how far a reader is. Bytes are those of the objects as they are stored.
type Progress struct {
	Objects, ObjectsTotal int   // done, skipped ones too; and of how many
	Bytes, BytesTotal     int64 // read; and of how many. BytesTotal is -1 where nobody knows
}

// Problem says why an object was not handed out.
type Problem struct {
	Name string
	// Skipped says that the object is none to be read (not JSON, no regular file); otherwise reading it failed.
	Skipped bool
	Reason  string // for a person
	Err     error  // what happened, nil where nothing failed
}

// Error says which object and why.
func (p *Problem) Error() string {
	verb := "read"
	if p.Skipped {
		verb = "skip"
	}
	if p.Err == nil {
		return fmt.Sprintf("%s %s: %s", verb, p.Name, p.Reason)
	}
	if p.Reason == "" {
		return fmt.Sprintf("%s %s: %v", verb, p.Name, p.Err)
	}
	return fmt.Sprintf("%s %s: %s: %v", verb, p.Name, p.Reason, p.Err)
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Err }

// ReadError says that an object's content ended early.
type ReadError struct {
	Name   string
	Packed int64  // how many bytes of the object as it is stored had been read
	Format Format // what was being unpacked
	Err    error
}

// Error says which object, where and why.
func (e *ReadError) Error() string {
	if e.Format == Plain {
		return fmt.Sprintf("read %s after %d bytes: %v", e.Name, e.Packed, e.Err)
	}
	return fmt.Sprintf("unpack %s (%s) after %d bytes: %v", e.Name, e.Format, e.Packed, e.Err)
}

// Unwrap returns the cause.
func (e *ReadError) Unwrap() error { return e.Err }
