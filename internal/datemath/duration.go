package datemath

import (
	"strings"
	"time"
)

// ParseDuration reads a duration as rules write intervals: a positive whole number without leading zero and one of s, m,
// h, d. Up to a billion units are read, and no more than a time.Duration holds (about 292 years). An error is a
// diag.Diagnostic with the place and what was expected there.
func ParseDuration(text string) (time.Duration, error) {
	p := scanner{text: text}
	if text == "" || !isDigit(text[0]) || text[0] == '0' {
		return 0, p.expected(CodeDuration, 0, "a positive whole number")
	}
	n, _, ok := p.number()
	if !ok {
		return 0, p.fail(CodeNumber, 0, "%s is too large a number", short(text[:p.at]))
	}
	units := []string{"s", "m", "h", "d"}
	for i, size := range []time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour} {
		if !strings.HasPrefix(text[p.at:], units[i]) {
			continue
		}
		if p.at+1 < len(text) {
			return 0, p.expected(CodeDuration, p.at+1, "the end")
		}
		if time.Duration(n) > (1<<63-1)/size {
			return 0, p.fail(CodeNumber, 0, "%s is too long", short(text))
		}
		return time.Duration(n) * size, nil
	}
	return 0, p.expected(CodeUnit, p.at, units...)
}
