package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/tocsin-sec/tocsin/internal/bench"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// A value list is measured by a query rule over all that is stored, with an exception by the list and without one. No
// event has a value of the lists, but for one user, who is in the list of names.
var (
	listEntries = 1_000_000
	listRepeats = 5
)

// listedRule is a query rule over all of so many days, with an exception where there is a line for its entries.
const listedRule = `[rule]
rule_id = "%s"
name = "Value list"
description = "What a value list costs."
severity = "low"
risk_score = 21
type = "query"
language = "kuery"
query = "%s"
index = ["logs-aws.cloudtrail-*"]
interval = "10m"
from = "now-%dd"
`

// listedBy is a list with one exception by a value list of so many lines in a file beside it.
const listedBy = `[list]
list_id = "%[1]s"
name = "%[1]s"
rules = ["%[2]s"]
[[item]]
name = "all in the list"
entries = [{field = "%[3]s", %[4]s = "%[1]s"}]
[[value_list]]
id = "%[1]s"
type = "%[5]s"
file = "%[1]s.txt"
`

// lists measures value lists in the largest store.
func (b *benchmark) lists(ctx context.Context) (err error) {
	db, err := openExisting(ctx, b.db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	h, err := b.hour(ctx, db, b.truth.Events)
	if err != nil {
		return err
	}
	user, err := someUser(ctx, db)
	if err != nil {
		return err
	}
	address := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)}) }
	names := func(i int) string { return fmt.Sprintf("account-%07d@example.com", i) }
	const query, all = "event.provider : sts.amazonaws.com", "event.action : *"
	cases := []struct {
		name, query, field, word, kind string
		line                           func(i int) string
	}{
		{"query over all", query, "", "", "", nil},
		{"query, not of 1M names", query, "user.name", "in_list", "keyword", names},
		{"query, not of 1M addresses", query, "source.ip", "in_list", "ip", func(i int) string { return address(i).String() }},
		{"query, not of 1M ranges", query, "source.ip", "in_list", "ip_range", func(i int) string { return address(4*i).String() + "/31" }},
		{"only of 1M names", all, "user.name", "not_in_list", "keyword", func(i int) string {
			if i == 0 {
				return user
			}
			return names(i)
		}},
	}
	var made []*ruleCase
	for i, c := range cases {
		id := fmt.Sprintf("b2f0a3de-4a50-4a0f-9d0c-5d9d4a2a3c%02d", i)
		r, err := rule.Parse("listed.toml", fmt.Appendf(nil, listedRule, id, c.query, b.opt.Days+1))
		if err != nil {
			return err
		}
		var lists *exception.Lists
		if c.line != nil {
			dir := filepath.Join(b.dir, "lists", c.kind+c.word)
			list := fmt.Sprintf(listedBy, c.kind, id, c.field, c.word, c.kind)
			if err := writeList(filepath.Join(dir, rule.ExceptionsFolder), c.kind, list, c.line); err != nil {
				return err
			}
			watch := b.watch()
			var problems diag.List
			if lists, problems = exception.Load(rule.Load(dir)); len(problems) > 0 {
				return wrong("%s: %s", c.name, problems.Render())
			}
			b.running.Add("  reading a list, "+c.kind, watch.seconds()*1000, "ms")
			b.running.Note("%s lines, once for all runs", thousands(int64(listEntries)))
		}
		m, err := h.ruleCaseWith(ctx, c.name, r, lists)
		if err != nil {
			return err
		}
		if (c.line != nil) != m.p.Excepted() {
			return wrong("%s: the exception does not count", c.name)
		}
		made = append(made, m)
	}
	for range 1 + listRepeats { // the first time is told by itself
		for _, m := range made {
			if err := m.run(ctx, b.streams.Now); err != nil {
				return err
			}
		}
	}
	return b.reportLists(made)
}

// writeList writes a list with its values into a folder.
func writeList(dir, kind, list string, line func(i int) string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, kind+".toml"), []byte(list), 0o644); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, kind+".txt"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	for i := range listEntries {
		fmt.Fprintln(w, line(i))
	}
	return w.Flush()
}

// someUser is the name of a user that stored events have.
func someUser(ctx context.Context, db store.Store) (string, error) {
	at, err := db.Latest(ctx)
	if err != nil {
		return "", err
	}
	name := expr.Field{Path: "user.name", Type: event.Keyword}
	rows, err := exec.Query(ctx, db, plan.Limit{N: 1, In: plan.Project{Paths: []string{name.Path},
		In: plan.Filter{Cond: expr.Exists{Field: name}, In: plan.Scan{Streams: []string{"logs-aws.cloudtrail-*"}}}}}, at)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	if !rows.Next() {
		return "", errors.Join(wrong("no event has a user"), rows.Err())
	}
	return expr.Read(name, rows.Event())[0].Str(), rows.Err()
}

// reportLists adds the figures of cases: the first without a list, the last of what is in one alone, the others of what is in
// none.
func (b *benchmark) reportLists(cases []*ruleCase) error {
	plain := cases[0]
	for i, c := range cases {
		last := i == len(cases)-1
		if c.candidates == 0 || c.alerts == 0 || !last && c.candidates != plain.candidates || last && c.candidates >= b.truth.Events {
			return wrong("%s: %d events match and %d alert; without a list %d and %d", c.name, c.candidates, c.alerts,
				plain.candidates, plain.alerts)
		}
		took := median(c.took[1:])
		b.running.Add(c.name, took, "ms")
		b.running.Note("median of %d runs, the fastest %.0f ms, the first %.0f ms; %s", listRepeats, millis(slices.Min(c.took[1:])),
			millis(c.took[0]), counted(int64(c.candidates), "matching event"))
		if i > 0 && !last {
			b.result.ValueLists = append(b.result.ValueLists, bench.Ratio{Name: c.name, Value: took / median(plain.took[1:])})
		}
	}
	return nil
}
