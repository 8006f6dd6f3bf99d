package indicator_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/indicator"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// catalogue is the resolver of declared fields.
type catalogue struct{}

func (catalogue) Field(path string) (expr.Field, bool) {
	r, ok := ecs.Resolve(path)
	return expr.Field{Path: r.Path, Type: r.Type, Root: r.Type == event.Flattened && r.Flattened == path}, ok
}

func (c catalogue) Expand(pattern expr.Pattern) []expr.Field {
	var out []expr.Field
	for f := range ecs.Fields() {
		if pattern.Fits(f.Path, false) {
			field, _ := c.Field(f.Path)
			out = append(out, field)
		}
	}
	return out
}

// alerts are what a rule alerts on among events, with files; each event is a document in JSON.
func alerts(t *testing.T, r *rule.Rule, files *indicator.Files, db store.Store) []*event.Event {
	t.Helper()
	p, err := detect.Compiler{Resolver: catalogue{}, Indicators: files.Version}.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	stamp := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	report, err := replay.Run(context.Background(), db, []*detect.Program{p}, replay.Options{Indicators: indicator.Over(db, files), Clock: func() time.Time {
		stamp = stamp.Add(time.Second)
		return stamp
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Rules {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	return report.Alerts
}

func stored(t *testing.T, documents ...string) store.Store {
	t.Helper()
	db := mem.New(nil)
	c := store.Change{At: time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)}
	for i, text := range documents {
		e, err := event.Decode([]byte(text), event.DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		e.ID, e.Stream = string(rune('a'+i)), "logs-x.y-default"
		c.Events = append(c.Events, e)
	}
	if err := db.Apply(context.Background(), &c); err != nil {
		t.Fatal(err)
	}
	return db
}

// The public rules find what files say, of whatever form: their threat_query and threat_filters hold of it, at any time.
func TestPublicRulesConformance(t *testing.T) {
	dir := corpus.Dir(t, "corpus/rules/rules")
	tally := corpus.NewTally(t, "indicator/public-rules")
	hash := strings.Repeat("ab", 32)
	csv := "ip,url,sha256,md5,registry\n198.51.100.7,,,,\n,http://evil.example/a,,,\n,,,," + `HKEY_LOCAL_MACHINE\SOFTWARE\Evil\run` + "\n,,," + strings.Repeat("CD", 16) + ",\n,," + hash + ",,\n203.0.113.0/24,,,,\n"
	list := "198.51.100.7\nhxxp://evil[.]example/a\nHKLM\\SOFTWARE\\Evil\\run\n" + strings.Repeat("cd", 16) + "\n" + hash + "\n203.0.113.0/24\n"
	stix := bundle(stixIndicator(1, "[ipv4-addr:value = '198.51.100.7'] OR [url:value = 'http://evil.example/a']", `,"valid_from":"2031-01-01T00:00:00Z"`),
		stixIndicator(2, `[windows-registry-key:key = 'HKEY_LOCAL_MACHINE\\SOFTWARE\\Evil\\run']`, ""), stixIndicator(3, "[file:hashes.MD5 = '"+strings.Repeat("cd", 16)+"' OR file:hashes.'SHA-256' = '"+hash+"']", ""),
		stixIndicator(4, "[ipv4-addr:value ISSUBSET '203.0.113.0/24']", ""))
	f := func(name, fields string) {
		t.Helper()
		r, err := rule.ReadFile(filepath.Join(dir, "threat_intel", name+".toml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range [][2]string{{"f.csv", csv}, {"f.txt", list}, {"f.json", stix}} {
			files, problems := load(t, file[0], file[1])
			if problems.Err() != nil {
				t.Fatal(problems.Render())
			}
			for _, year := range []string{"2019", "2029"} {
				document := `{"@timestamp":"` + year + `-03-01T10:00:00Z","event":{"ingested":"` + year + `-03-01T10:05:00Z"},` + fields + `}`
				found := alerts(t, r, files, stored(t, document, strings.NewReplacer("198.51", "192.0", "203.0", "192.0", "Evil", "Good", "evil", "good", "ab", "ac", "cd", "ce").Replace(document)))
				if len(found) != 1 || len(found[0].Get("threat.enrichments").Items()) != 1 || !strings.HasPrefix(found[0].Get("threat.enrichments").Items()[0].At("matched", "index").Str(), "logs-ti_file.f-") {
					t.Errorf("%s, %s, %s: %d alerts", name, file[0], document, len(found))
					tally.Fail(name, file[0])
				} else {
					tally.Pass()
				}
			}
		}
	}
	f("threat_intel_indicator_match_address", `"source":{"ip":"198.51.100.7"}`)
	f("threat_intel_indicator_match_address", `"destination":{"ip":"203.0.113.9"}`)
	f("threat_intel_indicator_match_url", `"url":{"full":"http://evil.example/a"}`)
	f("threat_intel_indicator_match_hash", `"process":{"hash":{"md5":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"}}`)
	f("threat_intel_indicator_match_hash", `"file":{"hash":{"sha256":"`+hash+`"}}`)
	f("threat_intel_indicator_match_registry", `"registry":{"path":"HKLM\\SOFTWARE\\Evil\\run"}`)
}

const addressRule = `[rule]
name = "r"
rule_id = "r"
description = "d"
type = "threat_match"
severity = "low"
risk_score = 1
index = ["logs-x.*"]
query = "source.ip:*"
from = "now-65m"
interval = "1h"
threat_index = ["logs-ti_*"]
threat_query = "QUERY"
threat_mapping = [{ entries = [{ field = "source.ip", type = "mapping", value = "threat.indicator.ip" }] }]
`

func ruleOf(t *testing.T, query string) *rule.Rule {
	t.Helper()
	r, err := rule.Parse("r.toml", []byte(strings.Replace(addressRule, "QUERY", query, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// An indicator counts in runs before it expires, whenever a rule is replayed, and however old it is.
func TestExpiry(t *testing.T) {
	f := func(query, csv, when string, want int) {
		t.Helper()
		files, _ := load(t, "f.csv", "ip,first_seen,expires\n198.51.100.7,"+csv+"\n")
		found := alerts(t, ruleOf(t, query), files, stored(t, `{"@timestamp":"`+when+`","source":{"ip":"198.51.100.7"}}`))
		if len(found) != want {
			t.Errorf("%s, %s, an event at %s: %d alerts, expected %d", query, csv, when, len(found), want)
		}
	}
	for _, query := range []string{"*", "@timestamp >= now-30d/d", "@timestamp <= now", "@timestamp >= now-30d and @timestamp <= now", "event.module: ti_* and threat.indicator.ip: *"} {
		f(query, ",", "2026-03-01T10:20:00Z", 1)
		f(query, "2020-01-01,", "2026-03-01T10:20:00Z", 1)
		f(query, ",2026-03-01T11:00:01Z", "2026-03-01T10:20:00Z", 1) // the run is at 11:00
		f(query, ",2026-03-01T11:00:00Z", "2026-03-01T10:20:00Z", 0)
		f(query, ",2026-01-01", "2026-03-01T10:20:00Z", 0)
		f(query, "2020-01-01,2026-04-01", "2026-03-01T10:20:00Z", 1)
	}
	// One that was first seen later counts: whether it touched us before is what is asked. A rule may ask otherwise.
	f("@timestamp >= now-30d/d", "2026-06-01,", "2026-03-01T10:20:00Z", 1)
	f("@timestamp <= now", "2026-06-01,", "2026-03-01T10:20:00Z", 0)
}

// A list that grows alerts on old events, once; one that is the same in another order runs nothing again.
func TestRetroHunt(t *testing.T) {
	db := stored(t, `{"@timestamp":"2026-03-01T10:20:00Z","source":{"ip":"198.51.100.7"}}`, `{"@timestamp":"2026-03-09T10:20:00Z","source":{"ip":"203.0.113.1"}}`)
	r := ruleOf(t, "@timestamp >= now-30d/d")
	f := func(csv string, want ...string) {
		t.Helper()
		files, _ := load(t, "f.csv", csv)
		found := alerts(t, r, files, db)
		var got []string
		for _, a := range found {
			got = append(got, a.Text("source.ip"))
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%q: alerts on %v, expected %v", csv, got, want)
		}
	}
	f("ip\n192.0.2.1\n")
	f("ip\n192.0.2.1\n198.51.100.7\n", "198.51.100.7")
	f("ip\n198.51.100.7\n192.0.2.1\n")
	f("ip\n203.0.113.0/24\n198.51.100.7\n", "203.0.113.1")
	f("ip\n203.0.113.0/24\n")
}
