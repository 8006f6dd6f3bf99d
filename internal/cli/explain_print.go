package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/explain"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// shownPaths are what who and from read.
var shownPaths = []string{"cloud.account.id", "user.name", "service.name", "aws.cloudtrail.user_identity.arn", "user.id",
	"aws.cloudtrail.user_identity.invoked_by", "aws.cloudtrail.user_identity.type", "host.name", "source.ip", "source.address",
	"source.geo.country_iso_code", "source.as.organization.name", "event.action", "@timestamp"}

// leastWord is how narrow a column of a name may get.
const leastWord = 12

// painted colours s for a terminal.
func (r *results) painted(s string, c ...text.Color) string {
	if !r.colour {
		return s
	}
	return text.Colors(c).Sprint(s)
}

// outcomes are the words of a tree, all equally wide.
var outcomeColours = map[string]text.Colors{explain.IsTrue: {text.FgGreen}, explain.IsFalse: {text.FgRed}, explain.IsMissing: {text.FgYellow},
	explain.IsUnknown: {text.FgYellow}}

// told writes a title and lines beside it, which break where a terminal ends.
func told(out *results, title string, lines ...string) {
	var broken []string
	for _, line := range lines {
		broken = append(broken, wrapped(printable(line), room(out.screen, 11))...)
	}
	titled(out, title, broken...)
}

// capital writes the first letter large, as a sentence begins.
func capital(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}

// writeEventAnswer prints what a rule makes of an event.
func writeEventAnswer(out *results, r *rule.Rule, a explain.EventAnswer) {
	for _, line := range wrapped(printable(capital(a.Verdict))+".", room(out.screen, 0)) {
		fmt.Fprintln(out, out.painted(line, text.Bold))
	}
	fmt.Fprintln(out)
	told(out, "rule", fmt.Sprintf("%s (%s)", r.Name, r.RuleID))
	told(out, "event", fmt.Sprintf("%s of %s", a.ID, a.Stream))
	when := "none: it has no " + a.TimeField
	if a.Time != "" {
		when = fmt.Sprintf("%s (%s)", a.Time, a.TimeField)
	}
	told(out, "time", when)
	told(out, "because", a.Causes...)
	told(out, "besides", a.Facts...)
	tree := func(title string, n *explain.Node) {
		if n == nil {
			return
		}
		fmt.Fprintf(out, "\n%s\n", printable(title))
		writeNode(out, n, 1)
	}
	tree("query", a.Query)
	for _, s := range a.Stages {
		title := s.Name
		switch {
		case s.Missing:
			title += ", which must be missing"
		case s.Fits:
			title += ", which it can be"
		}
		tree(title, s.Query)
		for _, k := range s.Keys {
			fmt.Fprintf(out, "%*sby %s\n", 11, "", printable(k.String()))
		}
	}
	tree("filters", a.Filters)
	if a.Exception != nil {
		tree("exception "+a.Exception.Name, a.Exception.Query)
	}
}

// writeNode prints a condition and its parts.
func writeNode(out *results, n *explain.Node, depth int) {
	word := fmt.Sprintf("%-8s", n.Outcome)
	fmt.Fprintf(out, "%s%*s", out.painted(word, outcomeColours[n.Outcome]...), 2*depth, "")
	if n.Join != "" {
		fmt.Fprintln(out, n.Join)
		for _, sub := range n.Nodes {
			writeNode(out, sub, depth+1)
		}
		if n.More > 0 {
			fmt.Fprintf(out, "%*sand %s, which did not decide\n", 8+2*(depth+1), "", counted(int64(n.More), "more clause"))
		}
		return
	}
	var saw []string
	for i, r := range n.Saw {
		if i == 6 {
			saw = append(saw, fmt.Sprintf("and %s", counted(int64(len(n.Saw)-i), "more field")))
			break
		}
		saw = append(saw, r.String())
	}
	line := printable(n.Text)
	if out.width > 0 {
		for i, part := range wrapped(strings.TrimRight(fmt.Sprintf("%s   ← %s", line, printable(strings.Join(saw, "; ")+hinted(n.Hint))), " ←"), room(out.screen, 10+2*depth)) {
			if i > 0 {
				fmt.Fprintf(out, "%*s", 10+2*depth, "")
			}
			fmt.Fprintln(out, part)
		}
		return
	}
	if len(saw) > 0 {
		line += "   ← " + printable(strings.Join(saw, "; "))
	}
	fmt.Fprintln(out, line+printable(hinted(n.Hint)))
}

