package rule

import (
	"math"
	"regexp"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// The shapes of objects that a rule carries along without looking into them (rule-execution.md §8.1).

func action(t *table) {
	t.need("action_type_id", "id", "params")
	for _, key := range []string{"action_type_id", "id", "group", "uuid"} {
		t.word(key)
	}
	t.object("params")
	t.object("alerts_filter")
	if f := t.sub("frequency"); f != nil {
		f.need("summary", "notifyWhen")
		f.flag("summary", false)
		f.oneOf("notifyWhen", "onActiveAlert", "onThrottleInterval", "onActionGroupChange")
		throttle(f)
		f.close()
	}
}

func responseAction(t *table) {
	t.need("action_type_id", "params")
	t.oneOf("action_type_id", ".osquery", ".endpoint")
	t.object("params")
}

func relatedIntegration(t *table) {
	t.need("package", "version")
	t.word("package")
	t.word("version")
	t.text("integration")
}

func requiredField(t *table) {
	t.need("name", "type")
	t.word("name")
	t.word("type")
	t.flag("ecs", false)
}

var throttleForm = regexp.MustCompile(`^([1-9][0-9]{0,8}[smhd]|no_actions|rule)$`)

// throttle reads how often actions run at most.
func throttle(t *table) string {
	s := t.word("throttle")
	if s != "" && !throttleForm.MatchString(s) {
		t.bad(codeBadTime, "throttle", "no_actions, rule, or a positive whole number and s, m, h or d", "%q is no throttle", short(s))
	}
	return s
}

// stored reads what a server added.
func (r *Rule) stored(t *table) {
	given := false
	for _, k := range storedKeys {
		given = given || t.given(k.name)
	}
	s := &Stored{ID: t.word("id"), Immutable: t.flag("immutable", false), Revision: t.number("revision", 0, 0, math.MaxInt32),
		CreatedAt: t.instant("created_at"), UpdatedAt: t.instant("updated_at"),
		CreatedBy: t.text("created_by"), UpdatedBy: t.text("updated_by"), ExecutionSummary: t.object("execution_summary"),
		Outcome: t.oneOf("outcome", "exactMatch", "aliasMatch", "conflict"), AliasTargetID: t.text("alias_target_id"),
		AliasPurpose: t.oneOf("alias_purpose", "savedObjectConversion", "savedObjectImport")}
	if source := t.sub("rule_source"); source != nil {
		source.need("type")
		if source.oneOf("type", "internal", "external") == "external" {
			source.flag("is_customized", false)
			source.flag("has_base_version", false)
			source.value("customized_fields")
		}
		source.close()
		s.Source = t.value("rule_source")
	}
	if given {
		r.Stored = s
	}
}

// instant reads an ISO 8601 instant; "" where there is none or it is not one.
func (t *table) instant(key string) string {
	s := t.word(key)
	if _, ok := event.ParseTime(s); s != "" && !ok {
		t.bad(codeBadTime, key, "such as 2026-03-01T12:00:00.000Z", "%q is no instant", short(s))
	}
	return s
}
