// Package filtertest holds what filters find, as facts on a few small documents: for whatever evaluates conditions, and
// for a real server, which is asked the same queries. It is for tests.
//
//	for _, f := range filtertest.Facts() { … f.Query … f.Want }
package filtertest

import "strings"

// Types are the fields of the documents, by type (as kqltest.TypesMapping reads them).
var Types = map[string]string{
	"k": "keyword", "kn": "keyword_lowercase", "t": "text", "ps": "text:pattern", "w": "wildcard", "f": "flattened",
	"n": "nested", "n.a": "keyword", "n.b": "long", "l": "long", "d": "double", "dt": "date", "ip": "ip", "b": "boolean",
	"o.x": "keyword", "o.y": "keyword", "g": "geo_point",
}

// Index is the body of an index for them on OpenSearch.
const Index = `{"settings":{"number_of_shards":1,"number_of_replicas":0,"analysis":{
 "analyzer":{"ps":{"type":"pattern","pattern":"[\\W&&[^-]]+","lowercase":true}},
 "normalizer":{"lower":{"type":"custom","filter":["lowercase"]}}}},
 "mappings":{"dynamic":"strict","properties":{
 "k":{"type":"keyword"},"kn":{"type":"keyword","normalizer":"lower"},"t":{"type":"text"},"ps":{"type":"text","analyzer":"ps"},
 "w":{"type":"wildcard"},"f":{"type":"flat_object"},"n":{"type":"nested","properties":{"a":{"type":"keyword"},"b":{"type":"long"}}},
 "l":{"type":"long"},"d":{"type":"double"},"dt":{"type":"date"},"ip":{"type":"ip"},"b":{"type":"boolean"},
 "o":{"properties":{"x":{"type":"keyword"},"y":{"type":"keyword"}}},"g":{"type":"geo_point"}}}}`

// Documents returns the documents; document i has the ID i+1.
func Documents() []string {
	return []string{
		`{"k":"Foo Bar","kn":"Foo","t":"System.Reflection Foo-Bar","ps":"[System.Reflection.Assembly]::Load Foo-Bar",
		  "w":"C:\\Windows\\Foo.exe","f":{"a":"Hello World","b":{"c":"xYz"}},"l":7,"d":1.5,"dt":"2026-01-01T00:00:00Z",
		  "ip":"10.1.2.3","b":true,"o":{"x":"one"},"n":[{"a":"x","b":1},{"a":"y","b":2}],"g":{"lat":1,"lon":2}}`,
		`{"k":["a","b"],"t":["quick brown","fox"],"l":[1,5],"ip":["10.2.0.1","2001:db8::1"],"dt":"2026-03-01T12:00:00Z",
		  "b":false,"n":{"a":"x","b":2},"w":"*lit?","o":{"y":"two"}}`,
		`{"k":"","t":"","d":-2}`,
		`{"k":"7","l":-3,"d":0,"dt":"2026-03-31T23:59:59.999Z","w":"c:\\windows\\FOO.EXE","kn":"BAR","f":{"a":"hello"}}`,
		`{"k":"ÉCLAIR","t":"quick fox brown"}`,
	}
}

// What a Fact's Want or Server may say instead of document IDs.
const (
	Refused = "refused" // by Parse
	Failed  = "error"   // by Lower, or by the server
)

// Fact is what a query finds: the IDs, in order, or Refused or Failed.
type Fact struct {
	Query, Want string
	// Server is what OpenSearch says where it is something else, and Why.
	Server, Why string
}

const (
	scores  = "what is not applied is refused, never passed over"
	unicode = "case_insensitive folds all letters, not those of ASCII alone"
	objects = "an object is there if something in it is"
	order   = "the order of words is no property of an event that a rule should ask"
)

