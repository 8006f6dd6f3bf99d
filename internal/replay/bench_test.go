package replay_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/demo"
	"github.com/tocsin-sec/tocsin/internal/detect"
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
