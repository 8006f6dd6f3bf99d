package alert

import (
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// kind is what alerts call a rule type.
type kind struct{ id, category string }

var kinds = map[string]kind{
	rule.TypeQuery:           {"siem.queryRule", "Custom Query Rule"},
	rule.TypeSavedQuery:      {"siem.savedQueryRule", "Saved Query Rule"},
	rule.TypeEQL:             {"siem.eqlRule", "Event Correlation Rule"},
	rule.TypeESQL:            {"siem.esqlRule", "ES|QL Rule"},
	rule.TypeMachineLearning: {"siem.mlRule", "Machine Learning Rule"},
	rule.TypeThreatMatch:     {"siem.indicatorRule", "Indicator Match Rule"},
	rule.TypeThreshold:       {"siem.thresholdRule", "Threshold Rule"},
	rule.TypeNewTerms:        {"siem.newTermsRule", "New Terms Rule"},
}

// app is the feature that alerts of security rules belong to; author is who put the rule there.
const (
	app    = "siem"
	author = "tocsin"
)

// object collects the members of an object. An empty text or a null is left out; an empty list is not.
type object []event.Member

func (o *object) value(key string, v event.Value) {
	if !v.IsNull() {
		*o = append(*o, event.Member{Key: key, Value: v})
	}
}

func (o *object) text(key, s string) {
	if s != "" {
		o.value(key, event.String(s))
	}
}

func (o *object) number(key string, n int) { o.value(key, event.Int(int64(n))) }

func (o *object) flag(key string, b bool) { o.value(key, event.Bool(b)) }

func (o *object) texts(key string, list []string) { o.value(key, event.Strings(list...)) }

func (o *object) list(key string, list []event.Value) { o.value(key, event.List(list...)) }

// snapshot writes the rule as it is now into the alert: kibana.alert.rule.* (§4.4).
func snapshot(a *event.Event, r *rule.Rule) {
	var o object
	known := kinds[r.Type]
	o.text("uuid", r.UUID())
	o.text("category", known.category)
	o.text("rule_type_id", known.id)
	o.text("producer", app)
	o.text("consumer", app)
	o.text("created_by", author)
	o.text("updated_by", author)
	o.text("created_at", midnight(r.Metadata.CreationDate))
	o.text("updated_at", midnight(r.Metadata.UpdatedDate))
	o.number("revision", 0)
	o.flag("enabled", r.Enabled)
	o.text("interval", r.Interval)
	o.texts("tags", r.Tags)
	o.list("actions", r.Actions)
	o.text("throttle", r.Throttle)
	o.texts("indices", r.Index)
	o.value("parameters", parameters(r))
	for _, m := range shared(r) {
		switch m.Key {
		case "related_integrations", "required_fields", "setup", "rule_source", "meta", "investigation_fields",
			"timestamp_override_fallback_disabled":
			// only among the parameters
		default:
			o = append(o, m)
		}
	}
	for _, m := range o {
		a.Set("kibana.alert.rule."+m.Key, m.Value)
	}
	if r.Meta.Kind() == event.KindObject {
		a.SetObject("kibana.alert.rule.meta", r.Meta, nil)
	}
}

// midnight makes an instant of a date.
func midnight(day string) string {
	if day == "" {
		return ""
	}
	return day + "T00:00:00.000Z"
}

// parameters are all parameters of the rule in snake_case, with defaults filled in.
func parameters(r *rule.Rule) event.Value {
	o := shared(r)
	if r.Language != "" {
		o.text("language", r.Language)
		o.value("query", event.String(r.Query))
	}
	if r.Index != nil {
		o.texts("index", r.Index)
	}
	o.text("data_view_id", r.DataViewID)
	o.text("saved_id", r.SavedID)
	if len(r.Filters) > 0 {
		o.list("filters", r.Filters)
	}
	if r.Type == rule.TypeNewTerms {
		o.texts("new_terms_fields", r.NewTermsFields)
		o.text("history_window_start", r.HistoryWindowStart)
	}
	o.value("alert_suppression", r.AlertSuppression)
	if len(r.ResponseActions) > 0 {
		o.list("response_actions", r.ResponseActions)
	}
	o = append(o, r.Extra...)
	return event.Object(o...)
}

// shared are the members that stand both in the snapshot itself and among the parameters.
func shared(r *rule.Rule) object {
	var o object
	o.text("rule_id", r.RuleID)
	o.text("type", r.Type)
	o.text("description", r.Description)
	o.text("severity", r.Severity)
	o.number("risk_score", r.RiskScore)
	o.number("version", r.Version)
	o.text("from", r.From)
	o.text("to", r.To)
	o.number("max_signals", r.MaxSignals)
	o.flag("immutable", false)
	o.value("rule_source", event.Object(event.Member{Key: "type", Value: event.String("internal")}))
	o.texts("author", r.Author)
	o.text("license", r.License)
	o.texts("references", r.References)
	o.texts("false_positives", r.FalsePositives)
	o.text("note", r.Note)
	o.value("setup", event.String(r.Setup))
	o.list("threat", threats(r.Threat))
	o.list("severity_mapping", severityMappings(r.SeverityMapping))
	o.list("risk_score_mapping", riskScoreMappings(r.RiskScoreMapping))
	o.text("rule_name_override", r.RuleNameOverride)
	o.text("timestamp_override", r.TimestampOverride)
	if r.TimestampOverrideFallbackDisabled {
		o.flag("timestamp_override_fallback_disabled", true)
	}
	o.text("building_block_type", r.BuildingBlockType)
	o.text("timeline_id", r.TimelineID)
	o.text("timeline_title", r.TimelineTitle)
	o.text("namespace", r.Namespace)
	o.value("meta", r.Meta)
	o.list("exceptions_list", exceptionLists(r.ExceptionsList))
	o.list("related_integrations", r.RelatedIntegrations)
	o.list("required_fields", r.RequiredFields)
	if r.InvestigationFields != nil {
		o.value("investigation_fields", event.Object(
			event.Member{Key: "field_names", Value: event.Strings(r.InvestigationFields...)}))
	}
	return o
}

// each turns the elements of a list into objects.
func each[T any](list []T, f func(*object, T)) []event.Value {
	out := make([]event.Value, len(list))
	for i, item := range list {
		var o object
		f(&o, item)
		out[i] = event.Object(o...)
	}
	return out
}

func reference(o *object, r rule.Reference) {
	o.text("id", r.ID)
	o.text("name", r.Name)
	o.text("reference", r.URL)
}

func threats(list []rule.Threat) []event.Value {
	return each(list, func(o *object, t rule.Threat) {
		o.text("framework", t.Framework)
		var tactic object
		reference(&tactic, t.Tactic)
		o.value("tactic", event.Object(tactic...))
		o.list("technique", each(t.Techniques, func(o *object, q rule.Technique) {
			reference(o, q.Reference)
			if len(q.Subtechniques) > 0 {
				o.list("subtechnique", each(q.Subtechniques, reference))
			}
		}))
	})
}

func severityMappings(list []rule.SeverityMapping) []event.Value {
	return each(list, func(o *object, m rule.SeverityMapping) {
		mapping(o, m.Field, m.Operator, m.Value)
		o.text("severity", m.Severity)
	})
}

func riskScoreMappings(list []rule.RiskScoreMapping) []event.Value {
	return each(list, func(o *object, m rule.RiskScoreMapping) {
		mapping(o, m.Field, m.Operator, m.Value)
		if m.Scored {
			o.number("risk_score", m.RiskScore)
		}
	})
}

func mapping(o *object, field, operator, value string) {
	o.text("field", field)
	if operator == "" {
		operator = "equals"
	}
	o.text("operator", operator)
	o.value("value", event.String(value))
}

func exceptionLists(list []rule.ExceptionList) []event.Value {
	return each(list, func(o *object, e rule.ExceptionList) {
		o.text("id", e.ID)
		o.text("list_id", e.ListID)
		o.text("type", e.Type)
		o.text("namespace_type", e.NamespaceType)
	})
}
