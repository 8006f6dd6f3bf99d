package duck_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

// crashFile names, for a process that is to be killed, the store that it writes to.
const crashFile = "TOCSIN_TEST_CRASH_FILE"

// crashEvents is the number of events of a commit that is to be interrupted.
const crashEvents = 3000

// crashChange is the change that follows commit seq: events of three days, a record and a sighting.
func crashChange(seq uint64) *store.Change {
	at := base.Add(time.Duration(seq) * time.Second)
	c := &store.Change{At: at,
		Records:   []store.RecordWrite{{Kind: "k", ID: "id", Data: []byte(fmt.Sprint(seq + 1))}},
		Sightings: []store.Sighting{{Program: "p", Stream: "logs", First: at, Last: at, Count: 1}}}
	for i := range crashEvents {
		e := &event.Event{ID: fmt.Sprint(seq, "-", i), Stream: "logs"}
		e.SetString("@timestamp", event.FormatTime(base.AddDate(0, 0, i%3)))
		e.SetString("event.action", "GetCallerIdentity")
		e.Source.Data = []byte(strings.Repeat(fmt.Sprintf("%x", rand.Uint64()), 20))
		c.Events = append(c.Events, e)
	}
	return c
}

// TestCrashChild writes until it is killed, and says after each commit which it was. TestCrash runs it.
func TestCrashChild(t *testing.T) {
	path := os.Getenv(crashFile)
	if path == "" {
		t.Skip("run by TestCrash alone")
	}
	ctx := context.Background()
	db, err := duck.Open(ctx, path, duck.Options{Types: types})
	if err != nil {
		t.Fatal(err)
	}
	at, err := db.Latest(ctx)
	for ; err == nil; at.Seq++ {
		c := crashChange(at.Seq)
		if err = db.Apply(ctx, c); err == nil {
			fmt.Printf("committed %d\n", c.Outcome.Seq)
		}
	}
	t.Fatal(err)
}

// TestCrash kills a process while it writes, again and again, and holds that the store opens with whole commits: those
// that were reported, and at most one more.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.tocsin")
	if err := os.MkdirAll(path+".tmp-1/deep", 0o700); err != nil { // as a killed process may leave it
		t.Fatal(err)
	}
	reported := uint64(0)
	for round := range 6 {
		child := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
		child.Env = append(os.Environ(), crashFile+"="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for commits := 0; commits < 3 && lines.Scan(); {
			if n, ok := strings.CutPrefix(lines.Text(), "committed "); ok {
				reported, _ = strconv.ParseUint(n, 10, 64)
				commits++
			}
		}
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			if n, ok := strings.CutPrefix(lines.Text(), "committed "); ok {
				reported, _ = strconv.ParseUint(n, 10, 64)
			}
		}
		if err := child.Wait(); err == nil || err.Error() != "signal: killed" {
			t.Fatalf("round %d: the writer ended by itself: %v", round, err)
		}
		checkCrash(t, path, reported)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 1 || files[0] != path {
		t.Errorf("beside the store are left: %q", files)
	}
}

// checkCrash holds that the store at path holds whole commits, up to reported at least.
func checkCrash(t *testing.T, path string, reported uint64) {
	t.Helper()
	ctx := context.Background()
	db, err := duck.Open(ctx, path, duck.Options{Types: types})
	if err != nil {
		t.Fatalf("after %d commits: %v", reported, err)
	}
	defer db.Close()
	at, err := db.Latest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if at.Seq != reported && at.Seq != reported+1 || reported == 0 {
		t.Fatalf("commit %d was reported, the store is at %d", reported, at.Seq)
	}
	r, err := db.Get(ctx, "k", "id")
	if err != nil || r.Version != int64(at.Seq) || string(r.Data) != fmt.Sprint(at.Seq) {
		t.Errorf("at commit %d the record is %s at version %d (%v)", at.Seq, r.Data, r.Version, err)
	}
	streams, err := db.Streams(ctx, nil)
	if err != nil || len(streams) != 1 || streams[0].Events != int64(at.Seq)*crashEvents {
		t.Errorf("at commit %d the streams are %+v (%v)", at.Seq, streams, err)
	}
	if n := len(query(t, db, plan.Project{In: plan.Scan{}, Paths: []string{"event.action"}})); n != int(at.Seq)*crashEvents {
		t.Errorf("at commit %d the store gives %d events", at.Seq, n)
	}
	days, err := db.SightingDays(ctx, "p")
	if n := days[0]; err != nil || n != int64(at.Seq) {
		t.Errorf("at commit %d the sightings are %v (%v)", at.Seq, days, err)
	}
}
