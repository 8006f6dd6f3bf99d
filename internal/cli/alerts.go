package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/indicator"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// alertsCommand are the commands about alerts that are stored, or could be.
type alertsCommand struct {
	Pending    alertsPendingCommand    `cmd:"" help:"List what rules left out because a window held more than max_signals."`
	Release    alertsReleaseCommand    `cmd:"" help:"Make the alerts that are pending."`
	Suppressed alertsSuppressedCommand `cmd:"" help:"List what rules folded into their alerts."`
}

type alertsPendingCommand struct {
	DB   string `name:"db" required:"" placeholder:"FILE" help:"The store: what tocsin scan --db made."`
	JSON bool   `name:"json" help:"Print one object a rule, one a line, and nothing else."`
}

// Help is the long help.
func (alertsPendingCommand) Help() string {
	return `A rule that was changed comes once for each version that left something out, until a scan with the new version has looked at these windows again.

Exit codes: 0 it ran, 2 the command line is wrong or the store cannot be read, 130 interrupted.`
}

// Run lists what is pending.
func (c alertsPendingCommand) Run(ctx context.Context, streams Streams) (err error) {
	db, err := openExisting(ctx, c.DB)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	list, err := replay.ListPending(ctx, db)
	if err != nil {
		return err
	}
	out := streams.results()
	if c.JSON {
		for _, p := range list {
			if err := writePending(out, p); err != nil {
				return err
			}
		}
		return out.close()
	}
	var rows [][]string
	total := 0
	for _, p := range list {
		rows = append(rows, []string{thousands(int64(p.Alerts)), thousands(int64(p.Windows)), clock(p.First), clock(p.Last),
			short(p.RuleID, maxRule), short(nameOf(p), maxRule)})
		total += p.Alerts
	}
	if len(rows) > 0 {
		header, rows := narrowed([]string{"ALERTS", "WINDOWS", "FIRST (UTC)", "LAST", "RULE ID", "RULE"}, rows, out.screen, leastRule, 4, 5)
		writeTable(out, header, rows, false)
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "%s pending\n", counted(int64(total), "alert"))
	return out.close()
}

func nameOf(p replay.Pending) string {
	if p.Rule == nil {
		return ""
	}
	return p.Rule.Name
}

func writePending(w io.Writer, p replay.Pending) error {
	at := func(t time.Time) string { return event.FormatTime(t) }
	data, err := json.Marshal(struct {
		RuleID  string `json:"rule_id"`
		Name    string `json:"name"`
		Alerts  int    `json:"alerts"`
		Windows int    `json:"windows"`
		First   string `json:"first"`
		Last    string `json:"last"`
	}{p.RuleID, nameOf(p), p.Alerts, p.Windows, at(p.First), at(p.Last)})
	if err != nil {
		return fmt.Errorf("write what is pending of rule %s: %w", p.RuleID, err)
	}
	_, err = io.WriteString(w, escaped(string(data))+"\n")
	return err
}

type alertsReleaseCommand struct {
	DB   string   `name:"db" required:"" placeholder:"FILE" help:"The store: what tocsin scan --db made."`
	Rule []string `placeholder:"ID" sep:"none" help:"Only what this rule (its rule_id) left out, may be repeated."`

	Rules []string `placeholder:"PATH" sep:"none" help:"The rules, for the exceptions and indicators beside them as they are now: see below."`
	Feeds []string `name:"indicators" placeholder:"PATH" sep:"none" help:"File or folder of indicators besides."`
	JSON  bool     `name:"json" help:"Print alert documents, one a line, and nothing else."`
}

// Help is the long help.
func (alertsReleaseCommand) Help() string {
	return `The alerts are those that the windows would have made without max_signals, by the rules as they ran then. Of a first sighting that late events have shown to be none no alert is made.

A rule that ran with exceptions, or with indicators from files, needs them: name with --rules (and --indicators) what the scan named, and the rule runs with them as they are now. What they hide now is not released, and no longer pending.

Examples:

    tocsin alerts pending --db case.duckdb
    tocsin alerts release --db case.duckdb
    tocsin alerts release --db case.duckdb --rule 2f6b1c5e-0000-4000-8000-000000000000 --json
    tocsin alerts release --db case.duckdb --rules my-rules/

` + exitCodes
}

