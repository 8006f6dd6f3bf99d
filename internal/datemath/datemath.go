// Package datemath reads the texts that rules and queries name a time with: now-6m, now-1d/d+8h, an ISO 8601 instant, an
// instant and || before the math, and durations like 5m.
//
// There are two dialects, and a text belongs to one of them by where it stands. Parse reads what a rule says of its
// windows (from, to, history_window_start): units y M w d h m s ms, weeks from Sunday. ParseQuery reads what stands inside
// a query: units y M w d h H m s, weeks from Monday, milliseconds since 1970, and an instant that lacks parts of its time
// covers all that it names. In both everything is UTC and whole milliseconds, and a missing number is 1.
//
// The package looks at no clock: now is an argument. What a time means for a rule's window is package window's matter.
//
//	e, err := datemath.Parse("now-1d/d+8h")
//	e.At(now)                                 // yesterday, 08:00:00.000
//	q, err := datemath.ParseQuery("2024-05-01")
//	q.At(now), q.AtEnd(now)                   // 00:00:00.000 and 23:59:59.999
package datemath

import (
	"slices"
	"time"
)

// Expr is a time that may depend on now. It is immutable; the zero Expr is now itself.
type Expr struct {
	text   string
	fixed  bool  // anchor is the start, else now is
	anchor int64 // milliseconds since 1970
	rest   int64 // from the first to the last millisecond that the anchor covers; queries only
	ops    []op
	monday bool // weeks begin on Monday
}

// op is one step of the math: a shift by n units, or rounding to the unit.
type op struct {
	round bool
	n     int64
	unit  unit
}

// unit is a unit of the math.
type unit uint8

const (
	year unit = iota + 1
	month
	week
	day
	hour
	minute
	second
	millisecond
)

// length is the length of a unit in milliseconds; year and month have none.
var length = [...]int64{week: 7 * dayMillis, day: dayMillis, hour: 3_600_000, minute: 60_000, second: 1000, millisecond: 1}

const dayMillis = 86_400_000

// first and last bound every result: the years 0 to 9999, which documents can carry.
const (
	first = -62_167_219_200_000
	last  = 253_402_300_799_999
)

// At returns the time that e names at now: / goes to the first millisecond of the unit. A time outside the years 0 to 9999
// becomes the nearest within. A month that lacks the day gives its last day.
func (e Expr) At(now time.Time) time.Time { return e.at(now, down, exact) }

// AtEnd is At, except that / goes to the last millisecond of the unit, and that an instant inside a query which lacks
// parts of its time is the last millisecond of what it names (2024-05-01 ends at 23:59:59.999, 2024-05 on 1 May).
// In a query gt and lte read a time so, gte and lt read it with At.
func (e Expr) AtEnd(now time.Time) time.Time { return e.at(now, up, exact) }

// Bounds returns two times with lo ≤ At(now) ≤ hi that never go back when now moves on. Where e shifts by no months or
// years the three are the same; otherwise they are apart by days at most before rounding (both 30 and 31 January + 1 month
// are 28 February, so At itself goes back when the clock passes midnight there).
func (e Expr) Bounds(now time.Time) (lo, hi time.Time) {
	return e.at(now, down, lowest), e.at(now, down, highest)
}

// Relative reports whether e depends on now.
func (e Expr) Relative() bool { return !e.fixed }

// Steady reports whether At never goes back when now moves on: e shifts by no months or years.
func (e Expr) Steady() bool {
	return e.fixed || !slices.ContainsFunc(e.ops, func(o op) bool { return !o.round && o.unit <= month })
}

// String returns the text that e was read from.
func (e Expr) String() string {
	if e.text == "" {
		return "now"
	}
	return e.text
}

// direction says where / goes.
type direction bool

const (
	down direction = false
	up   direction = true
)

// clip says which day a month gives that lacks the day asked for.
type clip uint8

const (
	exact   clip = iota // its last day, at the same time of day
	lowest              // the last day's first millisecond, also for the last day itself
	highest             // the last day's last millisecond
)

func (e Expr) at(now time.Time, dir direction, c clip) time.Time {
	t := millis(now)
	if e.fixed {
		t = e.anchor
		if dir == up {
			t += e.rest
		}
	}
	t = bounded(t)
	for _, o := range e.ops {
		switch {
		case !o.round && o.unit == year:
			t = addMonths(t, 12*o.n, c)
		case !o.round && o.unit == month:
			t = addMonths(t, o.n, c)
		case !o.round:
			t += o.n * length[o.unit]
		default:
			t = e.round(t, o.unit, dir)
		}
		t = bounded(t)
	}
	return fromMillis(t)
}

// round returns the first or last millisecond of the unit that t lies in.
func (e Expr) round(t int64, u unit, dir direction) int64 {
	var next int64
	switch u {
	case year:
		y := fromMillis(t).Year()
		t, next = millis(date(y, 1)), millis(date(y+1, 1))
	case month:
		y, m, _ := fromMillis(t).Date()
		t, next = millis(date(y, int(m))), millis(date(y, int(m)+1))
	case week:
		const sunday, monday = -4 * dayMillis, -3 * dayMillis // the last ones before Thursday, 1 January 1970
		begin := int64(sunday)
		if e.monday {
			begin = monday
		}
		t = floor(t-begin, length[week]) + begin
		next = t + length[week]
	default:
		t = floor(t, length[u])
		next = t + length[u]
	}
	if dir == up {
		return next - 1
	}
	return t
}

// addMonths moves t by n months, to the same day and time of day where the month has that day.
func addMonths(t, n int64, c clip) int64 {
	at := fromMillis(t)
	clock := t - floor(t, dayMillis)
	begin := date(at.Year(), int(at.Month())+int(n))
	days := begin.AddDate(0, 1, -1).Day()
	d := at.Day()
	switch {
	case c == lowest && d >= days:
		clock = 0
	case c == highest && d > days:
		clock = dayMillis - 1
	}
	return millis(begin) + int64(min(d, days)-1)*dayMillis + clock
}

func date(year, month int) time.Time {
	return time.Date(year, time.Month(month), 1, 0, 0, 0, 0, time.UTC)
}

func bounded(t int64) int64 { return min(max(t, first), last) }

// floor returns the greatest multiple of size that is not above t.
func floor(t, size int64) int64 {
	rest := t % size
	if rest < 0 {
		rest += size
	}
	return t - rest
}

// millis is the whole millisecond that t lies in, bounded so that no later sum runs over.
func millis(t time.Time) int64 {
	const most = 1 << 53 / 1000 // seconds
	switch s := t.Unix(); {
	case s > most:
		return most * 1000
	case s < -most:
		return -most * 1000
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
