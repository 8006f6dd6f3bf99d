package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/indicator"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/store"
)

type scanCommand struct {
	Paths   []string `arg:"" name:"path" help:"Files, folders (read to the bottom), or - for standard input. Plain, gzip or zstd, by content."`
	Rules   []string `placeholder:"PATH" sep:"none" help:"Rule file or folder of *.toml, may be repeated. Without it the bundled rules run."`
	Feeds   []string `name:"indicators" placeholder:"PATH" sep:"none" help:"File or folder of indicators (CSV, lists, JSON, STIX 2.1) for indicator match rules, may be repeated; besides those in indicators/ beside the rules."`
	DB      string   `name:"db" placeholder:"FILE" help:"Keep events and alerts in this store. Without it they are dropped at the end."`
	From    string   `placeholder:"T" help:"Alert on events from this time on; what is earlier is history alone."`
	To      string   `placeholder:"T" help:"Alert on events up to this time."`
	Data    string   `enum:"auto,cloudtrail,ecs" default:"auto" help:"What the files hold: ${enum}. auto looks at each."`
	Stream  string   `placeholder:"NAME" help:"Where ECS documents land that name no index and no data_stream (logs-generic-default)."`
	Profile string   `enum:"integration,filebeat" default:"integration" help:"Field layout of CloudTrail: ${enum}."`
	Geo     string   `placeholder:"DIR" help:"Add places and networks from the *.mmdb files in this folder."`
	All     bool     `help:"Print alerts with little history and building blocks one by one, too."`
	JSON    bool     `name:"json" help:"Print alert documents, one a line, and nothing else."`
	Report  string   `placeholder:"FILE" help:"Write the account of the scan to this file, as JSON."`
}

// Help is the long help.
func (scanCommand) Help() string {
	return `T is an instant (2026-03-15T00:00:00Z) or date math (now-5d, now-1d/d), where now is the end of the data, not of the day.

A second scan into the same --db runs only windows that never ran, or in which events landed since; what it prints, and its exit code, concern the new alerts.

Examples:

    tocsin scan trail/
    tocsin scan --from now-5d --db case.duckdb --geo /usr/share/GeoIP trail/
    aws s3 cp s3://bucket/key.json.gz - | tocsin scan --json -

` + exitCodes
}

// scan is one run of the command.
type scan struct {
	scanCommand
	streams  Streams
	progress *progress
	db       store.Store
	began    time.Time

	span   span
	report *reportFile
	rules  ruleset
	loaded loaded
	data   store.Span // of the events that are stored
	result replay.Report

	untimed []untimedRule

	afterLoad func() // called when all events are stored; may be nil
}

// Run loads the files, runs the rules over them, prints what they found and the account of it all.
func (c scanCommand) Run(ctx context.Context, streams Streams) (err error) {
	s := &scan{scanCommand: c, streams: streams, began: streams.Now(), progress: streams.newProgress()}
	defer s.progress.Close()
	if s.span, err = readSpan(c.From, c.To); err != nil {
		return err
	}
	if s.report, err = openReport(c.Report); err != nil {
		return err
	}
	defer func() { err = s.report.abandon(err) }()
	if err := s.open(ctx, func() error { return s.run(ctx) }); err != nil {
		return err
	}
	if s.loaded.files == 0 {
		fmt.Fprintln(s.progress, "tocsin: there was no file to read")
	}
	s.progress.Close()
	if err := s.report.write(s); err != nil {
		return err
	}
	if err := s.print(); err != nil {
		return err
	}
	return exit(s.code())
}

