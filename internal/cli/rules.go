package cli

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/indicator"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/rules"
)

// ruleset is the rules of a scan: those that are to run, and those that do not, with the reason.
type ruleset struct {
	rules   []*rule.Rule
	skipped []skippedRule
	bad     bool // something is wrong with a rule; a rule of a kind that does not run yet is no such thing

	exceptions *exception.Lists
	indicators *indicator.Files
	told       map[string]bool // of exceptions: rules share them
}

// skippedRule is a rule that did not run.
type skippedRule struct {
	RuleID  string   `json:"rule_id"` // "" where the file could not be read so far
	Reason  string   `json:"reason"`
	Windows []string `json:"windows,omitempty"` // where not all of it is left out: the ends of the windows that are
}

// readRules reads the rules of paths, of the bundled ones without paths, with the indicators beside them and others, and tells
// what is wrong with them.
func readRules(paths, indicators []string, tell io.Writer) ruleset {
	var set rule.Set
	if len(paths) == 0 {
		set = bundledRules(len(indicators) > 0)
	} else {
		set = rule.Load(paths...)
	}
	var out ruleset
	fmt.Fprint(tell, set.Problems.Render())
	for _, file := range byFile(set.Problems) {
		if file.Err() != nil {
			out.skip("", file.Error())
			out.bad = true
		}
	}
	lists, problems := exception.Load(set)
	out.exceptions = lists
	out.tell(problems, tell)
	out.indicators, problems = loadIndicators(set, indicators)
	out.tell(problems, tell)
	run, cannot := rule.Runnable(set.Rules)
	out.rules = run
	for _, r := range cannot {
		out.skip(r.RuleID, r.CannotRun)
		if absent := absentOf(r); r.Enabled && len(absent) > 0 {
			fmt.Fprint(tell, absent.Render())
			out.bad = true
		}
	}
	out.tell(unused(out.indicators, out.rules), tell)
	return out
}

// bundledRules are the rules that come with Tocsin; indicators is for those, too, that look for indicators.
func bundledRules(indicators bool) rule.Set {
	set := rule.LoadFS(rules.FS)
	if indicators {
		more := rule.LoadFS(rules.Indicators)
		set.Rules, set.Files = append(set.Rules, more.Rules...), set.Files+more.Files
		set.Problems, set.Found = append(set.Problems, more.Problems...), append(set.Found, more.Found...)
	}
	return set
}

// tell tells what is to be said of exceptions and indicators, each once. One that is wrong hides nothing, and keeps no rule from running.
func (s *ruleset) tell(problems diag.List, tell io.Writer) {
	if s.told == nil {
		s.told = map[string]bool{}
	}
	for _, d := range problems {
		if text := d.Render(); !s.told[text] {
			s.told[text] = true
			fmt.Fprint(tell, text)
		}
	}
	s.bad = s.bad || problems.Err() != nil
}

// absentOf tells what r cannot do without and was not read with it.
func absentOf(r *rule.Rule) diag.List {
	var out diag.List
	for _, l := range r.Lacks() {
		if l.Code == rule.CodeAbsent {
			out = append(out, r.Diagnose(l, diag.Error))
		}
	}
	return out
}

// beyond reports whether err says no more than that this version does not run such a rule.
func beyond(err error) bool {
	found := diag.Of(err)
	return len(found) > 0 && !slices.ContainsFunc(found, func(d diag.Diagnostic) bool { return d.Code != detect.CodeCannotRun })
}

// hidesMost is the share of what a rule's query finds from which on exceptions that hide it are told of.
const hidesMost = 0.9

