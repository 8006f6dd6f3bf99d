// Package indicator reads indicators from files, lists of addresses and names, CSV, JSON and STIX 2.1, and answers for them
// like a store, so that a rule meets those of files and those of streams in one way.
//
// A file is a stream: blocklist.csv is logs-ti_file.blocklist-default, and what stands in it are ECS documents with the
// fields of a threat intelligence feed (threat.indicator.*, event.kind: enrichment …), held in memory. Files are the truth:
// a line that is taken away is an indicator that is gone.
//
//	files, problems := indicator.Load(set.Indicators)
//	from := indicator.Over(db, files) // a store.Querier: the store and the files together
//	files.Version([]string{"logs-ti_*"}) // changes when they do
//
// An indicator of a file counts as long as it stands there, whatever a rule asks of its age: its @timestamp are two instants,
// since when and until when it is one (begin and end of all time where the file does not say). One that has expired is told by
// Expires; that a run at a time does not see it is detect's matter. One that is revoked is left out.
package indicator

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Bounds of what files may hold.
const (
	MaxFile       = 256 << 20 // bytes of a file
	MaxIndicators = 5_000_000 // of all files
	MaxValue      = 32 << 10  // bytes of a value
	MaxValues     = 100_000   // of one JSON object, those within others counted
	MaxColumns    = 1000      // of a file, or members of a flat object
)

// The codes of diagnostics.
const (
	CodeUnreadable = "IND0101" // the file cannot be read, or changed meanwhile
	CodeSyntax     = "IND0102" // it is not what its name says: JSON, CSV
	CodeColumn     = "IND0103" // a column or key that says nothing known
	CodeNoHeader   = "IND0104" // columns without names
	CodeTooMany    = "IND0105" // more indicators than may be held
	CodeNone       = "IND0106" // nothing in it is an indicator
	CodeUnused     = "IND0107" // no rule looks for them
	CodeValue      = "IND0201" // a value that is none of its kind, or that nobody can tell the kind of
	CodePattern    = "IND0202" // a STIX pattern that is wrong
	CodeCannot     = "IND0203" // a STIX pattern that is right, and asks for what no field says
	CodeRefanged   = "IND0204" // values were written so that nobody follows them
	CodeGuessed    = "IND0205" // the kind of values was told by how they look
)

// Expires is the field of an indicator that says until when it is one; without it there is no end.
const Expires = "tocsin.indicator.expires"

// Expired is the condition that an indicator is none any more in a run at now.
func Expired(now time.Time) expr.Cond {
	return expr.Range{Field: expr.Field{Path: Expires, Type: event.Date}, Max: expr.Bound{Value: event.Time(now), Inclusive: true}}
}

// Files are indicators of files. Nil Files are none. They are safe for concurrent use.
type Files struct {
	tables   []*table // by stream
	accounts []Account
}

// Account is what became of the lines and objects of a file: Read = Used + the sum of Refused + Duplicates + the sum of Other.
type Account struct {
	File   string
	Stream string
	// Read counts lines, or objects.
	Read int
	// Used are those that became indicators, Indicators how many: an object with alternatives becomes several.
	Used, Indicators int
	// Refused counts the others by reason.
	Refused map[string]int
	// Duplicates were there already, in this file or another one of its name.
	Duplicates int
	// Other counts objects that are no indicators by type, such as relationship.
	Other map[string]int
}

// RefusedTotal counts what was refused.
func (a Account) RefusedTotal() int { return total(a.Refused) }

func total(of map[string]int) int {
	n := 0
	for _, some := range of {
		n += some
	}
	return n
}

// Load reads files. What is wrong with one line, object or file does not stop the others; of a file that changed while it
// was read nothing is used.
func Load(files []rule.File) (*Files, diag.List) { return load(files, MaxIndicators) }

// load is Load for so many indicators at most.
func load(files []rule.File, most int) (*Files, diag.List) {
	out := &Files{}
	var problems diag.List
	left := most
	byStream := map[string]*table{}
	for _, f := range files {
		name := streamOf(f.Name)
		t := byStream[name.stream]
		if t == nil {
			t = newTable(name)
			byStream[name.stream] = t
			out.tables = append(out.tables, t)
		}
		r := &reader{table: t, left: left, most: most, account: Account{File: f.Name, Stream: t.stream, Refused: map[string]int{}, Other: map[string]int{}}}
		r.file(f)
		left = r.left
		problems = append(problems, r.problems()...)
		out.accounts = append(out.accounts, r.account)
	}
	for _, t := range out.tables {
		t.seal()
	}
	out.tables = slices.DeleteFunc(out.tables, func(t *table) bool { return len(t.rows) == 0 })
	slices.SortFunc(out.tables, func(a, b *table) int { return strings.Compare(a.stream, b.stream) })
	return out, problems
}

// name is what a file's stream is called.
type name struct{ stem, dataset, stream string }

// module is the event.module of all of them.
const module = "ti_file"

// streamOf returns the names that go with a file.
func streamOf(file string) name {
	base := strings.ToLower(path.Base(filepath.ToSlash(file)))
	base = strings.TrimSuffix(base, path.Ext(base))
	stem := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_', r == '.':
			return r
		}
		return '_' // a - parts the names of streams
	}, base)
	if stem = strings.Trim(stem, "."); stem == "" {
		stem = "indicators"
	}
	n := name{stem: stem, dataset: module + "." + stem}
	n.stream = "logs-" + n.dataset + "-default"
	return n
}

// Len is how many indicators there are.
func (f *Files) Len() int {
	n := 0
	if f != nil {
		for _, t := range f.tables {
			n += len(t.rows)
		}
	}
	return n
}

// Accounts returns what became of each file, in the order in which they were read.
func (f *Files) Accounts() []Account {
	if f == nil {
		return nil
	}
	return f.accounts
}

// Streams returns the streams that patterns name (store.Selects), sorted.
func (f *Files) Streams(patterns []string) []store.Stream {
	var out []store.Stream
	for _, t := range f.selected(patterns) {
		s := store.Stream{Name: t.stream, Events: int64(len(t.rows)), Paths: t.allPaths()}
		s.Time = store.Span{From: time.UnixMilli(t.first).UTC(), To: time.UnixMilli(t.last).UTC()}
		out = append(out, s)
	}
	return out
}

// Version names what stands in the streams that patterns name, whatever the order of lines: "" for nothing.
func (f *Files) Version(patterns []string) string {
	var text strings.Builder
	for _, t := range f.selected(patterns) {
		fmt.Fprintf(&text, "%s %d %x\n", t.stream, len(t.rows), t.sum)
	}
	if text.Len() == 0 {
		return ""
	}
	h := xxh3.HashString128(text.String()).Bytes()
	return hex.EncodeToString(h[:])
}

func (f *Files) selected(patterns []string) []*table {
	var out []*table
	if f != nil {
		for _, t := range f.tables {
			if store.Selects(patterns, t.stream) {
				out = append(out, t)
			}
		}
	}
	return out
}

// Base is a store as far as Over needs it.
type Base interface {
	store.Querier
	Streams(ctx context.Context, patterns []string) ([]store.Stream, error)
}

// Streams returns the streams of the store and of the files.
func (o *Overlay) Streams(ctx context.Context, patterns []string) ([]store.Stream, error) {
	streams, err := o.base.Streams(ctx, patterns)
	if err != nil {
		return nil, err
	}
	streams = append(slices.Clone(streams), o.files.Streams(patterns)...)
	slices.SortStableFunc(streams, func(a, b store.Stream) int { return cmp.Compare(a.Name, b.Name) })
	return streams, nil
}
