package storetest

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// The notation of sequences and samples is a list of parts: (span 5m), (per 2), (time custom.when), (tie VALUE), and the
// stages in their order, (stage COND …), (missing COND …) and at the end (until COND …), with (runs 2) and the keys behind
// their conditions: (key FIELD), (optional FIELD), (null).

func formatSequence(n plan.Sequence) string {
	out := ""
	if n.MaxSpan != 0 {
		out = " (span " + n.MaxSpan.String() + ")"
	}
	out += formatOrder(n.Order)
	for _, s := range n.Stages {
		if s.Missing {
			out += formatStage("missing", s)
		} else {
			out += formatStage("stage", s)
		}
	}
	if n.Until != nil {
		out += formatStage("until", *n.Until)
	}
	return out
}

func formatSample(n plan.Sample) string {
	out := ""
	if n.PerKey != 0 {
		out = fmt.Sprintf(" (per %d)", n.PerKey)
	}
	out += formatOrder(n.Order)
	for _, s := range n.Stages {
		out += formatStage("stage", s)
	}
	return out
}

func formatOrder(o plan.Order) string {
	out := ""
	if o.Time != "" {
		out = " (time " + quoteName(o.Time) + ")"
	}
	for _, x := range o.Ties {
		out += " (tie " + formatValue(x) + ")"
	}
	return out
}

func formatStage(head string, s plan.Stage) string {
	out := " (" + head + " " + formatCond(s.Cond)
	if s.Runs != 0 {
		out += fmt.Sprintf(" (runs %d)", s.Runs)
	}
	for _, k := range s.Keys {
		switch {
		case k.Field.Path == "":
			out += " (null)"
		case k.Optional:
			out += " (optional " + k.Field.String() + ")"
		default:
			out += " (key " + k.Field.String() + ")"
		}
	}
	return out + ")"
}

func (r *reader) sequence(in plan.Node) plan.Node {
	n := plan.Sequence{In: in}
	for r.more() {
		r.expect("(")
		switch head := r.take(); head {
		case "span":
			span, err := time.ParseDuration(r.take())
			if err != nil {
				r.fail(err.Error())
			}
			n.MaxSpan = span
		case "stage", "missing":
			s := r.stage()
			s.Missing = head == "missing"
			n.Stages = append(n.Stages, s)
		case "until":
			s := r.stage()
			n.Until = &s
		default:
			r.order(head, &n.Order)
		}
		r.expect(")")
	}
	return n
}

func (r *reader) sample(in plan.Node) plan.Node {
	n := plan.Sample{In: in}
	for r.more() {
		r.expect("(")
		switch head := r.take(); head {
		case "per":
			n.PerKey = r.count()
		case "stage":
			n.Stages = append(n.Stages, r.stage())
		default:
			r.order(head, &n.Order)
		}
		r.expect(")")
	}
	return n
}

func (r *reader) order(head string, o *plan.Order) {
	switch head {
	case "time":
		o.Time = r.name()
	case "tie":
		o.Ties = append(o.Ties, r.value())
	default:
		r.fail("no part of a sequence or sample is called " + head)
	}
}

func (r *reader) stage() plan.Stage {
	s := plan.Stage{Cond: r.cond()}
	for r.more() {
		r.expect("(")
		switch head := r.take(); head {
		case "runs":
			s.Runs = r.count()
		case "key", "optional":
			s.Keys = append(s.Keys, plan.Key{Field: r.field(), Optional: head == "optional"})
		case "null":
			s.Keys = append(s.Keys, plan.Key{})
		default:
			r.fail("no part of a stage is called " + head)
		}
		r.expect(")")
	}
	return s
}

func (r *reader) count() int {
	n, err := strconv.Atoi(r.take())
	if err != nil {
		r.fail("expected a number")
	}
	return n
}

// sequence makes a sequence over rows that are events.
func (g *planner) sequence(p plan.Node) plan.Node {
	n := plan.Sequence{In: p, Order: g.order(), Stages: g.stages(1 + g.r.IntN(3))}
	if chance(g.r, 70) {
		n.MaxSpan = pick(g.r, []time.Duration{time.Millisecond, time.Hour, time.Hour, 3*time.Hour + time.Millisecond, 6 * time.Hour, 30 * time.Hour})
	}
	if chance(g.r, 25) {
		n.Stages[g.r.IntN(len(n.Stages))].Runs = 1 + g.r.IntN(3)
	}
	if n.MaxSpan > 0 && chance(g.r, 40) {
		more := g.keyedLike(n.Stages[0])
		more.Missing, more.Cond = true, g.cond(2)
		at := g.r.IntN(len(n.Stages) + 1)
		n.Stages = append(n.Stages[:at:at], append([]plan.Stage{more}, n.Stages[at:]...)...)
	}
	if chance(g.r, 25) {
		until := g.keyedLike(n.Stages[0])
		until.Cond, until.Missing = g.cond(2), false
		n.Until = &until
	}
	return n
}

// sampleOf makes a sample of rows that are events.
func (g *planner) sampleOf(p plan.Node) plan.Node {
	return plan.Sample{In: p, Order: g.order(), Stages: g.stages(1 + g.r.IntN(3)), PerKey: g.r.IntN(4)}
}

