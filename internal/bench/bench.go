// Package bench says what was measured: figures with their units, as a table for people, and those by which commits are
// compared, as JSON and against the bars that they are to reach. What is measured, and with which clock, is its caller's
// matter (tocsin bench).
//
//	var t bench.Table
//	t.Add("end to end", 61_200, "events/s")
//	t.Print(os.Stdout)
package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"unicode/utf8"
)

// Figure is one thing that was measured.
type Figure struct {
	Name  string
	Value float64
	Unit  string
	Note  string // what it was measured on; may be empty
}

// Table is figures in the order in which they are printed.
type Table []Figure

// Add appends a figure.
func (t *Table) Add(name string, value float64, unit string) {
	*t = append(*t, Figure{Name: name, Value: value, Unit: unit})
}

// Note sets the note of the last figure.
func (t Table) Note(format string, args ...any) { t[len(t)-1].Note = fmt.Sprintf(format, args...) }

// Print writes one line a figure: its name, value and unit in columns, then the note.
func (t Table) Print(w io.Writer) error {
	var name, value, unit int
	for _, f := range t {
		name, value, unit = max(name, width(f.Name)), max(value, width(number(f.Value))), max(unit, width(f.Unit))
	}
	out := bufio.NewWriter(w)
	for _, f := range t {
		line := fmt.Sprintf("%-*s  %*s %-*s  %s", name, f.Name, value, number(f.Value), unit, f.Unit, f.Note)
		fmt.Fprintf(out, "%s\n", bytes.TrimRight([]byte(line), " "))
	}
	return out.Flush()
}

func width(s string) int { return utf8.RuneCountInString(s) }

// number prints whole numbers from a hundred on, with separators, and three digits below.
func number(f float64) string {
	if math.Abs(f) < 100 {
		return strconv.FormatFloat(f, 'g', 3, 64)
	}
	s := strconv.FormatInt(int64(math.Round(f)), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// AddBars appends bars, each with whether it is met.
func (t *Table) AddBars(bars []Bar) {
	for _, b := range bars {
		t.Add(b.Name, b.Value, b.Unit)
		t.Note("%s", b)
	}
}

// ResetPeakMemory makes PeakMemory count from now on. It reports whether the system does that: Linux does, mostly.
func ResetPeakMemory() bool {
	debug.FreeOSMemory()
	const resetPeak = "5"
	return os.WriteFile("/proc/self/clear_refs", []byte(resetPeak), 0) == nil
}

// PeakMemory is the most that this process has had in memory since ResetPeakMemory, in bytes. It is known on Linux alone.
func PeakMemory() (int64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("read the peak memory: %w", err)
	}
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmHWM:")); ok {
			kib, err := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read the peak memory: %w", err)
			}
			return kib << 10, nil
		}
	}
	return 0, fmt.Errorf("read the peak memory: /proc/self/status does not tell it")
}
