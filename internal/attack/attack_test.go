package attack_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tocsin-sec/tocsin/internal/attack"
)

var releases = []attack.Release{attack.Current, attack.Previous}

func TestTechnique(t *testing.T) {
	f := func(r attack.Release, id, name, parent string, tactics ...string) {
		t.Helper()
		got, ok := attack.In(r).Technique(id)
		want := attack.Technique{ID: id, Name: name, Parent: parent, Tactics: tactics}
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%s in %s: %t (-want +got):\n%s", id, r, ok, diff)
		}
	}
	f(attack.Previous, "T1087", "Account Discovery", "", "TA0007")
	f(attack.Previous, "T1087.004", "Cloud Account", "T1087", "TA0007")
	f(attack.Previous, "T1562.008", "Disable or Modify Cloud Logs", "T1562", "TA0005")
	f(attack.Previous, "T1078.004", "Cloud Accounts", "T1078", "TA0001", "TA0003", "TA0004", "TA0005")
	f(attack.Current, "T1087.004", "Cloud Account", "T1087", "TA0007")
	f(attack.Current, "T1055.013", "Process Doppelgänging", "T1055", "TA0004", "TA0005")

	for _, id := range []string{"", "T", "T1562", "T1562.008", "T9999", "t1087", "T1087.", "T1087.4", "TA0007"} {
		if got, ok := attack.In(attack.Current).Technique(id); ok {
			t.Errorf("%q is known: %+v", id, got)
		}
	}
}

func TestTactic(t *testing.T) {
	f := func(r attack.Release, id, name, slug string) {
		t.Helper()
		want := attack.Tactic{ID: id, Name: name, Slug: slug}
		for _, look := range []func() (attack.Tactic, bool){
			func() (attack.Tactic, bool) { return attack.In(r).Tactic(id) },
			func() (attack.Tactic, bool) { return attack.In(r).TacticNamed(name) },
			func() (attack.Tactic, bool) { return attack.In(r).TacticNamed(strings.ToUpper(slug)) },
		} {
			if got, ok := look(); !ok || got != want {
				t.Errorf("%s in %s: %+v, %t", id, r, got, ok)
			}
		}
	}
	f(attack.Previous, "TA0005", "Defense Evasion", "defense-evasion")
	f(attack.Current, "TA0005", "Stealth", "stealth")
	f(attack.Current, "TA0112", "Defense Impairment", "defense-impairment")
	f(attack.Current, "TA0007", "Discovery", "discovery")
	if _, ok := attack.In(attack.Previous).Tactic("TA0112"); ok {
		t.Error("18.1 has a tactic of 19")
	}
	if _, ok := attack.In(attack.Current).TacticNamed(""); ok {
		t.Error("a tactic has no name")
	}
}

