package eql_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
)

// otherwise are translations of the same meaning that are written in another way here.
var otherwise = map[string]string{
	// No whole number lies between 4 and 4.5, or between 3.1 and 4.
	"mixedTypeFilter": `(or (like process_name:keyword "notepad.exe" fold=true) (and (range serial_event_id:long <=2:"4") (range serial_event_id:long >=2:"4")))`,
	// No whole number equals a fraction.
	"numberFunctionFoldedComparison": "false",
	// Expressions are translated: in Lucene ^ is an ordinary character, and *? an optional star.
	"regexSingleArg":            `(regexp command_line:keyword "^(?s:\\^(?:(?:.)*)?net.exe)$")`,
	"regexSingleArgInsensitive": `(regexp command_line:keyword "^(?si:\\^(?:(?:.)*)?net.exe)$")`,
	"regexMultiArg":             `(regexp command_line:keyword "^(?s:\\^(?:(?:.)*)?net.exe|net\\.exe)$")`,
	"regexMultiArgInsensitive":  `(regexp command_line:keyword "^(?si:\\^(?:(?:.)*)?net.exe|net\\.exe)$")`,
}

// scripts are the translations of which nothing but their note is recorded: what is computed, and how.
var scripts = map[string]string{
	"inFilterWithScripting":             `(each command_line:keyword (fits (substring this 2:"5") "test\\*" "best" fold=false))`,
	"negatedInFilterWithScripting":      `(not (each command_line:keyword (fits (substring this 2:"5") "test\\*" "best" fold=false)))`,
	"lengthFunctionWithExactSubField":   `(each file_name:keyword (> (utf16_length this) 2:"0"))`,
	"lengthFunctionWithExactField":      `(each user_name:keyword (== (utf16_length this) 2:"12"))`,
	"lengthFunctionWithConstantKeyword": `(each constant_keyword:constant_keyword (< (utf16_length this) 2:"5"))`,
	"stringFunction":                    `(each pid:long (fits (to_text this) "123" fold=true))`,
	"indexOfFunction-caseSensitive":     `(each user_name:keyword (> (index_of this 4:"A" 2:"2") 2:"0"))`,
	"substringFunction":                 `(each file_name:keyword (fits (substring this 2:"-4") ".exe" fold=true))`,
	"betweenFunction":                   `(each process_name:keyword (fits (between this 4:"s" 4:"e") "yst" fold=true))`,
	// A null argument makes it null for every value: true of none.
	"concatFunction":                          `(each process_name:keyword (fits (concat this 4:"::foo::" 0:"" 2:"1") "net.exe::foo::1" fold=true))`,
	"likeMultiArgWithScript":                  `(each command_line:keyword (fits (substring this 2:"5") "net.e*" "net.e?e" fold=false))`,
	"conjunctionOfSameFieldSameFunction":      `(and (each file_name:keyword (> (utf16_length this) 2:"5")) (each file_name:keyword (< (utf16_length this) 2:"10")))`,
	"isNullInScript":                          `(each exit_code:long (is-null (test (> this 2:"-1"))))`,
	"disjunctionOfFunctionAndNegatedFunction": `(and (not (each user:keyword (== (utf16_length this) 2:"1"))) (each user:keyword (== (utf16_length this) 2:"1")))`,
}

