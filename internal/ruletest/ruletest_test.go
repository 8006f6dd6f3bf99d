package ruletest_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/ruletest"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// declared are the fields of the catalogue.
type declared struct{ ecs.Profile }

func (d declared) Field(path string) (expr.Field, bool) {
	r, ok := d.Resolve(path)
	return expr.Field{Path: r.Path, Type: r.Type, Root: r.Type == event.Flattened && r.Flattened == path}, ok
}

func (d declared) Expand(pattern expr.Pattern) (out []expr.Field) {
	for f := range d.Fields() {
		if pattern.Fits(f.Path, false) {
			r, _ := d.Field(f.Path)
			out = append(out, r)
		}
	}
	return out
}

var options = ruletest.Options{Fields: func(p ecs.Profile, _ []store.Stream) plan.Resolver { return declared{p} }}

// head is what every rule of the tests begins with.
const head = "[rule]\nrule_id = 'r'\nname = 'n'\ndescription = 'd'\nseverity = 'low'\nrisk_score = 21\nindex = ['logs-*']\n"

// run writes a rule and its tests and runs them.
func run(t *testing.T, rule, tests string) ruletest.File {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"r.toml": head + rule, "r.test.toml": tests} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	f, err := ruletest.Run(t.Context(), filepath.Join(dir, "r.test.toml"), options)
	if err != nil {
		t.Fatal(err)
	}
	for i := range f.Problems {
		f.Problems[i].File = filepath.Base(f.Problems[i].File)
	}
	return f
}

// said is what a file's failures say, a line each, and its problems.
func said(f ruletest.File) []string {
	out := []string{}
	for _, d := range f.Problems {
		out = append(out, strings.TrimSpace(d.Error()+" "+d.Hint))
	}
	for _, c := range f.Cases {
		for _, p := range c.Failures {
			out = append(out, fmt.Sprintf("%d: expected %s; came %s", p.Line, p.Expected, p.Came))
			for _, n := range p.Nearest {
				if at := strings.Index(n, "r.toml:"); at >= 0 { // without the folder
					before, _, _ := strings.Cut(n, ": ")
					n = before + ": " + n[at:]
				}
				out = append(out, "  "+n)
			}
		}
	}
	return out
}

const logins = "type = 'query'\nquery = '''\nevent.action: login and (user.name: (alice or bob) or source.port > 1000) and not event.outcome: failure\n'''\n"

