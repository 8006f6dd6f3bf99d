package alert

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// Evidence is what an alert rests on. That of a rule that looks at no history has ID and Time alone, or nothing.
type Evidence struct {
	// Program names whose history was looked at (sighting.Program); "" where each run looks at another.
	Program string
	// Tuple is the tuple of values that is new, in hex; "" for rules without history.
	Tuple string
	// ID and Time are those of the event that shows it; the time is in the rule's time field.
	ID   string
	Time time.Time
	// HistoryFrom and HistoryTo bound the history that was looked at, both ends included.
	HistoryFrom, HistoryTo time.Time
	// Events is how many events were looked at in it.
	Events int64
	// Covered is the share of it that there are data for, 0 to 1.
	Covered float64
	// FirstBefore and LastBefore are when the tuple was seen first and last before the history; zero: never.
	FirstBefore, LastBefore time.Time
}

// Sentence says in one line why the alert was raised: "first seen; none in 15 d before (1,204 events, 100 % covered)". It
// is "" for rules without history.
func (e Evidence) Sentence() string {
	if e.Tuple == "" {
		return ""
	}
	seen := "first seen"
	if !e.LastBefore.IsZero() {
		seen = fmt.Sprintf("last seen %s ago (%s)", span(e.Time.Sub(e.LastBefore)), e.LastBefore.UTC().Format("2006-01-02"))
	}
	events := "events"
	if e.Events == 1 {
		events = "event"
	}
	return fmt.Sprintf("%s; none in %s before (%s %s, %s covered)", seen, span(e.HistoryTo.Sub(e.HistoryFrom)),
		thousands(e.Events), events, percent(e.Covered))
}

// addTo writes the evidence into the alert.
func (e Evidence) addTo(a *event.Event, in Input) {
	if e.ID == "" {
		e.ID = in.Source.ID
	}
	if t, ok := in.Rule.TimeField().Of(in.Source); ok && e.Time.IsZero() {
		e.Time = t
	}
	a.SetString("tocsin.alert.evidence_id", e.ID)
	if !e.Time.IsZero() {
		a.Set("tocsin.alert.evidence_time", date(e.Time))
	}
	if e.Tuple == "" {
		return
	}
	a.SetString("tocsin.alert.program", e.Program)
	a.Set("tocsin.alert.tuple", event.String(e.Tuple))
	a.Set("tocsin.alert.why", event.String(e.Sentence()))
	a.Set("tocsin.alert.history.from", date(e.HistoryFrom))
	a.Set("tocsin.alert.history.to", date(e.HistoryTo))
	a.Set("tocsin.alert.history.events", event.Int(e.Events))
	a.Set("tocsin.alert.history.covered", event.Float(math.Floor(within01(e.Covered)*1e4)/1e4))
	if !e.FirstBefore.IsZero() {
		a.Set("tocsin.alert.history.first_before", date(e.FirstBefore))
	}
	if !e.LastBefore.IsZero() {
		a.Set("tocsin.alert.history.last_before", date(e.LastBefore))
	}
}

func within01(f float64) float64 {
	if f != f {
		return 0
	}
	return min(max(f, 0), 1)
}

// span prints a duration, rounded, in the greatest unit of which it holds two, or exactly one: "15 d", "36 h", "90 min".
func span(d time.Duration) string {
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}} {
		if d >= 2*unit.size || d == unit.size {
			return thousands(int64(d.Round(unit.size)/unit.size)) + " " + unit.name
		}
	}
	return thousands(int64(max(d, 0).Round(time.Second)/time.Second)) + " s"
}

// percent prints a share, never as more than it is: 100 % means all of it.
func percent(f float64) string {
	f = within01(f)
	switch {
	case f > 0 && f < 0.01:
		return "< 1 %"
	case f >= 1:
		return "100 %"
	}
	return strconv.Itoa(int(math.Floor(f*100+1e-9))) + " %"
}

// thousands prints n with separators: 1,204.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
