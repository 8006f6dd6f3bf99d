package datemath

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// The codes of the diagnostics.
const (
	CodeAnchor   = "TIME0101" // neither now nor an instant
	CodeStep     = "TIME0102" // what follows is none of + - /
	CodeNumber   = "TIME0103" // a number too large
	CodeUnit     = "TIME0104" // no unit, or an unknown one
	CodeRound    = "TIME0105" // rounding to several units
	CodeDuration = "TIME0106" // no duration
)

const (
	maxNumber = 1_000_000_000
	maxSteps  = 100
)

// dialect is what the two ways to write date math do not share.
type dialect struct {
	query bool
	units []string // longest first
}

var (
	ruleDialect  = dialect{units: []string{"ms", "y", "M", "w", "d", "h", "m", "s"}}
	queryDialect = dialect{query: true, units: []string{"y", "M", "w", "d", "h", "H", "m", "s"}}
)

// Parse reads a time as rules write it: now or an ISO 8601 instant, the instant followed by || where math follows. An
// error is a diag.Diagnostic with the place and what was expected there.
func Parse(text string) (Expr, error) { return parse(text, ruleDialect) }

// ParseQuery reads a time as it stands in a query: now, an ISO 8601 instant (strict_date_optional_time) or milliseconds
// since 1970 (epoch_millis), the latter two followed by || where math follows. An error is a diag.Diagnostic with the place
// and what was expected there.
func ParseQuery(text string) (Expr, error) { return parse(text, queryDialect) }

func parse(text string, d dialect) (Expr, error) {
	e := Expr{text: text, monday: d.query}
	p := scanner{text: text}
	if strings.HasPrefix(text, "now") {
		p.at = len("now")
	} else {
		e.fixed = true
		instant, math, hasMath := strings.Cut(text, "||")
		var err error
		if e.anchor, e.rest, err = p.instant(instant, d); err != nil {
			return Expr{}, err
		}
		p.at = len(instant)
		if !hasMath {
			return e, nil
		}
		e.rest = 0 // before math an instant is its first millisecond
		p.at = len(text) - len(math)
	}
	for p.at < len(text) {
		if len(e.ops) == maxSteps {
			return Expr{}, p.fail(CodeStep, p.at, "more than %d steps", maxSteps)
		}
		o, err := p.step(d)
		if err != nil {
			return Expr{}, err
		}
		e.ops = append(e.ops, o)
	}
	return e, nil
}

// scanner reads text from at on.
type scanner struct {
	text string
	at   int
}

// step reads one of +n unit, -n unit, /unit.
func (p *scanner) step(d dialect) (op, error) {
	var o op
	sign := int64(1)
	switch p.text[p.at] {
	case '+':
	case '-':
		sign = -1
	case '/':
		o.round = true
	default:
		return o, p.expected(CodeStep, p.at, "+", "-", "/")
	}
	p.at++
	start := p.at
	n, digits, ok := p.number()
	if !ok {
		return o, p.fail(CodeNumber, start, "%s is too large a number", short(p.text[start:p.at]))
	}
	if !digits {
		n = 1
	}
	if o.round && n != 1 {
		return o, p.fail(CodeRound, start, "rounding goes to one whole unit: / is followed by the unit alone")
	}
	o.n = sign * n
	for _, name := range d.units {
		if strings.HasPrefix(p.text[p.at:], name) {
			p.at += len(name)
			o.unit = unitNamed(name)
			return o, nil
		}
	}
	return o, p.expected(CodeUnit, p.at, d.units...)
}

// number reads digits, if there are any; ok is false where they say more than maxNumber.
func (p *scanner) number() (n int64, digits, ok bool) {
	start := p.at
	for p.at < len(p.text) && isDigit(p.text[p.at]) {
		p.at++
	}
	if p.at == start {
		return 0, false, true
	}
	n, err := strconv.ParseInt(p.text[start:p.at], 10, 64)
	return n, true, err == nil && n <= maxNumber
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func unitNamed(name string) unit {
	switch name {
	case "y":
		return year
	case "M":
		return month
	case "w":
		return week
	case "d":
		return day
	case "h", "H":
		return hour
	case "m":
		return minute
	case "s":
		return second
	}
	return millisecond
}

// expected is the error that one of the wanted texts does not stand at byte at.
func (p *scanner) expected(code string, at int, wanted ...string) error {
	found := "the end"
	if at < len(p.text) {
		found = strconv.Quote(short(p.text[at:]))
	}
	d := p.fail(code, at, "expected %s, found %s", list(wanted), found)
	d.Expected = wanted
	return d
}

func (p *scanner) fail(code string, at int, format string, args ...any) diag.Diagnostic {
	return diag.Diagnostic{Code: code, Message: fmt.Sprintf(format, args...), Span: diag.At(at), Text: p.text}
}

// list prints words as "a, b or c".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// short cuts a text that would make a message unreadable.
func short(s string) string {
	const most = 20
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
