package attack

import (
	"iter"
	"slices"
	"strings"
)

// Claim is what a rule says of itself: that it detects a technique or sub-technique, in a tactic. Technique "" claims the
// tactic as a whole.
type Claim struct {
	Rule      string // any name that tells rules apart
	Tactic    string // ID
	Technique string // ID
}

// Cell is a place in the matrix: a technique or sub-technique in a tactic, or, without technique, the tactic's head.
type Cell struct{ Tactic, Technique string }

// Coverage is how many rules speak of each place in the matrix of one release. A rule counts once in a cell however often
// it claims it.
type Coverage struct {
	// Release is the release whose matrix it is.
	Release Release
	// Own counts the rules that claim exactly this cell.
	Own map[Cell]int
	// Whole counts for a technique the rules that claim it or one of its sub-techniques there, for a tactic's head all
	// rules that claim anything in the tactic.
	Whole map[Cell]int
	// Unknown are the claims that lie nowhere in the release: an ID that it does not have, or a technique that does not
	// serve the tactic. Sorted, each once.
	Unknown []Claim
}

// Cover counts claims over the matrix of t. Where t is the current release, claims of the previous one count for what they
// became: a retired ID for those that replaced it; a technique that left the claimed tactic in the tactics that it joined
// instead, or, if it joined none, in those that it still serves.
func (t *Table) Cover(claims iter.Seq[Claim]) Coverage {
	own, whole := map[Cell]map[string]bool{}, map[Cell]map[string]bool{}
	unknown := map[Claim]bool{}
	note := func(m map[Cell]map[string]bool, c Cell, rule string) {
		if m[c] == nil {
			m[c] = map[string]bool{}
		}
		m[c][rule] = true
	}
	for claim := range claims {
		cells := t.cells(claim)
		if len(cells) == 0 {
			unknown[claim] = true
		}
		for _, c := range cells {
			note(own, c, claim.Rule)
			note(whole, c, claim.Rule)
			if parent, _, sub := strings.Cut(c.Technique, "."); sub {
				note(whole, Cell{c.Tactic, parent}, claim.Rule)
			}
			note(whole, Cell{Tactic: c.Tactic}, claim.Rule)
		}
	}
	out := Coverage{Release: t.release, Own: counts(own), Whole: counts(whole)}
	for c := range unknown {
		out.Unknown = append(out.Unknown, c)
	}
	slices.SortFunc(out.Unknown, func(a, b Claim) int {
		return slices.Compare([]string{a.Rule, a.Tactic, a.Technique}, []string{b.Rule, b.Tactic, b.Technique})
	})
	return out
}

func counts(m map[Cell]map[string]bool) map[Cell]int {
	out := make(map[Cell]int, len(m))
	for c, rules := range m {
		out[c] = len(rules)
	}
	return out
}

// cells returns where a claim lies in t.
func (t *Table) cells(c Claim) []Cell {
	if _, ok := t.Tactic(c.Tactic); !ok {
		return nil
	}
	if c.Technique == "" {
		return []Cell{{Tactic: c.Tactic}}
	}
	if t.Serves(c.Technique, c.Tactic) {
		return []Cell{{c.Tactic, c.Technique}}
	}
	if t.release != Current {
		return nil
	}
	if x, ok := t.Technique(c.Technique); ok {
		before, _ := In(Previous).Technique(c.Technique)
		if !slices.Contains(before.Tactics, c.Tactic) {
			return nil
		}
		joined := slices.DeleteFunc(slices.Clone(x.Tactics), func(id string) bool { return slices.Contains(before.Tactics, id) })
		if len(joined) == 0 {
			joined = x.Tactics
		}
		return inTactics(c.Technique, joined)
	}
	var out []Cell
	replacements, _ := Replacements(c.Technique)
	for _, id := range replacements {
		if x, _ := t.Technique(id); slices.Contains(x.Tactics, c.Tactic) {
			out = append(out, Cell{c.Tactic, id})
		} else {
			out = append(out, inTactics(id, x.Tactics)...)
		}
	}
	return out
}

func inTactics(technique string, tactics []string) []Cell {
	var out []Cell
	for _, tactic := range tactics {
		out = append(out, Cell{tactic, technique})
	}
	return out
}
