package replay_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/ingest"
	"github.com/tocsin-sec/tocsin/internal/normalize/cloudtrail"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/source"
	"github.com/tocsin-sec/tocsin/internal/source/file"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
	"github.com/tocsin-sec/tocsin/rules"
)

// catalogue is a plan.Resolver over the declared fields.
type catalogue struct{}

func (catalogue) Field(path string) (expr.Field, bool) {
	r, ok := ecs.Resolve(path)
	return expr.Field{Path: r.Path, Type: r.Type, Root: r.Type == event.Flattened && r.Flattened == path}, ok
}

func (c catalogue) Expand(pattern expr.Pattern) []expr.Field {
	var out []expr.Field
	for f := range ecs.Fields() {
		if pattern.Fits(f.Path, false) {
			field, _ := c.Field(f.Path)
			out = append(out, field)
		}
	}
	return out
}

func declaredType(path string) (event.Type, bool) {
	f, ok := ecs.Lookup(path)
	return f.Type, ok
}

// onEachStore runs f on an empty store of every kind.
func onEachStore(t *testing.T, f func(t *testing.T, name string, db store.Store)) {
	t.Helper()
	t.Run("mem", func(t *testing.T) { f(t, "mem", mem.New(declaredType)) })
	t.Run("duck", func(t *testing.T) { f(t, "duck", openDuck(t)) })
}

