// Package plan is the logical plan that every rule and every query becomes: a tree of nodes over events, the same for
// all engines. Plans are immutable; the same plan may run many times at once.
//
//	p := plan.Limit{N: 100, In: plan.Sort{Keys: newest, In: plan.Filter{Cond: c, In: plan.Scan{Streams: patterns}}}}
//
// Rows are events throughout. What Eval computes and what Aggregate groups and counts stand in the row as fields under
// the column's name, with typed values, so that later nodes read them like any field. What Sequence and Sample find
// stands in the row as a list of objects (Found).
//
// The package runs nothing: that is exec and the stores.
package plan

import (
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// Node is a plan. The nodes are Scan, Filter, SemiJoin, Eval, Aggregate, Sort, Limit, Project, Sequence and Sample.
type Node interface{ node() }

// Scan reads every event of the streams that Streams name.
type Scan struct {
	// Streams are names with * as wildcard; one that begins with - takes streams away from those before it.
	Streams []string
	// Fields are the paths that the plan reads (Prune sets them); nil: whole documents. A row holds at least what stands
	// at or below these and, where one leads into a tree, that of the tree (event.Keep), and always the event's ID and
	// Stream. Its Source comes with whole documents; with Fields an engine may leave it out.
	Fields []string
}

// Filter keeps the rows for which Cond is True.
type Filter struct {
	In   Node
	Cond expr.Cond
}

// Column is a computed value and the name of the field that receives it.
type Column struct {
	Name  string
	Value expr.Value
}

// Eval adds columns to each row, each computed from the row as it came in, in place of what stands at the column's name.
// A null column is left out, and takes what stands there away.
type Eval struct {
	In   Node
	Cols []Column
}

// Group is one key of an Aggregate: each value of a field, or one computed value.
type Group struct {
	Name string
	// Each, where Value is nil: the row counts once for each different value of the field (event.Compare), and not at
	// all where it has none. Several such groups give every combination.
	Each expr.Field
	// Value: the row counts in the one group of this value; null is a group too, its field left out of the row.
	Value expr.Value
}

// AggFn is an aggregate function.
type AggFn uint8

// The aggregate functions. All but Count leave nulls out; of nothing, Min and Max are null and left out of the row.
const (
	Count AggFn = iota
	CountDistinct
	Min
	Max
)

// Agg is one aggregate and the name of its field. Count ignores Value.
type Agg struct {
	Name  string
	Fn    AggFn
	Value expr.Value
}

// Aggregate gives one row for each combination of groups, with the group values and the aggregates as its fields.
// Without groups it gives exactly one row. The rows have no ID and no stream. Of values that are equal and yet not the same
// (1 and 1.0) it gives the whole number, or else that with the lesser text.
type Aggregate struct {
	In   Node
	By   []Group
	Aggs []Agg
}

// SortKey is one key of a Sort. Nulls come last, whatever the direction.
type SortKey struct {
	Value expr.Value
	Desc  bool
}

// Sort orders the rows (event.Compare). Ties are broken by stream and ID, ascending; further ones are undefined. Filter,
// SemiJoin, Eval, Limit and Project keep the order of their input.
type Sort struct {
	In   Node
	Keys []SortKey
}

// Limit keeps the first N rows; without a Sort below, any N.
type Limit struct {
	In Node
	N  int
}

// Project keeps of each row the fields at or below Paths alone, and of trees what lies there (event.Keep).
type Project struct {
	In    Node
	Paths []string
}

func (Scan) node()      {}
func (Filter) node()    {}
func (SemiJoin) node()  {}
func (Eval) node()      {}
func (Aggregate) node() {}
func (Sort) node()      {}
func (Limit) node()     {}
func (Project) node()   {}
func (Sequence) node()  {}
func (Sample) node()    {}

// Input returns the node below n, nil for a Scan.
func Input(n Node) Node {
	switch n := n.(type) {
	case Filter:
		return n.In
	case SemiJoin:
		return n.In
	case Eval:
		return n.In
	case Aggregate:
		return n.In
	case Sort:
		return n.In
	case Limit:
		return n.In
	case Project:
		return n.In
	case Sequence:
		return n.In
	case Sample:
		return n.In
	}
	return nil
}

// Over returns n with the node below it replaced by in. A Scan is returned as it is.
func Over(n, in Node) Node {
	switch n := n.(type) {
	case Filter:
		n.In = in
		return n
	case SemiJoin:
		n.In = in
		return n
	case Eval:
		n.In = in
		return n
	case Aggregate:
		n.In = in
		return n
	case Sort:
		n.In = in
		return n
	case Limit:
		n.In = in
		return n
	case Project:
		n.In = in
		return n
	case Sequence:
		n.In = in
		return n
	case Sample:
		n.In = in
		return n
	}
	return n
}
