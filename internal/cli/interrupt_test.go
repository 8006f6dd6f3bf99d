package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

// process is a tocsin of its own that is fed through standard input.
type process struct {
	*exec.Cmd
	in         io.WriteCloser
	out, err   bytes.Buffer
	scratchDir string
}

// start starts tocsin with its temporary files in a folder that nobody else uses.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command("tocsin", args...), scratchDir: t.TempDir()}
	p.Env = append(os.Environ(), "TMPDIR="+p.scratchDir)
	p.Stdout, p.Stderr = &p.out, &p.err
	var err error
	if p.in, err = p.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	return p
}

// exit waits for the end of the process and returns its code.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	var exit *exec.ExitError
	if err := p.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

// feed writes n records, the numbers from first on.
func feed(w io.Writer, first, n int) error {
	var b bytes.Buffer
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for i := first; i < first+n; i++ {
		b.WriteString(record(fmt.Sprintf("id-%d", i), at.Add(time.Duration(i)*time.Second).Format(time.RFC3339), "alice", "ListUsers") + "\n")
		if b.Len() > 1<<20 || i == first+n-1 {
			if _, err := w.Write(b.Bytes()); err != nil {
				return err
			}
			b.Reset()
		}
	}
	return nil
}

// stored counts the events in a store.
func stored(t *testing.T, name string) int64 {
	t.Helper()
	ctx := context.Background()
	db, err := duck.Open(ctx, name, duck.Options{})
	if err != nil {
		t.Fatalf("the store does not open: %v", err)
	}
	defer db.Close()
	streams, err := db.Streams(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	for _, s := range streams {
		n += s.Events
	}
	return n
}

// TestInterrupt interrupts a load after its first commit, and goes on with the same store.
func TestInterrupt(t *testing.T) {
	// More than what fits between the pipe and the first commit: when it is taken, that commit is done or under way.
	const before, all = 70_000, 75_000
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		db := filepath.Join(t.TempDir(), "case.duckdb")
		p := start(t, "scan", "--db", db, "-")
		if err := feed(p.in, 0, before); err != nil {
			t.Fatal(err)
		}
		if err := p.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if code := p.exit(t); code != 130 || !strings.Contains(p.err.String(), "tocsin: interrupted") || p.out.Len() > 0 {
			t.Errorf("%s: exit code %d, standard error %q, output %q", signal, code, p.err.String(), p.out.String())
		}
		kept := stored(t, db)
		if kept == 0 || kept >= before {
			t.Errorf("%s: %d events are stored: it did not come mid-load", signal, kept)
		}
		if signal != os.Interrupt {
			continue
		}
		p = start(t, "scan", "--db", db, "-")
		if err := feed(p.in, 0, all); err != nil {
			t.Fatal(err)
		}
		p.in.Close()
		if code := p.exit(t); code != 0 {
			t.Errorf("the second scan ends with %d: %s", code, p.err.String())
		}
		want := fmt.Sprintf("events  75,000 read = %s stored (0 in conflict) + %s duplicate + 0 rejected", grouped(all-kept), grouped(kept))
		if !strings.Contains(p.out.String(), want) || stored(t, db) != all {
			t.Errorf("the second scan says\n%swant %q; %d events are stored", p.out.String(), want, stored(t, db))
		}
	}
}

// TestInterruptLeavesNothing interrupts scans without a store at various moments: the temporary one is always gone.
func TestInterruptLeavesNothing(t *testing.T) {
	for n := range 8 {
		p := start(t, "scan", "-")
		if n > 0 {
			feed(p.in, 0, n*6_000)
		}
		time.Sleep(time.Duration(n%3) * 40 * time.Millisecond)
		p.Process.Signal(os.Interrupt)
		code := p.exit(t)
		if code != 130 && (n > 0 || p.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT) {
			t.Errorf("exit code %d: %s", code, p.err.String())
		}
		if left, _ := os.ReadDir(p.scratchDir); len(left) > 0 {
			t.Errorf("%d records: %s is left in the folder of temporary files", n*6_000, left[0].Name())
		}
	}
}

// TestKilledRelease kills releases at various moments: after one that ends, each alert is there once and nothing is pending.
func TestKilledRelease(t *testing.T) {
	const all = 6_000
	dir := t.TempDir()
	db, rules := filepath.Join(dir, "case.duckdb"), filepath.Join(dir, "many.toml")
	text := "[rule]\nname='Many'\ndescription='d'\nrule_id='many'\nseverity='low'\nrisk_score=1\ntype='query'\nquery='event.action: ListUsers'\n" +
		"interval='2h'\nfrom='now-2h'\nmax_signals=3\n"
	if err := os.WriteFile(rules, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p := start(t, "scan", "--rules", rules, "--db", db, "-")
	if err := feed(p.in, 0, all); err != nil {
		t.Fatal(err)
	}
	p.in.Close()
	if code := p.exit(t); code != 3 {
		t.Fatalf("the scan ends with %d: %s", code, p.err.String())
	}
	killed := 0
	for wait := 60 * time.Millisecond; ; wait += 60 * time.Millisecond {
		p := start(t, "alerts", "release", "--db", db, "--json")
		p.in.Close()
		timer := time.AfterFunc(wait, func() { p.Process.Kill() })
		code := p.exit(t)
		timer.Stop()
		if code != -1 {
			if code > 1 { // 0 where the one before was killed after its last commit
				t.Fatalf("the release ends with %d: %s", code, p.err.String())
			}
			break
		}
		killed++
	}
	ctx := context.Background()
	store, err := duck.Open(ctx, db, duck.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	left, err := replay.ListPending(ctx, store)
	if err != nil || len(left) > 0 || killed < 3 {
		t.Errorf("%v; pending %+v; %d were killed", err, left, killed)
	}
	streams, err := store.Streams(ctx, []string{".alerts-*"})
	if err != nil || len(streams) != 1 || streams[0].Events != all {
		t.Errorf("%v; alerts %+v, want %d", err, streams, all)
	}
}

// TestReaderGoesAway closes the pipe that the results go to, as head does.
func TestReaderGoesAway(t *testing.T) {
	cmd := exec.Command("tocsin", "scan", "-")
	scratch := t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR="+scratch)
	cmd.Stdin = strings.NewReader(records("x", "2026-03-01T00:00:00Z alice GetCallerIdentity"))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = w, &errs
	err = cmd.Run()
	w.Close()
	if cmd.ProcessState.ExitCode() != 1 || errs.Len() > 0 {
		t.Errorf("%v, %q", err, errs.String())
	}
	if left, _ := os.ReadDir(scratch); len(left) > 0 {
		t.Errorf("%s is left in the folder of temporary files", left[0].Name())
	}
}

// grouped prints n with separators.
func grouped(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}