// openDuck opens an empty store that is closed with the test.
func openDuck(t testing.TB) store.Store {
	t.Helper()
	db, err := duck.Open(ctx, filepath.Join(t.TempDir(), "replay.duckdb"), duck.Options{Types: declaredType})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// ingestFiles loads CloudTrail files as a scan does, and says what became of the records.
func ingestFiles(t testing.TB, db store.Store, now func() time.Time, enrichers []ingest.Enricher, paths ...string) ingest.Account {
	t.Helper()
	reader, err := file.Open(ctx, paths, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	loader := ingest.New(db, cloudtrail.New(cloudtrail.Options{}), enrichers, ingest.Options{Clock: now})
	for {
		o, err := reader.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		var problem *source.Problem
		if errors.As(err, &problem) && problem.Skipped {
			continue // a page about the data
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := loader.Object(ctx, o.Name, o.Body); err != nil {
			t.Fatal(err)
		}
		o.Body.Close()
	}
	if err := loader.Close(ctx); err != nil {
		t.Fatal(err)
	}
	return loader.Account()
}

// firstTimers are the public rule on a first GetCallerIdentity, and our companion of it for roles.
func firstTimers(t *testing.T) []*detect.Program {
	t.Helper()
	public, err := rule.ReadFile(filepath.Join(corpus.Dir(t, "corpus/rules"), "rules/integrations/aws/discovery_new_terms_sts_getcalleridentity.toml"))
	if err != nil {
		t.Fatal(err)
	}
	found := []*rule.Rule{public}
	for _, r := range rule.LoadFS(rules.FS).Rules {
		if r.RuleID == "1bf58f9d-69cc-415a-a9c0-30657ed047bf" {
			found = append(found, r)
		}
	}
	var out []*detect.Program
	for _, r := range found {
		p, err := detect.Compile(r, catalogue{})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	if len(out) != 2 {
		t.Fatal("our companion rule is gone")
	}
	return out
}

// call is a GetCallerIdentity as its record says it, read without any of our own code.
type call struct {
	file  string // that delivered it
	id    string
	at    string
	class string // the type of the caller
	name  string
}

// calls reads them all, in order of time.
func calls(t *testing.T, files []string) []call {
	t.Helper()
	var out []call
	for _, name := range files {
		var file struct {
			Records []struct {
				EventName, EventID, EventTime, ErrorCode string
				UserIdentity                             struct {
					Type, UserName string
					SessionContext struct{ SessionIssuer struct{ UserName string } }
				}
			}
		}
		if err := json.Unmarshal(unpacked(t, name), &file); err != nil {
			t.Fatal(err)
		}
		for _, r := range file.Records {
			if r.EventName == "GetCallerIdentity" && r.ErrorCode == "" {
				out = append(out, call{name, r.EventID, r.EventTime, r.UserIdentity.Type, r.UserIdentity.UserName + r.UserIdentity.SessionContext.SessionIssuer.UserName})
			}
		}
	}
	slices.SortFunc(out, func(a, b call) int { return strings.Compare(a.at, b.at) })
	return out
}

func unpacked(t *testing.T, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := io.Reader(f)
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// about says of alerts which rule raised them, on whom, and on which event.
func about(alerts []*event.Event) []string {
	out := []string{}
	for _, a := range alerts {
		who := a.Text("user.name")
		if issuer := a.Text("aws.cloudtrail.user_identity.session_context.session_issuer.arn"); issuer != "" {
			who = issuer[strings.LastIndexByte(issuer, '/')+1:]
		}
		out = append(out, fmt.Sprintf("%s: %s: %s", a.Text("kibana.alert.rule.rule_id")[:8], who, a.Text("tocsin.alert.evidence_id")))
	}
	slices.Sort(out)
	return out
}

// TestFirstCallerConformance runs the two rules over an attack that was recorded: one alert for the user's first call,
// one for the role, whichever way the files come; and an identity that is known from earlier files raises none.
func TestFirstCallerConformance(t *testing.T) {
	dir := filepath.Join(corpus.Dir(t, "corpus/cloudtrail-real"), "invictus-aws_dataset")
	files, err := filepath.Glob(filepath.Join(dir, "*.json*"))
	if err != nil || len(files) != 55 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	all := calls(t, files)
	var user, role []call
	for _, c := range all {
		switch c.class {
		case "IAMUser":
			user = append(user, c)
		case "AssumedRole":
			role = append(role, c)
		}
	}
	if len(user) != 14 || len(role) != 1 || user[0].name != "bert-jan" || role[0].name != "stratus-red-team-ec2-steal-credentials-role" {
		t.Fatalf("the records hold %d calls of users and %d of roles", len(user), len(role))
	}
	userAlert := "30fbf4db: bert-jan: " + user[0].id
	roleAlert := "1bf58f9d: stratus-red-team-ec2-steal-credentials-role: " + role[0].id
	programs := firstTimers(t)

	onEachStore(t, func(t *testing.T, name string, db store.Store) {
		tally := corpus.NewTally(t, "first caller in parts on "+name)
		check := func(what string, got []*event.Event, want ...string) {
			t.Helper()
			slices.Sort(want)
			if diff := cmp.Diff(append([]string{}, want...), about(got)); diff != "" {
				tally.Fail(what, diff)
				return
			}
			tally.Pass()
		}
		now := clock()
		// Up to the file that brings the user's first call, then a few files at a time.
		first := slices.Index(files, user[0].file)
		last := slices.Index(files, user[len(user)-1].file)
		if first < 0 || last <= first {
			t.Fatalf("the user's first call is in file %d, the last in %d: nothing comes later", first, last)
		}
		ingestFiles(t, db, now, nil, files[:first+1]...)
		var raised []*event.Event
		early := run(t, db, now, replay.Options{}, programs...).Alerts
		want := []string{userAlert}
		if slices.Index(files, role[0].file) <= first {
			want = append(want, roleAlert)
		}
		check("up to the first call", early, want...)
		raised = append(raised, early...)
		for some := range slices.Chunk(files[first+1:], 8) {
			ingestFiles(t, db, now, nil, some...)
			raised = append(raised, run(t, db, now, replay.Options{}, programs...).Alerts...)
		}
		check("a few files at a time", raised, userAlert, roleAlert)
		for _, a := range stored(t, db) {
			if !a.Get("tocsin.alert.known_since").IsNull() {
				tally.Fail("a few files at a time", "an alert is known since "+a.Text("tocsin.alert.known_since"))
			}
		}
		check("once more", run(t, db, now, replay.Options{}, programs...).Alerts)
	})
	onEachStore(t, func(t *testing.T, name string, db store.Store) {
		tally := corpus.NewTally(t, "first caller at once on "+name)
		ran := false
		now := clock()
		ingestFiles(t, db, now, nil, dir)
		for _, step := range []struct {
			what string
			opt  replay.Options
			want []string
		}{
			// Cut after the delivery of both first calls, the user's later calls raise nothing.
			{"after the first calls", replay.Options{From: time.Date(2023, 7, 10, 12, 1, 0, 0, time.UTC)}, nil},
			{"all", replay.Options{}, []string{roleAlert, userAlert}},
			{"once more", replay.Options{}, nil},
		} {
			report := run(t, db, now, step.opt, programs...)
			got := report.Alerts
			ran = ran || step.want == nil && report.Rules[0].Windows > report.Rules[0].Empty
			if diff := cmp.Diff(append([]string{}, step.want...), about(got)); diff != "" {
				tally.Fail(step.what, diff)
				continue
			}
			tally.Pass()
		}
		if !ran {
			tally.Fail("after the first calls", "no window held a call: the test shows nothing")
		}
		for _, a := range stored(t, db) {
			if a.Text("tocsin.alert.why") == "" || a.Text("tocsin.alert.history.events") == "" {
				tally.Fail("why", string(a.AppendJSON(nil, nil)))
			}
			t.Logf("%s %s %s", a.Text("tocsin.alert.evidence_time"), about([]*event.Event{a}), a.Text("tocsin.alert.why"))
		}
	})
}