func TestTechniquesNamed(t *testing.T) {
	f := func(name string, want ...string) {
		t.Helper()
		var got []string
		for _, x := range attack.In(attack.Previous).TechniquesNamed(name) {
			got = append(got, x.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	f("Account Discovery", "T1087")
	f("cloud accounts", "T1078.004", "T1585.003", "T1586.003")
	f("nothing")
	f("")
}

func TestTablesAreWhole(t *testing.T) {
	sizes := map[attack.Release][2]int{attack.Current: {15, 697}, attack.Previous: {14, 691}}
	for _, r := range releases {
		table := attack.In(r)
		tactics, techniques := table.Tactics(), table.Techniques()
		if got := [2]int{len(tactics), len(techniques)}; got != sizes[r] || table.Release() != r {
			t.Errorf("%s: %v tactics and techniques, want %v", r, got, sizes[r])
		}
		if !slices.IsSortedFunc(techniques, func(a, b attack.Technique) int { return strings.Compare(a.ID, b.ID) }) {
			t.Errorf("%s: the techniques are not sorted", r)
		}
		served := map[string]bool{}
		for _, x := range techniques {
			if got, ok := table.Technique(x.ID); !ok || got.Name != x.Name || x.Name == "" {
				t.Errorf("%s: %s is not found by its ID", r, x.ID)
			}
			if !slices.ContainsFunc(table.TechniquesNamed(x.Name), func(y attack.Technique) bool { return y.ID == x.ID }) {
				t.Errorf("%s: %s is not found by its name", r, x.ID)
			}
			kind := attack.IsTechnique
			if x.Parent != "" {
				kind = attack.IsSubtechnique
				if _, ok := table.Technique(x.Parent); !ok {
					t.Errorf("%s: %s has no parent", r, x.ID)
				}
			}
			if attack.KindOf(x.ID) != kind {
				t.Errorf("%s: kind of %s", r, x.ID)
			}
			for _, id := range x.Tactics {
				if _, ok := table.Tactic(id); !ok || !table.Serves(x.ID, id) {
					t.Errorf("%s: %s serves %s", r, x.ID, id)
				}
				served[id] = true
			}
		}
		if len(served) != len(tactics) {
			t.Errorf("%s: techniques serve %d of %d tactics", r, len(served), len(tactics))
		}
		// Nothing is lost between the releases.
		for _, x := range techniques {
			ids, ok := attack.Replacements(x.ID)
			if !ok || len(ids) == 0 {
				t.Errorf("%s: %s leads nowhere", r, x.ID)
			}
			for _, id := range ids {
				if _, ok := attack.In(attack.Current).Technique(id); !ok {
					t.Errorf("%s: %s leads to %s, which is not current", r, x.ID, id)
				}
			}
		}
	}
	if attack.In("7.0").Release() != attack.Current {
		t.Error("an unknown release is not the current one")
	}
}

func TestReplacements(t *testing.T) {
	f := func(id string, ok bool, want ...string) {
		t.Helper()
		got, known := attack.Replacements(id)
		if diff := cmp.Diff(want, got); known != ok || diff != "" {
			t.Errorf("%s: %t (-want +got):\n%s", id, known, diff)
		}
	}
	f("T1087.004", true, "T1087.004")
	f("TA0005", true, "TA0005")
	f("T1070.001", true, "T1685.005")
	f("T1070.002", true, "T1685.006")
	f("T1547.011", true, "T1647")
	f("T1562", true, "T1685")
	f("T1562.001", true, "T1685")
	f("T1562.002", true, "T1685.001")
	f("T1562.004", true, "T1686")
	f("T1562.006", true, "T1685")
	f("T1562.007", true, "T1686.001")
	f("T1562.008", true, "T1685.002")
	f("T1562.010", true, "T1689")
	f("T1656", true, "T1684.001")
	f("T1002", true, "T1560")
	f("T1064", true) // dropped without successor
	f("T9999", false)
	f("", false)

	r, ok := attack.RetiredID("T1064")
	if want := (attack.Retired{ID: "T1064", Name: "Scripting", Deprecated: true}); !ok || cmp.Diff(want, r) != "" {
		t.Errorf("T1064: %+v, %t", r, ok)
	}
	r, ok = attack.RetiredID("T1562.008")
	want := attack.Retired{ID: "T1562.008", Name: "Disable or Modify Cloud Logs", ReplacedBy: []string{"T1685.002"}, Current: []string{"T1685.002"}}
	if diff := cmp.Diff(want, r); !ok || diff != "" {
		t.Errorf("T1562.008: %t (-want +got):\n%s", ok, diff)
	}
	if _, ok := attack.RetiredID("T1087"); ok {
		t.Error("T1087 is said to be retired")
	}
}

func TestURL(t *testing.T) {
	f := func(id, want string) {
		t.Helper()
		if got := attack.URL(id); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
	f("TA0007", "https://attack.mitre.org/tactics/TA0007/")
	f("T1087", "https://attack.mitre.org/techniques/T1087/")
	f("T1087.004", "https://attack.mitre.org/techniques/T1087/004/")
	for _, id := range []string{"", "T", "TA", "T108", "T10877", "T1087.4", "T1087.0004", "T1087/004", "TA007", "ta0007", "T１087", "S0002"} {
		f(id, "")
	}
}

func TestCover(t *testing.T) {
	claims := []attack.Claim{
		{"a", "TA0007", "T1087"},
		{"a", "TA0007", "T1087.004"},
		{"a", "TA0007", "T1087.004"}, // said twice, counts once
		{"b", "TA0007", "T1087.004"},
		{"c", "TA0007", "T1580"},
		{"d", "TA0005", "T1562.008"},
		{"e", "TA0005", ""},
		{"m", "TA0005", "T1578"}, // is in TA0112 now
		{"n", "TA0005", "T1548"}, // is in TA0004 alone now
		{"f", "TA0001", "T1087"}, // does not serve it
		{"g", "TA9999", "T1087"},
		{"g", "TA0007", "T9999"},
		{"g", "TA0007", "T9999"},
	}
	unknown := []attack.Claim{{"f", "TA0001", "T1087"}, {"g", "TA0007", "T9999"}, {"g", "TA9999", "T1087"}}
	discovery := map[attack.Cell]int{{"TA0007", "T1087"}: 1, {"TA0007", "T1087.004"}: 2, {"TA0007", "T1580"}: 1}
	wholeDiscovery := map[attack.Cell]int{{"TA0007", "T1087"}: 2, {"TA0007", "T1087.004"}: 2, {"TA0007", "T1580"}: 1, {"TA0007", ""}: 3}
	with := func(m map[attack.Cell]int, more map[attack.Cell]int) map[attack.Cell]int {
		out := map[attack.Cell]int{}
		for _, m := range []map[attack.Cell]int{m, more} {
			for k, v := range m {
				out[k] = v
			}
		}
		return out
	}
	f := func(want attack.Coverage) {
		t.Helper()
		want.Unknown = unknown
		if diff := cmp.Diff(want, attack.In(want.Release).Cover(slices.Values(claims))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.Release, diff)
		}
	}
	f(attack.Coverage{Release: attack.Previous,
		Own: with(discovery, map[attack.Cell]int{{"TA0005", "T1562.008"}: 1, {"TA0005", ""}: 1,
			{"TA0005", "T1578"}: 1, {"TA0005", "T1548"}: 1}),
		Whole: with(wholeDiscovery, map[attack.Cell]int{{"TA0005", "T1562.008"}: 1, {"TA0005", "T1562"}: 1, {"TA0005", ""}: 4,
			{"TA0005", "T1578"}: 1, {"TA0005", "T1548"}: 1})})
	// In 19 techniques have other IDs, or lie in other tactics.
	f(attack.Coverage{Release: attack.Current,
		Own: with(discovery, map[attack.Cell]int{{"TA0112", "T1685.002"}: 1, {"TA0005", ""}: 1,
			{"TA0112", "T1578"}: 1, {"TA0004", "T1548"}: 1}),
		Whole: with(wholeDiscovery, map[attack.Cell]int{{"TA0112", "T1685.002"}: 1, {"TA0112", "T1685"}: 1, {"TA0112", ""}: 2, {"TA0005", ""}: 1,
			{"TA0112", "T1578"}: 1, {"TA0004", "T1548"}: 1, {"TA0004", ""}: 1})})
}

// MITRE's terms: designation and licence go with every copy.
func TestNotice(t *testing.T) {
	notice, err := os.ReadFile("../../NOTICE")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(string(notice)), " ")
	for _, part := range []string{attack.Attribution, attack.Licence} {
		if part == "" || !strings.Contains(text, part) {
			t.Errorf("NOTICE lacks %q", part)
		}
	}
}
