package replay_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/enrich"
	"github.com/tocsin-sec/tocsin/internal/ingest"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// awsRules are the public rules on AWS that are queries, first sightings, thresholds or in EQL, and those of them that cannot
// run, with the reason.
func awsRules(t *testing.T) (programs []*detect.Program, lacking map[string]string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(corpus.Dir(t, "corpus/rules"), "rules/integrations/aws/*.toml"))
	if err != nil {
		t.Fatal(err)
	}
	lacking = map[string]string{}
	for _, name := range files {
		r, err := rule.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if r.Type != rule.TypeQuery && r.Type != rule.TypeNewTerms && r.Type != rule.TypeThreshold && r.Type != rule.TypeEQL {
			continue
		}
		p, err := detect.Compile(r, catalogue{})
		if err != nil {
			lacking[r.Name] = err.Error()
			continue
		}
		programs = append(programs, p)
	}
	return programs, lacking
}

// loadRealData loads the collected CloudTrail, each data set by itself, and returns what was rejected of each.
func loadRealData(t *testing.T, db store.Store, now func() time.Time) map[string]string {
	t.Helper()
	dir := corpus.Dir(t, "corpus/cloudtrail-real")
	sets, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	rejected := map[string]string{}
	for _, set := range sets {
		if !set.IsDir() {
			continue
		}
		a := ingestFiles(t, db, now, []ingest.Enricher{enrich.NewAgent().Enrich}, filepath.Join(dir, set.Name()))
		if a.RejectedTotal() > 0 {
			rejected[set.Name()] = fmt.Sprint(a.Rejected)
		}
		t.Logf("%-36s %5d read %5d stored %4d duplicate %4d rejected", set.Name(), a.Read, a.Stored, a.Duplicates, a.RejectedTotal())
	}
	return rejected
}

// TestAWSRulesConformance runs every public query, first-sighting, threshold and EQL rule on AWS over all CloudTrail that was
// collected, on both engines, and with them building blocks and rules over alerts: they raise the same alerts, and a second
// replay finds nothing. The log has a table of them.
func TestAWSRulesConformance(t *testing.T) {
	programs, lacking := awsRules(t)
	if len(programs) != 132 || len(lacking) != 0 {
		t.Fatalf("%d rules run, %d do not: %v", len(programs), len(lacking), lacking)
	}
	above := rulesOnAlerts(t)
	programs = append(programs, above...)
	raised := map[string]map[string][]string{} // by engine and rule: the IDs of its alerts
	onEachStore(t, func(t *testing.T, name string, db store.Store) {
		now := clock()
		rejected := loadRealData(t, db, now)
		want := map[string]string{ // records without an eventTime
			"aws-cloudtrail-user-guide-examples": "map[no-event-time:5]",
			"misc-small":                         "map[no-event-time:14]",
			"otrf-security-datasets":             "map[no-event-time:103]",
			"panther-analysis-tests":             "map[no-event-time:138]",
		}
		if diff := cmp.Diff(want, rejected); diff != "" {
			t.Error(diff)
		}
		began := time.Now()
		report := run(t, db, now, replay.Options{}, programs...)
		t.Logf("%d rules ran in %v", len(report.Rules), time.Since(began).Round(time.Millisecond))
		ids := map[string][]string{}
		for _, r := range report.Rules {
			if r.Skipped != "" {
				t.Errorf("%s was skipped: %s", r.Program.Rule.Name, r.Skipped)
			}
			ids[r.Program.Rule.Name] = nil
		}
		for _, a := range report.Alerts {
			rule := a.Text("kibana.alert.rule.name")
			ids[rule] = append(ids[rule], a.ID+" "+a.Text("@timestamp")+" "+a.Text("kibana.alert.suppression.docs_count"))
		}
		for _, all := range ids {
			slices.Sort(all)
		}
		nothingNew(t, name, db, now, above)
		descent(t, name, stored(t, db))
		raised[name] = ids
	})
	tally := corpus.NewTally(t, "aws rules on real data")
	fired, alerts := 0, 0
	for _, name := range slices.Sorted(maps.Keys(raised["mem"])) {
		got := raised["mem"][name]
		if len(got) > 0 {
			fired++
			alerts += len(got)
			t.Logf("%5d  %s", len(got), name)
		}
		if diff := cmp.Diff(got, raised["duck"][name]); diff != "" {
			tally.Fail(name, diff)
			continue
		}
		tally.Pass()
	}
	t.Logf("%d of %d rules raised %d alerts", fired, len(programs), alerts)
	for name := range risk {
		if len(raised["mem"][name]) == 0 {
			t.Errorf("%s: no alert", name)
		}
	}
	if len(raised["mem"]) != len(programs) || len(raised["duck"]) != len(programs) {
		t.Errorf("%d and %d rules ran", len(raised["mem"]), len(raised["duck"]))
	}
	if fired < 45 {
		t.Errorf("only %d rules raised alerts", fired)
	}
}
