package opensearch_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/store/opensearch"
)

// meaning is what a query of the cluster's language asks, in one form for all ways to ask it, given how its fields read
// values: a tree of and, or, not and nested (their parts flattened, sorted, each once) over these leaves:
//
//	all, none                      every document, no document
//	eq FIELD VALUE                 a keyword, number, boolean or address is the value
//	like FIELD PATTERN             a keyword, or a word of a text, fits the pattern
//	word FIELD WORD                a text holds the word
//	phrase FIELD WORDS             a text holds the words, adjacent and in order
//	range FIELD >=A <=B            a value lies between the bounds, instants in milliseconds
//	exists FIELD                   there is a value
//	refused                        an error: a value that is null
//	anywhere TEXT, anywhere phrase TEXT, anywhere like PATTERN
//
// It is written apart from the lowering that it judges, and knows more ways to ask: those in which Kibana writes.
type meaning struct{ types map[string]event.Type }

func (m meaning) of(q event.Value) (string, error) {
	if len(q.Members()) != 1 {
		return "", fmt.Errorf("a query of %d parts: %s", len(q.Members()), q.AppendJSON(nil))
	}
	name, body := q.Members()[0].Key, q.Members()[0].Value
	switch name {
	case "match_all":
		return "all", nil
	case "match_none":
		return "none", nil
	case "bool":
		return m.boolean(body)
	case "nested":
		inner, err := m.of(body.Member("query"))
		if err != nil || inner == "none" {
			return inner, err
		}
		return fmt.Sprintf("nested(%s, %s)", body.Member("path").Str(), inner), nil
	case "exists":
		return "exists " + body.Member("field").Str(), nil
	case "multi_match":
		if body.Member("type").Str() == "phrase" {
			return "anywhere phrase " + strconv.Quote(body.Member("query").Text()), nil
		}
		return "anywhere " + strconv.Quote(body.Member("query").Text()), nil
	case "query_string":
		return m.queryString(body)
	}
	if len(body.Members()) != 1 {
		return "", fmt.Errorf("%s of %d fields", name, len(body.Members()))
	}
	field, value := body.Members()[0].Key, body.Members()[0].Value
	if strings.Contains(field, "*") {
		return "none", nil // no field is called so
	}
	if name == "range" {
		return m.between(field, value)
	}
	if name == "terms" {
		var parts []string
		for _, v := range value.Items() {
			parts = append(parts, m.value(field, v.Text(), "term"))
		}
		return join("or", parts), nil
	}
	text := value
	for _, key := range []string{"value", "query"} {
		if v := value.Member(key); !v.IsNull() {
			text = v
		}
	}
	if text.IsNull() {
		return "refused", nil
	}
	if name == "wildcard" {
		return m.pattern(field, text.Text()), nil
	}
	return m.value(field, text.Text(), name), nil
}

func (m meaning) each(v event.Value) ([]string, error) {
	list := v.Items()
	if v.Kind() == event.KindObject {
		list = []event.Value{v}
	}
	var out []string
	for _, q := range list {
		part, err := m.of(q)
		if err != nil {
			return nil, err
		}
		out = append(out, part)
	}
	return out, nil
}

func (m meaning) boolean(v event.Value) (string, error) {
	var parts []string
	for _, x := range v.Members() {
		if x.Key == "minimum_should_match" {
			continue
		}
		list, err := m.each(x.Value)
		if err != nil {
			return "", err
		}
		switch x.Key {
		case "filter", "must":
			parts = append(parts, list...)
		case "must_not":
			for _, p := range list {
				parts = append(parts, not(p))
			}
		case "should":
			if v.Member("minimum_should_match").Int() != 1 {
				return "", fmt.Errorf("should without a minimum of 1")
			}
			parts = append(parts, join("or", list))
		default:
			return "", fmt.Errorf("bool with %s", x.Key)
		}
	}
	return join("and", parts), nil
}

func not(p string) string {
	switch p {
	case "all":
		return "none"
	case "none":
		return "all"
	case "refused":
		return p
	}
	return "not(" + p + ")"
}

// join is parts joined by and, or or.
func join(word string, parts []string) string {
	neutral, other := "all", "none"
	if word == "or" {
		neutral, other = other, neutral
	}
	var flat []string
	for _, p := range parts {
		switch inner, isSame := strings.CutPrefix(p, word+"("); {
		case p == other || p == "refused":
			return p
		case p == neutral:
		case isSame:
			flat = append(flat, strings.Split(strings.TrimSuffix(inner, ")"), " ; "+word+" ")...)
		default:
			flat = append(flat, p)
		}
	}
	slices.Sort(flat)
	switch flat = slices.Compact(flat); len(flat) {
	case 0:
		return neutral
	case 1:
		return flat[0]
	}
	return word + "(" + strings.Join(flat, " ; "+word+" ") + ")"
}

