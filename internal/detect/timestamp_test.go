package detect_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// moved are the lines of a rule that cuts its windows on event.ingested, with and without fallback.
const (
	moved      = "\ntimestamp_override='event.ingested'\n"
	movedAlone = moved + "timestamp_override_fallback_disabled=true\n"
)

// ingested sets event.ingested of e.
func ingested(t *testing.T, e *event.Event, times ...string) *event.Event {
	t.Helper()
	texts := make([]string, len(times))
	for i, s := range times {
		texts[i] = event.FormatTime(at(t, s))
	}
	e.Set("event.ingested", event.Strings(texts...))
	return e
}

// Which events lie in the window of 10:00 to 10:10 (rule-execution.md §1.5), and in which order they alert.
func TestTimestampOverride(t *testing.T) {
	f := func(override string, want ...string) {
		t.Helper()
		p := compile(t, parse(t, "override", "type='query'\nquery='event.action: login'\nfrom='now-10m'"+override))
		b := newBench(t)
		b.land(
			ingested(t, login(t, "in, in", "9 10:04", `{}`), "9 10:05"),
			ingested(t, login(t, "out, in", "9 08:00", `{}`), "9 10:07"),
			ingested(t, login(t, "in, out", "9 10:03", `{}`), "9 10:10:00.001"), // its @timestamp does not rescue it
			login(t, "in, none", "9 10:01", `{}`),
			login(t, "out, none", "9 09:59:59.999", `{}`),
			ingested(t, login(t, "out, start", "9 09:00", `{}`), "9 10:00"), // both ends are included
			ingested(t, login(t, "later, end", "9 11:00", `{}`), "9 10:10"),
			ingested(t, login(t, "earlier, same", "9 09:30", `{}`), "9 10:05"), // then by @timestamp
			login(t, "start, none", "9 10:00", `{}`),
		)
		if diff := cmp.Diff(want, found(b.at(p, "9 10:10").Alerts)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", override, diff)
		}
		for _, a := range b.alerts() {
			if a.Text("kibana.alert.original_time") == "" || a.Text("kibana.alert.original_time") == a.Text("event.ingested") {
				t.Errorf("original time %s of an event ingested at %s", a.Text("kibana.alert.original_time"), a.Text("event.ingested"))
			}
		}
	}
	f("", "start, none", "in, none", "in, out", "in, in")
	f("\ntimestamp_override='@timestamp'", "start, none", "in, none", "in, out", "in, in")
	f(moved, "out, start", "earlier, same", "in, in", "out, in", "later, end", "start, none", "in, none")
	f(movedAlone, "out, start", "earlier, same", "in, in", "out, in", "later, end")
	// The order tells which alerts are made under a maximum.
	f(moved+"max_signals=2", "out, start", "earlier, same")
	f("\nmax_signals=3", "start, none", "in, none", "in, out")
}

// Of a field that no event has, windows are cut by @timestamp; without fallback there is nothing.
func TestTimestampOverrideThatNothingHas(t *testing.T) {
	for override, want := range map[string][]string{"": {"1"}, "timestamp_override_fallback_disabled=true\n": {}} {
		p := compile(t, parse(t, "override", "type='query'\nquery='event.action: login'\nfrom='now-10m'\ntimestamp_override='event.created'\n"+override))
		b := newBench(t)
		b.land(login(t, "1", "9 10:04", `{}`))
		if diff := cmp.Diff(want, found(b.at(p, "9 10:10").Alerts)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", override, diff)
		}
	}
}

// New terms take an event's time as the override where it is there, else @timestamp, for the window, the history and the
// question which event was the first (kibana.combined_timestamp).
func TestTimestampOverrideOfNewTerms(t *testing.T) {
	f := func(override string, events []*event.Event, want ...string) {
		t.Helper()
		p := compile(t, parse(t, "override", "type='new_terms'\nquery='event.action: login'\nfrom='now-10m'"+override+terms("now-1d", "user.name")))
		b := newBench(t)
		b.land(events...)
		if diff := cmp.Diff(append([]string{}, want...), found(b.at(p, "9 10:10").Alerts)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", override, diff)
		}
	}
	user := func(id, when string, times ...string) *event.Event {
		e := login(t, id, when, `{"user":{"name":"eve"}}`)
		if len(times) > 0 {
			ingested(t, e, times...)
		}
		return e
	}
	both := []*event.Event{user("plain", "9 10:04"), user("moved", "9 08:00", "9 10:05")}
	f("\n", both)               // by @timestamp eve was there at 8:00
	f(moved, both, "plain eve") // the first by either field, whichever that is
	f(movedAlone, both, "moved eve")
	f(moved, []*event.Event{user("plain", "9 10:06"), user("moved", "9 08:00", "9 10:05")}, "moved eve")

	late := []*event.Event{user("history", "9 09:00"), user("moved", "9 10:05", "9 10:05")}
	f(moved, late)
	f(movedAlone, late, "moved eve") // what has no event.ingested is no history either
	f(moved, []*event.Event{user("history", "9 10:05", "9 09:00"), user("moved", "9 10:06", "9 10:06")})
	f(moved, []*event.Event{user("start", "9 10:05", "9 10:00"), user("moved", "9 10:06", "9 10:06")}) // seen at the very start
	f(moved, []*event.Event{user("older", "9 10:05", "8 10:09:59.999"), user("moved", "9 10:06", "9 10:06")}, "moved eve")
}
