package rule

import (
	"math"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// The values of what a file leaves out (rule-execution.md §8.1).
const (
	DefaultFrom       = "now-6m"
	DefaultTo         = "now"
	DefaultInterval   = "5m"
	DefaultMaxSignals = 100
)

// MaxNewTermsFields bounds the fields of a new_terms rule.
const MaxNewTermsFields = 16

// Parse reads the rule in data, the content of the file called name. The error, if there is one, is a diag.List with
// everything that was found wrong.
func Parse(name string, data []byte) (*Rule, error) {
	text := strings.TrimPrefix(string(data), "\ufeff")
	doc, top := open(name, text)
	if top == nil {
		return nil, doc.diagnostics()
	}
	root := doc.table("", top)
	root.need("rule")
	r := &Rule{File: name, text: text}
	if t := root.sub("rule"); t != nil {
		r.read(t)
	}
	r.Metadata = metadata(root.sub("metadata"))
	notes := transform(root.sub("transform"))
	root.close()
	r.Note = notes.into(r.Note)
	if len(doc.found) > 0 {
		return nil, doc.diagnostics()
	}
	r.CannotRun = r.cannotRun()
	return r, nil
}

// read reads the [rule] table.
func (r *Rule) read(t *table) {
	t.need("rule_id", "name", "description", "type", "severity", "risk_score")
	r.RuleID = t.word("rule_id")
	r.Name = t.word("name")
	r.Description = oneLine(t.word("description"))
	r.Type = t.oneOf("type", Types()...)
	r.Severity = t.oneOf("severity", Severities()...)
	r.RiskScore = t.number("risk_score", 0, 0, 100)
	r.Version = t.number("version", 1, 1, math.MaxInt32)
	r.Enabled = t.flag("enabled", true)
	r.MaxSignals = t.number("max_signals", DefaultMaxSignals, 1, math.MaxInt32)

	r.about(t)
	r.mappings(t)
	r.TimestampOverride = t.word("timestamp_override")
	r.TimestampOverrideFallbackDisabled = t.flag("timestamp_override_fallback_disabled", false)
	r.BuildingBlockType = t.oneOf("building_block_type", "default")
	r.InvestigationFields = investigationFields(t)
	r.AlertSuppression = t.object("alert_suppression")

	r.Actions = t.objects("actions")
	r.ResponseActions = t.objects("response_actions")
	r.Throttle = t.text("throttle")
	r.Meta = t.object("meta")
	r.RelatedIntegrations = t.objects("related_integrations")
	r.RequiredFields = t.objects("required_fields")
	r.Namespace = t.text("namespace")
	r.OutputIndex = t.text("output_index")
	for _, e := range t.subs("exceptions_list") {
		e.need("list_id", "type")
		r.ExceptionsList = append(r.ExceptionsList, ExceptionList{ID: e.text("id"), ListID: e.word("list_id"),
			Type: e.word("type"), NamespaceType: e.oneOf("namespace_type", "single", "agnostic")})
		e.close()
	}

	r.ofType(t)
	r.window(t)
	t.close()
}

// about reads what a rule says for people.
func (r *Rule) about(t *table) {
	r.Tags = t.texts("tags")
	r.Author = t.texts("author")
	r.License = t.text("license")
	r.References = t.texts("references")
	for _, s := range t.texts("false_positives") {
		r.FalsePositives = append(r.FalsePositives, oneLine(s))
	}
	r.Note = t.text("note")
	r.Setup = t.text("setup")
	for _, sub := range t.subs("threat") {
		r.Threat = append(r.Threat, threat(sub))
	}
	t.ignore("threat_mappings") // other versions of threat, which repositories keep for themselves
	r.TimelineID = t.text("timeline_id")
	r.TimelineTitle = t.text("timeline_title")
	for _, pair := range [][2]string{{"timeline_id", "timeline_title"}, {"timeline_title", "timeline_id"}} {
		if t.has[pair[0]] != nil && t.has[pair[1]] == nil {
			t.bad(codeMissing, pair[0], "", "%s stands without %s", pair[0], pair[1])
		}
	}
}

// oneLine joins the lines of a wrapped text.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func threat(t *table) Threat {
	t.need("framework", "tactic")
	out := Threat{Framework: t.word("framework")}
	if tactic := t.sub("tactic"); tactic != nil {
		out.Tactic = reference(tactic)
		tactic.close()
	}
	for _, sub := range t.subs("technique") {
		technique := Technique{Reference: reference(sub)}
		for _, lower := range sub.subs("subtechnique") {
			technique.Subtechniques = append(technique.Subtechniques, reference(lower))
			lower.close()
		}
		sub.close()
		out.Techniques = append(out.Techniques, technique)
	}
	t.close()
	return out
}

func reference(t *table) Reference {
	t.need("id", "name", "reference")
	return Reference{ID: t.word("id"), Name: t.word("name"), URL: t.word("reference")}
}

