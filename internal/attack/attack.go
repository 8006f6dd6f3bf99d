// Package attack knows MITRE ATT&CK Enterprise: tactics, techniques and sub-techniques of two releases, what became of
// retired IDs, and how many rules speak of what.
//
// Rules in the wild are written against Previous; Current renamed TA0005 and retired some IDs. Both releases are whole,
// and Replacements leads from an old ID to the present ones. No descriptions are held: URL says where they stand.
//
//	t, ok := attack.In(attack.Previous).Technique("T1087.004") // Cloud Account, of Account Discovery, in TA0007
//	attack.URL("T1087.004")                                    // https://attack.mitre.org/techniques/T1087/004/
//	ids, ok := attack.Replacements("T1562.008")                // T1685.002
//
// The table is generated from the shared data. MITRE's terms ask that Attribution and Licence go with every copy.
package attack

//go:generate go run generate.go

import (
	"slices"
	"strings"
	"sync"
)

// Release is a release of ATT&CK.
type Release string

// The releases.
const (
	Current  Release = "19"
	Previous Release = "18.1"
)

// Tactic is a tactic: why something is done.
type Tactic struct {
	ID   string // TA0007
	Name string // Discovery
	Slug string // discovery
}

// Technique is a technique or a sub-technique: how something is done.
type Technique struct {
	ID      string   // T1087 or T1087.004
	Name    string   // without that of the parent
	Parent  string   // T1087 for T1087.004, "" for a technique
	Tactics []string // IDs of the tactics that it serves, one at least; not to be changed
}

// Table is one release. It is immutable and safe for concurrent use.
type Table struct {
	release    Release
	tactics    []Tactic // in the order of the matrix
	techniques []Technique
	byName     map[string][]int // lower-case name → places in techniques
}

// In returns the table of r; any release but Previous is Current.
func In(r Release) *Table {
	if r == Previous {
		return previous()
	}
	return current()
}

var (
	current  = sync.OnceValue(func() *Table { return read(Current, currentTactics, currentTechniques) })
	previous = sync.OnceValue(func() *Table { return read(Previous, previousTactics, previousTechniques) })
)

// read reads the lines "ID<tab>slug<tab>name" of tactics and "ID<tab>tactic,tactic<tab>name" of techniques.
func read(r Release, tactics, techniques string) *Table {
	t := &Table{release: r, byName: map[string][]int{}}
	for _, f := range lines(tactics) {
		t.tactics = append(t.tactics, Tactic{ID: f[0], Slug: f[1], Name: f[2]})
	}
	for i, f := range lines(techniques) {
		parent, _, sub := strings.Cut(f[0], ".")
		if !sub {
			parent = ""
		}
		t.techniques = append(t.techniques, Technique{ID: f[0], Name: f[2], Parent: parent, Tactics: strings.Split(f[1], ",")})
		name := strings.ToLower(f[2])
		t.byName[name] = append(t.byName[name], i)
	}
	return t
}

// lines returns the three fields of each line of a table.
func lines(table string) (out [][3]string) {
	for line := range strings.Lines(table) {
		if a, rest, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); ok {
			b, c, _ := strings.Cut(rest, "\t")
			out = append(out, [3]string{a, b, c})
		}
	}
	return out
}

// Release returns the release that t is.
func (t *Table) Release() Release { return t.release }

// Tactics returns all tactics in the order of the matrix.
func (t *Table) Tactics() []Tactic { return slices.Clone(t.tactics) }

// Techniques returns all techniques and sub-techniques, sorted by ID.
func (t *Table) Techniques() []Technique { return slices.Clone(t.techniques) }

// Tactic returns the tactic with this ID.
func (t *Table) Tactic(id string) (Tactic, bool) {
	for _, x := range t.tactics {
		if x.ID == id {
			return x, true
		}
	}
	return Tactic{}, false
}

// TacticNamed returns the tactic with this name or slug, in any case.
func (t *Table) TacticNamed(name string) (Tactic, bool) {
	for _, x := range t.tactics {
		if strings.EqualFold(x.Name, name) || strings.EqualFold(x.Slug, name) {
			return x, true
		}
	}
	return Tactic{}, false
}

// Technique returns the technique or sub-technique with this ID.
func (t *Table) Technique(id string) (Technique, bool) {
	i, ok := slices.BinarySearchFunc(t.techniques, id, func(x Technique, id string) int { return strings.Compare(x.ID, id) })
	if !ok {
		return Technique{}, false
	}
	return t.techniques[i], true
}

// TechniquesNamed returns the techniques and sub-techniques with this name, in any case, sorted by ID. Some sub-techniques
// of different parents share one.
func (t *Table) TechniquesNamed(name string) []Technique {
	var out []Technique
	for _, i := range t.byName[strings.ToLower(name)] {
		out = append(out, t.techniques[i])
	}
	return out
}

// Serves reports whether the technique lies in the tactic, both by ID.
func (t *Table) Serves(technique, tactic string) bool {
	x, ok := t.Technique(technique)
	return ok && slices.Contains(x.Tactics, tactic)
}

// Kind is what an ID names.
type Kind uint8

// The kinds.
const (
	None           Kind = iota // no ID of ATT&CK
	IsTactic                   // TA0007
	IsTechnique                // T1087
	IsSubtechnique             // T1087.004
)

// KindOf returns what id names by its form, known or not.
func KindOf(id string) Kind {
	digits := func(s string, n int) bool {
		return len(s) == n && strings.Trim(s, "0123456789") == ""
	}
	if rest, ok := strings.CutPrefix(id, "TA"); ok && digits(rest, 4) {
		return IsTactic
	}
	rest, ok := strings.CutPrefix(id, "T")
	number, sub, hasSub := strings.Cut(rest, ".")
	switch {
	case !ok || !digits(number, 4) || hasSub && !digits(sub, 3):
		return None
	case hasSub:
		return IsSubtechnique
	}
	return IsTechnique
}

// URL is the page of a tactic, technique or sub-technique, as rules write it; "" for what is no ID.
func URL(id string) string {
	const site = "https://attack.mitre.org/"
	switch KindOf(id) {
	case IsTactic:
		return site + "tactics/" + id + "/"
	case IsTechnique, IsSubtechnique:
		return site + "techniques/" + strings.Replace(id, ".", "/", 1) + "/"
	}
	return ""
}
