package lint_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lint"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/rules"
)

var update = flag.Bool("update", false, "rewrite docs/lint.md")

// declared is the catalogue as a resolver.
type declared struct{}

func (declared) Field(path string) (expr.Field, bool) {
	r, ok := ecs.Resolve(path)
	return expr.Field{Path: r.Path, Type: r.Type, Root: r.Type == event.Flattened && r.Flattened == path}, ok
}

func (d declared) Expand(pattern expr.Pattern) []expr.Field {
	var out []expr.Field
	for f := range ecs.Fields() {
		if pattern.Fits(f.Path, false) {
			known, _ := d.Field(f.Path)
			out = append(out, known)
		}
	}
	return out
}

// base are the keys of a rule that no check finds fault with, each with its lines.
var base = map[string]string{
	"rule_id":            "rule_id = 'r'",
	"name":               "name = 'n'",
	"description":        "description = 'd'",
	"type":               "type = 'query'",
	"severity":           "severity = 'low'",
	"risk_score":         "risk_score = 21",
	"query":              "query = 'event.action : x'",
	"from":               "from = 'now-9m'",
	"interval":           "interval = '5m'",
	"timestamp_override": "timestamp_override = 'event.ingested'",
	"[[rule.threat]]": `[[rule.threat]]
framework = "MITRE ATT&CK"
[rule.threat.tactic]
id = "TA0007"
name = "Discovery"
reference = "https://attack.mitre.org/tactics/TA0007/"`,
}

// parse reads a rule made of lines, and of the base where they say nothing.
func parse(t *testing.T, lines string) *rule.Rule {
	t.Helper()
	said := map[string]bool{}
	for line := range strings.Lines(lines) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), " =")
		said[key] = true
		if strings.HasPrefix(key, "[") {
			break
		}
	}
	var head, tail []string
	for _, key := range slices.Sorted(maps.Keys(base)) {
		switch {
		case said[key] || key == "[[rule.threat]]" && said["threat"] || key == "timestamp_override" && strings.Contains(lines, "now-6m"):
		case strings.HasPrefix(key, "["):
			tail = append(tail, base[key])
		default:
			head = append(head, base[key])
		}
	}
	text := "[rule]\n" + strings.Join(head, "\n") + "\n" + lines + "\n" + strings.Join(tail, "\n") + "\n"
	r, err := rule.Parse("r.toml", []byte(text))
	if err != nil {
		t.Fatalf("%s\n%s", diag.Of(err).Render(), text)
	}
	return r
}

func codes(found diag.List) []string {
	out := []string{}
	for _, d := range found {
		out = append(out, d.Code)
	}
	return slices.Compact(out)
}

// Each check finds its mistake in its own example, alone, and nothing in the example without it.
func TestExamples(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range lint.Checks() {
		found := lint.Run(parse(t, c.Before), declared{})
		if diff := cmp.Diff([]string{c.Code}, codes(found)); diff != "" {
			t.Errorf("%s (%s) before:\n%s\n%s", c.Name, c.Code, diff, found.Render())
		}
		for _, d := range found {
			if d.File != "r.toml" || d.Text == "" || d.Message == "" || d.Severity != c.Severity {
				t.Errorf("%s: a finding without place or text: %+v", c.Name, d)
			}
		}
		if found := lint.Run(parse(t, c.After), declared{}); len(found) > 0 {
			t.Errorf("%s (%s) after:\n%s", c.Name, c.Code, found.Render())
		}
		if seen[c.Name] || seen[c.Code] || c.Title == "" || c.About == "" {
			t.Errorf("%s (%s) comes twice or says nothing of itself", c.Name, c.Code)
		}
		seen[c.Name], seen[c.Code] = true, true
	}
	if len(seen) < 2*13 {
		t.Errorf("%d checks", len(seen)/2)
	}
}

