package replay_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/replay"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// The public rules on indicators alert on an event for each of their comparisons, and on none whose indicator is older than
// their threat query asks for.
func TestPublicIndicatorRulesConformance(t *testing.T) {
	tally := corpus.NewTally(t, "rules/threat_match")
	rules := slices.DeleteFunc(rule.Load(corpus.Dir(t, "corpus/rules")).Rules, func(r *rule.Rule) bool { return r.Type != rule.TypeThreatMatch })
	if len(rules) != 8 {
		t.Fatalf("%d rules", len(rules))
	}
	for _, r := range rules {
		for name, open := range map[string]func() store.Store{"mem": func() store.Store { return mem.New(declaredType) }, "duck": func() store.Store { return openDuck(t) }} {
			if why := alertsOnIndicators(t, open(), r); why != "" {
				tally.Fail(r.File+" on "+name, why)
			} else {
				tally.Pass()
			}
		}
	}
}

func alertsOnIndicators(t *testing.T, db store.Store, r *rule.Rule) string {
	t.Helper()
	if !r.Runs() {
		return "it does not run"
	}
	p, err := detect.Compile(r, catalogue{})
	if err != nil {
		return err.Error()
	}
	// value is what the n-th field of indicators holds, of an indicator that still counts or of one that does not.
	value := func(field string, n int, age string) string {
		if f, _ := (catalogue{}).Field(field); f.Type == event.IPType || strings.HasSuffix(field, ".ip") {
			return fmt.Sprintf("203.0.%d.%d", len(age), n)
		}
		return fmt.Sprint("value ", n, " ", age)
	}
	now, nowhere := clock(), 0
	var events []*event.Event
	var want []string
	fields := map[string]int{}
	for _, g := range r.ThreatMatch.Mapping {
		for _, e := range g.Entries {
			if _, known := fields[e.Value]; !known {
				fields[e.Value] = len(fields)
			}
			for _, age := range []string{"new", "gone", "absent"} {
				nowhere++
				d := happened(fmt.Sprint(nowhere), began.Add(time.Duration(nowhere)*time.Minute), "", "")
				d.Stream = "logs-app-default"
				if strings.HasPrefix(e.Field, "url.") {
					d.Set("url.full", event.String("https://elsewhere.example/")) // the rule's query asks for it
				}
				d.Set(e.Field, event.String(value(e.Value, fields[e.Value], age)))
				events = append(events, d)
				if age == "new" {
					want = append(want, fmt.Sprintf("%d %s=%s", nowhere, e.Field, value(e.Value, fields[e.Value], age)))
				}
			}
		}
	}
	for age, days := range map[string]int{"new": 29, "gone": 32} {
		d := &event.Event{ID: age, Stream: strings.ReplaceAll(r.ThreatMatch.Index[len(r.ThreatMatch.Index)-1], "*", ".feed")}
		d.Set("@timestamp", event.String(event.FormatTime(began.AddDate(0, 0, -days))))
		d.Set("event.module", event.Strings("threatintel", "ti_rapid7_threat_command"))
		d.Set("event.dataset", event.Strings("ti_feed", "ti_*"))
		d.Set("event.category", event.String("threat"))
		d.Set("event.kind", event.String("enrichment"))
		d.Set("event.type", event.String("indicator"))
		d.Set(r.ThreatMatch.IndicatorPath+".id", event.String("described"))
		for field, n := range fields {
			d.Set(field, event.String(value(field, n, age)))
		}
		events = append(events, d)
	}
	load(t, db, now, events...)
	report := run(t, db, now, replay.Options{}, p)
	if skipped := report.Rules[0].Skipped; skipped != "" {
		return skipped
	}
	var got []string
	for _, a := range report.Alerts {
		for _, o := range a.Get("threat.enrichments").Items() {
			m := o.Member("matched")
			got = append(got, fmt.Sprintf("%s %s=%s", a.Text("tocsin.alert.evidence_id"), m.Member("field").Text(), m.Member("atomic").Text()))
			if o.At("indicator", "id").Text() != "described" {
				return "an alert does not say what the indicator is"
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	return gocmp.Diff(want, got)
}
