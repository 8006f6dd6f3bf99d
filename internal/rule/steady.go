package rule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// ErrChanged says that a file was written to while it was read: nobody knows which part of it is old.
var ErrChanged = errors.New("it changed while it was read: put a new file in its place instead of writing into it")

var errNotRegular = errors.New("it is no regular file")

// Steady reads a file that must not change meanwhile. It is not safe for concurrent use.
type Steady struct {
	file   fs.File
	before fs.FileInfo
	read   int64
}

// NewSteady returns a reader of the file, of most bytes at most.
func NewSteady(file fs.File, most int64) (*Steady, error) {
	before, err := file.Stat()
	switch {
	case err != nil:
		return nil, cause(err)
	case !before.Mode().IsRegular():
		return nil, errNotRegular
	case before.Size() > most:
		return nil, fmt.Errorf("it is larger than %d MiB", most>>20)
	}
	return &Steady{file: file, before: before}, nil
}

// Size is the number of bytes that the file had when it was opened.
func (s *Steady) Size() int64 { return s.before.Size() }

// Read reads on; one byte more than there was shows that the file grew.
func (s *Steady) Read(p []byte) (int, error) {
	if left := s.before.Size() + 1 - s.read; int64(len(p)) > left {
		p = p[:left]
	}
	if len(p) == 0 {
		return 0, io.EOF
	}
	n, err := s.file.Read(p)
	s.read += int64(n)
	return n, err
}

// Err returns ErrChanged if the file is another one than when it was opened; whole says that it was read to its end.
func (s *Steady) Err(whole bool) error {
	after, err := s.file.Stat()
	switch {
	case err != nil:
		return cause(err)
	case after.Size() != s.before.Size() || !after.ModTime().Equal(s.before.ModTime()) || whole && s.read != s.before.Size():
		return ErrChanged
	}
	return nil
}

// Data reads the whole of a regular file, of most bytes at most, which must not change meanwhile.
func (f File) Data(most int64) ([]byte, error) {
	if info, err := fs.Stat(f.tree, f.path); err == nil && !info.Mode().IsRegular() {
		return nil, errNotRegular // a pipe would wait for whoever writes
	}
	file, err := f.tree.Open(f.path)
	if err != nil {
		return nil, cause(err)
	}
	defer file.Close()
	steady, err := NewSteady(file, most)
	if err != nil {
		return nil, err
	}
	data := bytes.NewBuffer(make([]byte, 0, steady.Size()+bytes.MinRead))
	if _, err := data.ReadFrom(steady); err != nil {
		return nil, cause(err)
	}
	return data.Bytes(), steady.Err(true)
}
