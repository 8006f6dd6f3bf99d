package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// maxMemory is what the process may have in memory, whatever it reads.
const maxMemory = 1 << 30

// peak is the most that the ended process had in memory, in bytes.
func (p *process) peak() int64 { return p.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10 }

// TestMemory feeds what is meant to hurt through standard input and watches the memory of the process. TOCSIN_LINE_MIB says
// how long the line of good records is, 64 MiB without it.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: -short")
	}
	line := 64
	if s := os.Getenv("TOCSIN_LINE_MIB"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		line = n
	}
	f := func(name string, want int, wants string, feed func(io.Writer) error) {
		t.Helper()
		p := start(t, "scan", "--report", filepath.Join(t.TempDir(), "report.json"), "-")
		feed(p.in) // a pipe that is closed early is what is hoped for
		p.in.Close()
		code := p.exit(t)
		if code != want || !strings.Contains(p.err.String()+p.out.String(), wants) {
			t.Errorf("%s: exit code %d, expected %d and %q:\n%s%s", name, code, want, wants, p.out.String(), p.err.String())
		}
		if p.peak() > maxMemory {
			t.Errorf("%s: %d MiB in memory", name, p.peak()>>20)
		}
		t.Logf("%-28s %4d MiB", name, p.peak()>>20)
	}
	hostileInput := func(kind string) func(io.Writer) error {
		return func(w io.Writer) error { return hostile(kind, w) }
	}
	f("a record of 64 MiB, packed", 3, "record-too-large", hostileInput("bomb-record"))
	f("128 MiB of blanks, packed", 3, "no-records", hostileInput("bomb-blank"))
	f("nested 10,000 times", 3, "1 too-deep", hostileInput("deep"))
	f("1 GiB that is one text", 3, "record-too-large", func(w io.Writer) error {
		return repeat(w, `{"Records":[{"eventName":"`, "A", 1<<30, `"}]}`)
	})
	f("1 GiB that is no list", 3, "record-too-large", func(w io.Writer) error {
		return repeat(w, `{"eventTime":"2026-03-01T00:00:00Z","a":[`, "1,", 1<<30, `1]}`)
	})
	f("1 GiB of open brackets", 3, "", func(w io.Writer) error { return repeat(w, "", "[", 1<<30, "") })
	f("an object of many keys", 3, "record-too-large", func(w io.Writer) error {
		return repeat(w, `{"Records":[{"eventTime":"2026-03-01T00:00:00Z"`, `,"k":{"k":1}`, 64<<20, `}]}`)
	})
	f("40 records of 260,000 lists", 0, "40 read = 40 stored", func(w io.Writer) error {
		for i := range 40 {
			lists := strings.Repeat(",[]", 260_000)[1:]
			if _, err := fmt.Fprintf(w, `{"eventID":"%d","eventTime":"2026-03-01T00:00:00Z","requestParameters":{"a":[%s]}}`+"\n", i, lists); err != nil {
				return err
			}
		}
		return nil
	})
	f(fmt.Sprintf("%d MiB of records in a line", line), 0, " stored (0 in conflict) + 0 duplicate + 0 rejected", func(w io.Writer) error {
		return recordLine(w, line<<20)
	})
}

// repeat writes before, then n bytes of unit again and again, then after.
func repeat(w io.Writer, before, unit string, n int, after string) error {
	block := strings.Repeat(unit, 1<<20/len(unit))
	if _, err := io.WriteString(w, before); err != nil {
		return err
	}
	for written := 0; written < n; written += len(block) {
		if _, err := io.WriteString(w, block); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, after)
	return err
}

// recordLine writes about n bytes of records as CloudTrail delivers them: one list in one line.
func recordLine(w io.Writer, n int) error {
	var b bytes.Buffer
	b.WriteString(`{"Records":[`)
	for i, written := 0, 0; written < n; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(record(fmt.Sprintf("id-%d", i), "2026-03-01T00:00:00Z", "alice", "ListUsers"))
		if b.Len() > 1<<20 {
			written += b.Len()
			if _, err := b.WriteTo(w); err != nil {
				return err
			}
		}
	}
	_, err := io.WriteString(w, b.String()+"]}")
	return err
}
