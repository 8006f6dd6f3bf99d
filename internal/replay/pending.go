package replay

import (
	"context"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// PendingWindow is a window of a program that left alerts out.
type PendingWindow struct {
	Slot     time.Time
	From, To time.Time // what it looked at
	Since    time.Time // the time of the first event of the alerts that are left out
	Alerts   int       // at most
}

// PendingWindows returns what the windows of p left out, by slot.
func PendingWindows(ctx context.Context, records store.Records, p *detect.Program) ([]PendingWindow, error) {
	var out []PendingWindow
	err := eachLeftOut(ctx, records, p.ID(), func(l *leftOut) {
		out = append(out, PendingWindow{Slot: l.Slot, From: l.From, To: l.To, Since: l.Since, Alerts: l.Alerts})
	})
	return out, err
}
