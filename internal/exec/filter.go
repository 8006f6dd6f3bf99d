package exec

import "github.com/tocsin-sec/tocsin/internal/expr"

// filter keeps the rows for which cond is True.
type filter struct {
	in   cursor
	cond expr.Cond
	rows int
}

// From indexAfter rows on, conditions look up the values of a list of more than indexOver in a set: making one takes as long as
// going through the list for some tens of rows.
const (
	indexAfter = 50
	indexOver  = 100
)

func (f *filter) next() (row, bool, error) {
	for {
		r, ok, err := f.in.next()
		if !ok || err != nil {
			return row{}, false, err
		}
		if f.rows++; f.rows == indexAfter {
			f.cond = expr.Indexed(f.cond, indexOver)
		}
		if expr.Matches(f.cond, r.e) {
			return r, true, nil
		}
	}
}

func (f *filter) close() error { return f.in.close() }
