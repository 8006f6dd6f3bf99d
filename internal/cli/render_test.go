package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/source"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// alertOf makes an alert with what the table shows.
func alertOf(at, severity, rule, user, ip, why string) *event.Event {
	a := &event.Event{ID: at, Stream: store.AlertStream}
	a.SetString("@timestamp", "2026-03-31T00:00:00.000Z")
	a.SetString("kibana.alert.original_time", at)
	a.SetString("kibana.alert.severity", severity)
	a.SetString("kibana.alert.rule.name", rule)
	a.SetString("user.name", user)
	a.SetString("cloud.account.id", "111122223333")
	a.SetString("source.ip", ip)
	a.SetString("tocsin.alert.why", why)
	return a
}

func TestAlertTable(t *testing.T) {
	alerts := []*event.Event{
		alertOf("2026-03-19T04:12:30.000Z", "medium", "An identity asks who it is for the first time", "app-deploy", "203.0.113.77",
			"first seen; none in 15 d before (346 events, 100 % covered)"),
		alertOf("2026-03-20T00:00:00.000Z", "high", "審計 by ünïcode\x1b[31m\u202e", "", "", "why\nnot"),
	}
	f := func(sc screen, want string) {
		t.Helper()
		var out bytes.Buffer
		alertTable(&out, alerts, sc)
		if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), out.String()); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", sc, diff)
		}
		for line := range strings.Lines(out.String()) {
			if w := text.StringWidthWithoutEscSequences(strings.TrimRight(line, "\n")); sc.width > 0 && w > sc.width {
				t.Errorf("%+v: a line of %d cells: %s", sc, w, line)
			}
		}
	}
	wide := `
TIME (UTC)        SEVERITY  RULE                                           WHO                        FROM          WHY
2026-03-19 04:12  medium    An identity asks who it is for the first time  app-deploy (111122223333)  203.0.113.77  first seen; none in 15 d before (346 events, 100 % covered)
2026-03-20 00:00  high      審計 by ünïcode�[31m�                          111122223333                             why�not
`
	f(screen{}, wide)
	f(screen{terminal: true, width: 200}, wide)
	f(screen{terminal: true, width: 165}, `
TIME (UTC)        SEVERITY  RULE                                 WHO                        FROM          WHY
2026-03-19 04:12  medium    An identity asks who it is for the…  app-deploy (111122223333)  203.0.113.77  first seen; none in 15 d before (346 events, 100 % covered)
2026-03-20 00:00  high      審計 by ünïcode�[31m�                111122223333                             why�not
`)
	f(screen{terminal: true, width: 60}, `
2026-03-19 04:12  medium  An identity asks who it is for the
                          first time
  who   app-deploy (111122223333)
  from  203.0.113.77
  why   first seen; none in 15 d before (346 events, 100 %
        covered)

2026-03-20 00:00  high  審計 by ünïcode�[31m�
  who   111122223333
  why   why�not
`)
	f(screen{terminal: true, width: 60, colour: true}, "\n"+
		"2026-03-19 04:12  \x1b[33mmedium\x1b[0m  \x1b[1mAn identity asks who it is for the\x1b[0m\n"+
		"                          \x1b[1mfirst time\x1b[0m\n"+
		"  \x1b[2mwho \x1b[0m  app-deploy (111122223333)\n"+
		"  \x1b[2mfrom\x1b[0m  203.0.113.77\n"+
		"  \x1b[2mwhy \x1b[0m  first seen; none in 15 d before (346 events, 100 %\n"+
		"  \x1b[2m    \x1b[0m  covered)\n\n"+
		"2026-03-20 00:00  \x1b[31mhigh\x1b[0m  \x1b[1m審計 by ünïcode�[31m�\x1b[0m\n"+
		"  \x1b[2mwho \x1b[0m  111122223333\n"+
		"  \x1b[2mwhy \x1b[0m  why�not\n")
}

