package rule

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
)

var (
	intervalForm = regexp.MustCompile(`^[1-9][0-9]{0,8}[smhd]$`)
	dateMathForm = regexp.MustCompile(`^now([+-][0-9]{0,9}[yMwdhHms]|/[yMwdhHms])*$`)
	stepForm     = regexp.MustCompile(`[+-][0-9]*[yMwdhHms]`)
	dayForm      = regexp.MustCompile(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`)
)

// window reads when the rule runs and what it looks at.
func (r *Rule) window(t *table) {
	r.From, r.To, r.Interval = DefaultFrom, DefaultTo, DefaultInterval
	if s := t.moment("from"); s != "" {
		r.From = s
	}
	if s := t.moment("to"); s != "" {
		r.To = s
	}
	if s := t.text("interval"); s != "" || t.has["interval"] == "" {
		r.Interval = s
		if !intervalForm.MatchString(s) {
			t.bad(codeBadTime, "interval", "a positive whole number and s, m, h or d, such as 5m", "%q is no interval", short(s))
		}
	}
	if before, known := isBefore(r.From, r.To); known && !before {
		t.bad(codeBadTime, "from", "", "the window ends (%s) before it begins (%s)", r.To, r.From)
	}
	if before, known := isBefore(r.HistoryWindowStart, r.From); known && !before {
		t.bad(codeBadTime, "new_terms", "let history_window_start lie further back than from",
			"the history must begin before the window does: %s is not before %s", r.HistoryWindowStart, r.From)
	}
}

// moment reads date math on now, or an instant; "" where there is none or it is not one.
func (t *table) moment(key string) string {
	s := t.word(key)
	if strings.TrimSpace(s) == "" {
		return ""
	}
	if _, ok := event.ParseTime(s); !ok && !dateMathForm.MatchString(s) {
		t.bad(codeBadTime, key, "date math such as now-6m, or an instant such as 2026-03-01T12:00:00Z", "%q is no time", short(s))
		return ""
	}
	return s
}

// isBefore reports whether a lies before b whatever the time of the run is, and whether that can be told: two instants
// can be, and two times that are fixed stretches away from now.
func isBefore(a, b string) (before, known bool) {
	if at, ok := event.ParseTime(a); ok {
		bt, ok := event.ParseTime(b)
		return at.Before(bt), ok
	}
	ad, ok := fromNow(a)
	if !ok {
		return false, false
	}
	bd, ok := fromNow(b)
	return ad < bd, ok
}

// fromNow is how far date math lies from now; false where that depends on the calendar.
func fromNow(s string) (time.Duration, bool) {
	rest, ok := strings.CutPrefix(s, "now")
	if !ok || strings.ContainsAny(rest, "/yM") {
		return 0, false
	}
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'H': time.Hour,
		'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	var sum time.Duration
	for _, step := range stepForm.FindAllString(rest, -1) {
		n, unit := 1, units[step[len(step)-1]]
		if digits := step[1 : len(step)-1]; digits != "" {
			n, _ = strconv.Atoi(digits)
		}
		if step[0] == '-' {
			n = -n
		}
		const most = 100 * 365 * 24 * time.Hour
		if time.Duration(n) > most/unit || time.Duration(n) < -most/unit {
			return 0, false
		}
		if sum += time.Duration(n) * unit; sum > most || sum < -most {
			return 0, false
		}
	}
	return sum, true
}

// day reads a date with slashes or dashes as 2026-11-24; "" where s is none.
func day(s string) string {
	s = strings.ReplaceAll(s, "/", "-")
	if !dayForm.MatchString(s) {
		return ""
	}
	return s
}
