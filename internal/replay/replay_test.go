package replay_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// newUser alerts on a user that acts for the first time in a day.
const newUser = "type='new_terms'\nquery='event.action: login'\nfrom='now-9m'\ninterval='5m'\n[rule.new_terms]\nfield='new_terms_fields'\n" +
	"value=['user.name']\n[[rule.new_terms.history_window_start]]\nfield='history_window_start'\nvalue='now-1d'"

func TestReplay(t *testing.T) {
	db, now := mem.New(nil), clock()
	p := program(t, "new-user", newUser)
	load(t, db, now,
		happened("1", at(t, "9 10:00"), "ann", "login"),
		happened("2", at(t, "9 10:01"), "bob", "login"),
		happened("3", at(t, "9 12:02"), "ann", "login"),
		happened("4", at(t, "10 10:04"), "bob", "login"), // a day and three minutes later
		happened("5", at(t, "10 10:04"), "eve", "logout"),
		happened("6", at(t, "10 10:04"), "eve", "login"))
	report := run(t, db, now, replay.Options{}, p)
	if diff := cmp.Diff([]string{"09T10:05 ann", "09T10:05 bob", "10T10:05 bob", "10T10:05 eve"}, said(report.Alerts)); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
	again := run(t, db, now, replay.Options{}, p)
	if len(again.Alerts) > 0 || again.Rules[0].Windows != 0 {
		t.Errorf("a second replay runs %d windows and finds %v", again.Rules[0].Windows, said(again.Alerts))
	}
}

// A program's zero time is an event's time like any other; it does not say that there are no data.
func TestZeroTimeIsATime(t *testing.T) {
	db, now := mem.New(nil), clock()
	load(t, db, now, happened("1", time.Time{}, "zed", "logout"), happened("2", at(t, "9 10:00"), "ann", "login"))
	report := run(t, db, now, replay.Options{From: at(t, "9")}, program(t, "new-user", newUser))
	if len(report.Alerts) != 1 || report.Alerts[0].Text("tocsin.alert.history.covered") != "1.0" {
		t.Errorf("alerts %v, history covered %s", said(report.Alerts), report.Alerts[0].Text("tocsin.alert.history.covered"))
	}
}
