// Package lucenetest holds what Lucene queries find, as facts on a few small documents: for whatever evaluates conditions,
// and for a real server, which is asked the same queries. It is for tests.
//
//	for _, f := range lucenetest.Facts() { … f.Query … f.Want }
package lucenetest

// Types are the fields of the documents, by type (as kqltest.TypesMapping reads them).
var Types = map[string]string{
	"k": "keyword", "kn": "keyword_lowercase", "t": "text", "ps": "text:pattern", "l": "long", "d": "double", "dt": "date",
	"ip": "ip", "b": "boolean", "o.x": "keyword", "o.y": "keyword", "args": "keyword", "g": "geo_point",
}

// Index is the body of an index for them on OpenSearch.
const Index = `{"settings":{"number_of_shards":1,"number_of_replicas":0,"analysis":{
 "analyzer":{"ps":{"type":"pattern","pattern":"[\\W&&[^-]]+","lowercase":true}},
 "normalizer":{"lower":{"type":"custom","filter":["lowercase"]}}}},
 "mappings":{"dynamic":"strict","properties":{
 "k":{"type":"keyword"},"kn":{"type":"keyword","normalizer":"lower"},"t":{"type":"text"},"ps":{"type":"text","analyzer":"ps"},
 "l":{"type":"long"},"d":{"type":"double"},"dt":{"type":"date"},"ip":{"type":"ip"},"b":{"type":"boolean"},
 "o":{"properties":{"x":{"type":"keyword"},"y":{"type":"keyword"}}},"args":{"type":"keyword"},"g":{"type":"geo_point"}}}}`

// Documents returns the documents; document i has the ID i+1.
func Documents() []string {
	return []string{
		`{"k":"Foo Bar","kn":"Foo","t":"System.Reflection Foo-Bar","ps":"System.Reflection Foo-Bar","l":7,"d":1.5,
		  "dt":"2026-01-01T00:00:00Z","ip":"10.1.2.3","b":true,"o":{"x":"one"},"args":"C:\\Windows\\a:b","g":{"lat":1,"lon":2}}`,
		`{"k":["a","b"],"t":["quick brown","fox"],"l":[1,5],"ip":["10.2.0.1","2001:db8::1"],"dt":"2026-03-01T12:00:00Z",
		  "b":false,"o":{"y":"two"},"args":["g+s","2755"]}`,
		`{"k":"","t":"","d":-2}`,
		`{"k":"7","l":-3,"d":0,"dt":"2026-03-31T23:59:59.999Z","kn":"BAR","o":{"x":"two"},"args":["a/b","x?y","-v"]}`,
		`{"k":"or","t":"quick fox brown","l":100,"args":["AND","start or stop",">5"]}`,
	}
}

// What a Fact's Want or Server may say instead of document IDs.
const (
	Refused = "refused" // by Parse, and by the server
	Failed  = "error"   // by Lower, or by the server
)

// Fact is what a query finds: the IDs, in order, or Refused or Failed.
type Fact struct {
	Query, Want string
	// Server is what OpenSearch says where it is something else, and Why.
	Server, Why string
}

const (
	lenient = "a value that can be none of its field's is refused, where the server finds nothing"
	loose   = "fuzzy words and loose phrases are refused"
	onText  = "regular expressions, and ranges, are about keywords alone"
	dropped = "a value without words is refused, where the server leaves it out of the query"
)

