package duck

import (
	"context"
	"fmt"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// setStates stores the states of alerts; the last one for an alert and path counts. A null is stored too: it hides what
// the alert itself has there.
func (s *Store) setStates(ctx context.Context, w *conn, states []store.AlertState) error {
	if len(states) == 0 {
		return nil
	}
	type field struct{ alert, path string }
	last := map[field]event.Value{}
	for _, st := range states {
		last[field{st.Alert, st.Path}] = st.Value
	}
	err := w.fill(ctx, "stage_state", []columnType{typeBlob, typeBlob, typeText}, func(a *appender) error {
		for f, v := range last {
			a.text(0, f.alert)
			a.text(1, f.path)
			a.bytes(2, appendValue(nil, v))
			if err := a.next(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	const same = "alert_state.alert = t.alert AND alert_state.path = t.path"
	for _, sql := range []string{
		"UPDATE alert_state SET val = t.val FROM temp.main.stage_state t WHERE " + same,
		"INSERT INTO alert_state SELECT * FROM temp.main.stage_state t WHERE NOT EXISTS (SELECT 1 FROM alert_state WHERE " + same + ")",
	} {
		if err := w.exec(ctx, sql); err != nil {
			return fmt.Errorf("set the states of alerts: %w", err)
		}
	}
	return nil
}