// hinted is a hint behind what it is about.
func hinted(hint string) string {
	if hint == "" {
		return ""
	}
	return " (" + hint + ")"
}

// writeSpanAnswer prints what became of events.
func writeSpanAnswer(out *results, r *rule.Rule, asked explain.Asked, a explain.SpanAnswer) {
	for _, line := range wrapped(printable(capital(a.Verdict))+".", room(out.screen, 0)) {
		fmt.Fprintln(out, out.painted(line, text.Bold))
	}
	fmt.Fprintln(out)
	told(out, "rule", fmt.Sprintf("%s (%s)", r.Name, r.RuleID))
	told(out, "events", fmt.Sprintf("%s that match %s", thousands(a.Events), asked.Text),
		fmt.Sprintf("from %s to %s", instant(asked.From), instant(asked.To)))
	for _, u := range a.Unread {
		told(out, "", fmt.Sprintf("%s in %s, which the rule does not read", thousands(u.Events), u.Stream))
	}
	writeClauses(out, a)
	for i, x := range a.Exceptions {
		title := ""
		if i == 0 {
			fmt.Fprintln(out)
			title = "exceptions"
		}
		told(out, title, fmt.Sprintf("%q hides %s", x.Name, counted(x.Hides, "event")))
	}
	writeFates(out, a)
	if len(a.Groups) > 0 {
		fmt.Fprintln(out)
		var rows [][]string
		for _, g := range a.Groups {
			different := ""
			if g.Different > 0 {
				different = thousands(g.Different)
			}
			rows = append(rows, []string{thousands(g.Count), thousands(g.Needs), different, printable(g.From), short(g.Group, maxRule)})
		}
		header, rows := narrowed([]string{"EVENTS", "OF", "DIFFERENT", "WINDOW FROM", "GROUP"}, rows, out.screen, leastWord, 4)
		writeTable(out, header, rows, false)
	}
	if p := a.Partial; p != nil && len(p.Events)+len(p.Next) > 0 {
		fmt.Fprintln(out)
		var rows [][]string
		for i, e := range slices.Concat(p.Events, p.Next) {
			met := "met"
			if i >= len(p.Events) {
				met = "not joined (" + p.Ended + ")"
			}
			rows = append(rows, []string{fmt.Sprint(e.Stage), met, e.Time, short(e.ID, maxFrom), printable(e.Stream)})
		}
		header, rows := narrowed([]string{"STAGE", "", "TIME", "EVENT", "STREAM"}, rows, out.screen, leastWord, 3, 4)
		writeTable(out, header, rows, false)
	}
	if len(a.Notes) > 0 {
		fmt.Fprintln(out)
		told(out, "note", a.Notes...)
	}
}

func writeClauses(out *results, a explain.SpanAnswer) {
	if len(a.Clauses) == 0 {
		return
	}
	fmt.Fprintln(out)
	var rows [][]string
	for _, c := range a.Clauses {
		first, alone := thousands(c.First), thousands(c.Alone)
		if !c.Ranked {
			first, alone = "", ""
		}
		rows = append(rows, []string{thousands(c.Fails), first, alone, thousands(c.Missing), strings.Repeat("  ", c.Depth) + short(c.Text, 200)})
	}
	header, rows := narrowed([]string{"FAILS", "FIRST", "ALONE", "MISSING", "CLAUSE"}, rows, out.screen, leastRule, 4)
	writeTable(out, header, rows, false)
}