// Facts returns them all.
func Facts() []Fact {
	return []Fact{
		// Nothing, and everything.
		{Query: "*", Want: "1 2 3 4 5"},
		{Query: "*:*", Want: "1 2 3 4 5"},
		{Query: "k:*", Want: "1 2 3 4 5"},
		{Query: "_exists_:kn", Want: "1 4"},
		{Query: "_exists_:o", Want: "1 2 4"},
		{Query: `_exists_:o.\*`, Want: "1 2 4"},
		{Query: "_exists_:(kn AND b)", Want: "1"},
		{Query: "NOT _exists_:kn", Want: "2 3 5"},
		{Query: "kn:*", Want: "1 4"},

		// Joining: no precedence.
		{Query: "k:(a OR 7)", Want: "2 4"},
		{Query: "k:a k:7", Want: "2 4"},
		{Query: "k:a || k:7", Want: "2 4"},
		{Query: "k:a AND k:b", Want: "2"},
		{Query: "k:a && k:b", Want: "2"},
		{Query: "k:(+a +b)", Want: "2"},
		{Query: "k:a OR k:b AND k:7", Want: ""},
		{Query: "k:a AND k:b OR k:7", Want: "2"},
		{Query: "(k:a AND k:b) OR k:7", Want: "2 4"},
		{Query: "k:7 +k:a", Want: "2"},
		{Query: "k:(7 +a)", Want: "2"},
		{Query: "NOT k:a", Want: "1 3 4 5"},
		{Query: "-k:a", Want: "1 3 4 5"},
		{Query: "!k:a", Want: "1 3 4 5"},
		{Query: "k:(NOT a)", Want: "1 3 4 5"},
		{Query: "NOT k:a AND NOT k:7", Want: "1 3 5"},
		{Query: "NOT k:a NOT k:7", Want: "1 3 5"},
		{Query: "k:7 OR NOT k:a", Want: "4"},
		{Query: "k:7 OR (NOT k:a)", Want: "1 3 4 5"},
		{Query: "k:a NOT k:b", Want: ""},
		{Query: "k:a AND NOT k:7", Want: "2"},
		{Query: "+k:a -l:9", Want: "2"},
		{Query: "l:[1 TO 9] AND (k:a OR kn:foo) AND NOT b:false", Want: "1"},
		{Query: "! k:a", Want: "2"},
		{Query: "k:a - k:7", Want: "2 4"},
		{Query: "_exists_:l AND NOT (k:a OR k:7)", Want: "1 5"},
		{Query: "k:a^2 OR k:7^0.5", Want: "2 4"},
		{Query: "(k:a OR k:7)^3", Want: "2 4"},

		// Keywords.
		{Query: "k:a", Want: "2"},
		{Query: "k:A", Want: ""},
		{Query: "k:Foo", Want: ""},
		{Query: `k:"Foo Bar"`, Want: "1"},
		{Query: `k:Foo\ Bar`, Want: "1"},
		{Query: "k:(Foo Bar)", Want: "1"},
		{Query: "k:(a b)", Want: ""},
		{Query: "k:(a or b)", Want: ""},
		{Query: "args:(start or stop)", Want: "5"},
		{Query: "k:(or OR nothing)", Want: "5"},
		{Query: `k:""`, Want: "3"},
		{Query: "kn:foo", Want: "1"},
		{Query: "kn:FOO", Want: "1"},
		{Query: "kn:bar", Want: "4"},
		{Query: `k:\u0061`, Want: "2"},
		{Query: "args:g+s", Want: "2"},
		{Query: `args:"a/b"`, Want: "4"},
		{Query: `args:a\/b`, Want: "4"},
		{Query: `args:\-v`, Want: "4"},
		{Query: `args:C\:\\Windows\\a\:b`, Want: "1"},
		{Query: `args:"C:\\Windows\\a:b"`, Want: "1"},
		{Query: `args:"AND"`, Want: "5"},
		{Query: `args:\AND`, Want: "5"},
		{Query: `args:">5"`, Want: "5"},
		{Query: "nosuch:x", Want: ""},
		{Query: "NOT nosuch:x", Want: "1 2 3 4 5"},
		{Query: `o.\*:two`, Want: "2 4"},
		{Query: `o.\*:(one OR two)`, Want: "1 2 4"},

		// Patterns.
		{Query: "k:Foo*", Want: "1"},
		{Query: "k:foo*", Want: ""},
		{Query: "k:F?o*", Want: "1"},
		{Query: "k:?", Want: "2 4"},
		{Query: "k:??", Want: "5"},
		{Query: "k:*o*", Want: "1 5"},
		{Query: "kn:FO*", Want: "1"},
		{Query: "kn:?A?", Want: "4"},
		{Query: `args:x\?*`, Want: "4"},
		{Query: `args:?\?y`, Want: "4"},
		{Query: `args:C\:*`, Want: "1"},
		{Query: `args:*\\Windows\\*`, Want: "1"},
		{Query: `args:*\ or\ *`, Want: "5"},
		{Query: "args:g+*", Want: "2"},

		// Regular expressions: the whole value.
		{Query: "args:/2[0-9]{3}/", Want: "2"},
		{Query: "args:/[0-9]/", Want: ""},
		{Query: "args:(g+s OR /2[0-9]{3}/)", Want: "2"},
		{Query: `args:/a\/b/`, Want: "4"},
		{Query: "k:/[ab]|7/", Want: "2 4"},
		{Query: "k:/Foo.*/ AND NOT k:/.*x/", Want: "1"},
		{Query: "k:/^a$/", Want: ""},

		// Ranges.
		{Query: "l:[1 TO 5]", Want: "2"},
		{Query: "l:{1 TO 5}", Want: ""},
		{Query: "l:[2 TO 4]", Want: ""},
		{Query: "l:[5 TO 7}", Want: "2"},
		{Query: "l:[* TO 1}", Want: "4"},
		{Query: "l:[7 TO *]", Want: "1 5"},
		{Query: "l:[* TO *]", Want: "1 2 4 5"},
		{Query: "l:[-5 TO -1]", Want: "4"},
		{Query: `l:["1" TO "5"]`, Want: "2"},
		{Query: "l:>=7", Want: "1 5"},
		{Query: "l:>7", Want: "5"},
		{Query: "l:<1", Want: "4"},
		{Query: "l:<=1", Want: "2 4"},
		{Query: "l:(>=5 AND <100)", Want: "1 2"},
		{Query: `l:\-3`, Want: "4"},
		{Query: `l:"-3"`, Want: "4"},
		{Query: "l:(7 OR 100)", Want: "1 5"},
		{Query: "d:1.5", Want: "1"},
		{Query: "d:[0 TO 2]", Want: "1 4"},
		{Query: "d:<0.5", Want: "3 4"},
		{Query: "k:[a TO b]", Want: "2"},
		{Query: "k:{a TO b}", Want: ""},
		{Query: "k:[8 TO G]", Want: "1"},
		{Query: "ip:10.1.2.3", Want: "1"},
		{Query: `ip:"10.0.0.0/8"`, Want: "1 2"},
		{Query: `ip:10.1.0.0\/16`, Want: "1"},
		{Query: "ip:[10.1.0.0 TO 10.1.255.255]", Want: "1"},
		{Query: `ip:2001\:db8\:\:1`, Want: "2"},
		{Query: "b:true", Want: "1"},
		{Query: "b:false", Want: "2"},

		// Dates: what is not said of an upper bound is the last that it can be.
		{Query: "dt:2026-03-31", Want: "4"},
		{Query: `dt:"2026-03-31"`, Want: "4"},
		{Query: "dt:[2026-03-01 TO 2026-03-31]", Want: "2 4"},
		{Query: "dt:[2026-03-01 TO 2026-03-31}", Want: "2"},
		{Query: "dt:{2026-03-01 TO *]", Want: "4"},
		{Query: "dt:>2026-03-01", Want: "4"},
		{Query: "dt:>=2026-03-01", Want: "2 4"},
		{Query: "dt:<=2026-03-01", Want: "1 2"},
		{Query: "dt:<2026-03-01", Want: "1"},
		{Query: `dt:["2026-03-01T12:00:00Z" TO "2026-03-01T12:00:00Z"]`, Want: "2"},
		{Query: "dt:[2026-01-15||/M TO 2026-01-15||/M]", Want: "1"},
		{Query: "dt:[* TO now]", Want: "1 2 4"},
		{Query: "dt:[now-1h TO now]", Want: ""},
		{Query: "dt:[* TO now-1d/d}", Want: "1 2 4"},
		{Query: `dt:<now-1d\/d`, Want: "1 2 4"},

		// Analysed text.
		{Query: "t:quick", Want: "2 5"},
		{Query: "t:QUICK", Want: "2 5"},
		{Query: "t:(quick fox)", Want: "2 5"},
		{Query: "t:(quick AND fox)", Want: "2 5"},
		{Query: "t:(bar brown)", Want: "1 2 5"},
		{Query: `t:"quick brown"`, Want: "2"},
		{Query: `t:"brown quick"`, Want: ""},
		{Query: "t:foo-bar", Want: "1"},
		{Query: `t:"foo bar"`, Want: "1"},
		{Query: "t:FO*", Want: "1 2 5"},
		{Query: "t:foo-b*", Want: "1 2 5"},
		{Query: "t:foo-b*r", Want: ""},
		{Query: "t:br?wn", Want: "2 5"},
		{Query: "ps:foo-b*", Want: "1"},
		{Query: "ps:foo-b*r", Want: "1"},
		{Query: "ps:reflection", Want: "1"},
		{Query: "ps:foo", Want: ""},

		// Anywhere.
		{Query: "quick", Want: "2 5"},
		{Query: "quick AND fox", Want: "2 5"},
		{Query: "quick brown AND fox", Want: "2 5"},
		{Query: `"Foo Bar"`, Want: "1"},
		{Query: "Foo Bar", Want: "1"},
		{Query: "7", Want: "1 4"},
		{Query: "true", Want: "1"},
		{Query: "*:two", Want: "2 4"},
		{Query: "two -k:7", Want: "2"},
		{Query: "Syst*", Want: "1"},
		{Query: "br?wn", Want: "2 5"},
		{Query: `"10.1.2.3"`, Want: "1"},

		// Where we differ.
		{Query: "l:seven", Want: Failed, Server: "", Why: lenient},
		{Query: "l:7*", Want: Failed, Server: "", Why: lenient},
		{Query: "ip:10.1.*", Want: Failed, Server: "", Why: lenient},
		{Query: "b:TRUE", Want: Failed, Server: "", Why: lenient},
		{Query: "dt:yesterday", Want: Failed, Server: "", Why: lenient},
		{Query: "l:(>=5 <100)", Want: Refused, Server: "", Why: lenient},
		{Query: "k:a~1", Want: Refused, Server: "2 3 4", Why: loose},
		{Query: `t:"quick brown"~2`, Want: Refused, Server: "2 5", Why: loose},
		{Query: "t:/fo./", Want: Failed, Server: "1 2 5", Why: onText},
		{Query: "/fo./", Want: Failed, Server: "1 2 5", Why: onText},
		{Query: "t:[a TO g]", Want: Failed, Server: "1 2 5", Why: onText},
		{Query: `t:"!!!" AND k:a`, Want: Failed, Server: "2", Why: dropped},

		// Refused by both.
		{Query: "k:(a", Want: Refused}, {Query: "k:a)", Want: Refused}, {Query: "k:", Want: Refused}, {Query: "AND", Want: Refused},
		{Query: "k:a AND", Want: Refused}, {Query: "OR k:a", Want: Refused}, {Query: "k:a AND OR k:7", Want: Refused},
		{Query: "()", Want: Refused}, {Query: "k:()", Want: Refused}, {Query: "o.*:two", Want: Refused}, {Query: "l:-3", Want: Refused},
		{Query: "args:a/b", Want: Refused}, {Query: "dt:<now-1d/d", Want: Refused}, {Query: "ip:2001:db8::1", Want: Refused}, {Query: `k:"a`, Want: Refused},
		{Query: "l:[1 TO 5", Want: Refused}, {Query: "l:[1 5]", Want: Refused}, {Query: "l:[1 to 5]", Want: Refused},
		{Query: "l:[TO 5]", Want: Refused}, {Query: "k:a^", Want: Refused}, {Query: `k:a\`, Want: Refused}, {Query: `k:\u00g`, Want: Refused},
		{Query: "k:a]", Want: Refused}, {Query: "+", Want: Refused}, {Query: "NOT NOT k:a", Want: Refused}, {Query: "~", Want: Refused},
	}
}
