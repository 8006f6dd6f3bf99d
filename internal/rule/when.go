package rule

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-sec/tocsin/internal/datemath"
	"github.com/tocsin-sec/tocsin/internal/diag"
)

var dayForm = regexp.MustCompile(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`)

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
		if _, err := datemath.ParseDuration(s); err != nil {
			t.bad(codeBadTime, "interval", "a positive whole number and s, m, h or d, such as 5m", "%q is no interval: %s", short(s), why(err))
		}
	}
	from, to, ok := moments(r.From, r.To)
	if ok && never(from, to, func(now time.Time) bool { return from.At(now).Before(to.At(now)) }) {
		key := "from"
		if !t.given(key) {
			key = "to"
		}
		t.bad(codeBadTime, key, "", "the window ends (%s) before it begins (%s)", r.To, r.From)
		return
	}
	history, _, known := moments(r.HistoryWindowStart, r.From)
	begins := func(now time.Time) bool { // the history, with now = the run and with now = the window's end
		start := from.At(now)
		return history.At(now).Before(start) && history.At(to.At(now)).Before(start)
	}
	if ok && known && never(history, from, begins) {
		key := "history_window_start"
		if !t.doc.json {
			key = "new_terms"
		}
		t.bad(codeBadTime, key, "let history_window_start lie further back than from",
			"the history must begin before the window does: %s is not before %s", r.HistoryWindowStart, r.From)
	}
}

// moment reads date math on now, or an instant; "" where there is none or it is not one.
func (t *table) moment(key string) string {
	s := t.word(key)
	if strings.TrimSpace(s) == "" {
		return ""
	}
	if _, err := datemath.Parse(s); err != nil {
		t.bad(codeBadTime, key, "date math such as now-6m, or an instant such as 2026-03-01T12:00:00Z", "%q is no time: %s", short(s), why(err))
		return ""
	}
	return s
}

// why is what err says, without its position.
func why(err error) string {
	if found := diag.Of(err); len(found) > 0 {
		return found[0].Message
	}
	return err.Error()
}

// moments reads two times; false where one of them is none.
func moments(a, b string) (first, second datemath.Expr, ok bool) {
	first, err := datemath.Parse(a)
	if err != nil {
		return first, second, false
	}
	second, err = datemath.Parse(b)
	return first, second, err == nil
}

// times are times of a run, in every season and at every hour: what holds at none of them is taken to hold never.
var times = sync.OnceValue(func() (out []time.Time) {
	for hours := 0; hours < 2*366*24; hours += 77 {
		out = append(out, time.Date(2023, 12, 20, 0, 7, 0, 0, time.UTC).Add(time.Duration(hours)*time.Hour))
	}
	return out
})

// never reports whether two times are in no order that holds at any time of a run. Where one of them alone moves with the
// run nothing can be said.
func never(a, b datemath.Expr, holds func(now time.Time) bool) bool {
	return a.Relative() == b.Relative() && !slices.ContainsFunc(times(), holds)
}

// day reads a date with slashes or dashes as 2026-11-24; "" where there is none. A date that TOML writes without quotes
// is one too.
func (t *table) day(key string) string {
	s := t.text(key)
	if s == "" {
		return ""
	}
	d := strings.ReplaceAll(s, "/", "-")
	if !dayForm.MatchString(d) {
		t.bad(codeBadTime, key, "such as 2026/11/24", "%q is no date", short(s))
		return ""
	}
	return d
}
