package rule

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// TestSuffix is how files end that hold the tests of the rule beside them: x.test.toml those of x.toml. A folder of rules
// is read without them.
const TestSuffix = ".test.toml"

// Beside is a TOML file that stands beside rules and is read as strictly as they are: its diagnostics have the codes of
// rules with another prefix. It is not safe for concurrent use.
type Beside struct {
	doc    *document
	prefix string
}

// ExceptionsFolder is how the folder beside rules is called whose *.toml files hold exceptions and are no rules.
const ExceptionsFolder = "exceptions"

// File is a file that stands beside rules, on disk or in another tree of files.
type File struct {
	Name string // as diagnostics call it; on disk its path

	tree   fs.FS
	path   string // in tree
	onDisk bool
}

// fileOnDisk is the file called name.
func fileOnDisk(name string) File {
	folder, base := filepath.Split(filepath.Clean(name))
	if folder == "" {
		folder = "."
	}
	return File{Name: name, tree: os.DirFS(folder), path: base, onDisk: true}
}

// ExceptionsBeside returns the files with exceptions beside the file called name, sorted.
func ExceptionsBeside(name string) []File {
	return inFolder(filepath.Join(filepath.Dir(name), ExceptionsFolder), File.holdsExceptions)
}

// inFolder returns the files of a folder of which is holds, sorted; none where it cannot be read, as most rules have no such
// folder.
func inFolder(folder string, is func(File) bool) []File {
	entries, _ := os.ReadDir(folder)
	var out []File
	for _, e := range entries {
		if f := fileOnDisk(filepath.Join(folder, e.Name())); !e.IsDir() && is(f) {
			out = append(out, f)
		}
	}
	return out
}

// folder is the name of the folder that f stands in.
func (f File) folder() string {
	name := filepath.Clean(f.Name)
	if full, err := filepath.Abs(name); err == nil && f.onDisk {
		name = full
	}
	return path.Base(path.Dir(filepath.ToSlash(name)))
}

// holdsExceptions reports whether a file that is called so holds exceptions.
func (f File) holdsExceptions() bool {
	return f.folder() == ExceptionsFolder && path.Ext(f.path) == ".toml"
}

// Sibling opens the file at a path that f names: from f's folder, or, on disk, from the root. It returns what diagnostics
// call it besides.
func (f File) Sibling(name string) (fs.File, string, error) {
	if !f.onDisk {
		at := path.Join(path.Dir(f.path), name)
		file, err := f.tree.Open(at)
		return file, at, err
	}
	at := filepath.FromSlash(name)
	if !filepath.IsAbs(at) {
		at = filepath.Join(filepath.Dir(f.Name), at)
	}
	file, err := os.Open(at)
	return file, at, err
}

// OpenBeside reads the file called name, of MaxFile at most. The table is nil where it cannot be read; Problems says why.
func OpenBeside(prefix, name string) (*Beside, *Table) { return fileOnDisk(name).Open(prefix) }

// Open reads the file, of MaxFile at most. The table is nil where it cannot be read; Problems says why.
func (f File) Open(prefix string) (*Beside, *Table) {
	data, found := readFile(f.tree, f.path, f.Name, MaxFile)
	name := f.Name
	if len(found) > 0 {
		return &Beside{doc: &document{found: found}, prefix: prefix}, nil
	}
	doc, top := openTOML(name, strings.TrimPrefix(string(data), "\ufeff"))
	b := &Beside{doc: doc, prefix: prefix}
	if top == nil {
		return b, nil
	}
	return b, &Table{doc.table("", top)}
}

// Problems returns what was found wrong so far, by place.
func (b *Beside) Problems() diag.List {
	found := b.doc.diagnostics()
	out := make(diag.List, len(found))
	for i, d := range found {
		if number, ok := strings.CutPrefix(d.Code, "RULE"); ok {
			d.Code = b.prefix + number
		}
		out[i] = d
	}
	return out
}

