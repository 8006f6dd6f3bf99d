package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/lint"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// rulesCommand are the commands about rules themselves.
type rulesCommand struct {
	Check rulesCheckCommand `cmd:"" help:"Say of each rule whether it is right and whether it runs."`
	Show  rulesShowCommand  `cmd:"" help:"Explain one rule: when it runs, what it reads, what it costs."`
	Lint  rulesLintCommand  `cmd:"" help:"Look for what is likely a mistake in rules that are right."`
}

type rulesCheckCommand struct {
	Paths  []string `arg:"" name:"path" help:"Rule files (TOML), exports (NDJSON), or folders of them."`
	Feeds  []string `name:"indicators" placeholder:"PATH" sep:"none" help:"File or folder of indicators to check as well, may be repeated; besides those in indicators/ beside the rules."`
	JSON   bool     `name:"json" help:"Print one object a rule, one a line."`
	Strict bool     `help:"Take warnings for mistakes, too."`
}

// Help is the long help.
func (rulesCheckCommand) Help() string {
	return `A rule is invalid, or runs, or cannot run yet (it is right, and this version lacks something that it asks for). With --json each rule is an object with file, rule_id, name, type, language, status (runs, cannot_run, invalid) and problems, each with code, severity, message, line, column and hint.

Examples:

    tocsin rules check my-rules/ export.ndjson
    tocsin rules check --json my-rules/ | jq -r 'select(.status=="invalid") | .file'

Exit codes: 0 no rule is invalid, 2 the command line is wrong, 3 some rule is invalid or could not be read.`
}

// The states of a rule.
const (
	stateRuns      = "runs"
	stateCannotRun = "cannot_run"
	stateInvalid   = "invalid"
)

// judged is a rule, or what should have been one, with what is to be said of it.
type judged struct {
	rule.Found
	state    string
	problems diag.List

	kind string // what it is where it is no rule: exceptions, indicators
}

// judge says of each rule in set whether it is right and whether it runs.
func judge(set rule.Set, lists *exception.Lists) []judged {
	out := make([]judged, len(set.Found))
	for i, f := range set.Found {
		j := judged{Found: f, problems: f.Problems}
		switch {
		case f.Rule == nil || f.Problems.Err() != nil:
			j.state = stateInvalid
		default:
			j.state, j.problems = judgeRule(f.Rule, lists)
		}
		out[i] = j
	}
	return out
}

// compiledKey is the key that a diagnostic of package detect is about.
var compiledKey = map[string]string{detect.CodeNoTerms: "new_terms", detect.CodeNoWindow: "from"}

// judgeExceptions says of each file with exceptions what is to be said of it at now; of those that are right, nothing.
func judgeExceptions(lists *exception.Lists, problems diag.List, now time.Time) []judged {
	problems = append(problems, lists.Check(fieldsOf(ecs.Integration, nil), now)...)
	var out []judged
	for _, file := range byFile(problems) {
		j := judged{Found: rule.Found{File: file[0].File, Line: 1}, state: stateRuns, problems: file, kind: "exceptions"}
		if file.Err() != nil {
			j.state = stateInvalid
		}
		out = append(out, j)
	}
	return out
}

// judgeIndicators says of each file with indicators what is to be said of it; of those that are right, nothing.
func judgeIndicators(problems diag.List) []judged {
	var out []judged
	for _, file := range byFile(problems) {
		j := judged{Found: rule.Found{File: file[0].File, Line: 1}, state: stateRuns, problems: file, kind: "indicators"}
		if file.Err() != nil {
			j.state = stateInvalid
		}
		out = append(out, j)
	}
	return out
}

// judgeRule says so of a rule that could be read.
func judgeRule(r *rule.Rule, lists *exception.Lists) (state string, problems diag.List) {
	resolver := fieldsOf(profileOf(r), nil)
	problems = lint.Query(r, resolver)
	places := r.Locator()
	note := func(key, code, message string) {
		d := diag.Diagnostic{Code: code, Severity: diag.Note, Message: message, File: r.File}
		d.Span, d.Text = places.At(key)
		problems = append(problems, d)
	}
	for _, l := range append(r.Lacks(), r.Notes()...) {
		severity := diag.Note
		if l.Code == rule.CodeAbsent {
			severity = diag.Warning // the rule is right, and needs no newer version to run
		}
		problems = append(problems, r.Diagnose(l, severity))
	}
	if !r.Enabled {
		note("enabled", rule.CodeOff, "the file switches the rule off")
	}
	if problems.Err() == nil && r.Runs() {
		on := *r
		on.CannotRun = ""
		p, err := detect.Compile(&on, resolver)
		if err == nil {
			problems = append(problems, p.Warnings...)
		}
		_, unlisted := lists.Of(r)
		problems = append(problems, unlisted...)
		if beyond(err) {
			note("data_view_id", rule.CodeLacks, diag.Of(err)[0].Message)
			problems.Sort()
			return stateCannotRun, problems
		}
		for _, d := range diag.Of(err) {
			if key := compiledKey[d.Code]; key != "" && d.Text == "" {
				d.Span, d.Text = places.At(key)
			}
			problems = append(problems, d)
		}
	}
	problems.Sort()
	switch {
	case problems.Err() != nil:
		return stateInvalid, problems
	case !r.Runs():
		return stateCannotRun, problems
	}
	return stateRuns, problems
}