// A case passes when exactly what it expects came; what fails says what came and what stood in the way.
func TestJudgement(t *testing.T) {
	f := func(tests string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(append([]string{}, want...), said(run(t, logins, "[base.in]\nfields = { \"event.action\" = \"login\", \"user.name\" = \"alice\" }\n[[case]]\nname = 'x'\n"+tests))); diff != "" {
			t.Errorf("%s\n%s", tests, diff)
		}
	}
	f(`events = [{ base = "in" }]
alerts = [{ event = "event-1" }]`)
	f(`events = [{ base = "in" }, { base = "in", at = "now+1h" }]
alerts = [{ count = 2 }]`)
	f(`events = [{ base = "in", id = "a" }, { base = "in", id = "b", fields = { "user.name" = ["bob", "carol"] } }]
alerts = [{ fields = { "user.name" = "bob" } }, { fields = { "user.name" = "alice", "kibana.alert.risk_score" = 21, "source.ip" = [] } }]`)
	// The one that fits anything takes what the others leave.
	f(`events = [{ base = "in", id = "a" }, { base = "in", id = "b" }]
alerts = [{}, { event = "a" }]`)
	f(`events = [{ base = "in", id = "a" }, { base = "in", id = "b" }]
alerts = [{ event = "a" }]`,
		"3: expected no other alert; came an alert about event b",
		"  event b at 2026-01-15T12:00:00.000Z: event with by alice created low alert n.",
		"    what is expected on line 6 differs: it is about event b, not a")
	f(`events = [{ base = "in", id = "a" }]
alerts = [{ event = "a", fields = { "user.name" = "bob", "host.name" = "h" } }]`,
		`6: expected an alert about event a with host.name = "h", user.name = "bob"; came an alert about event a`,
		`  event a alerted, but host.name is absent, not "h"; user.name is "alice", not "bob"`,
		"3: expected no other alert; came an alert about event a",
		"  event a at 2026-01-15T12:00:00.000Z: event with by alice created low alert n.",
		`    what is expected on line 6 differs: host.name is absent, not "h"; user.name is "alice", not "bob"`)
	f(`events = [{ base = "in", id = "a" }]
none = "because of x"`,
		"3: expected no alert, because of x; came an alert about event a",
		"  event a at 2026-01-15T12:00:00.000Z: event with by alice created low alert n.")
	f(`events = [{ base = "in" }]
alerts = [{ count = 3 }]`,
		"6: expected 3 alerts; came 1 of them")
	f(`events = [{ base = "in" }]
alerts = [{ event = "other" }]`,
		"6: expected an alert about event other; came an alert about event event-1",
		"  no event has the ID other",
		"3: expected no other alert; came an alert about event event-1",
		"  event event-1 at 2026-01-15T12:00:00.000Z: event with by alice created low alert n.",
		"    what is expected on line 6 differs: it is about event event-1, not other")
	// The nearest event, and of it the fewest clauses that are in the way: one of an or, a not that holds.
	f(`events = [{ fields = { "user.name" = "alice" } }, { id = "near", base = "in", fields = { "user.name" = "carol", "event.outcome" = "failure" } }, { fields = { "host.name" = "x" } }]
alerts = [{ fields = { "user.name" = "carol" } }]`,
		`6: expected an alert with user.name = "carol"; came no alert`,
		`  event event-1: r.toml:10:15: event.action:login is false: it is absent`)
	f(`events = [{ id = "near", base = "in", fields = { "user.name" = "carol", "event.outcome" = "failure" } }]
alerts = [{ event = "near" }]`,
		`6: expected an alert about event near; came no alert`,
		`  event near: r.toml:10:38: user.name:alice is false: it is "carol"`,
		`  event near: r.toml:10:98: event.outcome:failure is true: it is "failure"`)
	// Of an or, the branch that lacks least.
	if got, want := said(run(t, "type = 'query'\nquery = 'event.action: a and (user.name: x and host.name: h or source.port: 1)'\n",
		"[[case]]\nname = 'x'\nevents = [{ fields = { \"event.action\" = 'a', \"source.port\" = 2 } }]\nalerts = [{}]\n")), []string{
		"4: expected an alert; came no alert", "  event event-1: r.toml:9:77: source.port:1 is false: it is \"2\""}; !cmp.Equal(got, want) {
		t.Errorf("an or: %s", cmp.Diff(want, got))
	}
	f(`events = [{ base = "in", stream = "other-x" }]
alerts = [{}]`,
		"6: expected an alert; came no alert",
		"  the rule did not run: no stream matches logs-*")
}

const firsts = `type = 'new_terms'
query = 'event.action: login'
from = 'now-9m'
[rule.new_terms]
field = 'new_terms_fields'
value = ['user.name', 'host.name']
[[rule.new_terms.history_window_start]]
field = 'history_window_start'
value = 'now-7d'
`