func TestEventTable(t *testing.T) {
	e := &event.Event{Stream: "logs-aws.cloudtrail-default"}
	e.SetString("@timestamp", "2026-03-19T04:12:30.000Z")
	e.SetString("event.provider", "sts.amazonaws.com")
	e.SetString("event.action", "GetCallerIdentity")
	e.SetString("event.outcome", "failure")
	e.SetString("aws.cloudtrail.error_code", "AccessDenied")
	e.SetString("user.name", "app-deploy")
	e.SetString("cloud.account.id", "111122223333")
	e.SetString("source.ip", "203.0.113.77")
	e.SetString("source.geo.country_iso_code", "NL")
	e.SetString("source.as.organization.name", "Example")
	e.SetString("user_agent.name", "Other")
	e.SetString("user_agent.original", "curl/8")
	f := func(width int, want string) {
		t.Helper()
		var out bytes.Buffer
		eventTable(&out, []*event.Event{e}, screen{width: width})
		if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), out.String()); diff != "" {
			t.Errorf("width %d (-want +got):\n%s", width, diff)
		}
	}
	f(0, `
TIME (UTC)           ACTION                 OUTCOME       WHO                        FROM                        AGENT
2026-03-19 04:12:30  sts:GetCallerIdentity  AccessDenied  app-deploy (111122223333)  203.0.113.77 (NL, Example)  curl/8
`)
	f(80, `
TIME (UTC)           ACTION          OUTCOME       WHO            FROM
2026-03-19 04:12:30  sts:GetCaller…  AccessDenied  app-deploy (…  203.0.113.77 …
`)
}

func TestProgress(t *testing.T) {
	f := func(p source.Progress, events int64, spent time.Duration, want string) {
		t.Helper()
		if got := readingLine(p, events, spent); got != want {
			t.Errorf("%+v: %q, expected %q", p, got, want)
		}
	}
	f(source.Progress{Objects: 50, ObjectsTotal: 200, Bytes: 10e6, BytesTotal: 40e6}, 5000, 2*time.Second,
		"reading  50 of 200 files   25 %   5.0 MB/s   2,500 events/s   6 s left")
	f(source.Progress{Objects: 1, ObjectsTotal: 2000, Bytes: 1e6, BytesTotal: 10e9}, 100, time.Second,
		"reading  1 of 2,000 files   0 %   1.0 MB/s   100 events/s   2 h 46 min left")
	f(source.Progress{Objects: 0, ObjectsTotal: 1, Bytes: 3e6, BytesTotal: -1}, 100, time.Second, // standard input
		"reading  0 of 1 file   3.0 MB/s   100 events/s")
	f(source.Progress{ObjectsTotal: 1, BytesTotal: 10}, 0, 0, "reading  0 of 1 file   0 %")
	f(source.Progress{Objects: 2, ObjectsTotal: 2, Bytes: 10, BytesTotal: 10}, 1234, time.Second, "storing  1,234 events from 2 files")
}

// A message appears above the line of progress, never in the middle of it.
func TestProgressLine(t *testing.T) {
	var out bytes.Buffer
	p := &progress{w: &out, screen: screen{terminal: true, width: 30}, done: make(chan struct{}), now: time.Now}
	p.ended.Go(p.redraw)
	drawn := make(chan struct{}, 100)
	p.show(func() string {
		drawn <- struct{}{}
		return strings.Repeat("x", 100)
	})
	<-drawn
	<-drawn
	fmt.Fprintln(p, "a message")
	p.Close()
	p.Close()
	line := strings.Repeat("x", 29)
	if got := out.String(); !strings.HasPrefix(got, line+"\r\x1b[K"+line) || !strings.Contains(got, line+"\r\x1b[Ka message\n") ||
		strings.HasSuffix(got, "x") {
		t.Errorf("%q", got)
	}
}

func TestEscaped(t *testing.T) {
	f := func(json, want string) {
		t.Helper()
		if got := escaped(json); got != want {
			t.Errorf("%q: %q, expected %q", json, got, want)
		}
	}
	f(`{"a":"plain ü 審 😀"}`, `{"a":"plain ü 審 😀"}`)
	f("{\"a\":\"\u009b31m\u202e\u2028\x7f\"}", `{"a":"\u009b31m\u202e\u2028\u007f"}`)
	f("\U000E0001", `\udb40\udc01`)
}

func TestSpan(t *testing.T) {
	end := time.Date(2026, 3, 19, 23, 9, 0, 0, time.UTC)
	f := func(from, to, want string) {
		t.Helper()
		s, err := readSpan(from, to)
		var a, b time.Time
		if err == nil {
			a, b, err = s.at(end)
		}
		got := instant(a) + " … " + instant(b)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q, %q: %s, expected %s", from, to, got, want)
		}
	}
	f("2026-03-15T02:00:00+02:00", "2026-03-16", "2026-03-15T00:00:00Z … 2026-03-16T00:00:00Z")
	f("now-1d/d", "now/d", "2026-03-18T00:00:00Z … 2026-03-19T23:59:59.999Z")
	f("now", "now-1d", "--to (2026-03-18T23:09:00Z) lies before --from (2026-03-19T23:09:00Z)")
	f("2026-03-16", "2026-03-15", "--to (2026-03-15T00:00:00Z) lies before --from")
	f("now-5x", "", `--from "now-5x": `)
	f("", "tomorrow", `--to "tomorrow": `)
}
