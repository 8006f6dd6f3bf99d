package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/attack"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// framework is what rules call ATT&CK.
const framework = "MITRE ATT&CK"

func noAttack(s *subject) diag.List {
	for _, t := range s.rule.Threat {
		if t.Framework == framework {
			return nil
		}
	}
	return diag.List{s.at("threat", "threat", "the rule has no place in ATT&CK", "add a [[rule.threat]] with its tactic and technique")}
}

// placed is an ID of ATT&CK that the rule names.
type placed struct{ key, id, name string }

// ids are the IDs that the rule names, each once.
func (s *subject) ids() []placed {
	var out []placed
	seen := map[string]bool{}
	add := func(key string, r rule.Reference) {
		if !seen[r.ID] {
			seen[r.ID] = true
			out = append(out, placed{key + ".id", r.ID, r.Name})
		}
	}
	for i, t := range s.rule.Threat {
		if t.Framework != framework {
			continue
		}
		at := fmt.Sprintf("threat.%d", i)
		add(at+".tactic", t.Tactic)
		for j, q := range t.Techniques {
			at := fmt.Sprintf("%s.technique.%d", at, j)
			add(at, q.Reference)
			for k, sub := range q.Subtechniques {
				add(fmt.Sprintf("%s.subtechnique.%d", at, k), sub)
			}
		}
	}
	return out
}

func retiredAttack(s *subject) diag.List {
	var out diag.List
	for _, p := range s.ids() {
		now, known := attack.Replacements(p.id)
		if !known || len(now) == 1 && now[0] == p.id {
			continue
		}
		if s.succeeded(p.id) {
			continue // a rule may speak to both releases
		}
		hint := "nothing took its place"
		if len(now) > 0 {
			hint = "write " + strings.Join(withNames(now), " or ")
		}
		out = append(out, s.at(p.key, p.key, fmt.Sprintf("%s (%s) is retired in ATT&CK %s", p.id, p.name, attack.Current), hint))
	}
	return out
}

// succeeded reports whether the rule also names what took the place of an ID, or, of a technique, of one of its
// sub-techniques.
func (s *subject) succeeded(id string) bool {
	named := func(ids []string) bool {
		return slices.ContainsFunc(s.ids(), func(p placed) bool { return slices.Contains(ids, p.id) })
	}
	return slices.ContainsFunc(s.ids(), func(p placed) bool {
		if p.id != id && !strings.HasPrefix(p.id, id+".") {
			return false
		}
		now, _ := attack.Replacements(p.id)
		return named(now)
	})
}

// withNames puts their names behind IDs.
func withNames(ids []string) []string {
	table := attack.In(attack.Current)
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = id
		if t, ok := table.Technique(id); ok {
			out[i] += " (" + t.Name + ")"
		} else if t, ok := table.Tactic(id); ok {
			out[i] += " (" + t.Name + ")"
		}
	}
	return out
}

func unknownAttack(s *subject) diag.List {
	var out diag.List
	for _, p := range s.ids() {
		if _, known := attack.Replacements(p.id); known {
			continue
		}
		if _, old := attack.In(attack.Previous).Tactic(p.id); old {
			continue
		}
		hint := ""
		for _, release := range []attack.Release{attack.Current, attack.Previous} {
			if found := attack.In(release).TechniquesNamed(p.name); len(found) > 0 {
				hint = fmt.Sprintf("%s is %s", found[0].Name, found[0].ID)
				break
			}
		}
		out = append(out, s.at(p.key, p.key, fmt.Sprintf("%q is no ID of ATT&CK", p.id), hint))
	}
	return out
}

// bands are the greatest risk scores of each severity.
var bands = []struct {
	severity string
	most     int
}{{"low", 21}, {"medium", 47}, {"high", 73}, {"critical", 100}}

func riskApart(s *subject) diag.List {
	least := 0
	for _, b := range bands {
		if s.rule.Severity == b.severity && (s.rule.RiskScore < least || s.rule.RiskScore > b.most) {
			return diag.List{s.at("risk_score", "risk_score",
				fmt.Sprintf("a risk score of %d does not go with the severity %s", s.rule.RiskScore, b.severity),
				fmt.Sprintf("%s: %d to %d", b.severity, least, b.most))}
		}
		least = b.most + 1
	}
	return nil
}

var statistics = regexp.MustCompile(`(?is)\|\s*stats\b([^|]*)`)

func noExceptions(s *subject) diag.List {
	const message = "alerts of this rule show no field of its events: no exception can be made from one"
	r := s.rule
	if r.Threshold != nil && len(r.Threshold.Fields) == 0 {
		return diag.List{s.at("threshold.field", "threshold.field", message, "group by the field that tells one case from the other")}
	}
	if r.Type != rule.TypeESQL {
		return nil
	}
	for _, m := range statistics.FindAllStringSubmatchIndex(r.Query, -1) {
		if !regexp.MustCompile(`(?i)\bby\b`).MatchString(r.Query[m[2]:m[3]]) {
			at := diag.Span{Start: m[2] - len("stats"), End: m[2]}
			return s.places.In("query", diag.List{{Span: at, Text: r.Query, Message: message,
				Hint: "add by and the fields that tell one case from the other"}})
		}
	}
	return nil
}
