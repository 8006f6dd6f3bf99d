package rule

import (
	"regexp"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

var intervalForm = regexp.MustCompile(`^[1-9][0-9]{0,8}[smhd]$`)

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
}

// day reads a date with slashes or dashes as 2026-11-24; "" where s is none.
func day(s string) string {
	s = strings.ReplaceAll(s, "/", "-")
	if !dayForm.MatchString(s) {
		return ""
	}
	return s
}

var dayForm = regexp.MustCompile(`^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$`)

var dateMathForm = regexp.MustCompile(`^now([+-][0-9]{1,9}[yMwdhHms]|/[yMwdhHms])*$`)

// moment reads date math on now, or an instant with optional date math.
func (t *table) moment(key string) string {
	s := t.word(key)
	if strings.TrimSpace(s) == "" {
		return ""
	}
	if _, ok := event.ParseTime(s); !ok && !dateMathForm.MatchString(s) {
		t.bad(codeBadTime, key, "date math such as now-6m, or an instant such as 2026-03-01T12:00:00Z", "%q is no time", short(s))
	}
	return s
}
