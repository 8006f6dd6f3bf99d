package eql_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/lang/eql/eqltest"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// TestConformancePlans holds that the plans of sequences, pipes included, find what the server found.
func TestConformancePlans(t *testing.T) {
	tally := corpus.NewTally(t, "eql/sequence-plans")
	data := map[string]*eqltest.Data{}
	for _, c := range eqltest.Cases(t) {
		d := data[c.Set]
		if d == nil {
			d = eqltest.ReadData(t, c.Set)
			data[c.Set] = d
		}
		p, err := eql.Lower(parse(t, c.Query), eql.Options{Resolver: d.Fields})
		if err != nil {
			tally.Fail(c.Name, diag.Of(err).Render())
			continue
		}
		if p.Sequence == nil {
			continue
		}
		if why, different := eqltest.Differences[c.Name]; different {
			tally.Skip(c.Name, why)
			continue
		}
		rows, err := eqltest.Go(t, d)(p.Plan(plan.Scan{}, d.Order()))
		if err != nil {
			tally.Fail(c.Name, err.Error())
			continue
		}
		got := []int{}
		for _, row := range rows {
			for _, e := range plan.FoundIn(row).Events {
				if e == nil {
					got = append(got, -1)
				} else {
					got = append(got, d.Number(e))
				}
			}
		}
		if !slices.ContainsFunc(c.Want, func(want []int) bool { return slices.Equal(want, got) }) {
			tally.Fail(c.Name, "events (-want +got):\n"+cmp.Diff(c.Want[0], got)+strings.TrimSpace(c.Query))
			continue
		}
		tally.Pass()
	}
}
