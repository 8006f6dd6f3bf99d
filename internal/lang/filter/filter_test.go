package filter_test

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/filter"
	"github.com/tocsin-sec/tocsin/internal/lang/filter/filtertest"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func fields(t testing.TB) kqltest.Mapping {
	t.Helper()
	m, err := kqltest.TypesMapping(filtertest.Types)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func documents(t testing.TB, m kqltest.Mapping) []*event.Event {
	t.Helper()
	var out []*event.Event
	for i, doc := range filtertest.Documents() {
		e, err := event.Decode([]byte(doc), event.DecodeOptions{Tree: m.Tree})
		if err != nil {
			t.Fatal(err)
		}
		e.ID = fmt.Sprint(i + 1)
		out = append(out, e)
	}
	return out
}

// read parses filters written in JSON, ' for ".
func read(t testing.TB, json string) (filter.Node, error) {
	t.Helper()
	v, err := event.ParseJSON([]byte(strings.ReplaceAll(json, "'", `"`)))
	if err != nil {
		t.Fatalf("%s: %v", json, err)
	}
	return filter.Parse(v.Items(), filter.Options{})
}

// find says which documents filters find, or that they are refused.
func find(t testing.TB, json string, m kqltest.Mapping, docs []*event.Event) (string, error) {
	t.Helper()
	n, err := read(t, json)
	if err != nil {
		return filtertest.Refused, err
	}
	c, err := filter.Lower(n, m, now)
	if err != nil {
		return filtertest.Failed, err
	}
	var ids []string
	for _, e := range docs {
		if expr.Matches(c, e) {
			ids = append(ids, e.ID)
		}
	}
	return strings.Join(ids, " "), nil
}

func TestFacts(t *testing.T) {
	m := fields(t)
	docs := documents(t, m)
	for _, f := range filtertest.Facts() {
		got, err := find(t, `[{"query":`+f.Query+`}]`, m, docs)
		if got != f.Want {
			t.Errorf("%s finds %q, want %q (%v)", f.Query, got, f.Want, err)
		}
		if err != nil && !strings.Contains(err.Error(), "filters[0].") {
			t.Errorf("%s: the error names no path: %v", f.Query, err)
		}
	}
}

func TestObjects(t *testing.T) {
	m := fields(t)
	docs := documents(t, m)
	f := func(json, want string) {
		t.Helper()
		if got, err := find(t, json, m, docs); got != want {
			t.Errorf("%s finds %q, want %q (%v)", json, got, want, err)
		}
	}
	f(`[]`, "1 2 3 4 5")
	f(`[{'query':{'term':{'k':'a'}}}]`, "2")
	f(`[{'query':{'exists':{'field':'l'}}},{'query':{'exists':{'field':'d'}}}]`, "1 4")
	f(`[{'meta':{'negate':true},'query':{'exists':{'field':'l'}}}]`, "3 5")
	f(`[{'meta':{'negate':false,'disabled':false},'query':{'exists':{'field':'l'}}}]`, "1 2 4")
	f(`[{'meta':{'negate':true},'query':{'exists':{'field':'l'}}},{'meta':{'negate':true},'query':{'term':{'k':''}}}]`, "5")
	f(`[{'meta':{'disabled':true},'query':{'exists':{'field':'l'}}}]`, "1 2 3 4 5")
	f(`[{'meta':{'disabled':true},'query':{'script':{}}}]`, "1 2 3 4 5")
	f(`[{'$state':{'store':'appState'},'meta':{'alias':null,'index':'x','key':'k','negate':null,'params':{'query':'b'},'type':'phrase'},'query':{'match_phrase':{'k':'a'}}}]`, "2")

	// Old forms: the query's own key.
	f(`[{'exists':{'field':'l'},'meta':{'negate':true}}]`, "3 5")
	f(`[{'range':{'l':{'gte':1,'lt':6}},'meta':{}}]`, "2")
	f(`[{'query':{'match':{'t':{'query':'quick brown','type':'phrase'}}}}]`, "2")
	f(`[{'match_all':{}}]`, "1 2 3 4 5")

	// No query: what meta says.
	f(`[{'meta':{'type':'phrase','key':'k','params':{'query':'a'}}}]`, "2")
	f(`[{'meta':{'type':'phrase','key':'k','params':'a'}}]`, "2")
	f(`[{'meta':{'type':'phrase','key':'k','value':'a'}}]`, "2")
	f(`[{'meta':{'type':'phrase','key':'k','negate':true,'value':'a'},'query':{}}]`, "1 3 4 5")
	f(`[{'meta':{'type':'phrases','key':'k','params':['a','7']}}]`, "2 4")
	f(`[{'meta':{'type':'range','key':'l','params':{'gte':1,'lt':6}}}]`, "2")
	f(`[{'meta':{'type':'exists','key':'l'}}]`, "1 2 4")
	f(`[{'meta':{'type':'phrase','key':'k'}}]`, filtertest.Refused)
	f(`[{'meta':{'type':'phrases','key':'k','params':[]}}]`, filtertest.Refused)
	f(`[{'meta':{'type':'phrase','value':'a'}}]`, filtertest.Refused)
	f(`[{'meta':{'type':'custom','key':'k'}}]`, filtertest.Refused)
	f(`[{'meta':{}}]`, filtertest.Refused)
	f(`[{}]`, filtertest.Refused)

	// Filters joined.
	f(`[{'meta':{'type':'combined','relation':'OR','params':[{'query':{'term':{'k':'a'}}},{'meta':{'negate':true},'query':{'exists':{'field':'t'}}}]}}]`, "2 4")
	f(`[{'meta':{'type':'combined','relation':'AND','negate':true,'params':[{'query':{'exists':{'field':'l'}}},{'query':{'exists':{'field':'d'}}}]},'query':{}}]`, "2 3 5")
	f(`[{'meta':{'type':'combined','relation':'OR','params':[{'meta':{'disabled':true},'query':{'match_none':{}}}]}}]`, "1 2 3 4 5")
	f(`[{'meta':{'type':'combined','relation':'XOR','params':[]}}]`, filtertest.Refused)
	f(`[{'meta':{'type':'combined','relation':'OR'}}]`, filtertest.Refused)

	// What no filter is.
	f(`['x']`, filtertest.Refused)
	f(`[null]`, filtertest.Refused)
	f(`[{'meta':[],'query':{'match_all':{}}}]`, filtertest.Refused)
	f(`[{'meta':{'negate':'true'},'query':{'match_all':{}}}]`, filtertest.Refused)
	f(`[{'query':{'match_all':{}},'exists':{'field':'k'}}]`, filtertest.Refused)
	f(`[{'query':[]}]`, filtertest.Refused)
}

func TestErrors(t *testing.T) {
	f := func(json, want string) {
		t.Helper()
		n, err := read(t, json)
		if err == nil {
			_, err = filter.Lower(n, fields(t), time.Time{})
		}
		if err == nil || err.Error() != want {
			t.Errorf("%s\ngot  %v\nwant %s", json, err, want)
		}
	}
	f(`[{'query':{'bool':{'must':[{'script':{}}]}}}]`, `FLT0103: filters[0].query.bool.must[0].script: a query script cannot be applied`)
	f(`[{'query':{'match_all':{}}},{'query':{'wildcrad':{'k':'x'}}}]`, `FLT0103: filters[1].query.wildcrad: a query "wildcrad" is not known`)
	f(`[{'query':{'term':{'file.path':{'value':'x','case':true}}}}]`, `FLT0102: filters[0].query.term["file.path"].case: the key "case" is not known here`)
	f(`[{'query':{'term':{'k':null}}}]`, `FLT0106: filters[0].query.term.k: null is no value that can be searched`)
	f(`[{'query':{'term':{'k':[]}}}]`, `FLT0101: filters[0].query.term.k: one value must stand here, not a list`)
	f(`[3]`, `FLT0101: filters[0]: an object must stand here, not a number`)
	f(`[{'meta':{'negate':1}}]`, `FLT0101: filters[0].meta.negate: a boolean must stand here, not a number`)
	f(`[{'query':{}}]`, `FLT0104: filters[0].meta: there is no query, and meta describes none (types phrase, phrases, range, exists)`)
	f(`[{'query':{'bool':{'filter':{}}}}]`, `FLT0104: filters[0].query.bool.filter: an empty query`)
	f(`[{'query':{'term':{'l':'abc'}}}]`, `FLT0301: filters[0].query.term.l: "abc" is no number, and l holds numbers`)
	f(`[{'query':{'range':{'dt':{'gte':'now-1d'}}}}]`, `FLT0301: filters[0].query.range.dt: "now-1d" depends on the time, which is not given here`)
	f(`[{'query':{'wildcard':{'l':'1*'}}}]`, `FLT0302: filters[0].query.wildcard.l: a pattern on l, which is of the type long`)
	f(`[{'query':{'script':{}}},{'query':{'ids':{}}}]`, `FLT0103: filters[0].query.script: a query script cannot be applied (and 1 more)`)

	deep := strings.Repeat(`{'bool':{'must':[`, 300) + `{'match_all':{}}` + strings.Repeat(`]}}`, 300)
	n, err := read(t, `[{'query':`+deep+`}]`)
	if err == nil || !strings.Contains(err.Error(), "FLT0107") {
		t.Errorf("300 queries inside each other: %v %v", n, err)
	}
	wide := `[{'query':{'bool':{'should':[` + strings.Repeat(`{'term':{'k':'a'}},`, filter.MaxQueries) + `{'term':{'k':'a'}}]}}}]`
	if _, err := read(t, wide); err == nil || !strings.Contains(err.Error(), "FLT0108") {
		t.Errorf("too many queries: %v", err)
	}
	half := `{'term':{'k':'a'}}`
	for range 20 {
		half = `{'bool':{'minimum_should_match':2,'should':[{'term':{'k':'b'}},{'term':{'k':'c'}},` + half + `]}}`
	}
	if n, err = read(t, `[{'query':`+half+`}]`); err == nil {
		_, err = filter.Lower(n, nil, now)
	}
	if err == nil || !strings.Contains(err.Error(), "FLT0108") {
		t.Errorf("minimums inside each other: %v", err)
	}
	f(`[{'query':{'bool':{'minimum_should_match':20,'should':[`+strings.Repeat(`{'term':{'k':'a'}},`, 39)+`{'term':{'k':'b'}}]}}}]`,
		`FLT0108: filters[0].query.bool: the filters come to more than 300000 conditions`)
}

// TestLocate holds that diagnostics stand where the file has what they are about.
func TestLocate(t *testing.T) {
	v, err := event.ParseJSON([]byte(`[{"query":{"ids":{}}}]`))
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	_, err = filter.Parse(v.Items(), filter.Options{Name: "threat_filters", Locate: func(steps []string) diag.Diagnostic {
		asked = steps
		return diag.Diagnostic{File: "r.toml", Text: "a\nbc", Span: diag.At(3)}
	}})
	if got, want := fmt.Sprint(err), "r.toml:2:2: FLT0103: threat_filters[0].query.ids: a query ids cannot be applied"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if !slices.Equal(asked, []string{"0", "query", "ids"}) {
		t.Errorf("asked for %q", asked)
	}
}

func TestCheck(t *testing.T) {
	f := func(query string, want ...string) {
		t.Helper()
		n, err := read(t, `[{'query':`+query+`}]`)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range filter.Check(n, fields(t)) {
			got = append(got, d.Code)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	f(`{'term':{'k':'Any Thing'}}`)
	f(`{'term':{'kk':'x'}}`, filter.CodeUnknownField)
	f(`{'exists':{'field':'kk'}}`, filter.CodeUnknownField)
	f(`{'exists':{'field':'kk*'}}`)
	f(`{'term':{'f.any.key':'x'}}`)
	f(`{'wildcard':{'w':'C:\\\\Windows\\\\*'}}`)
	f(`{'wildcard':{'w':'C:\\Windows\\*'}}`, filter.CodeDropped)
	f(`{'term':{'t':'Foo'}}`, filter.CodeUnanalysed)
	f(`{'term':{'t':{'value':'Foo','case_insensitive':true}}}`)
	f(`{'terms':{'t':['foo','a b']}}`, filter.CodeUnanalysed)
	f(`{'query_string':{'query':'k:a AND NOT l:5'}}`)
	f(`{'query_string':{'query':'kk:a OR k:(a or b)'}}`, lucene.CodeUnknownField, lucene.CodeSmallWord)
	f(`{'wildcard':{'t':'Foo*'}}`, filter.CodeUnanalysed)
	f(`{'bool':{'must':[{'match':{'t':'Foo'}}],'must_not':{'range':{'gone':{'gt':1}}}}}`, filter.CodeUnknownField)
}

func TestUsesNow(t *testing.T) {
	f := func(query string, want bool) {
		t.Helper()
		n, err := read(t, `[{'query':`+query+`}]`)
		if err != nil {
			t.Fatal(err)
		}
		if got := filter.UsesNow(n); got != want {
			t.Errorf("%s: got %t", query, got)
		}
	}
	f(`{'range':{'dt':{'gte':'now-1d/d'}}}`, true)
	f(`{'bool':{'must_not':{'range':{'dt':{'lt':'now'}}}}}`, true)
	f(`{'range':{'dt':{'gte':'2026-01-01||/d'}}}`, false)
	f(`{'query_string':{'query':'dt:[now-1d TO *]'}}`, true)
	f(`{'query_string':{'query':'dt:[2026 TO *]'}}`, false)
	f(`{'nested':{'path':'n','query':{'match':{'n.t':'now+1h'}}}}`, true)
	f(`{'term':{'k':'nowhere'}}`, false)
}

func TestString(t *testing.T) {
	f := func(json, want string) {
		t.Helper()
		n, err := read(t, json)
		if err != nil {
			t.Fatal(err)
		}
		if got := filter.String(n); got != strings.ReplaceAll(want, "'", `"`) {
			t.Errorf("%s\ngot  %s\nwant %s", json, got, want)
		}
	}
	f(`[]`, `{'match_all':{}}`)
	f(`[{'query':{'term':{'k':7}}}]`, `{'term':{'k':{'value':'7'}}}`)
	f(`[{'meta':{'negate':true},'exists':{'field':'l'}}]`, `{'bool':{'must_not':[{'exists':{'field':'l'}}]}}`)
	f(`[{'query':{'bool':{'must':{'match_all':{}}}}}]`, `{'match_all':{}}`)
	f(`[{'query':{'prefix':{'k':{'value':'a*','case_insensitive':true}}}}]`, `{'wildcard':{'k':{'value':'a\\**','case_insensitive':true}}}`)
	f(`[{'query':{'range':{'l':{'from':1,'to':'x','include_lower':false}}}}]`, `{'range':{'l':{'gt':'1','lte':'x'}}}`)
	f(`[{'query':{'match':{'t':{'query':'x','operator':'and'}}}}]`, `{'match':{'t':{'query':'x','minimum_should_match':'100%'}}}`)
}

// again says how reading what n prints as differs from n, or nothing.
func again(n filter.Node) string {
	text := filter.String(n)
	v, err := event.ParseJSON([]byte(`{"query":` + text + `}`))
	if err != nil {
		return "printed as " + text + ": " + err.Error()
	}
	second, err := filter.Parse([]event.Value{v}, filter.Options{})
	if err != nil {
		return "printed as " + text + ": " + err.Error()
	}
	if got := filter.String(second); got != text {
		return "printed as " + text + ", then as " + got
	}
	a, errA := filter.Lower(n, nil, now)
	b, errB := filter.Lower(second, nil, now)
	if (errA == nil) != (errB == nil) || errA == nil && expr.String(a) != expr.String(b) {
		return "printed as " + text + ": it means something else"
	}
	return ""
}

func TestStringAgain(t *testing.T) {
	for _, f := range filtertest.Facts() {
		if n, err := read(t, `[{"query":`+f.Query+`},{"meta":{"negate":true},"query":`+f.Query+`}]`); err == nil {
			if why := again(n); why != "" {
				t.Errorf("%s: %s", f.Query, why)
			}
		}
	}
}

// ruleFilters calls f for each list of filters of the corpus's rules.
func ruleFilters(t testing.TB, f func(r *rule.Rule, key string, filters []event.Value)) {
	dir := corpus.Dir(t, "corpus/rules")
	rules := 0
	for _, sub := range []string{"rules", "rules_building_block"} {
		err := filepath.WalkDir(filepath.Join(dir, sub), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".toml") {
				return err
			}
			r, err := rule.ReadFile(path)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				return nil
			}
			rules++
			if len(r.Filters) > 0 {
				f(r, "filters", r.Filters)
			}
			for _, m := range r.Extra {
				if m.Key == "threat_filters" {
					f(r, m.Key, m.Value.Items())
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if rules != 1762 {
		t.Errorf("read %d rules, want 1762", rules)
	}
}

// TestConformanceRules reads every filter of the public rules and holds what it means to what is written in it.
func TestConformanceRules(t *testing.T) {
	corpus.Dir(t, "corpus/rules")
	tally := corpus.NewTally(t, "rules/filters")
	lists := 0
	ruleFilters(t, func(r *rule.Rule, key string, filters []event.Value) {
		lists++
		for i, v := range filters {
			if why := checkRuleFilter(v); why != "" {
				tally.Fail(fmt.Sprintf("%s: %s[%d]", r.Name, key, i), why)
			} else {
				tally.Pass()
			}
		}
	})
	if lists == 0 {
		t.Error("no rule has filters")
	}
}

// checkRuleFilter holds one filter to the shape that it has in the corpus: a pattern, a phrase, or whether there is a
// value.
func checkRuleFilter(v event.Value) string {
	n, err := filter.Parse([]event.Value{v}, filter.Options{})
	if err != nil {
		return err.Error()
	}
	c, err := filter.Lower(n, nil, time.Time{})
	if err != nil {
		return err.Error()
	}
	if why := again(n); why != "" {
		return why
	}
	if v.At("meta", "negate").Bool() {
		not, ok := c.(expr.Not)
		if !ok {
			return "it is not negated"
		}
		c = not.Cond
	}
	q := v.Member("query")
	if q.IsNull() {
		q = v
	}
	for _, m := range q.Members() {
		var field string
		switch m.Key {
		case "exists":
			field = m.Value.Member("field").Str()
			if c, ok := c.(expr.Exists); ok && c.Field.Path == field {
				return ""
			}
		case "match_phrase":
			field = m.Value.Members()[0].Key
			if c, ok := c.(expr.In); ok && c.Field.Path == field && len(c.Values) == 1 && c.Values[0].Str() == m.Value.Members()[0].Value.Str() {
				return ""
			}
		case "wildcard":
			field = m.Value.Members()[0].Key
			text := m.Value.Members()[0].Value.Member("value").Str()
			sample := strings.NewReplacer(`\\`, `\`, `\`, "", "*", "any thing", "?", "7").Replace(text)
			e := &event.Event{}
			e.Set(field, event.String(strings.ToUpper(sample)))
			if !expr.Matches(c, e) {
				return fmt.Sprintf("%s does not fit %s", sample, text)
			}
			e.Set(field, event.String("x"+sample[:len(sample)-1]))
			if expr.Matches(c, e) && !strings.HasPrefix(text, "*") {
				return fmt.Sprintf("x%s fits %s", sample[:len(sample)-1], text)
			}
			return ""
		}
	}
	return "it means " + expr.String(c)
}
