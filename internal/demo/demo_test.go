package demo_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/demo"
)

var update = flag.Bool("update", false, "write the bundled archive anew")

const bundled = "../../testdata/cloudtrail"

// record is what the tests read of a CloudTrail record.
type record struct {
	EventID      string
	EventTime    time.Time
	EventSource  string
	EventName    string
	EventType    string
	AWSRegion    string
	ErrorCode    string
	ErrorMessage string
	SourceIP     string `json:"sourceIPAddress"`
	Account      string `json:"recipientAccountId"`
	UserIdentity struct {
		Type           string
		ARN            string
		InvokedBy      string
		AccessKeyID    string
		SessionContext struct{ SessionIssuer struct{ ARN string } }
	}
	text string
}

// identity is who the record is about: the role of a session, the user, the service.
func (r *record) identity() string {
	u := r.UserIdentity
	for _, s := range []string{u.SessionContext.SessionIssuer.ARN, u.ARN, u.InvokedBy} {
		if s != "" {
			return s
		}
	}
	return u.Type
}

// unpack reads an object.
func unpack(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return text
}

// objects lists the files below dir/AWSLogs by their path from dir, sorted.
func objects(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := fs.WalkDir(os.DirFS(dir), "AWSLogs", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// records reads the records of an object, in their order.
func records(t testing.TB, name string) []record {
	t.Helper()
	var o struct{ Records []json.RawMessage }
	if err := json.Unmarshal(unpack(t, name), &o); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var out []record
	for _, raw := range o.Records {
		r := record{text: string(raw)}
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, r)
	}
	return out
}

// TestBundled holds the committed archive equal to what the generator makes; with -update it is written anew.
func TestBundled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "trail")
	truth, err := demo.Write(dir, demo.Bundled())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.RemoveAll(bundled); err != nil {
			t.Fatal(err)
		}
		if _, err := demo.Write(bundled, demo.Bundled()); err != nil {
			t.Fatal(err)
		}
		if err := demo.WriteTruth(demo.TruthFile(bundled), truth); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := demo.ReadTruth(demo.TruthFile(bundled))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(truth, kept); diff != "" {
		t.Errorf("the truth file is another one, generated against committed:\n%s", diff)
	}
	made, committed := objects(t, dir), objects(t, bundled)
	if diff := cmp.Diff(made, committed); diff != "" {
		t.Fatalf("other objects, generated against committed:\n%s", diff)
	}
	var size int64
	for _, name := range made {
		// Packed bytes may differ from one Go version to the next.
		if !bytes.Equal(unpack(t, filepath.Join(dir, name)), unpack(t, filepath.Join(bundled, name))) {
			t.Fatalf("%s holds other records", name)
		}
		info, err := os.Stat(filepath.Join(bundled, name))
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > 6<<20 {
		t.Errorf("the archive has %d bytes, more than 6 MiB", size)
	}
}

// documentation are the networks that no real machine has.
var documentation = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24")}

// TestArchive holds what the archive is to show, for the bundled options and others.
func TestArchive(t *testing.T) {
	more := demo.Bundled()
	more.Events, more.Seed = 61_234, 7
	long := demo.Bundled()
	long.Events, long.Days, long.Seed, long.End = 20_000, 45, 3, time.Date(2025, 1, 2, 0, 0, 0, 0, time.UTC)
	last := demo.Bundled()
	last.Events, last.Days, last.LastHour, last.Keys = 30_000, 60, true, 1000
	for _, opt := range []demo.Options{demo.Bundled(), more, long, last} {
		t.Run(fmt.Sprintf("%d events in %d days", opt.Events, opt.Days), func(t *testing.T) {
			t.Parallel()
			archive(t, opt)
		})
	}
}

var objectName = regexp.MustCompile(`^AWSLogs/(\d{12})/CloudTrail/([a-z0-9-]+)/(\d{4}/\d\d/\d\d)/(\d{12})_CloudTrail_([a-z0-9-]+)_(\d{8}T\d{4}Z)_[A-Za-z0-9]{16}\.json\.gz$`)