func writeFates(out *results, a explain.SpanAnswer) {
	if len(a.Fates) == 0 {
		return
	}
	fmt.Fprintln(out)
	var rows [][]string
	for _, f := range a.Fates {
		rows = append(rows, []string{thousands(int64(f.Count)), f.Text})
	}
	header, rows := narrowed([]string{"EVENTS", "WHAT BECAME OF THEM"}, rows, out.screen, leastRule, 1)
	writeTable(out, header, rows, false)
	rows = nil
	for _, f := range a.Fates {
		for _, x := range f.Examples {
			why := x.Why
			if x.Alert != "" && (f.Kind != explain.FateKnown || why == "") {
				why = strings.TrimPrefix(why+"; alert "+printable(x.Alert[:min(len(x.Alert), 12)]), "; ")
			}
			if x.Earlier != nil {
				why += ", by " + described(x.Earlier)
			}
			rows = append(rows, []string{minute(x.Event), f.Kind, short(x.Event.ID, maxFrom), short(described(x.Event), maxWho), printable(why)})
		}
	}
	fmt.Fprintln(out)
	header = []string{"TIME (UTC)", "WHAT", "EVENT", "WHO", "WHY"}
	if fits(header, rows, out.screen) {
		writeTable(out, header, rows, false)
		return
	}
	for _, r := range rows {
		fmt.Fprintf(out, "%s  %s\n", r[0], out.painted(r[1], text.Bold))
		for _, part := range r[2:] {
			for _, line := range wrapped(part, room(out.screen, 4)) {
				fmt.Fprintf(out, "    %s\n", line)
			}
		}
	}
}

// described is who did something, and from where.
func described(e *event.Event) string {
	s := who(e)
	if f := from(e); f != "" {
		s = strings.TrimPrefix(s+" from "+f, " ")
	}
	return s
}

// spanObject is a span's answer as JSON.
type spanObject struct {
	Rule string `json:"rule"`
	For  string `json:"for"`
	From string `json:"from"`
	To   string `json:"to"`
	explain.SpanAnswer
	Fates []fateObject `json:"fates"`
}

type fateObject struct {
	Kind     string          `json:"kind"`
	Text     string          `json:"text"`
	Count    int             `json:"count"`
	Examples []exampleObject `json:"examples"`
}

type exampleObject struct {
	ID      string         `json:"id"`
	Stream  string         `json:"stream"`
	Time    string         `json:"time"`
	Who     string         `json:"who,omitempty"`
	Alert   string         `json:"alert,omitempty"`
	Why     string         `json:"why,omitempty"`
	Earlier *exampleObject `json:"earlier,omitempty"`
}

func newSpanObject(r *rule.Rule, asked explain.Asked, a explain.SpanAnswer) spanObject {
	out := spanObject{Rule: r.RuleID, For: asked.Text, From: event.FormatTime(asked.From), To: event.FormatTime(asked.To), SpanAnswer: a, Fates: []fateObject{}}
	for _, f := range a.Fates {
		o := fateObject{Kind: f.Kind, Text: f.Text, Count: f.Count, Examples: []exampleObject{}}
		for _, x := range f.Examples {
			e := exampleOf(x.Event)
			e.Alert, e.Why = x.Alert, x.Why
			if x.Earlier != nil {
				earlier := exampleOf(x.Earlier)
				e.Earlier = &earlier
			}
			o.Examples = append(o.Examples, e)
		}
		out.Fates = append(out.Fates, o)
	}
	return out
}

func exampleOf(e *event.Event) exampleObject {
	return exampleObject{ID: e.ID, Stream: e.Stream, Time: event.FormatTime(timeIn(e, "@timestamp")), Who: described(e)}
}
