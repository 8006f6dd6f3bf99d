package detect_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/window"
)

func TestQuery(t *testing.T) {
	p := compile(t, parse(t, "query", "type='query'\nquery='event.action: login and not user.name: ops'\nfrom='now-10m'"))
	b := newBench(t)
	b.land(
		login(t, "before", "9 09:59:59.999", `{"user":{"name":"eve"}}`),
		login(t, "b", "9 10:00", `{"user":{"name":"eve"}}`),
		login(t, "a", "9 10:10", `{"user":{"name":"eve"}}`),
		login(t, "no", "9 10:05", `{"user":{"name":["eve","ops"]}}`),
		login(t, "after", "9 10:10:00.001", `{}`),
	)
	result := b.at(p, "9 10:10")
	if diff := cmp.Diff([]string{"b", "a"}, found(result.Alerts)); diff != "" {
		t.Errorf("alerts, oldest first (-want +got):\n%s", diff)
	}
	if result.Candidates != 2 || result.Over != 0 {
		t.Errorf("%d candidates, %d over", result.Candidates, result.Over)
	}
	a := result.Alerts[0]
	if a.ID != alert.QueryID(detect.Space, p.Rule.UUID(), stream, "b") || a.Text("@timestamp") != "2026-03-09T10:10:00.000Z" ||
		a.Text("kibana.alert.rule.execution.type") != "scheduled" || !a.Get("tocsin.alert.why").IsNull() {
		t.Errorf("alert %s", a.AppendJSON(nil, alert.Dotted))
	}
	// What lies on the end of one window and the start of the next is one alert.
	if diff := cmp.Diff([]string{"after"}, found(b.at(p, "9 10:20").Alerts)); diff != "" {
		t.Errorf("alerts of the next window (-want +got):\n%s", diff)
	}
	if again := b.at(p, "9 10:10"); len(again.Alerts) > 0 || again.Candidates != 2 {
		t.Errorf("the same run again: %v, %d candidates", found(again.Alerts), again.Candidates)
	}
}

func TestQueryMaximum(t *testing.T) {
	p := compile(t, parse(t, "capped", "type='query'\nquery='event.action: login'\nfrom='now-10m'\nmax_signals=2"))
	b := newBench(t)
	f := func(alerts, over int) {
		t.Helper()
		got := b.at(p, "9 10:10")
		if len(got.Alerts) != alerts || got.Over != over {
			t.Errorf("%d alerts and %d over, want %d and %d", len(got.Alerts), got.Over, alerts, over)
		}
	}
	land := func(n int) {
		for range n {
			b.land(login(t, b.now.String(), "9 10:05", `{}`))
		}
	}
	land(2)
	f(2, 0) // exactly the maximum
	f(0, 0)
	land(3)
	f(2, 1) // the two of before are known, and take no place
	f(1, 0)
}

// A run goes on where an earlier one stopped, and fetches of the store itself what alerts alone.
func TestQueryGoesOn(t *testing.T) {
	p := compile(t, parse(t, "capped", "type='query'\nquery='event.action: login'\nfrom='now-10m'"))
	b := newBench(t)
	for i, when := range []string{"9 10:05", "9 10:03", "9 10:02", "9 10:04", "9 10:01"} {
		b.land(login(t, strconv.Itoa(i), when, `{"message":"whole"}`))
	}
	w, err := p.Window(at(t, "9 10:10"))
	if err != nil {
		t.Fatal(err)
	}
	env := b.env(p)
	env.Direct, env.Limit = true, 2
	for _, want := range []struct {
		found            []string
		candidates, over int
		since            string
	}{{[]string{"4", "2"}, 5, 3, "9 10:03"}, {[]string{"1", "3"}, 3, 1, "9 10:05"}, {[]string{"0"}, 1, 0, ""}} {
		got, err := detect.Run(ctx, p, w, env)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.found, found(got.Alerts)); diff != "" || got.Candidates != want.candidates || got.Over != want.over ||
			want.since != "" && !got.Since.Equal(at(t, want.since)) {
			t.Errorf("%d candidates, %d over, since %s, want %+v (-want +got):\n%s", got.Candidates, got.Over, got.Since, want, diff)
		}
		for _, a := range got.Alerts {
			if a.Text("message") != "whole" {
				t.Errorf("alert %s", a.AppendJSON(nil, nil))
			}
		}
		env.Since = got.Since
	}
}

