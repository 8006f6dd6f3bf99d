// Package demo makes an archive of CloudTrail files as two busy AWS accounts would leave in a bucket, with three things
// in it that the bundled rules must find. The same options give the same records in the same objects, so that tests,
// measurements and the bundled demo speak of the same events.
//
// It imitates: names and layout of objects, shapes of records, order of delivery. It does not decide what an alert is:
// the Truth it returns is what the stories in it were written to cause, and its tests check that against a plain
// reading of the rules, and against the rules themselves.
//
//	truth, err := demo.Write(dir, demo.Bundled())
//	err = demo.WriteTruth(demo.TruthFile(dir), truth)
package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Options say how large an archive to make, and which.
type Options struct {
	Events int       // distinct events, MinEvents to MaxEvents, MinPerDay a day; records delivered twice come on top
	Seed   uint64    // another seed gives other ids and another mix, and the same stories
	End    time.Time // end of the data, midnight UTC; no event is as late as this
	Days   int       // length of the data, MinDays to MaxDays
	// Keys is how many keys request parameters have, over the whole archive, besides those of their calls: 0 to MaxKeys, and
	// to a quarter of Events, so that each occurs.
	Keys int
	// LastHour puts one more first sighting into the last hour, among users who ask who they are every day.
	LastHour bool
}

// Bounds of Options.
const (
	MinEvents = 10_000
	MaxEvents = 100_000_000
	MinPerDay = 400 // standing work and sessions alone make half of that
	MinDays   = 20  // the rules' history, and the days they run over
	MaxDays   = 366
)

// Bundled are the options of the archive in testdata/cloudtrail.
func Bundled() Options {
	return Options{Events: 20_000, Seed: 1, End: time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC), Days: 20}
}

// Truth says what is in an archive.
type Truth struct {
	From       time.Time `json:"from"`       // no event is earlier
	To         time.Time `json:"to"`         // every event is earlier
	Events     int       `json:"events"`     // distinct events
	Duplicates int       `json:"duplicates"` // records delivered a second time, byte for byte
	Late       int       `json:"late"`       // records delivered with a later object than their neighbours
	Objects    int       `json:"objects"`
	RulesFrom  time.Time `json:"rules_from"` // Alerts are those of rules run from here on, with all before as history
	Alerts     []Alert   `json:"alerts"`     // by time
}

// Alert is one alert that the bundled rules must raise.
type Alert struct {
	RuleID   string    `json:"rule_id"`
	Identity string    `json:"identity"` // ARN of the user, or of the role: the new term
	EventID  string    `json:"event_id"`
	Time     time.Time `json:"time"` // of the event
	SourceIP string    `json:"source_ip"`
	Why      string    `json:"why"`
}

// The bundled rules that the stories are written for.
const (
	RuleIdentity = "ccb73eb6-f306-418a-8978-f0cbbc7de119" // rules/aws/sts-get-caller-identity-first-time.toml
	RuleRole     = "1bf58f9d-69cc-415a-a9c0-30657ed047bf" // rules/aws/sts-get-caller-identity-first-time-by-role.toml
)

// Write makes the archive below dir, as AWSLogs/<account>/CloudTrail/<region>/YYYY/MM/DD/<object>, and says what is in
// it. The folder AWSLogs must not exist there yet. Memory grows with what is delivered at a time, not with the number of
// events. After an error the folder holds part of the archive.
func Write(dir string, opt Options) (Truth, error) {
	least := max(MinEvents, MinPerDay*opt.Days)
	switch {
	case opt.Days < MinDays || opt.Days > MaxDays:
		return Truth{}, fmt.Errorf("demo data: %d days, not between %d and %d", opt.Days, MinDays, MaxDays)
	case opt.Events < least || opt.Events > MaxEvents:
		return Truth{}, fmt.Errorf("demo data: %d events in %d days, not between %d and %d", opt.Events, opt.Days, least, MaxEvents)
	case opt.Keys < 0 || opt.Keys > min(MaxKeys, opt.Events/4):
		return Truth{}, fmt.Errorf("demo data: %d keys, not between 0 and %d", opt.Keys, min(MaxKeys, opt.Events/4))
	case !opt.End.Equal(opt.End.UTC().Truncate(24 * time.Hour)):
		return Truth{}, fmt.Errorf("demo data: the end %s is not midnight UTC", opt.End.Format(time.RFC3339))
	}
	opt.End = opt.End.UTC()
	out, err := newArchive(dir, opt.Seed, opt.level())
	if err != nil {
		return Truth{}, fmt.Errorf("demo data: %w", err)
	}
	g := newGenerator(opt, out)
	err = g.run()
	if closed := out.close(); err == nil {
		err = closed
	}
	if err != nil {
		return Truth{}, fmt.Errorf("demo data: %w", err)
	}
	return Truth{
		From: g.start, To: opt.End,
		Events: g.made, Duplicates: out.duplicates, Late: out.late, Objects: out.objects,
		RulesFrom: opt.End.AddDate(0, 0, -5),
		Alerts:    g.alerts,
	}, nil
}

// TruthFile is where the truth about the archive in dir is kept: beside it, for whoever scans dir reads every JSON in it.
func TruthFile(dir string) string { return filepath.Clean(dir) + ".truth.json" }

// ReadTruth reads what WriteTruth wrote.
func ReadTruth(name string) (Truth, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return Truth{}, fmt.Errorf("truth file: %w", err)
	}
	var t Truth
	if err := json.Unmarshal(text, &t); err != nil {
		return Truth{}, fmt.Errorf("truth file %s: %w", name, err)
	}
	return t, nil
}

// WriteTruth writes t as indented JSON to the file called name.
func WriteTruth(name string, t Truth) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(t); err != nil {
		return fmt.Errorf("truth file %s: %w", name, err)
	}
	if err := os.WriteFile(name, text.Bytes(), 0o644); err != nil {
		return fmt.Errorf("truth file: %w", err)
	}
	return nil
}