// value is the meaning of a field compared with a text by term, match or match_phrase.
func (m meaning) value(field, text, how string) string {
	switch t := m.types[field]; t {
	case event.Text:
		words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return strings.ContainsRune(" -.:", r) })
		if how == "match_phrase" && len(words) > 1 {
			return fmt.Sprintf("phrase %s %q", field, words)
		}
		var parts []string
		for _, w := range words {
			parts = append(parts, fmt.Sprintf("word %s %q", field, w))
		}
		return join("or", parts)
	case event.Date:
		return m.instants(field, text, true, text, true)
	case event.Long:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return "error"
		}
		text = strconv.FormatFloat(n, 'f', -1, 64)
	}
	return fmt.Sprintf("eq %s %q", field, text)
}

// pattern is the meaning of a pattern in which \ makes the next sign an ordinary one.
func (m meaning) pattern(field, text string) string {
	var plain, canonical strings.Builder
	wild, only := false, true
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			canonical.WriteString(`\` + text[i:i+1])
			plain.WriteByte(text[i])
			only = false
		case c == '*':
			if !strings.HasSuffix(canonical.String(), "STAR") {
				canonical.WriteString("STAR")
			}
			wild = true
		default:
			canonical.WriteString(`\` + text[i:i+1])
			plain.WriteByte(c)
			only = false
		}
	}
	switch {
	case !wild:
		return m.value(field, plain.String(), "match")
	case only:
		return "exists " + field
	}
	return fmt.Sprintf("like %s %q", field, canonical.String())
}

func (m meaning) queryString(v event.Value) (string, error) {
	text := v.Member("query").Str()
	var pieces []string
	from := 0
	for i := 0; i <= len(text); i++ {
		if i == len(text) || text[i] == ' ' {
			if i > from {
				pieces = append(pieces, text[from:i])
			}
			from = i + 1
		} else if text[i] == '\\' {
			i++
		}
	}
	var parts []string
	fields := v.Member("fields").Items()
	for _, p := range pieces {
		switch {
		case len(fields) == 1:
			parts = append(parts, m.pattern(fields[0].Str(), p))
		case strings.Trim(p, "*") == "":
			parts = append(parts, "all")
		default:
			inner := m.pattern("", p)
			parts = append(parts, "anywhere "+strings.Replace(inner, "like  ", "like ", 1))
		}
	}
	return join("or", parts), nil
}

func (m meaning) between(field string, v event.Value) (string, error) {
	var min, max string
	var minClosed, maxClosed bool
	for _, b := range v.Members() {
		switch b.Key {
		case "gt", "gte":
			min, minClosed = b.Value.Text(), b.Key == "gte"
		case "lt", "lte":
			max, maxClosed = b.Value.Text(), b.Key == "lte"
		case "format":
		default:
			return "", fmt.Errorf("a range with %s", b.Key)
		}
	}
	if m.types[field] == event.Date {
		return m.instants(field, min, minClosed, max, maxClosed), nil
	}
	out := "range " + field
	for _, b := range []struct {
		sign, text string
		closed     bool
	}{{">", min, minClosed}, {"<", max, maxClosed}} {
		if b.text == "" {
			continue
		}
		if b.closed {
			b.sign += "="
		}
		out += " " + b.sign + strconv.Quote(b.text)
	}
	return out, nil
}

// instants is a range of dates: a text without milliseconds is the whole of its second, one without a time of its day.
func (m meaning) instants(field, min string, minClosed bool, max string, maxClosed bool) string {
	read := func(s string, last bool) int64 {
		for _, f := range []struct {
			layout string
			length time.Duration
		}{{"2006-01-02T15:04:05.000Z", time.Millisecond}, {"2006-01-02T15:04:05Z", time.Second},
			{"2006-01-02T15:04:05", time.Second}, {"2006-01-02", 24 * time.Hour}} {
			if t, err := time.Parse(f.layout, s); err == nil {
				if last {
					t = t.Add(f.length - time.Millisecond)
				}
				return t.UnixMilli()
			}
		}
		return -1
	}
	out := "range " + field
	if min != "" && !strings.HasPrefix(min, "0000") {
		ms := read(min, !minClosed)
		if !minClosed {
			ms++
		}
		out += fmt.Sprintf(" >=%d", ms)
	}
	if max != "" && !strings.HasPrefix(max, "9999") {
		ms := read(max, maxClosed)
		if !maxClosed {
			ms--
		}
		out += fmt.Sprintf(" <=%d", ms)
	}
	return out
}

// kibanaTypes are the fields of the data view of the recorded queries.
var kibanaTypes = map[string]string{
	"extension": "text", "machine.os.keyword": "keyword", "@timestamp": "date", "ssl": "boolean", "bytes": "long",
	"nestedField": "nested", "nestedField.child": "keyword", "nestedField.nestedChild": "nested",
	"nestedField.nestedChild.doublyNestedChild": "keyword",
}

// TestConformanceQueries holds that what is asked of the cluster for the KQL queries of the corpus means what Kibana
// asks: without a data view, where no field is declared, and with one.
func TestConformanceQueries(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(corpus.Dir(t, "corpus/kql"), "kibana_cases.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	tally := corpus.NewTally(t, "kql/kibana-cases@opensearch")
	views := 0
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var c struct {
			KQL      string          `json:"kql"`
			Error    string          `json:"error"`
			Without  json.RawMessage `json:"es_no_dataview"`
			DataView json.RawMessage `json:"es_dataview"`
		}
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		if c.Error != "" {
			continue
		}
		why := compareQueries(c.KQL, c.Without, kql.ViewNever, nil)
		if c.DataView != nil {
			views++
			if why == "" {
				why = compareQueries(c.KQL, c.DataView, kql.ViewAlways, kibanaTypes)
			}
		}
		if why != "" {
			tally.Fail(c.KQL, why)
		} else {
			tally.Pass()
		}
	}
	if views != 28 {
		t.Errorf("%d queries with a data view, want 28", views)
	}
}

// compareQueries says how what is asked for a query differs in meaning from what is recorded, or nothing.
func compareQueries(query string, recorded json.RawMessage, view kql.View, types map[string]string) string {
	n, err := kql.Parse(query)
	if err != nil {
		return err.Error()
	}
	fields, err := kqltest.TypesMapping(types)
	if err != nil {
		return err.Error()
	}
	c, err := kql.Lower(n, kql.Options{Resolver: fields, Now: kqltest.Now, View: view})
	if v, _ := event.ParseJSON(recorded); err != nil {
		if want, _ := (meaning{}).of(v); want == "refused" { // by every server
			return ""
		}
		return err.Error()
	}
	kinds := map[string]string{}
	for name, kind := range types {
		kinds[name] = kind
	}
	m := meaning{types: map[string]event.Type{}}
	expr.Walk(c, func(f expr.Field) {
		if kinds[f.Path] == "" {
			kinds[f.Path] = f.Type.String()
		}
	}, func() {})
	asksAnywhere := false
	expr.Walk(c, func(expr.Field) {}, func() { asksAnywhere = true })
	if asksAnywhere && types != nil { // of a value anywhere only indices of texts can be asked
		for name, kind := range kinds {
			if kind != "keyword" && kind != "text" {
				delete(kinds, name)
			}
		}
	}
	for name, kind := range kinds {
		m.types[name], _ = event.TypeNamed(kind)
	}
	body, err := event.ParseJSON([]byte(indexBody(kinds)))
	if err != nil {
		return err.Error()
	}
	asked, exact, err := opensearch.LowerOn(withoutMultiFields(body.Member("mappings")), event.Null(), c)
	if err != nil || !exact {
		return fmt.Sprintf("not asked: %v (exact %t)", err, exact)
	}
	v, err := event.ParseJSON(recorded)
	if err != nil {
		return err.Error()
	}
	want, err := m.of(v)
	if err != nil {
		return "recorded: " + err.Error()
	}
	got, err := m.of(asked)
	if err != nil {
		return "asked: " + err.Error()
	}
	if diff := cmp.Diff(want, got); diff != "" || want == "" {
		return fmt.Sprintf("meaning (-recorded +asked)\n%s", diff)
	}
	return ""
}

// withoutMultiFields is a mapping with the fields alone that stand at paths of documents.
func withoutMultiFields(v event.Value) event.Value {
	var m []event.Member
	for _, x := range v.Members() {
		if x.Key == "fields" {
			continue
		}
		if x.Value.Kind() == event.KindObject {
			x.Value = withoutMultiFields(x.Value)
		}
		m = append(m, x)
	}
	return event.Object(m...)
}
