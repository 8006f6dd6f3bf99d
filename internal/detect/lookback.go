package detect

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// The codes of what Compile warns of in a rule that looks for sequences.
const (
	CodeNever    = "RUN0201" // a sequence that no window holds
	CodeLookBack = "RUN0202" // a sequence that some windows cut
)

// lookBack says which sequences the rule's windows do not hold: all events of a sequence lie in one window.
func (p *Program) lookBack() diag.List {
	if p.eql == nil || p.eql.Sequence == nil {
		return nil
	}
	s, places := p.eql.Sequence, p.eql.places
	var found diag.List
	warn := func(code string, at diag.Span, hint, format string, args ...any) {
		found = append(found, diag.Diagnostic{Code: code, Severity: diag.Warning, Span: at, Text: p.Rule.Query,
			Message: fmt.Sprintf(format, args...), Hint: hint})
	}
	for i, stage := range s.Stages {
		if c, ok := stage.Cond.(expr.Const); ok && !c.Value && !stage.Missing {
			warn(CodeNever, places.Terms[i].At, "", "no event is ever this one, so that the sequence never comes to its end")
		}
	}
	length, ok := p.windows()
	if !ok || places.MaxSpan == nil {
		return p.Rule.Locate(found)
	}
	every := p.schedule.Interval()
	enough := fmt.Sprintf("let windows last the interval and maxspan together: %s", brief(s.MaxSpan+every))
	switch at := places.MaxSpan.At; {
	case s.MaxSpan > length:
		warn(CodeNever, at, enough, "no window holds a sequence that lasts longer than %s", brief(length))
	case s.MaxSpan+every > length:
		warn(CodeLookBack, at, enough, "windows of %s every %s cut some of the sequences that last longer than %s", brief(length), brief(every), brief(max(length-every, 0)))
	}
	return p.Rule.Locate(found)
}

// windows is how long the rule's windows last; false where that is not always the same.
func (p *Program) windows() (time.Duration, bool) {
	w, err := p.schedule.Window(anyTime)
	if err != nil || !strings.HasPrefix(p.Rule.From, "now") || !strings.HasPrefix(p.Rule.To, "now") {
		return 0, false
	}
	return w.To.Sub(w.From), true
}

// lookFurther lets the windows of a rule begin earlier whose sequences are not known before their whole span has passed, so
// that some window holds each of them with its span.
func (p *Program) lookFurther() error {
	if p.eql == nil || p.eql.before+p.eql.after == 0 {
		return nil
	}
	length, ok := p.windows()
	if lacks := p.eql.before + p.eql.after + p.schedule.Interval() - length; ok && lacks > 0 {
		spec := window.Spec{Interval: p.Rule.Interval, From: fmt.Sprintf("%s-%ds", p.Rule.From, int64(math.Ceil(lacks.Seconds()))), To: p.Rule.To}
		var err error
		p.schedule, err = window.New(spec)
		return err
	}
	return nil
}

// brief prints a duration without what is zero at its end: 9m, 1h30m.
func brief(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = strings.TrimSuffix(text, zero[1:])
		}
	}
	return text
}

// placesOf is where the parts of a sequence stand; nil of other queries.
func placesOf(q *eql.Query) *eql.Sequence {
	s, _ := q.Body.(*eql.Sequence)
	return s
}
