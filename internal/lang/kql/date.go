package kql

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// date reads a date as Elasticsearch does: an ISO 8601 instant whose parts may be missing from the right, milliseconds
// since 1970, or an anchor (now, or a date and ||) with date math. A missing month or day is the first; of a missing
// time, and of a unit that / rounds to, it returns the first millisecond, or, if last is set, the last one.
func date(now time.Time, text string, last bool) (time.Time, error) {
	if math, ok := strings.CutPrefix(text, "now"); ok {
		return dateMath(now.UTC(), math, last)
	}
	anchor, math, ok := strings.Cut(text, "||")
	if !ok {
		return plainDate(text, last)
	}
	t, err := plainDate(anchor, false)
	if err != nil {
		return t, err
	}
	return dateMath(t, math, last)
}

func plainDate(text string, last bool) (time.Time, error) {
	t, ok := event.ParseTime(text)
	if !ok {
		v, ok := event.Coerce(event.Date, event.String(text))
		if !ok {
			return t, errors.New("neither an ISO 8601 instant nor milliseconds since 1970")
		}
		return v.Time(), nil
	}
	if last {
		t = t.Add(precision(text) - time.Millisecond)
	}
	return t, nil
}

// precision is the length of the time that the last given part of an instant means: a day at most.
func precision(text string) time.Duration {
	_, clock, _ := strings.Cut(text, "T")
	if zone := strings.IndexAny(clock, "Z+-"); zone >= 0 {
		clock = clock[:zone]
	}
	switch {
	case clock == "":
		return 24 * time.Hour
	case strings.ContainsAny(clock, ".,"):
		return time.Millisecond
	}
	return [...]time.Duration{time.Hour, time.Minute, time.Second}[min(strings.Count(clock, ":"), 2)]
}

// maxShift bounds the number before a unit.
const maxShift = 1_000_000_000

// dateMath applies operations like -30d/d to t, from left to right: + or - with a number (1 where none is given) and a
// unit, / rounds to a unit. Units are y, M, w (from Monday), d, h or H, m, s; UTC.
func dateMath(t time.Time, math string, last bool) (time.Time, error) {
	for at := 0; at < len(math); {
		op := math[at]
		if op != '+' && op != '-' && op != '/' {
			return t, fmt.Errorf("%q is none of + - /", math[at:])
		}
		at++
		digits := at
		for at < len(math) && '0' <= math[at] && math[at] <= '9' {
			at++
		}
		n := 1
		if at > digits {
			var err error
			if n, err = strconv.Atoi(math[digits:at]); err != nil || n > maxShift {
				return t, fmt.Errorf("%s is too large a number", math[digits:at])
			}
		}
		if at == len(math) {
			return t, errors.New("a unit is missing at its end: y, M, w, d, h, m or s")
		}
		unit := math[at]
		at++
		switch {
		case op == '/' && n != 1:
			return t, errors.New("rounding goes to one whole unit, without a number")
		case op == '-':
			n = -n
		}
		var ok bool
		if op == '/' {
			if t, ok = startOf(t, unit); ok && last {
				t, ok = shift(t, unit, 1)
				t = t.Add(-time.Millisecond)
			}
		} else {
			t, ok = shift(t, unit, n)
		}
		if !ok {
			return t, fmt.Errorf("%q is none of the units y, M, w, d, h, m, s", string(unit))
		}
		if y := t.Year(); y < -9999 || y > 99999 {
			return t, errors.New("it lies beyond all calendars")
		}
	}
	return t, nil
}

func shift(t time.Time, unit byte, n int) (time.Time, bool) {
	switch unit {
	case 'y':
		return addMonths(t, 12*n), true
	case 'M':
		return addMonths(t, n), true
	case 'w':
		return t.AddDate(0, 0, 7*n), true
	case 'd':
		return t.AddDate(0, 0, n), true
	case 'h', 'H':
		return t.AddDate(0, 0, n/24).Add(time.Duration(n%24) * time.Hour), true
	case 'm':
		return t.AddDate(0, 0, n/1440).Add(time.Duration(n%1440) * time.Minute), true
	case 's':
		return t.Add(time.Duration(n) * time.Second), true
	}
	return t, false
}

// addMonths keeps the day of the month where the new month has it, else takes its last day.
func addMonths(t time.Time, n int) time.Time {
	first := time.Date(t.Year(), t.Month(), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC).AddDate(0, n, 0)
	days := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), days)-1)
}

func startOf(t time.Time, unit byte) (time.Time, bool) {
	day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	switch unit {
	case 'y':
		return time.Date(t.Year(), 1, 1, 0, 0, 0, 0, time.UTC), true
	case 'M':
		return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC), true
	case 'w':
		return day.AddDate(0, 0, -int(day.Weekday()+6)%7), true
	case 'd':
		return day, true
	case 'h', 'H':
		return t.Truncate(time.Hour), true
	case 'm':
		return t.Truncate(time.Minute), true
	case 's':
		return t.Truncate(time.Second), true
	}
	return t, false
}
