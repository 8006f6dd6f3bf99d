package rule

import (
	"math"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// The values of what a file leaves out (rule-execution.md §8.1).
const (
	DefaultFrom          = "now-6m"
	DefaultTo            = "now"
	DefaultInterval      = "5m"
	DefaultMaxSignals    = 100
	DefaultIndicatorPath = "threat.indicator"
)

// MaxNewTermsFields bounds the fields of a new_terms rule, MaxGroupBy those that alerts are folded by.
const (
	MaxNewTermsFields = 5
	MaxGroupBy        = 5
)

// maxThreatPage bounds concurrent_searches × items_per_search.
const maxThreatPage = 10_000

// read reads a rule from its table.
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
	r.Suppression = r.suppression(t.sub("alert_suppression"))
	r.AlertSuppression = suppressionOf(r)

	r.Actions = t.objects("actions", action)
	r.ResponseActions = t.objects("response_actions", responseAction)
	r.Throttle = throttle(t)
	r.Meta = t.object("meta")
	r.RelatedIntegrations = t.objects("related_integrations", relatedIntegration)
	r.RequiredFields = t.objects("required_fields", requiredField)
	r.Namespace = t.text("namespace")
	r.OutputIndex = t.text("output_index")
	r.exceptions(t)

	if t.doc.json {
		r.stored(t)
	} else {
		r.ThreatMappings = t.value("threat_mappings")
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
	r.Threat = tablesOf(t.subs("threat"), threat)
	r.TimelineID = t.text("timeline_id")
	r.TimelineTitle = t.text("timeline_title")
	for _, pair := range [][2]string{{"timeline_id", "timeline_title"}, {"timeline_title", "timeline_id"}} {
		if t.given(pair[0]) && !t.given(pair[1]) {
			t.bad(codeMissing, pair[0], "", "%s stands without %s", pair[0], pair[1])
		}
	}
}

// oneLine joins the lines of a wrapped text.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// tablesOf reads each table of a list; nil where that is nil.
func tablesOf[T any](subs []*table, read func(*table) T) []T {
	if subs == nil {
		return nil
	}
	out := make([]T, len(subs))
	for i, sub := range subs {
		out[i] = read(sub)
		sub.close()
	}
	return out
}

func threat(t *table) Threat {
	t.need("framework", "tactic")
	out := Threat{Framework: t.word("framework")}
	if tactic := t.sub("tactic"); tactic != nil {
		out.Tactic = reference(tactic)
		tactic.close()
	}
	out.Techniques = tablesOf(t.subs("technique"), func(t *table) Technique {
		return Technique{Reference: reference(t), Subtechniques: tablesOf(t.subs("subtechnique"), reference)}
	})
	return out
}

func reference(t *table) Reference {
	t.need("id", "name", "reference")
	return Reference{ID: t.word("id"), Name: t.word("name"), URL: t.word("reference")}
}

func (r *Rule) mappings(t *table) {
	r.SeverityMapping = tablesOf(t.subs("severity_mapping"), func(m *table) SeverityMapping {
		m.need("field", "severity")
		return SeverityMapping{Field: m.word("field"), Value: m.text("value"),
			Operator: operator(m), Severity: m.oneOf("severity", Severities()...)}
	})
	r.RiskScoreMapping = tablesOf(t.subs("risk_score_mapping"), func(m *table) RiskScoreMapping {
		m.need("field")
		return RiskScoreMapping{Field: m.word("field"), Value: m.text("value"), Operator: operator(m),
			RiskScore: m.number("risk_score", 0, 0, 100), Scored: m.given("risk_score")}
	})
	r.RuleNameOverride = t.word("rule_name_override")
}

// operator is how a mapping compares: there is one way only.
func operator(t *table) string {
	if s := t.oneOf("operator", "equals"); s != "" {
		return s
	}
	return "equals"
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
	found := sub.texts("field_names")
	if sub.given("field_names") && len(found) == 0 {
		sub.bad(codeOutOfRange, "field_names", "", "field_names is empty")
	}
	sub.close()
	return found
}

func (r *Rule) suppression(t *table) *Suppression {
	if t == nil {
		return nil
	}
	s := &Suppression{}
	if r.Type == TypeThreshold {
		t.need("duration")
	} else {
		t.need("group_by")
		s.GroupBy = t.names("group_by")
		if n := len(s.GroupBy); t.given("group_by") && (n == 0 || n > MaxGroupBy) {
			t.bad(codeOutOfRange, "group_by", "", "group_by names %d fields; alerts are folded by 1 to %d", n, MaxGroupBy)
		}
		s.MissingFields = t.oneOf("missing_fields_strategy", "suppress", "doNotSuppress")
	}
	if d := t.sub("duration"); d != nil {
		d.need("value", "unit")
		s.Value = d.number("value", 1, 1, math.MaxInt32)
		s.Unit = d.oneOf("unit", "s", "m", "h")
		d.close()
	}
	t.close()
	return s
}

func (r *Rule) exceptions(t *table) {
	r.ExceptionsList = tablesOf(t.subs("exceptions_list"), func(e *table) ExceptionList {
		e.need("list_id", "type")
		out := ExceptionList{ID: e.word("id"), ListID: e.word("list_id"), Type: e.word("type"),
			NamespaceType: e.oneOf("namespace_type", "single", "agnostic")}
		if out.Type != "" && !strings.HasPrefix(out.Type, "endpoint_") {
			e.oneOf("type", "detection", "rule_default", "endpoint")
		}
		return out
	})
}

// ofType reads what rules of some types have and others do not.
func (r *Rule) ofType(t *table) {
	for _, k := range typeKeys {
		if !t.given(k.name) || k.in == inExports && !t.doc.json || k.in == inTOML && t.doc.json {
			continue
		}
		if r.Type == "" { // reported; what belongs to which type is not known
			t.ignore(k.name)
			continue
		}
		if !slices.Contains(k.types, r.Type) {
			t.ignore(k.name)
			t.doc.report(codeWrongRule, t.keyAt(k.name), "it belongs to rules of type "+strings.Join(k.types, ", "),
				"a rule of type %s has no %s", r.Type, k.name)
			delete(t.has, k.name)
		}
	}
	if r.Type == "" {
		return
	}
	r.Index = t.names("index")
	if t.given("index") && len(r.Index) == 0 {
		t.bad(codeOutOfRange, "index", "leave it out to read all event streams", "index names no stream")
	}
	r.DataViewID = t.word("data_view_id")
	r.SavedID = t.word("saved_id")
	r.Filters = t.objects("filters", nil)
	r.query(t)
	modelled := len(t.asked)
	switch r.Type {
	case TypeNewTerms:
		r.newTerms(t)
		modelled = len(t.asked)
	case TypeThreshold:
		r.threshold(t)
	case TypeThreatMatch:
		r.threatMatch(t)
	case TypeEQL:
		r.EventCategoryOverride = t.word("event_category_override")
		r.TiebreakerField = t.text("tiebreaker_field")
		r.TimestampField = t.word("timestamp_field")
	case TypeMachineLearning:
		r.AnomalyThreshold = t.number("anomaly_threshold", 0, 0, math.MaxInt32)
		r.MachineLearningJobIDs = t.nameOrNames("machine_learning_job_id")
		if t.given("machine_learning_job_id") && len(r.MachineLearningJobIDs) == 0 {
			t.bad(codeOutOfRange, "machine_learning_job_id", "", "machine_learning_job_id names no job")
		}
	}
	others := slices.Sorted(slices.Values(t.asked[modelled:]))
	t.need(neededBy[r.Type]...)
	for _, name := range others {
		if t.given(name) {
			k := keys[slices.IndexFunc(keys, func(k key) bool { return k.name == name })]
			r.Extra = append(r.Extra, event.Member{Key: name, Value: k.value(r)})
		}
	}
}

func (r *Rule) query(t *table) {
	r.Query = t.text("query")
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
	if t.doc.json {
		t.need("new_terms_fields", "history_window_start")
		r.newTermsFields(t, "new_terms_fields")
		r.HistoryWindowStart = t.moment("history_window_start")
		return
	}
	for _, flat := range []string{"new_terms_fields", "history_window_start"} {
		if t.given(flat) {
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
	r.newTermsFields(nt, "value")
	starts := nt.subs("history_window_start")
	if starts != nil && len(starts) != 1 {
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

func (r *Rule) newTermsFields(t *table, key string) {
	r.NewTermsFields = t.names(key)
	if n := len(r.NewTermsFields); t.given(key) && (n == 0 || n > MaxNewTermsFields) {
		t.bad(codeOutOfRange, key, "", "%s names %d fields; a new_terms rule has 1 to %d", key, n, MaxNewTermsFields)
	}
}

func (r *Rule) threshold(t *table) {
	sub := t.sub("threshold")
	if sub == nil {
		return
	}
	sub.need("field", "value")
	r.Threshold = &Threshold{Fields: sub.nameOrNames("field"), Value: sub.number("value", 1, 1, math.MaxInt32)}
	r.Threshold.Cardinality = tablesOf(sub.subs("cardinality"), func(c *table) Cardinality {
		c.need("field", "value")
		return Cardinality{Field: c.word("field"), Value: c.number("value", 0, 0, math.MaxInt32)}
	})
	sub.close()
}

func (r *Rule) threatMatch(t *table) {
	m := &ThreatMatch{Index: t.names("threat_index"), Query: t.text("threat_query"),
		Language: t.oneOf("threat_language", LanguageKuery, LanguageLucene),
		Filters:  t.objects("threat_filters", nil), IndicatorPath: t.word("threat_indicator_path"),
		ConcurrentSearches: t.number("concurrent_searches", 0, 1, maxThreatPage),
		ItemsPerSearch:     t.number("items_per_search", 0, 1, maxThreatPage)}
	r.ThreatMatch = m
	if m.IndicatorPath == "" {
		m.IndicatorPath = DefaultIndicatorPath
	}
	if t.given("threat_index") && len(m.Index) == 0 {
		t.bad(codeOutOfRange, "threat_index", "", "threat_index names no stream")
	}
	for _, pair := range [][2]string{{"concurrent_searches", "items_per_search"}, {"items_per_search", "concurrent_searches"}} {
		if t.given(pair[0]) && !t.given(pair[1]) {
			t.bad(codeMissing, pair[0], "", "%s stands without %s", pair[0], pair[1])
		}
	}
	if m.ConcurrentSearches*m.ItemsPerSearch > maxThreatPage {
		t.bad(codeOutOfRange, "items_per_search", "", "concurrent_searches × items_per_search is more than %d", maxThreatPage)
	}
	groups := t.subs("threat_mapping")
	if groups != nil && len(groups) == 0 {
		t.bad(codeOutOfRange, "threat_mapping", "", "threat_mapping is empty")
	}
	m.Mapping = tablesOf(groups, threatMapping)
}

func threatMapping(t *table) ThreatMapping {
	t.need("entries")
	positive, seen := false, map[ThreatEntry]bool{}
	entries := t.subs("entries")
	out := ThreatMapping{Entries: tablesOf(entries, func(e *table) ThreatEntry {
		e.need("field", "type", "value")
		e.oneOf("type", "mapping")
		entry := ThreatEntry{Field: e.word("field"), Value: e.word("value"), Negate: e.flag("negate", false)}
		positive = positive || !entry.Negate
		if other := (ThreatEntry{entry.Field, entry.Value, !entry.Negate}); seen[other] {
			e.bad(codeTwice, "field", "", "%s is to equal %s and not to equal it", entry.Field, entry.Value)
		}
		seen[entry] = true
		return entry
	})}
	if entries != nil && !positive {
		t.bad(codeOutOfRange, "entries", "add an entry without negate", "entries has no comparison that must hold")
	}
	return out
}
