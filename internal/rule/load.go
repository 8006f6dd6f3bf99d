package rule

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// MaxFile is the greatest size of a rule file, in bytes.
const MaxFile = 4 << 20

// Set is what was found in files and folders: the rules that could be read, in the order of their files, and what was
// wrong with the others.
type Set struct {
	Rules    []*Rule
	Problems diag.List
	// Files counts the rule files that were found, bad ones included.
	Files int
}

// ReadFile reads the rule in the file called name. The error is a diag.List.
func ReadFile(name string) (*Rule, error) {
	folder, base := filepath.Split(filepath.Clean(name))
	if folder == "" {
		folder = "."
	}
	return readFile(os.DirFS(folder), base, name)
}

// Load reads the rules of files and of folders: of a folder every *.toml in it and below it, sorted by path. A file that
// is found twice is read once. What is wrong with one file does not stop the others; of two rules with the same rule_id
// the first is kept.
func Load(names ...string) Set {
	l := loader{ids: map[string]string{}, read: map[string]bool{}}
	for _, name := range names {
		info, err := os.Stat(name)
		switch {
		case err != nil:
			l.problem(codeUnreadable, name, "", "the path cannot be read: %v", cause(err))
		case info.IsDir():
			l.folder(os.DirFS(name), ".", func(p string) string { return filepath.Join(name, filepath.FromSlash(p)) })
		default:
			l.once(name, func() (*Rule, error) { return ReadFile(name) })
		}
	}
	return l.set
}

// LoadFS reads the rules of tree as Load does: every *.toml in it, sorted by path.
func LoadFS(tree fs.FS) Set {
	l := loader{ids: map[string]string{}, read: map[string]bool{}}
	l.folder(tree, ".", func(p string) string { return p })
	return l.set
}

type loader struct {
	set  Set
	ids  map[string]string // file by rule_id
	read map[string]bool   // by name
}

func (l *loader) problem(code, file, hint, format string, args ...any) {
	l.set.Problems = append(l.set.Problems, diag.Diagnostic{Code: code, File: file, Message: fmt.Sprintf(format, args...), Hint: hint})
}

// folder reads the rule files of tree; title is what a file of tree is called outside of it.
func (l *loader) folder(tree fs.FS, root string, title func(string) string) {
	found, before := false, len(l.set.Problems)
	err := fs.WalkDir(tree, root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			l.problem(codeUnreadable, title(p), "", "the path cannot be read: %v", cause(err))
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
		case !d.IsDir() && path.Ext(p) == ".toml":
			found = true
			l.once(title(p), func() (*Rule, error) { return readFile(tree, p, title(p)) })
		}
		return nil
	})
	if err != nil {
		l.problem(codeUnreadable, title(root), "", "the folder cannot be read: %v", cause(err))
	} else if !found && len(l.set.Problems) == before {
		l.problem(codeNoRules, title(root), "rule files are called *.toml", "the folder holds no rule file")
	}
}

func (l *loader) once(name string, read func() (*Rule, error)) {
	key := name
	if full, err := filepath.Abs(name); err == nil {
		key = full
	}
	if l.read[key] {
		return
	}
	l.read[key] = true
	l.set.Files++
	r, err := read()
	if err != nil {
		l.set.Problems = append(l.set.Problems, diag.Of(err)...)
		return
	}
	if first, taken := l.ids[r.RuleID]; taken {
		d := diag.Diagnostic{Code: codeTwice, File: name, Text: r.text, Message: fmt.Sprintf("rule_id %q is taken", short(r.RuleID)),
			Hint: fmt.Sprintf("the rule in %s has it; give this one its own", first)}
		if p, ok := places(r.text)[join(join("", "rule"), "rule_id")]; ok {
			d.Span = p.value
		}
		l.set.Problems = append(l.set.Problems, d)
		return
	}
	l.ids[r.RuleID] = name
	l.set.Rules = append(l.set.Rules, r)
}

// readFile reads the rule file p of tree, which diagnostics call name.
func readFile(tree fs.FS, p, name string) (*Rule, error) {
	bad := func(code, format string, args ...any) error {
		return diag.List{{Code: code, File: name, Message: fmt.Sprintf(format, args...)}}
	}
	info, err := fs.Stat(tree, p)
	if err != nil {
		return nil, bad(codeUnreadable, "the file cannot be read: %v", cause(err))
	}
	if !info.Mode().IsRegular() {
		return nil, bad(codeUnreadable, "the file cannot be read: it is no regular file")
	}
	f, err := tree.Open(p)
	if err != nil {
		return nil, bad(codeUnreadable, "the file cannot be read: %v", cause(err))
	}
	defer f.Close()
	var data bytes.Buffer
	n, err := data.ReadFrom(io.LimitReader(f, MaxFile+1))
	switch {
	case err != nil:
		return nil, bad(codeUnreadable, "the file cannot be read: %v", cause(err))
	case n > MaxFile:
		return nil, bad(codeTooLarge, "the file is larger than %d MiB", MaxFile>>20)
	}
	return Parse(name, data.Bytes())
}

// cause strips the operation and the path from an error of the file system: the diagnostic names the file already.
func cause(err error) error {
	if p, ok := err.(*fs.PathError); ok {
		return p.Err
	}
	return err
}

// Runnable splits rules into those that run and those that this version skips.
func Runnable(rules []*Rule) (run, skipped []*Rule) {
	skipped = slices.DeleteFunc(slices.Clone(rules), func(r *Rule) bool { return r.CannotRun == "" })
	run = slices.DeleteFunc(slices.Clone(rules), func(r *Rule) bool { return r.CannotRun != "" })
	return run, skipped
}
