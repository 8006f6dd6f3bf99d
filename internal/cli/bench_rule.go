package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/demo"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/rules"
)

// What a rule is run on: stores of so many events, with histories of so many days.
var (
	ruleSizes    = []int{100_000, 1_000_000, 10_000_000}
	historyDays  = []int{1, 15, 90}
	ruleRepeats  = 15
	ruleInterval = 10 * time.Minute
)

// plainRule is a query rule over an hour.
const plainRule = `[rule]
rule_id = "b2f0a3de-4a50-4a0f-9d0c-5d9d4a2a3b01"
name = "Identity asked for"
description = "Somebody asked who they are."
severity = "low"
risk_score = 21
type = "query"
language = "kuery"
query = "event.provider : sts.amazonaws.com and event.action : (GetCallerIdentity or AssumeRole*)"
index = ["logs-aws.cloudtrail-*"]
interval = "10m"
from = "now-60m"
`

// rules measures what a run of a rule over the last hour takes in stores of several sizes, and with histories of several
// lengths. All stores end with the same events: a smaller one lacks older days. All cases take turns, so that what else the
// machine does meets each of them.
func (b *benchmark) rules(ctx context.Context) (err error) {
	var open []store.Store
	defer func() {
		for _, db := range open {
			err = errors.Join(err, db.Close())
		}
	}()
	var sizes []*hour
	for _, n := range append(slices.DeleteFunc(slices.Clone(ruleSizes), func(n int) bool { return n >= b.truth.Events }), b.truth.Events) {
		path := b.db
		if n < b.truth.Events {
			path = filepath.Join(b.dir, fmt.Sprintf("newest-%d.duckdb", n))
			if err := b.loadNewest(ctx, path, n); err != nil {
				return err
			}
		}
		db, err := openExisting(ctx, path)
		if err != nil {
			return err
		}
		open = append(open, db)
		h, err := b.hour(ctx, db, n)
		if err != nil {
			return err
		}
		sizes = append(sizes, h)
	}
	var cases []*ruleCase
	add := func(name string, h *hour, r *rule.Rule, err error) error {
		if err != nil {
			return err
		}
		c, err := h.ruleCase(ctx, name, r)
		cases = append(cases, c)
		return err
	}
	for _, h := range sizes {
		r, err := bundledWithHistory("")
		if err := add("new terms over an hour, "+counted(int64(h.size), "event")+" stored", h, r, err); err != nil {
			return err
		}
	}
	for _, h := range sizes {
		r, err := rule.Parse("plain.toml", []byte(plainRule))
		if err := add("query over an hour, "+counted(int64(h.size), "event")+" stored", h, r, err); err != nil {
			return err
		}
	}
	var days []int
	for _, d := range historyDays {
		if d < b.opt.Days {
			days = append(days, d)
			r, err := bundledWithHistory(fmt.Sprintf("now-%dd", d))
			if err := add(fmt.Sprintf("new terms, history of %s", counted(int64(d), "day")), sizes[len(sizes)-1], r, err); err != nil {
				return err
			}
		}
	}
	for range 1 + ruleRepeats { // the first time is not counted
		for _, c := range cases {
			if err := c.run(ctx, b.streams.Now); err != nil {
				return err
			}
		}
	}
	return b.reportRules(sizes, days, cases)
}

// reportRules adds the figures of cases, which come in the order of rules.
func (b *benchmark) reportRules(sizes []*hour, days []int, cases []*ruleCase) error {
	b.result.RuleLastHour, b.result.QueryLastHour, b.result.NewTerms = map[int]float64{}, map[int]float64{}, map[int]float64{}
	parts := [][]*ruleCase{cases[:len(sizes)], cases[len(sizes) : 2*len(sizes)], cases[2*len(sizes):]}
	for i, part := range parts {
		for j, c := range part {
			if c.candidates != part[0].candidates || c.alerts != part[0].alerts || c.alerts == 0 {
				return wrong("%s: %d events match and %d alert, and %d and %d in %s", c.name, c.candidates, c.alerts,
					part[0].candidates, part[0].alerts, part[0].name)
			}
			took := median(c.took[1:])
			b.running.Add(c.name, took, "ms")
			b.running.Note("median of %d runs, the fastest %.2f ms; %s, %s", ruleRepeats, millis(slices.Min(c.took[1:])), counted(int64(c.candidates), "matching event"), counted(int64(c.alerts), "alert"))
			switch i {
			case 0:
				b.result.RuleLastHour[sizes[j].size] = took
			case 1:
				b.result.QueryLastHour[sizes[j].size] = took
			case 2:
				b.result.NewTerms[days[j]] = took
			}
		}
	}
	return nil
}

