package detect

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/filter"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// The codes of what Compile refuses; what is wrong with a query or a time has the code of its language.
const (
	CodeCannotRun = "RUN0101" // this version does not run such a rule
	CodeNoTerms   = "RUN0102" // a field to find new terms in, or to group by, whose values are no terms
	CodeNoWindow  = "RUN0103" // an interval or a time that windows cannot be made of
)

// Program is a rule ready to run. It is immutable and safe for concurrent use.
type Program struct {
	Rule *rule.Rule
	// Time is the field that windows are cut on.
	Time plan.TimeField
	// Warnings tell of exceptions that do not hide what they were meant to, and of sequences that windows cut.
	Warnings diag.List

	schedule window.Schedule
	hidden   exception.Hidden                       // what the rule does not see
	lower    func(now time.Time) (expr.Cond, error) // nil where the query does not hold date math
	asked    expr.Cond                              // the query, where it does not hold date math
	fixed    expr.Cond                              // asked, of what is not always hidden
	fields   []expr.Field                           // the new-terms fields
	by       grouping
	eql      *eqlQuery    // nil where the query is not EQL
	threat   *threatMatch // nil where the rule looks for no indicators
	found    *table       // the indicators that threat looks for; nil before Bind
	reads    []string     // the paths that tell whether a candidate alerts; nil: all of it
	uuid     string       // the rule's
}

// Compiler makes Programs of rules.
type Compiler struct {
	// Resolver says what the fields of events and of indicators mean.
	Resolver plan.Resolver
	// Lists hold what rules do not see; nil: nothing is hidden.
	Lists *exception.Lists
	// Indicators names what files hold in the streams of indicators that patterns name, "" for nothing: where it says
	// something else, a rule that looks there is another program, whose windows run anew. Nil: no files.
	Indicators func(patterns []string) string
}

// Compile makes a Program of r, whose fields mean what the resolver says. The error is a diag.List with everything that
// keeps the rule from running.
func Compile(r *rule.Rule, resolver plan.Resolver) (*Program, error) {
	return CompileWith(r, resolver, nil)
}

// CompileWith is Compile for a rule that does not see what lists hide from it: not in a window, and not in its history.
func CompileWith(r *rule.Rule, resolver plan.Resolver, lists *exception.Lists) (*Program, error) {
	return Compiler{Resolver: resolver, Lists: lists}.Compile(r)
}

