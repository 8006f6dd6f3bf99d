package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/explain"
	"github.com/tocsin-sec/tocsin/internal/indicator"
	"github.com/tocsin-sec/tocsin/internal/ingest"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
)

type explainCommand struct {
	Rule   string   `arg:"" help:"A rule's ID or name, the name of its file, or a file that holds one rule."`
	Events []string `arg:"" optional:"" name:"event" help:"Files with events: ECS documents, search hits, alerts, or CloudTrail records; - for standard input."`
	Rules  []string `placeholder:"PATH" sep:"none" help:"Where to look for the rule, may be repeated. Without it: among the bundled rules."`
	For    string   `placeholder:"KQL" help:"In place of files: the stored events that the question is about."`
	From   string   `placeholder:"T" help:"Of these only events whose @timestamp is not earlier."`
	To     string   `placeholder:"T" help:"Of these only events whose @timestamp is not later."`
	DB     string   `name:"db" placeholder:"FILE" help:"The store: what tocsin scan --db made."`
	Feeds  []string `name:"indicators" placeholder:"PATH" sep:"none" help:"File or folder of indicators, may be repeated; besides those in indicators/ beside the rules."`

	Profile string `enum:"integration,filebeat" default:"integration" help:"Field layout of CloudTrail records in files: ${enum}."`
	Stream  string `placeholder:"NAME" help:"Where ECS documents lie that name no index and no data_stream (a stream that the rule reads)."`
	JSON    bool   `name:"json" help:"Print one object an event, or one for the span, one a line."`
}

// Help is the long help.
func (explainCommand) Help() string {
	return `With files: the rule's conditions as a tree, with what each comparison saw in the event; on top what decided.

With --for: what became of the stored events that match a query, from the clauses that let them through or not over windows, exceptions, what was seen before and suppression to the alert. T is as for tocsin query.

Examples:

    tocsin explain ccb73eb6-f306-418a-8978-f0cbbc7de119 event.json
    tocsin explain my-rules/first-login.toml --for 'user.name : mallory' --from now-1d --db case.duckdb

Exit codes: 0 explained, 2 the command line is wrong or the store cannot be read, 3 the rule or some input was bad, 130 interrupted.`
}

// Run answers.
func (c explainCommand) Run(ctx context.Context, streams Streams) (err error) {
	switch {
	case c.For == "" && len(c.Events) == 0:
		return errors.New("name files with events, or ask for stored ones with --for")
	case c.For != "" && len(c.Events) > 0:
		return errors.New("files with events and --for are two questions: ask one at a time")
	case c.For != "" && c.DB == "":
		return errors.New("--for asks about stored events: say where with --db FILE")
	case c.For == "" && (c.From != "" || c.To != ""):
		return errors.New("--from and --to go with --for")
	}
	x := &explaining{explainCommand: c, streams: streams}
	if err := x.find(); err != nil {
		return err
	}
	if x.rule == nil {
		return exit(ExitIncomplete)
	}
	if c.DB != "" {
		if x.db, err = openExisting(ctx, c.DB); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, x.db.Close()) }()
	}
	defer func() {
		if x.scratch != nil {
			err = errors.Join(err, x.scratch())
		}
	}()
	if c.For != "" {
		return x.span(ctx)
	}
	return x.files(ctx)
}

// explaining is one run of the command.
type explaining struct {
	explainCommand
	streams Streams
	rule    *rule.Rule
	db      store.Store // nil: none
	bad     bool        // some input was bad

	lists      *exception.Lists
	indicators *indicator.Files
	scratch    func() error // takes away a store that there is for indicators alone; nil: none
}

// find reads the rule; it is nil where it cannot be read.
func (x *explaining) find() error {
	set, err := findRule(x.Rule, x.Rules)
	if err != nil {
		return err
	}
	fmt.Fprint(x.streams.Err, set.Problems.Render())
	lists, found := exception.Load(set)
	fmt.Fprint(x.streams.Err, found.Render())
	files, wrong := loadIndicators(set, x.Feeds)
	fmt.Fprint(x.streams.Err, wrong.Render())
	x.lists, x.indicators = lists, files
	x.bad = set.Problems.Err() != nil || found.Err() != nil || wrong.Err() != nil
	runs, cannot := rule.Runnable(set.Rules)
	switch {
	case len(set.Rules) > 1:
		return fmt.Errorf("%s holds %s: name one by its ID, with --rules %s", x.Rule, counted(int64(len(set.Rules)), "rule"), x.Rule)
	case len(runs) == 1:
		x.rule = runs[0]
	case len(cannot) == 1:
		fmt.Fprintf(x.streams.Err, "tocsin: rule %s cannot run: %s\n", printable(cannot[0].RuleID), printable(cannot[0].CannotRun))
	case len(set.Problems) == 0:
		return fmt.Errorf("there is no rule in %s", x.Rule)
	}
	return nil
}

