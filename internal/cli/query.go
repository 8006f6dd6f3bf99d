package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

type queryCommand struct {
	KQL    string   `arg:"" name:"kql" help:"The query; an empty one finds every event."`
	DB     string   `name:"db" required:"" placeholder:"FILE" help:"The store to search: what tocsin scan --db made."`
	Index  []string `placeholder:"PATTERN" help:"Streams to search, * for any characters; several with commas. Without it: all but alerts."`
	From   string   `placeholder:"T" help:"Only events whose @timestamp is not earlier."`
	To     string   `placeholder:"T" help:"Only events whose @timestamp is not later."`
	Fields []string `placeholder:"A,B" help:"Print these fields in place of the usual columns."`
	Limit  int      `default:"100" placeholder:"N" help:"Print at most so many events (${default})."`
	JSON   bool     `name:"json" help:"Print documents, one a line."`
}

// Help is the long help.
func (queryCommand) Help() string {
	return `Events come newest first. T is an instant (2026-03-15T00:00:00Z) or date math (now-5d), where now is the end of the stored data; so is now inside the query.

Examples:

    tocsin query 'event.outcome : failure and source.ip : 203.0.113.0/24' --db case.duckdb
    tocsin query 'user.name : app-*' --db case.duckdb --from now-1d --fields @timestamp,event.action
    tocsin query '' --db case.duckdb --index '.alerts-*' --json

Exit codes: 0 it ran, 2 the query or the command line is wrong, 130 interrupted.`
}

// maxLimit bounds --limit.
const maxLimit = exec.MaxSortRows

// Run prints the events that match.
func (c queryCommand) Run(ctx context.Context, streams Streams) (err error) {
	if c.Limit < 1 || c.Limit > maxLimit {
		return fmt.Errorf("--limit must lie between 1 and %s", thousands(maxLimit))
	}
	span, err := readSpan(c.From, c.To)
	if err != nil {
		return err
	}
	query, err := kql.Parse(c.KQL)
	if err != nil {
		return badQuery(streams, err)
	}
	db, err := openExisting(ctx, c.DB)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s := search{queryCommand: c, streams: streams, db: db, span: span, query: query}
	return s.run(ctx)
}

// badQuery tells what is wrong with the query and returns the error that ends the command.
func badQuery(streams Streams, err error) error {
	found := diag.Of(err)
	if len(found) == 0 {
		return err
	}
	fmt.Fprint(streams.Err, found.Render())
	return exit(ExitUsage)
}

// search is one run of the command.
type search struct {
	queryCommand
	streams Streams
	db      store.Store
	span    span
	query   kql.Node
}

func (s *search) run(ctx context.Context) error {
	found, err := s.db.Streams(ctx, s.Index)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return s.noStream(ctx)
	}
	data := dataSpan(found)
	profile := ecs.Integration
	if onlyFilebeat(found) {
		profile = ecs.Filebeat
	}
	names := fieldsOf(profile, found)
	advice := kql.Check(s.query, names)
	if advice.Err() != nil {
		return badQuery(s.streams, advice)
	}
	fmt.Fprint(s.streams.Err, advice.Render())
	cond, err := kql.Lower(s.query, kql.Options{Resolver: names, Now: data.To})
	if err != nil {
		return badQuery(s.streams, err)
	}
	from, to, err := s.span.at(data.To)
	if err != nil {
		return err
	}
	rows, err := s.rows(ctx, expr.All(within(from, to), cond))
	if err != nil {
		return err
	}
	out := s.streams.results()
	switch {
	case s.JSON:
		for _, e := range rows {
			writeJSON(out, e)
		}
	default:
		s.table(out, rows)
	}
	if err := out.close(); err != nil {
		return err
	}
	s.foot(found, data, len(rows))
	return nil
}

// noStream says what there is where nothing is called like --index.
func (s *search) noStream(ctx context.Context) error {
	all, err := s.db.Streams(ctx, []string{"*", ".*"})
	if err != nil {
		return err
	}
	var names []string
	for _, st := range all {
		names = append(names, st.Name)
	}
	if len(names) == 0 {
		fmt.Fprintln(s.streams.Err, "tocsin: the store holds no events")
		return nil
	}
	if s.Index == nil {
		fmt.Fprintf(s.streams.Err, "tocsin: the store holds no events, only %s\n", printable(strings.Join(names, ", ")))
		return nil
	}
	return fmt.Errorf("no stream is called %s; there are %s", strings.Join(s.Index, ","), strings.Join(names, ", "))
}

func onlyFilebeat(streams []store.Stream) bool {
	for _, s := range streams {
		if !strings.HasPrefix(s.Name, "filebeat-") {
			return false
		}
	}
	return true
}

// rows reads what matches cond, newest first.
func (s *search) rows(ctx context.Context, cond expr.Cond) ([]*event.Event, error) {
	at, err := s.db.Latest(ctx)
	if err != nil {
		return nil, err
	}
	var p plan.Node = plan.Limit{N: s.Limit, In: plan.Sort{
		Keys: []plan.SortKey{{Value: plan.TimeField{Primary: plan.Timestamp}.Value(), Desc: true}},
		In:   plan.Filter{Cond: cond, In: plan.Scan{Streams: s.Index}}}}
	if s.Fields != nil {
		p = plan.Project{Paths: s.Fields, In: p}
	}
	rows, err := exec.Query(ctx, s.db, p, at)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*event.Event
	for rows.Next() {
		out = append(out, rows.Event())
	}
	return out, rows.Err()
}

// table prints the rows for a person: alerts as scan prints them, events with who did what from where.
func (s *search) table(out *results, rows []*event.Event) {
	if len(rows) == 0 {
		return
	}
	switch {
	case s.Fields != nil:
		fieldTable(out, s.Fields, rows, out.screen)
	case onlyAlerts(rows):
		alertTable(out, rows, out.screen)
	default:
		eventTable(out, rows, out.screen)
	}
}

// foot tells a person what was searched; on standard error, so that a pipe gets the rows alone.
func (s *search) foot(streams []store.Stream, data store.Span, rows int) {
	sc := s.streams.screenOf(s.streams.Err)
	if rows > 0 && rows < s.Limit || rows > 0 && !sc.terminal {
		return
	}
	var events int64
	for _, st := range streams {
		events += st.Events
	}
	if rows == 0 {
		fmt.Fprintf(s.streams.Err, "none of %s matches (data from %s to %s UTC)\n", counted(events, "event"), clock(data.From), clock(data.To))
		return
	}
	fmt.Fprintf(s.streams.Err, "the newest %s; there may be more (--limit)\n", thousands(int64(rows)))
}

func onlyAlerts(rows []*event.Event) bool {
	for _, e := range rows {
		if e.Stream != store.AlertStream {
			return false
		}
	}
	return true
}