// Compile makes a Program of r. The error is a diag.List with everything that keeps the rule from running.
func (c Compiler) Compile(r *rule.Rule) (*Program, error) {
	resolver := c.Resolver
	p := &Program{Rule: r, Time: r.TimeField(), uuid: r.UUID()}
	var found diag.List
	bad := func(code, hint, format string, args ...any) {
		found = append(found, diag.Diagnostic{Code: code, File: r.File, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
	if _, runs := executors[r.Type]; r.CannotRun != "" || !runs {
		why := r.CannotRun
		if why == "" {
			why = fmt.Sprintf("rule type %s cannot run yet", r.Type)
		}
		bad(CodeCannotRun, "", "%s", why)
		return nil, found
	}
	var err error
	if p.schedule, err = window.New(window.Spec{Interval: r.Interval, From: r.From, To: r.To, History: r.HistoryWindowStart}); err != nil {
		bad(CodeNoWindow, "", "%v", err)
	}
	if err := p.query(resolver); err != nil {
		found = append(found, diag.Of(err)...)
	}
	if err := p.compare(c); err != nil {
		found = append(found, diag.Of(err)...)
	}
	if err := p.lookFurther(); found.Err() == nil && err != nil {
		bad(CodeNoWindow, "", "%v", err)
	}
	for _, name := range r.NewTermsFields {
		f, _ := resolver.Field(name)
		switch {
		case f.Type.IsText():
			bad(CodeNoTerms, "name a keyword field that holds the whole value",
				"new_terms_fields: %s is analysed text, whose words are no terms", name)
		case hidden(f, resolver):
			// Nothing is ever a value of it; see below.
			p.fixed, p.lower = expr.Const{Value: false}, nil
		}
		p.fields = append(p.fields, f)
	}
	p.group(resolver, bad)
	if err := found.Err(); err != nil {
		return nil, err
	}
	p.hidden, p.Warnings = c.Lists.Hidden(r, resolver)
	if err := p.threat.hide(p.hidden); err != nil {
		return nil, err
	}
	p.Warnings = append(p.Warnings, p.lookBack()...)
	if p.asked = p.fixed; p.asked != nil {
		p.fixed = expr.All(p.asked, opposite(p.hidden.Always()))
	}
	p.reads = p.pathsRead()
	if name, computed := p.computed(); computed {
		bad(CodeCannotRun, "", "the field %s is computed by a script of the data view %s, which cannot run", name, r.DataViewID)
		return nil, found
	}
	return p, nil
}

func opposite(c expr.Cond) expr.Cond {
	if c, ok := c.(expr.Const); ok {
		return expr.Const{Value: !c.Value}
	}
	return expr.Not{Cond: c}
}

// computed names a field of the query, the new terms or the groups that no event has, as the data view computes it.
func (p *Program) computed() (name string, is bool) {
	cond, err := p.cond(anyTime)
	if err != nil || len(p.Rule.Runtime) == 0 {
		return "", false
	}
	paths, _ := expr.Paths(cond)
	paths = append(paths, p.Time.Paths()...)
	paths = append(paths, p.Rule.NewTermsFields...)
	stages, _ := p.eql.paths()
	paths = slices.Concat(paths, p.by.paths(), stages, p.threat.paths())
	for _, path := range paths {
		if slices.Contains(p.Rule.Runtime, path) {
			return path, true
		}
	}
	return "", false
}

// pathsRead are the paths that a run reads of every candidate; nil where the query reads the whole event.
func (p *Program) pathsRead() []string {
	cond, err := p.cond(anyTime)
	if err != nil {
		return nil
	}
	paths, whole := expr.Paths(cond)
	stages, wholly := p.eql.paths()
	if whole || wholly {
		return nil
	}
	paths = slices.Concat(paths, p.Time.Paths(), p.by.paths(), stages, p.threat.paths(), []string{plan.Timestamp}, alert.RaisedPaths())
	for _, f := range p.fields {
		paths = append(paths, f.Path)
	}
	if p.OnAlerts() && p.Rule.Threshold != nil {
		paths = append(paths, alert.LinePaths()...)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// anyTime does to find what is wrong with a query, and which fields it reads.
var anyTime = time.Unix(0, 0).UTC()

// query reads the rule's query and its filters, which must hold besides. The error has its places in the rule's file.
func (p *Program) query(resolver plan.Resolver) error {
	r := p.Rule
	if r.Type == rule.TypeEQL {
		return p.queryEQL(resolver)
	}
	lower, usesNow, err := readQuery(r, resolver, asking{"query", r.Query, r.Language}, "filters", r.Filters)
	if err != nil {
		return err
	}
	cond, err := lower(anyTime)
	if err != nil {
		return err
	}
	if usesNow {
		p.lower = lower
		return nil
	}
	p.fixed = cond
	return nil
}

// asking is a query as it stands at a key of a rule.
type asking struct{ key, text, language string }

// readQuery reads a query of a rule and the filters at another key, which must hold besides; usesNow says that they hold
// date math. Errors have their places in the rule's file.
func readQuery(r *rule.Rule, resolver plan.Resolver, ask asking, filtersKey string, list []event.Value) (lower func(now time.Time) (expr.Cond, error), usesNow bool, err error) {
	located := func(err error) diag.List { return r.Locator().In(ask.key, diag.Of(err)) }
	var found diag.List
	text, usesNow, err := readText(ask.language, ask.text, resolver)
	if err != nil {
		found = append(found, located(err)...)
	}
	filters, err := filter.Parse(list, filter.Options{Locate: r.Locator().Below(filtersKey)})
	if err != nil {
		found = append(found, diag.Of(err)...)
	}
	if found.Err() != nil {
		return nil, false, found
	}
	lower = func(now time.Time) (expr.Cond, error) {
		query, err := text(now)
		if err != nil {
			return nil, located(err)
		}
		rest, err := filter.Lower(filters, resolver, now)
		if err != nil {
			return nil, err
		}
		return expr.All(query, rest), nil
	}
	return lower, usesNow || filter.UsesNow(filters), nil
}

// hidden reports whether a field has no terms whatever documents hold: an object has no value of its own, and what
// stands inside a nested field can be reached by a nested query alone (rule-execution.md §2.3).
func hidden(f expr.Field, resolver plan.Resolver) bool {
	switch f.Type {
	case event.ObjectType, event.Nested, event.GeoPoint:
		return true
	}
	for i := range f.Path {
		if f.Path[i] == '.' {
			if parent, _ := resolver.Field(f.Path[:i]); parent.Type == event.Nested {
				return true
			}
		}
	}
	return false
}

// ID names the rule as it was compiled: another query, window or meaning of a field is another program.
func (p *Program) ID() string {
	h := sha256.New()
	r := p.Rule
	fmt.Fprintf(h, "%q %q %q %q %q %q %d\n", r.RuleID, r.Type, r.From, r.To, r.Interval, r.HistoryWindowStart, r.MaxSignals)
	cond := "date math: " + r.Query + string(event.List(r.Filters...).AppendJSON(nil))
	if p.fixed != nil {
		cond = expr.String(p.fixed)
	}
	fmt.Fprintf(h, "%q %t %q %q\n", p.Streams(), p.Streams() == nil, p.Time.Paths(), cond)
	if !p.hidden.Empty() {
		fmt.Fprintf(h, "hidden %q\n", p.hidden.String())
	}
	for _, f := range p.fields {
		fmt.Fprintf(h, "%q\n", f.String())
	}
	if p.eql != nil {
		p.eql.writeTo(h)
	}
	if p.threat != nil {
		p.threat.writeTo(h)
	}
	if p.groups() {
		fmt.Fprintf(h, "groups %v %s %t %t %q\n", p.by.fields, p.by.lasts, p.by.folds, p.by.alone, p.by.different.String())
		if r.Threshold != nil {
			fmt.Fprintf(h, "%d %v\n", r.Threshold.Value, r.Threshold.Cardinality)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Streams are the patterns of the streams that the rule reads.
func (p *Program) Streams() []string { return p.Rule.Index }

// Schedule is when the rule runs, and over which windows.
func (p *Program) Schedule() window.Schedule { return p.schedule }

// Window is the window of the run at slot.
func (p *Program) Window(slot time.Time) (window.Window, error) { return p.schedule.Window(slot) }

// Remembers reports whether Run needs the sightings of Sightings: the rule looks at a history, and its query means the
// same at each run.
func (p *Program) Remembers() bool {
	return len(p.fields) > 0 && p.fixed != nil && !p.hidden.Changes()
}

// Sightings says whose sightings of what a program that Remembers asks for.
func (p *Program) Sightings() sighting.Program { return p.sightings(p.fixed) }

func (p *Program) sightings(cond expr.Cond) sighting.Program {
	return sighting.Program{Streams: p.Streams(), Cond: cond, Fields: p.fields, Time: p.Time}
}

// Candidates is the plan of every event within span that can match in a window, oldest first, with what Run reads of
// them: what a replay fetches once. Running over these events alone gives the same as running over all.
func (p *Program) Candidates(span window.Span) plan.Node {
	node := p.ordered(p.candidates(span), p.Time)
	if len(p.fields) == 0 && !p.groups() && (p.eql == nil || p.eql.Events != nil) {
		return node // most of them will be alerts
	}
	return p.narrowed(node)
}

// CandidateTimes is the plan of the same events, in any order, with nothing but what tells their time.
func (p *Program) CandidateTimes(span window.Span) plan.Node {
	return plan.Project{Paths: p.Time.Paths(), In: plan.Filter{Cond: p.candidates(span), In: plan.Scan{Streams: p.Streams()}}}
}

func (p *Program) candidates(span window.Span) expr.Cond {
	query := p.fixed
	if query == nil {
		query = opposite(p.hidden.Always())
	}
	return expr.All(p.Time.Within(span.From, span.To), query, p.found.held())
}

// cond is what the query means in a run at now, which does not see what is hidden then.
func (p *Program) cond(now time.Time) (expr.Cond, error) {
	unseen := expr.All(opposite(p.hidden.At(now)), p.found.held())
	if p.lower == nil {
		return expr.All(p.fixed, unseen), nil
	}
	query, err := p.lower(now)
	if err != nil {
		return nil, err
	}
	return expr.All(query, opposite(p.hidden.Always()), unseen), nil
}

// ordered orders by times, then by when events happened: many are ingested at one instant.
func (p *Program) ordered(cond expr.Cond, times plan.TimeField) plan.Node {
	keys := []plan.SortKey{{Value: times.Value()}}
	if p.Time.Primary != plan.Timestamp {
		keys = append(keys, plan.SortKey{Value: plan.TimeField{Primary: plan.Timestamp}.Value()})
	}
	return plan.Sort{Keys: keys, In: plan.Filter{Cond: cond, In: plan.Scan{Streams: p.Streams()}}}
}

// narrowed leaves of the rows of n what Run reads of all: whole events make wide rows.
func (p *Program) narrowed(n plan.Node) plan.Node {
	if p.reads == nil {
		return n
	}
	return plan.Project{Paths: p.reads, In: n}
}

// matches is the plan of the events in [from, to] that match in the run at now, whole, in the order in which the rule type
// alerts on them (rule-execution.md §1.5): a rule on new terms or groups takes an event's time as it cuts windows, another
// rule the override alone, so that events without it come last.
func (p *Program) matches(now, from, to time.Time) (plan.Node, error) {
	cond, err := p.cond(now)
	if err != nil {
		return nil, fmt.Errorf("read the query at %s: %w", event.FormatTime(now), err)
	}
	times := p.Time
	if len(p.fields) == 0 && !p.groups() {
		times.Fallback = ""
	}
	return p.ordered(expr.All(p.Time.Within(from, to), cond), times), nil
}

// OnAlerts reports whether the rule reads alerts.
func (p *Program) OnAlerts() bool { return store.Selects(p.Streams(), store.AlertStream) }

// String names the rule.
func (p *Program) String() string { return strings.TrimSpace(p.Rule.Name + " " + p.Rule.RuleID) }