// Facts returns them all. Queries are written with ' for ".
func Facts() []Fact {
	facts := []Fact{
		{Query: `{'match_all':{}}`, Want: "1 2 3 4 5"},
		{Query: `{'match_all':{'boost':2}}`, Want: "1 2 3 4 5"},
		{Query: `{'match_none':{}}`, Want: ""},

		// bool
		{Query: `{'bool':{}}`, Want: "1 2 3 4 5"},
		{Query: `{'bool':{'should':[],'minimum_should_match':1}}`, Want: "1 2 3 4 5"},
		{Query: `{'bool':{'must':{'term':{'k':'a'}}}}`, Want: "2"},
		{Query: `{'bool':{'must':[{'term':{'k':'a'}}],'filter':[{'term':{'k':'b'}}]}}`, Want: "2"},
		{Query: `{'bool':{'must':[{'term':{'k':'a'}}],'filter':{'term':{'k':'c'}}}}`, Want: ""},
		{Query: `{'bool':{'must_not':{'term':{'k':'a'}}}}`, Want: "1 3 4 5"},
		{Query: `{'bool':{'must_not':[{'term':{'k':'a'}},{'exists':{'field':'l'}}]}}`, Want: "3 5"},
		{Query: `{'bool':{'should':[{'term':{'k':'a'}},{'term':{'k':'7'}}]}}`, Want: "2 4"},
		{Query: `{'bool':{'should':[{'term':{'k':'a'}},{'term':{'k':'7'}}],'minimum_should_match':0}}`, Want: "2 4"},
		{Query: `{'bool':{'should':{'term':{'k':'a'}},'filter':{'exists':{'field':'l'}}}}`, Want: "1 2 4"},
		{Query: `{'bool':{'should':{'term':{'k':'a'}},'filter':{'exists':{'field':'l'}},'minimum_should_match':1}}`, Want: "2"},
		{Query: `{'bool':{'should':[],'filter':{'exists':{'field':'l'}},'minimum_should_match':1}}`, Want: ""},
		{Query: `{'bool':{'should':{'term':{'k':'a'}},'must_not':{'term':{'k':'b'}}}}`, Want: ""},
		{Query: `{'bool':{'should':[{'term':{'k':'a'}},{'term':{'l':5}},{'term':{'l':7}}],'minimum_should_match':2}}`, Want: "2"},
		{Query: `{'bool':{'should':[{'term':{'k':'a'}},{'term':{'l':5}},{'term':{'l':7}}],'minimum_should_match':3}}`, Want: ""},
		{Query: `{'bool':{'should':[{'term':{'k':'a'}},{'term':{'l':5}},{'term':{'l':7}}],'minimum_should_match':'75%'}}`, Want: "2"},
		{Query: `{'bool':{'should':[{'term':{'k':'a'}},{'term':{'l':5}},{'term':{'l':7}}],'minimum_should_match':-1}}`, Want: "2"},
		{Query: `{'bool':{'should':[{'term':{'k':'a'}},{'term':{'l':5}},{'term':{'l':7}}],'minimum_should_match':'-70%'}}`, Want: "1 2"},
		{Query: `{'bool':{'should':[{'term':{'k':'a'}},{'term':{'l':5}},{'term':{'l':7}}],'minimum_should_match':'2<75%'}}`, Want: Refused},
		{Query: `{'bool':{'must':[{'bool':{'must_not':[{'bool':{'should':[{'term':{'k':'a'}},{'term':{'k':'7'}}]}}]}}]}}`, Want: "1 3 5"},
		{Query: `{'constant_score':{'filter':{'term':{'k':'a'}},'boost':3}}`, Want: "2"},
		{Query: `{'dis_max':{'queries':[{'term':{'k':'a'}},{'term':{'k':'7'}}],'tie_breaker':0.3}}`, Want: "2 4"},

		// Values as they stand.
		{Query: `{'term':{'k':'Foo Bar'}}`, Want: "1"},
		{Query: `{'term':{'k':'foo bar'}}`, Want: ""},
		{Query: `{'term':{'k':{'value':'foo BAR','case_insensitive':true}}}`, Want: "1"},
		{Query: `{'term':{'k':{'value':'éclair','case_insensitive':true}}}`, Want: "5", Server: "", Why: unicode},
		{Query: `{'term':{'k':''}}`, Want: "3"},
		{Query: `{'term':{'k':7}}`, Want: "4"},
		{Query: `{'terms':{'k':['a',7,'x'],'boost':1}}`, Want: "2 4"},
		{Query: `{'terms':{'k':[]}}`, Want: ""},
		{Query: `{'term':{'kn':'FOO'}}`, Want: "1"},
		{Query: `{'term':{'t':'foo'}}`, Want: "1"},
		{Query: `{'term':{'t':'Foo'}}`, Want: ""},
		{Query: `{'term':{'t':{'value':'FOO','case_insensitive':true}}}`, Want: "1"},
		{Query: `{'term':{'t':'quick brown'}}`, Want: ""},
		{Query: `{'terms':{'t':['quick','foo']}}`, Want: "1 2 5"},
		{Query: `{'term':{'ps':'foo-bar'}}`, Want: "1"},
		{Query: `{'term':{'w':'*lit?'}}`, Want: "2"},
		{Query: `{'term':{'f.a':'Hello World'}}`, Want: "1"},
		{Query: `{'term':{'f.b.c':'xYz'}}`, Want: "1"},
		{Query: `{'term':{'f':'xYz'}}`, Want: "1"},
		{Query: `{'term':{'l':7}}`, Want: "1"},
		{Query: `{'term':{'l':'7'}}`, Want: "1"},
		{Query: `{'term':{'l':5.5}}`, Want: ""},
		{Query: `{'term':{'l':'abc'}}`, Want: Failed},
		{Query: `{'term':{'l':{'value':7,'case_insensitive':true}}}`, Want: Failed},
		{Query: `{'terms':{'l':[1,-3]}}`, Want: "2 4"},
		{Query: `{'term':{'d':1.50}}`, Want: "1"},
		{Query: `{'term':{'b':true}}`, Want: "1"},
		{Query: `{'term':{'b':'false'}}`, Want: "2"},
		{Query: `{'term':{'b':'True'}}`, Want: Failed},
		{Query: `{'term':{'ip':'10.1.2.3'}}`, Want: "1"},
		{Query: `{'term':{'ip':'10.0.0.0/8'}}`, Want: "1 2"},
		{Query: `{'terms':{'ip':['10.1.0.0/16','2001:db8::/32']}}`, Want: "1 2"},
		{Query: `{'term':{'ip':'10.1'}}`, Want: Failed},
		{Query: `{'term':{'dt':'2026-03-01'}}`, Want: "2"},
		{Query: `{'term':{'o':'one'}}`, Want: ""},
		{Query: `{'term':{'nowhere':'x'}}`, Want: ""},
		{Query: `{'term':{'k':null}}`, Want: Refused},
		{Query: `{'terms':{'k':['a',null]}}`, Want: Refused},
		{Query: `{'term':{'k':['a']}}`, Want: Refused},

		// Values as their field reads them.
		{Query: `{'match':{'k':'Foo Bar'}}`, Want: "1"},
		{Query: `{'match':{'k':{'query':'a b','operator':'and'}}}`, Want: ""},
		{Query: `{'match':{'t':'FOX nothing'}}`, Want: "2 5"},
		{Query: `{'match':{'t':{'query':'FOX quick','operator':'AND'}}}`, Want: "2 5"},
		{Query: `{'match':{'t':{'query':'fox nothing','operator':'and'}}}`, Want: ""},
		{Query: `{'match':{'t':{'query':'fox nothing quick','minimum_should_match':2}}}`, Want: "2 5"},
		{Query: `{'match':{'t':{'query':'fox nothing quick','minimum_should_match':'-1'}}}`, Want: "2 5"},
		{Query: `{'match':{'t':'--'}}`, Want: ""},
		{Query: `{'match':{'t':{'query':'--','zero_terms_query':'all'}}}`, Want: "1 2 3 4 5"},
		{Query: `{'match':{'t':{'query':'foox','fuzziness':1}}}`, Want: Refused, Server: "1 2 5", Why: scores},
		{Query: `{'match':{'l':7}}`, Want: "1"},
		{Query: `{'match':{'l':'abc'}}`, Want: Failed},
		{Query: `{'match':{'l':{'query':'abc','lenient':true}}}`, Want: ""},
		{Query: `{'match':{'ip':'10.1.0.0/16'}}`, Want: "1"},
		{Query: `{'match_phrase':{'t':'quick BROWN'}}`, Want: "2"},
		{Query: `{'match_phrase':{'t':'brown fox'}}`, Want: ""},
		{Query: `{'match_phrase':{'t':{'query':'quick brown','slop':1}}}`, Want: Refused, Server: "2 5", Why: order},
		{Query: `{'match_phrase':{'t':{'query':'fox'}}}`, Want: "2 5"},
		{Query: `{'match_phrase':{'ps':'system::reflection'}}`, Want: "1"},
		{Query: `{'match_phrase':{'k':'Foo'}}`, Want: ""},
		{Query: `{'match_phrase':{'k':'Foo Bar'}}`, Want: "1"},
		{Query: `{'multi_match':{'query':'fox','fields':['k','t^2']}}`, Want: "2 5"},
		{Query: `{'multi_match':{'query':'quick brown','fields':['k','t'],'type':'phrase'}}`, Want: "2"},
		{Query: `{'multi_match':{'query':'fox','fields':['k','l','t'],'lenient':true}}`, Want: "2 5"},
		{Query: `{'multi_match':{'query':'fox','fields':['k','l','t']}}`, Want: Failed},

		// Patterns.
		{Query: `{'wildcard':{'k':'Foo*'}}`, Want: "1"},
		{Query: `{'wildcard':{'k':'foo*'}}`, Want: ""},
		{Query: `{'wildcard':{'k':{'value':'foo*','case_insensitive':true}}}`, Want: "1"},
		{Query: `{'wildcard':{'k':{'value':'éCL*','case_insensitive':true}}}`, Want: "5", Server: "", Why: unicode},
		{Query: `{'wildcard':{'k':{'wildcard':'F??*Bar','boost':1,'rewrite':'constant_score'}}}`, Want: "1"},
		{Query: `{'wildcard':{'k':'*'}}`, Want: "1 2 3 4 5"},
		{Query: `{'wildcard':{'k':''}}`, Want: "3", Server: "", Why: "the empty pattern fits the empty text"},
		{Query: `{'wildcard':{'kn':'FO*'}}`, Want: "1"},
		{Query: `{'wildcard':{'kn':{'value':'b?R','case_insensitive':true}}}`, Want: "4"},
		{Query: `{'wildcard':{'w':{'value':'?:\\\\windows\\\\*','case_insensitive':true}}}`, Want: "1 4"},
		{Query: `{'wildcard':{'w':'C:\\\\Windows\\\\Foo.???'}}`, Want: "1"},
		{Query: `{'wildcard':{'k':'F\\oo B\\ar'}}`, Want: "1"},
		{Query: `{'wildcard':{'w':'\\*lit\\?'}}`, Want: "2"},
		{Query: `{'wildcard':{'t':'qui*'}}`, Want: "2 5"},
		{Query: `{'wildcard':{'t':'Qui*'}}`, Want: ""},
		{Query: `{'wildcard':{'t':{'value':'Qui*','case_insensitive':true}}}`, Want: "2 5"},
		{Query: `{'wildcard':{'t':'quick b*'}}`, Want: ""},
		{Query: `{'wildcard':{'f.a':'Hel*'}}`, Want: "1"},
		{Query: `{'wildcard':{'l':'7*'}}`, Want: Failed},
		{Query: `{'wildcard':{'ip':'10.*'}}`, Want: Failed},
		{Query: `{'prefix':{'k':'Foo'}}`, Want: "1"},
		{Query: `{'prefix':{'k':{'value':'FOO B','case_insensitive':true}}}`, Want: "1"},
		{Query: `{'prefix':{'w':'*l'}}`, Want: "2"},
		{Query: `{'prefix':{'t':'bro'}}`, Want: "2 5"},
		{Query: `{'prefix':{'l':'7'}}`, Want: Failed},

		// Ranges.
		{Query: `{'range':{'l':{'gte':1,'lte':7}}}`, Want: "1 2"},
		{Query: `{'range':{'l':{'gt':1,'lt':5}}}`, Want: ""},
		{Query: `{'range':{'l':{'gt':1.5,'lt':'5.5'}}}`, Want: "2"},
		{Query: `{'range':{'l':{'from':1,'to':7,'include_upper':false}}}`, Want: "2"},
		{Query: `{'range':{'l':{'gte':null,'lt':0}}}`, Want: "4"},
		{Query: `{'range':{'l':{}}}`, Want: "1 2 4"},
		{Query: `{'range':{'l':{'gte':'abc'}}}`, Want: Failed},
		{Query: `{'range':{'d':{'gt':0}}}`, Want: "1"},
		{Query: `{'range':{'k':{'gte':'a','lt':'c'}}}`, Want: "2"},
		{Query: `{'range':{'ip':{'gte':'10.0.0.0','lte':'10.1.255.255'}}}`, Want: "1"},
		{Query: `{'range':{'dt':{'gte':'2026-03-01','lte':'2026-03-31'}}}`, Want: "2 4"},
		{Query: `{'range':{'dt':{'gt':'2026-03-01','format':'strict_date_optional_time'}}}`, Want: "4"},
		{Query: `{'range':{'dt':{'gte':'2026-01-01||+2M/M','time_zone':'UTC'}}}`, Want: "2 4"},
		{Query: `{'range':{'dt':{'lt':'now-1d/d'}}}`, Want: "1 2 4"},
		{Query: `{'range':{'dt':{'gte':1772366400000,'format':'epoch_millis'}}}`, Want: "2 4"},
		{Query: `{'range':{'dt':{'gte':'2026-01-01T01:00:00','time_zone':'+01:00'}}}`, Want: Refused, Server: "1 2 4", Why: scores},
		{Query: `{'range':{'dt':{'gte':'yesterday'}}}`, Want: Failed},
		{Query: `{'range':{'t':{'gte':'a'}}}`, Want: Failed, Server: "1 2 5", Why: order},

		// Whether there is a value.
		{Query: `{'exists':{'field':'l'}}`, Want: "1 2 4"},
		{Query: `{'exists':{'field':'k'}}`, Want: "1 2 3 4 5"},
		{Query: `{'exists':{'field':'t'}}`, Want: "1 2 3 5"},
		{Query: `{'exists':{'field':'o'}}`, Want: "1 2"},
		{Query: `{'exists':{'field':'o.*'}}`, Want: "1 2"},
		{Query: `{'exists':{'field':'n'}}`, Want: "1 2", Server: "", Why: objects},
		{Query: `{'exists':{'field':'f'}}`, Want: "1 4"},
		{Query: `{'exists':{'field':'f.b.c'}}`, Want: "1"},
		{Query: `{'exists':{'field':'g'}}`, Want: "1"},
		{Query: `{'exists':{'field':'nowhere'}}`, Want: ""},

		// Queries in Lucene's language.
		{Query: `{'query_string':{'query':'k:a'}}`, Want: "2"},
		{Query: `{'query_string':{'query':'k:(a OR 7) AND NOT l:[5 TO 6]','analyze_wildcard':true,'default_field':'*','time_zone':'Zulu'}}`, Want: "4"},
		{Query: `{'query_string':{'query':'t:foo-b*','analyze_wildcard':true}}`, Want: "1 2 5"},
		{Query: `{'query_string':{'query':'t:foo-b*'}}`, Want: ""},
		{Query: `{'query_string':{'query':'ps:Foo-b*'}}`, Want: "1"},
		{Query: `{'query_string':{'query':'dt:[now-1000y TO 2026-01-31]'}}`, Want: "1"},
		{Query: `{'query_string':{'query':'l:seven'}}`, Want: Failed, Server: "", Why: "a value that can be none of its field's is refused"},

		// One object of a list.
		{Query: `{'nested':{'path':'n','query':{'bool':{'filter':[{'term':{'n.a':'x'}},{'term':{'n.b':2}}]}}}}`, Want: "2"},
		{Query: `{'nested':{'path':'n','query':{'term':{'n.a':'x'}},'score_mode':'none','ignore_unmapped':true}}`, Want: "1 2"},
		{Query: `{'nested':{'path':'n','query':{'bool':{'must_not':{'term':{'n.a':'x'}}}}}}`, Want: "1"},
		{Query: `{'nested':{'path':'n','query':{'match_all':{}}}}`, Want: "1 2"},

		// Refused.
		{Query: `{'script':{'script':{'source':'return true'}}}`, Want: Refused, Server: "1 2 3 4 5", Why: scores},
		{Query: `{'ids':{'values':['1']}}`, Want: Refused, Server: "1", Why: scores},
		{Query: `{'simple_query_string':{'query':'a'}}`, Want: Refused, Server: "2", Why: scores},
		{Query: `{'query_string':{'query':'a','fields':['k']}}`, Want: Refused, Server: "2", Why: scores},
		{Query: `{'query_string':{'query':'k:a AND','default_operator':'OR'}}`, Want: Refused},
		{Query: `{'regexp':{'k':'F.*'}}`, Want: Refused, Server: "1", Why: scores},
		{Query: `{'fuzzy':{'k':'c'}}`, Want: Refused, Server: "", Why: scores},
		{Query: `{'trem':{'k':'a'}}`, Want: Refused},
		{Query: `{}`, Want: Refused},
		{Query: `{'term':{'k':'a'},'exists':{'field':'k'}}`, Want: Refused},
		{Query: `{'term':{'k':'a','l':1}}`, Want: Refused},
		{Query: `{'term':{}}`, Want: Refused},
		{Query: `{'term':{'k':{'value':'a','colour':1}}}`, Want: Refused},
		{Query: `{'bool':{'msut':[]}}`, Want: Refused},
		{Query: `{'bool':[]}`, Want: Refused},
		{Query: `{'range':{'l':{'above':1}}}`, Want: Refused},
		{Query: `{'terms':{'k':'a'}}`, Want: Refused},
		{Query: `{'exists':{'field':''}}`, Want: Refused},
		{Query: `{'nested':{'query':{'match_all':{}}}}`, Want: Refused},
		{Query: `{'wildcard':{'k':{}}}`, Want: Refused},
	}
	for i := range facts {
		facts[i].Query = strings.ReplaceAll(facts[i].Query, "'", `"`)
	}
	return facts
}