func archive(t *testing.T, opt demo.Options) {
	dir := t.TempDir()
	truth, err := demo.Write(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	names := objects(t, dir)
	seen := map[string]string{} // event ID → text
	var distinct []record
	accounts, actions, identities, kinds, types := map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]int{}, map[string]int{}
	keys := map[string]map[string]bool{} // role → access keys
	read, duplicates, errors, unordered, backwards := 0, 0, 0, 0, 0
	latest := map[string]time.Time{} // by place
	for _, name := range names {
		m := objectName.FindStringSubmatch(name)
		if m == nil {
			t.Fatalf("%s is not called like an object of CloudTrail", name)
		}
		delivered, err := time.Parse("20060102T1504Z", m[6])
		if err != nil || m[1] != m[4] || m[2] != m[5] || delivered.Format("2006/01/02") != m[3] {
			t.Fatalf("%s: its parts do not agree (%v)", name, err)
		}
		list := records(t, filepath.Join(dir, name))
		if len(list) == 0 {
			t.Fatalf("%s holds no record", name)
		}
		place, newest := m[1]+m[2], time.Time{}
		sorted := true
		for n, r := range list {
			read++
			if r.Account != m[1] || r.AWSRegion != m[2] {
				t.Fatalf("%s holds a record of %s, %s", name, r.Account, r.AWSRegion)
			}
			if !r.EventTime.Before(delivered) || r.EventTime.Before(truth.From) || !r.EventTime.Before(truth.To) {
				t.Fatalf("%s holds an event of %s", name, r.EventTime)
			}
			if n > 0 && r.EventTime.Before(list[n-1].EventTime) {
				sorted = false
			}
			if r.EventTime.Before(latest[place]) {
				backwards++
			}
			if r.EventTime.After(newest) {
				newest = r.EventTime
			}
			if was, again := seen[r.EventID]; again {
				duplicates++
				if was != r.text {
					t.Fatalf("event %s comes a second time with other bytes", r.EventID)
				}
				continue
			}
			seen[r.EventID] = r.text
			distinct = append(distinct, r)
			accounts[r.Account], actions[r.EventSource+" "+r.EventName], identities[r.identity()] = true, true, true
			kinds[r.UserIdentity.Type]++
			types[r.EventType]++
			if r.ErrorCode != "" {
				errors++
			}
			if issuer := r.UserIdentity.SessionContext.SessionIssuer.ARN; issuer != "" {
				if keys[issuer] == nil {
					keys[issuer] = map[string]bool{}
				}
				keys[issuer][r.UserIdentity.AccessKeyID] = true
			}
			address, err := netip.ParseAddr(r.SourceIP)
			if err != nil && !strings.HasSuffix(r.SourceIP, ".amazonaws.com") && r.SourceIP != "AWS Internal" ||
				err == nil && !slices.ContainsFunc(documentation, func(p netip.Prefix) bool { return p.Contains(address) }) {
				t.Fatalf("event %s comes from %q", r.EventID, r.SourceIP)
			}
		}
		if !sorted {
			unordered++
		}
		if newest.After(latest[place]) {
			latest[place] = newest
		}
	}
	exactly := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d, expected %d", what, got, want)
		}
	}
	atLeast := func(what string, got, want int) {
		t.Helper()
		if got < want {
			t.Errorf("%s: %d, expected %d at least", what, got, want)
		}
	}
	exactly("distinct events", len(distinct), opt.Events)
	exactly("distinct events of the truth", truth.Events, opt.Events)
	exactly("records", read, truth.Events+truth.Duplicates)
	exactly("duplicates", duplicates, truth.Duplicates)
	exactly("objects", len(names), truth.Objects)
	exactly("accounts", len(accounts), 2)
	atLeast("duplicates", duplicates, opt.Events/500)
	atLeast("late records", truth.Late, opt.Events/200)
	atLeast("records older than those of an earlier object", backwards, truth.Late/2)
	atLeast("objects out of order", unordered, len(names)/2)
	atLeast("actions", len(actions), 60)
	atLeast("identities", len(identities), 40)
	atLeast("errors", errors, opt.Events/200)
	for _, kind := range []string{"IAMUser", "AssumedRole", "AWSService", "Root", "SAMLUser", "WebIdentityUser", "AWSAccount"} {
		atLeast("events by "+kind, kinds[kind], 1)
	}
	for _, kind := range []string{"AwsApiCall", "AwsConsoleSignIn", "AwsServiceEvent"} {
		atLeast(kind, types[kind], 1)
	}
	rotating := 0
	for _, k := range keys {
		if len(k) >= opt.Days {
			rotating++
		}
	}
	atLeast("roles whose sessions rotate", rotating, 10)
	stories := 3
	if opt.LastHour {
		stories++
		if last := truth.Alerts[len(truth.Alerts)-1]; last.Time.Before(truth.To.Add(-time.Hour)) {
			t.Errorf("the last alert is at %s", last.Time)
		}
	}
	plainly(t, truth, stories, distinct)
}

