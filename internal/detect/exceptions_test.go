package detect_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// excepting reads items, and value lists, of a list that the rules "query", "new-terms", "eql" and "indicators" meet.
func excepting(t testing.TB, items string) *exception.Lists {
	t.Helper()
	lists, problems := exception.Load(rule.LoadFS(fstest.MapFS{"exceptions/a.toml": {Mode: 0o644,
		Data: []byte("[list]\nlist_id='l'\nname='L'\nrules=['query','new-terms','eql','indicators']\n" + items)}}))
	if len(problems) > 0 {
		t.Fatal(problems.Render())
	}
	return lists
}

func excepted(t testing.TB, r *rule.Rule, items string) *detect.Program {
	t.Helper()
	p, err := detect.CompileWith(r, declared(t), excepting(t, items))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Warnings) > 0 {
		t.Error(p.Warnings.Render())
	}
	return p
}

const (
	notInLab    = "[[item]]\nname='lab'\nentries=[{field='host.name',is='lab'}]\n"
	labFor      = "[[item]]\nname='lab'\nexpire_time='%s'\nentries=[{field='host.name',is='lab'}]\n"
	loginQuery  = "type='query'\nquery='event.action: login'\nfrom='now-10m'\ninterval='10m'"
	recentQuery = "type='query'\nquery='event.action: login and @timestamp > now-1d'\nfrom='now-10m'\ninterval='10m'"
	firstLogin  = "type='new_terms'\nquery='event.action: login'\nfrom='now-10m'\n"
)

func labUntil(when string) string { return strings.Replace(labFor, "%s", when, 1) }

// What an exception hides is no history either: a value seen there alone is new (rule-execution.md §2.2), whether the
// history is remembered or looked at again in each run.
func TestExceptionsHideHistory(t *testing.T) {
	r := parse(t, "new-terms", firstLogin+terms("now-1d", "user.name"))
	f := func(p *detect.Program, remembers bool, events int64, want string) {
		t.Helper()
		if p.Remembers() != remembers {
			t.Errorf("remembers: %t", !remembers)
		}
		b := newBench(t)
		b.land(login(t, "1", "9 09:00", `{"user.name":"anna","host.name":"lab"}`), login(t, "2", "9 09:00", `{"user.name":"bert","host.name":"pc"}`),
			login(t, "3", "9 10:05", `{"user.name":["anna","bert"],"host.name":"pc"}`), login(t, "4", "9 10:06", `{"user.name":"carl","host.name":"lab"}`),
			login(t, "5", "9 10:07", `{"user.name":"dora"}`))
		result := b.at(p, "9 10:10")
		if got := strings.Join(found(result.Alerts), ", "); got != want {
			t.Errorf("alerts %q, want %q", got, want)
		}
		for _, a := range result.Alerts { // those of the whole day that the rule sees
			if got := a.Get("tocsin.alert.history.events").Int(); got != events {
				t.Errorf("an alert says that %d events were looked at, want %d", got, events)
			}
		}
	}
	f(compile(t, r), true, 6, "4 carl, 5 dora")
	f(excepted(t, r, ""), true, 6, "4 carl, 5 dora")
	f(excepted(t, r, notInLab), true, 4, "3 anna, 5 dora")
	f(excepted(t, r, labUntil("2026-03-09T10:10:00Z")), false, 4, "3 anna, 5 dora")
	f(excepted(t, r, labUntil("2026-03-09T10:09:59Z")), false, 6, "4 carl, 5 dora")
	f(excepted(t, r, "[[item]]\nname='x'\nentries=[{field='user.name',in_list='v'}]\n[[value_list]]\nid='v'\ntype='keyword'\nvalues=['dora']\n"), true, 5, "4 carl")
}

// An exception counts in the runs up to its expiry, and in none after it.
func TestExceptionsExpire(t *testing.T) {
	for _, query := range []string{loginQuery, recentQuery} {
		r := parse(t, "query", query)
		f := func(items string, want string) {
			t.Helper()
			p := excepted(t, r, items)
			b := newBench(t)
			for _, when := range []string{"9 09:55", "9 10:05", "9 10:15"} {
				b.land(login(t, when, when, `{"host.name":"lab"}`), login(t, when+" pc", when, `{"host.name":"pc"}`))
			}
			var got []string
			for _, slot := range []string{"9 10:00", "9 10:10", "9 10:20"} {
				got = append(got, found(b.at(p, slot).Alerts)...)
			}
			if s := strings.Join(got, ", "); s != want {
				t.Errorf("%s\nalerts %q, want %q", items, s, want)
			}
		}
		f("", "9 09:55, 9 09:55 pc, 9 10:05, 9 10:05 pc, 9 10:15, 9 10:15 pc")
		f(notInLab, "9 09:55 pc, 9 10:05 pc, 9 10:15 pc")
		f(labUntil("2026-03-09T10:10:00Z"), "9 09:55 pc, 9 10:05 pc, 9 10:15, 9 10:15 pc")
		f(labUntil("2026-03-09T10:09:59.999Z"), "9 09:55 pc, 9 10:05, 9 10:05 pc, 9 10:15, 9 10:15 pc")
		f(labUntil("2020-01-01T00:00:00Z"), "9 09:55, 9 09:55 pc, 9 10:05, 9 10:05 pc, 9 10:15, 9 10:15 pc")
	}
}

