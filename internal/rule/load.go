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
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// The greatest size of a file with one rule, of an export and of one line in it, in bytes.
const (
	MaxFile   = 4 << 20
	MaxExport = 64 << 20
	MaxLine   = MaxFile
)

// Set is what was found in files and folders: the rules that could be read, in the order of their files, and what was
// wrong with the others.
type Set struct {
	Rules    []*Rule
	Problems diag.List
	// Files counts the rule files that were found, bad ones included.
	Files int
	// Found has an entry for each rule, good or bad, and for each file without one.
	Found []Found
	// Lines are what exports hold besides rules: exception lists and their items, connectors, saved queries, data views. Rules
	// mean what the last two say, where they refer to them.
	Lines []Line
	// Exceptions are the files with exceptions: those in folders called ExceptionsFolder, within the folders that were read
	// and beside the files.
	Exceptions []File
	// Indicators are the files with indicators: those in folders called IndicatorsFolder, found likewise.
	Indicators []File
}

// Found is one rule as it was found, or a file or line that should have held one.
type Found struct {
	File string
	Line int // where the rule begins in its file, from 1
	// Rule is the rule. One that has Problems is not to be used: it holds what could be read, and is nil where that is
	// nothing.
	Rule     *Rule
	Problems diag.List
}

// ReadFile reads the rule in the TOML file called name, and what it refers to in the exports beside it. The error is a diag.List.
func ReadFile(name string) (*Rule, error) {
	folder, base := filepath.Split(filepath.Clean(name))
	if folder == "" {
		folder = "."
	}
	data, found := readFile(os.DirFS(folder), base, name, MaxFile)
	if len(found) > 0 {
		return nil, found
	}
	r, err := Parse(name, data)
	if err != nil {
		return nil, err
	}
	l := loader{set: Set{Rules: []*Rule{r}}, folders: []string{folder}}
	l.resolveAll()
	return r, nil
}

// Load reads the rules of files and of folders: of a folder every *.toml in it and below it but those that hold tests
// (TestSuffix) or exceptions (ExceptionsFolder), and every *.ndjson that begins like an export, sorted by path; what stands in
// an IndicatorsFolder is no rule. A file is an export if its name ends so (or in .json), else it holds one rule in TOML. A file
// that is found twice is read once. What is wrong with one rule does not stop the others; of two rules with the same rule_id the
// first is kept.
func Load(names ...string) Set {
	l := loader{ids: map[string]string{}, read: map[string]bool{}}
	for _, name := range names {
		info, err := os.Stat(name)
		switch {
		case err != nil:
			l.problem(codeUnreadable, name, "", "the path cannot be read: %v", cause(err))
		case info.IsDir():
			l.folder(os.DirFS(name), ".", func(p string) File {
				return File{Name: filepath.Join(name, filepath.FromSlash(p)), tree: os.DirFS(name), path: p, onDisk: true}
			})
		default:
			f := fileOnDisk(name)
			l.once(f)
			if !f.holdsExceptions() {
				for _, beside := range append(ExceptionsBeside(name), IndicatorsBeside(name)...) {
					l.once(beside)
				}
			}
			l.folders = append(l.folders, filepath.Dir(name))
		}
	}
	l.resolveAll()
	return l.set
}

// LoadFS reads the rules of tree as Load does of a folder.
func LoadFS(tree fs.FS) Set {
	l := loader{ids: map[string]string{}, read: map[string]bool{}}
	l.folder(tree, ".", func(p string) File { return File{Name: p, tree: tree, path: p} })
	l.resolveAll()
	return l.set
}

type loader struct {
	set  Set
	ids  map[string]string // where each rule_id was first found
	read map[string]bool   // by name

	folders []string // of the files that were named
}

// problem adds what is wrong with a path as a whole.
func (l *loader) problem(code, file, hint, format string, args ...any) {
	l.found(Found{File: file, Line: 1, Problems: diag.List{{Code: code, File: file, Message: fmt.Sprintf(format, args...), Hint: hint}}})
}

// folder reads the rule files of tree; file is a file of tree as it is called outside of it.
func (l *loader) folder(tree fs.FS, root string, file func(string) File) {
	title := func(p string) string { return file(p).Name }
	found, before := false, len(l.set.Problems)
	err := fs.WalkDir(tree, root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			l.problem(codeUnreadable, title(p), "", "the path cannot be read: %v", cause(err))
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
		case d.IsDir(), strings.HasSuffix(p, TestSuffix):
		case file(p).inIndicators():
			if d.Type().IsRegular() || d.Type()&fs.ModeSymlink != 0 {
				l.once(file(p))
			}
		case path.Ext(p) == ".toml" || path.Ext(p) == ".ndjson" && looksExported(tree, p):
			found = true
			l.once(file(p))
		}
		return nil
	})
	if err != nil {
		l.problem(codeUnreadable, title(root), "", "the folder cannot be read: %v", cause(err))
	} else if !found && len(l.set.Problems) == before {
		l.problem(codeNoRules, title(root), "rule files are called *.toml, exports *.ndjson", "the folder holds no rule file")
	}
}

