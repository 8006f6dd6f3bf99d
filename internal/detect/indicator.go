package detect

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/indicator"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// threatMatch is what a rule compares events with: indicators, which are events of streams of their own.
type threatMatch struct {
	streams []string
	lower   func(now time.Time) (expr.Cond, error) // the indicators that count in a run at now
	changes bool                                   // these depend on now
	// ever holds of every indicator that counts in some run, and as the case may be of others.
	ever    expr.Cond
	columns []column
	groups  [][]compared
	path    string // where an indicator is described
	files   string // what of the indicators stands in files

	bounds       bounds
	asked, again expr.Cond // the query at two times that have nothing in common
	query        func(now time.Time) (expr.Cond, error)
	hidden       exception.Hidden
	texts        []byte // what of the query depends on the time of the run
}

// compared is a comparison of a group.
type compared struct {
	column int
	negate bool
}

// column is two fields that are compared, one of events, one of indicators.
type column struct {
	name             string // of the event's field, as the rule has it
	event, indicator expr.Field
	as               event.Type // as which their values are compared; of texts, one word in common is enough
	// noEvent and noIndicator say that a field has no values, whatever documents hold.
	noEvent, noIndicator bool
}

// anotherTime has no unit of time in common with anyTime.
var anotherTime = time.Date(2012, 7, 19, 13, 17, 41, 113e6, time.UTC)

// compare reads what a threat_match rule compares events with. The error has its places in the rule's file.
func (p *Program) compare(c Compiler) error {
	m := p.Rule.ThreatMatch
	if p.Rule.Type != rule.TypeThreatMatch {
		return nil
	}
	t := &threatMatch{streams: m.Index, path: m.IndicatorPath, bounds: usual}
	var err error
	if t.query, t.changes, err = readQuery(p.Rule, c.Resolver, asking{"threat_query", m.Query, cmp.Or(m.Language, p.Rule.Language)}, "threat_filters", m.Filters); err != nil {
		return err
	}
	if c.Indicators != nil {
		t.files = c.Indicators(m.Index)
	}
	if ask := t.query; t.files != "" {
		t.changes = true
		t.query = func(now time.Time) (expr.Cond, error) {
			cond, err := ask(now)
			return expr.All(cond, opposite(indicator.Expired(now))), err
		}
	}
	if t.asked, err = t.query(anyTime); err != nil {
		return err
	}
	if t.again, err = t.query(anotherTime); err != nil {
		return err
	}
	at := map[[2]string]int{}
	for _, g := range m.Mapping {
		var group []compared
		for _, e := range g.Entries {
			i, known := at[[2]string{e.Field, e.Value}]
			if !known {
				i = len(t.columns)
				at[[2]string{e.Field, e.Value}] = i
				t.columns = append(t.columns, newColumn(e.Field, e.Value, c.Resolver))
			}
			group = append(group, compared{i, e.Negate})
		}
		t.groups = append(t.groups, group)
	}
	if t.changes {
		t.texts = fmt.Appendf(nil, "%q %s", m.Query, event.List(m.Filters...).AppendJSON(nil))
	}
	p.threat = t
	return nil
}

func newColumn(name, value string, resolver plan.Resolver) column {
	c := column{name: name}
	c.event, _ = resolver.Field(name)
	c.indicator, _ = resolver.Field(value)
	c.noEvent, c.noIndicator = hidden(c.event, resolver), hidden(c.indicator, resolver)
	c.as = inCommon(c.event.Type, c.indicator.Type)
	return c
}

// inCommon is the type as which values of two types are compared: that of the field which is not a keyword. A query on that
// field would read the other one's value so (rule-execution.md §3.2); where each could be queried, either has to find.
func inCommon(e, i event.Type) event.Type {
	switch {
	case e.IsText():
		return e
	case i.IsText():
		return i
	case e.IsKeyword() && i.IsKeyword():
		if e == event.Caseless || i == event.Caseless {
			return event.Caseless
		}
		return event.Keyword
	case e == event.IPType || i == event.IPType:
		return event.IPType
	case e.IsKeyword():
		return i
	case i.IsKeyword() || e == i:
		return e
	case e == event.Double || i == event.Double:
		return event.Double
	}
	return e
}

// hide leaves those indicators out that exceptions name. An item that says only what must not be there would hide every
// indicator which lacks the field: it is about events.
func (t *threatMatch) hide(h exception.Hidden) error {
	if t == nil {
		return nil
	}
	t.hidden = h.Naming()
	always := opposite(t.hidden.Always())
	t.ever = expr.All(whenever(t.asked, t.again, true), always)
	t.lower = func(now time.Time) (expr.Cond, error) {
		query, err := t.query(now)
		if err != nil {
			return nil, fmt.Errorf("read the threat query at %s: %w", event.FormatTime(now), err)
		}
		return expr.All(query, always, opposite(t.hidden.At(now))), nil
	}
	t.changes = t.changes || t.hidden.Changes()
	return nil
}

