package duck

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Checks names the kinds of conditions in the filters of p, such as "Words", that SQL does not decide in every segment that p
// reads: there rows are checked one by one, in Go. It tells why a query takes long, and reads no events.
func (s *Store) Checks(p plan.Node) []string {
	var conds []expr.Cond
	var streams []string
	for n := p; n != nil; n = plan.Input(n) {
		switch n := n.(type) {
		case plan.Filter:
			conds = append(conds, n.Cond)
		case plan.Scan:
			streams = n.Streams
		}
	}
	cat := s.catalog.Load()
	var kinds []string
	for _, g := range cat.segments {
		if !store.Selects(streams, cat.streams[g.stream]) || g.where(expr.All(conds...)).sql == sqlFalse {
			continue
		}
		for _, c := range conds {
			kinds = g.checks(c, kinds)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// checks adds to kinds those of the leaves of c that SQL does not decide in the segment.
func (s *segment) checks(c expr.Cond, kinds []string) []string {
	below := []expr.Cond(nil)
	switch c := c.(type) {
	case expr.And:
		below = c.Conds
	case expr.Or:
		below = c.Conds
	case expr.Not:
		below = []expr.Cond{c.Cond}
	default:
		if s.where(c).exact {
			return kinds
		}
		kind := strings.TrimPrefix(fmt.Sprintf("%T", c), "expr.")
		if slices.Contains(kinds, kind) {
			return kinds
		}
		return append(kinds, kind)
	}
	for _, c := range below {
		kinds = s.checks(c, kinds)
	}
	return kinds
}