func translatedFields(t testing.TB) kqltest.Mapping {
	t.Helper()
	types := map[string]string{"serial_event_id": "long", "exit_code": "long", "opcode": "long", "pid": "long", "bool": "boolean",
		"source_address": "ip", "hostname": "text", "file_name": "text", "constant_keyword": "constant_keyword"}
	for _, name := range strings.Fields("event.category process_name user_name process_path command_line user") {
		types[name] = "keyword"
	}
	m, err := kqltest.ReadMapping([]byte(`{"mappings":{"properties":` + properties(t, types) + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// properties writes a mapping; analysed texts have an exact form.
func properties(t testing.TB, types map[string]string) string {
	t.Helper()
	out := map[string]any{}
	for name, typ := range types {
		p := map[string]any{"type": typ}
		if typ == "text" {
			p["fields"] = map[string]any{"keyword": map[string]any{"type": "keyword"}}
		}
		out[name] = p
	}
	text, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestConformanceTranslations holds that a condition says what the server's query says: it is written as that query, and
// has to hold every recorded part of it.
func TestConformanceTranslations(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(corpus.Dir(t, serverCorpus), "querytranslator.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	tally := corpus.NewTally(t, "eql/translations")
	m := translatedFields(t)
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var c struct {
			Name  string   `json:"name"`
			EQL   string   `json:"eql"`
			Parts []string `json:"dsl_contains"`
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		q, err := eql.Parse(c.EQL)
		if err != nil {
			tally.Fail(c.Name, diag.Of(err).Render())
			continue
		}
		p, err := eql.Lower(q, eql.Options{Resolver: m})
		if err != nil {
			tally.Fail(c.Name, diag.Of(err).Render())
			continue
		}
		cond := strings.TrimSuffix(strings.TrimPrefix(expr.String(p.Events), `(and (in event.category:keyword 4:"process") `), ")")
		want, known := otherwise[c.Name]
		if !known {
			want, known = scripts[c.Name]
		}
		if strings.HasPrefix(want, "(and ") { // one conjunction with the category
			want = strings.TrimSuffix(strings.TrimPrefix(want, "(and "), ")")
		}
		switch {
		case c.Name == "eventQueryDefaultLimit":
			tally.Skip(c.Name, "the server's default size is no part of the query; a rule sets max_signals in its place")
			continue
		case want == "false" && expr.String(p.Events) == want:
		case known && cond != want:
			tally.Fail(c.Name, cond+", want "+want)
			continue
		case known:
		case len(c.Parts) == 0:
			tally.Fail(c.Name, "nothing is held of it: "+cond)
			continue
		default:
			written := dsl{Mapping: m}.write(p.Events) + dsl{Mapping: m, prefixes: true}.write(p.Events)
			for i, n := range p.Pipes {
				if i == len(p.Pipes)-1 {
					written += fmt.Sprintf(`"size":%d,`, n.N)
				}
			}
			missing := ""
			for _, part := range c.Parts {
				if !strings.Contains(written, part) {
					missing += "\nlacks " + part
				}
			}
			if missing != "" {
				tally.Fail(c.Name, written+missing)
				continue
			}
		}
		tally.Pass()
	}
}

// dsl writes conditions as the server's queries.
// A pattern that ends with its one star is written in one of
// the two ways that the server has for it.
type dsl struct {
	kqltest.Mapping
	prefixes bool
}

// name is the name of the field that reads the exact values.
func (d dsl) name(f expr.Field) string {
	if declared, _ := d.Field(f.Path); declared.Type != f.Type {
		return f.Path + ".keyword"
	}
	return f.Path
}

func (d dsl) write(c expr.Cond) string {
	list := func(word string, conds []expr.Cond) string {
		parts := make([]string, len(conds))
		for i, sub := range conds {
			parts[i] = d.write(sub)
		}
		return `{"bool":{"` + word + `":[` + strings.Join(parts, ",") + `],"boost":1.0}}`
	}
	switch c := c.(type) {
	case expr.And: // the category, and then the condition by itself
		out := list("must", c.Conds)
		if len(c.Conds) > 2 {
			out += list("must", c.Conds[1:])
		}
		return out
	case expr.Or:
		if all, ok := d.networks(c.Conds); ok {
			return all + list("should", c.Conds)
		}
		return list("should", c.Conds)
	case expr.Not:
		return `{"bool":{"must_not":[` + d.write(c.Cond) + `],"boost":1.0}}`
	case expr.In:
		if len(c.Values) == 1 {
			return fmt.Sprintf(`{"term":{"%s":{"value":%s,"boost":1.0}}}`, d.name(c.Field), value(c.Values[0]))
		}
		parts := make([]string, len(c.Values))
		for i, v := range c.Values {
			parts[i] = value(v)
		}
		return fmt.Sprintf(`{"terms":{"%s":[%s],"boost":1.0}}`, d.name(c.Field), strings.Join(parts, ","))
	case expr.Range:
		if all, ok := d.networks([]expr.Cond{c}); ok {
			return all
		}
		word, b := "gt", c.Min
		if b.Value.IsNull() {
			word, b = "lt", c.Max
		}
		if b.Inclusive {
			word += "e"
		}
		return fmt.Sprintf(`{"range":{"%s":{"%s":%s,"boost":1.0}}}`, d.name(c.Field), word, value(b.Value))
	case expr.Like:
		fold := ""
		if c.Fold {
			fold = `"case_insensitive":true,`
		}
		if parts := c.Pattern.Parts; len(parts) == 1 && parts[0].Literal != "" {
			return fmt.Sprintf(`{"term":{"%s":{"value":%s,%s"boost":1.0}}}`, d.name(c.Field), value(event.String(parts[0].Literal)), fold)
		} else if d.prefixes && len(parts) == 2 && parts[0].Literal != "" && !parts[1].One {
			return fmt.Sprintf(`{"prefix":{"%s":{"value":%s,%s"boost":1.0}}}`, d.name(c.Field), value(event.String(parts[0].Literal)), fold)
		}
		return fmt.Sprintf(`{"wildcard":{"%s":{"wildcard":%s,%s"boost":1.0}}}`, d.name(c.Field), value(event.String(c.Pattern.String())), fold)
	case expr.Exists:
		return fmt.Sprintf(`{"bool":{"must_not":[{"bool":{"must_not":[{"exists":{"field":"%s"}}]}}]}}`, d.name(c.Field))
	}
	return expr.String(c)
}

// networks writes ranges of one field that are networks.
func (d dsl) networks(conds []expr.Cond) (string, bool) {
	var list []string
	var field expr.Field
	for _, c := range conds {
		r, ok := c.(expr.Range)
		if !ok || r.Field.Type != event.IPType || r.Min.Value.IsNull() || r.Max.Value.IsNull() {
			return "", false
		}
		field = r.Field
		for bits := r.Min.Value.Addr().BitLen(); ; bits-- {
			p := netip.PrefixFrom(r.Min.Value.Addr(), bits)
			if p.Contains(r.Max.Value.Addr()) {
				list = append(list, `"`+p.String()+`"`)
				break
			}
		}
	}
	return fmt.Sprintf(`{"terms":{"%s":[%s],"boost":1.0}}`, d.name(field), strings.Join(list, ",")), len(list) > 0
}

// value writes a literal as JSON, without what JSON need not escape.
func value(v event.Value) string {
	if v.Kind() == event.KindString {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v.Str()) + `"`
	}
	return v.Text()
}