func (r *Rule) mappings(t *table) {
	for _, m := range t.subs("severity_mapping") {
		m.need("field", "severity")
		r.SeverityMapping = append(r.SeverityMapping, SeverityMapping{Field: m.word("field"), Value: m.text("value"),
			Operator: m.oneOf("operator", "equals"), Severity: m.oneOf("severity", Severities()...)})
		m.close()
	}
	for _, m := range t.subs("risk_score_mapping") {
		m.need("field")
		_, scored := m.has["risk_score"]
		r.RiskScoreMapping = append(r.RiskScoreMapping, RiskScoreMapping{Field: m.word("field"), Value: m.text("value"),
			Operator: m.oneOf("operator", "equals"), RiskScore: m.number("risk_score", 0, 0, 100), Scored: scored})
		m.close()
	}
	r.RuleNameOverride = t.word("rule_name_override")
}

// investigationFields reads {field_names = […]}, or the plain list that older files have.
func investigationFields(t *table) []string {
	if _, isList := t.has["investigation_fields"].([]any); isList {
		return t.texts("investigation_fields")
	}
	sub := t.sub("investigation_fields")
	if sub == nil {
		return nil
	}
	sub.need("field_names")
	names := sub.texts("field_names")
	if sub.has["field_names"] != nil && len(names) == 0 {
		sub.bad(codeOutOfRange, "field_names", "", "field_names is empty")
	}
	sub.close()
	return names
}

// ofType reads what rules of some types have and others do not.
func (r *Rule) ofType(t *table) {
	if r.Type == "" { // reported; what belongs to which type is not known
		for key := range typeKeys {
			t.ignore(key)
		}
		return
	}
	for _, key := range sortedTypeKeys() {
		if _, given := t.has[key]; !given {
			continue
		}
		if !slices.Contains(typeKeys[key], r.Type) {
			t.ignore(key)
			t.doc.report(codeWrongRule, t.keyAt(key), "it belongs to rules of type "+strings.Join(typeKeys[key], ", "),
				"a rule of type %s has no %s", r.Type, key)
			delete(t.has, key)
		}
	}
	r.Index = t.names("index")
	if t.has["index"] != nil && len(r.Index) == 0 {
		t.bad(codeOutOfRange, "index", "leave it out to read all event streams", "index names no stream")
	}
	r.DataViewID = t.word("data_view_id")
	r.SavedID = t.word("saved_id")
	r.Filters = t.objects("filters")
	r.query(t)
	if r.Type == TypeNewTerms {
		r.newTerms(t)
	}
	modelled := slices.Clone(t.asked)
	t.need(neededBy[r.Type]...)
	for _, key := range sortedTypeKeys() {
		if _, given := t.has[key]; given && !slices.Contains(modelled, key) {
			r.Extra = append(r.Extra, event.Member{Key: key, Value: t.value(key)})
		}
	}
}

func (r *Rule) query(t *table) {
	r.Query = t.text("query")
	if p, ok := t.doc.places[join(t.path, "query")]; ok {
		r.queryAt = p.content
	}
	languages := languagesOf[r.Type]
	if languages == nil {
		return
	}
	r.Language = t.oneOf("language", languages...)
	if r.Language == "" {
		r.Language = languages[0]
	}
}

func (r *Rule) newTerms(t *table) {
	for _, flat := range []string{"new_terms_fields", "history_window_start"} {
		if _, given := t.has[flat]; given {
			t.ignore(flat)
			t.doc.report(codeUnknownKey, t.keyAt(flat), "in a file it is written in [rule.new_terms]", "rule has no key %q", flat)
		}
	}
	t.need("new_terms")
	nt := t.sub("new_terms")
	if nt == nil {
		return
	}
	nt.need("field", "value", "history_window_start")
	nt.oneOf("field", "new_terms_fields")
	r.NewTermsFields = nt.names("value")
	if n := len(r.NewTermsFields); nt.has["value"] != nil && (n == 0 || n > MaxNewTermsFields) {
		nt.bad(codeOutOfRange, "value", "", "value names %d fields; a new_terms rule has 1 to %d", n, MaxNewTermsFields)
	}
	starts := nt.subs("history_window_start")
	if _, isList := nt.has["history_window_start"].([]any); isList && len(starts) != 1 {
		nt.bad(codeOutOfRange, "history_window_start", "", "history_window_start must have exactly one entry")
	}
	for _, start := range starts {
		start.need("field", "value")
		start.oneOf("field", "history_window_start")
		r.HistoryWindowStart = start.moment("value")
		start.close()
	}
	nt.close()
}

func metadata(t *table) Metadata {
	if t == nil {
		return Metadata{}
	}
	m := Metadata{Maturity: t.text("maturity")}
	for key, date := range map[string]*string{"creation_date": &m.CreationDate, "updated_date": &m.UpdatedDate} {
		if s, isText := t.has[key].(string); isText {
			*date = day(s)
		}
	}
	if _, isText := t.has["integration"].(string); isText {
		m.Integrations = []string{t.text("integration")}
	} else {
		m.Integrations = t.texts("integration")
	}
	return m
}
