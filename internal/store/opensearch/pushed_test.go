package opensearch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/opensearch"
)

// tame are the fields of documents as clusters hold them, with values that their mappings take.
var tame = []struct {
	path, kind string
	typ        event.Type
	values     []string // JSON
}{
	{"user.name", "keyword", event.Keyword, []string{`"root"`, `"Root"`, `"ſystem"`, `"system"`, `"SYSTEM"`, `""`, `7`, `1.50`, `"a*b?c\\d"`, `"ünï code"`}},
	{"user.name", "", event.Caseless, nil},
	{"user.name", "", event.Text, nil},
	{"cmd", "wildcard", event.Wildcard, []string{`"C:\\Windows\\cmd.exe /k"`, `"c:\\WINDOWS\\CMD.EXE"`, `"\u212aelvin"`, `""`, `"sh -c id"`}},
	{"message", "text", event.Text, []string{`"Failed login for root"`, `"login failed: ROOT x.y"`, `""`, `"a b a c"`, `"日本語 テスト"`}},
	{"script", "text_pattern", event.PatternText, []string{`"[System.Reflection.Assembly]::Load"`, `"Naïve x_y -enc"`}},
	{"port", "long", event.Long, []string{`0`, `22`, `443`, `443.9`, `"443"`, `-1`, `9007199254740993`, `9223372036854775807`}},
	{"ratio", "double", event.Double, []string{`0`, `-0.0`, `0.5`, `1.50`, `1e300`, `-3`}},
	{"when", "date", event.Date, []string{`"2026-03-01"`, `"2026-03-01T00:00:00.001Z"`, `1772359200123`, `2026`, `"1969-12-31T23:59:59.999Z"`, `"9999-12-31T23:59:59.999Z"`}},
	{"exact", "date_nanos", event.Date, []string{`"2026-03-01T00:00:00.001000001Z"`, `"2026-03-01T00:00:00.001999999Z"`, `"2026-03-01T00:00:00.002Z"`, `"2026-03-02"`}},
	{"ip", "ip", event.IPType, []string{`"10.0.0.1"`, `"10.1.2.3"`, `"::ffff:10.1.2.3"`, `"2001:db8::1"`}},
	{"flag", "boolean", event.Boolean, []string{`true`, `false`, `"true"`, `""`}},
	{"list.name", "keyword", event.Keyword, []string{`"x"`, `"y"`, `"z"`}},
	{"list.size", "long", event.Long, []string{`1`, `2`, `3`}},
	{"flat.a", "", event.Flattened, []string{`"x"`, `"xyz"`, `7`, `true`, `"b=c"`}},
	{"flat.b.c", "", event.Flattened, []string{`"x"`, `"Xyz"`, `"y"`}},
	{"long", "short keyword", event.Keyword, []string{`"four"`, `"longer"`, `"fo"`}},
}

// tameEvents draws documents of the indices logs-0, logs-1 and logs-2.
func tameEvents(r *rand.Rand, n int) []*event.Event {
	draw := func(values []string) string {
		if r.IntN(4) > 0 {
			return values[r.IntN(len(values))]
		}
		list := make([]string, r.IntN(4))
		for i := range list {
			list[i] = values[r.IntN(len(values))]
		}
		return "[" + strings.Join(list, ",") + "]"
	}
	out := make([]*event.Event, n)
	for i := range out {
		var parts []string
		objects := map[string][]string{}
		for _, f := range tame {
			if f.values == nil || r.IntN(3) == 0 {
				continue
			}
			if parent, name, below := strings.Cut(f.path, "."); below && parent != "user" {
				objects[parent] = append(objects[parent], fmt.Sprintf("%q:%s", name, draw(f.values)))
				continue
			}
			parts = append(parts, fmt.Sprintf("%q:%s", f.path, draw(f.values)))
		}
		for _, parent := range []string{"list", "flat"} {
			body := "{" + strings.Join(objects[parent], ",") + "}"
			if parent == "list" && r.IntN(2) == 0 {
				body = "[" + body + `,{"name":"x","size":2},{}]`
			}
			if objects[parent] != nil {
				parts = append(parts, fmt.Sprintf("%q:%s", parent, body))
			}
		}
		parts = append(parts, fmt.Sprintf(`"@timestamp":"2026-03-01T00:00:%02d.%03dZ"`, r.IntN(20), r.IntN(3)))
		e, err := event.Decode([]byte("{"+strings.Join(parts, ",")+"}"), event.DecodeOptions{Tree: func(p string) bool { return p == "flat" }})
		if err != nil {
			panic(err)
		}
		e.ID, e.Stream = fmt.Sprintf("%c%d", 'a'+r.IntN(5), i), fmt.Sprintf("logs-%d", r.IntN(3))
		out[i] = e
	}
	return out
}