func (g *planner) order() plan.Order {
	var o plan.Order
	if chance(g.r, 10) {
		o.Time = pick(g.r, []string{"custom.when", "event.ingested"})
	}
	if chance(g.r, 30) {
		o.Ties = append(o.Ties, g.value(1, g.class()))
	}
	return o
}

// stages are n stages whose keys are the same fields, most of the time, or fields of one kind.
func (g *planner) stages(n int) []plan.Stage {
	var first plan.Stage
	for range pick(g.r, []int{0, 1, 1, 1, 2}) {
		first.Keys = append(first.Keys, plan.Key{Field: g.field(isScalar), Optional: chance(g.r, 25)})
		if chance(g.r, 5) {
			first.Keys[len(first.Keys)-1] = plan.Key{}
		}
	}
	out := make([]plan.Stage, n)
	for i := range out {
		out[i] = g.keyedLike(first)
		switch {
		case chance(g.r, 30):
			out[i].Cond = expr.Const{Value: true}
		case i > 0 && chance(g.r, 20):
			out[i].Cond = out[i-1].Cond
		default:
			out[i].Cond = g.cond(2)
		}
	}
	return out
}

// keyedLike is a stage with the keys of another, or now and then others.
func (g *planner) keyedLike(s plan.Stage) plan.Stage {
	keys := make([]plan.Key, len(s.Keys))
	for i, k := range s.Keys {
		if keys[i] = k; chance(g.r, 8) {
			keys[i].Field = g.field(isScalar)
		}
	}
	return plan.Stage{Keys: keys}
}

// foundColumns are fields by which what was found can be read.
func foundColumns() []expr.Field {
	out := []expr.Field{{Path: plan.FoundNumber, Type: event.Long}, {Path: plan.FoundKeys}, {Path: "events.id"}, {Path: "events.stream"},
		{Path: "events", Type: event.ObjectType}, {Path: "events.fields", Type: event.ObjectType}}
	for _, f := range readable() {
		if isScalar(f.Type) && !f.Root {
			out = append(out, column("events.fields."+f.Path, f.Type))
		}
	}
	return out
}

// simplerSequences are sequences that differ from n by one part less.
func simplerSequences(n plan.Sequence) (out []plan.Node) {
	add := func(change func(*plan.Sequence)) {
		simpler := n
		change(&simpler)
		isMissing := func(s plan.Stage) bool { return s.Missing }
		if !slices.ContainsFunc(simpler.Stages, isMissing) ||
			simpler.MaxSpan > 0 && slices.ContainsFunc(simpler.Stages, func(s plan.Stage) bool { return !s.Missing }) {
			out = append(out, simpler)
		}
	}
	if n.Until != nil {
		add(func(s *plan.Sequence) { s.Until = nil })
		for _, c := range simplerConds(n.Until.Cond) {
			until := *n.Until
			until.Cond = c
			add(func(s *plan.Sequence) { s.Until = &until })
		}
	}
	if n.MaxSpan > 0 {
		add(func(s *plan.Sequence) { s.MaxSpan = 0 })
	}
	for _, o := range simplerOrders(n.Order) {
		add(func(s *plan.Sequence) { s.Order = o })
	}
	for _, stages := range simplerStages(n.Stages) {
		add(func(s *plan.Sequence) { s.Stages = stages })
	}
	for i := range n.Stages[0].Keys {
		add(func(s *plan.Sequence) {
			s.Stages = withoutKey(n.Stages, i)
			if n.Until != nil {
				s.Until = &withoutKey([]plan.Stage{*n.Until}, i)[0]
			}
		})
	}
	return out
}

// simplerSamples are samples that differ from n by one part less.
func simplerSamples(n plan.Sample) (out []plan.Node) {
	for _, o := range simplerOrders(n.Order) {
		out = append(out, plan.Sample{In: n.In, Order: o, Stages: n.Stages, PerKey: n.PerKey})
	}
	for _, stages := range simplerStages(n.Stages) {
		out = append(out, plan.Sample{In: n.In, Order: n.Order, Stages: stages, PerKey: n.PerKey})
	}
	for i := range n.Stages[0].Keys {
		out = append(out, plan.Sample{In: n.In, Order: n.Order, Stages: withoutKey(n.Stages, i), PerKey: n.PerKey})
	}
	if n.PerKey > 0 {
		out = append(out, plan.Sample{In: n.In, Order: n.Order, Stages: n.Stages, PerKey: n.PerKey - 1})
	}
	return out
}

func simplerOrders(o plan.Order) (out []plan.Order) {
	if o.Time != "" {
		out = append(out, plan.Order{Ties: o.Ties})
	}
	for i := range o.Ties {
		out = append(out, plan.Order{Time: o.Time, Ties: without(o.Ties, i)})
	}
	return out
}

func simplerStages(stages []plan.Stage) (out [][]plan.Stage) {
	for i, s := range stages {
		if len(stages) > 1 {
			out = append(out, without(stages, i))
		}
		if s.Runs > 0 {
			s.Runs--
			out = append(out, with(stages, i, s))
		}
		for _, c := range simplerConds(s.Cond) {
			simpler := stages[i]
			simpler.Cond = c
			out = append(out, with(stages, i, simpler))
		}
	}
	return out
}

func withoutKey(stages []plan.Stage, i int) []plan.Stage {
	out := make([]plan.Stage, len(stages))
	for k, s := range stages {
		s.Keys = without(s.Keys, i)
		out[k] = s
	}
	return out
}
