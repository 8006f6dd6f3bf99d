package event

import "time"

// FormatTime prints t as documents carry instants: UTC, milliseconds, 2006-01-02T15:04:05.000Z.
func FormatTime(t time.Time) string {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.Format("2006-01-02T15:04:05.000Z")
	}
	hour, minute, second := t.Clock()
	b := [...]byte{'0', '0', '0', '0', '-', '0', '0', '-', '0', '0', 'T', '0', '0', ':', '0', '0', ':', '0', '0', '.', '0', '0', '0', 'Z'}
	put := func(end, n int) {
		for ; n > 0; n /= 10 {
			end--
			b[end] += byte(n % 10)
		}
	}
	put(4, year)
	put(7, int(month))
	put(10, day)
	put(13, hour)
	put(16, minute)
	put(19, second)
	put(23, t.Nanosecond()/1e6)
	return string(b[:])
}

// ParseTime reads an ISO 8601 instant as Elasticsearch's strict_date_optional_time does: a four-digit year, then as many
// further parts as are given (month, day, T, hour, minute, second, fraction), then Z or an offset; UTC without one.
// Digits of the fraction beyond the nanosecond are dropped.
func ParseTime(s string) (time.Time, bool) {
	if t, is := parseUsual(s); is {
		return t, true
	}
	p := timeText{rest: s, ok: true}
	year, month, day := p.digits(4), 1, 1
	var hour, minute, second, nano int
	offset, zoned := 0, false
	if p.take('-') {
		month = p.digits(2)
		if p.take('-') {
			day = p.digits(2)
		}
	}
	if p.take('T') && p.rest != "" {
		hour = p.digits(2)
		if p.take(':') {
			minute = p.digits(2)
			if p.take(':') {
				second = p.digits(2)
				if p.take('.') || p.take(',') {
					nano = p.fraction()
				}
			}
		}
		offset, zoned = p.zone()
	}
	if !p.ok || p.rest != "" || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nano, time.UTC)
	if t.Day() != day {
		return time.Time{}, false
	}
	if zoned {
		t = t.Add(-time.Duration(offset) * time.Second)
	}
	return t, true
}

// parseUsual reads an instant as FormatTime writes it; false: look closer.
func parseUsual(s string) (time.Time, bool) {
	const form = "dddd-dd-ddTdd:dd:dd.dddZ"
	if len(s) != len(form) {
		return time.Time{}, false
	}
	for i := range len(form) {
		if form[i] == 'd' && s[i]-'0' > 9 || form[i] != 'd' && form[i] != s[i] {
			return time.Time{}, false
		}
	}
	two := func(i int) int { return int(s[i]-'0')*10 + int(s[i+1]-'0') }
	month, day, hour, minute, second := two(5), two(8), two(11), two(14), two(17)
	if month < 1 || month > 12 || day < 1 || day > 28 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false // or the end of a month
	}
	return time.Date(two(0)*100+two(2), time.Month(month), day, hour, minute, second, (two(20)*10+int(s[22]-'0'))*1e6, time.UTC), true
}

// timeText eats an instant from the left; ok turns false at the first part that is missing.
type timeText struct {
	rest string
	ok   bool
}

func (p *timeText) digits(n int) int {
	if !p.ok || len(p.rest) < n {
		p.ok = false
		return 0
	}
	v := 0
	for _, c := range []byte(p.rest[:n]) {
		if c < '0' || c > '9' {
			p.ok = false
			return 0
		}
		v = v*10 + int(c-'0')
	}
	p.rest = p.rest[n:]
	return v
}

func (p *timeText) take(c byte) bool {
	if p.ok && p.rest != "" && p.rest[0] == c {
		p.rest = p.rest[1:]
		return true
	}
	return false
}

func (p *timeText) fraction() int {
	n, scale := 0, 100_000_000
	read := 0
	for p.rest != "" && p.rest[0] >= '0' && p.rest[0] <= '9' {
		n += int(p.rest[0]-'0') * scale
		scale /= 10
		p.rest = p.rest[1:]
		read++
	}
	p.ok = p.ok && read > 0
	return n
}

// zone reads Z, ±hh, ±hhmm or ±hh:mm and returns its offset in seconds.
func (p *timeText) zone() (int, bool) {
	if p.take('Z') {
		return 0, true
	}
	sign := 0
	switch {
	case p.take('+'):
		sign = 1
	case p.take('-'):
		sign = -1
	default:
		return 0, false
	}
	h, m := p.digits(2), 0
	if p.take(':') || p.rest != "" {
		m = p.digits(2)
	}
	p.ok = p.ok && h <= 18 && m <= 59
	return sign * (h*3600 + m*60), true
}
