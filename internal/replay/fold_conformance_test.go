package replay_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// TestFoldedCredentialsConformance runs a public rule that folds what comes from one address into one account within five
// minutes. Its windows go back six minutes every five, and are cut on event.ingested.
func TestFoldedCredentialsConformance(t *testing.T) {
	r, err := rule.ReadFile(filepath.Join(corpus.Dir(t, "corpus/rules"), "rules/integrations/aws/credential_access_credentials_in_s3_bucket.toml"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := detect.Compile(r, catalogue{})
	if err != nil {
		t.Fatal(err)
	}
	var events []*event.Event
	read := func(when, key, ip, account string) {
		e := &event.Event{ID: fmt.Sprint(len(events)), Stream: "logs-aws.cloudtrail-default"}
		at := event.String(event.FormatTime(at(t, when)))
		e.Set("@timestamp", at)
		e.Set("event.ingested", at)
		for path, text := range map[string]string{"data_stream.dataset": "aws.cloudtrail", "event.provider": "s3.amazonaws.com",
			"event.action": "GetObject", "event.outcome": "success", "source.ip": ip, "cloud.account.id": account,
			"aws.cloudtrail.user_identity.type": "IAMUser"} {
			e.SetString(path, text)
		}
		e.Set("aws.cloudtrail.flattened.request_parameters", event.Object(event.Member{Key: "key", Value: event.String(key)}))
		events = append(events, e)
	}
	read("9 10:01", "home/.aws/credentials", "198.51.100.7", "111122223333") // the alert of 10:05
	read("9 10:04:30.000", "home/ann/id_rsa", "198.51.100.7", "111122223333")
	read("9 10:04:40.000", "home/ann/notes.txt", "198.51.100.7", "111122223333") // no credentials
	read("9 10:04:50.000", "tls/server.pem", "203.0.113.9", "111122223333")      // another address
	read("9 10:07", "tls/server.key", "198.51.100.7", "111122223333")            // by the run of 10:10, five minutes after
	read("9 10:12", "tls/other.key", "198.51.100.7", "111122223333")             // by that of 10:15: the time is over
	read("9 10:13", "tls/other.key", "", "111122223333")
	read("9 10:14", "tls/third.key", "", "111122223333")
	onEachStore(t, func(t *testing.T, _ string, db store.Store) {
		now := clock()
		load(t, db, now, events...)
		report := run(t, db, now, replay.Options{}, p)
		got := []string{}
		for _, a := range stored(t, db) {
			got = append(got, fmt.Sprintf("%s event %s from %q and %s more to %s", a.Text("@timestamp")[11:16], a.Text("tocsin.alert.evidence_id"),
				a.Text("source.ip"), a.Text("kibana.alert.suppression.docs_count"), a.Text("kibana.alert.suppression.end")[11:16]))
		}
		slices.Sort(got)
		want := []string{
			`10:05 event 0 from "198.51.100.7" and 2 more to 10:07`,
			`10:05 event 3 from "203.0.113.9" and 0 more to 10:04`,
			`10:15 event 5 from "198.51.100.7" and 0 more to 10:12`,
			`10:15 event 6 from "" and 1 more to 10:14`,
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if report.Rules[0].Folded != 3 || p.Schedule().Interval() != 5*time.Minute {
			t.Errorf("%d folded", report.Rules[0].Folded)
		}
	})
}
