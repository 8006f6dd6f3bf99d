package attack_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tocsin-sec/tocsin/internal/attack"
	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// The committed table is what the generator makes of the shared data.
func TestTableIsGenerated(t *testing.T) {
	data := corpus.Dir(t, "data")
	cmd := exec.Command("go", "run", "generate.go", "-shared", filepath.Dir(data), "-o", "-")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	want, err := cmd.Output()
	if err != nil {
		t.Fatalf("run the generator: %v\n%s", err, stderr.String())
	}
	got, err := os.ReadFile("table.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("table.go is not what go generate makes (-generated +committed):\n%s",
			cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")))
	}
}

// What the public rules say of ATT&CK is release 18.1, but for one retired ID and one old name, in two rules each.
func TestConformanceRules(t *testing.T) {
	set := rule.Load(corpus.Dir(t, "corpus/rules"))
	tally := corpus.NewTally(t, "attack/rules")
	table := attack.In(attack.Previous)
	var claims []attack.Claim
	ids, oldIDs, oldNames := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, r := range set.Rules {
		var bad []string
		for _, threat := range r.Threat {
			tactic, ok := table.Tactic(threat.Tactic.ID)
			if !ok || tactic.Name != threat.Tactic.Name || attack.URL(tactic.ID) != threat.Tactic.URL {
				bad = append(bad, fmt.Sprintf("tactic %+v", threat.Tactic))
			}
			claims = append(claims, attack.Claim{Rule: r.RuleID, Tactic: threat.Tactic.ID})
			for _, t := range threat.Techniques {
				for _, x := range append([]rule.Reference{t.Reference}, t.Subtechniques...) {
					ids[x.ID] = true
					claims = append(claims, attack.Claim{Rule: r.RuleID, Tactic: threat.Tactic.ID, Technique: x.ID})
					if attack.URL(x.ID) != strings.TrimSuffix(x.URL, "/")+"/" {
						bad = append(bad, "reference "+x.URL)
					}
					known, ok := table.Technique(x.ID)
					switch {
					case !ok:
						oldIDs[x.ID] = true
					case known.Name != x.Name:
						oldNames[x.ID+" "+x.Name] = true
					case !table.Serves(x.ID, threat.Tactic.ID):
						bad = append(bad, x.ID+" in "+threat.Tactic.ID)
					}
				}
			}
		}
		if len(bad) > 0 {
			tally.Fail(r.File, strings.Join(bad, "; "))
		} else {
			tally.Pass()
		}
	}
	if len(ids) != 439 || !oldIDs["T1547.011"] || len(oldIDs) != 1 || len(oldNames) != 1 || !oldNames["T1218 Signed Binary Proxy Execution"] {
		t.Errorf("%d techniques; not in %s: %v; called otherwise: %v", len(ids), attack.Previous, oldIDs, oldNames)
	}
	// In the current release every claim lies somewhere.
	c := attack.In(attack.Current).Cover(slices.Values(claims))
	for _, u := range c.Unknown {
		t.Errorf("nowhere in %s: %+v", attack.Current, u)
	}
	if got := c.Whole[attack.Cell{Tactic: "TA0112", Technique: "T1685"}]; got < 100 {
		t.Errorf("%d rules speak of T1685", got)
	}
}