// tameIndex is the body of their indices; the third has never seen some of the fields.
func tameIndex(n int) string {
	kinds := map[string]string{"@timestamp": "date", "list": "nested", "flat": "flat_object"}
	for _, f := range tame {
		if f.kind != "" && f.kind != "short keyword" {
			kinds[f.path] = f.kind
		}
	}
	body := indexBody(kinds)
	body = strings.Replace(body, `"index.mapping.ignore_malformed":true,`, "", 1)
	body = strings.Replace(body, `"properties":{"@timestamp"`, `"properties":{"long":{"type":"keyword","ignore_above":4},"@timestamp"`, 1)
	if n == 1 { // one that was made by an older template
		body = strings.Replace(body, `"exact":{"type":"date_nanos"}`, `"exact":{"type":"date"}`, 1)
	}
	return body
}

// draws makes conditions and plans over the tame fields.
type draws struct{ *rand.Rand }

func (r draws) cond(depth int, nested bool) expr.Cond {
	if depth > 0 && r.IntN(2) == 0 {
		subs := make([]expr.Cond, 1+r.IntN(3))
		for i := range subs {
			subs[i] = r.cond(depth-1, nested)
		}
		switch r.IntN(4) {
		case 0:
			return expr.Or{Conds: subs}
		case 1:
			return expr.Not{Cond: subs[0]}
		case 2:
			if !nested {
				return expr.Nested{Path: "list", Cond: r.cond(depth-1, true)}
			}
		}
		return expr.And{Conds: subs}
	}
	for {
		f := tame[r.IntN(len(tame))]
		if nested == strings.HasPrefix(f.path, "list") || !nested && r.IntN(2) == 0 {
			return r.leaf(expr.Field{Path: f.path, Type: f.typ})
		}
	}
}

// value draws a value of the field.
func (r draws) value(f expr.Field) event.Value {
	for {
		for _, t := range tame {
			if t.path == f.Path && t.values != nil {
				v, err := event.ParseJSON([]byte(t.values[r.IntN(len(t.values))]))
				if err != nil {
					panic(err)
				}
				if typed, ok := event.Coerce(f.Type, v); ok {
					return typed
				}
			}
		}
	}
}

func (r draws) leaf(f expr.Field) expr.Cond {
	switch k := r.IntN(10); {
	case k == 0:
		if r.IntN(4) == 0 {
			return expr.Exists{Field: expr.Field{Path: []string{"user", "list", "flat"}[r.IntN(3)], Type: event.ObjectType}}
		}
		return expr.Exists{Field: f}
	case f.Type.IsText() && k < 7:
		tokens := expr.Tokens(f.Type, r.value(f).Text())
		if len(tokens) == 0 {
			tokens = []string{"login"}
		}
		from := r.IntN(len(tokens))
		return expr.Words{Field: f, Tokens: tokens[from : from+1+r.IntN(len(tokens)-from)], Phrase: r.IntN(2) == 0}
	case (f.Type.IsText() || f.Type.IsKeyword()) && k < 6 || f.Type.IsText():
		text := []rune(r.value(f).Text())
		if f.Type.IsText() {
			if tokens := expr.Tokens(f.Type, string(text)); len(tokens) > 0 {
				text = []rune(tokens[r.IntN(len(tokens))])
			}
		}
		var p expr.Pattern
		for i := 0; i < len(text); i++ {
			switch r.IntN(5) {
			case 0:
				if n := len(p.Parts); n == 0 || p.Parts[n-1] != (expr.PatternPart{}) {
					p.Parts = append(p.Parts, expr.PatternPart{})
				}
				i += r.IntN(4)
			case 1:
				p.Parts = append(p.Parts, expr.PatternPart{One: true})
			default:
				p.Parts = append(p.Parts, expr.PatternPart{Literal: string(text[i])})
			}
		}
		fold := r.IntN(2) == 0
		if fold && r.IntN(2) == 0 {
			for i := range p.Parts {
				p.Parts[i].Literal = strings.ToUpper(p.Parts[i].Literal)
			}
		}
		return expr.Like{Field: f, Pattern: p, Fold: fold}
	case k < 8:
		values := make([]event.Value, 1+r.IntN(3))
		for i := range values {
			values[i] = r.value(f)
		}
		return expr.In{Field: f, Values: values}
	}
	c := expr.Range{Field: f}
	if r.IntN(3) > 0 {
		c.Min = expr.Bound{Value: r.value(f), Inclusive: r.IntN(2) == 0}
	}
	if r.IntN(3) > 0 {
		c.Max = expr.Bound{Value: r.value(f), Inclusive: r.IntN(2) == 0}
	}
	return c
}

