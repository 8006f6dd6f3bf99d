package demo_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/demo"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/ingest"
	"github.com/tocsin-sec/tocsin/internal/normalize/cloudtrail"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/source/file"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
	"github.com/tocsin-sec/tocsin/rules"
)

// integration says what fields are in the layout of Elastic's integration.
type integration struct{}

func (integration) Field(path string) (expr.Field, bool) {
	r, ok := ecs.Integration.Resolve(path)
	return expr.Field{Path: r.Path, Type: r.Type}, ok
}

func (integration) Expand(expr.Pattern) []expr.Field { return nil }

// TestRulesFindTheTruth loads the bundled archive and runs the bundled rules over its last five days: their alerts are
// those of the truth file, and none else.
func TestRulesFindTheTruth(t *testing.T) {
	ctx := context.Background()
	truth, err := demo.ReadTruth(demo.TruthFile(bundled))
	if err != nil {
		t.Fatal(err)
	}
	now := truth.To
	clock := func() time.Time { now = now.Add(time.Second); return now }
	db := mem.New(func(path string) (event.Type, bool) {
		f, ok := ecs.Lookup(path)
		return f.Type, ok
	})
	loader := ingest.New(db, cloudtrail.New(cloudtrail.Options{}), nil, ingest.Options{Clock: clock})
	files, err := file.Open(ctx, []string{bundled}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for {
		o, err := files.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := loader.Object(ctx, o.Name, o.Body); err != nil {
			t.Fatal(err)
		}
		if err := o.Body.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := loader.Close(ctx); err != nil {
		t.Fatal(err)
	}
	a := loader.Account()
	if int(a.Read) != truth.Events+truth.Duplicates || int(a.Stored) != truth.Events || int(a.Duplicates) != truth.Duplicates ||
		a.Conflicts != 0 || a.RejectedTotal() != 0 || a.DuplicateKeys != 0 || a.Misfits != 0 {
		t.Errorf("the account is %+v, expected %d events and %d duplicates", a, truth.Events, truth.Duplicates)
	}

	set := rule.LoadFS(rules.FS)
	if len(set.Problems) > 0 {
		t.Fatal(set.Problems)
	}
	var programs []*detect.Program
	for _, r := range set.Rules {
		p, err := detect.Compile(r, integration{})
		if err != nil {
			t.Fatal(err)
		}
		programs = append(programs, p)
	}
	report, err := replay.Run(ctx, db, programs, replay.Options{From: truth.RulesFrom, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Rules {
		if r.Err != nil || r.Skipped != "" {
			t.Errorf("%s: %v %s", r.Program.Rule.Name, r.Err, r.Skipped)
		}
	}
	var got, want []string
	for _, e := range report.Alerts {
		covered := e.Get("tocsin.alert.history.covered").Float()
		if covered != 1 {
			t.Errorf("the alert on %s has %v of its history", e.Text("tocsin.alert.evidence_id"), covered)
		}
		got = append(got, fmt.Sprintln(e.Text("kibana.alert.rule.rule_id"), e.Text("tocsin.alert.evidence_id"),
			e.Text("tocsin.alert.evidence_time"), e.Text("source.ip"), e.Values("kibana.alert.new_terms")[0].Text()))
	}
	for _, a := range truth.Alerts {
		want = append(want, fmt.Sprintln(a.RuleID, a.EventID, event.FormatTime(a.Time), a.SourceIP, a.Identity))
	}
	sort.Strings(got)
	sort.Strings(want)
	if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
		t.Errorf("truth against alerts:\n%s", diff)
	}
}
