package opensearch

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/netip"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// bucketPage is the number of groups that one request asks for.
const bucketPage = 1000

// aggregate counts the documents that q finds in groups. All groups are read before the first row is given: that the
// cluster counts as the plan does shows in what it counts.
func (s *Store) aggregate(ctx context.Context, v *view, n plan.Aggregate, q event.Value, recheck expr.Cond) (store.Rows, error) {
	refuse := func(format string, args ...any) (store.Rows, error) {
		return nil, &store.Unsupported{Node: n, Why: fmt.Sprintf(format, args...)}
	}
	if recheck != nil || v.wide {
		return refuse("the cluster does not find these documents alone")
	}
	var sources []event.Value
	for i, by := range n.By {
		if by.Value != nil {
			return refuse("groups by a computed value")
		}
		_, name, err := v.sortable(by.Each)
		switch {
		case err != nil:
			return refuse("%v", err)
		case !by.Each.Type.IsKeyword() && by.Each.Type != event.IPType:
			return refuse("groups by %s: a value that stands twice in a document is counted twice", by.Each.Path)
		}
		sources = append(sources, object(key("g", i), object("terms", object("field", name))))
	}
	var counts []event.Member
	for i, a := range n.Aggs {
		if a.Fn == plan.Count {
			continue
		}
		name, err := v.extreme(a)
		if err != nil {
			return refuse("%v", err)
		}
		counts = append(counts,
			event.Member{Key: key("a", i), Value: object(extremes[a.Fn], object("field", name))},
			event.Member{Key: key("n", i), Value: object("value_count", object("field", name))},
			event.Member{Key: key("d", i), Value: object("filter", object("exists", object("field", name)))})
	}
	g := &groups{node: n}
	if isNone(q) || len(v.indices) == 0 {
		if len(n.By) == 0 {
			return refuse("nothing to ask")
		}
		return g, nil
	}
	search := "/" + v.names + "/_search?allow_partial_search_results=false&expand_wildcards=open,hidden"
	for after := (event.Value{}); ; {
		body := []any{"size", 0, "query", q, "track_total_hits", len(n.By) == 0}
		if len(n.By) == 0 {
			if len(counts) > 0 {
				body = append(body, "aggs", event.Object(counts...))
			}
		} else {
			composite := []any{"size", bucketPage, "sources", sources}
			if !after.IsNull() {
				composite = append(composite, "after", after)
			}
			by := []any{"composite", object(composite...)}
			if len(counts) > 0 {
				by = append(by, "aggs", event.Object(counts...))
			}
			body = append(body, "aggs", object("by", object(by...)))
		}
		answer, err := s.call(ctx, http.MethodPost, search, object(body...).AppendJSON(nil))
		if err != nil {
			return nil, fmt.Errorf("aggregate: %w", err)
		}
		if err := complete(answer); err != nil {
			return nil, fmt.Errorf("aggregate: %w", err)
		}
		if len(n.By) == 0 {
			total := answer.At("hits", "total")
			if total.Member("relation").Str() != "eq" {
				return nil, fmt.Errorf("aggregate: the cluster did not count all documents")
			}
			if err := g.add(answer.Member("aggregations"), event.Value{}, total.Member("value").Int()); err != nil {
				return nil, err
			}
			return g, nil
		}
		found := answer.At("aggregations", "by")
		buckets := found.Member("buckets").Items()
		for _, b := range buckets {
			if err := g.add(b, b.Member("key"), b.Member("doc_count").Int()); err != nil {
				return nil, err
			}
		}
		if after = found.Member("after_key"); len(buckets) < bucketPage || after.IsNull() {
			return g, nil
		}
		if len(g.rows) >= exec.MaxGroups {
			return nil, &exec.LimitError{What: "groups", Max: exec.MaxGroups}
		}
	}
}

func key(prefix string, i int) string { return fmt.Sprintf("%s%d", prefix, i) }

// extremes are the aggregates of the cluster for those of a plan.
var extremes = map[plan.AggFn]string{plan.Min: "min", plan.Max: "max"}

// extreme returns the field whose least or greatest value a asks for.
func (v *view) extreme(a plan.Agg) (string, error) {
	one, ok := a.Value.(expr.One)
	if _, known := extremes[a.Fn]; !known || !ok {
		return "", refused("an aggregate that the cluster does not count exactly")
	}
	if t := one.Field.Type; t != event.Date && t != event.Long && t != event.Double {
		return "", refused("the least or greatest of %s, which is of the type %v", one.Field.Path, t)
	}
	_, name, err := v.sortable(one.Field)
	if err != nil {
		return "", err
	}
	for _, x := range v.indices {
		if f := x.fields[name]; f != nil && (f.misfits || f.kind == "date_nanos") {
			return "", refused("%s of %s may have values beside those that are indexed", name, x.name)
		}
	}
	return name, nil
}

// groups are the rows of an aggregate.
type groups struct {
	node plan.Aggregate
	rows []*event.Event
	row  *event.Event
}

// add adds a group.
func (g *groups) add(b, by event.Value, documents int64) error {
	e := &event.Event{}
	for i, group := range g.node.By {
		v := by.Member(key("g", i))
		if group.Each.Type == event.IPType {
			a, err := netip.ParseAddr(v.Str())
			if err != nil {
				return fmt.Errorf("aggregate: %q as an address: %w", v.Text(), err)
			}
			v = event.IP(a)
		}
		e.Set(group.Name, v)
	}
	for i, a := range g.node.Aggs {
		if a.Fn == plan.Count {
			e.Set(a.Name, event.Int(documents))
			continue
		}
		if b.At(key("n", i), "value").Float() != b.At(key("d", i), "doc_count").Float() {
			return &store.Unsupported{Node: g.node, Why: "documents with several values, which the cluster reads as one"}
		}
		v := b.At(key("a", i), "value")
		if v.IsNull() {
			continue
		}
		f := v.Float()
		switch a.Value.(expr.One).Field.Type {
		case event.Double:
			v = event.Float(f + 0)
		case event.Date:
			v = event.Millis(int64(f))
		default:
			v = event.Int(int64(f))
		}
		if v.Kind() != event.KindFloat && math.Abs(f) >= 1<<53 {
			return &store.Unsupported{Node: g.node, Why: "numbers beyond those that the cluster answers exactly"}
		}
		e.Set(a.Name, v)
	}
	g.rows = append(g.rows, e)
	return nil
}

// Next moves to the next row.
func (g *groups) Next() bool {
	if len(g.rows) == 0 {
		g.row = nil
		return false
	}
	g.row, g.rows = g.rows[0], g.rows[1:]
	return true
}

// Event is the present row.
func (g *groups) Event() *event.Event { return g.row }

// Err is nil: all rows were read before the first.
func (g *groups) Err() error { return nil }

// Close does nothing.
func (g *groups) Close() error { return nil }