// Date math in a query starts from the slot, not from the window's end or a clock.
func TestQueryWithDateMath(t *testing.T) {
	p := compile(t, parse(t, "volatile", "type='query'\nquery='@timestamp < now-5m'\nfrom='now-10m'\nto='now-1m'"))
	b := newBench(t)
	b.land(login(t, "1", "9 10:03", `{}`), login(t, "2", "9 10:05", `{}`), login(t, "3", "9 10:04:59.999", `{}`))
	if diff := cmp.Diff([]string{"1", "3"}, found(b.at(p, "9 10:10").Alerts)); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

// Candidates are all that a window can match, so running over them gives the same.
func TestCandidates(t *testing.T) {
	f := func(query string, want ...string) {
		t.Helper()
		p := compile(t, parse(t, "query", "type='query'\nquery='"+query+"'\nfrom='now-10m'\ntimestamp_override='event.ingested'"))
		b := newBench(t)
		in := func(id, when, ingested, action string) *event.Event {
			e := login(t, id, when, `{"event":{"action":"`+action+`"}}`)
			if ingested != "" {
				e.Set("event.ingested", event.String(event.FormatTime(at(t, ingested))))
			}
			return e
		}
		b.land(in("1", "9 10:05", "9 10:20", "login"), in("2", "9 10:05", "", "login"), in("3", "9 09:00", "9 10:05", "login"),
			in("4", "9 10:05", "9 10:05", "logout"))
		span := window.Span{From: at(t, "9 10:00"), To: at(t, "9 10:10")}
		latest, err := b.db.Latest(ctx)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := exec.Query(ctx, b.db, p.Candidates(span), latest)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var got []string
		for rows.Next() {
			got = append(got, rows.Event().ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("candidates of %s (-want +got):\n%s", query, diff)
		}
		times, err := exec.Query(ctx, b.db, p.CandidateTimes(span), latest)
		if err != nil {
			t.Fatal(err)
		}
		defer times.Close()
		n := 0
		for ; times.Next(); n++ {
			if at, timed := p.Time.Of(times.Event()); !timed || !span.Contains(at) {
				t.Errorf("a candidate of %s at %v", query, at)
			}
		}
		if n != len(want) {
			t.Errorf("%d times of %d candidates", n, len(want))
		}
	}
	f("event.action: login", "3", "2") // at one instant the one that happened first
	f("event.action: login and @timestamp > now-1h", "3", "2", "4")
}

func TestCompileRefuses(t *testing.T) {
	f := func(more string, want ...string) {
		t.Helper()
		p, err := detect.Compile(parse(t, "bad", more), declared(t))
		if err == nil {
			t.Errorf("%s compiles to %v", more, p)
			return
		}
		var list diag.List
		if !errors.As(err, &list) || len(list) != len(want) {
			t.Fatalf("%s: %v", more, err)
		}
		for i, d := range list {
			if got := d.Error(); !strings.Contains(got, want[i]) {
				t.Errorf("%s: %s, want %s", more, got, want[i])
			}
		}
	}
	f("type='query'\nquery='user.name:'", "KQL0105")
	f("type='query'\nquery='user.id: many'", "KQL0303")
	f("type='query'\nlanguage='lucene'\nquery='user.name:(a'", "bad.toml:9:20: LUC0105")
	f("type='query'\nlanguage='lucene'\nquery='user.id:many'", "LUC0301")
	f("type='esql'\nlanguage='esql'\nquery='from logs-*'", "bad.toml: RUN0101")
	f("type='eql'\nlanguage='eql'\nquery='any where'", "EQL01")
	f("type='eql'\nlanguage='eql'\nquery='any where user.id : \"x\"'", "EQL0302")
	f("type='eql'\nlanguage='eql'\nquery='sample [any where true] [any where true]'", "EQL0312")
	f("type='new_terms'\nquery='*'\n"+terms("now-1d", "message"), "bad.toml: RUN0102: new_terms_fields: message is analysed text")
	f("type='new_terms'\nquery='user.id: x'\n"+terms("now-1d", "message", "user.name"), "KQL0303", "RUN0102")
	r := *parse(t, "bad", "type='query'\nquery='*'")
	r.From = "yesterday"
	if _, err := detect.Compile(&r, declared(t)); err == nil || !strings.Contains(err.Error(), "bad.toml: RUN0103: read the window's start") {
		t.Errorf("from = %s: %v", r.From, err)
	}
	// A time that only the calendar can tell to be wrong is wrong when its window comes.
	p := compile(t, parse(t, "calendar", "type='new_terms'\nquery='*'\nfrom='now-30d'\n"+terms("now-1M", "user.name")))
	if _, err := p.Window(at(t, "15 00:00")); !errors.Is(err, window.ErrHistory) {
		t.Errorf("in March, whose month before has 28 days: %v", err)
	}
	if _, err := p.Window(at(t, "31 00:00").AddDate(0, 0, 5)); err != nil {
		t.Errorf("in April, whose month before has 31 days: %v", err)
	}
}

// A field that a data view computes is no field of any event: a rule that reads one cannot run.
func TestCompileRefusesComputedFields(t *testing.T) {
	f := func(more string, refused bool, computed ...string) {
		t.Helper()
		r := *parse(t, "computed", more)
		r.Runtime = computed
		_, err := detect.Compile(&r, declared(t))
		found := diag.Of(err)
		if refused != (len(found) == 1 && found[0].Code == detect.CodeCannotRun && strings.Contains(found[0].Message, computed[0])) {
			t.Errorf("%s with %v computed: %v", more, computed, err)
		}
	}
	f("type='query'\nquery='event.action: login and hour > 3'", true, "hour")
	f("type='query'\nquery='event.action: login and hour > 3 and @timestamp > now-1h'", true, "hour")
	f("type='query'\nquery='event.action: login'\nfilters=[{query={match_phrase={hour=3}}}]", true, "hour")
	f("type='query'\nquery='event.action: login'\ntimestamp_override='event.created'", true, "event.created")
	f("type='new_terms'\nquery='event.action: login'\n"+terms("now-1d", "user.name", "source.ip"), true, "source.ip")
	f("type='query'\nquery='event.action: login'", false, "hour", "user.name")
}

func TestProgramID(t *testing.T) {
	seen := map[string]string{}
	f := func(what, more string, same bool) {
		t.Helper()
		p := compile(t, parse(t, "rule", more))
		if other, known := seen[p.ID()]; known != same {
			t.Errorf("%s: the same program as %q: %t, want %t", what, other, known, same)
		}
		seen[p.ID()] = what
	}
	base := "type='new_terms'\nquery='event.action: login'\nindex=['logs-*']\n"
	f("itself", base+terms("now-1d", "user.name"), false)
	f("itself", base+terms("now-1d", "user.name"), true)
	f("a description", strings.Replace(base, "query=", "note='n'\nquery=", 1)+terms("now-1d", "user.name"), true)
	f("the same query in other words", strings.Replace(base, "event.action: login", "(event.action : \"login\")", 1)+terms("now-1d", "user.name"), true)
	f("a query", strings.Replace(base, "login", "logout", 1)+terms("now-1d", "user.name"), false)
	f("streams", strings.Replace(base, "logs-*", "logs-a", 1)+terms("now-1d", "user.name"), false)
	f("all streams", strings.Replace(base, "index=['logs-*']\n", "", 1)+terms("now-1d", "user.name"), false)
	f("a history", base+terms("now-2d", "user.name"), false)
	f("a field", base+terms("now-1d", "user.id"), false)
	f("more fields", base+terms("now-1d", "user.name", "user.id"), false)
	for _, line := range []string{"from='now-8m'", "to='now-1m'", "interval='1m'", "max_signals=7", "timestamp_override='event.ingested'",
		"timestamp_override='event.ingested'\ntimestamp_override_fallback_disabled=true"} {
		f(line, base+line+"\n"+terms("now-1d", "user.name"), false)
	}
	f("a type", "type='query'\nquery='event.action: login'\nindex=['logs-*']", false)
	f("date math", "type='query'\nquery='@timestamp > now-1d'\nindex=['logs-*']", false)
	f("other date math", "type='query'\nquery='@timestamp > now-2d'\nindex=['logs-*']", false)
}

// Every type that rules are said to run has an executor, and the other way round.
func TestTypesThatRun(t *testing.T) {
	for _, kind := range rule.Types() {
		r := &rule.Rule{RuleID: "r", Type: kind, Language: rule.LanguageKuery, From: "now-6m", To: "now", Interval: "5m", MaxSignals: 1,
			Threshold: &rule.Threshold{Value: 1}, ThreatMatch: &rule.ThreatMatch{}}
		_, err := detect.Compile(r, declared(t))
		runs := kind == rule.TypeQuery || kind == rule.TypeSavedQuery || kind == rule.TypeNewTerms || kind == rule.TypeThreshold || kind == rule.TypeThreatMatch
		if (err == nil) != runs {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