// Table is one table of such a file. Reading a key takes note of it; Close reports the keys that nobody asked for. A value
// of another type is reported, and read like an absent one.
type Table struct{ t *table }

// Given reports whether the key is there.
func (t *Table) Given(key string) bool { return t.t.given(key) }

// Need reports the keys that the table lacks.
func (t *Table) Need(keys ...string) { t.t.need(keys...) }

// Text reads a text, "" where it is absent.
func (t *Table) Text(key string) string { return t.t.text(key) }

// Word reads a text that must not be blank.
func (t *Table) Word(key string) string { return t.t.word(key) }

// Flag reads true or false; otherwise where it is absent.
func (t *Table) Flag(key string, otherwise bool) bool { return t.t.flag(key, otherwise) }

// Instant reads an ISO 8601 instant; "" where there is none or it is not one.
func (t *Table) Instant(key string) string { return t.t.instant(key) }

// Texts reads a list of texts; none where it is absent.
func (t *Table) Texts(key string) []string { return t.t.texts(key) }

// OneOf reads a text that must be one of allowed.
func (t *Table) OneOf(key string, allowed ...string) string { return t.t.oneOf(key, allowed...) }

// Names reads a list of texts, none of them blank or there twice.
func (t *Table) Names(key string) []string { return t.t.names(key) }

// Number reads a whole number of [min, max]; otherwise where it is absent.
func (t *Table) Number(key string, otherwise, min, max int) int {
	return t.t.number(key, otherwise, min, max)
}

// Object reads a table as a value, its keys sorted; null where it is absent.
func (t *Table) Object(key string) event.Value { return t.t.object(key) }

// Sub reads a table; nil where it is absent.
func (t *Table) Sub(key string) *Table {
	if sub := t.t.sub(key); sub != nil {
		return &Table{sub}
	}
	return nil
}

// Subs reads a list of tables: nil where it is absent, not nil where it is empty.
func (t *Table) Subs(key string) []*Table {
	subs := t.t.subs(key)
	if subs == nil {
		return nil
	}
	out := make([]*Table, len(subs))
	for i, sub := range subs {
		out[i] = &Table{sub}
	}
	return out
}

// Keys returns the keys of the table, sorted.
func (t *Table) Keys() []string { return slices.Sorted(maps.Keys(t.t.has)) }

// Bad reports the value of key; the code is a number of four digits. Where the key is absent, the table is reported.
func (t *Table) Bad(code, key, hint, format string, args ...any) {
	t.t.bad("RULE"+code, key, hint, format, args...)
}

// Inside reports a mistake in the text that stands at key, at a byte offset in that text.
func (t *Table) Inside(code, key string, offset int, hint, format string, args ...any) {
	at, ok := t.t.doc.places[join(t.t.path, key)]
	if !ok || at.content == 0 {
		t.Bad(code, key, hint, format, args...)
		return
	}
	text := t.t.doc.text
	place := at.content + offset
	if text[at.value.Start] == '"' {
		place = joined(text[:at.value.End], escaped(text[:at.value.End], at.content, offset))
	}
	t.t.doc.report("RULE"+code, diag.At(min(place, at.value.End)), hint, format, args...)
}

// Line is the line on which the table begins, from 1.
func (t *Table) Line() int { return diag.PosAt(t.t.doc.text, t.t.doc.within(t.t.path).key.Start).Line }

// Place is where the value of key stands, or, where it is absent, the table: a diagnostic with File, Text and Span set.
func (t *Table) Place(key string) diag.Diagnostic {
	return diag.Diagnostic{File: t.t.doc.file, Text: t.t.doc.text, Span: t.t.valueAt(key)}
}

// Title is what a person calls the table: test[2].
func (t *Table) Title() string { return t.t.doc.title(t.t.path) }

// Close reports the keys that nobody asked for.
func (t *Table) Close() { t.t.close() }
