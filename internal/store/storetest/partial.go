package storetest

import (
	"context"

	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Refusing returns db as an engine that cannot run plans in which refuse is true of a node. It must be false of scans.
func Refusing(db store.Store, refuse func(plan.Node) bool) store.Store {
	return refusing{Store: db, refuse: refuse}
}

type refusing struct {
	store.Store
	refuse func(plan.Node) bool
}

// Query refuses p as a whole where it refuses one of its nodes.
func (r refusing) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	for n := p; n != nil; n = plan.Input(n) {
		if r.refuse(n) {
			return nil, &store.Unsupported{Node: n, Why: "refused by the test"}
		}
	}
	return r.Store.Query(ctx, p, at)
}
