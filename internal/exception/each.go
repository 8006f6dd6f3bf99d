package exception

import (
	"time"

	"github.com/tocsin-sec/tocsin/internal/expr"
)

// Each calls f with every item that counts in a run at now, and the condition of the events that it hides.
func (h Hidden) Each(now time.Time, f func(item *Item, hides expr.Cond)) {
	for _, items := range [][]lowered{h.always, h.until} {
		for _, item := range items {
			if !item.Expired(now) {
				f(item.Item, item.cond)
			}
		}
	}
}
