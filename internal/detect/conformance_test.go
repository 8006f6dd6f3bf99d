package detect_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// engine is a store that scenarios run on.
type engine struct {
	name string
	open func(t testing.TB) store.Store
}

func engines() []engine {
	return []engine{
		{"mem", func(testing.TB) store.Store { return mem.New(declaredType) }},
		{"duck", func(t testing.TB) store.Store {
			t.Helper()
			db, err := duck.Open(ctx, filepath.Join(t.TempDir(), "scenario.duckdb"), duck.Options{Types: declaredType})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := db.Close(); err != nil {
					t.Error(err)
				}
			})
			return db
		}},
	}
}

// declaredType is how columns are stored; the scenarios' own mappings often say otherwise, and queries follow these.
func declaredType(path string) (event.Type, bool) {
	f, ok := ecs.Lookup(path)
	return f.Type, ok
}

// scenario is one recorded execution of a rule.
type scenario struct {
	ID    string
	Rule  map[string]any
	Docs  []json.RawMessage
	Runs  []time.Time
	Steps []struct {
		Run    time.Time
		Kind   string
		Index  []json.RawMessage
		Close  string           `json:"close_alerts"`
		Total  *int             `json:"expect_total"`
		Alerts []map[string]any `json:"expect_alerts"`
		Patch  map[string]any   `json:"patch_rule"`
		Last   map[string]any   `json:"expect_last_alert"`
	}
	Expect struct {
		Count      *int
		Alerts     []map[string]any
		Every      map[string]any `json:"every_alert"`
		First      map[string]any `json:"first_alert_by_agent_name"`
		Last       map[string]any `json:"last_alert"`
		Order      []string       `json:"order_by"`
		MaxReached *bool          `json:"max_signals_reached"`
		Warning    string
		Blocks     *int             `json:"building_blocks"`
		Sequences  *int             `json:"sequences"`
		OfSequence []map[string]any `json:"sequence_alerts"`
		Shell      map[string]any   `json:"shell_alert"`
	}
}

