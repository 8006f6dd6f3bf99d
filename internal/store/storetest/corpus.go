package storetest

import (
	"context"
	"embed"
	"fmt"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

//go:embed testdata/*.txtar
var testdata embed.FS

// Corpus runs the facts of testdata. A file holds events, one JSON document a line, and facts: lines that begin with
// "> ", a plan (see parsePlan), and below them the rows that it gives: the IDs of events, documents, or none.
//
//	-- events --
//	{"_id": "1", "user": {"name": ["a", "b"]}}
//	-- facts --
//	# any value of several
//	> filter (in user.name:keyword "b")
//	1
//	> kql not user.name : a
//	none
//
// Of an event, _id, _stream (logs-a), _seq (1: the commit that brings it, in order), _source (its source bytes as a text)
// and, of an alert, _state stand beside its document; one without a @timestamp gets noon of 2026-03-01. A plan may begin with a KQL query as a filter, read with the declared
// fields, and "at AFTER SEQ" names the snapshot. Where the plan sorts, rows come in the order given.
func Corpus(t *testing.T, e Engine) {
	names, err := testdata.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(name.Name(), ".txtar"), func(t *testing.T) {
			text, err := testdata.ReadFile(path.Join("testdata", name.Name()))
			if err != nil {
				t.Fatal(err)
			}
			c, err := parseCase(text)
			if err != nil {
				t.Fatal(err)
			}
			db := e.open(t, DeclaredType)
			seqs := load(t, db, c.events)
			for _, f := range c.facts {
				if why := f.check(db, seqs); why != "" {
					t.Errorf("line %d: %s", f.line, why)
				}
			}
		})
	}
}

// corpusCase is one file of testdata.
type corpusCase struct {
	events []placed
	facts  []fact
}

// placed is an event, or an alert with its state, and the number of the commit that brings it.
type placed struct {
	*event.Event
	commit int
	state  []event.Member
}

// fact is a plan and the rows that it gives.
type fact struct {
	line int // in the section facts
	plan plan.Node
	at   store.Snapshot // in numbers of commits; the zero one: everything
	want []string
}

func parseCase(text []byte) (corpusCase, error) {
	var c corpusCase
	for _, f := range txtar.Parse(text).Files {
		var err error
		switch f.Name {
		case "events":
			c.events, err = parseEvents(string(f.Data))
		case "facts":
			c.facts, err = parseFacts(string(f.Data))
		default:
			err = fmt.Errorf("no section is called %s", f.Name)
		}
		if err != nil {
			return c, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if len(c.events) == 0 || len(c.facts) == 0 {
		return c, fmt.Errorf("%d events and %d facts", len(c.events), len(c.facts))
	}
	return c, nil
}

// defaultTime is the @timestamp of events that name none.
const defaultTime = "2026-03-01T12:00:00.000Z"

func parseEvents(text string) ([]placed, error) {
	var out []placed
	for i, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		v, err := event.ParseJSON([]byte(line))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		p := placed{Event: &event.Event{ID: v.Member("_id").Text(), Stream: "logs-a"}, commit: 1}
		p.Source.Data = []byte(line)
		var members []event.Member
		for _, m := range v.Members() {
			switch m.Key {
			case "_id":
			case "_stream":
				p.Stream = m.Value.Text()
			case "_seq":
				p.commit = int(m.Value.Int())
			case "_source":
				p.Source.Data = []byte(m.Value.Text())
			case "_state":
				p.state = m.Value.Members()
			default:
				members = append(members, m)
			}
		}
		p.SetObject("", event.Object(members...), tree)
		if p.Get(plan.Timestamp).IsNull() {
			p.Set(plan.Timestamp, event.String(defaultTime))
		}
		if p.ID == "" || p.commit < 1 {
			return nil, fmt.Errorf("line %d: no _id, or a _seq below 1", i+1)
		}
		out = append(out, p)
	}
	return out, nil
}

// formatEvent writes an event as parseEvents reads it.
func formatEvent(p placed) string {
	members := []event.Member{{Key: "_id", Value: event.String(p.ID)}, {Key: "_stream", Value: event.String(p.Stream)},
		{Key: "_seq", Value: event.Int(int64(p.commit))}, {Key: "_source", Value: event.String(string(p.Source.Data))}}
	if p.state != nil {
		members = append(members, event.Member{Key: "_state", Value: event.Object(p.state...)})
	}
	head := event.Object(members...).AppendJSON(nil)
	body := p.AppendJSON(nil, belowTree)
	return string(head[:len(head)-1]) + "," + string(body[1:])
}

// belowTree reports whether path is that of a key of a flattened field. An event can hold one as an entry of its own, if its
// document names it so.
func belowTree(path string) bool {
	for i := range path {
		if path[i] == '.' && tree(path[:i]) {
			return true
		}
	}
	return false
}

func parseFacts(text string) ([]fact, error) {
	var out []fact
	var query []string
	begun := 0
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if q, ok := strings.CutPrefix(line, ">"); ok {
			if len(out) > 0 && out[len(out)-1].want == nil && query == nil {
				return nil, fmt.Errorf("line %d: no rows are given", begun)
			}
			if query == nil {
				begun = i + 1
			}
			query = append(query, strings.TrimSpace(q))
			continue
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if query != nil {
			f, err := parseFact(query)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", begun, err)
			}
			f.line, query = begun, nil
			out = append(out, f)
		}
		if len(out) == 0 {
			return nil, fmt.Errorf("line %d: rows without a plan", i+1)
		}
		rows := &out[len(out)-1].want
		switch {
		case line == "none":
			*rows = []string{}
		case strings.HasPrefix(line, "{"):
			e, err := event.Decode([]byte(line), event.DecodeOptions{Tree: tree})
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			*rows = append(*rows, string(e.AppendJSON(nil, nil)))
		default:
			*rows = append(*rows, strings.Fields(line)...)
		}
	}
	if query != nil {
		return nil, fmt.Errorf("line %d: no rows are given", begun)
	}
	return out, nil
}