// plainly reads the two rules as a person would and compares that with the truth: a successful GetCallerIdentity of an
// identity that had none in the 15 days before.
func plainly(t *testing.T, truth demo.Truth, stories int, distinct []record) {
	const history = 15 * 24 * time.Hour
	slices.SortStableFunc(distinct, func(a, b record) int { return a.EventTime.Compare(b.EventTime) })
	last, asked := map[string]time.Time{}, map[string]int{}
	var got []string
	for _, r := range distinct {
		if r.EventSource != "sts.amazonaws.com" || r.EventName != "GetCallerIdentity" || r.ErrorCode != "" || r.ErrorMessage != "" {
			continue
		}
		rule, who := demo.RuleIdentity, r.UserIdentity.ARN
		if r.UserIdentity.Type == "AssumedRole" {
			rule, who = demo.RuleRole, r.UserIdentity.SessionContext.SessionIssuer.ARN
			if strings.Contains(who, "/aws-service-role/") || strings.Contains(who, "/aws-reserved/sso.amazonaws.com/") {
				continue
			}
		}
		asked[who]++
		before, known := last[who]
		last[who] = r.EventTime
		gap := r.EventTime.Sub(before)
		if known && gap > history-2*time.Hour && gap < history+2*time.Hour {
			t.Errorf("%s asks after %s: too near to the limit for a plain reading", who, gap)
		}
		if r.EventTime.Before(truth.RulesFrom) || known && gap < history {
			continue
		}
		got = append(got, fmt.Sprintln(rule, who, r.EventID, r.EventTime, r.SourceIP))
	}
	var want []string
	for _, a := range truth.Alerts {
		want = append(want, fmt.Sprintln(a.RuleID, a.Identity, a.EventID, a.Time, a.SourceIP))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("truth against a plain reading of the rules:\n%s", diff)
	}
	if len(want) != stories {
		t.Errorf("%d alerts, expected %d", len(want), stories)
	}
	often := 0
	for _, n := range asked {
		if n >= 20 {
			often++
		}
	}
	if often < 8 {
		t.Errorf("%d identities ask all the time, expected 8 at least", often)
	}
}

// TestSameOptionsSameArchive holds that nothing but the options decides: not the time, not which writer is faster.
func TestSameOptionsSameArchive(t *testing.T) {
	opt := demo.Bundled()
	opt.Events = demo.MinEvents
	read := func(opt demo.Options) map[string]string {
		dir := t.TempDir()
		if _, err := demo.Write(dir, opt); err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, name := range objects(t, dir) {
			packed, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			out[name] = string(packed)
		}
		return out
	}
	first, second := read(opt), read(opt)
	if len(first) < 100 || len(first) != len(second) {
		t.Fatalf("%d and %d objects", len(first), len(second))
	}
	for name, packed := range first {
		if second[name] != packed {
			t.Fatalf("%s is another one", name)
		}
	}
	opt.Seed++
	for name := range read(opt) {
		if _, same := first[name]; same {
			t.Fatalf("another seed gives %s too", name)
		}
	}
}