func readScenarios(t *testing.T, file string) []scenario {
	t.Helper()
	f, err := os.Open(filepath.Join(corpus.Dir(t, "corpus/rule-exec"), file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []scenario
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var s scenario
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// readMappings returns the declared fields of each index.
func readMappings(t *testing.T) map[string]kqltest.Mapping {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(corpus.Dir(t, "corpus/rule-exec"), "mappings.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file map[string]map[string]string
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	out := map[string]kqltest.Mapping{}
	for index, fields := range file {
		for name, kind := range fields {
			fields[name], _, _ = strings.Cut(kind, " ") // "keyword (inferred)"
		}
		if out[index], err = kqltest.TypesMapping(fields); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// toml writes the scenario's rule as a rule file.
func (s scenario) toml() string {
	var b strings.Builder
	b.WriteString("[rule]\ndescription='d'\n")
	defaults := map[string]any{"name": s.ID, "rule_id": s.ID, "severity": "low", "risk_score": 21.0}
	for k, v := range s.Rule {
		defaults[k] = v
	}
	keys := make([]string, 0, len(defaults))
	for k := range defaults {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		if k != "new_terms_fields" && k != "history_window_start" {
			fmt.Fprintf(&b, "%s = %s\n", k, tomlValue(defaults[k]))
		}
	}
	if fields, ok := s.Rule["new_terms_fields"]; ok {
		fmt.Fprintf(&b, "[rule.new_terms]\nfield = 'new_terms_fields'\nvalue = %s\n[[rule.new_terms.history_window_start]]\n"+
			"field = 'history_window_start'\nvalue = %s\n", tomlValue(fields), tomlValue(s.Rule["history_window_start"]))
	}
	return b.String()
}

func tomlValue(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case float64:
		return fmt.Sprintf("%.0f", v)
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = tomlValue(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		var parts []string
		for k, item := range v {
			parts = append(parts, k+" = "+tomlValue(item))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}

// notRun says why a scenario is not run here; "" where it is.
func (s scenario) notRun() string {
	if len(s.Docs) > 0 {
		return ""
	}
	for _, step := range s.Steps {
		if len(step.Index) > 0 {
			return ""
		}
	}
	return "its documents are not collected"
}

// compiled is the scenario's rule.
func (s scenario) compiled(t *testing.T, fields kqltest.Mapping) *detect.Program {
	t.Helper()
	if s.Rule["exceptions"] != nil {
		return s.excepted(t, fields)
	}
	r, err := rule.Parse(s.ID+".toml", []byte(s.toml()))
	if err != nil {
		t.Fatal(err)
	}
	p, err := detect.Compile(r, fields)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// documents are documents of the scenario as events, number first and on; one without an ID is called by its number.
func (s scenario) documents(t *testing.T, fields kqltest.Mapping, docs []json.RawMessage, first int) []*event.Event {
	t.Helper()
	var out []*event.Event
	for i, doc := range docs {
		d, err := event.Decode(doc, event.DecodeOptions{Tree: fields.Tree})
		if err != nil {
			t.Fatal(err)
		}
		d.ID, d.Stream = fmt.Sprint(first+i), d.Text("_index")
		if d.Stream == "" {
			d.Stream = fmt.Sprint(s.Rule["index"].([]any)[0])
		}
		if id := d.Text("_id"); id != "" {
			d.ID = id
		}
		d.Set("_index", event.Null())
		d.Set("_id", event.Null())
		out = append(out, d)
	}
	return out
}

// play runs the scenario on e and returns what is not as it was recorded, "" for nothing.
func (s scenario) play(t *testing.T, e engine, mappings map[string]kqltest.Mapping) string {
	fields, ok := mappings[fmt.Sprint(s.Rule["index"].([]any)[0])]
	if !ok {
		return "no mapping"
	}
	p := s.compiled(t, fields)
	b := newBench(t)
	b.db = e.open(t)
	b.land(s.documents(t, fields, s.Docs, 0)...)
	landed, over := len(s.Docs), 0
	run := func(at time.Time, manual bool) string {
		w, err := p.Window(at)
		if err != nil {
			return err.Error()
		}
		env := b.env(p)
		env.Manual = manual
		result, err := detect.Run(ctx, p, w, env)
		if err != nil {
			return err.Error()
		}
		b.apply(store.Change{Alerts: result.Alerts, States: result.States, Records: result.Records})
		over += result.Over
		return ""
	}
	for _, at := range s.Runs {
		if why := run(at, false); why != "" {
			return why
		}
	}
	for i, step := range s.Steps {
		b.land(s.documents(t, fields, step.Index, landed)...)
		landed += len(step.Index)
		if step.Close != "" {
			var c store.Change
			for _, a := range b.alerts() {
				c.States = append(c.States, store.AlertState{Alert: a.ID, Path: "kibana.alert.workflow_status", Value: event.String("closed")})
			}
			b.apply(c)
		}
		if step.Patch != nil {
			for k, v := range step.Patch {
				s.Rule[k] = v
			}
			p = s.compiled(t, fields)
		}
		if step.Run.IsZero() {
			continue
		}
		if why := run(step.Run, step.Kind == "manual"); why != "" {
			return why
		}
		alerts := b.alerts()
		if step.Total != nil && len(alerts) != *step.Total {
			return fmt.Sprintf("%d alerts after step %d, want %d", len(alerts), i, *step.Total)
		}
		if why := matched(step.Alerts, alerts); why != "" {
			return fmt.Sprintf("after step %d: %s", i, why)
		}
		if step.Last != nil && !describes(step.Last, alerts[len(alerts)-1]) {
			return fmt.Sprintf("after step %d the last alert is not %v", i, step.Last)
		}
	}
	alerts := b.alerts()
	expect := s.Expect
	if expect.Count != nil && len(alerts) != *expect.Count {
		return fmt.Sprintf("%d alerts, want %d", len(alerts), *expect.Count)
	}
	if expect.MaxReached != nil && *expect.MaxReached != (over > 0) {
		return fmt.Sprintf("the maximum was reached: %t, want %t", over > 0, *expect.MaxReached)
	}
	if expect.Warning == "suppression max signals" && over == 0 {
		return "the maximum was not reached"
	}
	if why := s.sequenced(alerts); why != "" {
		return why
	}
	if why := matched(expect.Alerts, alerts); why != "" {
		return why
	}
	for _, a := range alerts {
		if expect.Every != nil && !describes(expect.Every, a) {
			return fmt.Sprintf("an alert is not %v", expect.Every)
		}
	}
	if expect.First != nil {
		expect.Order = []string{"agent.name"}
	}
	sort.SliceStable(alerts, func(i, j int) bool {
		for _, path := range expect.Order {
			if x, y := alerts[i].Text(path), alerts[j].Text(path); x != y {
				return x < y && x != "" || y == ""
			}
		}
		return false
	})
	if expect.First != nil && !describes(expect.First, alerts[0]) {
		return fmt.Sprintf("the first alert is not %v", expect.First)
	}
	if expect.Last != nil && !describes(expect.Last, alerts[len(alerts)-1]) {
		return fmt.Sprintf("the last alert is not %v", expect.Last)
	}
	if expect.Count == nil && expect.Alerts == nil {
		return "nothing is expected"
	}
	return ""
}

// matched says what of the expected alerts is not among those found: each is another one of them. "" for nothing.
func matched(want []map[string]any, found []*event.Event) string {
	found = slices.Clone(found)
	for _, w := range want {
		i := 0
		for i < len(found) && !describes(w, found[i]) {
			i++
		}
		if i == len(found) {
			return fmt.Sprintf("no alert is %v", w)
		}
		found = slices.Delete(found, i, i+1)
	}
	return ""
}

// describes reports whether the alert is as want says.
func describes(want map[string]any, a *event.Event) bool {
	for key, value := range want {
		recorded, err := json.Marshal(value)
		if err != nil {
			return false
		}
		var got event.Value
		switch key {
		case "new_terms":
			got = a.Get("kibana.alert.new_terms")
		case "doc_id":
			got = a.Get("tocsin.alert.evidence_id")
		case "severity", "risk_score", "last_detected", "original_time":
			got = a.Get("kibana.alert." + key)
		case "status":
			got = a.Get("kibana.alert.workflow_status")
		case "timestamp":
			got = a.Get("@timestamp")
		case "fields":
			for path, v := range value.(map[string]any) {
				recorded, err := json.Marshal(v)
				if err != nil || string(a.Get(path).AppendJSON(nil)) != string(recorded) {
					return false
				}
			}
			continue
		case "absent":
			for _, path := range value.([]any) {
				if !a.Get(path.(string)).IsNull() {
					return false
				}
			}
			continue
		case "enrichments_count":
			got = event.Int(int64(len(a.Get("threat.enrichments").Items())))
		case "enrichments":
			if !enriched(value.([]any), a.Get("threat.enrichments").Items()) {
				return false
			}
			continue
		case "suppression":
			if value == nil {
				if !a.Get("kibana.alert.suppression.terms").IsNull() || !a.Get("kibana.alert.suppression.docs_count").IsNull() {
					return false
				}
				continue
			}
			for name, v := range value.(map[string]any) {
				recorded, err := json.Marshal(v)
				if err != nil || string(a.Get("kibana.alert.suppression."+name).AppendJSON(nil)) != string(recorded) {
					return false
				}
			}
			continue
		default:
			return false
		}
		if string(got.AppendJSON(nil)) != string(recorded) {
			return false
		}
	}
	return true
}

// enriched reports whether each of the wanted enrichments, whose keys are paths, is another one of those found.
func enriched(want []any, found []event.Value) bool {
	found = slices.Clone(found)
	for _, w := range want {
		i := slices.IndexFunc(found, func(o event.Value) bool {
			for path, v := range w.(map[string]any) {
				recorded, err := json.Marshal(v)
				if err != nil || string(o.At(strings.Split(path, ".")...).AppendJSON(nil)) != string(recorded) {
					return false
				}
			}
			return true
		})
		if i < 0 {
			return false
		}
		found = slices.Delete(found, i, i+1)
	}
	return true
}

func TestScenariosConformance(t *testing.T) {
	mappings := readMappings(t)
	for _, e := range engines() {
		for _, file := range []string{"new_terms", "query", "threshold", "eql", "threat_match"} {
			t.Run(e.name+"/"+file, func(t *testing.T) {
				tally := corpus.NewTally(t, "rule-exec/"+file+" on "+e.name)
				for _, s := range readScenarios(t, file+".jsonl") {
					if why := s.notRun(); why != "" {
						tally.Skip(s.ID, why)
						continue
					}
					if why := s.play(t, e, mappings); why != "" {
						tally.Fail(s.ID, why)
						continue
					}
					tally.Pass()
				}
			})
		}
	}
}
