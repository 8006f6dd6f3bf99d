package detect_test

import (
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// Streams without the field that a rule cuts its windows on are named, with the place of the override.
func TestUntimed(t *testing.T) {
	streams := []store.Stream{
		{Name: "logs-b", Paths: []string{"@timestamp", "user.name"}},
		{Name: "logs-a", Paths: []string{"@timestamp", "event.action"}},
		{Name: "logs-timed", Paths: []string{"@timestamp", "event.created"}},
		{Name: "logs-wide", Paths: make([]string, store.MaxPaths)},
		{Name: "other", Paths: []string{"@timestamp"}},
	}
	f := func(lines, want string) {
		t.Helper()
		p := compile(t, parse(t, "r", "type='query'\nquery='*'\nindex=['logs-*']\n"+lines))
		names, warning := p.Untimed(streams)
		if got := strings.Join(names, " "); got != want || (len(warning) > 0) != (want != "") {
			t.Errorf("%s: %s, want %s: %v", lines, got, want, warning)
		}
		for _, d := range warning {
			if got := d.Text[d.Span.Start:d.Span.End]; got != "'event.created'" {
				t.Errorf("the warning is about %s", got)
			}
		}
	}
	f("", "")
	f("timestamp_override='event.created'", "")
	f("timestamp_override='event.created'\ntimestamp_override_fallback_disabled=true", "logs-a logs-b")
	f("timestamp_override='@timestamp'\ntimestamp_override_fallback_disabled=true", "")
	for i := range 9 {
		streams[i%2].Name += "x"
		streams = append(streams, streams[i%2])
	}
	_, warning := compile(t, parse(t, "r", "type='query'\nquery='*'\nindex=['logs-*']\ntimestamp_override='event.created'\ntimestamp_override_fallback_disabled=true")).Untimed(streams)
	if len(warning) != 1 || !strings.Contains(warning[0].Message, "and 8 more has event.created") {
		t.Errorf("%v", warning)
	}
}
