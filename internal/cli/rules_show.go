package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
	"github.com/tocsin-sec/tocsin/internal/window"
)

type rulesShowCommand struct {
	Rule  string   `arg:"" help:"A rule's ID or name, the name of its file, or a file; of several rules in it all are shown."`
	Rules []string `placeholder:"PATH" sep:"none" help:"Where to look for the rule, may be repeated. Without it: among the bundled rules."`
}

// Help is the long help.
func (rulesShowCommand) Help() string {
	return `Prints what a rule says in words: when it runs and what it looks at, its query as it is understood, the fields that it reads and whether these have a column of their own, and what a run costs.

The cost counts what one event takes, in reads of one column. A field without a column costs 30: it is looked for in the text that holds all such fields.

Examples:

    tocsin rules show ccb73eb6-f306-418a-8978-f0cbbc7de119
    tocsin rules show my-rules/first-login.toml`
}

// Run prints the rules.
func (c rulesShowCommand) Run(ctx context.Context, streams Streams) error {
	set, err := findRule(c.Rule, c.Rules)
	if err != nil {
		return err
	}
	lists, problems := exception.Load(set)
	fmt.Fprint(streams.Err, set.Problems.Render(), problems.Render())
	out := streams.results()
	for i, r := range set.Rules {
		if err := ctx.Err(); err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(out)
		}
		newPortrait(r, lists).write(out)
	}
	if err := out.close(); err != nil {
		return err
	}
	if len(set.Problems) > 0 || problems.Err() != nil {
		return exit(ExitIncomplete)
	}
	return nil
}

// portrait is what there is to say of a rule.
type portrait struct {
	rule     *rule.Rule
	lists    *exception.Lists
	state    string
	problems diag.List
	resolver fields
	query    *reading // nil where the rule has none that can be used
}

func newPortrait(r *rule.Rule, lists *exception.Lists) *portrait {
	p := &portrait{rule: r, lists: lists, resolver: fieldsOf(profileOf(r), nil)}
	p.state, p.problems = judgeRule(r, lists)
	p.query = read(r, p.resolver)
	return p
}

// titled writes a title and lines beside it.
func titled(w io.Writer, title string, lines ...string) {
	for _, line := range lines {
		if line != "" {
			fmt.Fprintf(w, "%-11s%s\n", title, printable(line))
			title = ""
		}
	}
}

func (p *portrait) write(w io.Writer) {
	r := p.rule
	fmt.Fprintln(w, printable(r.Name))
	titled(w, "rule", fmt.Sprintf("%s, version %d, of the type %s", r.RuleID, r.Version, r.Type))
	titled(w, "file", r.File)
	titled(w, "severity", fmt.Sprintf("%s, risk score %d", r.Severity, r.RiskScore))
	titled(w, "status", p.status()...)
	titled(w, "when", p.when()...)
	titled(w, "history", p.history()...)
	titled(w, "alerts", p.alerts()...)
	titled(w, "reads", p.reads())
	titled(w, "ATT&CK", places(r)...)
	titled(w, "query", p.queryLines()...)
	titled(w, "span", p.span()...)
	if touched := p.touched(); p.query != nil {
		fmt.Fprintln(w)
		p.writeFields(w, touched)
		fmt.Fprintln(w)
		titled(w, "cost", p.cost(touched)...)
	}
}

func (p *portrait) status() []string {
	out := []string{map[string]string{stateRuns: "runs", stateCannotRun: "cannot run yet", stateInvalid: "invalid"}[p.state]}
	for _, d := range p.problems {
		if d.Severity == diag.Error || d.Code == rule.CodeLacks || d.Code == rule.CodeAbsent || d.Code == rule.CodeOwnQuery || d.Code == rule.CodeOff {
			out = append(out, d.Message)
		}
	}
	return out
}

// sampleTime is a now for windows that do not say how long they are without one.
var sampleTime = time.Date(2026, 1, 14, 12, 34, 56, 0, time.UTC)

// sample is the rule's window at some time.
func (p *portrait) sample() (window.Window, time.Duration, bool) {
	s, err := window.New(window.Spec{Interval: p.rule.Interval, From: p.rule.From, To: p.rule.To, History: p.rule.HistoryWindowStart})
	if err != nil {
		return window.Window{}, 0, false
	}
	w, err := s.Window(sampleTime)
	return w, s.Interval(), err == nil
}