// findRule reads the rules of the file called name or, where there is none, the one rule with this ID or name, or of a file
// called so but for its ending, among those of paths (of the bundled ones), with all that stands beside them.
func findRule(name string, paths []string) (rule.Set, error) {
	if _, err := os.Stat(name); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return rule.Load(name), nil
	}
	set := bundledRules(true)
	if len(paths) > 0 {
		set = rule.Load(paths...)
	}
	var found []*rule.Rule
	var names []string
	for _, r := range set.Rules {
		file := strings.TrimSuffix(path.Base(filepath.ToSlash(r.File)), ".toml")
		if r.RuleID == name || r.Name == name || file == name {
			found = append(found, r)
		}
		names = append(names, r.RuleID, r.Name, file)
	}
	switch len(found) {
	case 1:
		set.Rules, set.Problems = found, nil // the others are not asked about
		return set, nil
	case 0:
		hint := ""
		if near, ok := diag.Nearest(name, names); ok {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		return rule.Set{}, fmt.Errorf("there is no file and no rule %s among %s%s", name, counted(int64(len(set.Rules)), "rule"), hint)
	}
	return rule.Set{}, fmt.Errorf("%s are called %s: name one by its ID", counted(int64(len(found)), "rule"), name)
}

// question compiles the rule on the fields of streams.
func (x *explaining) question(profile ecs.Profile, stored []store.Stream) (explain.Question, error) {
	q := explain.Question{Resolver: fieldsOf(profile, stored)}
	var err error
	q.Program, err = (&ruleset{exceptions: x.lists, indicators: x.indicators}).program(x.rule, q.Resolver)
	return q, err
}

// bind gives the rule the indicators of the store and of files.
func (x *explaining) bind(ctx context.Context, q *explain.Question) (err error) {
	if !q.Program.Matches() || x.db == nil && len(x.indicators.Accounts()) == 0 {
		return nil
	}
	db := x.db
	if db == nil { // indicators in files alone
		var remove func() error
		if db, remove, err = scratchStore(ctx); err != nil {
			return err
		}
		x.scratch = func() error { return errors.Join(db.Close(), remove()) }
	}
	at, err := db.Latest(ctx)
	if err != nil {
		return err
	}
	q.Program, err = q.Program.Bind(ctx, indicator.Over(db, x.indicators), at)
	return err
}

// refused tells why the rule cannot be compiled.
func (x *explaining) refused(err error) error {
	if err := badQuery(x.streams, err); err != nil {
		var coded *exitError
		if !errors.As(err, &coded) {
			return err
		}
	}
	return exit(ExitIncomplete)
}

// files explains the events of files.
func (x *explaining) files(ctx context.Context) error {
	profile := profileNamed(x.Profile)
	var stored []store.Stream
	var err error
	if x.db != nil {
		if stored, err = x.db.Streams(ctx, nil); err != nil {
			return err
		}
		stored = withIndicators(stored, x.indicators)
	}
	q, err := x.question(profile, stored)
	if err != nil {
		return x.refused(err)
	}
	if err := x.bind(ctx, &q); err != nil {
		return err
	}
	events, err := x.read(ctx, q.Program)
	if err != nil {
		return err
	}
	out := x.streams.results()
	for i, e := range events {
		if err := ctx.Err(); err != nil {
			return err
		}
		answer, err := explain.Event(ctx, q, e)
		if err != nil {
			return err
		}
		if x.JSON {
			err = writeObject(out, struct {
				Rule string `json:"rule"`
				explain.EventAnswer
			}{x.rule.RuleID, answer})
			if err != nil {
				return err
			}
			continue
		}
		if i > 0 {
			fmt.Fprintln(out)
		}
		writeEventAnswer(out, x.rule, answer)
	}
	if err := out.close(); err != nil {
		return err
	}
	if x.bad {
		return exit(ExitIncomplete)
	}
	return nil
}

// maxExplained bounds the events of files that are explained.
const maxExplained = 1000

// gathered takes what a load would store, up to maxExplained events.
type gathered struct {
	events []*event.Event
	more   int
}

// Apply takes the events of c.
func (g *gathered) Apply(_ context.Context, c *store.Change) error {
	for _, e := range c.Events {
		if len(g.events) == maxExplained {
			g.more++
			continue
		}
		g.events = append(g.events, e)
	}
	c.Outcome = store.Outcome{Stored: len(c.Events)}
	return nil
}

