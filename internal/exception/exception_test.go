package exception_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// caseless reads x.caseless as x without regard to case.
type caseless struct{ kqltest.Mapping }

func (c caseless) Field(path string) (expr.Field, bool) {
	if base, ok := strings.CutSuffix(path, ".caseless"); ok {
		return expr.Field{Path: base, Type: event.Caseless}, true
	}
	return c.Mapping.Field(path)
}

// fields are those of the events in these tests.
func fields(t testing.TB) caseless {
	t.Helper()
	m, err := kqltest.TypesMapping(map[string]string{"@timestamp": "date", "user.name": "keyword", "user.id": "long",
		"message": "text", "source.ip": "ip", "source.address": "keyword", "score": "double", "when": "date", "ok": "boolean",
		"host.os.type": "keyword", "host.os.name": "keyword",
		"files": "nested", "files.name": "keyword", "files.path": "text", "where": "geo_point"})
	if err != nil {
		t.Fatal(err)
	}
	return caseless{m}
}

// ruleOn is a rule that has more lines of TOML.
func ruleOn(t testing.TB, more string) *rule.Rule {
	t.Helper()
	r, err := rule.Parse("r.toml", []byte("[rule]\nname='r'\ndescription='d'\nrule_id='r'\nseverity='low'\nrisk_score=1\ntype='query'\n"+more))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// load reads files, of names and contents.
func load(files ...string) (*exception.Lists, diag.List) {
	tree := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		tree[files[i]] = &fstest.MapFile{Data: []byte(files[i+1]), Mode: 0o644}
	}
	set := rule.LoadFS(tree)
	lists, problems := exception.Load(set)
	return lists, append(set.Problems, problems...)
}

// listed is a file of ours with items of a list that rule r meets, and value lists.
func listed(items string) string {
	return "[list]\nlist_id='l'\nname='L'\nrules=['r']\n" + items
}

// lines are diagnostics without their excerpts.
func lines(problems diag.List) []string {
	out := []string{}
	for _, d := range problems {
		line := d.Error()
		if d.Hint != "" {
			line += " | " + d.Hint
		}
		out = append(out, line)
	}
	return out
}