// weigh tells of rules whose exceptions hide nearly all that their queries find in the store.
func (s *ruleset) weigh(ctx context.Context, db store.Store, programs []*detect.Program, now time.Time, tell io.Writer) error {
	at, err := db.Latest(ctx)
	if err != nil {
		return err
	}
	for _, p := range programs {
		if !p.Excepted() {
			continue
		}
		found, hidden, err := p.Hides(ctx, db, at, now)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // so will the rule's runs, and tell
			continue
		}
		if found == 0 || float64(hidden) < hidesMost*float64(found) {
			continue
		}
		s.tell(diag.List{{Code: exception.CodeHidesAll, Severity: diag.Warning, File: p.Rule.File,
			Message: fmt.Sprintf("exceptions hide %s of the %s that rule %s finds (%.1f %%)", thousands(hidden), counted(found, "event"),
				p.Rule.Name, math.Floor(1000*float64(hidden)/float64(found))/10),
			Hint: "let the entries of each exception say what is known to be harmless"}}, tell)
	}
	return nil
}

// byFile parts diagnostics by the file that they are about, in the order of their first.
func byFile(list diag.List) []diag.List {
	var out []diag.List
	at := map[string]int{}
	for _, d := range list {
		i, known := at[d.File]
		if !known {
			i = len(out)
			at[d.File] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], d)
	}
	return out
}

func (s *ruleset) skip(id, reason string) {
	s.skipped = append(s.skipped, skippedRule{RuleID: id, Reason: reason})
}

// fail notes a rule that something is wrong with, and tells what.
func (s *ruleset) fail(r *rule.Rule, err error, tell io.Writer) {
	s.skip(r.RuleID, err.Error())
	s.bad = true
	if found := diag.Of(err); len(found) > 0 {
		fmt.Fprint(tell, found.Render())
		return
	}
	fmt.Fprintf(tell, "tocsin: rule %s: %s\n", printable(r.RuleID), printable(err.Error()))
}

// broke notes a rule that failed when it ran, altogether or in the windows at slots, and tells how.
func (s *ruleset) broke(r *rule.Rule, slots []time.Time, err error, tell io.Writer) {
	reason := err.Error()
	if more := len(slots) - 1; more > 0 {
		reason += fmt.Sprintf(" (and so in %s)", counted(int64(more), "more window"))
	}
	s.skip(r.RuleID, reason)
	last := &s.skipped[len(s.skipped)-1]
	for _, slot := range slots {
		last.Windows = append(last.Windows, event.FormatTime(slot))
	}
	s.bad = true
	fmt.Fprintf(tell, "tocsin: %s\n", printable(reason))
}

// program makes a rule ready to run, with what stands beside the rules.
func (s *ruleset) program(r *rule.Rule, fields plan.Resolver) (*detect.Program, error) {
	return detect.Compiler{Resolver: fields, Lists: s.exceptions, Indicators: s.indicators.Version}.Compile(r)
}

// compile makes the rules ready to run. One that cannot be is left out, noted and told.
func (s *ruleset) compile(fields plan.Resolver, tell io.Writer) []*detect.Program {
	var programs []*detect.Program
	kept := s.rules[:0]
	for _, r := range s.rules {
		p, err := s.program(r, fields)
		if beyond(err) {
			s.skip(r.RuleID, diag.Of(err)[0].Message)
			continue
		}
		if err != nil {
			s.fail(r, err, tell)
			continue
		}
		s.tell(p.Warnings, tell)
		kept = append(kept, r)
		programs = append(programs, p)
	}
	s.rules = kept
	return programs
}

// reasons sums up the skipped rules: one line a reason, most frequent first, with the names of the first rules.
func (s *ruleset) reasons() []string {
	byReason := map[string][]string{}
	for _, r := range s.skipped {
		byReason[r.Reason] = append(byReason[r.Reason], r.RuleID)
	}
	var reasons []string
	for r := range byReason {
		reasons = append(reasons, r)
	}
	sort.Slice(reasons, func(i, j int) bool {
		a, b := len(byReason[reasons[i]]), len(byReason[reasons[j]])
		return a > b || a == b && reasons[i] < reasons[j]
	})
	for i, reason := range reasons {
		ids := byReason[reason]
		const named = 2
		who := strings.Join(ids[:min(named, len(ids))], ", ")
		switch {
		case ids[0] == "":
			who = "unread"
		case len(ids) > named:
			who += fmt.Sprintf(" and %s more", thousands(int64(len(ids)-named)))
		}
		reasons[i] = who + ": " + reason
	}
	return reasons
}