// open opens the store for the time of do.
func (s *scan) open(ctx context.Context, do func() error) (err error) {
	remove := func() error { return nil }
	if s.DB == "" {
		s.db, remove, err = scratchStore(ctx)
	} else {
		s.db, err = openStore(ctx, s.DB)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	defer func() { err = errors.Join(err, s.db.Close()) }()
	return do()
}

// run fills in what print and report tell.
func (s *scan) run(ctx context.Context) error {
	profile := profileNamed(s.Profile)
	// Mistakes in rules are told before a load that may take hours; whether a name is a field of the data shows later.
	s.rules = readRules(s.Rules, s.Feeds, s.progress)
	s.rules.compile(fieldsOf(profile, withIndicators(nil, s.rules.indicators)), s.progress)
	if err := s.load(ctx); err != nil {
		return err
	}
	if s.afterLoad != nil {
		s.afterLoad()
	}
	streams, err := s.db.Streams(ctx, nil)
	if err != nil {
		return err
	}
	s.data = dataSpan(streams)
	from, to, err := s.span.at(s.data.To)
	if err != nil {
		return err
	}
	programs := s.rules.compile(fieldsOf(profile, withIndicators(streams, s.rules.indicators)), s.progress)
	if err := s.rules.weigh(ctx, s.db, programs, s.data.To, s.progress); err != nil {
		return err
	}
	for _, p := range programs {
		names, warning := p.Untimed(streams)
		if len(names) > 0 {
			s.untimed = append(s.untimed, untimedRule{RuleID: p.Rule.RuleID, Streams: names})
			s.rules.tell(warning, s.progress)
		}
	}
	clock, err := stamps(ctx, s.db, s.streams.Now)
	if err != nil {
		return err
	}
	done, total := 0, len(programs)
	s.progress.show(func() string { return fmt.Sprintf("rules  %d of %d", done, total) })
	defer s.progress.show(nil)
	s.result, err = replay.Run(ctx, s.db, programs, replay.Options{From: from, To: to, Fields: s.Profile, Clock: clock, Indicators: indicator.Over(s.db, s.rules.indicators), Progress: func(n, of int) {
		s.progress.mu.Lock()
		defer s.progress.mu.Unlock()
		done, total = n, of
	}})
	if err != nil {
		return err
	}
	for _, r := range s.result.Rules {
		switch {
		case r.Err != nil:
			s.rules.broke(r.Program.Rule, r.Failed, r.Err, s.progress)
		case r.Skipped != "":
			s.rules.skip(r.Program.Rule.RuleID, r.Skipped)
		}
	}
	return ctx.Err()
}

func (s *scan) load(ctx context.Context) error {
	list, closeList, err := enrichers(s.Geo)
	if err != nil {
		return err
	}
	choose, err := dataSets(s.Data, s.Profile, s.Stream, list)
	if err != nil {
		return errors.Join(err, closeList())
	}
	clock, err := stamps(ctx, s.db, s.streams.Now)
	if err != nil {
		return errors.Join(err, closeList())
	}
	l := loading{db: s.db, choose: choose, clock: clock, progress: s.progress}
	s.loaded, err = l.load(ctx, s.Paths, s.streams.In)
	return errors.Join(err, closeList())
}

// ran is the number of rules that ran to their end.
func (s *scan) ran() int {
	n := 0
	for _, r := range s.result.Rules {
		if r.Err == nil && r.Skipped == "" {
			n++
		}
	}
	return n
}

// code is what the scan ends with.
func (s *scan) code() int {
	over := false
	for _, r := range s.result.Rules {
		over = over || len(r.Capped) > 0 || r.PendingWindows > 0
	}
	switch {
	case s.loaded.bad() || s.rules.bad || over:
		return ExitIncomplete
	case len(s.result.Alerts) > 0:
		return ExitAlerts
	}
	return ExitNothing
}

// print prints the alerts and the account, or the alerts alone as JSON.
func (s *scan) print() error {
	out := s.streams.results()
	if !s.JSON {
		s.table(out)
		s.account(out, out.screen)
		return out.close()
	}
	for _, a := range byTime(s.result.Alerts) {
		writeJSON(out, a)
	}
	err := out.close()
	// Whoever watches sees the account all the same; a program that reads standard error sees mistakes alone.
	if sc := s.streams.screenOf(s.streams.Err); sc.terminal {
		s.account(s.streams.Err, sc)
	}
	return err
}

// table prints the alerts for a person.
func (s *scan) table(out *results) {
	shown, blocks, folded := s.fold(byTime(s.result.Alerts))
	alertTable(out, shown, out.screen)
	if len(shown) > 0 {
		fmt.Fprintln(out)
	}
	if len(blocks) > 0 {
		fmt.Fprintf(out, "%s, material for other rules (--all shows them)\n\n", counted(int64(len(blocks)), "building block"))
	}
	if len(folded) > 0 {
		fmt.Fprintf(out, "%s with little history: data starts %s (--all shows them)\n\n",
			counted(int64(len(folded)), "first sighting"), clock(s.data.From))
	}
}

// fold parts the alerts into those that are shown one by one, those of building-block rules, and the others of which less
// than half of the history is covered by data: at the beginning of all data everything is new.
func (s *scan) fold(alerts []*event.Event) (shown, blocks, folded []*event.Event) {
	for _, a := range alerts {
		covered, ok := event.Coerce(event.Double, a.Get("tocsin.alert.history.covered"))
		switch {
		case s.All:
			shown = append(shown, a)
		case a.Text("kibana.alert.building_block_type") != "":
			blocks = append(blocks, a)
		case ok && covered.Float() < 0.5:
			folded = append(folded, a)
		default:
			shown = append(shown, a)
		}
	}
	return shown, blocks, folded
}