// read reads the events of the files as a scan would store them.
func (x *explaining) read(ctx context.Context, p *detect.Program) ([]*event.Event, error) {
	list, closeList, err := enrichers("")
	if err != nil {
		return nil, err
	}
	defer closeList()
	stream := x.Stream
	if stream == "" {
		stream = explain.Place(p)
	}
	choose, err := dataSets("auto", x.Profile, stream, list)
	if err != nil {
		return nil, err
	}
	taken := &gathered{}
	now := x.streams.Now()
	l := loading{db: taken, clock: func() time.Time { return now }, progress: x.streams.newProgress()}
	l.choose = func(head []byte) input {
		in := choose(head)
		in.set = alertsToo{in.set}
		return in
	}
	defer l.progress.Close()
	done, err := l.load(ctx, x.Events, x.streams.In)
	if err != nil {
		return nil, err
	}
	x.bad = x.bad || done.bad()
	for _, letter := range done.letters {
		fmt.Fprintf(x.streams.Err, "tocsin: %s at offset %s: %s\n", printable(letter.Object), thousands(letter.Offset), printable(letterText(letter)))
	}
	if taken.more > 0 {
		fmt.Fprintf(x.streams.Err, "tocsin: the first %s are explained, %s more are not\n", thousands(maxExplained), thousands(int64(taken.more)))
	}
	if len(taken.events) == 0 && !x.bad {
		return nil, errors.New("there is no event in the files")
	}
	for _, e := range taken.events {
		explain.Original(p, e)
	}
	return taken.events, nil
}

// alertsToo is a data set that takes hits on alerts as well: a scan stores none, as alerts are the rules' own.
type alertsToo struct{ normalize.DataSet }

// Normalize is that of the data set; a hit of a system stream lands in the stream of alerts.
func (a alertsToo) Normalize(raw event.Raw, counts *normalize.Counts) (*event.Event, error) {
	var first, second normalize.Counts
	e, err := a.DataSet.Normalize(raw, &first)
	var rejected *normalize.Rejected
	if errors.As(err, &rejected) && rejected.Reason == normalize.BadStream {
		hit, bad := event.ParseJSON(raw.Data)
		source := hit.Member("_source")
		if bad == nil && source.Kind() == event.KindObject {
			inner := raw
			inner.Data = source.AppendJSON(nil)
			if alert, bad := a.DataSet.Normalize(inner, &second); bad == nil {
				alert.ID, alert.Stream = hit.Member("_id").Text(), store.AlertStream
				counts.Add(second)
				return alert, nil
			}
		}
	}
	counts.Add(first)
	return e, err
}

func letterText(d ingest.DeadLetter) string {
	if d.Reason == normalize.NoEventTime {
		return d.Reason + ": an ECS document needs @timestamp, a CloudTrail record eventTime"
	}
	if d.Detail == "" {
		return d.Reason
	}
	return d.Reason + ": " + d.Detail
}

// span answers for stored events.
func (x *explaining) span(ctx context.Context) error {
	bounds, err := readSpan(x.From, x.To)
	if err != nil {
		return err
	}
	query, err := kql.Parse(x.For)
	if err != nil {
		return badQuery(x.streams, err)
	}
	stored, err := x.db.Streams(ctx, nil)
	if err != nil {
		return err
	}
	data := dataSpan(stored)
	from, to, err := bounds.at(data.To)
	if err != nil {
		return err
	}
	if from.IsZero() {
		from = data.From
	}
	if to.IsZero() {
		to = data.To
	}
	profile := profileNamed(x.Profile)
	if len(stored) > 0 && onlyFilebeat(stored) {
		profile = ecs.Filebeat
	}
	q, err := x.question(profile, withIndicators(stored, x.indicators))
	if err != nil {
		return x.refused(err)
	}
	advice := kql.Check(query, q.Resolver)
	if advice.Err() != nil {
		return badQuery(x.streams, advice)
	}
	fmt.Fprint(x.streams.Err, advice.Render())
	cond, err := kql.Lower(query, kql.Options{Resolver: q.Resolver, Now: data.To})
	if err != nil {
		return badQuery(x.streams, err)
	}
	if err := x.bind(ctx, &q); err != nil {
		return err
	}
	asked := explain.Asked{Cond: cond, Text: kql.String(query), From: from, To: to, Show: shownPaths}
	answer, err := explain.Span(ctx, q, x.db, asked)
	if err != nil {
		return err
	}
	out := x.streams.results()
	if x.JSON {
		if err := writeObject(out, newSpanObject(x.rule, asked, answer)); err != nil {
			return err
		}
	} else {
		writeSpanAnswer(out, x.rule, asked, answer)
	}
	if err := out.close(); err != nil {
		return err
	}
	if x.bad {
		return exit(ExitIncomplete)
	}
	return nil
}
