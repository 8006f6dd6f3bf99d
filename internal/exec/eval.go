package exec

import (
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// eval adds columns, all of them computed before the first is set.
type eval struct {
	in   cursor
	cols []plan.Column
}

func (v *eval) next() (row, bool, error) {
	r, ok, err := v.in.next()
	if !ok || err != nil {
		return row{}, false, err
	}
	values := make([]event.Value, len(v.cols))
	for i, c := range v.cols {
		values[i] = expr.Compute(c.Value, r.e)
	}
	e := r.own()
	for i, c := range v.cols {
		e.Set(c.Name, values[i])
	}
	return row{e: e, owned: true}, true, nil
}

func (v *eval) close() error { return v.in.close() }
