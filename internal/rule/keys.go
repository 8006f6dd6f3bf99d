package rule

import (
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// layout says in which layouts a key stands.
type layout uint8

const (
	everywhere layout = iota
	inTOML            // in TOML alone
	inExports         // in exports alone
)

// key is one key of a rule. What is written, what belongs to which type and what the documentation lists come from this
// table; what may stand there is read's matter.
type key struct {
	name  string
	types []string // the types that have it; nil: all
	in    layout
	// value is what the rule has there, in the form of an export; null where it has nothing.
	value func(*Rule) event.Value
	// usual is what leaving the key out means; null: something else than any value.
	usual func(*Rule) event.Value
	// rewritten says that reading puts what a file says into one form: a file's own wording is kept beside it.
	rewritten bool
	about     string
}

var (
	withQuery = []string{TypeQuery, TypeSavedQuery, TypeEQL, TypeESQL, TypeThreshold, TypeThreatMatch, TypeNewTerms}
	withIndex = []string{TypeQuery, TypeSavedQuery, TypeEQL, TypeThreshold, TypeThreatMatch, TypeNewTerms}
	withSaved = []string{TypeQuery, TypeSavedQuery, TypeThreshold, TypeThreatMatch}
)

// keys are all keys of a rule, in the order in which an export has them.
var keys = slices.Concat(storedKeys, commonKeys, typeKeys)

// commonKeys are what rules of every type have.
var commonKeys = []key{
	{name: "rule_id", value: func(r *Rule) event.Value { return event.String(r.RuleID) },
		about: "the author's own ID of the rule, the same in every version of it (needed)"},
	{name: "name", value: func(r *Rule) event.Value { return event.String(r.Name) }, about: "what people call it (needed)"},
	{name: "description", value: func(r *Rule) event.Value { return event.String(r.Description) }, rewritten: true,
		about: "what it finds and why that matters; line breaks count as blanks (needed)"},
	{name: "type", value: func(r *Rule) event.Value { return event.String(r.Type) },
		about: "one of " + strings.Join(Types(), ", ") + " (needed)"},
	{name: "severity", value: func(r *Rule) event.Value { return event.String(r.Severity) },
		about: "low, medium, high or critical (needed)"},
	{name: "risk_score", value: func(r *Rule) event.Value { return event.Int(int64(r.RiskScore)) }, about: "0 to 100 (needed)"},
	{name: "version", value: func(r *Rule) event.Value { return event.Int(int64(r.Version)) }, usual: whole(1),
		about: "at least 1"},
	{name: "enabled", value: func(r *Rule) event.Value { return event.Bool(r.Enabled) }, usual: truth(true),
		about: "false switches the rule off"},
	{name: "from", value: func(r *Rule) event.Value { return event.String(r.From) }, usual: text(DefaultFrom),
		about: "where a window begins: date math on now, or an instant"},
	{name: "to", value: func(r *Rule) event.Value { return event.String(r.To) }, usual: text(DefaultTo),
		about: "where it ends"},
	{name: "interval", value: func(r *Rule) event.Value { return event.String(r.Interval) }, usual: text(DefaultInterval),
		about: "how often the rule runs: a positive whole number and s, m, h or d"},
	{name: "max_signals", value: func(r *Rule) event.Value { return event.Int(int64(r.MaxSignals)) },
		usual: whole(DefaultMaxSignals), about: "how many alerts one run makes at most"},
	{name: "tags", value: func(r *Rule) event.Value { return event.Strings(r.Tags...) }, usual: nothing, about: "free labels"},
	{name: "author", value: func(r *Rule) event.Value { return event.Strings(r.Author...) }, usual: nothing,
		about: "who wrote it"},
	{name: "license", value: func(r *Rule) event.Value { return word(r.License) }, about: "the licence of the rule"},
	{name: "references", value: func(r *Rule) event.Value { return event.Strings(r.References...) }, usual: nothing,
		about: "pages to read"},
	{name: "false_positives", value: func(r *Rule) event.Value { return event.Strings(r.FalsePositives...) }, usual: nothing,
		rewritten: true, about: "what else sets it off, one text each; line breaks count as blanks"},
	{name: "note", value: func(r *Rule) event.Value { return word(r.Note) }, rewritten: true,
		about: "the investigation guide, Markdown; `$investigate_0` and `$osquery_0` name entries of `[transform]`"},
	{name: "setup", value: func(r *Rule) event.Value { return event.String(r.Setup) }, usual: text(""),
		about: "what has to be set up for it to work, Markdown"},
	{name: "threat", value: func(r *Rule) event.Value { return threats(r.Threat) }, usual: nothing,
		about: "its places in ATT&CK: `framework`, `tactic` and `technique` with `subtechnique`, each with `id`, `name`, `reference`"},
	{name: "threat_mappings", in: inTOML, value: func(r *Rule) event.Value { return r.ThreatMappings },
		about: "other versions of `threat`, kept and not read"},
	{name: "severity_mapping", rewritten: true, value: func(r *Rule) event.Value { return severityMappings(r.SeverityMapping) }, usual: nothing,
		about: "`field`, `operator` (equals), `value`, `severity`: the highest that fits is the alert's severity"},
	{name: "risk_score_mapping", rewritten: true, value: func(r *Rule) event.Value { return riskScoreMappings(r.RiskScoreMapping) }, usual: nothing,
		about: "`field`, `operator` (equals), `value`, `risk_score`: the field of the first gives the alert's risk score"},
	{name: "rule_name_override", value: func(r *Rule) event.Value { return word(r.RuleNameOverride) },
		about: "the field that gives alerts their name"},
	{name: "timestamp_override", value: func(r *Rule) event.Value { return word(r.TimestampOverride) },
		about: "the field to cut windows on in place of `@timestamp`"},
	{name: "timestamp_override_fallback_disabled", usual: truth(false),
		value: func(r *Rule) event.Value { return event.Bool(r.TimestampOverrideFallbackDisabled) },
		about: "true leaves events without that field out"},
	{name: "building_block_type", value: func(r *Rule) event.Value { return word(r.BuildingBlockType) },
		about: "`default`: alerts are material for other rules"},
	{name: "investigation_fields", rewritten: true, value: investigationFieldsOf,
		about: "`field_names`: the fields that an analyst looks at first"},
	{name: "alert_suppression", value: suppressionOf,
		about: "`group_by` (1 to 5 fields), `duration` (`value` and `unit`: s, m, h), `missing_fields_strategy` (suppress, doNotSuppress); threshold rules have `duration` alone"},
	{name: "exceptions_list", value: func(r *Rule) event.Value { return exceptionLists(r.ExceptionsList) }, usual: nothing,
		about: "lists of exceptions: `id`, `list_id`, `type` (detection, rule_default, endpoint, endpoint_…), `namespace_type` (single, agnostic)"},
	{name: "actions", value: func(r *Rule) event.Value { return list(r.Actions) }, usual: nothing,
		about: "what to do with alerts: `action_type_id`, `id`, `params`, `group`, `uuid`, `alerts_filter`, `frequency`"},
	{name: "response_actions", value: func(r *Rule) event.Value { return list(r.ResponseActions) },
		about: "what to do on the host: `action_type_id` (.osquery, .endpoint), `params`"},
	{name: "throttle", value: func(r *Rule) event.Value { return word(r.Throttle) },
		about: "no_actions, rule, or a duration"},
	{name: "meta", value: func(r *Rule) event.Value { return r.Meta }, about: "anything"},
	{name: "timeline_id", value: func(r *Rule) event.Value { return word(r.TimelineID) },
		about: "the timeline that alerts open in; with timeline_title"},
	{name: "timeline_title", value: func(r *Rule) event.Value { return word(r.TimelineTitle) }, about: "its name"},
	{name: "namespace", value: func(r *Rule) event.Value { return word(r.Namespace) }, about: "the namespace of its alerts"},
	{name: "output_index", value: func(r *Rule) event.Value { return word(r.OutputIndex) }, about: "of old, without effect"},
	{name: "related_integrations", value: func(r *Rule) event.Value { return list(r.RelatedIntegrations) }, usual: nothing,
		about: "where its events come from: `package`, `version`, `integration`"},
	{name: "required_fields", value: func(r *Rule) event.Value { return list(r.RequiredFields) }, usual: nothing,
		about: "the fields that it reads: `name`, `type`, `ecs`"},
}

// typeKeys are what rules of some types have and others do not (rule-execution.md §8.2).
var typeKeys = []key{
	{name: "index", types: withIndex, value: func(r *Rule) event.Value { return names(r.Index) },
		about: "the patterns of the streams to read; all event streams where it is left out"},
	{name: "data_view_id", types: withIndex, value: func(r *Rule) event.Value { return word(r.DataViewID) },
		about: "a data view, by ID or title, that says which streams to read; wins over index"},
	{name: "query", types: withQuery, value: func(r *Rule) event.Value { return event.String(r.Query) }, usual: text(""),
		about: "what to look for, in the rule's language"},
	{name: "language", types: withQuery, value: func(r *Rule) event.Value { return word(r.Language) },
		usual: func(r *Rule) event.Value { return text(languagesOf[r.Type][0])(r) },
		about: "kuery (the default) or lucene; eql and esql for rules of these types"},
	{name: "filters", types: withIndex, value: func(r *Rule) event.Value { return list(r.Filters) }, usual: nothing,
		about: "further conditions, as Kibana writes filters"},
	{name: "saved_id", types: withSaved, value: func(r *Rule) event.Value { return word(r.SavedID) },
		about: "a saved query; that of a saved_query rule takes the place of the rule's query, language and filters"},
	{name: "new_terms_fields", in: inExports, types: []string{TypeNewTerms},
		value: func(r *Rule) event.Value { return event.Strings(r.NewTermsFields...) },
		about: "the fields whose values together are to be new, 1 to 5"},
	{name: "history_window_start", in: inExports, types: []string{TypeNewTerms},
		value: func(r *Rule) event.Value { return event.String(r.HistoryWindowStart) },
		about: "how far back the values are looked for"},
	{name: "new_terms", in: inTOML, types: []string{TypeNewTerms}, value: newTermsOf,
		about: "these two in TOML: `field` (new_terms_fields), `value`, and one `history_window_start` with `field` and `value`"},
	{name: "threshold", types: []string{TypeThreshold}, rewritten: true, value: thresholdOf,
		about: "`field` (one or a list), `value`, `cardinality` (`field`, `value`)"},
	{name: "threat_index", types: []string{TypeThreatMatch}, value: ofThreat(func(m *ThreatMatch) event.Value { return event.Strings(m.Index...) }),
		about: "the patterns of the indicators' streams"},
	{name: "threat_query", types: []string{TypeThreatMatch}, value: ofThreat(func(m *ThreatMatch) event.Value { return event.String(m.Query) }),
		about: "which indicators to compare with"},
	{name: "threat_language", types: []string{TypeThreatMatch}, value: ofThreat(func(m *ThreatMatch) event.Value { return word(m.Language) }),
		about: "kuery or lucene; the rule's language where it is left out"},
	{name: "threat_filters", types: []string{TypeThreatMatch}, value: ofThreat(func(m *ThreatMatch) event.Value { return list(m.Filters) }), usual: nothing,
		about: "further conditions on indicators"},
	{name: "threat_mapping", types: []string{TypeThreatMatch}, rewritten: true, value: ofThreat(threatMappingOf),
		about: "groups of `entries`: `field`, `type` (mapping), `value`, `negate`"},
	{name: "threat_indicator_path", types: []string{TypeThreatMatch}, usual: text(DefaultIndicatorPath),
		value: ofThreat(func(m *ThreatMatch) event.Value { return word(m.IndicatorPath) }),
		about: "where in an indicator its description stands"},
	{name: "concurrent_searches", types: []string{TypeThreatMatch}, value: ofThreat(func(m *ThreatMatch) event.Value { return count(m.ConcurrentSearches) }),
		about: "with items_per_search; without effect"},
	{name: "items_per_search", types: []string{TypeThreatMatch}, value: ofThreat(func(m *ThreatMatch) event.Value { return count(m.ItemsPerSearch) }),
		about: "with concurrent_searches; without effect"},
	{name: "event_category_override", types: []string{TypeEQL}, value: func(r *Rule) event.Value { return word(r.EventCategoryOverride) },
		about: "the field that holds an event's category"},
	{name: "tiebreaker_field", types: []string{TypeEQL}, value: func(r *Rule) event.Value { return word(r.TiebreakerField) },
		about: "the field that orders events of the same instant"},
	{name: "timestamp_field", types: []string{TypeEQL}, value: func(r *Rule) event.Value { return word(r.TimestampField) },
		about: "the field that orders events"},
	{name: "anomaly_threshold", types: []string{TypeMachineLearning}, value: func(r *Rule) event.Value { return event.Int(int64(r.AnomalyThreshold)) },
		about: "the least score that alerts"},
	{name: "machine_learning_job_id", types: []string{TypeMachineLearning}, rewritten: true,
		value: func(r *Rule) event.Value { return event.Strings(r.MachineLearningJobIDs...) }, about: "one job, or a list"},
}

// storedKeys are what a server adds; they stand in exports alone.
var storedKeys = []key{
	{name: "id", in: inExports, value: ofStored(func(s *Stored) event.Value { return word(s.ID) }), about: "the server's own ID"},
	{name: "immutable", in: inExports, value: ofStored(func(s *Stored) event.Value { return event.Bool(s.Immutable) }), usual: truth(false),
		about: "true for rules that came with the product"},
	{name: "rule_source", in: inExports, value: ofStored(func(s *Stored) event.Value { return s.Source }),
		about: "`type`: internal, or external with `is_customized`, `has_base_version`, `customized_fields`"},
	{name: "revision", in: inExports, value: ofStored(func(s *Stored) event.Value { return event.Int(int64(s.Revision)) }), usual: whole(0),
		about: "how often it was changed there"},
	{name: "created_at", in: inExports, value: ofStored(func(s *Stored) event.Value { return word(s.CreatedAt) }), about: "an instant"},
	{name: "created_by", in: inExports, value: ofStored(func(s *Stored) event.Value { return word(s.CreatedBy) }), about: "a user"},
	{name: "updated_at", in: inExports, value: ofStored(func(s *Stored) event.Value { return word(s.UpdatedAt) }), about: "an instant"},
	{name: "updated_by", in: inExports, value: ofStored(func(s *Stored) event.Value { return word(s.UpdatedBy) }), about: "a user"},
	{name: "execution_summary", in: inExports, value: ofStored(func(s *Stored) event.Value { return s.ExecutionSummary }),
		about: "how its last run went"},
	{name: "outcome", in: inExports, value: ofStored(func(s *Stored) event.Value { return word(s.Outcome) }), about: "how its ID was found"},
	{name: "alias_target_id", in: inExports, value: ofStored(func(s *Stored) event.Value { return word(s.AliasTargetID) }), about: "the same"},
	{name: "alias_purpose", in: inExports, value: ofStored(func(s *Stored) event.Value { return word(s.AliasPurpose) }), about: "the same"},
}

// keysIn returns the keys of rules of a type in a layout.
func keysIn(of string, l layout) []key {
	return slices.DeleteFunc(slices.Clone(keys), func(k key) bool {
		return k.in != everywhere && k.in != l || k.types != nil && !slices.Contains(k.types, of)
	})
}

func text(s string) func(*Rule) event.Value {
	return func(*Rule) event.Value { return event.String(s) }
}
func whole(n int64) func(*Rule) event.Value { return func(*Rule) event.Value { return event.Int(n) } }
func truth(b bool) func(*Rule) event.Value  { return func(*Rule) event.Value { return event.Bool(b) } }
func nothing(*Rule) event.Value             { return event.List() }

// word is a text, null where it is empty.
func word(s string) event.Value {
	if s == "" {
		return event.Null()
	}
	return event.String(s)
}

// count is a number, null where it is 0.
func count(n int) event.Value {
	if n == 0 {
		return event.Null()
	}
	return event.Int(int64(n))
}

// names is a list of texts, null where it is nil.
func names(list []string) event.Value {
	if list == nil {
		return event.Null()
	}
	return event.Strings(list...)
}

// list is a list, null where it is nil.
func list(items []event.Value) event.Value {
	if items == nil {
		return event.Null()
	}
	return event.List(items...)
}