// when says in words when the rule runs and what it looks at.
func (p *portrait) when() []string {
	r := p.rule
	w, every, ok := p.sample()
	if !ok {
		return []string{fmt.Sprintf("every %s, from %s to %s", r.Interval, r.From, r.To)}
	}
	by := "by the time of events (@timestamp)"
	if f := r.TimeField(); f.Primary != plan.Timestamp {
		by = "by " + f.Primary
		if f.Fallback != "" {
			by += ", by " + f.Fallback + " where an event lacks it"
		}
		if f.Primary == plan.Ingested {
			by = strings.Replace(by, plan.Ingested, "the time of arrival ("+plan.Ingested+")", 1)
		}
	}
	out := []string{fmt.Sprintf("every %s it looks at what lies from %s to %s, both ends included", inWords(every), r.From, r.To), by}
	if strings.HasPrefix(r.From, "now") && strings.HasPrefix(r.To, "now") {
		length := w.To.Sub(w.From)
		times := fmt.Sprintf("windows of %s: an event is looked at %.3g times on average", inWords(length), float64(length)/float64(every))
		switch {
		case length == every:
			times = fmt.Sprintf("windows of %s: an event is looked at once", inWords(length))
		case length < every:
			times = fmt.Sprintf("windows of %s leave %s out each time", inWords(length), inWords(every-length))
		}
		out = append(out, times)
	}
	return out
}

// history says what a new-terms rule compares with.
func (p *portrait) history() []string {
	r := p.rule
	if r.Type != rule.TypeNewTerms {
		return nil
	}
	out := []string{fmt.Sprintf("alerts on values of %s that no matching event held since %s, counted from the window's end",
		strings.Join(r.NewTermsFields, " × "), r.HistoryWindowStart)}
	if w, _, ok := p.sample(); ok && strings.HasPrefix(r.HistoryWindowStart, "now") {
		out = append(out, fmt.Sprintf("%s before the window; an event at its very start is history", inWords(w.From.Sub(w.History))))
	}
	return out
}

func (p *portrait) alerts() []string {
	r := p.rule
	out := []string{"at most " + counted(int64(r.MaxSignals), "alert") + " a run"}
	if s := r.Suppression; s != nil {
		folded := "folded by " + strings.Join(s.GroupBy, ", ")
		if len(s.GroupBy) == 0 {
			folded = "folded by the threshold's fields"
		}
		if s.Value > 0 {
			folded += fmt.Sprintf(", for %d%s after the first", s.Value, s.Unit)
		}
		out = append(out, folded)
	}
	if t := r.Threshold; t != nil {
		group := "all events together"
		if len(t.Fields) > 0 {
			group = "each " + strings.Join(t.Fields, " × ")
		}
		out = append(out, fmt.Sprintf("where %s has %s or more", group, counted(int64(t.Value), "event")))
		for _, c := range t.Cardinality {
			out = append(out, fmt.Sprintf("with %d or more different values of %s", c.Value, c.Field))
		}
	}
	if m := r.ThreatMatch; m != nil {
		out = append(out, "where an event fits an indicator of "+strings.Join(m.Index, ", ")+" that fulfils "+strings.Join(strings.Fields(m.Query), " "))
		for i, g := range m.Mapping {
			var pairs []string
			for _, e := range g.Entries {
				sign := " = "
				if e.Negate {
					sign = " ≠ "
				}
				pairs = append(pairs, e.Field+sign+e.Value)
			}
			line := "by " + strings.Join(pairs, " and ")
			if i > 0 {
				line = "or " + line
			}
			out = append(out, line)
		}
	}
	return append(out, p.unseen()...)
}

// unseen are the lists of exceptions that the rule meets.
func (p *portrait) unseen() []string {
	var out []string
	applied, _ := p.lists.Of(p.rule)
	for _, l := range applied {
		out = append(out, fmt.Sprintf("except what list %s names (%s, %s)", l.ListID, l.Type, counted(int64(len(l.Items)), "exception")))
	}
	for _, e := range p.rule.ExceptionsList {
		if !slices.ContainsFunc(applied, func(l *exception.List) bool { return l.ListID == e.ListID }) {
			out = append(out, fmt.Sprintf("except what list %s names (%s, which is not here)", e.ListID, e.Type))
		}
	}
	return out
}

func (p *portrait) reads() string {
	r := p.rule
	switch {
	case r.DataViewID != "" && len(r.Index) == 0:
		return "the data view " + r.DataViewID
	case r.DataViewID != "":
		return strings.Join(r.Index, ", ") + " (the data view " + r.DataViewID + ")"
	case r.Type == rule.TypeESQL:
		return "what its query names"
	case r.Type == rule.TypeMachineLearning:
		return "anomalies of " + strings.Join(r.MachineLearningJobIDs, ", ")
	case len(r.Index) == 0:
		return "all event streams"
	}
	return strings.Join(r.Index, ", ")
}

// places are the rule's places in ATT&CK.
func places(r *rule.Rule) []string {
	var out []string
	for _, t := range r.Threat {
		tactic := t.Tactic.ID + " " + t.Tactic.Name
		if len(t.Techniques) == 0 {
			out = append(out, tactic)
		}
		for _, q := range t.Techniques {
			line := tactic + " → " + q.ID + " " + q.Name
			if len(q.Subtechniques) == 0 {
				out = append(out, line)
			}
			for _, s := range q.Subtechniques {
				out = append(out, line+" → "+s.ID+" "+s.Name)
			}
		}
	}
	return out
}