func parseFact(query []string) (fact, error) {
	var f fact
	if at := strings.Fields(query[0]); at[0] == "at" {
		var err, err2 error
		f.at.After, err = strconv.ParseUint(at[1], 10, 64)
		f.at.Seq, err2 = strconv.ParseUint(at[2], 10, 64)
		if err != nil || err2 != nil {
			return f, fmt.Errorf("%s: want at AFTER SEQ", query[0])
		}
		query = query[1:]
	}
	if text, ok := strings.CutPrefix(query[0], "kql "); ok {
		n, err := kql.Parse(text)
		if err != nil {
			return f, err
		}
		cond, err := kql.Lower(n, kql.Options{Resolver: resolver{}, Now: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)})
		if err != nil {
			return f, err
		}
		query = slices.Clone(query)
		query[0] = "filter true"
		p, err := parsePlan(strings.Join(query, "\n"))
		if err != nil {
			return f, err
		}
		f.plan = replaceFirst(p, cond)
		return f, nil
	}
	var err error
	f.plan, err = parsePlan(strings.Join(query, "\n"))
	return f, err
}

// replaceFirst puts cond in place of the condition of the filter closest to the scan.
func replaceFirst(p plan.Node, cond expr.Cond) plan.Node {
	if f, ok := p.(plan.Filter); ok {
		if _, last := f.In.(plan.Scan); last {
			return plan.Filter{In: f.In, Cond: cond}
		}
	}
	return plan.Over(p, replaceFirst(plan.Input(p), cond))
}

// check says how what db gives differs from what is wanted, or nothing.
func (f fact) check(db store.Store, seqs []uint64) string {
	at := store.Snapshot{After: seqs[f.at.After], Seq: seqs[f.at.Seq]}
	if f.at.Seq == 0 {
		at.Seq = seqs[len(seqs)-1]
	}
	rows, err := query(context.Background(), db, f.plan, at)
	if err != nil {
		return err.Error()
	}
	documents := len(f.want) > 0 && strings.HasPrefix(f.want[0], "{")
	got := make([]string, 0, len(rows))
	for _, e := range rows {
		if documents {
			got = append(got, string(e.AppendJSON(nil, nil)))
		} else {
			got = append(got, e.ID)
		}
	}
	want := f.want
	if !ordered(f.plan) {
		want = slices.Clone(want)
		sort.Strings(want)
		sort.Strings(got)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Sprintf("rows (-want +got):\n%s%s", diff, formatPlan(f.plan))
	}
	return ""
}

// ordered reports whether the rows of p come in an order.
func ordered(p plan.Node) bool {
	for ; p != nil; p = plan.Input(p) {
		switch p.(type) {
		case plan.Sort, plan.Sequence, plan.Sample:
			return true
		case plan.Aggregate:
			return false
		}
	}
	return false
}

// load applies the events, commit by commit, and returns the sequence numbers of the commits; of number 0, none.
func load(t testing.TB, db store.Store, events []placed) []uint64 {
	t.Helper()
	last := 0
	for _, p := range events {
		last = max(last, p.commit)
	}
	seqs := make([]uint64, last+1)
	for n := 1; n <= last; n++ {
		c := &store.Change{At: commitTime(n)}
		for _, p := range events {
			switch {
			case p.commit != n:
			case p.Stream == store.AlertStream:
				c.Alerts = append(c.Alerts, p.Event)
				for _, m := range p.state {
					c.States = append(c.States, store.AlertState{Alert: p.ID, Path: m.Key, Value: m.Value})
				}
			default:
				c.Events = append(c.Events, p.Event)
			}
		}
		if seqs[n] = seqs[n-1]; len(c.Events)+len(c.Alerts) == 0 {
			continue
		}
		if err := db.Apply(context.Background(), c); err != nil {
			t.Fatalf("commit %d: %v", n, err)
		}
		if c.Outcome.Stored != len(c.Events) || len(c.Outcome.NewAlerts) != len(c.Alerts) {
			t.Fatalf("commit %d: %d of %d events were stored", n, c.Outcome.Stored, len(c.Events))
		}
		seqs[n] = c.Outcome.Seq
	}
	return seqs
}

// commitTime is the stamp of the n-th commit.
func commitTime(n int) time.Time { return time.Date(2026, 3, 20, 0, 0, n, 0, time.UTC) }

// query returns the rows of p.
func query(ctx context.Context, q store.Querier, p plan.Node, at store.Snapshot) ([]*event.Event, error) {
	rows, err := exec.Query(ctx, q, p, at)
	if err != nil {
		return nil, err
	}
	return drain(rows)
}

func drain(rows store.Rows) (out []*event.Event, err error) {
	defer func() {
		if closed := rows.Close(); err == nil {
			err = closed
		}
	}()
	for rows.Next() {
		out = append(out, rows.Event())
	}
	return out, rows.Err()
}