// History is what came before, and never alerts; times are those of the rule.
func TestHistoryAndTime(t *testing.T) {
	f := func(tests string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(append([]string{}, want...), said(run(t, firsts, "now = '2026-03-15T12:00:00Z'\n[base.in]\nfields = { \"event.action\" = \"login\", \"user.name\" = \"alice\", \"host.name\" = \"h\" }\n[[case]]\nname = 'x'\n"+tests))); diff != "" {
			t.Errorf("%s\n%s", tests, diff)
		}
	}
	f(`events = [{ base = "in", id = "a" }]
alerts = [{ event = "a", fields = { "kibana.alert.new_terms" = ["alice", "h"], "@timestamp" = "2026-03-15T12:05:00.000Z" } }]`)
	f(`history = [{ base = "in", at = "now-8d" }]
events = [{ base = "in", id = "a" }]
alerts = [{ event = "a" }]`)
	f(`history = [{ base = "in", at = "now-6d" }]
events = [{ base = "in" }]
none = "because it is known"`)
	f(`history = [{ base = "in", id = "past", at = "now-6d" }]
events = [{ base = "in", id = "a" }]
alerts = [{ event = "a" }]`,
		"8: expected an alert about event a; came no alert",
		`  event a matches the query, but user.name "alice" with host.name "h" was seen before, in event past at 2026-03-09T12:00:00.000Z`)
	f(`events = [{ base = "in", id = "a", fields = { "host.name" = [] } }]
alerts = [{ event = "a" }]`,
		"7: expected an alert about event a; came no alert",
		`  event a matches the query, but host.name is absent, and only an event with all new-terms fields counts`)
	// At one time alone: what is then in the window, and what is not yet.
	f(`run_at = "now+5m"
events = [{ base = "in", id = "a" }, { base = "in", id = "b", at = "now+6m", fields = { "user.name" = "bob" } }]
alerts = [{ event = "a" }]`)
	f(`run_at = "now+10m"
history = [{ base = "in", at = "now-1h", fields = { "user.name" = "carol" } }]
events = [{ base = "in", id = "a" }]
alerts = [{ event = "a" }]`,
		"9: expected an alert about event a; came no alert",
		`  event a matches the query, but its @timestamp (2026-03-15T12:00:00.000Z) is not in the window 2026-03-15T12:01:00.000Z … 2026-03-15T12:10:00.000Z`)
	f(`history = [{ base = "in" }]
events = [{ base = "in" }]
none = "because it is known"`,
		"r.test.toml:6:11: TEST0205: the history must lie before the events: history-1 is at 2026-03-15T12:00:00.000Z, the first event at 2026-03-15T12:00:00.000Z")
	// A whole day without data between events costs nothing and changes nothing.
	f(`now = "2026-03-15T12:00:00Z"
events = [{ base = "in", id = "a" }, { base = "in", id = "b", at = "now+20d" }]
alerts = [{ event = "a" }, { event = "b" }]`)
}

// Events come as CloudTrail records, ECS documents and fields, changed or not, or stand in files.
func TestEvents(t *testing.T) {
	const record = `{"eventTime":"2026-03-01T00:00:00Z","eventSource":"sts.amazonaws.com","eventName":"GetCallerIdentity","eventID":"own",` +
		`"userIdentity":{"type":"IAMUser","userName":"casey","arn":"arn:aws:iam::111122223333:user/casey"},"awsRegion":"us-east-1","sourceIPAddress":"192.0.2.1","requestParameters":null}`
	rule := "type = 'query'\nquery = 'event.action: GetCallerIdentity or event.action: login'\n"
	f := func(tests string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(append([]string{}, want...), said(run(t, rule, tests))); diff != "" {
			t.Errorf("%s\n%s", tests, diff)
		}
	}
	f("[base.r]\ncloudtrail = '''" + record + "'''\n" + `[[case]]
name = "a record"
events = [{ base = "r" }, { base = "r", id = "b", at = "2026-03-02T00:00:00Z", set = { "userIdentity.userName" = "dana", requestParameters = { a = { b = 1 } } }, without = ["userIdentity.arn"], fields = { "labels.x" = "y" } }]
alerts = [
    { event = "own", fields = { "user.name" = "casey", "kibana.alert.original_time" = "2026-03-01T00:00:00.000Z", "event.ingested" = "2026-03-01T00:05:00.000Z" } },
    { event = "b", fields = { "user.name" = "dana", "kibana.alert.original_time" = "2026-03-02T00:00:00.000Z", "labels.x" = "y", "aws.cloudtrail.flattened.request_parameters.a.b" = 1, "aws.cloudtrail.user_identity.arn" = [] } },
]
`)
	f(`[[case]]
name = "records without IDs are not the same"
events = [
    { cloudtrail = '{"eventName":"login","eventSource":"x.amazonaws.com"}' },
    { cloudtrail = '{"eventName":"login","eventSource":"x.amazonaws.com"}' },
]
alerts = [{ event = "event-1" }, { event = "event-2" }]
`)
	f(`[[case]]
name = "a document"
events = [
    { ecs = '{"event.action":"login","user":{"name":"x"},"@timestamp":"2026-03-01T00:00:00Z"}' },
    { ecs = '{"event":{"action":"login"},"data_stream":{"type":"logs","dataset":"d","namespace":"n"}}', set = { "event.action" = "login" }, id = "named", ingested = "now+1h" },
]
alerts = [
    { event = "event-1", fields = { "kibana.alert.original_time" = "2026-03-01T00:00:00.000Z", "kibana.alert.ancestors.index" = "logs-default" } },
    { event = "named", fields = { "kibana.alert.ancestors.index" = "logs-d-n", "event.ingested" = "2026-01-15T13:00:00.000Z" } },
]
`)
	f(`[[case]]
name = "two of one ID"
events = [{ id = "a", fields = { "event.action" = "x" } }, { id = "a", fields = { "event.action" = "y" } }]
none = "because"`, "r.test.toml:3:10: TEST0108: two events have one ID: a")
	f(`[[case]]
name = "no record"
events = [{ cloudtrail = '{"eventTime":"yesterday"}' }]
none = "because"`, `r.test.toml:3:26: TEST0204: no event comes out of case[1].events[1]: record rejected: no-event-time: eventTime "yesterday"`)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "trail.json"), []byte(`{"Records":[`+record+`]}`), 0o666); err != nil {
		t.Fatal(err)
	}
	f(`[[case]]
name = "a file"
events = [{ file = "` + relative(t, dir) + `/trail.json" }]
alerts = [{ event = "own" }]`)
	f(`[[case]]
name = "no file"
events = [{ file = "absent.json", at = "now" }]
none = "because"`, `r.test.toml:3:40: TEST0109: an event that stands in a file has no at`)
}

