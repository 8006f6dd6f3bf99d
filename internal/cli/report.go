package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// report is what --report writes: an object with exactly these keys.
type report struct {
	Events struct {
		Read     int64            `json:"read"`
		Stored   int64            `json:"stored"`
		Dup      int64            `json:"duplicate"`
		Conflict int64            `json:"conflict"`
		Rejected int64            `json:"rejected"`
		ByReason map[string]int64 `json:"rejected_by_reason"`
	} `json:"events"`
	Files struct {
		Read    int           `json:"read"`
		Skipped []skippedFile `json:"skipped"`
	} `json:"files"`
	Indicators indicatorReport `json:"indicators"`
	Rules      struct {
		Run     int           `json:"run"`
		Skipped []skippedRule `json:"skipped"`
		Capped  []cappedRule  `json:"capped"`
		Untimed []untimedRule `json:"untimed"`
	} `json:"rules"`
	Alerts int `json:"alerts"`
	Span   struct {
		From *string `json:"from"` // null where no event was read
		To   *string `json:"to"`
	} `json:"span"`
	Seconds float64 `json:"seconds"`
}

// cappedRule is a rule that found more than it may raise in one window, in this scan or an earlier one into the same store.
type cappedRule struct {
	RuleID         string   `json:"rule_id"`
	Windows        []string `json:"windows"`         // of this scan: their ends
	LeftOut        int      `json:"left_out"`        // alerts, in these windows
	Released       int      `json:"released"`        // alerts, of earlier scans
	Pending        int      `json:"pending"`         // alerts that are left in the store for later, of all scans
	PendingWindows int      `json:"pending_windows"` // that they are of
}

// untimedRule is a rule that never matches what is in some of its streams: no event there has its time.
type untimedRule struct {
	RuleID  string   `json:"rule_id"`
	Streams []string `json:"streams"`
}

func (s *scan) summary() report {
	var r report
	a := s.loaded.Account
	r.Events.Read, r.Events.Stored, r.Events.Dup, r.Events.Conflict = a.Read, a.Stored, a.Duplicates, a.Conflicts
	r.Events.Rejected, r.Events.ByReason = a.RejectedTotal(), a.Rejected
	if r.Events.ByReason == nil {
		r.Events.ByReason = map[string]int64{}
	}
	r.Files.Read = s.loaded.files
	r.Files.Skipped = append([]skippedFile{}, s.loaded.skipped...)
	r.Indicators = summarize(s.rules.indicators)
	r.Rules.Run = s.ran()
	r.Rules.Skipped = append([]skippedRule{}, s.rules.skipped...)
	r.Rules.Untimed = append([]untimedRule{}, s.untimed...)
	r.Rules.Capped = []cappedRule{}
	for _, rule := range s.result.Rules {
		c := cappedRule{RuleID: rule.Program.Rule.RuleID, Windows: []string{}, LeftOut: rule.Over}
		for _, slot := range rule.Capped {
			c.Windows = append(c.Windows, event.FormatTime(slot))
		}
		if s.DB != "" {
			c.Released, c.Pending, c.PendingWindows = rule.Released, rule.Pending, rule.PendingWindows
		}
		if c.LeftOut+c.Released+c.PendingWindows > 0 {
			r.Rules.Capped = append(r.Rules.Capped, c)
		}
	}
	r.Alerts = len(s.result.Alerts)
	if !a.Span.Empty() {
		from, to := event.FormatTime(a.Span.From), event.FormatTime(a.Span.To)
		r.Span.From, r.Span.To = &from, &to
	}
	r.Seconds = math.Round(s.streams.Now().Sub(s.began).Seconds()*1000) / 1000
	return r
}

// reportFile is where the report goes. It is opened before the work begins, so that a name that cannot be written to is
// found before hours are spent; nil: there is no report.
type reportFile struct {
	file    *os.File
	isNew   bool
	written bool
}

func openReport(name string) (*reportFile, error) {
	switch name {
	case "":
		return nil, nil
	case "-":
		return nil, errors.New("--report needs the name of a file (standard output is for alerts)")
	}
	_, err := os.Stat(name)
	r := &reportFile{isNew: errors.Is(err, fs.ErrNotExist)}
	if r.file, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644); err != nil {
		return nil, fmt.Errorf("--report: %w", err)
	}
	return r, nil
}

// write writes the report of s.
func (r *reportFile) write(s *scan) error {
	if r == nil {
		return nil
	}
	text, err := json.MarshalIndent(s.summary(), "", "  ")
	if err != nil {
		return fmt.Errorf("encode the report: %w", err)
	}
	if info, err := r.file.Stat(); err == nil && info.Mode().IsRegular() {
		if err := r.file.Truncate(0); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if _, err := r.file.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	r.written = true
	return nil
}

// abandon closes the file, and takes it away where it was made for a report that was never written.
func (r *reportFile) abandon(err error) error {
	if r == nil {
		return err
	}
	closed := r.file.Close()
	if !r.written && r.isNew {
		closed = errors.Join(closed, os.Remove(r.file.Name()))
	}
	if err == nil && closed != nil {
		return fmt.Errorf("write the report: %w", closed)
	}
	return err
}
