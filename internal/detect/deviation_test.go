package detect_test

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/window"
)

// elastic is a small model of what Elastic's new-terms executor does (rule-execution.md §1.6, §1.7, §2.2): what the tests
// below hold Tocsin's knowing differences against. TestModelConformance holds it to the recorded scenarios.
type elastic struct {
	fields []expr.Field
	time   plan.TimeField
	cond   func(*event.Event) bool
	most   int // max_signals, at most elasticMost
	limits bool
	raised map[string]bool
}

// The framework's limit on the alerts of a run, and the schema's on fields.
const (
	elasticMost      = 1000
	elasticMaxFields = 3
)

// run runs one window over the documents that are there, and returns the new alerts as "document values".
func (m *elastic) run(docs []*event.Event, w window.Window) []string {
	type first struct {
		seen time.Time
		doc  *event.Event // the oldest in the window
		at   time.Time
	}
	terms := map[string]*first{}
	var order []string
	sorted := slices.Clone(docs)
	slices.SortStableFunc(sorted, func(a, b *event.Event) int {
		x, _ := m.time.Of(a)
		y, _ := m.time.Of(b)
		return cmp.Or(x.Compare(y), strings.Compare(a.ID, b.ID))
	})
	for _, d := range sorted {
		at, timed := m.time.Of(d)
		if !timed || at.Before(w.History) || at.After(w.To) || !m.cond(d) {
			continue
		}
		for _, term := range m.terms(d) {
			f := terms[term]
			if f == nil {
				f = &first{seen: at}
				terms[term] = f
				order = append(order, term)
			}
			if f.doc == nil && !at.Before(w.From) {
				f.doc, f.at = d, at
			}
		}
	}
	var out []string
	for _, term := range order {
		f := terms[term]
		if !f.seen.After(w.From) || f.doc == nil {
			continue
		}
		id := f.doc.ID + term // the alert's ID: the document and the terms
		if m.raised[id] || len(out) == min(m.most, elasticMost) {
			continue
		}
		m.raised[id] = true
		out = append(out, id)
	}
	return out
}

