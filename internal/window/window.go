// Package window is all arithmetic of "when": at which times a rule runs, which stretch of time each run looks at, how far
// back its history goes, what is caught up after a pause, and what is left out.
//
// Times are UTC and whole milliseconds. A window, a span, a history: both ends are included, always, and this is the one
// place where it is said. An event that lies on the end of one window and the start of the next is found by both, and known
// by its ID.
//
// A slot is the nominal time of a run: a multiple of the rule's interval since 1970. The window of a slot is what the
// rule's from and to give with now = the slot; its history begins where history_window_start gives with now = the window's
// end.
//
//	s, err := window.New(window.Spec{Interval: "5m", From: "now-9m", To: "now", History: "now-15d"})
//	for slot := range s.Over(span).All() {
//		w, err := s.Window(slot) // w.History … w.From … w.To
//	}
//
// Nothing here looks at a clock, or knows which windows ran: that is package schedule.
package window

import "time"

// Window is what one run of a rule looks at.
type Window struct {
	// Slot is the nominal time of the run.
	Slot time.Time
	// From and To bound the events that the run may alert on. Where To is before From there are none.
	From, To time.Time
	// History is where the history begins that the events are compared with; it reaches to From. Zero: the rule has none.
	History time.Time
	// Clamped says that From was moved by Clamp: what lies before it was left to the history on purpose.
	Clamped bool
}

// Span is the stretch of the window, without its history.
func (w Window) Span() Span { return Span{w.From, w.To} }

// Clamp cuts the window to [from, to]; a zero time cuts nothing. The history begins where it did.
func (w Window) Clamp(from, to time.Time) Window {
	if from = whole(from); !from.IsZero() && w.From.Before(from) {
		w.From, w.Clamped = from, true
	}
	if to = whole(to); !to.IsZero() && w.To.After(to) {
		w.To = to
	}
	return w
}

// AllTime is the span of every time that a document can carry, the years 0 to 9999.
func AllTime() Span {
	return Span{time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-time.Millisecond)}
}

// Coverage is the share, 0 to 1, of the history from its start up to from that there can be data for: the data begin at
// begin, the zero time where there are none.
func Coverage(history, from, begin time.Time) float64 {
	if begin.IsZero() || !history.Before(from) {
		return 0
	}
	if begin.Before(history) {
		begin = history
	}
	covered := from.UnixMilli() - begin.UnixMilli()
	return max(0, float64(covered)/float64(from.UnixMilli()-history.UnixMilli()))
}

// whole drops the part of a millisecond; the zero time stays zero.
func whole(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}
