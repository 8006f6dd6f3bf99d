package replay_test

import (
	"context"
	"fmt"
	"sort"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
)

var ctx = context.Background()

// fields are the fields that tests use; @timestamp and event.ingested are dates whatever a rule's resolver says.
func fields(t testing.TB) kqltest.Mapping {
	t.Helper()
	m, err := kqltest.TypesMapping(map[string]string{"@timestamp": "date", "event.ingested": "date", "event.action": "keyword",
		"user.name": "keyword", "source.ip": "ip", "event.kind": "keyword", "kibana.alert.rule.name": "keyword", "kibana.alert.rule.rule_id": "keyword",
		"kibana.alert.building_block_type": "keyword", "kibana.alert.group.id": "keyword"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// program compiles a rule: the keys that every rule has, and more lines of TOML.
func program(t testing.TB, id, more string) *detect.Program {
	t.Helper()
	text := fmt.Sprintf("[rule]\nname='%[1]s'\ndescription='d'\nrule_id='%[1]s'\nseverity='low'\nrisk_score=1\n%[2]s\n", id, more)
	r, err := rule.Parse(id+".toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	p, err := detect.Compile(r, fields(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// stream is where events land.
const stream = "logs-test-default"

// at reads a time of March 2026: "9 10:05" is the 9th.
func at(t testing.TB, s string) time.Time {
	t.Helper()
	for _, layout := range []string{"2006-1-2 15:04", "2006-1-2 15:04:05.000", "2006-1-2"} {
		if parsed, err := time.Parse(layout, "2026-3-"+s); err == nil {
			return parsed
		}
	}
	t.Fatalf("%q is no time", s)
	return time.Time{}
}

// happened makes an event, ingested five minutes later.
func happened(id string, when time.Time, user, action string) *event.Event {
	e := &event.Event{ID: id, Stream: stream}
	e.Set("@timestamp", event.String(event.FormatTime(when)))
	e.Set("event.ingested", event.String(event.FormatTime(when.Add(5*time.Minute))))
	e.SetString("user.name", user)
	e.SetString("event.action", action)
	return e
}

// clock counts up from 2030, a second at each look.
func clock() func() time.Time {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	return func() time.Time {
		now = now.Add(time.Second)
		return now
	}
}

func load(t testing.TB, db store.Store, now func() time.Time, events ...*event.Event) {
	t.Helper()
	if err := db.Apply(ctx, &store.Change{At: now(), Events: events}); err != nil {
		t.Fatal(err)
	}
}

// run replays and fails the test where something is wrong.
func run(t testing.TB, db store.Store, now func() time.Time, opt replay.Options, programs ...*detect.Program) replay.Report {
	t.Helper()
	opt.Clock = now
	report, err := replay.Run(ctx, db, programs, opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Rules {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	return report
}

// said is what alerts say, one text each, sorted.
func said(alerts []*event.Event) []string {
	out := []string{}
	for _, a := range alerts {
		out = append(out, fmt.Sprintf("%s %s", a.Text("@timestamp")[8:16], a.Text("user.name")))
	}
	sort.Strings(out)
	return out
}
