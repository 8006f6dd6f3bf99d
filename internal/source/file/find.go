package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"github.com/tocsin-sec/tocsin/internal/source"
)

// finder lists what paths lead to.
type finder struct {
	ctx     context.Context
	entries []entry
	folders map[string]string // by real path: the name under which the folder was listed
	files   map[string]string // the same of files that were named one by one
}

func (f *finder) skip(name, reason string) {
	f.entries = append(f.entries, entry{name: name, problem: &source.Problem{Name: name, Skipped: true, Reason: reason}})
}

func (f *finder) fail(name string, err error) {
	f.entries = append(f.entries, entry{name: name, problem: failed(name, err)})
}

// path lists one path of the user's. The error is ctx's.
func (f *finder) path(name string) error {
	if name == StandardInput {
		if _, twice := f.files[name]; twice {
			f.skip(name, "standard input is read already")
			return nil
		}
		f.files[name] = name
		f.entries = append(f.entries, entry{name: name, size: -1})
		return nil
	}
	begin := len(f.entries)
	name = filepath.Clean(name)
	info, err := os.Stat(name)
	if err != nil {
		f.fail(name, err)
		return nil
	}
	real, err := filepath.EvalSymlinks(name)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		f.fail(name, err)
		return nil
	}
	if !info.IsDir() {
		if before, twice := f.files[real]; twice {
			f.skip(name, "it is read already, as "+before)
			return nil
		}
		if folder, listed := f.folders[filepath.Dir(real)]; listed {
			f.skip(name, "it is read already, in "+folder)
			return nil
		}
		f.files[real] = name
		f.file(name, info)
		return nil
	}
	if err := f.folder(name, real); err != nil {
		return err
	}
	found := f.entries[begin:]
	sort.SliceStable(found, func(i, j int) bool { return found[i].name < found[j].name })
	return nil
}

// folder lists what lies in a folder and below it. real is its path without links.
func (f *finder) folder(name, real string) error {
	if err := f.ctx.Err(); err != nil {
		return fmt.Errorf("list %s: %w", name, err)
	}
	if before, twice := f.folders[real]; twice {
		f.skip(name, "the folder is read already, as "+before)
		return nil
	}
	f.folders[real] = name
	// What could be listed before an error is used.
	children, err := os.ReadDir(name)
	for _, c := range children {
		if err := f.child(filepath.Join(name, c.Name()), filepath.Join(real, c.Name()), c.Type()); err != nil {
			return err
		}
	}
	if err != nil {
		f.fail(name, err)
	}
	return nil
}

// child lists one entry of a folder.
func (f *finder) child(name, real string, mode fs.FileMode) error {
	if mode.IsDir() {
		return f.folder(name, real)
	}
	info, err := os.Stat(name)
	if err != nil {
		switch {
		case mode&fs.ModeSymlink == 0:
			f.fail(name, err)
		case errors.Is(err, fs.ErrNotExist):
			f.skip(name, "it is a link that leads nowhere")
		default:
			f.skip(name, "it is a link that cannot be followed: "+failed(name, err).Err.Error())
		}
		return nil
	}
	if mode&fs.ModeSymlink != 0 {
		if real, err = filepath.EvalSymlinks(name); err == nil {
			real, err = filepath.Abs(real)
		}
		if err != nil {
			f.fail(name, err)
			return nil
		}
		if info.IsDir() {
			return f.folder(name, real)
		}
	}
	if before, twice := f.files[real]; twice {
		f.skip(name, "it is read already, as "+before)
		return nil
	}
	f.file(name, info)
	return nil
}

func (f *finder) file(name string, info fs.FileInfo) {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		f.entries = append(f.entries, entry{name: name, size: info.Size()})
	case mode&fs.ModeNamedPipe != 0:
		f.skip(name, "it is a pipe")
	case mode&fs.ModeSocket != 0:
		f.skip(name, "it is a socket")
	case mode&fs.ModeDevice != 0:
		f.skip(name, "it is a device")
	default:
		f.skip(name, "it is no regular file")
	}
}