// queryLines are the query as it is understood, a clause or a stage a line.
func (p *portrait) queryLines() []string {
	if p.query == nil {
		return strings.Split(strings.TrimSpace(p.rule.Query), "\n")
	}
	return p.query.lines
}

// touchedField is a field that a run reads.
type touchedField struct {
	field  expr.Field
	name   string // by which the rule calls it
	column bool
	reads  int // how often
	how    []string
}

// touched are the fields that a run reads, in the order in which the rule names them.
func (p *portrait) touched() []touchedField {
	var out []touchedField
	at := map[string]int{}
	stream := ""
	if len(p.rule.Index) > 0 && !slices.ContainsFunc(p.rule.Index, func(s string) bool { return !strings.HasPrefix(s, ".alerts-") }) {
		stream = store.AlertStream
	}
	add := func(f expr.Field, how string) {
		i, known := at[f.Path]
		if !known {
			i = len(out)
			at[f.Path] = i
			out = append(out, touchedField{field: f, name: f.Path, column: duck.HasColumn(stream, f.Path)})
		}
		out[i].reads++
		if !slices.Contains(out[i].how, how) {
			out[i].how = append(out[i].how, how)
		}
	}
	for _, path := range p.rule.TimeField().Paths() {
		f, _ := p.resolver.Field(path)
		add(f, "window")
	}
	if p.query != nil {
		for _, part := range p.query.parts {
			expr.Walk(part.cond, func(f expr.Field) { add(f, part.name) }, func() { add(expr.Field{Path: "*"}, part.name) })
		}
		for _, f := range p.query.keys {
			add(f, "key")
		}
	}
	named := func(how string, names ...string) {
		for _, name := range names {
			f, _ := p.resolver.Field(name)
			add(f, how)
		}
	}
	named("terms", p.rule.NewTermsFields...)
	if t := p.rule.Threshold; t != nil {
		named("group", t.Fields...)
		for _, c := range t.Cardinality {
			named("different values", c.Field)
		}
	}
	if m := p.rule.ThreatMatch; m != nil {
		for _, g := range m.Mapping {
			for _, e := range g.Entries {
				named("compare", e.Field)
			}
		}
	}
	if t := p.rule.Suppression; t != nil {
		named("fold", t.GroupBy...)
	}
	if p.rule.TiebreakerField != "" {
		named("order", p.rule.TiebreakerField)
	}
	return out
}

func (p *portrait) writeFields(w io.Writer, touched []touchedField) {
	var rows [][]string
	for _, t := range touched {
		from, kind := "rest", t.field.Type.String()
		if t.column {
			from = "column"
		}
		if t.name == "*" {
			from, kind = "the whole event", ""
		}
		if _, declared := p.resolver.Field(t.name); !declared && t.name != "*" {
			kind += " (not declared)"
		}
		rows = append(rows, []string{printable(t.name), kind, from, strings.Join(t.how, ", ")})
	}
	writeTable(w, []string{"FIELD", "TYPE", "READ FROM", "FOR"}, rows, false)
}

// What reading an event takes, in reads of one column.
const (
	restReads  = 30  // to find a field in the text of all that have no column
	wholeReads = 500 // to look through every field
)

// cost says what a run takes.
func (p *portrait) cost(touched []touchedField) []string {
	columns, rest, reads := 0, 0, 0
	whole := false
	for _, t := range touched {
		switch {
		case t.name == "*":
			whole = true
			reads += wholeReads
		case t.column:
			columns++
			reads += t.reads
		default:
			rest++
			reads += restReads * t.reads
		}
	}
	parts := []string{counted(int64(columns), "column")}
	if rest > 0 {
		parts = append(parts, counted(int64(rest), "field")+" of rest")
	}
	if whole {
		parts = append(parts, "every field for a value without a field")
	}
	out := []string{fmt.Sprintf("about %s an event: %s", counted(int64(reads), "column read"), strings.Join(parts, ", "))}
	if _, every, ok := p.sample(); ok && every > 0 {
		out = append(out, fmt.Sprintf("%s a day", counted(int64((24*time.Hour+every-1)/every), "run")))
	}
	return out
}

// inWords writes a duration as people say it: 1 hour 30 minutes.
func inWords(d time.Duration) string {
	var parts []string
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := d / unit.size; n > 0 {
			parts = append(parts, counted(int64(n), unit.name))
			d -= n * unit.size
		}
	}
	if len(parts) == 0 {
		return d.String()
	}
	return strings.Join(parts, " ")
}