// terms are the combinations of values that the document's fields are indexed with.
func (m *elastic) terms(d *event.Event) []string {
	all := []string{""}
	for _, f := range m.fields {
		var next []string
		for _, v := range expr.Read(f, d) {
			if most := 0; m.limits {
				if declared, ok := ecs.Lookup(f.Path); ok {
					most = declared.IgnoreAbove
				}
				if most > 0 && utf8.RuneCountInString(v.Text()) > most {
					continue
				}
			}
			for _, before := range all {
				next = append(next, before+" "+v.Text())
			}
		}
		all = next
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// newModel is the model of a rule on logins.
func newModel(t testing.TB, p *detect.Program) *elastic {
	t.Helper()
	m := &elastic{time: p.Time, most: p.Rule.MaxSignals, limits: true, raised: map[string]bool{},
		cond: func(e *event.Event) bool { return e.Text("event.action") == "login" }}
	for _, name := range p.Rule.NewTermsFields {
		f, _ := declared(t).Field(name)
		m.fields = append(m.fields, f)
	}
	return m
}

// TestModelConformance holds the model of Elastic to the recorded scenarios whose fields and queries it knows.
func TestModelConformance(t *testing.T) {
	mappings := readMappings(t)
	tally := corpus.NewTally(t, "rule-exec/new_terms by the model")
	for _, s := range readScenarios(t, "new_terms.jsonl") {
		fields := mappings[fmt.Sprint(s.Rule["index"].([]any)[0])]
		switch {
		case s.notRun() != "", s.Rule["alert_suppression"] != nil:
			continue
		case s.Rule["query"] != "*":
			tally.Skip(s.ID, "the model reads no queries")
			continue
		case strings.HasPrefix(s.ID, "new_terms/nested-"):
			tally.Skip(s.ID, "the model knows no nested fields")
			continue
		}
		p := s.compiled(t, fields)
		m := &elastic{time: p.Time, most: p.Rule.MaxSignals, raised: map[string]bool{}, cond: func(*event.Event) bool { return true }}
		for _, name := range p.Rule.NewTermsFields {
			f, _ := fields.Field(name)
			m.fields = append(m.fields, f)
		}
		docs := s.documents(t, fields, s.Docs, 0)
		times := slices.Clone(s.Runs)
		for _, step := range s.Steps {
			times = append(times, step.Run)
		}
		n := 0
		for _, at := range times {
			w, err := p.Window(at)
			if err != nil {
				t.Fatal(err)
			}
			n += len(m.run(docs, w))
		}
		if n != *s.Expect.Count {
			tally.Fail(s.ID, fmt.Sprintf("%d alerts, want %d", n, *s.Expect.Count))
			continue
		}
		tally.Pass()
	}
}

// step is what happens next: documents land, or a window is run, by Elastic, by Tocsin or by both.
type step struct {
	land []*event.Event
	run  string // the slot
	who  string // "": both
}

// compare plays steps on the model and on Tocsin and returns what each raised.
func compare(t *testing.T, p *detect.Program, steps ...step) (theirs, ours []string, b *bench) {
	t.Helper()
	b = newBench(t)
	m := newModel(t, p)
	var docs []*event.Event
	for _, s := range steps {
		if len(s.land) > 0 {
			docs = append(docs, s.land...)
			b.land(s.land...)
			continue
		}
		w, err := p.Window(at(t, s.run))
		if err != nil {
			t.Fatal(err)
		}
		if s.who != "tocsin" {
			theirs = append(theirs, m.run(docs, w)...)
		}
		if s.who != "elastic" {
			ours = append(ours, found(b.run(p, w).Alerts)...)
		}
	}
	return theirs, ours, b
}

func both(t *testing.T, what string, theirs, ours, wantTheirs, wantOurs []string) {
	t.Helper()
	if diff := gocmp.Diff(wantTheirs, theirs); diff != "" {
		t.Errorf("%s: Elastic (-want +got):\n%s", what, diff)
	}
	if diff := gocmp.Diff(wantOurs, ours); diff != "" {
		t.Errorf("%s: Tocsin (-want +got):\n%s", what, diff)
	}
}

// An older event with the same values lands after the alert: Elastic raises a second alert, Tocsin corrects the first.
func TestDeviationLateTerms(t *testing.T) {
	p := newTerms(t, "now-10m", "now-1d", "user.name")
	theirs, ours, b := compare(t, p,
		step{land: []*event.Event{login(t, "on time", "9 10:05", `{"user":{"name":"eve"}}`)}},
		step{run: "9 10:05"},
		step{land: []*event.Event{login(t, "late", "9 10:02", `{"user":{"name":"eve"}}`)}},
		step{run: "9 10:10"})
	both(t, "late terms", theirs, ours, []string{"on time eve", "late eve"}, []string{"on time eve"})
	if got := b.alerts()[0].Text("tocsin.alert.known_since"); got != "2026-03-09T10:02:00.000Z" {
		t.Errorf("known since %q", got)
	}
}

// An event lands in a window that was run: Elastic never looks there again, Tocsin runs the window once more.
func TestDeviationLateData(t *testing.T) {
	p := newTerms(t, "now-5m", "now-1d", "user.name")
	theirs, ours, _ := compare(t, p,
		step{land: []*event.Event{login(t, "other", "9 10:04", `{"user":{"name":"ops"}}`)}},
		step{run: "9 10:05"},
		step{land: []*event.Event{login(t, "late", "9 10:03", `{"user":{"name":"eve"}}`)}},
		step{run: "9 10:05", who: "tocsin"}, // replay finds that it is dirty
		step{run: "9 10:10"}, step{run: "9 10:15"})
	both(t, "late data", theirs, ours, []string{"other ops"}, []string{"other ops", "late eve"})
}

// A value longer than the mapping's ignore_above is no term for Elastic.
func TestDeviationLongValues(t *testing.T) {
	limit := 0
	if f, ok := ecs.Lookup("user.name"); ok {
		limit = f.IgnoreAbove
	}
	if limit == 0 {
		t.Fatal("the catalogue gives user.name no limit")
	}
	p := newTerms(t, "now-10m", "now-1d", "user.name")
	fits, long := strings.Repeat("a", limit), strings.Repeat("b", limit+1)
	theirs, ours, _ := compare(t, p,
		step{land: []*event.Event{login(t, "1", "9 10:05", `{"user":{"name":["`+fits+`","`+long+`"]}}`)}},
		step{run: "9 10:10"})
	both(t, "long values", theirs, ours, []string{"1 " + fits}, []string{"1 " + fits, "1 " + long})
}

// A rule may ask for more alerts a run than Elastic's framework lets it have.
func TestDeviationManyAlerts(t *testing.T) {
	p := compile(t, parse(t, "many", "type='new_terms'\nquery='event.action: login'\nfrom='now-10m'\nmax_signals=1500\n"+terms("now-1d", "user.name")))
	var names []string
	for i := range 1200 {
		names = append(names, fmt.Sprintf("%q", fmt.Sprint("user", i)))
	}
	theirs, ours, _ := compare(t, p,
		step{land: []*event.Event{login(t, "1", "9 10:05", `{"user":{"name":[`+strings.Join(names, ",")+`]}}`)}},
		step{run: "9 10:10"})
	if len(theirs) != 1000 || len(ours) != 1200 {
		t.Errorf("%d alerts of Elastic, %d of Tocsin, want 1000 and 1200", len(theirs), len(ours))
	}
}

// A rule may combine five fields; Elastic's schema ends at three.
func TestDeviationFiveFields(t *testing.T) {
	fields := []string{"user.name", "user.id", "host.name", "source.ip", "event.action"}
	if len(fields) <= elasticMaxFields {
		t.Fatal("Elastic takes as many")
	}
	p := newTerms(t, "now-10m", "now-1d", fields...)
	b := newBench(t)
	b.land(login(t, "past", "9 08:00", `{"user":{"name":"eve","id":1},"host":{"name":"h"},"source":{"ip":"10.0.0.1"}}`),
		login(t, "now", "9 10:05", `{"user":{"name":"eve","id":1},"host":{"name":"h"},"source":{"ip":["10.0.0.1","10.0.0.2"]}}`))
	if diff := gocmp.Diff([]string{"now eve 1 h 10.0.0.2 login"}, found(b.at(p, "9 10:10").Alerts)); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

// Every test that the page of deviations names is there.
func TestDeviationsPage(t *testing.T) {
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "deviations.md"))
	if err != nil {
		t.Fatal(err)
	}
	// `TestA`, `TestB` (`internal/x`)
	cited := regexp.MustCompile("((?:`Test[A-Za-z0-9]+`(?:, )?)+) (?:in|\\()\\s*`(internal/[a-z/]+)`")
	name := regexp.MustCompile("`(Test[A-Za-z0-9]+)`")
	n := 0
	for _, m := range cited.FindAllStringSubmatch(string(page), -1) {
		files, err := filepath.Glob(filepath.Join(root, m[2], "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		var text []byte
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, data...)
		}
		for _, test := range name.FindAllStringSubmatch(m[1], -1) {
			if n++; !strings.Contains(string(text), "func "+test[1]+"(") {
				t.Errorf("%s has no %s", m[2], test[1])
			}
		}
	}
	if all := len(name.FindAllString(string(page), -1)); n != all || n < 10 {
		t.Errorf("%d of %d tests were found with their package", n, all)
	}
}