// loadNewest loads the newest objects into a store at path, about as many as hold n events.
func (b *benchmark) loadNewest(ctx context.Context, path string, n int) error {
	records := n + int(float64(b.truth.Duplicates)*float64(n)/float64(b.truth.Events))
	var names []string
	read := 0
	for i := len(b.objects) - 1; i >= 0 && read < records; i-- {
		names = append(names, b.objects[i].name)
		read += b.objects[i].records
	}
	loaded, err := loadTrail(ctx, path, names, b.streams.Now, b.progress)
	if err != nil {
		return err
	}
	if int(loaded.Read) != read || loaded.bad() || float64(loaded.Stored) < 0.98*float64(n) || float64(loaded.Stored) > 1.02*float64(n) {
		return wrong("%d records read and %d events stored, expected %d and about %d", loaded.Read, loaded.Stored, read, n)
	}
	return nil
}

// hour is a store, and the last hour in it as a live run looks at it.
type hour struct {
	size    int // how many events, about
	db      store.Store
	at      store.Snapshot
	streams []store.Stream
	clock   func() time.Time
	slot    time.Time // of the run
	begin   time.Time // of the data
}

func (b *benchmark) hour(ctx context.Context, db store.Store, size int) (*hour, error) {
	h := &hour{size: size, db: db, slot: b.truth.To.Add(ruleInterval), begin: b.truth.From}
	var err error
	if h.streams, err = db.Streams(ctx, nil); err != nil {
		return nil, err
	}
	h.clock, err = stamps(ctx, db, b.streams.Now)
	return h, err
}

// ruleCase is one rule in one store.
type ruleCase struct {
	name string
	*hour
	p          *detect.Program
	took       []time.Duration
	candidates int
	alerts     int
}

// ruleCase makes a rule ready to run: compiled, and with what it remembers of the store.
func (h *hour) ruleCase(ctx context.Context, name string, r *rule.Rule) (*ruleCase, error) {
	return h.ruleCaseWith(ctx, name, r, nil)
}

// ruleCaseWith is ruleCase for a rule that does not see what lists hide from it.
func (h *hour) ruleCaseWith(ctx context.Context, name string, r *rule.Rule, lists *exception.Lists) (*ruleCase, error) {
	c := &ruleCase{name: name, hour: h}
	var err error
	if c.p, err = detect.CompileWith(r, fieldsOf(ecs.Integration, h.streams), lists); err != nil {
		return nil, err
	}
	if h.at, err = h.db.Latest(ctx); err != nil || !c.p.Remembers() {
		return c, err
	}
	index, err := sighting.Open(ctx, h.db, c.p.Sightings())
	if err != nil {
		return nil, err
	}
	change := &store.Change{At: h.clock()}
	if change.Sightings, change.Records, err = index.Fold(ctx, h.at); err != nil {
		return nil, err
	}
	if err := h.db.Apply(ctx, change); err != nil {
		return nil, err
	}
	h.at, err = h.db.Latest(ctx)
	return c, err
}

// run runs the rule as a live process does at its slot: what it remembers is read for what the window holds alone.
func (c *ruleCase) run(ctx context.Context, now func() time.Time) error {
	// What the rule alerted before is in memory, and here nothing: each run makes its alerts anew.
	alerted, err := detect.LoadAlerted(ctx, exec.Over(nil), c.at, c.p.Rule.UUID())
	if err != nil {
		return err
	}
	began := now()
	env := detect.Env{Events: c.db, Store: c.db, At: c.at, Begin: c.begin, Alerted: alerted, Direct: true}
	if c.p.Remembers() {
		if env.Index, err = sighting.Open(ctx, c.db, c.p.Sightings()); err != nil {
			return err
		}
	}
	w, err := c.p.Window(c.slot)
	if err != nil {
		return err
	}
	result, err := detect.Run(ctx, c.p, w, env)
	if err != nil {
		return err
	}
	c.took = append(c.took, now().Sub(began))
	c.candidates, c.alerts = result.Candidates, len(result.Alerts)
	return nil
}

// bundledWithHistory is the bundled rule on identities with another history; "" leaves it as it is.
func bundledWithHistory(history string) (*rule.Rule, error) {
	for _, r := range rule.LoadFS(rules.FS).Rules {
		if r.RuleID != demo.RuleIdentity {
			continue
		}
		if history == "" {
			return r, nil
		}
		text, err := fs.ReadFile(rules.FS, r.File)
		if err != nil {
			return nil, err
		}
		return rule.Parse(r.File, []byte(strings.ReplaceAll(string(text), `"`+r.HistoryWindowStart+`"`, `"`+history+`"`)))
	}
	return nil, fmt.Errorf("rule %s is not bundled", demo.RuleIdentity)
}
