package storetest

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Contract holds the engine to what the interfaces of package store promise.
func Contract(t *testing.T, e Engine) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"events", events},
		{"duplicates and conflicts", duplicates},
		{"live events", live},
		{"whole or nothing", whole},
		{"copies", copies},
		{"misfits", misfits},
		{"the clock", clock},
		{"a large change", large},
		{"alerts", alerts},
		{"alert states", states},
		{"records", records},
		{"pages of records", pages},
		{"sightings", sightings},
		{"forgotten sightings", forget},
		{"streams", streams},
		{"snapshots", snapshots},
		{"landings", landings},
		{"rows", rows},
		{"cancellation", cancellation},
		{"plans without a scan", noScan},
		{"concurrency", concurrency},
		{"dropped segments", dropSegments},
		{"opened again", reopened},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := &suite{t: t, engine: e, dir: dir}
			s.open()
			defer s.close()
			c.run(t, s)
		})
	}
}

// suite is a store under test.
type suite struct {
	t      *testing.T
	engine Engine
	dir    string
	store.Store
}

func (s *suite) open() { s.Store = s.engine.Open(s.t, s.dir, DeclaredType) }

func (s *suite) close() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Errorf("close the store: %v", err)
	}
}

// apply applies c, stamped with the n-th second.
func (s *suite) apply(n int, c *store.Change) *store.Change {
	s.t.Helper()
	c.At = commitTime(n)
	if err := s.Apply(context.Background(), c); err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *suite) latest() store.Snapshot {
	s.t.Helper()
	at, err := s.Latest(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	return at
}

// rows returns the rows of p at the snapshot.
func (s *suite) rows(p plan.Node, at store.Snapshot) []*event.Event {
	s.t.Helper()
	out, err := query(context.Background(), s, p, at)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// ids returns the sorted IDs of the latest rows of the plan.
func (s *suite) ids(text string) string {
	s.t.Helper()
	p, err := parsePlan(text)
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, e := range s.rows(p, s.latest()) {
		out = append(out, e.ID)
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}

// finds holds what the plan finds, by IDs.
func (s *suite) finds(text, want string) {
	s.t.Helper()
	if got := s.ids(text); got != want {
		s.t.Errorf("%s: found %q, want %q", text, got, want)
	}
}

// everything prints all that the store holds of the tests' streams, kinds and programs.
func (s *suite) everything() string {
	s.t.Helper()
	ctx := context.Background()
	at := s.latest()
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	add("latest %d %s", at.Seq, at.Committed.UTC())
	for _, e := range s.rows(plan.Scan{Streams: []string{"*", ".*"}}, at) {
		add("row %s", formatRow(e))
	}
	list, err := s.Streams(ctx, []string{"*", ".*"})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, x := range list {
		add("stream %s events %d seq %d-%d paths %q", x.Name, x.Events, x.Seq.First, x.Seq.Last, x.Paths)
	}
	for _, kind := range []string{"rule", "cursor", store.LandingKind} {
		list, err := s.List(ctx, kind, "", 10_000)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, r := range list {
			add("record %s/%s %d %q", r.Kind, r.ID, r.Version, r.Data)
		}
	}
	for _, program := range []string{"p", "q"} {
		for _, row := range s.sightings(program, nil) {
			add("sighting %s", row)
		}
	}
	sort.Strings(out)
	return strings.Join(out, "\n")
}

// formatRow prints a row: its ID, stream, source bytes, and its fields with the kinds of their values.
func formatRow(e *event.Event) string {
	b := strconv.AppendQuote(nil, e.ID)
	b = strconv.AppendQuote(append(b, ' '), e.Stream)
	b = strconv.AppendQuote(append(b, ' '), string(e.Source.Data))
	for _, f := range e.Fields() {
		b = strconv.AppendQuote(append(b, ' '), f.Path)
		b = appendTyped(append(b, '='), f.Value)
	}
	return string(b)
}

func appendTyped(b []byte, v event.Value) []byte {
	switch v.Kind() {
	case event.KindList:
		b = append(b, '[')
		for _, item := range v.Items() {
			b = append(appendTyped(b, item), ' ')
		}
		return append(b, ']')
	case event.KindObject:
		members := slices.Clone(v.Members())
		slices.SortFunc(members, func(a, b event.Member) int { return strings.Compare(a.Key, b.Key) })
		b = append(b, '{')
		for _, m := range members {
			b = append(strconv.AppendQuote(b, m.Key), ':')
			b = append(appendTyped(b, m.Value), ' ')
		}
		return append(b, '}')
	case event.KindString:
		return strconv.AppendQuote(b, v.Str())
	case event.KindTime:
		b = append(b, "date"...)
	case event.KindIP:
		b = append(b, "ip"...)
	case event.KindNull:
		return append(b, "null"...)
	}
	return append(b, v.Text()...)
}

// doc returns an event of the stream from its JSON text, which are its source bytes too; its @timestamp is noon of
// 2026-03-01 where it has none.
func doc(stream, id, text string) *event.Event {
	e, err := event.Decode([]byte(text), event.DecodeOptions{Tree: tree})
	if err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	e.ID, e.Stream, e.Source.Data = id, stream, []byte(text)
	if e.Get(plan.Timestamp).IsNull() {
		e.Set(plan.Timestamp, event.String(defaultTime))
	}
	return e
}

// equal reports a difference between what was wanted and what came.
func equal[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// outcome prints the numbers of an outcome.
func outcome(c *store.Change) string {
	o := c.Outcome
	return fmt.Sprintf("stored %d duplicates %d conflicts %d misfits %d alerts %q", o.Stored, o.Duplicates, o.Conflicts,
		o.Misfits, o.NewAlerts)
}

// day is the noon of a day in March 2026 as documents write it.
func day(n int) string {
	return event.FormatTime(time.Date(2026, 3, n, 12, 0, 0, 0, time.UTC))
}

func sorted(list []string) []string {
	sort.Strings(list)
	return list
}
