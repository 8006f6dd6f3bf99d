package rule

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// A rule may leave it to other objects of Kibana what it looks for and where: to a saved query, and to a data view. Both are
// exported as NDJSON by themselves. Where such an export is read together with the rules, a rule means what the objects say.

// The types of these objects.
const (
	typeSavedQuery = "query"
	typeDataView   = "index-pattern"
)

// savedObjects are the objects of exports that rules refer to. Of two with the same ID the first counts.
type savedObjects struct {
	queries map[string]savedQuery
	views   map[string]dataView // by ID
	titled  map[string]dataView // by title
}

// savedQuery is a query that is kept apart from rules.
type savedQuery struct {
	query, language string
	filters         []event.Value
	line            Line
}

// dataView names streams.
type dataView struct {
	patterns []string
	runtime  []string // the fields that scripts of the view compute
	line     Line
}

// collect makes the objects of lines ready to be referred to.
func collect(lines []Line) savedObjects {
	s := savedObjects{map[string]savedQuery{}, map[string]dataView{}, map[string]dataView{}}
	for _, l := range lines {
		id, attributes := l.Object.Member("id").Str(), l.Object.Member("attributes")
		switch l.Kind {
		case LineSavedQuery:
			if _, taken := s.queries[id]; !taken {
				q := attributes.Member("query")
				s.queries[id] = savedQuery{query: q.Member("query").Str(), language: q.Member("language").Str(),
					filters: attributes.Member("filters").Items(), line: l}
			}
		case LineDataView:
			title := attributes.Member("title").Str()
			v := dataView{patterns: patterns(title), runtime: runtimeFields(attributes.Member("runtimeFieldMap").Str()), line: l}
			if _, taken := s.views[id]; !taken {
				s.views[id] = v
			}
			if _, taken := s.titled[title]; !taken {
				s.titled[title] = v
			}
		}
	}
	return s
}

// patterns are the patterns that a title names, with commas between.
func patterns(title string) []string {
	var out []string
	for _, p := range strings.Split(title, ",") {
		if p = strings.TrimSpace(p); p != "" {
			out = append(out, p)
		}
	}
	return out
}

// runtimeFields are the names in a data view's map of fields, which is JSON in a text; it was read before.
func runtimeFields(text string) []string {
	var fields map[string]any
	if text == "" || json.Unmarshal([]byte(text), &fields) != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(fields))
}

// view finds a data view by its ID, or by its title.
func (s savedObjects) view(name string) (dataView, bool) {
	v, ok := s.views[name]
	if !ok {
		v, ok = s.titled[name]
	}
	return v, ok
}

// found is what became of a rule's references.
type found struct {
	written *Rule // the rule as its file has it
	query   *Line // where the rule's query and filters come from
	view    *Line
}

// lines are the objects that the rule refers to.
func (f *found) lines() []Line {
	var out []Line
	if f == nil {
		return nil
	}
	for _, l := range []*Line{f.query, f.view} {
		if l != nil {
			out = append(out, *l)
		}
	}
	return out
}

// refers reports whether the rule means what other objects say. The saved query of a query rule is where its query was taken
// from once; what it runs is its own (rule-execution.md §3.5).
func (r *Rule) refers() bool { return r.DataViewID != "" || r.Type == TypeSavedQuery }

// resolve lets the rule mean what the objects say that it refers to. What is written of it stays what its file says.
func (r *Rule) resolve(s savedObjects) {
	if !r.refers() {
		return
	}
	if r.found == nil {
		written := *r
		r.found = &found{written: &written}
	}
	if v, ok := s.view(r.DataViewID); ok && r.found.view == nil && r.DataViewID != "" {
		r.Index, r.Runtime, r.found.view = v.patterns, v.runtime, &v.line
	}
	if q, ok := s.queries[r.SavedID]; ok && r.found.query == nil && r.Type == TypeSavedQuery {
		r.Query, r.Language, r.Filters, r.found.query = q.query, q.language, q.filters, &q.line
	}
	r.CannotRun = r.cannotRun()
}

// lacksView and lacksQuery report whether the rule refers to an object that was not found.
func (r *Rule) lacksView() bool { return r.DataViewID != "" && (r.found == nil || r.found.view == nil) }

func (r *Rule) lacksQuery() bool {
	return r.Type == TypeSavedQuery && (r.found == nil || r.found.query == nil)
}

// asWritten is the rule as its file has it.
func (r *Rule) asWritten() *Rule {
	if r.found == nil {
		return r
	}
	return r.found.written
}