// whenever returns a condition that holds whenever a query does, whatever the time, where most is set, and one that holds
// only if it always does where it is not. a and b are the query at two times: what of them differs depends on the time.
func whenever(a, b expr.Cond, most bool) expr.Cond {
	if expr.String(a) == expr.String(b) {
		return a
	}
	each := func(a, b []expr.Cond) []expr.Cond {
		if len(a) != len(b) {
			return []expr.Cond{expr.Const{Value: most}}
		}
		out := make([]expr.Cond, len(a))
		for i := range a {
			out[i] = whenever(a[i], b[i], most)
		}
		return out
	}
	switch a := a.(type) {
	case expr.And:
		if b, ok := b.(expr.And); ok {
			return expr.All(each(a.Conds, b.Conds)...)
		}
	case expr.Or:
		if b, ok := b.(expr.Or); ok {
			return expr.Some(each(a.Conds, b.Conds)...)
		}
	case expr.Not:
		if b, ok := b.(expr.Not); ok {
			return opposite(whenever(a.Cond, b.Cond, !most))
		}
	}
	return expr.Const{Value: most}
}

// paths are the paths that are compared of an event.
func (t *threatMatch) paths() []string {
	if t == nil {
		return nil
	}
	var out []string
	for _, c := range t.columns {
		out = append(out, c.event.Path)
	}
	return out
}

// writeTo writes what the rule compares events with.
func (t *threatMatch) writeTo(w io.Writer) {
	fmt.Fprintf(w, "indicators %q %q %q %q %s\n", t.streams, expr.String(t.asked), t.texts, t.path, t.files)
	for _, c := range t.columns {
		fmt.Fprintf(w, "%q %q %s %t %t\n", c.event.String(), c.indicator.String(), c.as, c.noEvent, c.noIndicator)
	}
	fmt.Fprintf(w, "%v %q\n", t.groups, t.hidden.String())
}

// Matches reports whether the rule compares events with indicators: those of IndicatorStreams, which Bind reads.
func (p *Program) Matches() bool { return p.threat != nil }

// IndicatorStreams are the patterns of the streams of indicators; nil of a rule that does not look for any.
func (p *Program) IndicatorStreams() []string {
	if p.threat == nil {
		return nil
	}
	return p.threat.streams
}

// FromFiles reports whether some of the indicators stand in files.
func (p *Program) FromFiles() bool { return p.threat != nil && p.threat.files != "" }

// IndicatorsHeld is how many indicators a program that was bound looks for.
func (p *Program) IndicatorsHeld() int {
	if p.found == nil {
		return 0
	}
	return len(p.found.ids)
}

// side returns how one of the fields is read; none that it has no values.
func (c *column) side(ofIndicator bool) (f expr.Field, none bool) {
	if ofIndicator {
		return c.indicator, c.noIndicator
	}
	return c.event, c.noEvent
}

// values calls of with each value that is compared, as it is written and by a key: two with one key are equal. network is
// set where the value is a network of addresses instead, which only an indicator holds.
func (c *column) values(ofIndicator bool, e *event.Event, of func(v event.Value, key string, network netip.Prefix)) {
	f, none := c.side(ofIndicator)
	if none {
		return
	}
	for _, v := range written(f, e) {
		if c.as.IsText() {
			for _, word := range expr.Tokens(c.as, v.Text()) {
				of(v, word, netip.Prefix{})
			}
			continue
		}
		if network, is := networkOf(v); is && c.as == event.IPType && ofIndicator {
			of(v, "", network)
			continue
		}
		own, fits := event.Coerce(f.Type, v)
		if !fits {
			continue
		}
		typed, fits := event.Coerce(c.as, own)
		if !fits || c.as == event.Long && f.Type != event.Long && fraction(own) {
			continue
		}
		of(v, keyOfValue(typed), netip.Prefix{})
	}
}

// has reports whether e has a value that the field can hold; an indicator's network counts as one.
func (c *column) has(ofIndicator bool, e *event.Event) bool {
	f, none := c.side(ofIndicator)
	return !none && slices.ContainsFunc(written(f, e), func(v event.Value) bool {
		_, fits := event.Coerce(f.Type, v)
		_, network := networkOf(v)
		return fits || network && f.Type == event.IPType && ofIndicator
	})
}

// written are the values of f as they are written.
func written(f expr.Field, e *event.Event) []event.Value {
	if f.Root {
		return e.Leaves(f.Path)
	}
	return e.Values(f.Path)
}

// fraction reports whether v is a number that is not whole: it equals none that is.
func fraction(v event.Value) bool {
	n, ok := event.Coerce(event.Double, v)
	return ok && n.Float() != math.Trunc(n.Float())
}

func keyOfValue(v event.Value) string {
	if v.Kind() == event.KindIP {
		a := v.Addr().As16()
		return string(a[:])
	}
	return v.Text()
}

// networkOf reads a network such as 10.0.0.0/8, among the addresses of 16 bytes, in which those of four have their place.
func networkOf(v event.Value) (netip.Prefix, bool) {
	text := v.Str()
	if strings.IndexByte(text, '/') < 0 {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return netip.PrefixFrom(netip.AddrFrom16(p.Addr().As16()), bits).Masked(), true
}
