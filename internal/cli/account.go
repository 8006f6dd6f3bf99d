package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/ingest"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// maxListed bounds the files and reasons that the account lists one by one.
const maxListed = 5

// account prints what became of files, records and rules: nothing that was read goes unmentioned.
func (s *scan) account(w io.Writer, sc screen) {
	a := s.loaded.Account
	line := func(title, format string, args ...any) {
		fmt.Fprintf(w, "%-7s %s\n", title, fmt.Sprintf(format, args...))
	}
	more := func(items []string, total int) {
		for _, item := range items[:min(maxListed, len(items))] {
			fmt.Fprintf(w, "        - %s\n", cut(printable(item), room(sc, 10)))
		}
		if hidden := total - min(maxListed, len(items)); hidden > 0 {
			fmt.Fprintf(w, "        - and %s more (--report FILE lists them all)\n", thousands(int64(hidden)))
		}
	}

	line("events", "%s read = %s stored (%s in conflict) + %s duplicate + %s rejected%s", thousands(a.Read), thousands(a.Stored),
		thousands(a.Conflicts), thousands(a.Duplicates), thousands(a.RejectedTotal()), byReason(a.Rejected))
	if a.DuplicateKeys > 0 {
		line("", "%s in one object came twice: the last value counts", counted(a.DuplicateKeys, "JSON key"))
	}
	if a.Misfits > 0 {
		line("", "%s not of the field's type: stored, but not matched", counted(a.Misfits, "value"))
	}
	s.accountRejected(w, sc)

	var skipped []string
	for _, f := range s.loaded.skipped {
		skipped = append(skipped, f.String())
	}
	line("files", "%s read, %s skipped", thousands(int64(s.loaded.files)), thousands(int64(len(skipped))))
	more(skipped, len(skipped))

	accountIndicators(w, s.rules.indicators)
	line("rules", "%s run, %s skipped", thousands(int64(s.ran())), thousands(int64(len(s.rules.skipped))))
	reasons := s.rules.reasons()
	more(reasons, len(reasons))
	late, pending := 0, false
	for _, r := range s.result.Rules {
		late += r.Late
		name := printable(r.Program.Rule.Name)
		if r.Folded > 0 {
			list := ""
			if s.DB != "" {
				list = " (tocsin alerts suppressed lists it)"
			}
			line("", "folded: %s folded %s into its alerts%s", name, thousands(r.Folded), list)
		}
		if len(r.Capped) > 0 {
			keep := ""
			if s.DB == "" {
				keep = " (--db FILE keeps them)"
			}
			line("", "capped: %s left out %s in %s, the first at %s%s", name, counted(int64(r.Over), "alert"),
				counted(int64(len(r.Capped)), "window"), clock(r.Capped[0]), keep)
		}
		if s.DB != "" && r.Released+r.PendingWindows > 0 {
			pending = pending || r.PendingWindows > 0
			line("", "pending: %s released %s of earlier scans, %s left in %s", name, counted(int64(r.Released), "alert"),
				thousands(int64(r.Pending)), counted(int64(r.PendingWindows), "window"))
		}
	}
	if pending {
		line("", "the next scans go on with what is pending, tocsin alerts release makes all of it")
	}
	if late > 0 {
		line("", "%s turned out to be no first sighting: events that came late show one before (tocsin.alert.known_since)",
			counted(int64(late), "earlier alert"))
	}
	if !s.data.Empty() {
		line("data", "%s to %s UTC%s", clock(s.data.From), clock(s.data.To), doubtful(s.data))
	}
	spent := s.streams.Now().Sub(s.began)
	line("time", "%.1f s%s", spent.Seconds(), speed(a.Read, spent))
}

// accountRejected lists the first rejected records with their places.
func (s *scan) accountRejected(w io.Writer, sc screen) {
	for i, l := range s.loaded.letters {
		if i == maxListed {
			break
		}
		text := fmt.Sprintf("%s at offset %s: %s", l.Object, thousands(l.Offset), l.Reason)
		if l.Detail != "" {
			text += ": " + l.Detail
		}
		fmt.Fprintf(w, "        - %s\n", cut(printable(text), room(sc, 10)))
	}
	if hidden := s.loaded.RejectedTotal() - int64(min(maxListed, len(s.loaded.letters))); hidden > 0 {
		fmt.Fprintf(w, "        - and %s more\n", thousands(hidden))
	}
	if n := s.loaded.Unkept; n > 0 {
		fmt.Fprintf(w, "        - %s of them are counted alone: of one file the first %s are kept\n", thousands(n), thousands(ingest.MaxLetters))
	}
}

// clock prints an instant to the minute.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// firstTrail is before the first event that CloudTrail ever recorded, and maxSpan longer than anybody keeps them.
var firstTrail = time.Date(2013, 11, 1, 0, 0, 0, 0, time.UTC)

const maxSpan = 20 * 365 * 24 * time.Hour

// doubtful warns of clocks that cannot be right: they move the data's end, and with it what now means.
func doubtful(data store.Span) string {
	if data.From.Before(firstTrail) || data.To.Sub(data.From) > maxSpan {
		return " (some clocks are wrong)"
	}
	return ""
}

func speed(events int64, spent time.Duration) string {
	if events == 0 || spent <= 0 {
		return ""
	}
	return fmt.Sprintf(" (%s events/s)", thousands(int64(float64(events)/spent.Seconds())))
}

// room is how many cells of a line are left behind an indent; 0: no end.
func room(sc screen, indent int) int {
	if sc.width == 0 {
		return 0
	}
	return max(20, sc.width-indent)
}

// cut shortens s to n cells, 0: not at all.
func cut(s string, n int) string {
	if n == 0 {
		return s
	}
	return short(strings.TrimSpace(s), n)
}
