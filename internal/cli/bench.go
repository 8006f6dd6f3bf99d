package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/bench"
	"github.com/tocsin-sec/tocsin/internal/demo"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/rules"
)

type benchCommand struct {
	Events int    `default:"200000" help:"Events to generate (${default})."`
	Dir    string `placeholder:"DIR" help:"Folder for a temporary folder with the data; the system's without it."`
}

// Run generates events, scans them as any others, and prints what that took.
func (c benchCommand) Run(ctx context.Context, streams Streams) (err error) {
	dir, err := os.MkdirTemp(c.Dir, "tocsin-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &benchmark{streams: streams, trail: filepath.Join(dir, "trail"), db: filepath.Join(dir, "bench.duckdb")}
	options := demo.Bundled()
	options.Events = c.Events
	if b.truth, err = demo.Write(b.trail, options); err != nil {
		return err
	}
	for _, measure := range []func(context.Context) error{b.scan, b.size, b.histories} {
		if err := measure(ctx); err != nil {
			return err
		}
	}
	return b.table.Print(streams.Out)
}

// benchmark is one run of the command.
type benchmark struct {
	streams   Streams
	trail, db string
	truth     demo.Truth
	table     bench.Table
}

// scan measures a scan from the files to the alerts, in a store that is kept.
func (b *benchmark) scan(ctx context.Context) error {
	s := &scan{
		scanCommand: scanCommand{Paths: []string{b.trail}, DB: b.db, From: instant(b.truth.RulesFrom), Profile: "integration", Data: "cloudtrail"},
		streams:     b.streams, progress: b.streams.newProgress(), began: b.streams.Now(),
	}
	defer s.progress.Close()
	var err error
	if s.span, err = readSpan(s.From, ""); err != nil {
		return err
	}
	var loaded time.Time
	s.afterLoad = func() { loaded = s.streams.Now() }
	if err := s.open(ctx, func() error { return s.run(ctx) }); err != nil {
		return err
	}
	end := b.streams.Now()
	s.progress.Close()
	if int(s.loaded.Stored) != b.truth.Events || len(s.result.Alerts) != len(b.truth.Alerts) {
		return fmt.Errorf("%d events and %d alerts, expected %d and %d: what was measured is not right",
			s.loaded.Stored, len(s.result.Alerts), b.truth.Events, len(b.truth.Alerts))
	}
	read := float64(s.loaded.Read)
	b.table.Add("end to end", read/end.Sub(s.began).Seconds(), "events/s")
	b.table.Note("%s in %s, %s, %d alerts", counted(s.loaded.Read, "event"), counted(int64(s.loaded.files), "file"),
		counted(int64(s.ran()), "rule"), len(s.result.Alerts))
	b.table.Add("  load", read/loaded.Sub(s.began).Seconds(), "events/s")
	b.table.Add("  rules", end.Sub(loaded).Seconds(), "s")
	b.table.Add("longest commit", s.loaded.LongestCommit.Seconds(), "s")
	peak, err := bench.PeakMemory()
	if err != nil {
		return err
	}
	b.table.Add("peak memory", float64(peak)/(1<<20), "MiB")
	return nil
}

// size measures what an event takes in the store, and as it came.
func (b *benchmark) size(context.Context) error {
	var packed int64
	err := filepath.WalkDir(b.trail, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			packed += info.Size()
		}
		return err
	})
	if err != nil {
		return err
	}
	info, err := os.Stat(b.db)
	if err != nil {
		return err
	}
	events := float64(b.truth.Events)
	b.table.Add("store", float64(info.Size())/events, "bytes/event")
	b.table.Note("%.1f MiB; the files have %.0f bytes an event", float64(info.Size())/(1<<20), float64(packed)/events)
	return nil
}

// histories measures the same rule with a short and a long history.
func (b *benchmark) histories(ctx context.Context) (err error) {
	db, err := openExisting(ctx, b.db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	streams, err := db.Streams(ctx, nil)
	if err != nil {
		return err
	}
	clock, err := stamps(ctx, db, b.streams.Now)
	if err != nil {
		return err
	}
	for _, history := range []string{"now-1d", "now-15d"} {
		r, err := bundledWithHistory(history)
		if err != nil {
			return err
		}
		p, err := detect.Compile(r, fieldsOf(ecs.Integration, streams))
		if err != nil {
			return err
		}
		began := b.streams.Now()
		result, err := replay.Run(ctx, db, []*detect.Program{p}, replay.Options{From: b.truth.RulesFrom, Clock: clock})
		if err != nil {
			return err
		}
		b.table.Add("rule with history "+strings.TrimPrefix(history, "now-"), b.streams.Now().Sub(began).Seconds(), "s")
		one := result.Rules[0]
		if one.Err != nil {
			return one.Err
		}
		b.table.Note("%s, %d of them not empty", counted(int64(one.Windows), "window"), one.Windows-one.Empty)
	}
	return nil
}

// bundledWithHistory is the bundled rule on identities with another history, and an ID of its own.
func bundledWithHistory(history string) (*rule.Rule, error) {
	for _, r := range rule.LoadFS(rules.FS).Rules {
		if r.RuleID != demo.RuleIdentity {
			continue
		}
		text, err := fs.ReadFile(rules.FS, r.File)
		if err != nil {
			return nil, err
		}
		changed := strings.ReplaceAll(string(text), `"`+r.HistoryWindowStart+`"`, `"`+history+`"`)
		changed = strings.ReplaceAll(changed, r.RuleID, r.RuleID[:len(r.RuleID)-2]+fmt.Sprintf("%02d", len(history)))
		return rule.Parse(r.File, []byte(changed))
	}
	return nil, fmt.Errorf("rule %s is not bundled", demo.RuleIdentity)
}
