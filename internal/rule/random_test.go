package rule_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pelletier/go-toml/v2"
	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/rule"
)

// ignoringSource compares rules by what they say.
var ignoringSource = cmpopts.IgnoreUnexported(rule.Rule{})

// anyText draws texts that are hard to quote.
func anyText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.OneOf(
			rapid.SampledFrom([]string{"\"", "'", "\\", "\n", "\r\n", "\t", "\"\"\"", "'''", "\x00", "\x7f", "\u2028", "\ufffd", "$osquery_0",
				"${investigate_1}", "!{osquery{\"query\":\"a\"}}", "!{investigate{}}", "#", " ", "\n\n", "\\\n", "é", "\U0001F600"}),
			rapid.StringN(0, 8, 12)), 0, 8).Draw(t, "parts")
		return strings.Join(parts, "")
	})
}

func someText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string { return "x" + anyText().Draw(t, "text") })
}

// anyJSON draws what an opaque object may hold; nulls only where nulls is set.
func anyJSON(depth int, nulls bool) *rapid.Generator[any] {
	scalars := []*rapid.Generator[any]{
		rapid.Map(anyText(), func(s string) any { return s }),
		rapid.Map(rapid.Bool(), func(b bool) any { return b }),
		rapid.Map(rapid.Int64(), func(n int64) any { return n }),
		rapid.Map(rapid.SampledFrom([]string{"1.5", "-0.0", "1e21", "-2.50", "0.1e-3", "12345678901234567890.5"}), func(s string) any { return json.RawMessage(s) }),
	}
	if nulls {
		scalars = append(scalars, rapid.Just[any](nil))
	}
	if depth == 0 {
		return rapid.OneOf(scalars...)
	}
	inner := rapid.Deferred(func() *rapid.Generator[any] { return anyJSON(depth-1, nulls) })
	return rapid.OneOf(append(scalars,
		rapid.Map(rapid.SliceOfN(inner, 0, 3), func(l []any) any { return l }),
		rapid.Map(anyObject(depth-1, nulls), func(m map[string]any) any { return m }))...)
}

func anyObject(depth int, nulls bool) *rapid.Generator[map[string]any] {
	return rapid.MapOfN(rapid.OneOf(rapid.StringMatching("[a-z_.$ -]{0,5}"), anyText()), rapid.Deferred(func() *rapid.Generator[any] {
		return anyJSON(depth, nulls)
	}), 0, 4)
}

