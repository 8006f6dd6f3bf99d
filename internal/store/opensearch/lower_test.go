package opensearch_test

import (
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/store/opensearch"
)

func parse(t *testing.T, text string) event.Value {
	t.Helper()
	v, err := event.ParseJSON([]byte(strings.ReplaceAll(text, "'", `"`)))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

// TestAsked holds what is asked for a condition, on an index whose field f is mapped as said; "~" before the query says
// that what it finds is looked at again, "refused: …" that nothing can be asked.
func TestAsked(t *testing.T) {
	f := func(mapping string, c expr.Cond, want string) {
		t.Helper()
		q, exact, err := opensearch.LowerOn(parse(t, `{'properties':{`+mapping+`}}`), event.Null(), c)
		got := strings.ReplaceAll(string(q.AppendJSON(nil)), `"`, "'")
		switch {
		case err != nil:
			got = "refused: " + err.Error()
		case !exact:
			got = "~" + got
		}
		if got != want {
			t.Errorf("%s %s\ngot  %s\nwant %s", mapping, expr.String(c), got, want)
		}
	}
	field := func(path string, typ event.Type) expr.Field { return expr.Field{Path: path, Type: typ} }
	in := func(typ event.Type, values ...any) expr.Cond {
		c := expr.In{Field: field("f", typ)}
		for _, x := range values {
			v := event.String("")
			switch x := x.(type) {
			case string:
				v = event.String(x)
			case int:
				v = event.Int(int64(x))
			case float64:
				v = event.Float(x)
			}
			if typed, ok := event.Coerce(typ, v); ok {
				c.Values = append(c.Values, typed)
			}
		}
		return c
	}
	like := func(typ event.Type, fold bool, literals ...string) expr.Cond {
		return expr.Like{Field: field("f", typ), Pattern: expr.Stars(literals...), Fold: fold}
	}
	span := func(typ event.Type, min, max string) expr.Cond {
		c := expr.Range{Field: field("f", typ)}
		if v, ok := event.Coerce(typ, event.String(min)); ok && min != "" {
			c.Min = expr.Bound{Value: v, Inclusive: true}
		}
		if v, ok := event.Coerce(typ, event.String(max)); ok && max != "" {
			c.Max = expr.Bound{Value: v}
		}
		return c
	}
	exists := func(typ event.Type) expr.Cond { return expr.Exists{Field: field("f", typ)} }
	const (
		keyword = `'f':{'type':'keyword'}`
		short   = `'f':{'type':'keyword','ignore_above':4}`
		text    = `'f':{'type':'text'}`
		flat    = `'f':{'type':'flat_object'}`
	)

	// Texts.
	f(keyword, in(event.Keyword, "a"), `{'term':{'f':{'value':'a'}}}`)
	f(keyword, in(event.Keyword, "a", "b"), `{'terms':{'f':['a','b']}}`)
	f(keyword, in(event.Keyword), `{'match_none':{}}`)
	f(keyword, in(event.Flattened, "a"), `{'term':{'f':{'value':'a'}}}`)
	f(keyword, in(event.Caseless, "a"), `refused: f of x: it is of the type keyword`)
	f(keyword, in(event.Long, 1), `refused: f of x: it is of the type keyword`)
	f(keyword, exists(event.Keyword), `{'exists':{'field':'f'}}`)
	f(keyword, like(event.Keyword, false, "a*?", ""), `{'wildcard':{'f':{'value':'a\\*\\?*'}}}`)
	f(keyword, like(event.Keyword, false, "", ""), `{'exists':{'field':'f'}}`)
	f(keyword, like(event.Keyword, false), `{'term':{'f':{'value':''}}}`)
	f(keyword, like(event.Keyword, true, "cmd.", ""), `{'wildcard':{'f':{'value':'cmd.*','case_insensitive':true}}}`)
	f(keyword, like(event.Keyword, true, "s.é", ""), `{'regexp':{'f':{'value':'[sſS]\\.[éÉ].*','flags':'NONE'}}}`)
	f(keyword, like(event.Keyword, true, strings.Repeat("k", 400)), `refused: f of x: a pattern of 2000 characters that folds case`)
	f(keyword, span(event.Keyword, "a", "b"), `{'range':{'f':{'gte':'a','lt':'b'}}}`)
	f(keyword, expr.Words{Field: field("f", event.Text), Tokens: []string{"a"}}, `refused: f of x: it is of the type keyword`)

	// An index that forgets long values.
	f(short, in(event.Keyword, "four"), `{'term':{'f':{'value':'four'}}}`)
	f(short, in(event.Keyword, "longer"), `refused: f of x: it leaves values out that are longer than 4`)
	f(short, like(event.Keyword, false, "a", ""), `refused: f of x: it leaves values out that are longer than 4`)
	f(short, span(event.Keyword, "a", ""), `refused: f of x: it leaves values out that are longer than 4`)
	f(short, exists(event.Keyword), `refused: f of x: it leaves values out that are longer than 4`)

	// Multi-fields: the first that can be asked.
	f(`'f':{'type':'text','fields':{'raw':{'type':'keyword'}}}`, in(event.Keyword, "a"), `{'term':{'f.raw':{'value':'a'}}}`)
	f(`'f':{'type':'keyword','ignore_above':2,'fields':{'w':{'type':'wildcard'}}}`, like(event.Keyword, false, "a", ""),
		`{'wildcard':{'f.w':{'value':'a*'}}}`)

	// Words.
	f(text, expr.Words{Field: field("f", event.Text), Tokens: []string{"a", "b"}}, `{'terms':{'f':['a','b']}}`)
	f(text, expr.Words{Field: field("f", event.Text), Tokens: []string{"a", "b"}, Phrase: true},
		`{'match_phrase':{'f':{'query':'a b','analyzer':'whitespace'}}}`)
	f(text, expr.Words{Field: field("f", event.PatternText), Tokens: []string{"a"}}, `refused: f of x: it is of the type text`)
	f(`'f':{'type':'text','analyzer':'english'}`, expr.Words{Field: field("f", event.Text), Tokens: []string{"a"}},
		`refused: f of x: its analyzer english is not known here`)
	f(text, in(event.Text, "a"), `refused: f of x: it is analysed`)

	// Numbers, dates, addresses.
	f(`'f':{'type':'long'}`, in(event.Long, 1, 2), `{'terms':{'f':[1,2]}}`)
	f(`'f':{'type':'long'}`, span(event.Long, "1", "9"), `{'range':{'f':{'gte':1,'lt':9}}}`)
	f(`'f':{'type':'float'}`, in(event.Double, 1.5), `refused: f of x: it rounds numbers (float)`)
	f(`'f':{'type':'double'}`, in(event.Double, 0.0), `{'range':{'f':{'gte':-0.0,'lte':0.0}}}`)
	f(`'f':{'type':'double'}`, span(event.Double, "0", "0"), `{'range':{'f':{'gte':-0.0,'lt':-0.0}}}`)
	f(`'f':{'type':'integer','ignore_malformed':true}`, in(event.Long, 1), `refused: f of x: it leaves numbers out that are too large for it`)
	f(`'f':{'type':'date'}`, span(event.Date, "2026-03-01", ""),
		`{'range':{'f':{'gte':'2026-03-01T00:00:00.000Z','lte':'9999-12-31T23:59:59.999Z','format':'strict_date_optional_time'}}}`)
	f(`'f':{'type':'date_nanos'}`, in(event.Date, "2026-03-01"),
		`{'range':{'f':{'gte':'2026-03-01T00:00:00.000Z','lt':'2026-03-01T00:00:00.001Z','format':'strict_date_optional_time'}}}`)
	f(`'f':{'type':'date','format':'epoch_second'}`, exists(event.Date), `refused: f of x: it reads dates in the format epoch_second`)
	f(`'f':{'type':'ip'}`, span(event.IPType, "10.0.0.0", "10.1.0.0"), `~{'range':{'f':{'gte':'10.0.0.0','lt':'10.1.0.0'}}}`)
	f(`'f':{'type':'ip'}`, in(event.IPType, "::ffff:10.0.0.1"), `~{'term':{'f':{'value':'10.0.0.1'}}}`)
	f(`'f':{'type':'ip'}`, expr.Not{Cond: in(event.IPType, "10.0.0.1")}, `refused: the opposite of what can be asked in part alone`)
	f(`'f':{'type':'boolean'}`, in(event.Boolean, "true"), `{'term':{'f':{'value':true}}}`)

	// Flattened fields.
	key := func(c expr.In) expr.Cond { c.Field = field("f.a", event.Flattened); return c }
	f(flat, key(in(event.Flattened, "x").(expr.In)), `{'term':{'f.a':{'value':'x'}}}`)
	f(flat, key(in(event.Flattened, "7").(expr.In)), `{'term':{'f.a':{'value':'7'}}}`)
	f(flat, key(in(event.Flattened, "7.0").(expr.In)), `refused: f.a of x: values of its keys are indexed in a form that "7.0" may not have`)
	f(flat, key(in(event.Flattened, "b=c").(expr.In)), `refused: f.a of x: values of its keys are indexed in a form that "b=c" may not have`)
	f(flat, expr.Like{Field: field("f.a", event.Flattened), Pattern: expr.Stars("x", "")}, `~{'wildcard':{'f.a':{'value':'x*'}}}`)
	f(flat, expr.Exists{Field: field("f.a", event.Flattened)}, `~{'exists':{'field':'f.a'}}`)
	f(flat, expr.In{Field: field("f.a", event.Long), Values: []event.Value{event.Int(1)}},
		`refused: f.a of x: the keys of the flattened field f are read as keywords alone`)

	// What is not indexed.
	f(`'g':{'type':'keyword'}`, in(event.Keyword, "a"), `{'match_none':{}}`)
	f(`'f':{'type':'object','enabled':false}`, in(event.Keyword, "a"), `refused: f of x: it is an object (it is not indexed)`)
	f(`'f':{'type':'keyword','index':false}`, in(event.Keyword, "a"), `refused: f of x: it is not indexed`)
	f(`'f':{'type':'keyword','null_value':'a'}`, in(event.Keyword, "a"), `refused: f of x: its parameter null_value is not known here`)
	f(`'f':{'type':'keyword'},'g':{'type':'keyword','copy_to':'f'}`, in(event.Keyword, "a"), `refused: f of x: values of other fields are copied to it`)
	f(`'f':{'dynamic':'false','properties':{'g':{'type':'keyword'}}}`, expr.In{Field: field("f.h", event.Keyword), Values: []event.Value{event.String("a")}},
		`refused: f.h of x: it is not indexed, and documents may hold it all the same`)
	f(`'f':{'properties':{'g':{'type':'keyword'}}}`, in(event.Keyword, "a"), `{'match_none':{}}`)

	// Objects.
	list := `'f':{'type':'nested','properties':{'a':{'type':'keyword'},'b':{'type':'long'}}}`
	a := expr.In{Field: field("f.a", event.Keyword), Values: []event.Value{event.String("x")}}
	f(list, expr.Nested{Path: "f", Cond: a},
		`{'nested':{'path':'f','query':{'term':{'f.a':{'value':'x'}}},'score_mode':'none','ignore_unmapped':true}}`)
	f(list, a, `{'nested':{'path':'f','query':{'term':{'f.a':{'value':'x'}}},'score_mode':'none','ignore_unmapped':true}}`)
	f(list+","+`'g':{'type':'keyword'}`, expr.Nested{Path: "f", Cond: expr.In{Field: field("g", event.Keyword), Values: a.Values}},
		`refused: a field outside of the nested object f`)
	f(`'f':{'properties':{'a':{'type':'keyword'}}}`, expr.Nested{Path: "f", Cond: a}, `refused: f is no nested object of x`)
	f(list, expr.Exists{Field: field("f", event.Nested)},
		`{'nested':{'path':'f','query':{'bool':{'should':[{'exists':{'field':'f.a'}},{'exists':{'field':'f.b'}}],'minimum_should_match':1}},'score_mode':'none','ignore_unmapped':true}}`)
	f(`'f':{'properties':{'a':{'type':'keyword'},'b':{'type':'keyword','ignore_above':9}}}`, expr.Exists{Field: field("f", event.ObjectType)},
		`refused: f.b of x: documents may hold values that are not indexed`)

	// Joined: what cannot be asked is left out of a conjunction, and looked at again.
	ok, no := in(event.Keyword, "a"), like(event.Keyword, false, "a", "")
	f(short, expr.All(ok, no), `~{'term':{'f':{'value':'a'}}}`)
	f(short, expr.And{Conds: []expr.Cond{ok, ok}}, `{'bool':{'filter':[{'term':{'f':{'value':'a'}}},{'term':{'f':{'value':'a'}}}]}}`)
	f(short, expr.Or{Conds: []expr.Cond{ok, no}}, `refused: f of x: it leaves values out that are longer than 4`)
	f(short, expr.Or{Conds: []expr.Cond{ok, expr.All(ok, no)}}, `~{'bool':{'should':[{'term':{'f':{'value':'a'}}},{'term':{'f':{'value':'a'}}}],'minimum_should_match':1}}`)
	f(short, expr.Not{Cond: ok}, `{'bool':{'must_not':[{'term':{'f':{'value':'a'}}}]}}`)
	f(short, expr.Not{Cond: expr.All(ok, no)}, `refused: the opposite of what can be asked in part alone`)
	f(keyword, expr.Or{}, `{'match_none':{}}`)
	f(keyword, expr.And{}, `{'match_all':{}}`)
	f(keyword, expr.Not{Cond: expr.Or{}}, `{'match_all':{}}`)
	f(keyword, expr.Cmp{Op: expr.Equal, Left: expr.One{Field: field("f", event.Keyword)}, Right: expr.Lit{Value: event.String("a")}},
		`~{'term':{'f':{'value':'a'}}}`)
	f(keyword, expr.IsNull{Value: expr.One{Field: field("f", event.Keyword)}}, `refused: whether a field has exactly one value cannot be asked`)
	f(keyword, expr.Anywhere{Text: "a"}, `{'multi_match':{'type':'best_fields','query':'a','lenient':true}}`)
	f(`'f':{'type':'long'}`, expr.Anywhere{Text: "a"}, `refused: f of x is not asked for a value anywhere`)
}
