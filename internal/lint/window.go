package lint

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// usualDelay is how long after it happened a CloudTrail event usually can be read.
const usualDelay = 5 * time.Minute

// window is the rule's window at some time, and its interval; false where it has none that moves with the time.
func (s *subject) window() (window.Window, time.Duration, bool) {
	r := s.rule
	if !strings.HasPrefix(r.From, "now") || !strings.HasPrefix(r.To, "now") {
		return window.Window{}, 0, false
	}
	schedule, err := window.New(window.Spec{Interval: r.Interval, From: r.From, To: r.To, History: r.HistoryWindowStart})
	if err != nil {
		return window.Window{}, 0, false
	}
	w, err := schedule.Window(sampleTime)
	return w, schedule.Interval(), err == nil
}

func shortLookBack(s *subject) diag.List {
	w, interval, ok := s.window()
	length := w.To.Sub(w.From)
	if !ok || length <= interval || s.rule.TimeField().Primary != plan.Timestamp || length >= interval+usualDelay {
		return nil
	}
	return diag.List{s.at("from", "from",
		fmt.Sprintf("a window of %s is shorter than the interval (%s) and the usual delay of events (%s): what arrives later is missed",
			short(length), short(interval), short(usualDelay)),
		fmt.Sprintf("let from lie %s back, or cut windows by arrival: timestamp_override = %q", short(interval+usualDelay), plan.Ingested))}
}

func noOverlap(s *subject) diag.List {
	w, interval, ok := s.window()
	length := w.To.Sub(w.From)
	if !ok || length > interval {
		return nil
	}
	message := fmt.Sprintf("windows of %s every %s touch and do not overlap: what arrives late is missed", short(length), short(interval))
	if length < interval {
		message = fmt.Sprintf("windows of %s every %s leave %s out each time", short(length), short(interval), short(interval-length))
	}
	return diag.List{s.at("from", "from", message, fmt.Sprintf("let from lie further back than %s", short(interval)))}
}

func shortHistory(s *subject) diag.List {
	w, _, ok := s.window()
	if !ok || w.History.IsZero() || w.From.Sub(w.History) >= w.To.Sub(w.From) {
		return nil
	}
	return diag.List{s.at("history_window_start", "new_terms.history_window_start.0.value",
		fmt.Sprintf("the history before the window has %s, the window %s: nearly everything looks new", short(w.From.Sub(w.History)), short(w.To.Sub(w.From))),
		"look back some days at least: now-7d")}
}

// short writes a duration in its greatest whole units: 1h30m.
func short(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / unit.size; n != 0 {
			fmt.Fprintf(&b, "%d%s", n, unit.name)
			d -= n * unit.size
		}
	}
	return b.String()
}