// looksExported reports whether the file p, one of many kinds of *.ndjson, begins like an export.
func looksExported(tree fs.FS, p string) bool {
	if info, err := fs.Stat(tree, p); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := tree.Open(p)
	if err != nil {
		return false
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return err == nil && beginsExport(string(head))
}

// once reads a file, unless it was read before; one with exceptions it takes note of.
func (l *loader) once(f File) {
	name, key := f.Name, f.Name
	if full, err := filepath.Abs(name); err == nil {
		key = full
	}
	if l.read[key] {
		return
	}
	l.read[key] = true
	switch {
	case f.holdsExceptions():
		l.set.Exceptions = append(l.set.Exceptions, f)
		return
	case f.inIndicators():
		l.set.Indicators = append(l.set.Indicators, f)
		return
	}
	l.set.Files++
	limit := MaxFile
	exported := isExport(f.path)
	if exported {
		limit = MaxExport
	}
	data, problems := readFile(f.tree, f.path, name, limit)
	switch {
	case len(problems) > 0:
		l.found(Found{File: name, Line: 1, Problems: problems})
	case exported:
		l.export(name, data)
	default:
		r, problems := parseTOML(name, data)
		l.found(Found{File: name, Line: 1, Rule: r, Problems: problems})
	}
}

func isExport(name string) bool {
	return slices.Contains([]string{".ndjson", ".json", ".jsonl"}, strings.ToLower(path.Ext(filepath.ToSlash(name))))
}

// export reads an export.
func (l *loader) export(name string, data []byte) {
	e := readExport(name, data)
	for _, line := range e.lines {
		switch {
		case line.Kind == LineRule || len(line.problems) > 0:
			l.found(Found{File: name, Line: line.Number, Rule: line.Rule, Problems: line.problems})
		case line.Kind != LineSummary:
			l.set.Lines = append(l.set.Lines, line.Line)
		}
	}
	if len(e.problems) > 0 {
		l.found(Found{File: name, Line: 1, Problems: e.problems})
	}
}

// found adds what was found.
func (l *loader) found(f Found) {
	if f.Rule != nil && len(f.Problems) == 0 {
		here := f.File
		if f.Line > 1 {
			here = fmt.Sprintf("%s, line %d,", f.File, f.Line)
		}
		if first, taken := l.ids[f.Rule.RuleID]; taken {
			d := diag.Diagnostic{Code: codeTwice, File: f.File, Message: fmt.Sprintf("rule_id %q is taken", short(f.Rule.RuleID)),
				Hint: fmt.Sprintf("the rule in %s has it; give this one its own", first)}
			d.Span, d.Text = f.Rule.Locator().At("rule_id")
			f.Problems = diag.List{d}
		} else {
			l.ids[f.Rule.RuleID] = here
			l.set.Rules = append(l.set.Rules, f.Rule)
		}
	}
	l.set.Problems = append(l.set.Problems, f.Problems...)
	l.set.Found = append(l.set.Found, f)
}

// readFile reads the file p of tree, which diagnostics call name, up to limit.
func readFile(tree fs.FS, p, name string, limit int) ([]byte, diag.List) {
	bad := func(format string, args ...any) ([]byte, diag.List) {
		return nil, diag.List{{Code: codeUnreadable, File: name, Message: fmt.Sprintf(format, args...)}}
	}
	info, err := fs.Stat(tree, p)
	if err != nil {
		return bad("the file cannot be read: %v", cause(err))
	}
	if !info.Mode().IsRegular() {
		return bad("the file cannot be read: it is no regular file")
	}
	f, err := tree.Open(p)
	if err != nil {
		return bad("the file cannot be read: %v", cause(err))
	}
	defer f.Close()
	var data bytes.Buffer
	n, err := data.ReadFrom(io.LimitReader(f, int64(limit)+1))
	switch {
	case err != nil:
		return bad("the file cannot be read: %v", cause(err))
	case n > int64(limit):
		text := data.String()
		return nil, diag.List{{Code: codeTooLarge, File: name, Text: text, Span: diag.At(limit),
			Message: fmt.Sprintf("the file is larger than %d MiB", limit>>20)}}
	}
	return data.Bytes(), nil
}

// cause strips the operation and the path from an error of the file system: the diagnostic names the file already.
func cause(err error) error {
	if p, ok := err.(*fs.PathError); ok {
		return p.Err
	}
	return err
}

// Runnable splits rules into those that run and those that are left out (CannotRun).
func Runnable(rules []*Rule) (run, skipped []*Rule) {
	skipped = slices.DeleteFunc(slices.Clone(rules), func(r *Rule) bool { return r.CannotRun == "" })
	run = slices.DeleteFunc(slices.Clone(rules), func(r *Rule) bool { return r.CannotRun != "" })
	return run, skipped
}
