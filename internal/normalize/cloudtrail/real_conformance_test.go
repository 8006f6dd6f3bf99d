package cloudtrail_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/normalize/cloudtrail"
)

// eachFile calls f with the content of every JSON file below dir, unpacked.
func eachFile(t testing.TB, dir string, f func(name string, r io.Reader)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(filepath.Base(name), ".json") {
			return err
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		var r io.Reader = file
		if strings.HasSuffix(name, ".gz") {
			if r, err = gzip.NewReader(file); err != nil {
				return err
			}
		}
		f(name, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRealConformance holds what becomes of each record of the collected data sets.
func TestRealConformance(t *testing.T) {
	dir := corpus.Dir(t, "corpus/cloudtrail-real")
	tally := corpus.NewTally(t, "cloudtrail-real")
	sets, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, profile := range []cloudtrail.Profile{cloudtrail.Integration, cloudtrail.Filebeat} {
		ct := cloudtrail.New(cloudtrail.Options{Profile: profile})
		for _, set := range sets {
			if !set.IsDir() {
				continue
			}
			account := accountOf(t, ct, filepath.Join(dir, set.Name()))
			t.Logf("%s %s", set.Name(), account)
			if before, ok := got[set.Name()]; ok && before != account {
				t.Errorf("%s: the profiles differ: %s and %s", set.Name(), before, account)
			}
			got[set.Name()] = account
		}
	}
	for name, want := range map[string]string{
		"aws-cloudtrail-user-guide-examples": "files 7 broken 0 records 25 events 20 rejected 5 [no-event-time 5] duplicate keys 0",
		"invictus-aws_dataset":               "files 55 broken 0 records 2900 events 2900 rejected 0 [] duplicate keys 0",
		"misc-small":                         "files 3 broken 0 records 65 events 51 rejected 14 [no-event-time 14] duplicate keys 0",
		"otrf-security-datasets":             "files 1 broken 0 records 103 events 0 rejected 103 [no-event-time 103] duplicate keys 0",
		"panther-analysis-tests":             "files 136 broken 0 records 454 events 316 rejected 138 [no-event-time 138] duplicate keys 0",
		"stratus-red-team-detonation-logs":   "files 35 broken 0 records 310 events 310 rejected 0 [] duplicate keys 0",
		"traildiscover-log-examples":         "files 563 broken 0 records 563 events 563 rejected 0 [] duplicate keys 0",
		"zmallen-cloudtrail2sightings":       "files 4 broken 0 records 15 events 15 rejected 0 [] duplicate keys 0",
	} {
		if diff := cmp.Diff(want, got[name]); diff != "" {
			tally.Fail(name, diff)
		} else {
			tally.Pass()
		}
	}
	if len(got) != 8 {
		t.Errorf("%d data sets, want 8", len(got))
	}
}

// accountOf says what became of the records of the files below dir.
func accountOf(t *testing.T, ct *cloudtrail.CloudTrail, dir string) string {
	t.Helper()
	var counts normalize.Counts
	files, broken, yielded := 0, 0, int64(0)
	eachFile(t, dir, func(name string, r io.Reader) {
		files++
		err := ct.Split(r, name, func(raw event.Raw) error {
			yielded++
			e, err := ct.Normalize(raw, &counts)
			if err != nil {
				return nil
			}
			ct.Finish(e)
			checkEvent(t, name, e)
			return nil
		})
		if err != nil {
			broken++
			t.Log(err)
		}
	})
	rejected := int64(0)
	var reasons []string
	for reason, n := range counts.Rejected {
		rejected += n
		reasons = append(reasons, fmt.Sprintf("%s %d", reason, n))
	}
	sort.Strings(reasons)
	if yielded != counts.Records || counts.Records != counts.Events+rejected {
		t.Errorf("%s: %d records split, %d seen, %d events, %d rejected", dir, yielded, counts.Records, counts.Events, rejected)
	}
	return fmt.Sprintf("files %d broken %d records %d events %d rejected %d %v duplicate keys %d",
		files, broken, counts.Records, counts.Events, rejected, reasons, counts.DuplicateKeys)
}

// checkEvent holds what is true of every event.
func checkEvent(t testing.TB, name string, e *event.Event) {
	t.Helper()
	if e.ID == "" || e.Stream == "" || len(e.Source.Data) == 0 {
		t.Errorf("%s: an event without ID, stream or source: %q %q", name, e.ID, e.Stream)
	}
	for _, path := range []string{"@timestamp", "event.ingested"} {
		if _, ok := event.Coerce(event.Date, e.Get(path)); !ok {
			t.Errorf("%s: %s: %s %q is no date", name, e.ID, path, e.Text(path))
		}
	}
	before := ""
	for _, f := range e.Fields() {
		if f.Path <= before || f.Value.IsNull() {
			t.Errorf("%s: %s: field %q after %q, %v", name, e.ID, f.Path, before, f.Value.Kind())
		}
		before = f.Path
		if f.Value.Kind() == event.KindObject && !isFlattened(f.Path) {
			t.Errorf("%s: %s: an object stands at %s", name, e.ID, f.Path)
		}
	}
}

// isFlattened reports whether the field at path is a tree.
func isFlattened(path string) bool {
	return strings.HasPrefix(path, "aws.cloudtrail.flattened.") || path == "aws.cloudtrail.insight_details" ||
		path == "aws.cloudtrail.user_identity.session_context.web_id_federation_data.attributes"
}