// relative is dir as seen from a sibling of it.
func relative(t *testing.T, dir string) string {
	t.Helper()
	return filepath.ToSlash(filepath.Join("..", "..", "..", "..", "..", "..", "..", "..", dir))
}

// What is wrong with a file stands with its place; a file that is wrong runs nothing.
func TestBadFiles(t *testing.T) {
	f := func(tests string, want ...string) {
		t.Helper()
		file := run(t, logins, tests)
		if !file.Bad() || len(file.Cases) > 0 {
			t.Errorf("%s: %d cases ran", tests, len(file.Cases))
		}
		if diff := cmp.Diff(want, said(file)); diff != "" {
			t.Errorf("%s\n%s", tests, diff)
		}
	}
	const ok = "events = [{ fields = { \"event.action\" = \"x\" } }]\nnone = 'because'\n"
	f("", "r.test.toml: TEST0104: the file lacks case")
	f("[[case]\n", "r.test.toml:1:7: TEST0101: the file is not valid TOML: expected ']]' to close array table name")
	f("profiles = ['integraton']\n[[case]]\nname = 'x'\n"+ok,
		`r.test.toml:1:12: TEST0105: "integraton" is no layout of events did you mean "integration"? (one of: integration, filebeat)`)
	f("[[case]]\nname = 'x'\n"+ok+"alert = []\n", `r.test.toml:5:1: TEST0102: case[1] has no key "alert" did you mean "alerts"?`)
	f("[[case]]\nname = 'x'\nevents = []\nnone = ''\n",
		"r.test.toml:3:10: TEST0106: case[1] has no event", "r.test.toml:4:8: TEST0106: none is empty")
	f("[[case]]\nname = 'x'\nevents = [{}]\n",
		"r.test.toml:2:8: TEST0104: case[1] says neither which alerts it expects nor why none "+`write alerts = [{ event = "…" }], or none = "because …"`)
	f("[[case]]\nname = 'x'\n"+ok+"alerts = [{ count = 0 }]\n",
		"r.test.toml:4:8: TEST0106: case[1] expects alerts and none "+`write alerts = [{ event = "…" }], or none = "because …"`,
		"r.test.toml:5:21: TEST0106: count is 0; it must lie between 1 and 100000")
	f("[[case]]\nname = 'x'\n"+ok+"[[case]]\nname = 'x'\n"+ok, `r.test.toml:6:8: TEST0108: two cases are called "x"`)
	f("now = 'yesterday'\n[[case]]\nname = 'x'\n"+ok, run(t, logins, "now = 'yesterday'\n[[case]]\nname = 'x'\n"+ok).Problems[0].Error()+
		" write an instant (2026-03-15T12:00:00Z), or date math (now-3d)")
	f("[base.a]\nbase = 'b'\n[base.b]\nbase = 'a'\n[[case]]\nname = 'x'\n"+ok, `r.test.toml:4:8: TEST0203: base "a" rests on itself`)
	f("[base.login]\nfields = { a = 'b' }\n[[case]]\nname = 'x'\nevents = [{ base = 'logn' }]\nnone = 'because'\n",
		`r.test.toml:5:20: TEST0203: no base is called "logn" did you mean "login"?`)
	f("[base.r]\ncloudtrail = '{\"a\": 1}'\n[[case]]\nname = 'x'\nevents = [{ base = 'r', without = ['b'] }, { set = { a = 1 } }, { base = 'r', ecs = '{}' }]\nnone = 'because'\n",
		"r.test.toml:5:35: TEST0204: the document has no b",
		"r.test.toml:5:52: TEST0109: set changes a cloudtrail or ecs document, and there is none fields sets fields of an event",
		"r.test.toml:5:85: TEST0109: the event is written twice: it has a base, or both cloudtrail and ecs")
	f("rule = 'absent.toml'\n[[case]]\nname = 'x'\n"+ok, "absent.toml: RULE0001: the file cannot be read: no such file or directory")
	for rule, want := range map[string]string{
		"type = 'query'\nquery = 'a'\ndata_view_id = 'gone'\n": "r.test.toml: TEST0201: the rule cannot be tested: ",
		"type = 'query'\nquery = 'a : )'\n":                    "r.toml:9:14: KQL",
		"type = 'query'\nquery = 'source.ip : \"x\"'\n":        "r.toml:9:22: KQL0305",
	} {
		got := said(run(t, rule, "[[case]]\nname = 'x'\n"+ok))
		if len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: %q, expected %s…", rule, got, want)
		}
	}
}

