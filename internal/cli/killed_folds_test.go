package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

// TestKilledFolds kills scans with a rule that folds alerts at various moments: after one that ends, every event belongs to
// one alert, once, and the counts say so.
func TestKilledFolds(t *testing.T) {
	const all = 20_000
	dir := t.TempDir()
	name, rules := filepath.Join(dir, "case.duckdb"), filepath.Join(dir, "folds.toml")
	text := "[rule]\nname='Folds'\ndescription='d'\nrule_id='folds'\nseverity='low'\nrisk_score=1\ntype='query'\nquery='event.action: ListUsers'\n" +
		"interval='1m'\nfrom='now-2m'\n[rule.alert_suppression]\ngroup_by=['event.action']\nduration={value=7,unit='m'}\n"
	if err := os.WriteFile(rules, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	killed := 0
	for wait := 500 * time.Millisecond; ; wait += 120 * time.Millisecond {
		p := start(t, "scan", "--rules", rules, "--db", name, "-")
		timer := time.AfterFunc(wait, func() { p.Process.Kill() })
		feed(p.in, 0, all) // to one that is killed it may fail
		p.in.Close()
		code := p.exit(t)
		timer.Stop()
		if code != -1 {
			if code > 1 {
				t.Fatalf("the scan ends with %d: %s", code, p.err.String())
			}
			break
		}
		killed++
	}
	ctx := context.Background()
	db, err := duck.Open(ctx, name, duck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	at, err := db.Latest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := exec.Query(ctx, db, plan.Scan{Streams: []string{store.AlertStream}}, at)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	events, alerts := map[string]int{}, 0
	for rows.Next() {
		a := rows.Event()
		alerts++
		events[a.Text("tocsin.alert.evidence_id")]++
		list, err := detect.FoldedInto(ctx, db, a.Text("kibana.alert.rule.uuid"), a.ID)
		if err != nil {
			t.Fatal(err)
		}
		n := int64(0)
		for _, f := range list {
			n += f.Count
			for _, e := range f.Events {
				events[e.ID]++
			}
		}
		if got := a.Get("kibana.alert.suppression.docs_count").Int(); got != n {
			t.Errorf("docs_count is %d where %d are folded in", got, n)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for id, n := range events {
		if n != 1 {
			t.Errorf("event %s is in alerts %d times", id, n)
		}
	}
	t.Logf("%d events in %d alerts; %d scans were killed", len(events), alerts, killed)
	if len(events) != all || alerts < 30 || killed < 3 {
		t.Errorf("%d events in %d alerts, want %d; %d scans were killed", len(events), alerts, all, killed)
	}
}
