package datemath

import (
	"strconv"
	"strings"
	"time"
)

// instant reads the anchor text that p.text begins with: the first millisecond that it names, and how many more it
// covers in a query.
func (p *scanner) instant(anchor string, d dialect) (at, rest int64, err error) {
	if d.query {
		if ms, ok := epochMillis(anchor); ok {
			return ms, 0, nil
		}
	}
	i := isoText{text: anchor, ok: true}
	t, covers := i.read()
	if !i.ok {
		wanted := i.wanted
		if i.at == 0 {
			wanted = []string{"now", "an ISO 8601 instant"}
			if d.query {
				wanted = append(wanted, "milliseconds since 1970")
			}
		}
		return 0, 0, p.expected(CodeAnchor, i.at, wanted...)
	}
	if d.query {
		rest = covers.Milliseconds() - 1
	}
	return millis(t), rest, nil
}

// epochMillis reads milliseconds since 1970, whose fraction is dropped. Four digits are a year, not milliseconds.
func epochMillis(s string) (int64, bool) {
	whole, fraction, dotted := strings.Cut(s, ".")
	digits, negative := strings.CutPrefix(whole, "-")
	if !allDigits(digits) || dotted && !allDigits(fraction) || len(digits) == 4 && !negative && !dotted {
		return 0, false
	}
	ms, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, false
	}
	if negative {
		ms = -ms
		if strings.Trim(fraction, "0") != "" {
			ms--
		}
	}
	return ms, first <= ms && ms <= last
}

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// isoText eats an instant from the left; ok turns false at the first part that is missing or impossible, which begins at
// at and should have been one of wanted.
type isoText struct {
	text   string
	at     int
	ok     bool
	wanted []string
}

// read returns the first instant named and the length of the time named, a day at most: a missing month or day is the
// first one. Without Z or an offset it is UTC.
func (p *isoText) read() (t time.Time, covers time.Duration) {
	year, month, day := p.digits(4, 0, 9999, "a year of four digits"), 1, 1
	var hour, minute, second, nano int
	covers = 24 * time.Hour
	if p.take('-') {
		month = p.digits(2, 1, 12, "a month of two digits")
		if p.take('-') {
			day = p.digits(2, 1, daysIn(year, month), "a day of this month, of two digits")
		}
	}
	var offset time.Duration
	if p.take('T') && p.at < len(p.text) {
		hour, covers = p.digits(2, 0, 23, "an hour of two digits"), time.Hour
		if p.take(':') {
			minute, covers = p.digits(2, 0, 59, "a minute of two digits"), time.Minute
			if p.take(':') {
				second, covers = p.digits(2, 0, 59, "a second of two digits"), time.Second
				if p.take('.') || p.take(',') {
					nano, covers = p.fraction(), time.Millisecond
				}
			}
		}
		offset = p.zone()
	}
	if p.ok && p.at < len(p.text) {
		p.fail(p.at, "the end")
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nano, time.UTC).Add(-offset), covers
}

func daysIn(year, month int) int { return date(year, month+1).AddDate(0, 0, -1).Day() }

func (p *isoText) fail(at int, wanted ...string) {
	if p.ok {
		p.ok, p.at, p.wanted = false, at, wanted
	}
}

func (p *isoText) digits(n, least, most int, what string) int {
	if !p.ok {
		return least
	}
	if len(p.text)-p.at < n || !allDigits(p.text[p.at:p.at+n]) {
		p.fail(p.at, what)
		return least
	}
	v, _ := strconv.Atoi(p.text[p.at : p.at+n])
	if v < least || v > most {
		p.fail(p.at, what)
		return least
	}
	p.at += n
	return v
}

func (p *isoText) take(c byte) bool {
	if p.ok && p.at < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

// fraction reads the digits of a part of a second; those beyond the nanosecond are dropped.
func (p *isoText) fraction() int {
	start, nano, scale := p.at, 0, 100_000_000
	for p.at < len(p.text) && isDigit(p.text[p.at]) {
		nano += int(p.text[p.at]-'0') * scale
		scale /= 10
		p.at++
	}
	if p.at == start {
		p.fail(p.at, "digits of a part of a second")
	}
	return nano
}

// zone reads Z, ±hh, ±hhmm or ±hh:mm.
func (p *isoText) zone() time.Duration {
	sign := time.Duration(1)
	switch {
	case !p.ok, p.take('Z'):
		return 0
	case p.take('+'):
	case p.take('-'):
		sign = -1
	default:
		return 0
	}
	h, m := p.digits(2, 0, 18, "hours of an offset, 00 to 18"), 0
	if p.take(':') || p.ok && p.at < len(p.text) {
		m = p.digits(2, 0, 59, "minutes of an offset, of two digits")
	}
	return sign * (time.Duration(h)*time.Hour + time.Duration(m)*time.Minute)
}