// Coverage counts each comparison, and each value of a list, by itself.
func TestCoverage(t *testing.T) {
	f := func(query, events string, want ...string) {
		t.Helper()
		file := run(t, "type = 'query'\nquery = '''"+query+"'''\n", "[[case]]\nname = 'x'\nevents = ["+events+"]\nalerts = [{ event = 'event-1' }]\n")
		got := []string{}
		for _, c := range file.Clauses {
			got = append(got, fmt.Sprintf("%d:%d %s true %d false %d decided %d %s", c.Line, c.Column, c.Text, c.True, c.False, c.Decided, c.Lacks()))
		}
		if diff := cmp.Diff(want, got); diff != "" || file.Bad() {
			t.Errorf("%s: %v\n%s", query, file.Problems, diff)
		}
	}
	f("event.action: (a or b) and not user.name: x", `{ fields = { "event.action" = "a" } }, { fields = { "event.action" = "c" } }, { fields = { "user.name" = "x" } }`,
		"9:27 event.action:a true 1 false 2 decided 2 ",
		"9:32 event.action:b true 0 false 3 decided 1 never true",
		"9:54 user.name:x true 1 false 2 decided 1 ")
	f("event.action: a or source.port >= 5", `{ fields = { "event.action" = "a", "source.port" = 7 } }, { fields = { "event.action" = "b" } }`,
		"9:26 event.action:a true 1 false 1 decided 1 ",
		"9:31 source.port >= 5 true 1 false 1 decided 1 ")
	f("event.action: a and event.kind: k", `{ fields = { "event.action" = "a", "event.kind" = "k" } }, { fields = { "host.name" = "b" } }`,
		"9:26 event.action:a true 1 false 1 decided 1 ",
		"9:44 event.kind:k true 1 false 1 decided 1 ")
	f("*", `{ fields = { "event.action" = "a" } }`, "9:12 * true 1 false 0 decided 1 never false")
}