// TestKeys holds that an archive with more keys has just these many, and is the same archive but for them.
func TestKeys(t *testing.T) {
	opt := demo.Bundled()
	opt.Events = demo.MinEvents
	read := func(n int) (map[string]bool, demo.Truth) {
		opt.Keys = n
		dir := t.TempDir()
		truth, err := demo.Write(dir, opt)
		if err != nil {
			t.Fatal(err)
		}
		keys := map[string]bool{}
		for _, name := range objects(t, dir) {
			for _, r := range records(t, filepath.Join(dir, name)) {
				var with struct{ RequestParameters map[string]any }
				if err := json.Unmarshal([]byte(r.text), &with); err != nil {
					t.Fatal(err)
				}
				for key := range with.RequestParameters {
					keys[key] = true
				}
			}
		}
		return keys, truth
	}
	without, truth := read(0)
	with, same := read(2500)
	if len(without) < 30 || len(with) != len(without)+2500 {
		t.Errorf("%d keys, expected 2500 more than %d", len(with), len(without))
	}
	if diff := cmp.Diff(truth, same); diff != "" {
		t.Errorf("without keys against with them:\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	f := func(want string, change func(dir *string, opt *demo.Options)) {
		t.Helper()
		dir, opt := t.TempDir(), demo.Bundled()
		change(&dir, &opt)
		_, err := demo.Write(dir, opt)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, expected %q", err, want)
		}
	}
	f("9999 events in 20 days, not between 10000 and", func(_ *string, opt *demo.Options) { opt.Events = 9999 })
	f("20000 events in 60 days, not between 24000 and", func(_ *string, opt *demo.Options) { opt.Days = 60 })
	f("100000001 events", func(_ *string, opt *demo.Options) { opt.Events = 100_000_001 })
	f("19 days, not between 20 and 366", func(_ *string, opt *demo.Options) { opt.Days = 19 })
	f("367 days", func(_ *string, opt *demo.Options) { opt.Days = 367 })
	f("5001 keys, not between 0 and 5000", func(_ *string, opt *demo.Options) { opt.Keys = 5001 })
	f("10001 keys, not between 0 and 10000", func(_ *string, opt *demo.Options) { opt.Events, opt.Keys = 200_000, 10_001 })
	f("the end 2026-03-20T01:00:00Z is not midnight UTC", func(_ *string, opt *demo.Options) { opt.End = opt.End.Add(time.Hour) })
	f("AWSLogs exists already", func(dir *string, _ *demo.Options) {
		if err := os.Mkdir(filepath.Join(*dir, "AWSLogs"), 0o755); err != nil {
			t.Fatal(err)
		}
	})
	f("not a directory", func(dir *string, _ *demo.Options) {
		*dir = filepath.Join(*dir, "file")
		if err := os.WriteFile(*dir, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	})
}

func TestTruthFile(t *testing.T) {
	name := demo.TruthFile(filepath.Join(t.TempDir(), "trail") + "/")
	if !strings.HasSuffix(name, "trail.truth.json") {
		t.Errorf("the truth file is %s", name)
	}
	if _, err := demo.ReadTruth(name); err == nil {
		t.Error("a truth file that is not there can be read")
	}
	if err := os.WriteFile(name, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := demo.ReadTruth(name); err == nil {
		t.Error("half a truth file can be read")
	}
}

// BenchmarkWrite tells the events made in a second, and how much one has.
func BenchmarkWrite(b *testing.B) {
	opt := demo.Bundled()
	opt.Events = 200_000
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		b.StartTimer()
		if _, err := demo.Write(dir, opt); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(opt.Events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