// Candidates, which a replay fetches once for all its runs, leave out what no run sees, and keep what some run may.
func TestExceptionsCandidates(t *testing.T) {
	f := func(query, items string, want int) {
		t.Helper()
		p := excepted(t, parse(t, "query", query), items)
		b := newBench(t)
		b.land(login(t, "1", "9 10:05", `{"host.name":"lab"}`), login(t, "2", "9 10:05", `{"host.name":"pc"}`))
		latest, err := b.db.Latest(ctx)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := exec.Query(ctx, b.db, p.Candidates(window.Span{From: at(t, "9 10:00"), To: at(t, "9 10:10")}), latest)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		got := 0
		for rows.Next() {
			got++
		}
		if got != want {
			t.Errorf("%d candidates with %s, want %d", got, items, want)
		}
	}
	for _, query := range []string{loginQuery, recentQuery} {
		f(query, "", 2)
		f(query, notInLab, 1)
		f(query, labUntil("2026-03-09T10:10:00Z"), 2)
	}
}

// A changed exception, or list, is another program; one without exceptions is what it was.
func TestExceptionsID(t *testing.T) {
	for _, query := range []string{loginQuery, recentQuery} {
		r := parse(t, "query", query)
		if compile(t, r).ID() != excepted(t, r, "").ID() {
			t.Error("a list without items makes another program")
		}
		list := func(values string) string {
			return "[[item]]\nname='x'\nentries=[{field='user.name',in_list='v'}]\n[[value_list]]\nid='v'\ntype='text'\nvalues=[" + values + "]\n"
		}
		seen := map[string]string{}
		for _, items := range []string{"", notInLab, labUntil("2026-03-09T10:10:00Z"), labUntil("2026-03-09T10:11:00Z"),
			strings.Replace(notInLab, "is=", "is_not=", 1), list("'a'"), list("'a','b'"), list("'b'")} {
			id := excepted(t, r, items).ID()
			if other, taken := seen[id]; taken {
				t.Errorf("one program with %q and with %q", items, other)
			}
			seen[id] = items
		}
		if excepted(t, r, list("'b','a'")).ID() != excepted(t, r, list("'a','b'")).ID() {
			t.Error("the order of values makes another program")
		}
		if a, b := excepted(t, r, strings.Replace(notInLab, "name='lab'", "name='other'", 1)), excepted(t, r, notInLab); a.ID() != b.ID() {
			t.Error("an item's name makes another program")
		}
	}
}

// What is wrong with an exception does not keep the rule from running; it is told.
func TestExceptionsWarn(t *testing.T) {
	r := parse(t, "query", loginQuery+"\nexceptions_list=[{list_id='nowhere',type='detection'}]")
	p, err := detect.CompileWith(r, declared(t), excepting(t, notInLab+"[[item]]\nname='bad'\nentries=[{field='source.ip',is='x'}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, d := range p.Warnings {
		codes = append(codes, d.Code)
	}
	if got := strings.Join(codes, " "); got != exception.CodeNoList+" "+exception.CodeUnfit {
		t.Error(p.Warnings.Render())
	}
	b := newBench(t)
	b.land(login(t, "1", "9 10:05", `{"host.name":"lab","source.ip":"10.0.0.1"}`), login(t, "2", "9 10:05", `{"source.ip":"10.0.0.1"}`))
	if got := strings.Join(found(b.at(p, "9 10:10").Alerts), ", "); got != "2" {
		t.Errorf("alerts on %s", got)
	}
	e := login(t, "3", "9 10:05", `{"host.name":"lab"}`)
	if by := p.HiddenBy(e, time.Time{}); by == nil || by.Name != "lab" || !p.Excepted() {
		t.Errorf("hidden by %v", by)
	}
	if by := p.HiddenBy(&event.Event{}, time.Time{}); by != nil {
		t.Errorf("hidden by %v", by)
	}
}

// A value list beyond Elastic's limits: a new-terms rule there warns that the exception is not applied, and alerts as it
// would without (rule-execution.md §1.8). Here it is applied as a small one is.
func TestDeviationLargeLists(t *testing.T) {
	r := parse(t, "new-terms", firstLogin+terms("now-1d", "user.name"))
	list := func(values int) string {
		var b strings.Builder
		b.WriteString("[[item]]\nname='x'\nentries=[{field='user.name',in_list='v'},{field='host.name',is='lab'}]\n[[value_list]]\nid='v'\ntype='keyword'\nvalues=['anna'")
		for i := range values - 1 {
			fmt.Fprintf(&b, ",'n%d'", i)
		}
		b.WriteString("]\n")
		return b.String()
	}
	f := func(p *detect.Program, want string) {
		t.Helper()
		b := newBench(t)
		b.land(login(t, "1", "9 10:05", `{"user.name":"anna","host.name":"lab"}`), login(t, "2", "9 10:06", `{"user.name":"bert","host.name":"lab"}`))
		if got := strings.Join(found(b.at(p, "9 10:10").Alerts), ", "); got != want {
			t.Errorf("alerts %q, want %q", got, want)
		}
	}
	const elastic, ours = "1 anna, 2 bert", "2 bert"
	f(compile(t, r), elastic) // as without the exception
	f(excepted(t, r, list(65_536)), ours)
	f(excepted(t, r, list(65_537)), ours)
}