// TestPushed holds random conditions, sorts and aggregates on documents as clusters hold them equal to their evaluation in
// Go, and that most of them are answered by the server.
func TestPushed(t *testing.T) {
	s := connect(t)
	r := draws{rand.New(rand.NewPCG(7, 7))}
	docs := tameEvents(r.Rand, 900)
	byStream := map[string][]document{}
	for _, e := range docs {
		byStream[e.Stream] = append(byStream[e.Stream], document{e.ID, string(e.AppendJSON(nil, nil))})
	}
	for i := range 3 {
		name := fmt.Sprintf("logs-%d", i)
		s.index(name, tameIndex(i))
		for id, why := range s.load(name, byStream[name]) {
			t.Fatalf("document %s: %s", id, why)
		}
	}
	reference := exec.Over(docs)
	db := &counted{Querier: s.store(opensearch.Options{Page: 200}), why: map[string]int{}}
	rows := func(q store.Querier, p plan.Node, ordered bool) []string {
		t.Helper()
		found, err := exec.Query(context.Background(), q, p, store.Snapshot{Seq: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer found.Close()
		out := []string{}
		for found.Next() {
			e := found.Event()
			out = append(out, e.Stream+"/"+e.ID+" "+string(e.AppendJSON(nil, nil)))
		}
		if found.Err() != nil {
			t.Fatal(found.Err())
		}
		if !ordered {
			sort.Strings(out)
		}
		return out
	}
	type share struct{ plans, pushed, hits, some int }
	run := func(kind string, n int, ordered bool, make func() plan.Node) {
		var sum share
		clear(db.why)
		for range n {
			p := make()
			want := rows(reference, p, ordered)
			before := db.part
			got := rows(db, p, ordered)
			sum.plans++
			if db.part == before {
				sum.pushed++
			}
			if len(want) > 0 {
				sum.hits++
			}
			if len(want) > 0 && len(want) < len(docs) {
				sum.some++
			}
			if !slices.Equal(want, got) {
				text := ""
				for x := plan.Node(p); x != nil; x = plan.Input(x) {
					if f, ok := x.(plan.Filter); ok {
						q, exact, err := db.Querier.(*opensearch.Store).Asks(context.Background(), nil, f.Cond)
						text += fmt.Sprintf("%s\nasked as (exact %t, %v) %s\n", expr.String(f.Cond), exact, err, q)
					}
				}
				t.Fatalf("%s: (-want +got)\n%.3000s\n%.6000s", kind, cmp.Diff(want, got), text)
			}
		}
		t.Logf("%s: %d plans, %d answered by the server, %d with rows, %d with some of them", kind, sum.plans, sum.pushed, sum.hits, sum.some)
		if sum.pushed < sum.plans*6/10 || sum.some < sum.plans/3 {
			t.Errorf("%s: too few mean something; what was refused: %v", kind, db.why)
		}
	}
	filter := func(depth int) plan.Node {
		return plan.Filter{In: plan.Scan{Streams: []string{"logs-*"}}, Cond: r.cond(depth, false)}
	}
	run("conditions", 600, false, func() plan.Node { return filter(2) })
	sorted := func() plan.Node {
		var keys []plan.SortKey
		for range 1 + r.IntN(2) {
			f := tame[r.IntN(len(tame))]
			for f.typ.IsText() || f.kind == "" || f.kind == "wildcard" || f.kind == "short keyword" || strings.HasPrefix(f.path, "list") {
				f = tame[r.IntN(len(tame))]
			}
			keys = append(keys, plan.SortKey{Value: expr.One{Field: expr.Field{Path: f.path, Type: f.typ}}, Desc: r.IntN(2) == 0})
		}
		in := filter(0)
		if r.IntN(2) == 0 {
			in = plan.Scan{Streams: []string{"logs-*"}}
		}
		return plan.Sort{In: in, Keys: keys}
	}
	run("sorts", 150, true, sorted)
	run("first rows of sorts", 200, true, func() plan.Node {
		return plan.Limit{In: sorted(), N: 1 + r.IntN(300)}
	})
	run("aggregates", 150, false, func() plan.Node {
		n := plan.Aggregate{In: filter(1), Aggs: []plan.Agg{{Name: "n", Fn: plan.Count},
			{Name: "first", Fn: plan.Min, Value: expr.One{Field: expr.Field{Path: "@timestamp", Type: event.Date}}},
			{Name: "last", Fn: plan.Max, Value: expr.One{Field: expr.Field{Path: "@timestamp", Type: event.Date}}}}}
		for range r.IntN(3) {
			f := []expr.Field{{Path: "user.name"}, {Path: "user.name", Type: event.Caseless}, {Path: "ip", Type: event.IPType}}[r.IntN(3)]
			name := fmt.Sprintf("by%d", len(n.By))
			n.By = append(n.By, plan.Group{Name: name, Each: f})
		}
		return n
	})
	refused := func(path string, typ event.Type, why string) {
		t.Helper()
		var no *store.Unsupported
		_, err := db.Query(context.Background(), plan.Aggregate{In: plan.Scan{}, Aggs: []plan.Agg{{Name: "x", Fn: plan.Max,
			Value: expr.One{Field: expr.Field{Path: path, Type: typ}}}}}, store.Snapshot{Seq: 1})
		if !errors.As(err, &no) || !strings.Contains(no.Why, why) {
			t.Errorf("the greatest %s: %v, want %q", path, err, why)
		}
	}
	refused("ratio", event.Double, "documents with several values")
	refused("when", event.Date, "documents with several values")
	refused("exact", event.Date, "in nanoseconds")
	refused("user.name", event.Keyword, "of the type keyword")
}
