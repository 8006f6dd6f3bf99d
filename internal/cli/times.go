package cli

import (
	"fmt"
	"time"

	"github.com/tocsin-sec/tocsin/internal/datemath"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// span is a stretch of time as the command line names it; now in it is the end of the data, which is known later.
type span struct{ from, to *datemath.Expr }

// readSpan reads --from and --to, each "" where it is not given. Instants that are the wrong way round are an error here,
// relative times when they are resolved.
func readSpan(from, to string) (span, error) {
	var s span
	var err error
	if s.from, err = readTime("--from", from); err != nil {
		return s, err
	}
	if s.to, err = readTime("--to", to); err != nil {
		return s, err
	}
	if (s.from == nil || !s.from.Relative()) && (s.to == nil || !s.to.Relative()) {
		_, _, err = s.at(time.Time{})
	}
	return s, err
}

func readTime(flag, text string) (*datemath.Expr, error) {
	if text == "" {
		return nil, nil
	}
	e, err := datemath.Parse(text)
	if err == nil {
		return &e, nil
	}
	message := err.Error()
	if found := diag.Of(err); len(found) > 0 {
		message = found[0].Message
	}
	return nil, fmt.Errorf("%s %q: %s (write an instant such as 2026-03-15T00:00:00Z, or now-5d, where now is the data's end)",
		flag, text, message)
}

// at returns the bounds with now = the end of the data, zero times where they are not given. A rounded end (now/d) is
// the last millisecond of what it names.
func (s span) at(now time.Time) (from, to time.Time, err error) {
	if s.from != nil {
		from = s.from.At(now)
	}
	if s.to != nil {
		to = s.to.AtEnd(now)
	}
	if !from.IsZero() && !to.IsZero() && to.Before(from) {
		return from, to, fmt.Errorf("--to (%s) lies before --from (%s)", instant(to), instant(from))
	}
	return from, to, nil
}

// dataSpan is where the events of streams lie.
func dataSpan(streams []store.Stream) store.Span {
	var all store.Span
	for _, s := range streams {
		if !s.Time.Empty() {
			all = all.Include(s.Time.From).Include(s.Time.To)
		}
	}
	return all
}

// instant prints t for a person who may want to type it again.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z") }
