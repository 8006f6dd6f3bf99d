// Package explain says why a rule did, or did not, fire: of one event, clause by clause, and of all events of a span, from the
// query over windows, exceptions and sightings to the alert that stands for them.
//
// It decides nothing itself. Conditions are those that a detect.Program was compiled to, evaluated by expr or counted by the
// store; windows are those of the schedule's ledger, alerts and what is folded into them are read as a run reads them, and a
// sequence that came to nothing is looked for with exec's matcher, stage by stage. Nothing is written.
//
//	answer, err := explain.Event(ctx, explain.Question{Program: p, Resolver: fields}, e)
//	answer.Verdict // "it does not match: event.action is "listusers", …"
package explain

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// Question is what is asked about.
type Question struct {
	// Program is the rule; one that Matches indicators is bound to them where they are known.
	Program *detect.Program
	// Resolver says what the fields mean: the one that the program was compiled with.
	Resolver plan.Resolver
}

// What answers show at most; they say what they leave out.
const (
	maxValues = 5   // of a field
	maxText   = 120 // characters of a value
	maxClause = 400 // characters of a clause
	maxParts  = 40  // parts of a condition that are listed
)

// The outcomes of a condition. A comparison that is not true of an event without the field is Missing.
const (
	IsTrue    = "true"
	IsFalse   = "false"
	IsUnknown = "unknown"
	IsMissing = "missing"
)

// Node is a condition with what it came to for an event.
type Node struct {
	// Text is the condition in the words of its language; of a join it is empty.
	Text string `json:"text,omitempty"`
	// Join is and, or, not; "" of a single comparison.
	Join string `json:"join,omitempty"`
	// Outcome is one of IsTrue, IsFalse, IsUnknown and IsMissing.
	Outcome string `json:"outcome"`
	// Saw is what the event has in the fields of a comparison.
	Saw []Reading `json:"saw,omitempty"`
	// Hint says what is nearly right.
	Hint string `json:"hint,omitempty"`
	// Nodes are the parts of a join, More how many are not listed; none of these decided.
	Nodes []*Node `json:"nodes,omitempty"`
	More  int     `json:"more,omitempty"`

	truth expr.Truth
	value bool // what it should have been
}

// Reading is what an event has in a field.
type Reading struct {
	Field string `json:"field"`
	// Values are the first values as they are written, cut where they are long.
	Values []string `json:"values"`
	// More is how many values are not listed.
	More int `json:"more,omitempty"`
	// Note says what is wrong with them: that they do not fit the field's type.
	Note string `json:"note,omitempty"`
}

// String says what the field holds.
func (r Reading) String() string {
	if len(r.Values) == 0 {
		return r.Field + " is missing"
	}
	quoted := make([]string, len(r.Values))
	for i, v := range r.Values {
		quoted[i] = `"` + v + `"`
	}
	s := r.Field + " is " + strings.Join(quoted, ", ")
	if r.More > 0 {
		s += fmt.Sprintf(" and %s", counted(int64(r.More), "more value"))
	}
	if r.Note != "" {
		s += " (" + r.Note + ")"
	}
	return s
}

// clip cuts s after n characters and says so.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	runes := utf8.RuneCountInString(s)
	if runes <= n {
		return s
	}
	end := 0
	for range n {
		_, size := utf8.DecodeRuneInString(s[end:])
		end += size
	}
	return s[:end] + fmt.Sprintf("… (%s)", counted(int64(runes), "character"))
}

// counted prints n things.
func counted(n int64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return number(n) + " " + thing
}

// number prints n with separators.
func number(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// clock prints an instant for a person.
func clock(t time.Time) string {
	if t.Nanosecond() == 0 {
		return t.UTC().Format("2006-01-02 15:04:05")
	}
	return strings.Replace(strings.TrimSuffix(event.FormatTime(t), "Z"), "T", " ", 1)
}

// brief prints a duration without what is zero at its end.
func brief(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = strings.TrimSuffix(text, zero[1:])
		}
	}
	return text
}