// Notes says what a reader of a sound rule should know of it.
func (r *Rule) Notes() []Lack {
	if r.lacksQuery() && r.Query != "" {
		return []Lack{{Key: "saved_id", Code: CodeOwnQuery, Why: "saved query " + short(r.SavedID) + " is in no export beside the rule: its own query is used"}}
	}
	return nil
}

// objectOf finds the line that a key of the rule comes from, and the keys and indexes that lead to it there.
func (r *Rule) objectOf(key string) (*Line, []string) {
	if r.found == nil || r.found.query == nil {
		return nil, nil
	}
	switch key {
	case "query":
		return r.found.query, []string{"attributes", "query", "query"}
	case "filters":
		return r.found.query, []string{"attributes", "filters"}
	}
	return nil, nil
}

// locator finds the places of the line.
func (l Line) locator() *Locator {
	return &Locator{rule: &Rule{File: l.file, source: source{text: l.text, json: true, start: l.start, end: l.end}}}
}

// resolveAll lets all rules of the set mean what they refer to. The objects are those of the exports that were read, and,
// for what is still missing, those of the exports beside the files that were named.
func (l *loader) resolveAll() {
	objects := collect(l.set.Lines)
	missing := false
	for _, r := range l.set.Rules {
		r.resolve(objects)
		missing = missing || r.lacksView() || r.lacksQuery()
	}
	if !missing || len(l.folders) == 0 {
		return
	}
	var lines []Line
	for _, folder := range l.folders {
		lines = append(lines, l.objectsBeside(folder)...)
	}
	objects = collect(lines)
	for _, r := range l.set.Rules {
		r.resolve(objects)
	}
}

// maxBeside bounds the exports that are looked into beside a file.
const maxBeside = 100

// objectsBeside are the saved objects in the exports of a folder that were not read as rules. What is wrong with these files
// concerns nobody here.
func (l *loader) objectsBeside(folder string) []Line {
	names, _ := filepath.Glob(filepath.Join(globbed(folder), "*.ndjson"))
	var out []Line
	for _, name := range names[:min(len(names), maxBeside)] {
		base := filepath.Base(name)
		if tree := os.DirFS(folder); looksExported(tree, base) {
			data, problems := readFile(tree, base, name, MaxExport)
			if len(problems) > 0 {
				continue
			}
			for _, line := range readExport(name, data).lines {
				if (line.Kind == LineSavedQuery || line.Kind == LineDataView) && len(line.problems) == 0 {
					out = append(out, line.Line)
				}
			}
		}
	}
	return out
}

// globbed is a folder's name as a pattern that fits it alone.
func globbed(name string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(name)
}

// savedKindOf tells which saved object, if any, an object of an export is.
func savedKindOf(t *table) (LineKind, bool) {
	kind, _ := t.has["type"].(string)
	switch {
	case !t.given("attributes") || kind == "" || kind == "action":
		return 0, false
	case kind == typeSavedQuery:
		return LineSavedQuery, true
	case kind == typeDataView:
		return LineDataView, true
	}
	return LineOther, true
}

// savedShape holds a saved object to what every one of them has.
func savedShape(t *table) (attributes *table) {
	t.need("id", "type", "attributes")
	t.word("id")
	t.word("type")
	attributes = t.sub("attributes")
	t.others()
	return attributes
}

func otherShape(t *table) { t.others() }

func savedQueryShape(t *table) {
	a := savedShape(t)
	if a == nil {
		return
	}
	a.need("query")
	if q := a.sub("query"); q != nil {
		q.need("query", "language")
		q.text("query")
		q.oneOf("language", languagesOf[TypeSavedQuery]...)
		q.others()
	}
	a.objects("filters", nil)
	a.others()
}

func dataViewShape(t *table) {
	a := savedShape(t)
	if a == nil {
		return
	}
	a.need("title")
	if title := a.word("title"); title != "" && len(patterns(title)) == 0 {
		a.bad(codeOutOfRange, "title", "", "title names no stream")
	}
	var fields map[string]any
	if text := a.text("runtimeFieldMap"); text != "" && json.Unmarshal([]byte(text), &fields) != nil {
		a.bad(codeWrongType, "runtimeFieldMap", "", "runtimeFieldMap must be an object in JSON, as a text")
	}
	a.others()
}

// Diagnose says what l says, where the rule's file asks for it.
func (r *Rule) Diagnose(l Lack, severity diag.Severity) diag.Diagnostic {
	d := diag.Diagnostic{Code: l.Code, Severity: severity, File: r.File, Message: l.Why, Hint: l.Hint}
	d.Span, d.Text = r.Locator().At(l.Key)
	return d
}