// TestFindings holds what each check says and where to some more rules.
func TestFindings(t *testing.T) {
	f := func(lines string, want ...string) {
		t.Helper()
		got := []string{}
		for _, d := range lint.Run(parse(t, lines), declared{}) {
			place := d.Text[d.Span.Start:d.Span.End]
			got = append(got, fmt.Sprintf("%s %s: %s", d.Code, place, d.Message))
		}
		if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
			t.Errorf("%s\n%s", lines, diff)
		}
	}
	f("")
	// Windows.
	f("from = 'now-6m'", "LINT0101 'now-6m': a window of 6m is shorter than the interval (5m) and the usual delay of events (5m): what arrives later is missed")
	f("from = 'now-6m'\ntimestamp_override = 'event.ingested'")
	f("from = 'now-6m'\ninterval = '1m'")
	f("from = 'now-5m'", "LINT0102 'now-5m': windows of 5m every 5m touch and do not overlap: what arrives late is missed")
	f("from = 'now-5m'\ntimestamp_override = '@timestamp'", "LINT0102 'now-5m': windows of 5m every 5m touch and do not overlap: what arrives late is missed")
	f("from = 'now-10m'\nto = 'now-8m'", "LINT0102 'now-10m': windows of 2m every 5m leave 3m out each time")
	f("from = '2026-01-01T00:00:00Z'")
	f("from = 'now-1d/d'\ninterval = '1h'")
	// Fields.
	f("query = 'winlog.event_id : 1'", "LINT0201 winlog.event_id: no field is called winlog.event_id; it is read as a keyword")
	f("query = 'event.foo : 1 and event.foo : 2'", "LINT0201 event.foo: no field is called event.foo; it is read as a keyword")
	f("severity_mapping = [{field='event.severty', operator='equals', value='1', severity='high'}]",
		"LINT0201 'event.severty': no field is called event.severty")
	f("type = 'threshold'\n[rule.threshold]\nfield = ['user.nam', 'message']\nvalue = 1",
		"LINT0201 'user.nam': no field is called user.nam",
		"LINT0202 'message': message is analysed: its whole values cannot be told apart")
	f("query = 'message : error and message : *'", "LINT0202 message: message is analysed: a value fits if it holds the words, in any case of letters")
	f("query = 'event.action : Create* and event.action : CreateUser*'")
	f("query = 'aws.cloudtrail.flattened.request_parameters.x : 1 and labels.any : y and user.name : *'")
	f("query = 'user.name : (*a or b* or *) and host.name : *'", "LINT0203 *a: a pattern that begins with * is compared with every value of the field")
	f(`query = 'user.name : "*a"'`, `LINT0205 "*a": a star in quotes stands for itself, not for any characters`)
	// Contradictions.
	never := func(query string, places ...string) {
		t.Helper()
		var want []string
		for _, p := range places {
			want = append(want, "LINT0204 "+p+": no event can fulfil this condition")
		}
		f("query = '''"+query+"'''", want...)
	}
	never("event.action : a and not event.action : a", "event.action : a and not event.action : a")
	never("event.action : a and not (event.action : b or event.action : (a or c))", "event.action : a and not (event.action : b or event.action : (a or c")
	never("event.action : a and event.action : b", "event.action : a and event.action : b")
	never("event.category : a and event.category : b") // a list
	never("event.action : (a or b) and event.action : (b or c)")
	never("event.action : Create* and event.action : Delete", "event.action : Create* and event.action : Delete")
	never("event.action : Delete and event.action : Create*", "event.action : Delete and event.action : Create*")
	never("event.action : Create and not event.action : C*", "event.action : Create and not event.action : C*")
	never("event.action : a and not event.action : *", "event.action : a and not event.action : *")
	never("source.port > 10 and source.port < 5", "source.port > 10 and source.port < 5")
	never("source.port >= 5 and source.port <= 5")
	never("source.port > 5 and source.port <= 5", "source.port > 5 and source.port <= 5")
	never("source.port : 7 and source.port < 5", "source.port : 7 and source.port < 5")
	never("user.name : x or (event.action : a and not event.action : a)", "event.action : a and not event.action : a")
	never("user.name : x and not (event.action : a and event.action : b)", "event.action : a and event.action : b")
	never("event.outcome : success and (user.name : a or user.name : b) and not user.name : c")
	f("query = 'source.port : 1.5'", "LINT0204 1.5: source.port holds whole numbers: none equals 1.5")
	f("query = 'event.action : a'\nfilters = [{ query = { exists = { field = 'user.name' } } }, { query = { term = { 'event.action' = 'b' } } }]",
		"LINT0204 [{ query = { exists = { field = 'user.name' } } }, { query = { term = { 'event.action' = 'b' } } }]: with the query and the filters before it, no event can fulfil this filter")
	f("filters = [{ meta = { negate = true }, query = { match_all = {} } }]",
		"LINT0204 [{ meta = { negate = true }, query = { match_all = {} } }]: no event can fulfil this filter")
	f(`filters = [{ query = { wildcard = { 'file.path' = 'C:\Windows\*' } } }]`,
		`LINT0205 'C:\Windows\*': filters[0].query.wildcard["file.path"]: in the pattern \W means W`)
	f("filters = [{ query = { term = { 'event.acton' = 'b' } } }]",
		"LINT0201 'b': filters[0].query.term[\"event.acton\"]: the field event.acton is not declared: it is read as a keyword")
	// ATT&CK, risk.
	place := func(ids ...string) string {
		lines := "[[rule.threat]]\nframework = 'MITRE ATT&CK'\ntactic = { id = 'TA0005', name = 'n', reference = 'r' }\n"
		for _, id := range ids {
			lines += "[[rule.threat.technique]]\nid = '" + id + "'\nname = 'n'\nreference = 'r'\n"
		}
		return lines
	}
	f(place("T1562"), "LINT0302 'T1562': T1562 (n) is retired in ATT&CK 19")
	f(place("T1562", "T1685"))                  // a rule may speak to both releases
	f(place("T1562", "T1562.007", "T1686.001")) // a technique by what took its sub-technique's place
	f(place("T1562", "T1562.008", "T1685.002")) // the sub-technique's successor speaks for both
	f(place("T1562", "T1562.001", "T1685.002"), "LINT0302 'T1562': T1562 (n) is retired in ATT&CK 19",
		"LINT0302 'T1562.001': T1562.001 (n) is retired in ATT&CK 19")
	f(place("T0001"), `LINT0303 'T0001': "T0001" is no ID of ATT&CK`)
	f("severity = 'medium'", "LINT0304 21: a risk score of 21 does not go with the severity medium")
	f("severity = 'high'\nrisk_score = 74", "LINT0304 74: a risk score of 74 does not go with the severity high")
	f("severity = 'medium'\nrisk_score = 22")
	f("type = 'esql'\nlanguage = 'esql'\nquery = 'from a | stats c = count(*) | where c > 1'",
		"LINT0305 stats: alerts of this rule show no field of its events: no exception can be made from one")
	f("type = 'esql'\nlanguage = 'esql'\nquery = 'from a | stats c = count(*) by user.name'")
	// A query that cannot be used is not looked into.
	f("query = 'event.acton : ('")
}

