package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/rules"
)

// bundled returns the rules that come with Tocsin, by their name for themselves.
func bundled(t *testing.T) map[string]*rule.Rule {
	t.Helper()
	set, more := rule.LoadFS(rules.FS), rule.LoadFS(rules.Indicators)
	set.Rules, set.Problems, set.Files = append(set.Rules, more.Rules...), append(set.Problems, more.Problems...), set.Files+more.Files
	for _, p := range set.Problems {
		t.Error(p)
	}
	out := map[string]*rule.Rule{}
	for _, r := range set.Rules {
		if twin := out[r.RuleID]; twin != nil {
			t.Errorf("%s and %s have one rule_id", twin.File, r.File)
		}
		out[r.RuleID] = r
	}
	if len(out) < 2 || len(out) != set.Files {
		t.Fatalf("%d rules in %d files", len(out), set.Files)
	}
	return out
}

// TestBundled holds what every bundled rule owes to whoever is woken by it.
func TestBundled(t *testing.T) {
	for _, r := range bundled(t) {
		f := func(ok bool, what string, args ...any) {
			t.Helper()
			if !ok {
				t.Errorf("%s: %s", r.File, fmt.Sprintf(what, args...))
			}
		}
		f(r.CannotRun == "", "it does not run: %s", r.CannotRun)
		f(r.Enabled, "it is off")
		f(slices.Equal(r.Author, []string{"Tocsin"}) && r.License == "Apache-2.0", "author %q, licence %q", r.Author, r.License)
		f(len(r.Description) > 100, "the description is short")
		f(len(r.FalsePositives) > 0, "no false positives are named")
		f(len(r.References) > 0, "no references")
		f(len(r.Threat) > 0, "no ATT&CK technique")
		f(slices.Contains(r.Tags, "Resources: Investigation Guide"), "the tag of its guide is missing")
		previous := -1
		for _, heading := range []string{"## Triage", "### 1. ", "## False positives", "## Response"} {
			at := strings.Index(r.Note, heading)
			f(at > previous, "the guide has no %q in its place", heading)
			previous = at
		}
		f(strings.Count(r.Note, "- [ ] ") >= 5, "the response has %d points", strings.Count(r.Note, "- [ ] "))
	}
}

// TestFirstTimeRules holds the two rules on GetCallerIdentity to what they were written after: how they run, and which
// questions their guides answer, in this order.
func TestFirstTimeRules(t *testing.T) {
	all := bundled(t)
	f := func(id, field, severity string, risk int, excluded string) {
		t.Helper()
		r := all[id]
		if r == nil {
			t.Fatalf("no rule %s", id)
		}
		got := fmt.Sprint(r.Type, r.Language, r.Index, r.From, r.Interval, r.MaxSignals, r.HistoryWindowStart, r.NewTermsFields, r.Severity, r.RiskScore)
		want := fmt.Sprint("new_terms", "kuery", []string{"filebeat-*", "logs-aws.cloudtrail-*"}, "now-60m", "10m", 100, "now-15d", []string{field}, severity, risk)
		if got != want {
			t.Errorf("%s: runs as %s, expected %s", r.File, got, want)
		}
		for _, part := range []string{`event.dataset: "aws.cloudtrail"`, `event.provider: "sts.amazonaws.com"`, `event.action: "GetCallerIdentity"`,
			`event.outcome: "success"`, excluded} {
			if !strings.Contains(r.Query, part) {
				t.Errorf("%s: the query has no %s", r.File, part)
			}
		}
		threat := r.Threat[0]
		if threat.Tactic.ID != "TA0007" || threat.Techniques[0].ID != "T1087" || threat.Techniques[0].Subtechniques[0].ID != "T1087.004" {
			t.Errorf("%s: ATT&CK %+v", r.File, threat)
		}
		steps := strings.Split(r.Note, "\n### ")[1:]
		words := []string{"very suspicious|take theft", "expected", "last 48 hours", "`user_agent.original`", "common here", "what they answered, and when",
			"one of your\naccounts|one of your accounts", "policies", "last 24 hours"}
		if len(steps) != len(words) {
			t.Fatalf("%s: the guide has %d steps, expected %d", r.File, len(steps), len(words))
		}
		for n, want := range words {
			if !slices.ContainsFunc(strings.Split(want, "|"), func(w string) bool { return strings.Contains(steps[n], w) }) {
				t.Errorf("%s: step %d does not say %q", r.File, n+1, want)
			}
		}
		_, response, _ := strings.Cut(r.Note, "## Response")
		for _, point := range []string{"Open an incident", "impact", "legal", "Rotate", "reset", "ulti-factor", "permissions", "security practices", "Restore",
			"first came in", "logging"} {
			if !strings.Contains(response, point) {
				t.Errorf("%s: the response does not say %q", r.File, point)
			}
		}
	}
	f("ccb73eb6-f306-418a-8978-f0cbbc7de119", "aws.cloudtrail.user_identity.arn", "medium", 47,
		`not aws.cloudtrail.user_identity.type: "AssumedRole"`)
	f("1bf58f9d-69cc-415a-a9c0-30657ed047bf", "aws.cloudtrail.user_identity.session_context.session_issuer.arn", "high", 73,
		`and aws.cloudtrail.user_identity.type: "AssumedRole"`)
}