// A rule in EQL has clauses too, a sequence those of its stages; a test speaks of the sequences, not of what they are made of.
func TestEQL(t *testing.T) {
	f := func(query, tests string, want []string, clauses ...string) {
		t.Helper()
		file := run(t, "type = 'eql'\nlanguage = 'eql'\nquery = '''"+strings.ReplaceAll(query, "'", `"`)+"'''\n", "[[case]]\nname = 'x'\n"+tests)
		if diff := cmp.Diff(want, said(file)); diff != "" {
			t.Errorf("%s:\n%s", query, diff)
		}
		got := []string{}
		for _, c := range file.Clauses {
			got = append(got, fmt.Sprintf("%d:%d %s true %d false %d decided %d", c.Line, c.Column, c.Text, c.True, c.False, c.Decided))
		}
		if diff := cmp.Diff(clauses, got); diff != "" {
			t.Errorf("%s: clauses\n%s", query, diff)
		}
	}
	f(`file where event.action : ('a', 'b*') and not user.name in ('x', 'y') and length(host.name) > 1`, `events = [
{ fields = { "event.category" = "file", "event.action" = "B1", "host.name" = "h1" } },
{ fields = { "event.category" = "file", "event.action" = "a", "host.name" = "h1", "user.name" = "y" } }]
alerts = [{ event = 'event-1' }]`, []string{},
		`10:12 event.category == "file" true 2 false 0 decided 1`, `10:39 event.action : "a" true 1 false 1 decided 0`,
		`10:44 event.action : "b*" true 1 false 1 decided 1`, `10:72 user.name in ("x") true 0 false 2 decided 1`,
		`10:77 user.name in ("y") true 1 false 1 decided 2`, `10:86 length(host.name) > 1 true 2 false 0 decided 1`)
	f(`sequence by user.name with maxspan=1m [any where event.action == 'a'] [any where event.action == 'b']`, `events = [
{ id = "1", fields = { "event.action" = "a", "user.name" = "x" } }, { id = "2", at = "now+30s", fields = { "event.action" = "b", "user.name" = "x" } },
{ id = "3", at = "now+40s", fields = { "event.action" = "b", "user.name" = "y" } }]
alerts = [{ event = '2', fields = { "user.name" = "x", "tocsin.alert.evidence_ids" = ["1", "2"] } }]`, []string{},
		`10:61 event.action == "a" true 1 false 2 decided 1`, `10:93 event.action == "b" true 2 false 1 decided 2`)
	f(`any where user.name == 'x'`, `events = [{ fields = { "user.name" = "X" } }]
alerts = [{ event = 'event-1' }]`, []string{`4: expected an alert about event event-1; came no alert`,
		`  event event-1: r.toml:10:22: user.name == "x" is false: it is "X"`}, `10:22 user.name == "x" true 0 false 1 decided 1`)
}

// The paths of a command lead to tests; rules without any are listed.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.toml", "a.test.toml", "sub/b.toml", "sub/c.test.toml", "notes.md"} {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	at := func(names ...string) (out []string) {
		for _, n := range names {
			out = append(out, filepath.Join(dir, n))
		}
		return out
	}
	f := func(paths, files, untested []string, problems string) {
		t.Helper()
		got := ruletest.Find(paths...)
		text := ""
		if len(got.Problems) > 0 {
			text = got.Problems[0].Code
		}
		if diff := cmp.Diff([]any{files, untested, problems}, []any{got.Files, got.Untested, text}); diff != "" {
			t.Errorf("%v\n%s", paths, diff)
		}
	}
	f([]string{dir}, at("a.test.toml", "sub/c.test.toml"), at("sub/b.toml"), "")
	f(at("a.toml", "a.test.toml"), at("a.test.toml"), nil, "")
	f(at("sub/b.toml"), nil, nil, "TEST0003")
	f(at("absent"), nil, nil, "TEST0001")
	f([]string{t.TempDir()}, nil, nil, "TEST0003")
}

// The JUnit file says of each case what became of it, and stays XML whatever stands in an event.
func TestJUnit(t *testing.T) {
	good := run(t, logins, "[[case]]\nname = 'a & b \\u0007'\nevents = [{ fields = { \"event.action\" = \"x\\u0000\" } }]\nalerts = [{ fields = { \"user.name\" = \"<\" } }]\n")
	bad := run(t, logins, "x = 1")
	var b bytes.Buffer
	if err := ruletest.WriteJUnit(&b, []ruletest.File{good, bad}); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Suites   []struct {
			Cases []struct {
				Name    string `xml:"name,attr"`
				Failure string `xml:"failure"`
				Error   string `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	if got.Tests != 2 || got.Failures != 1 || got.Errors != 1 || !strings.HasPrefix(got.Suites[0].Cases[0].Name, "a & b") ||
		!strings.Contains(got.Suites[0].Cases[0].Failure, `user.name = "<"`) || !strings.Contains(got.Suites[1].Cases[0].Error, "TEST0102") {
		t.Errorf("%+v", got)
	}
}