// hides reports whether the file's items hide the event of document from rule r at now.
func hides(t testing.TB, file, document string, now time.Time) bool {
	t.Helper()
	lists, problems := load("exceptions/a.toml", file)
	hidden, found := lists.Hidden(ruleOn(t, ""), fields(t))
	if problems = append(problems, found...); problems.Err() != nil {
		t.Fatal(problems.Render())
	}
	e, err := event.Decode([]byte(document), event.DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := expr.Matches(hidden.Always(), e) || expr.Matches(hidden.At(now), e)
	if by := hidden.By(e, now); (by != nil) != got {
		t.Errorf("%s is hidden by %v, and hidden: %t", document, by, got)
	}
	return got
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestMeaning holds which events one entry hides.
func TestMeaning(t *testing.T) {
	f := func(entry, document string, want bool) {
		t.Helper()
		if got := hides(t, listed("[[item]]\nname='i'\nentries=[{"+entry+"}]\n"), document, noon); got != want {
			t.Errorf("{%s} hides %s: %t", entry, document, got)
		}
	}
	const anna, several, none = `{"user":{"name":"anna"}}`, `{"user.name":["bert","anna"]}`, `{"user.id":1}`
	f("field='user.name',is='anna'", anna, true)
	f("field='user.name',is='anna'", several, true) // any of its values
	f("field='user.name',is='anna'", none, false)
	f("field='user.name',is='Anna'", anna, false)
	f("field='user.name',is_not='anna'", anna, false)
	f("field='user.name',is_not='carl'", anna, true)
	f("field='user.name',is_not='anna'", several, false) // none of its values
	f("field='user.name',is_not='anna'", none, true)     // an event without the field, too
	f("field='user.name',is_one_of=['carl','anna']", several, true)
	f("field='user.name',is_one_of=['carl']", several, false)
	f("field='user.name',is_not_one_of=['carl','dora']", none, true)
	f("field='user.name',is_not_one_of=['carl','anna']", anna, false)
	f("field='user.name',exists=true", anna, true)
	f("field='user.name',exists=true", `{"user.name":[]}`, false)
	f("field='user.name',exists=true", `{"user.name":""}`, true)
	f("field='user.name',exists=false", none, true)
	f("field='user.name',exists=false", anna, false)

	f("field='user.name',matches='an*a'", anna, true)
	f("field='user.name',matches='AN*'", anna, false) // case counts
	f("field='user.name',matches='a?na'", anna, true)
	f("field='user.name',matches='a?a'", anna, false)
	f(`field='user.name',matches='a\*a'`, `{"user.name":"a*a"}`, true)
	f(`field='user.name',matches='a\*a'`, anna, false)
	f("field='user.name',is='an*'", anna, false)
	f("field='user.name',does_not_match='b*'", several, false)
	f("field='user.name',does_not_match='b*'", anna, true)
	f("field='user.name',does_not_match='b*'", none, true)
	f("field='process.name.caseless',matches='CMD*'", `{"process.name":"Cmd.exe"}`, true)

	f("field='message',is='login FOR'", `{"message":"Failed login for anna"}`, true) // words, adjacent and in order
	f("field='message',is='login anna'", `{"message":"Failed login for anna"}`, false)
	f("field='message',is_one_of=['nothing','anna.']", `{"message":"Failed login for anna"}`, true)
	f("field='message',is='—'", `{"message":"—"}`, false) // no words
	f("field='message',matches='log*'", `{"message":"Failed login for anna"}`, true)
	f("field='unheard.of',is='a b'", `{"unheard.of":"a b"}`, true)
	f("field='unheard.of',is='a'", `{"unheard.of":"a b"}`, false)

	f("field='user.id',is='7'", `{"user.id":7}`, true)
	f("field='user.id',is='7.0'", `{"user.id":"7"}`, true)
	f("field='score',is_one_of=['1.5','2']", `{"score":2}`, true)
	f("field='source.ip',is='10.0.0.1'", `{"source.ip":"10.0.0.1"}`, true)
	f("field='source.ip',is='10.0.0.0/8'", `{"source.ip":"10.9.9.9"}`, true)
	f("field='when',is='2026-03-01T00:00:00.000Z'", `{"when":"2026-03-01T00:00:00Z"}`, true)
	f("field='ok',is='true'", `{"ok":true}`, true)

	const files = `{"files":[{"name":"a","path":"tmp x"},{"name":"b","path":"home y"}]}`
	f("field='files',nested=[{field='name',is='a'},{field='path',is='tmp'}]", files, true)
	f("field='files',nested=[{field='name',is='a'},{field='path',is='home'}]", files, false) // of one object
	f("field='files',nested=[{field='name',is='a'},{field='path',is_not='home'}]", files, true)
	f("field='files',nested=[{field='name',is_not_one_of=['a','b']}]", files, false)
	f("field='files',nested=[{field='size',exists=false}]", files, true)
	f("field='files',nested=[{field='size',exists=false}]", `{"user.id":1}`, false) // no object lacks it
}

// TestItems holds how entries, items, operating systems and expiry go together.
func TestItems(t *testing.T) {
	f := func(items, document string, want bool) {
		t.Helper()
		if got := hides(t, listed(items), document, noon); got != want {
			t.Errorf("%s hides %s: %t", items, document, got)
		}
	}
	const both = "[[item]]\nname='i'\nentries=[{field='user.name',is='anna'},{field='user.id',is='7'}]\n"
	f(both, `{"user":{"name":"anna","id":7}}`, true)
	f(both, `{"user":{"name":"anna","id":8}}`, false)
	f(both+"[[item]]\nname='j'\nentries=[{field='user.id',is='8'}]\n", `{"user":{"name":"anna","id":8}}`, true)
	f("", `{"user":{"name":"anna","id":8}}`, false)

	const linux = "[[item]]\nname='i'\nos_types=['linux','macos']\nentries=[{field='user.name',is='root'}]\n"
	f(linux, `{"user.name":"root","host.os.type":"linux"}`, true)
	f(linux, `{"user.name":"root","host.os.type":"macos"}`, true)
	f(linux, `{"user.name":"root","host.os.name":"Linux"}`, true) // without regard to case
	f(linux, `{"user.name":"root","host.os.type":"Linux"}`, false)
	f(linux, `{"user.name":"root","host.os.type":"windows"}`, false)
	f(linux, `{"user.name":"root"}`, false)
	f(linux, `{"user.name":"anna","host.os.type":"linux"}`, false)

	until := func(s string) string {
		return "[[item]]\nname='i'\nexpire_time='" + s + "'\nentries=[{field='user.name',is='root'}]\n"
	}
	f(until("2026-03-01T12:00:00.001Z"), `{"user.name":"root"}`, true)
	f(until("2026-03-01T12:00:00Z"), `{"user.name":"root"}`, true) // earlier than the run, not at it
	f(until("2026-03-01T11:59:59.999Z"), `{"user.name":"root"}`, false)
}

// TestValueLists holds what is in a list, written out in the condition and looked up alike.
func TestValueLists(t *testing.T) {
	f := func(typ, values, field, value string, want bool) {
		t.Helper()
		list := strings.Split(values, "|")
		for _, besides := range []int{0, 1200} {
			for i := range besides {
				other := map[string]string{"ip": "192.0.%d.%d", "ip_range": "192.%[2]d.%[1]d.0/24", "keyword": "x%d-%d", "text": "x%dy%d"}[typ]
				if other == "" {
					break
				}
				list = append(list, fmt.Sprintf(other, i/200, i%200))
			}
			for _, excluded := range []bool{false, true} {
				key := map[bool]string{false: "in_list", true: "not_in_list"}[excluded]
				file := listed(fmt.Sprintf("[[item]]\nname='i'\nentries=[{field=%q,%s='v'}]\n[[value_list]]\nid='v'\ntype=%q\nvalues=['%s']\n",
					field, key, typ, strings.Join(list, "','")))
				document := fmt.Sprintf(`{%q:%s}`, field, value)
				if got := hides(t, file, document, noon); got != (want != excluded) {
					t.Errorf("%s %s of the %s list %s, %d besides, hides %s: %t", field, key, typ, values, besides, document, got)
				}
			}
		}
	}
	f("keyword", "anna|bert", "user.name", `"bert"`, true)
	f("keyword", "anna|bert", "user.name", `["x","bert"]`, true)
	f("keyword", "anna|bert", "user.name", `"Bert"`, false)
	f("keyword", "anna|bert", "user.name", `null`, false)
	f("keyword", "Cmd.EXE", "process.name.caseless", `"x"`, false)
	f("keyword", "7|x", "user.id", `7`, true)
	f("keyword", "10.0.0.0/8", "source.ip", `"10.1.2.3"`, true)
	f("keyword", "login", "message", `"a login"`, true) // of an analysed field a token
	f("keyword", "a login", "message", `"a login"`, false)

	f("text", "word one additional wording", "user.name", `"Word One"`, true)
	f("text", "word one|word two", "message", `"one two"`, false)
	f("text", "word one|word two", "message", `"two"`, true)
	f("text", "word one", "message", `"—"`, false)

	f("ip", "10.0.0.1|::1", "source.ip", `"10.0.0.1"`, true)
	f("ip", "10.0.0.1|::1", "source.ip", `["10.0.0.2","0:0::1"]`, true)
	f("ip", "10.0.0.1", "source.ip", `"10.0.0.2"`, false)
	f("ip", "10.0.0.1|::1", "source.address", `"0:0::1"`, true) // a keyword that holds an address is read as one
	f("ip", "10.0.0.1", "source.address", `"bastion"`, false)
	f("ip_range", "10.0.0.9/30", "source.ip", `"10.0.0.8"`, true)
	f("ip_range", "10.0.0.9/30", "source.ip", `"10.0.0.12"`, false)
	f("ip_range", "10.0.0.3-10.0.0.5", "source.ip", `"10.0.0.5"`, true)
	f("ip_range", "10.0.0.3-10.0.0.5", "source.ip", `"10.0.0.6"`, false)
	f("ip_range", "10.0.0.3 - 10.0.0.5|10.9.9.9", "source.address", `"10.9.9.9"`, true)
	f("ip_range", "2001:db8::/32", "source.ip", `"2001:db8:ffff::1"`, true)
	f("ip_range", "0.0.0.0/0", "source.ip", `"2001:db8::1"`, false)
	f("ip_range", "0.0.0.0/0", "source.ip", `"255.255.255.255"`, true)

	f("long", "7|-3", "user.id", `-3`, true)
	f("long", "7", "score", `7.0`, true)
	f("long", "7", "score", `7.5`, false)
	f("long", "7", "user.name", `"7"`, true)
	f("integer_range", "-5--3", "user.id", `-4`, true)
	f("integer_range", "-5-3", "user.id", `0`, true)
	f("long_range", "1-3", "user.name", `"2"`, true)
	f("long_range", "1-3", "user.name", `"3.5"`, false)
	f("double", "1.5", "user.id", `1`, false)
	f("double_range", "1.2-1.8", "user.id", `1`, false)
	f("double_range", "1.2-2", "score", `1.5`, true)
	f("float_range", "1e-3-1e3", "score", `0.01`, true)
	f("date", "2026-03-01T00:00:00Z", "when", `"2026-03-01T01:00:00+01:00"`, true)
	f("date_range", "2026-03-01,2026-03-02T00:00:00Z", "when", `"2026-03-01T12:00:00Z"`, true)
	f("date_range", "2026-03-01,2026-03-02T00:00:00Z", "when", `"2026-03-03T12:00:00Z"`, false)
	f("boolean", "true", "ok", `true`, true)
	f("keyword", "x", "files", `[{"name":"x"}]`, false) // an object is in no list
}

// TestNamed holds how rules and lists meet.
func TestNamed(t *testing.T) {
	f := func(r string, want []string, warnings ...string) {
		t.Helper()
		lists, problems := load("exceptions/a.toml", "[list]\nlist_id='a'\nname='A'\n",
			"exceptions/b.toml", "[list]\nlist_id='b'\nname='B'\ntype='rule_default'\nrules=['r','x']\n",
			"exceptions/c.toml", "[list]\nlist_id='a'\nname='C'\nnamespace_type='agnostic'\n",
			"x.ndjson", `{"list_id":"k","name":"K","description":"d","type":"detection","namespace_type":"single"}`+"\n")
		if len(problems) > 0 {
			t.Fatal(problems.Render())
		}
		var got []string
		of, found := lists.Of(ruleOn(t, r))
		for _, l := range of {
			got = append(got, l.Name)
		}
		if diff := cmp.Diff(want, got) + cmp.Diff(append([]string{}, warnings...), lines(found)); diff != "" {
			t.Errorf("%s: %s", r, diff)
		}
	}
	f("", []string{"B"})
	f("exceptions_list=[{list_id='k',type='detection'},{list_id='b',type='rule_default'},{list_id='a',type='detection'}]", []string{"K", "B", "A"})
	f("exceptions_list=[{list_id='a',type='detection',namespace_type='agnostic'}]", []string{"C", "B"})
	f("exceptions_list=[{list_id='endpoint_list',type='endpoint'},{list_id='e',type='endpoint_trusted_apps'}]", []string{"B"})
	f("exceptions_list=[{list_id='aa',type='detection'}]", []string{"B"},
		`r.toml:8:27: warning EXC0201: no exception list is called "aa": nothing is left out for it | write it in exceptions/….toml beside the rules`)
	f("exceptions_list=[{list_id='k',type='detection',namespace_type='agnostic'}]", []string{"B"},
		`r.toml:8:27: warning EXC0201: no exception list is called "k": nothing is left out for it | there is one in another namespace_type`)
	f("exceptions_list=[{list_id='k',type='rule_default'}]", []string{"K", "B"},
		`r.toml:8:27: warning EXC0207: the exception list "k" is of the type detection, not rule_default`)
	var none *exception.Lists
	if of, found := none.Of(ruleOn(t, "exceptions_list=[{list_id='a',type='detection'}]")); len(of) > 0 || len(found) != 1 {
		t.Error(of, found)
	}
	if hidden, found := none.Hidden(ruleOn(t, ""), fields(t)); !hidden.Empty() || len(found) > 0 {
		t.Error(hidden, found)
	}
}

// TestWarnings holds what is said of items that are right and most likely not meant.
func TestWarnings(t *testing.T) {
	f := func(items string, want ...string) {
		t.Helper()
		lists, problems := load("exceptions/a.toml", listed(items))
		if len(problems) > 0 {
			t.Fatal(problems.Render())
		}
		if diff := cmp.Diff(append([]string{}, want...), lines(lists.Check(fields(t), noon))); diff != "" {
			t.Errorf("%s: %s", items, diff)
		}
	}
	item := func(entries string) string { return "[[item]]\nname='i'\nentries=[" + entries + "]\n" }
	const all = `exceptions/a.toml:6:6: warning EXC0205: exception "i" hides every event | let its entries say what is known to be harmless`
	f(item("{field='user.name',is='anna'}"))
	f(item("{field='@timestamp',exists=true}"), all)
	f(item("{field='@timestamp',exists=true},{field='user.name',is='anna'}"))
	f(item("{field='user.name',not_in_list='v'}")+"[[value_list]]\nid='v'\ntype='keyword'\nvalues=[]\n", all)
	f(item("{field='message',is_not='—'}"), all)
	f(item("{field='user.name',is='anna'}")+item("{field='user.name',is_not='anna'}"),
		`exceptions/a.toml:9:6: warning EXC0205: exception "i" and exception "i" together hide every event | the entries of one exception must all hold, of two one is enough`)
	f(item("{field='user.name',exists=false}")+item("{field='user.name',exists=true}"),
		`exceptions/a.toml:9:6: warning EXC0205: exception "i" and exception "i" together hide every event | the entries of one exception must all hold, of two one is enough`)
	f("[[item]]\nname='i'\nexpire_time='2026-03-01T11:00:00Z'\nentries=[{field='user.name',is='anna'}]\n",
		`exceptions/a.toml:6:6: warning EXC0204: exception "i" has expired on 2026-03-01T11:00:00.000Z: it hides nothing in runs since | take it out, or give it a later expire_time`)
	f("[[item]]\nname='i'\nexpire_time='2026-03-01T13:00:00Z'\nentries=[{field='user.name',is='anna'}]\n")
}

// TestUnfit holds that an item that cannot be applied hides nothing, and does not harm the others.
func TestUnfit(t *testing.T) {
	f := func(entry string, want ...string) {
		t.Helper()
		lists, problems := load("exceptions/a.toml", listed("[[item]]\nname='bad'\nentries=[{"+entry+"}]\n[[item]]\nname='good'\nentries=[{field='user.name',is='anna'}]\n"))
		if len(problems) > 0 {
			t.Fatal(problems.Render())
		}
		hidden, found := lists.Hidden(ruleOn(t, ""), fields(t))
		if diff := cmp.Diff(want, lines(found)); diff != "" {
			t.Errorf("%s: %s", entry, diff)
		}
		if got := expr.String(hidden.Always()); got != `(in user.name:keyword 4:"anna")` {
			t.Errorf("%s: hidden is %s", entry, got)
		}
	}
	f("field='source.ip',is_not='bastion'", `exceptions/a.toml:7:36: EXC0206: exception "bad": "bastion" is no address, and source.ip holds addresses`)
	f("field='user.id',matches='1*'", `exceptions/a.toml:7:35: EXC0206: exception "bad": a pattern on user.id, which is of the type long`)
	f("field='user.name',in_list='hots'", `exceptions/a.toml:7:37: EXC0202: exception "bad": no value list is called "hots" | write [[value_list]] with this id in exceptions/….toml beside the rules`)
	f("field='where',is='1,2'", `exceptions/a.toml:7:28: EXC0206: exception "bad": where holds points on the earth: only exists can be asked`)
}

// TestManyItems holds that items that ask one field for values cost what one does.
func TestManyItems(t *testing.T) {
	var b strings.Builder
	const n = 5000
	for i := range n {
		fmt.Fprintf(&b, "[[item]]\nname='i'\nentries=[{field='user.name',is='u%d'}]\n", i)
	}
	b.WriteString("[[item]]\nname='j'\nentries=[{field='user.id',is_one_of=['1','2']},{field='message',is='x'}]\n")
	b.WriteString("[[item]]\nname='k'\nentries=[{field='source.address',is_one_of=['a','b'")
	for i := range fewer {
		fmt.Fprintf(&b, ",'h%d'", i)
	}
	b.WriteString("]},{field='user.id',is_not='7'}]\n")
	lists, problems := load("exceptions/a.toml", listed(b.String()))
	hidden, found := lists.Hidden(ruleOn(t, ""), fields(t))
	if problems = append(problems, found...); len(problems) > 0 {
		t.Fatal(problems.Render())
	}
	text := expr.String(hidden.Always())
	if strings.Count(text, "(member user.name:keyword ") != 1 || strings.Count(text, "(member source.address:keyword ") != 1 || len(text) > 600 {
		t.Errorf("%.600s", text)
	}
	f := func(document string, want bool) {
		t.Helper()
		e, err := event.Decode([]byte(document), event.DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := expr.Matches(hidden.Always(), e); got != want || (hidden.By(e, noon) != nil) != want {
			t.Errorf("%s is hidden: %t", document, got)
		}
	}
	f(`{"user.name":"u4999"}`, true)
	f(`{"user.name":"u5000"}`, false)
	f(`{"user.id":2,"message":"x"}`, true)
	f(`{"user.id":3,"message":"x"}`, false)
	f(`{"source.address":"h7"}`, true)
	f(`{"source.address":"h7","user.id":7}`, false)
}

// fewer is how many values are looked up rather than compared with one by one.
const fewer = 1000
