package replay_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/demo"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
	"github.com/tocsin-sec/tocsin/rules"
)

// BenchmarkReplay is the replay of the two rules on a first GetCallerIdentity, and of all bundled ones, over the demo's 20
// days: the first one, which runs every window, and one with nothing to do.
func BenchmarkReplay(b *testing.B) {
	dir := filepath.Join(b.TempDir(), "archive")
	truth, err := demo.Write(dir, demo.Bundled())
	if err != nil {
		b.Fatal(err)
	}
	var two, all []*detect.Program
	for _, r := range rule.LoadFS(rules.FS).Rules {
		p, err := detect.Compile(r, catalogue{})
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, p)
		if slices.Contains([]string{"ccb73eb6-f306-418a-8978-f0cbbc7de119", "1bf58f9d-69cc-415a-a9c0-30657ed047bf"}, r.RuleID) {
			two = append(two, p)
		}
	}
	for name, open := range map[string]func() store.Store{
		"mem":  func() store.Store { return mem.New(declaredType) },
		"duck": func() store.Store { return openDuck(b) },
	} {
		b.Run(name+"/two", func(b *testing.B) { replays(b, open, dir, truth.From, two) })
		b.Run(name+"/all", func(b *testing.B) { replays(b, open, dir, truth.From, all) })
	}
}

// replays measures the first and the second replay of programs from a time on.
func replays(b *testing.B, open func() store.Store, dir string, from time.Time, programs []*detect.Program) {
	b.Helper()
	var first, again time.Duration
	var windows, alerts int
	for range b.N {
		b.StopTimer()
		db, now := open(), clock()
		ingestFiles(b, db, now, nil, dir)
		b.StartTimer()
		report := run(b, db, now, replay.Options{From: from}, programs...)
		first += b.Elapsed() - first - again
		alerts = len(report.Alerts)
		for _, r := range report.Rules {
			windows += int(r.Windows)
		}
		run(b, db, now, replay.Options{From: from}, programs...)
		again += b.Elapsed() - first - again
	}
	b.ReportMetric(float64(first.Milliseconds())/float64(b.N), "ms/first")
	b.ReportMetric(float64(again.Milliseconds())/float64(b.N), "ms/again")
	b.ReportMetric(float64(windows)/float64(b.N), "windows")
	b.ReportMetric(float64(alerts), "alerts")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkIndicators is the replay of a rule that compares two fields of 200,000 events over 20 days with a million
// addresses and networks, and of the query rule on the same events.
func BenchmarkIndicators(b *testing.B) {
	const events, indicators = 200_000, 1_000_000
	db, now := openDuck(b), clock()
	address := func(n int) string { return fmt.Sprintf("%d.%d.%d.%d", 11+n>>24, n>>16&255, n>>8&255, n&255) }
	var batch []*event.Event
	flush := func() {
		load(b, db, now, batch...)
		batch = nil
	}
	for i := range events {
		e := happened(fmt.Sprint(i), began.Add(time.Duration(i)*9*time.Second), fmt.Sprint("user", i%100), "login")
		e.Set("source.ip", event.String(address(i*7919%(1<<24)+1<<25)))
		if i%2_000 == 0 {
			e.Set("source.ip", event.String(address(i)))
		}
		if batch = append(batch, e); len(batch) == 100_000 {
			flush()
		}
	}
	for i := range indicators {
		e := indicator(fmt.Sprint("an-indicator-of-some-feed-", i), began.Add(-time.Duration(i)*time.Second), "threat.indicator.ip", address(i))
		e.Set("threat.feed.name", event.String("feed"))
		if batch = append(batch, e); len(batch) == 100_000 {
			flush()
		}
	}
	for name, text := range map[string]string{
		"query":      "type='query'\nindex=['logs-test-*']\nquery='event.action: login and source.ip: \"11.0.0.0/20\"'\nmax_signals=1000",
		"indicators": indicatorRule("{entries=[{field='source.ip',type='mapping',value='threat.indicator.ip'}]},{entries=[{field='user.name',type='mapping',value='threat.indicator.ip'}]}", "max_signals=1000"),
		"datemath":   indicatorRule("{entries=[{field='source.ip',type='mapping',value='threat.indicator.ip'}]}", "max_signals=1000\nthreat_query='@timestamp >= \"now-30d/d\"'"),
	} {
		b.Run(name, func(b *testing.B) {
			for i := range b.N {
				report := run(b, db, now, replay.Options{}, program(b, fmt.Sprint(name, i), text))
				b.ReportMetric(float64(len(report.Alerts)), "alerts")
				b.ReportMetric(float64(report.Rules[0].Windows), "windows")
			}
		})
	}
}