// A note, not a warning, where the catalogue knows nothing of the kind.
func TestUnknownFamily(t *testing.T) {
	f := func(query string, want diag.Severity) {
		t.Helper()
		found := lint.Run(parse(t, "query = '"+query+"'"), declared{})
		if len(found) != 1 || found[0].Severity != want {
			t.Errorf("%s: %v", query, found)
		}
	}
	f("okta.actor.id : x", diag.Note)
	f("event.foo : x", diag.Warning)
	f("evnt.action : x", diag.Warning)
}

// What is wrong with a query is found in the rule's file, in queries of indicators as well.
func TestQuery(t *testing.T) {
	f := func(lines string, want ...string) {
		t.Helper()
		got := []string{}
		for _, d := range lint.Query(parse(t, lines), declared{}) {
			from, to := d.Span.Start, d.Span.End
			got = append(got, fmt.Sprintf("%s %s %q %s", d.Severity, d.Code, d.Text[max(0, from-6):from], d.Text[from:to]))
		}
		if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
			t.Errorf("%s\n%s", lines, diff)
		}
	}
	f("query = 'user.name : x'")
	f("query = 'user.name : )'", `error KQL0106 "ame : " )`)
	f(`query = "user.name : \"a\" and source.ip : \"b\""`, `error KQL0305 ".ip : " \"b\"`)
	f("query = 'user.nam : x'", `warning KQL0201 "ry = '" user.nam`)
	f("type = 'eql'\nlanguage = 'eql'\nquery = 'any where ('", `error EQL0105 "here (" `)
	f("type = 'eql'\nlanguage = 'eql'\nquery = 'any where user.nam == \"x\" or okta.actor.id == \"y\"'", `warning EQL0301 "where " user.nam`,
		`note EQL0301 "x\" or " okta.actor.id`)
	f("type = 'esql'\nlanguage = 'esql'\nquery = 'from ('") // not looked at
	f("filters = [{ query = { exists = { field = 'user.name' } } }, { meta = { negate = true }, query = { term = { 'user.name' = 'x' } } }]")
	f("filters = [{ query = { ids = { values = ['1'] } } }]", `error FLT0103 "ids = " { values = ['1'] }`)
	f("filters = [{ query = { term = { 'source.port' = 'x' } } }]", `error FLT0301 "rt' = " 'x'`)
	f("filters = [{ query = { term = { 'user.nam' = 'x' } } }]", `warning FLT0201 "am' = " 'x'`)
	f(`type = "threat_match"
threat_query = "source.ip : \"x\""
threat_index = ["ti-*"]
query = "user.name : )"
[[rule.threat_mapping]]
[[rule.threat_mapping.entries]]
field = "a"
type = "mapping"
value = "b"`, `error KQL0305 ".ip : " \"x\"`, `error KQL0106 "ame : " )`)
}

// Our own rules have nothing to be warned of.
func TestOwnRules(t *testing.T) {
	set := rule.LoadFS(rules.FS)
	if len(set.Rules) < 2 {
		t.Fatalf("%d rules", len(set.Rules))
	}
	for _, r := range set.Rules {
		for _, d := range append(lint.Query(r, declared{}), lint.Run(r, declared{})...) {
			if d.Severity != diag.Note {
				t.Errorf("%s", d.Render())
			}
		}
	}
}

// TestConformancePublicRules runs every check over every public rule: none fails, and each finding has its place in the
// rule's file.
func TestConformancePublicRules(t *testing.T) {
	set := rule.Load(corpus.Dir(t, "corpus/rules"))
	tally := corpus.NewTally(t, "rules/lint")
	counts := map[string]int{}
	for _, r := range set.Rules {
		bad := false
		for _, d := range lint.Run(r, declared{}) {
			counts[d.Code+" "+d.Severity.String()]++
			if d.File != r.File || d.Text == "" || d.Span.End <= d.Span.Start {
				tally.Fail(r.File, d.Render())
				bad = true
			}
		}
		if !bad {
			tally.Pass()
		}
	}
	for _, code := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%5d %s", counts[code], code)
	}
}

// TestDocumentation holds docs/lint.md to the table of checks.
func TestDocumentation(t *testing.T) {
	const name = "../../docs/lint.md"
	want := lint.Markdown()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("%s is not what the checks say; regenerate it with: go test ./internal/lint -run Documentation -update\n%s", name, diff)
	}
}
