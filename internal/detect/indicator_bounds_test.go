package detect

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// More indicators than a table holds are an error that says so. What it remembers is bounded without a difference.
func TestIndicatorBounds(t *testing.T) {
	ctx, now := context.Background(), time.Date(2026, 3, 9, 10, 0, 0, 0, time.UTC)
	resolver, err := kqltest.TypesMapping(map[string]string{"@timestamp": "date", "user.name": "keyword", "host.name": "keyword"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := rule.Parse("r.toml", []byte(`[rule]
name='r'
description='d'
rule_id='r'
severity='low'
risk_score=1
type='threat_match'
index=['logs-a']
query='*'
max_signals=1000
threat_index=['logs-ti']
threat_query='@timestamp >= "now-10h"'
threat_mapping=[{entries=[{field='user.name',type='mapping',value='u'}]},{entries=[{field='host.name',type='mapping',value='h'}]}]
`))
	if err != nil {
		t.Fatal(err)
	}
	db := mem.New(nil)
	var events []*event.Event
	for i := range 100 {
		e := &event.Event{ID: fmt.Sprint(i), Stream: "logs-a"}
		e.Set("@timestamp", event.Time(now))
		e.Set("user.name", event.String(fmt.Sprint("u", i%20)))
		e.Set("host.name", event.String(fmt.Sprint("h", i%7)))
		events = append(events, e)
		d := &event.Event{ID: fmt.Sprint(i), Stream: "logs-ti"}
		d.Set("@timestamp", event.Time(now.Add(-time.Duration(i)*10*time.Minute)))
		d.Set("u", event.String(fmt.Sprint("u", i%30)))
		d.Set("h", event.Strings("h1", fmt.Sprint("h", i)))
		events = append(events, d)
	}
	if err := db.Apply(ctx, &store.Change{At: now, Events: events}); err != nil {
		t.Fatal(err)
	}
	at, err := db.Latest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	f := func(b bounds) (said []string, err error) {
		p, err := Compile(r, resolver)
		if err != nil {
			t.Fatal(err)
		}
		p.threat.bounds = b
		w, err := p.Window(now)
		if err != nil {
			t.Fatal(err)
		}
		alerted, err := LoadAlerted(ctx, db, at, r.UUID())
		if err != nil {
			t.Fatal(err)
		}
		result, err := Run(ctx, p, w, Env{Events: db, Store: db, At: at, Alerted: alerted})
		for _, a := range result.Alerts {
			said = append(said, a.ID+string(a.Get("threat.enrichments").AppendJSON(nil)))
		}
		return said, err
	}
	want, err := f(usual)
	if err != nil || len(want) != 100 {
		t.Fatalf("%d alerts, %v", len(want), err)
	}
	for _, b := range []bounds{{100, 300, 1, 1}, {100, 300, 50, 8}, {100, 300, 1000, 70}} {
		got, err := f(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("%+v: %s", b, diff)
		}
	}
	for text, b := range map[string]bounds{"more than 99 indicators in logs-ti fulfil threat_query: narrow it": {99, 300, 1000, 1000},
		"more than 298 values of indicators in logs-ti fulfil threat_query: narrow it": {100, 298, 1000, 1000}} {
		if _, err := f(b); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want %s", err, text)
		}
	}
}
