package rule

import "github.com/tocsin-sec/tocsin/internal/event"

// object collects the members of an object; a null is left out.
type object []event.Member

func (o *object) add(key string, v event.Value) {
	if !v.IsNull() {
		*o = append(*o, event.Member{Key: key, Value: v})
	}
}

func (o object) value() event.Value { return event.Object(o...) }

// each turns the elements of a list into objects; null where it is nil.
func each[T any](items []T, f func(*object, T)) event.Value {
	if items == nil {
		return event.Null()
	}
	out := make([]event.Value, len(items))
	for i, item := range items {
		var o object
		f(&o, item)
		out[i] = o.value()
	}
	return event.List(out...)
}

func (r Reference) into(o *object) {
	o.add("id", event.String(r.ID))
	o.add("name", event.String(r.Name))
	o.add("reference", event.String(r.URL))
}

func threats(all []Threat) event.Value {
	return each(all, func(o *object, t Threat) {
		o.add("framework", event.String(t.Framework))
		var tactic object
		t.Tactic.into(&tactic)
		o.add("tactic", tactic.value())
		o.add("technique", each(t.Techniques, func(o *object, t Technique) {
			t.into(o)
			o.add("subtechnique", each(t.Subtechniques, func(o *object, s Reference) { s.into(o) }))
		}))
	})
}

func severityMappings(all []SeverityMapping) event.Value {
	return each(all, func(o *object, m SeverityMapping) {
		o.add("field", event.String(m.Field))
		o.add("operator", event.String(m.Operator))
		o.add("value", event.String(m.Value))
		o.add("severity", event.String(m.Severity))
	})
}

func riskScoreMappings(all []RiskScoreMapping) event.Value {
	return each(all, func(o *object, m RiskScoreMapping) {
		o.add("field", event.String(m.Field))
		o.add("operator", event.String(m.Operator))
		o.add("value", event.String(m.Value))
		if m.Scored {
			o.add("risk_score", event.Int(int64(m.RiskScore)))
		}
	})
}

func exceptionLists(all []ExceptionList) event.Value {
	return each(all, func(o *object, e ExceptionList) {
		o.add("id", word(e.ID))
		o.add("list_id", event.String(e.ListID))
		o.add("type", event.String(e.Type))
		o.add("namespace_type", word(e.NamespaceType))
	})
}

func investigationFieldsOf(r *Rule) event.Value {
	if r.InvestigationFields == nil {
		return event.Null()
	}
	return object{{Key: "field_names", Value: event.Strings(r.InvestigationFields...)}}.value()
}

func newTermsOf(r *Rule) event.Value {
	start := object{{Key: "field", Value: event.String("history_window_start")}, {Key: "value", Value: event.String(r.HistoryWindowStart)}}
	return object{
		{Key: "field", Value: event.String("new_terms_fields")},
		{Key: "value", Value: event.Strings(r.NewTermsFields...)},
		{Key: "history_window_start", Value: event.List(start.value())},
	}.value()
}

func thresholdOf(r *Rule) event.Value {
	if r.Threshold == nil {
		return event.Null()
	}
	var o object
	o.add("field", event.Strings(r.Threshold.Fields...))
	o.add("value", event.Int(int64(r.Threshold.Value)))
	o.add("cardinality", each(r.Threshold.Cardinality, func(o *object, c Cardinality) {
		o.add("field", event.String(c.Field))
		o.add("value", event.Int(int64(c.Value)))
	}))
	return o.value()
}

// ofThreat reads a key of threat_match rules, null in others.
func ofThreat(value func(*ThreatMatch) event.Value) func(*Rule) event.Value {
	return func(r *Rule) event.Value {
		if r.ThreatMatch == nil {
			return event.Null()
		}
		return value(r.ThreatMatch)
	}
}

func threatMappingOf(m *ThreatMatch) event.Value {
	return each(m.Mapping, func(o *object, g ThreatMapping) {
		o.add("entries", each(g.Entries, func(o *object, e ThreatEntry) {
			o.add("field", event.String(e.Field))
			o.add("type", event.String("mapping"))
			o.add("value", event.String(e.Value))
			if e.Negate {
				o.add("negate", event.Bool(true))
			}
		}))
	})
}

func suppressionOf(r *Rule) event.Value {
	s := r.Suppression
	if s == nil {
		return event.Null()
	}
	var o object
	o.add("group_by", names(s.GroupBy))
	if s.Value > 0 {
		o.add("duration", object{{Key: "value", Value: event.Int(int64(s.Value))}, {Key: "unit", Value: event.String(s.Unit)}}.value())
	}
	o.add("missing_fields_strategy", word(s.MissingFields))
	return o.value()
}

// ofStored reads what a server added, null where none did.
func ofStored(value func(*Stored) event.Value) func(*Rule) event.Value {
	return func(r *Rule) event.Value {
		if r.Stored == nil {
			return event.Null()
		}
		return value(r.Stored)
	}
}
