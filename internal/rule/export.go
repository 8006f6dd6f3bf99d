package rule

import (
	"fmt"
	"math"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// MaxRules is how many rules one export holds at most.
const MaxRules = 10_000

// maxProblems bounds the diagnostics of one export.
const maxProblems = 1000

// LineKind says what a line of an export holds.
type LineKind uint8

// The kinds, in the order in which an export has them.
const (
	LineRule LineKind = iota
	LineExceptionList
	LineExceptionItem
	LineConnector
	LineSavedQuery
	LineDataView
	LineOther // a saved object of another kind
	LineSummary
)

// String returns what the kind is called.
func (k LineKind) String() string {
	return [...]string{"rule", "exception list", "exception item", "connector", "saved query", "data view", "saved object", "summary"}[k]
}

// Line is one line of an export.
type Line struct {
	Kind   LineKind
	Number int // from 1
	// Rule is the rule of a LineRule.
	Rule *Rule
	// Object is what a line of another kind holds.
	Object event.Value

	file, text string // the file that the line stands in
	start, end int
}

// Places finds where what steps lead to, keys and indexes in Object, stands: a diagnostic with File, Text and Span set. Of
// what the line does not say it is the place of what is nearest around.
func (l Line) Places() func(steps ...string) diag.Diagnostic {
	locator := l.locator()
	return func(steps ...string) diag.Diagnostic {
		d := diag.Diagnostic{File: l.file}
		d.Span, d.Text = locator.Path(steps...)
		return d
	}
}

// Export is what Kibana exports: rules, the exception lists and connectors that they use, and a summary.
type Export struct{ Lines []Line }

// ParseExport reads the NDJSON in data, the content of the file called name. What is wrong with one line does not stop the
// others: the diagnostics tell of it, and the Export has the good lines. Blank lines are left out.
func ParseExport(name string, data []byte) (Export, diag.List) {
	read := readExport(name, data)
	var out Export
	problems := read.problems
	for _, l := range read.lines {
		problems = append(problems, l.problems...)
		if l.problems.Err() == nil {
			out.Lines = append(out.Lines, l.Line)
		}
	}
	problems.Sort()
	return out, problems
}

// Rules returns the rules of e.
func (e Export) Rules() []*Rule {
	var out []*Rule
	for _, l := range e.Lines {
		if l.Kind == LineRule {
			out = append(out, l.Rule)
		}
	}
	return out
}

// AppendJSON appends e as NDJSON.
func (e Export) AppendJSON(dst []byte) []byte {
	for _, l := range e.Lines {
		if l.Kind == LineRule {
			dst = l.Rule.AppendJSON(dst)
		} else {
			dst = l.Object.AppendJSON(dst)
		}
		dst = append(dst, '\n')
	}
	return dst
}

// readLine is a line with what is wrong with it; then Rule and Object hold what could be read.
type readLine struct {
	Line
	problems diag.List
}

// exported is an export as it was read.
type exported struct {
	lines    []readLine
	problems diag.List // of the file as a whole
}

func readExport(name string, data []byte) exported {
	var out exported
	text := strings.TrimPrefix(string(data), "\ufeff")
	rules, bad := 0, 0
	if body := strings.TrimSpace(text); laidOut(body) {
		start := strings.Index(text, body)
		line := readObject(name, text, start, start+len(body))
		line.Number = strings.Count(text[:start], "\n") + 1
		if line.Rule != nil {
			line.Rule.Line = line.Number
		}
		out.lines = append(out.lines, line)
		return out
	}
	for start, number := 0, 1; start < len(text); number++ {
		end, next := len(text), len(text)
		if n := strings.IndexByte(text[start:], '\n'); n >= 0 {
			end, next = start+n, start+n+1
		}
		if strings.TrimSpace(text[start:end]) == "" {
			start = next
			continue
		}
		line := readObject(name, text, start, end)
		line.Number = number
		if line.Rule != nil {
			line.Rule.Line = number
			rules++
		}
		if rules > MaxRules {
			out.problems = append(out.problems, diag.Diagnostic{Code: codeTooLarge, File: name, Text: text, Span: diag.At(start),
				Message: fmt.Sprintf("the file holds more than %d rules; the others are not read", MaxRules)})
			return out
		}
		bad += len(line.problems)
		out.lines = append(out.lines, line)
		if bad > maxProblems {
			out.problems = append(out.problems, diag.Diagnostic{File: name, Code: codeTooLarge, Text: text, Span: diag.At(next),
				Message: fmt.Sprintf("the lines up to here have more than %d mistakes; the others are not read", maxProblems)})
			return out
		}
		start = next
	}
	if len(out.lines) == 0 {
		out.problems = append(out.problems, diag.Diagnostic{Code: codeNoRules, File: name, Message: "the file holds no line"})
	}
	out.count(name, text)
	return out
}

// laidOut reports whether body is no NDJSON but one value, laid out over several lines.
func laidOut(body string) bool {
	first, _, several := strings.Cut(body, "\n")
	first = strings.TrimSpace(first)
	return several && (first == "{" || first == "[" || len(body) <= MaxLine && jsontext.Value(body).IsValid())
}

// beginsExport reports whether text begins with a line that an export could begin with: where that line is cut, broken or
// only a part of an object, text has to name a rule_id.
func beginsExport(text string) bool {
	text = strings.TrimLeft(strings.TrimPrefix(text, "\ufeff"), " \t\r\n")
	line, _, _ := strings.Cut(text, "\n")
	if !strings.HasPrefix(line, "{") {
		return false
	}
	doc, top := openJSON("", line, 0, len(line))
	if top == nil {
		return strings.Contains(text, `"rule_id"`)
	}
	_, ok := kindOf(doc.table("", top))
	return ok
}

// kindOf tells a line's kind by its shape (rule-execution.md §7.4).
func kindOf(t *table) (LineKind, bool) {
	of := func(key string, values ...string) bool {
		s, _ := t.has[key].(string)
		for _, v := range values {
			if s == v {
				return true
			}
		}
		return false
	}
	saved, isSaved := savedKindOf(t)
	switch {
	case isSaved:
		return saved, true
	case t.given("exportedCount"):
		return LineSummary, true
	case t.given("exported_count") || t.given("exported_rules_count") || t.given("exported_exception_list_count"):
		return LineSummary, true
	case t.given("attributes") && of("type", "action"):
		return LineConnector, true
	case t.given("list_id") && (of("type", "simple") || t.given("item_id") || t.given("entries")):
		return LineExceptionItem, true
	case t.given("list_id"):
		return LineExceptionList, true
	case t.given("rule_id") || of("type", Types()...):
		return LineRule, true
	}
	return 0, false
}

// readObject reads the line that stands in text from start to end.
func readObject(name, text string, start, end int) readLine {
	if end-start > MaxLine {
		return readLine{problems: diag.List{{Code: codeTooLarge, File: name, Text: text, Span: diag.At(start + MaxLine),
			Message: fmt.Sprintf("the line is longer than %d MiB", MaxLine>>20)}}}
	}
	doc, top := openJSON(name, text, start, end)
	if top == nil {
		return readLine{problems: doc.diagnostics()}
	}
	t := doc.table("", top)
	kind, ok := kindOf(t)
	if !ok {
		doc.report(codeNoObject, doc.places[""].key, "a rule has a rule_id, an exception list a list_id, a connector attributes and the type action",
			"the line is none of what an export holds")
		return readLine{problems: doc.diagnostics()}
	}
	doc.what = "the " + kind.String()
	line := readLine{Line: Line{Kind: kind, file: name, text: text, start: start, end: end}}
	if kind == LineRule {
		line.Rule = readRule(doc, t, start, end)
	} else {
		shapes[kind](t)
		t.close()
		line.Object = t.whole()
	}
	line.problems = doc.diagnostics()
	return line
}

// readRule reads a rule from its object.
func readRule(doc *document, t *table, start, end int) *Rule {
	r := &Rule{File: doc.file, source: source{text: doc.text, json: true, start: start, end: end}}
	r.read(t)
	if len(doc.found) == 0 {
		r.CannotRun = r.cannotRun()
		r.remember(t)
		r.takeOwn(t)
	}
	return r
}

// whole is the table as a value.
func (t *table) whole() event.Value {
	v, err := toValue(t.has, 0)
	if err != nil {
		t.doc.report(codeOutOfRange, t.doc.within(t.path).key, "", "%s %v", t.doc.title(t.path), err)
	}
	return v
}

// shapes hold the lines besides rules to what they must be.
var shapes = map[LineKind]func(*table){
	LineExceptionList: exceptionListShape,
	LineExceptionItem: exceptionItemShape,
	LineConnector:     connectorShape,
	LineSavedQuery:    savedQueryShape,
	LineDataView:      dataViewShape,
	LineOther:         otherShape,
	LineSummary:       summaryShape,
}

// savedKeys are what a server adds to an exception list or item.
func savedKeys(t *table) {
	for _, key := range []string{"_version", "id", "tie_breaker_id", "created_by", "updated_by"} {
		t.text(key)
	}
	t.instant("created_at")
	t.instant("updated_at")
	t.object("meta")
	t.oneOf("namespace_type", "single", "agnostic")
	t.texts("os_types")
	t.texts("tags")
}

func exceptionListShape(t *table) {
	t.need("list_id", "name", "description", "type")
	t.word("list_id")
	t.word("name")
	t.text("description")
	if kind := t.word("type"); !strings.HasPrefix(kind, "endpoint_") {
		t.oneOf("type", "detection", "rule_default", "endpoint")
	}
	t.flag("immutable", false)
	t.number("version", 1, 1, math.MaxInt32)
	savedKeys(t)
}

func exceptionItemShape(t *table) {
	t.need("list_id", "name", "description", "type", "entries")
	for _, key := range []string{"list_id", "item_id", "name"} {
		t.word(key)
	}
	t.text("description")
	t.oneOf("type", "simple")
	t.instant("expire_time")
	t.objects("comments", nil)
	savedKeys(t)
	entries := t.subs("entries")
	if entries != nil && len(entries) == 0 {
		t.bad(codeOutOfRange, "entries", "", "entries is empty")
	}
	for _, e := range entries {
		exceptionEntryShape(e, true)
	}
}

func exceptionEntryShape(t *table, outer bool) {
	t.need("field", "type")
	t.word("field")
	allowed := []string{"match", "match_any", "exists", "wildcard", "list", "nested"}
	if !outer {
		allowed = []string{"match", "match_any", "exists"}
	}
	kind := t.oneOf("type", allowed...)
	if kind != "nested" {
		t.need("operator")
		t.oneOf("operator", "included", "excluded")
	}
	switch kind {
	case "match", "wildcard":
		t.need("value")
		t.text("value")
	case "match_any":
		t.need("value")
		if values := t.texts("value"); t.given("value") && len(values) == 0 {
			t.bad(codeOutOfRange, "value", "", "value is empty")
		}
	case "list":
		t.need("list")
		if l := t.sub("list"); l != nil {
			l.need("id", "type")
			l.word("id")
			l.word("type")
			l.close()
		}
	case "nested":
		t.need("entries")
		for _, e := range t.subs("entries") {
			exceptionEntryShape(e, false)
		}
	case "": // reported; what belongs to which type is not known
		t.others()
	}
	t.close()
}

func connectorShape(t *table) {
	t.need("id", "type", "attributes")
	t.word("id")
	t.oneOf("type", "action")
	if a := t.sub("attributes"); a != nil {
		a.need("actionTypeId", "name")
		a.word("actionTypeId")
		a.text("name")
	}
	t.objects("references", nil)
	t.flag("managed", false)
	t.instant("created_at")
	t.instant("updated_at")
	for _, key := range []string{"created_by", "updated_by", "version", "coreMigrationVersion", "typeMigrationVersion", "originId"} {
		t.text(key)
	}
	t.texts("namespaces")
	t.object("migrationVersion")
}

// counted are the counts of a summary that the other lines must bear out.
var counted = []struct {
	key  string
	kind LineKind
}{
	{"exported_rules_count", LineRule},
	{"exported_exception_list_count", LineExceptionList},
	{"exported_exception_list_item_count", LineExceptionItem},
	{"exported_action_connector_count", LineConnector},
}

func summaryShape(t *table) {
	if t.given("exportedCount") { // of an export of saved objects, whose order is free
		t.others()
		return
	}
	if !t.given("exported_exception_list_count") { // as the summary of an export of exceptions alone has it
		t.need("exported_rules_count")
	}
	for _, c := range counted {
		t.number(c.key, 0, 0, math.MaxInt32)
	}
	for _, key := range []string{"exported_count", "missing_rules_count", "missing_exception_list_item_count",
		"missing_exception_lists_count", "missing_action_connection_count", "excluded_action_connection_count"} {
		t.number(key, 0, 0, math.MaxInt32)
	}
	for _, key := range []string{"missing_rules", "missing_exception_list_items", "missing_exception_lists",
		"missing_action_connections", "excluded_action_connections"} {
		t.objects(key, nil)
	}
}

// count holds the counts of the summary to the lines: a file that was cut, or put together by hand, is told apart.
func (e *exported) count(name, text string) {
	lines := map[LineKind]int{}
	for _, l := range e.lines {
		if l.Kind != LineSummary {
			lines[l.Kind]++
		}
	}
	offset, number := 0, 1
	for i, l := range e.lines {
		for ; number < l.Number; number++ {
			offset += strings.IndexByte(text[offset:], '\n') + 1
		}
		if l.Kind != LineSummary || len(l.problems) > 0 {
			continue
		}
		for _, c := range counted {
			if said := l.Object.Member(c.key); !said.IsNull() && said.Int() != int64(lines[c.kind]) {
				e.lines[i].problems = append(e.lines[i].problems, diag.Diagnostic{Code: codeMiscounted, Severity: diag.Warning, File: name, Text: text,
					Span:    diag.At(offset + max(0, strings.Index(text[offset:], `"`+c.key+`"`))),
					Message: fmt.Sprintf("%s is %d, and the file holds %d", c.key, said.Int(), lines[c.kind]),
					Hint:    "the file was cut, or changed by hand"})
			}
		}
	}
}

// Summary returns the object that ends an export of lines.
func Summary(lines []Line) event.Value {
	counts := map[LineKind]int64{}
	for _, l := range lines {
		if l.Kind != LineSummary {
			counts[l.Kind]++
		}
	}
	var o object
	o.add("exported_count", event.Int(counts[LineRule]+counts[LineExceptionList]+counts[LineExceptionItem]+counts[LineConnector]))
	o.add("exported_rules_count", event.Int(counts[LineRule]))
	o.add("missing_rules", event.List())
	o.add("missing_rules_count", event.Int(0))
	o.add("exported_exception_list_count", event.Int(counts[LineExceptionList]))
	o.add("exported_exception_list_item_count", event.Int(counts[LineExceptionItem]))
	o.add("missing_exception_list_item_count", event.Int(0))
	o.add("missing_exception_list_items", event.List())
	o.add("missing_exception_lists", event.List())
	o.add("missing_exception_lists_count", event.Int(0))
	o.add("exported_action_connector_count", event.Int(counts[LineConnector]))
	o.add("missing_action_connection_count", event.Int(0))
	o.add("missing_action_connections", event.List())
	o.add("excluded_action_connection_count", event.Int(0))
	o.add("excluded_action_connections", event.List())
	return o.value()
}