// aRule draws a sound rule as an export has it.
func aRule(nulls bool) *rapid.Generator[map[string]any] {
	return rapid.Custom(func(t *rapid.T) map[string]any {
		draw := func(name string, g *rapid.Generator[any]) any { return g.Draw(t, name) }
		text := rapid.Map(someText(), func(s string) any { return s })
		free := rapid.Map(anyText(), func(s string) any { return s })
		texts := rapid.Map(rapid.SliceOfN(anyText(), 0, 4), func(l []string) any { return l })
		named := rapid.Map(rapid.SliceOfNDistinct(someText(), 1, 3, rapid.ID), func(l []string) any { return l })
		object := rapid.Map(anyObject(2, nulls), func(m map[string]any) any { return m })
		objects := rapid.Map(rapid.SliceOfN(anyObject(2, nulls), 0, 3), func(l []map[string]any) any { return l })
		const severities = "low medium high critical"
		severity := rapid.Map(rapid.SampledFrom(strings.Fields(severities)), func(s string) any { return s })
		r := map[string]any{"rule_id": draw("rule_id", text), "name": draw("name", text), "description": draw("description", text),
			"severity": draw("severity", severity), "risk_score": rapid.IntRange(0, 100).Draw(t, "risk_score")}
		reference := func(name string) map[string]any {
			return map[string]any{"id": draw(name, text), "name": draw(name, text), "reference": draw(name, text)}
		}
		maybe := func(key string, value func() any) {
			if rapid.Bool().Draw(t, key) {
				r[key] = value()
			}
		}
		for key, g := range map[string]*rapid.Generator[any]{"tags": texts, "author": texts, "license": free, "references": texts,
			"false_positives": texts, "note": free, "setup": free, "meta": object, "namespace": free, "output_index": free,
			"rule_name_override": text, "timestamp_override": text} {
			maybe(key, func() any { return draw(key, g) })
		}
		for key, value := range map[string]any{"version": 3, "enabled": false, "from": "now-1h", "to": "now-1m", "interval": "7m",
			"max_signals": 33, "timestamp_override_fallback_disabled": true, "building_block_type": "default", "throttle": "1h"} {
			maybe(key, func() any { return value })
		}
		maybe("threat", func() any {
			technique := reference("technique")
			if rapid.Bool().Draw(t, "sub") {
				technique["subtechnique"] = []any{reference("subtechnique")}
			}
			out := map[string]any{"framework": draw("framework", text), "tactic": reference("tactic")}
			if rapid.Bool().Draw(t, "techniques") {
				out["technique"] = []any{technique}
			}
			return []any{out}
		})
		maybe("severity_mapping", func() any {
			return []any{map[string]any{"field": draw("field", text), "operator": "equals", "value": draw("value", free), "severity": draw("severity", severity)}}
		})
		maybe("risk_score_mapping", func() any {
			return []any{map[string]any{"field": draw("field", text), "operator": "equals", "value": draw("value", free), "risk_score": 7}}
		})
		maybe("actions", func() any {
			return []any{map[string]any{"id": draw("id", text), "action_type_id": ".email", "params": draw("params", object)}}
		})
		maybe("exceptions_list", func() any {
			return []any{map[string]any{"id": draw("id", text), "list_id": draw("list_id", text), "type": "detection", "namespace_type": "single"}}
		})
		of := rapid.SampledFrom(rule.Types()).Draw(t, "type")
		r["type"] = of
		if !slices.Contains([]string{"machine_learning", "esql"}, of) {
			maybe("index", func() any { return draw("index", named) })
			maybe("filters", func() any { return draw("filters", objects) })
		}
		if of != "machine_learning" {
			r["query"] = draw("query", free)
		}
		if of != "threshold" {
			maybe("alert_suppression", func() any {
				return map[string]any{"group_by": draw("group_by", named), "duration": map[string]any{"value": 5, "unit": "m"}}
			})
		}
		switch of {
		case "eql", "esql":
			r["language"] = of
		case "saved_query":
			r["saved_id"] = draw("saved_id", text)
		case "machine_learning":
			r["anomaly_threshold"], r["machine_learning_job_id"] = 50, draw("jobs", named)
		case "threshold":
			r["threshold"] = map[string]any{"field": draw("fields", named), "value": 3, "cardinality": []any{map[string]any{"field": "f", "value": 2}}}
		case "new_terms":
			r["new_terms_fields"], r["history_window_start"] = draw("terms", named), "now-9d"
		case "threat_match":
			r["threat_index"], r["threat_query"] = draw("threat_index", named), draw("threat_query", free)
			r["threat_mapping"] = []any{map[string]any{"entries": []any{map[string]any{"field": draw("field", text), "type": "mapping", "value": draw("value", text)}}}}
			maybe("threat_filters", func() any { return draw("threat_filters", objects) })
		}
		return r
	})
}

func lineOf(t *rapid.T, r map[string]any) []byte {
	line, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// readLine reads one rule from a line.
func readLine(t *rapid.T, line []byte) *rule.Rule {
	e, problems := rule.ParseExport("x.ndjson", line)
	if len(problems) > 0 {
		t.Fatalf("%s\n%s", problems.Render(), line)
	}
	return e.Rules()[0]
}

// literal decodes JSON with numbers as they are written.
func literal(t *rapid.T, line []byte) any {
	d := json.NewDecoder(strings.NewReader(string(line)))
	d.UseNumber()
	var out any
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Any sound rule that is read and written again says the same, down to the literals of its numbers.
func TestAnyExportRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := lineOf(t, aRule(true).Draw(t, "rule"))
		if diff := cmp.Diff(literal(t, line), literal(t, readLine(t, line).AppendJSON(nil))); diff != "" {
			t.Fatalf("%s\n%s", diff, line)
		}
	})
}

// Any rule written as TOML is read as the same rule, and as the same text from then on.
func TestAnyTOMLRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := readLine(t, lineOf(t, aRule(false).Draw(t, "rule")))
		first, err := r.AppendTOML(nil)
		if err != nil {
			t.Fatal(err)
		}
		back, err := rule.Parse("x.toml", first)
		if err != nil {
			t.Fatalf("%v\n%s", err, first)
		}
		if diff := cmp.Diff(stripped(r), stripped(back), ignoringSource, numbers); diff != "" {
			t.Fatalf("%s\n%s", diff, first)
		}
		second, err := back.AppendTOML(nil)
		if err != nil {
			t.Fatal(err)
		}
		var a, b map[string]any
		if err := toml.Unmarshal(first, &a); err != nil {
			t.Fatal(err)
		}
		if err := toml.Unmarshal(second, &b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(a, b); diff != "" {
			t.Fatalf("written again: %s", diff)
		}
		third := readLine(t, back.AppendJSON(nil))
		if diff := cmp.Diff(stripped(back), stripped(third), ignoringSource, numbers); diff != "" {
			t.Fatalf("through an export: %s\n%s", diff, back.AppendJSON(nil))
		}
	})
}
