package exec

import "github.com/tocsin-sec/tocsin/internal/expr"

// filter keeps the rows for which cond is True.
type filter struct {
	in   cursor
	cond expr.Cond
}

func (f *filter) next() (row, bool, error) {
	for {
		r, ok, err := f.in.next()
		if !ok || err != nil {
			return row{}, false, err
		}
		if expr.Matches(f.cond, r.e) {
			return r, true, nil
		}
	}
}

func (f *filter) close() error { return f.in.close() }
