package indicator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/indicator"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// memory is events in memory as a base.
type memory struct {
	*exec.Slice
	streams []store.Stream
}

func (m memory) Streams(context.Context, []string) ([]store.Stream, error) { return m.streams, nil }

// texts are rows as texts.
func texts(rows []*event.Event) []string {
	var out []string
	for _, e := range rows {
		out = append(out, e.Stream+" "+e.ID+" "+string(e.AppendJSON(nil, nil)))
	}
	return out
}

// The store and the files together are what a store would be that held the documents of both.
func TestOverIsOneStore(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	ip := func() string { return fmt.Sprint("198.51.100.", r.IntN(8)) }
	found, sorted := 0, 0
	for range 400 {
		var csv, txt strings.Builder
		csv.WriteString("ip,domain,port,description,expires\n")
		for range r.IntN(20) {
			fmt.Fprintf(&csv, "%s,%s,%s,%s,%s\n", pick(ip(), "", "198.51.100.0/30"), pick("a.example", "b.example", ""), pick("80", "443", ""), pick("x", "y", ""), pick("", "2026-03-01"))
		}
		for range r.IntN(5) {
			fmt.Fprintln(&txt, pick(ip(), "a.example", "http://a.example/"))
		}
		files, _ := load(t, "a.csv", csv.String(), "b.txt", txt.String())
		var below []*event.Event
		for i := range r.IntN(6) {
			e := &event.Event{ID: fmt.Sprint(i), Stream: pick("logs-ti_x-default", "logs-other-default")}
			e.Set("threat.indicator.ip", event.String(ip()))
			e.Set("threat.indicator.port", event.Int(int64(r.IntN(3))))
			e.SetString("threat.indicator.url.domain", pick("a.example", "b.example", ""))
			e.Set("@timestamp", event.String(fmt.Sprintf("2026-03-0%dT00:00:00.000Z", 1+r.IntN(9))))
			below = append(below, e)
		}
		over := indicator.Over(memory{exec.Over(below), nil}, files)
		one := exec.Over(append(slices.Clone(below), events(t, files)...))
		address, domain := expr.Field{Path: "threat.indicator.ip", Type: event.IPType}, expr.Field{Path: "threat.indicator.url.domain"}
		port := expr.Field{Path: "threat.indicator.port", Type: event.Long}
		var cond func(depth int) expr.Cond
		cond = func(depth int) expr.Cond {
			switch n := r.IntN(9); {
			case depth > 0 && n < 2:
				return expr.And{Conds: []expr.Cond{cond(depth - 1), cond(depth - 1)}}
			case depth > 0 && n == 2:
				return expr.Or{Conds: []expr.Cond{cond(depth - 1), cond(depth - 1)}}
			case depth > 0 && n == 3:
				return expr.Not{Cond: cond(depth - 1)}
			case n == 4:
				return expr.In{Field: domain, Values: event.Strings("a.example", pick("b.example", "c.example")).Items()}
			case n == 5:
				return expr.In{Field: port, Values: []event.Value{event.Int(int64(r.IntN(3))), event.Int(443)}}
			case n == 6:
				return expr.Exists{Field: address}
			case n == 7:
				keyword := expr.Field{Path: "threat.indicator.ip"}
				return expr.In{Field: keyword, Values: event.Strings("198.51.100.0/30", ip()).Items()}
			case n == 8:
				return expr.Const{Value: r.IntN(2) == 0}
			}
			return expr.In{Field: address, Values: []event.Value{event.IP(netip.MustParseAddr(ip())), event.IP(netip.MustParseAddr(ip()))}}
		}
		var p plan.Node = plan.Filter{Cond: cond(3), In: plan.Scan{Streams: []string{pick("logs-ti_*", "*", "logs-ti_file.a-*", "logs-other-*")}}}
		switch r.IntN(4) {
		case 0:
			p = plan.Project{Paths: []string{"threat.indicator.ip", "@timestamp"}, In: p}
		case 1:
			p = plan.Aggregate{In: p, By: []plan.Group{{Name: "d", Each: domain}}, Aggs: []plan.Agg{{Name: "n", Fn: plan.Count}}}
		case 2:
			p = plan.Limit{N: 3, In: plan.Sort{Keys: []plan.SortKey{{Value: expr.One{Field: port}}}, In: p}}
			sorted++
		}
		want, got := texts(query(t, one, p)), texts(query(t, over, p))
		if _, ordered := p.(plan.Limit); !ordered {
			slices.Sort(want)
			slices.Sort(got)
		}
		found += len(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%#v\n(-one store +both):\n%s\n%s", p, diff, csv.String())
		}
	}
	t.Logf("%d rows, %d plans in order", found, sorted)
	if found < 400 || sorted < 50 {
		t.Error("too little is found: the test shows nothing")
	}
}

// Streams are those of both, sorted, with the fields that documents hold.
func TestStreams(t *testing.T) {
	files, _ := load(t, "B list.csv", "ip\n198.51.100.7\n", "empty.csv", "ip\n")
	over := indicator.Over(memory{exec.Over(nil), []store.Stream{{Name: "logs-z-default"}}}, files)
	streams, err := over.Streams(context.Background(), []string{"logs-*"})
	if err != nil || len(streams) != 2 || streams[0].Name != "logs-ti_file.b_list-default" || streams[0].Events != 1 || streams[1].Name != "logs-z-default" {
		t.Fatalf("streams %v, error %v", streams, err)
	}
	for _, path := range []string{"@timestamp", "event.module", "threat.feed.name", "threat.indicator.ip", "threat.indicator.type"} {
		if !slices.Contains(streams[0].Paths, path) {
			t.Errorf("%s is not among the paths %v", path, streams[0].Paths)
		}
	}
	e := events(t, files)[0]
	var whole map[string]any
	if err := json.Unmarshal(e.AppendJSON(nil, nil), &whole); err != nil || e.Text("event.dataset") != "ti_file.b_list" || e.Text("threat.feed.name") != "b_list" {
		t.Errorf("the document %v, error %v", whole, err)
	}
	// A cancelled query ends.
	ctx, cancel := context.WithCancel(context.Background())
	rows, err := over.Query(ctx, plan.Scan{Streams: []string{"logs-*"}}, store.Snapshot{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if rows.Next() || rows.Err() != context.Canceled {
		t.Errorf("a cancelled scan goes on; its error is %v", rows.Err())
	}
}
