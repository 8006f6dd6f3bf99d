package detect_test

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
	"github.com/tocsin-sec/tocsin/internal/window"
)

var ctx = context.Background()

// stream is where events land.
const stream = "logs-test-default"

// declared are the fields of the test's streams.
func declared(t testing.TB) plan.Resolver {
	t.Helper()
	m, err := kqltest.TypesMapping(map[string]string{"@timestamp": "date", "event.ingested": "date", "event.action": "keyword",
		"user.name": "keyword", "user.id": "long", "host.name": "keyword", "source.ip": "ip", "message": "text", "labels": "flattened",
		"files": "nested", "files.name": "keyword", "where": "geo_point"})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// parse reads a rule: the keys that every rule has, and more lines of TOML.
func parse(t testing.TB, id, more string) *rule.Rule {
	t.Helper()
	r, err := rule.Parse(id+".toml", fmt.Appendf(nil,
		"[rule]\nname='%[1]s'\ndescription='d'\nrule_id='%[1]s'\nseverity='low'\nrisk_score=1\n%[2]s\n", id, more))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func compile(t testing.TB, r *rule.Rule) *detect.Program {
	t.Helper()
	p, err := detect.Compile(r, declared(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// terms are the lines of a new-terms rule on fields.
func terms(history string, fields ...string) string {
	return fmt.Sprintf("[rule.new_terms]\nfield='new_terms_fields'\nvalue=['%s']\n"+
		"[[rule.new_terms.history_window_start]]\nfield='history_window_start'\nvalue='%s'", strings.Join(fields, "','"), history)
}

// newTerms is a rule on logins with the given window.
func newTerms(t testing.TB, from, history string, fields ...string) *detect.Program {
	t.Helper()
	return compile(t, parse(t, "new-terms", "type='new_terms'\nquery='event.action: login'\nfrom='"+from+"'\n"+terms(history, fields...)))
}

// at reads a time of March 2026: "9 10:05" is the 9th.
func at(t testing.TB, s string) time.Time {
	t.Helper()
	for _, layout := range []string{"2006-1-2 15:04", "2006-1-2 15:04:05.000", "2006-1-2"} {
		if parsed, err := time.Parse(layout, "2026-3-"+s); err == nil {
			return parsed
		}
	}
	t.Fatalf("%q is no time", s)
	return time.Time{}
}

// login makes an event. The document's other fields are given as JSON.
func login(t testing.TB, id, when, document string) *event.Event {
	t.Helper()
	e, err := event.Decode([]byte(document), event.DecodeOptions{Tree: func(path string) bool { return path == "labels" }})
	if err != nil {
		t.Fatal(err)
	}
	e.ID, e.Stream = id, stream
	e.Set("@timestamp", event.String(event.FormatTime(at(t, when))))
	if e.Get("event.action").IsNull() {
		e.Set("event.action", event.String("login"))
	}
	return e
}

// bench is a store and what one program found in it so far.
type bench struct {
	testing.TB
	db  store.Store
	now time.Time
}

func newBench(t testing.TB) *bench {
	return &bench{TB: t, db: mem.New(nil), now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
}

func (b *bench) apply(c store.Change) store.Outcome {
	b.Helper()
	b.now = b.now.Add(time.Second)
	c.At = b.now
	if err := b.db.Apply(ctx, &c); err != nil {
		b.Fatal(err)
	}
	return c.Outcome
}

func (b *bench) land(events ...*event.Event) { b.Helper(); b.apply(store.Change{Events: events}) }

// env is what a run of p reads now; what it takes to make it is committed.
func (b *bench) env(p *detect.Program) detect.Env {
	b.Helper()
	latest, err := b.db.Latest(ctx)
	if err != nil {
		b.Fatal(err)
	}
	alerted, err := detect.LoadAlerted(ctx, b.db, latest, p.Rule.UUID())
	if err != nil {
		b.Fatal(err)
	}
	if p.Folds() {
		if err := alerted.LoadFolds(ctx, b.db, p.Rule.UUID()); err != nil {
			b.Fatal(err)
		}
	}
	env := detect.Env{Events: b.db, Store: b.db, At: latest, Alerted: alerted}
	streams, err := b.db.Streams(ctx, p.Streams())
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range streams {
		if env.Begin.IsZero() || s.Time.From.Before(env.Begin) {
			env.Begin = s.Time.From
		}
	}
	if !p.Remembers() {
		return env
	}
	if env.Index, err = sighting.Open(ctx, b.db, p.Sightings()); err != nil {
		b.Fatal(err)
	}
	rows, marks, err := env.Index.Fold(ctx, latest)
	if err != nil {
		b.Fatal(err)
	}
	states, audits, err := alerted.LateEvidence(ctx, env.Index)
	if err != nil {
		b.Fatal(err)
	}
	b.apply(store.Change{Sightings: rows, Records: append(marks, audits...), States: states})
	return env
}

// run runs p over w and commits what it finds; the result holds what was new to the store.
func (b *bench) run(p *detect.Program, w window.Window) detect.Result {
	b.Helper()
	result, err := detect.Run(ctx, p, w, b.env(p))
	if err != nil {
		b.Fatal(err)
	}
	if got := len(b.apply(store.Change{Alerts: result.Alerts, States: result.States, Records: result.Records}).NewAlerts); got != len(result.Alerts) {
		b.Errorf("%d of %d alerts were new to the store", got, len(result.Alerts))
	}
	return result
}

// at runs p at the slot that s names.
func (b *bench) at(p *detect.Program, s string) detect.Result {
	b.Helper()
	w, err := p.Window(at(b, s))
	if err != nil {
		b.Fatal(err)
	}
	return b.run(p, w)
}

// alerts returns the stored alerts by time, then ID.
func (b *bench) alerts() []*event.Event {
	b.Helper()
	latest, err := b.db.Latest(ctx)
	if err != nil {
		b.Fatal(err)
	}
	rows, err := b.db.Query(ctx, plan.Scan{Streams: []string{store.AlertStream}}, latest)
	if err != nil {
		b.Fatal(err)
	}
	defer rows.Close()
	var out []*event.Event
	for rows.Next() {
		out = append(out, rows.Event())
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	sort.Slice(out, func(i, j int) bool {
		x, y := out[i].Text("@timestamp"), out[j].Text("@timestamp")
		return x < y || x == y && out[i].ID < out[j].ID
	})
	return out
}

// found is what alerts are about, one text each: the event, and the new values.
func found(alerts []*event.Event) []string {
	out := []string{}
	for _, a := range alerts {
		text := a.Text("tocsin.alert.evidence_id")
		for _, v := range a.Values("kibana.alert.new_terms") {
			text += " " + v.Text()
		}
		out = append(out, text)
	}
	return out
}