// Run releases what is pending and prints it.
func (c alertsReleaseCommand) Run(ctx context.Context, streams Streams) (err error) {
	db, err := openExisting(ctx, c.DB)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	r := release{alertsReleaseCommand: c, streams: streams, db: db}
	if err := r.run(ctx); err != nil {
		return err
	}
	if err := r.print(); err != nil {
		return err
	}
	switch {
	case r.failed:
		return exit(ExitIncomplete)
	case len(r.result.Alerts) > 0:
		return exit(ExitAlerts)
	}
	return exit(ExitNothing)
}

// release is one run of the command.
type release struct {
	alertsReleaseCommand
	streams Streams
	db      store.Store
	result  replay.Report
	failed  bool // something that is pending cannot be released
}

func (r *release) run(ctx context.Context) error {
	pending, err := replay.ListPending(ctx, r.db)
	if err != nil {
		return err
	}
	for _, id := range r.Rule {
		if !slices.ContainsFunc(pending, func(p replay.Pending) bool { return p.RuleID == id }) {
			return fmt.Errorf("nothing is pending of a rule %s", id)
		}
	}
	stored, err := r.db.Streams(ctx, nil)
	if err != nil {
		return err
	}
	var opt replay.Options
	var beside *ruleset
	if len(r.Rules) > 0 {
		set := readRules(r.Rules, r.Feeds, r.streams.Err)
		r.failed = set.bad
		beside, opt.Indicators = &set, indicator.Over(r.db, set.indicators)
		stored = withIndicators(stored, set.indicators)
	}
	var list []replay.Released
	for _, p := range pending {
		if len(r.Rule) > 0 && !slices.Contains(r.Rule, p.RuleID) {
			continue
		}
		released, err := readyPending(p, stored, beside)
		if err != nil {
			r.fail(p.RuleID, err)
			continue
		}
		if released.AsNow {
			beside.tell(released.Program.Warnings, r.streams.Err)
		}
		list = append(list, released)
	}
	if opt.Clock, err = stamps(ctx, r.db, r.streams.Now); err != nil {
		return err
	}
	if r.result, err = replay.Release(ctx, r.db, list, opt); err != nil {
		return err
	}
	for _, done := range r.result.Rules {
		if done.Err != nil {
			r.failed = true
			fmt.Fprintf(r.streams.Err, "tocsin: %s\n", printable(done.Err.Error()))
		}
	}
	return ctx.Err()
}

var (
	errBeside   = errors.New("it ran with exceptions or indicators that stand in files: name with --rules what the scan named")
	errNoBeside = errors.New("it ran with exceptions or indicators that stand in files, and is not among --rules")
)

// readyPending makes the rule ready to run, on the fields that it ran on: as it ran, or, where it is among the rules of
// beside, with what stands beside them.
func readyPending(p replay.Pending, stored []store.Stream, beside *ruleset) (replay.Released, error) {
	out := replay.Released{Pending: p}
	if p.Err != nil {
		return out, p.Err
	}
	out.AsNow = beside != nil && slices.ContainsFunc(beside.rules, func(r *rule.Rule) bool { return r.RuleID == p.RuleID })
	switch {
	case p.Excepted && beside == nil:
		return out, errBeside
	case p.Excepted && !out.AsNow:
		return out, errNoBeside
	case !out.AsNow:
		beside = &ruleset{}
	}
	var err error
	out.Program, err = beside.program(p.Rule, fieldsOf(profileNamed(p.Fields), stored))
	return out, err
}

func profileNamed(name string) ecs.Profile {
	if name == "filebeat" {
		return ecs.Filebeat
	}
	return ecs.Integration
}

func (r *release) fail(id string, err error) {
	r.failed = true
	if found := diag.Of(err); len(found) > 0 {
		fmt.Fprint(r.streams.Err, found.Render())
		return
	}
	fmt.Fprintf(r.streams.Err, "tocsin: rule %s: %s\n", printable(id), printable(err.Error()))
}

// print prints what was released.
func (r *release) print() error {
	out := r.streams.results()
	alerts := byTime(r.result.Alerts)
	if r.JSON {
		for _, a := range alerts {
			writeJSON(out, a)
		}
		return out.close()
	}
	alertTable(out, alerts, out.screen)
	if len(alerts) > 0 {
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "%s released\n", counted(int64(len(alerts)), "alert"))
	return out.close()
}