// profileOf is the layout of the events that a rule reads: Filebeat's where it reads no other.
func profileOf(r *rule.Rule) ecs.Profile {
	if len(r.Index) == 0 || slices.ContainsFunc(r.Index, func(s string) bool { return !strings.HasPrefix(s, "filebeat-") }) {
		return ecs.Integration
	}
	return ecs.Filebeat
}

// Run reads the rules and tells what there is to say of them.
func (c rulesCheckCommand) Run(ctx context.Context, streams Streams) error {
	set := rule.Load(c.Paths...)
	lists, problems := exception.Load(set)
	indicators, broken := loadIndicators(set, c.Feeds)
	found := slices.Concat(judge(set, lists), judgeExceptions(lists, problems, streams.Now()), judgeIndicators(broken))
	if err := ctx.Err(); err != nil {
		return err
	}
	out := streams.results()
	spoke := false
	for _, j := range found {
		if c.JSON {
			if err := j.write(out); err != nil {
				return err
			}
		} else if told := louder(j.problems, diag.Note); len(told) > 0 {
			fmt.Fprint(out, told.Render())
			spoke = true
		}
	}
	if spoke {
		fmt.Fprintln(out)
	}
	if !c.JSON {
		summary(out, found)
		accountIndicators(out, indicators)
	}
	if err := out.close(); err != nil {
		return err
	}
	bad := slices.ContainsFunc(found, func(j judged) bool {
		return j.state == stateInvalid || c.Strict && len(louder(j.problems, diag.Note)) > 0
	})
	if bad {
		return exit(ExitIncomplete)
	}
	return nil
}

// louder are the diagnostics that are more than of some severity.
func louder(list diag.List, than diag.Severity) diag.List {
	return slices.DeleteFunc(slices.Clone(list), func(d diag.Diagnostic) bool { return d.Severity >= than })
}

// write prints the rule as an object on one line.
func (j judged) write(w io.Writer) error {
	type problem struct {
		Code     string        `json:"code"`
		Severity diag.Severity `json:"severity"`
		Message  string        `json:"message"`
		Line     int           `json:"line"`
		Column   int           `json:"column"`
		Hint     string        `json:"hint,omitempty"`
	}
	object := struct {
		File     string    `json:"file"`
		RuleID   string    `json:"rule_id"`
		Name     string    `json:"name"`
		Type     string    `json:"type"`
		Language string    `json:"language"`
		Status   string    `json:"status"`
		Problems []problem `json:"problems"`
	}{File: j.File, Status: j.state, Problems: []problem{}}
	object.Type = j.kind
	if r := j.Rule; r != nil {
		object.RuleID, object.Name, object.Type, object.Language = r.RuleID, r.Name, r.Type, r.Language
	}
	for _, d := range j.problems {
		p := problem{Code: d.Code, Severity: d.Severity, Message: d.Message, Hint: d.Hint}
		if d.Text != "" {
			at, _ := d.Span.Positions(d.Text)
			p.Line, p.Column = at.Line, at.Column
		}
		object.Problems = append(object.Problems, p)
	}
	data, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("write rule %s: %w", object.RuleID, err)
	}
	_, err = io.WriteString(w, escaped(string(data))+"\n")
	return err
}

// summary prints how many rules of each type are in which state, and what those lack that cannot run.
func summary(w io.Writer, found []judged) {
	states := []string{stateRuns, stateCannotRun, stateInvalid}
	counts, total, lacks := map[string]map[string]int64{}, map[string]int64{}, map[string]int64{}
	var off int64
	for _, j := range found {
		of := "unread"
		if j.kind != "" {
			of = j.kind
		}
		if j.Rule != nil && j.Rule.Type != "" {
			of = j.Rule.Type
		}
		if counts[of] == nil {
			counts[of] = map[string]int64{}
		}
		counts[of][j.state]++
		total[j.state]++
		for _, d := range j.problems {
			switch d.Code {
			case rule.CodeLacks, rule.CodeAbsent:
				lacks[d.Message]++
			case rule.CodeOff:
				off++
			}
		}
	}
	row := func(title string, of map[string]int64) []string {
		out := []string{title}
		for _, s := range states {
			out = append(out, thousands(of[s]))
		}
		return out
	}
	var rows [][]string
	for _, of := range slices.Sorted(maps.Keys(counts)) {
		rows = append(rows, row(of, counts[of]))
	}
	if len(rows) > 1 {
		rows = append(rows, row("all", total))
	}
	writeTable(w, []string{"TYPE", "RUNS", "CANNOT RUN", "INVALID"}, rows, false)
	var reasons []string
	for reason, n := range lacks {
		reasons = append(reasons, fmt.Sprintf("%6s  %s", thousands(n), reason))
	}
	slices.SortFunc(reasons, func(a, b string) int { return strings.Compare(b, a) })
	if off > 0 {
		reasons = append(reasons, fmt.Sprintf("%6s  switched off by their files (they run where they are switched on)", thousands(off)))
	}
	if len(reasons) > 0 {
		fmt.Fprintf(w, "\n%s\n", printableLines(reasons))
	}
}

// printableLines joins lines of text.
func printableLines(lines []string) string {
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}
