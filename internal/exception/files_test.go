package exception_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

var update = flag.Bool("update", false, "write what is said of broken files")

// TestBroken holds what is said of files that are wrong.
func TestBroken(t *testing.T) {
	const name = "testdata/broken.txtar"
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	var files []txtar.File
	for _, f := range archive.Files {
		if path.Ext(f.Name) == ".want" {
			want[strings.TrimSuffix(f.Name, ".want")] = string(f.Data)
		} else {
			files = append(files, f)
		}
	}
	var out []txtar.File
	for _, f := range files {
		base := strings.TrimSuffix(f.Name, ".toml")
		lists, problems := load("exceptions/"+f.Name, string(f.Data), "exceptions/numbers.txt", "7\n\n 8 \r\nnine\n"+strings.Repeat("x\n", 12))
		got := problems.Render()
		if problems.Err() == nil {
			t.Errorf("%s is right", f.Name)
		}
		for _, l := range lists.All() {
			if len(l.Items) > 0 {
				t.Errorf("%s has %d items that can be used", f.Name, len(l.Items))
			}
		}
		if diff := cmp.Diff(want[base], got); diff != "" && !*update {
			t.Errorf("%s (-want +got):\n%s", f.Name, diff)
		}
		out = append(out, f, txtar.File{Name: base + ".want", Data: []byte(got)})
	}
	if *update {
		archive.Files = out
		if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// exported are the lists as Kibana exports them.
func exported(lists *exception.Lists) string {
	return string(exception.AppendJSON(nil, lists.All()))
}

const whole = `[list]
list_id = "aws-automation"
name = "What our automation does"
description = "Reviewed each quarter."
type = "rule_default"
namespace_type = "agnostic"
tags = ["aws"]

[[item]]
item_id = "terraform"
name = "Terraform from the build hosts"
description = "It creates keys all day."
tags = ["ci"]
comments = ["seen by two"]
os_types = ["linux", "windows"]
expire_time = "2026-12-31T00:00:00Z"
entries = [
    { field = "user.name", is = "ci" },
    { field = "user.name", is_not_one_of = ["a", "b"] },
    { field = "user.name", matches = "c*" },
    { field = "user.name", exists = false },
    { field = "source.ip", not_in_list = "hosts" },
    { field = "files", nested = [{ field = "name", is_one_of = ["x"] }, { field = "path", exists = true }] },
]

[[value_list]]
id = "hosts"
type = "ip_range"
values = ["10.0.0.0/8"]
`

const wholeExport = `{"list_id":"aws-automation","name":"What our automation does","description":"Reviewed each quarter.","type":"rule_default","namespace_type":"agnostic","tags":["aws"],"os_types":[]}
{"list_id":"aws-automation","item_id":"terraform","name":"Terraform from the build hosts","description":"It creates keys all day.","type":"simple","namespace_type":"agnostic","tags":["ci"],"os_types":["linux","windows"],"entries":[{"field":"user.name","type":"match","operator":"included","value":"ci"},{"field":"user.name","type":"match_any","operator":"excluded","value":["a","b"]},{"field":"user.name","type":"wildcard","operator":"included","value":"c*"},{"field":"user.name","type":"exists","operator":"excluded"},{"field":"source.ip","type":"list","operator":"excluded","list":{"id":"hosts","type":"ip_range"}},{"field":"files","type":"nested","entries":[{"field":"name","type":"match_any","operator":"included","value":["x"]},{"field":"path","type":"exists","operator":"included"}]}],"expire_time":"2026-12-31T00:00:00.000Z","comments":[{"comment":"seen by two"}]}
{"exported_exception_list_count":1,"exported_exception_list_item_count":1,"missing_exception_list_item_count":0,"missing_exception_list_items":[],"missing_exception_lists":[],"missing_exception_lists_count":0}
`

// TestFormats holds that a file of ours and Kibana's export of the same list say the same.
func TestFormats(t *testing.T) {
	ours, problems := load("exceptions/a.toml", whole)
	if len(problems) > 0 {
		t.Fatal(problems.Render())
	}
	if diff := cmp.Diff(wholeExport, exported(ours)); diff != "" {
		t.Error(diff)
	}
	values := whole[strings.Index(whole, "[[value_list]]"):]
	kibanas, problems := load("a.ndjson", wholeExport, "exceptions/a.toml", values)
	if len(problems) > 0 {
		t.Fatal(problems.Render())
	}
	r := ruleOn(t, "exceptions_list=[{list_id='aws-automation',type='rule_default',namespace_type='agnostic'}]")
	hidden := func(lists *exception.Lists) exception.Hidden {
		h, found := lists.Hidden(r, fields(t))
		if len(found) > 0 {
			t.Error(found.Render())
		}
		return h
	}
	if a, b := hidden(ours), hidden(kibanas); a.String() != b.String() || !a.Changes() || a.Empty() {
		t.Errorf("%s\n%s", a, b)
	}
	// What a server added is kept on the way back.
	const saved = `{"_version":"WzE=","id":"1","list_id":"l","name":"n","description":"","type":"detection","namespace_type":"single","created_at":"2026-03-01T00:00:00.000Z","version":3}`
	lists, problems := load("a.ndjson", saved+"\n")
	if got, _, _ := strings.Cut(exported(lists), "\n"); len(problems) > 0 || len(got) != len(saved) {
		t.Error(problems, got)
	}
}

// TestExports holds what is said of exports whose lines do not go together.
func TestExports(t *testing.T) {
	f := func(export string, want ...string) {
		t.Helper()
		_, problems := load("a.ndjson", strings.ReplaceAll(export, "DESC", `"name":"n","description":"d"`), "exceptions/v.toml", "[[value_list]]\nid='v'\ntype='ip'\nvalues=['10.0.0.1']\n")
		if diff := cmp.Diff(append([]string{}, want...), lines(problems)); diff != "" {
			t.Errorf("%s: %s", export, diff)
		}
	}
	const list = `{"list_id":"list",DESC,"type":"detection"}` + "\n"
	const item = `{"list_id":"list","item_id":"i",DESC,"type":"simple","entries":[{"field":"a","type":"exists","operator":"included"}]}` + "\n"
	f(item + list) // in any order
	f(strings.ReplaceAll(item, `"list_id":"list"`, `"list_id":"lisst"`)+list, `a.ndjson:1:12: EXC0201: exception "n" is in the list "lisst", which is not there | did you mean "list"?`)
	f(strings.Replace(item, `"item_id"`, `"namespace_type":"agnostic","item_id"`, 1)+list,
		`a.ndjson:1:12: EXC0201: exception "n" is in the list "list", which is not there | there is one in another namespace_type`)
	f(list+list, `a.ndjson:2:12: EXC0108: exception list "list" is there already | the one in a.ndjson counts`)
	f(list+item+item, `a.ndjson:3:40: EXC0108: two items of exception list "list" have the item_id "i"`)
	f(list+`{"list_id":"list",DESC,"type":"simple","entries":[{"field":"a","type":"list","operator":"included","list":{"id":"v","type":"keyword"}}]}`,
		`a.ndjson:2:75: warning EXC0207: the value list "v" is of the type ip, not keyword`)
}

// changing is a file that is written to while it is read.
type changing struct {
	fs.File
	change func()
}

func (c changing) Read(p []byte) (int, error) {
	n, err := c.File.Read(p[:min(len(p), 10)])
	if c.change != nil {
		c.change()
	}
	return n, err
}

// changingFS hands out such files.
type changingFS struct {
	fs.FS
	change func()
}

func (c changingFS) Open(name string) (fs.File, error) {
	f, err := c.FS.Open(name)
	if strings.HasSuffix(name, ".txt") {
		return changing{f, c.change}, err
	}
	return f, err
}

// TestChangedFile holds that values that change while they are read are not used.
func TestChangedFile(t *testing.T) {
	f := func(change func(name string) error, bad bool) {
		t.Helper()
		dir := t.TempDir()
		write := func(name, text string) string {
			full := dir + "/" + name
			if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			return full
		}
		if err := os.Mkdir(dir+"/exceptions", 0o755); err != nil {
			t.Fatal(err)
		}
		write("exceptions/a.toml", listed("[[item]]\nname='i'\nentries=[{field='user.name',in_list='v'}]\n[[value_list]]\nid='v'\ntype='keyword'\nfile='v.txt'\n"))
		values := write("exceptions/v.txt", strings.Repeat("anna\nbert\n", 10))
		if err := os.Chtimes(values, time.Time{}, noon); err != nil { // so that a change shows, however soon it comes
			t.Fatal(err)
		}
		changed := false
		lists, problems := exception.Load(rule.LoadFS(changingFS{os.DirFS(dir), func() {
			if !changed {
				changed = true
				if err := change(values); err != nil {
					t.Error(err)
				}
			}
		}}))
		told := strings.Contains(problems.Render(), "EXC0203: the values of exceptions/v.txt cannot be read: it changed while it was read")
		if told != bad || !bad && len(problems) > 0 {
			t.Errorf("said: %s", problems.Render())
		}
		hidden, found := lists.Hidden(ruleOn(t, ""), fields(t))
		if hidden.Empty() != bad || (found.Err() != nil) != bad {
			t.Errorf("hidden: %s, said: %s", hidden, found.Render())
		}
	}
	appendTo := func(name string) error {
		file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		if _, err := file.WriteString("carl\n"); err != nil {
			return err
		}
		return file.Close()
	}
	f(func(string) error { return nil }, false)
	f(appendTo, true)
	f(func(name string) error { return os.WriteFile(name, []byte(strings.Repeat("carl\ndora\n", 10)), 0o644) }, true) // as long as before
	f(func(name string) error { return os.Truncate(name, 11) }, true)
	f(os.Remove, false) // what was opened is whole
}

// TestHostileValues holds that bad files of values are refused with a word, in bounded time and memory.
func TestHostileValues(t *testing.T) {
	f := func(typ, content, want string) {
		t.Helper()
		_, problems := load("exceptions/a.toml", "[[value_list]]\nid='v'\ntype='"+typ+"'\nfile='v.txt'\n", "exceptions/v.txt", content)
		if got := strings.Join(lines(problems), "\n"); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("%.40q: %.300s, want %s", content, got, want)
		}
	}
	f("keyword", "", "")
	f("keyword", "\n\r\n \n", "")
	f("keyword", "\ufeffanna\r\nbert", "")
	f("keyword", strings.Repeat("x", exception.MaxValue), "")
	f("keyword", "a\n"+strings.Repeat("x", exception.MaxValue+10), "line 2 is longer than 32768 bytes")
	f("keyword", strings.Repeat("x", 4<<20), "line 1 is longer than 32768 bytes")
	f("ip", strings.Repeat("nonsense\n", 100_000), `and 99990 more lines`)
	f("text", strings.Repeat("a b c ", 5000), "")
	f("double", "NaN", "is no double")
	f("double", "1e999", "is no double")
	f("long", "99999999999999999999", "is no long")
	f("date", "99999-01-01", "is no date")
	f("ip_range", strings.Repeat("-", 10_000), "is no ip_range")
	f("long_range", strings.Repeat("1-", 10_000), "is no long_range")
	_, problems := load("exceptions/a.toml", "[[value_list]]\nid='v'\ntype='ip'\nfile='../exceptions'\n")
	if got := problems.Render(); !strings.Contains(got, "the values cannot be read") && !strings.Contains(got, "it is no regular file") {
		t.Error(got)
	}
	many := listed(strings.Repeat("[[item]]\nname='i'\nentries=[{field='a',is='b'}]\n", exception.MaxItems+1))
	if _, problems := load("exceptions/a.toml", many); !strings.Contains(problems.Render(), "the file has 10001 items; it can have 10000") {
		t.Error(problems.Render())
	}
}

// anyItem is an item of ours as text.
func anyItem(t *rapid.T) string {
	word := rapid.StringMatching(`[a-c*?\\é" ]{1,6}`)
	quoted := func(s string) string { return fmt.Sprintf("%q", s) }
	list := rapid.SliceOfNDistinct(word.Filter(func(s string) bool { return strings.TrimSpace(s) != "" }), 1, 3, rapid.ID[string])
	comparison := func(inner bool) string {
		kinds := []string{"is", "is_not", "is_one_of", "is_not_one_of", "exists", "matches", "does_not_match", "in_list", "not_in_list"}
		if inner {
			kinds = kinds[:5]
		}
		switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
		case "is_one_of", "is_not_one_of":
			var texts []string
			for _, s := range list.Draw(t, "values") {
				texts = append(texts, quoted(s))
			}
			return kind + " = [" + strings.Join(texts, ", ") + "]"
		case "exists":
			return fmt.Sprintf("exists = %t", rapid.Bool().Draw(t, "there"))
		case "in_list", "not_in_list":
			return kind + " = 'hosts'"
		default:
			return kind + " = " + quoted(word.Draw(t, "value"))
		}
	}
	var entries []string
	for range rapid.IntRange(1, 3).Draw(t, "entries") {
		if rapid.IntRange(0, 4).Draw(t, "nested") == 0 {
			entries = append(entries, "{ field = 'files', nested = [{ field = 'name', "+comparison(true)+" }] }")
			continue
		}
		field := rapid.SampledFrom([]string{"user.name", "message", "source.address", "un.known"}).Draw(t, "field")
		entries = append(entries, "{ field = '"+field+"', "+comparison(false)+" }")
	}
	out := "[[item]]\nname = 'i'\nentries = [" + strings.Join(entries, ", ") + "]\n"
	if rapid.Bool().Draw(t, "expires") {
		out += "expire_time = '2026-03-01T12:00:00Z'\n"
	}
	if rapid.Bool().Draw(t, "os") {
		out += "os_types = ['macos']\n"
	}
	return out
}

// TestAnyRoundTrip holds that what is written for Kibana is read with the same meaning and written the same again.
func TestAnyRoundTrip(t *testing.T) {
	const values = "[[value_list]]\nid = 'hosts'\ntype = 'keyword'\nvalues = ['a', 'b b']\n"
	resolver, r := fields(t), ruleOn(t, "exceptions_list=[{list_id='l',type='detection'}]")
	rapid.Check(t, func(t *rapid.T) {
		text := "[list]\nlist_id = 'l'\nname = 'L'\n"
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			text += anyItem(t)
		}
		ours, problems := load("exceptions/a.toml", text+values)
		if len(problems) > 0 {
			t.Fatal(problems.Render())
		}
		export := exported(ours)
		again, problems := load("a.ndjson", export, "exceptions/a.toml", values)
		if len(problems) > 0 {
			t.Fatal(problems.Render())
		}
		if diff := cmp.Diff(objects(t, export), objects(t, exported(again))); diff != "" {
			t.Fatal(diff)
		}
		a, found := ours.Hidden(r, resolver)
		b, more := again.Hidden(r, resolver)
		if a.String() != b.String() || len(found) != len(more) {
			t.Fatalf("%s\n%s\n%s", a, b, append(found, more...).Render())
		}
	})
}

// objects are the lines of an export, whose keys come in any order.
func objects(t rapid.TB, export string) []any {
	var out []any
	for line := range strings.Lines(export) {
		var o any
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
	return out
}

// FuzzFiles holds that no file with exceptions brings the program down, and that what is read without a mistake can be
// written for Kibana, and read and written again.
func FuzzFiles(f *testing.F) {
	f.Add(whole, wholeExport, "10.0.0.1\n")
	f.Add(listed("[[item]]\nname='i'\nentries=[{field='user.name',in_list='v'}]\n[[value_list]]\nid='v'\ntype='ip_range'\nfile='v.txt'\n"), "{}", "10.0.0.0/8\n10.0.0.1-10.0.0.9\n")
	archive, err := txtar.ParseFile("testdata/broken.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range archive.Files {
		if path.Ext(file.Name) == ".toml" {
			f.Add(string(file.Data), "", "")
		}
	}
	for _, seed := range corpusSeeds(f) {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, own, export, values string) {
		tree := fstest.MapFS{"exceptions/a.toml": {Data: []byte(own)}, "exceptions/v.txt": {Data: []byte(values)}, "a.ndjson": {Data: []byte(export)}}
		set := rule.LoadFS(tree)
		lists, problems := exception.Load(set)
		resolver := fields(t)
		_ = lists.Check(resolver, noon).Render()
		r := ruleOn(t, "")
		for _, l := range lists.All() {
			r.ExceptionsList = append(r.ExceptionsList, rule.ExceptionList{ListID: l.ListID, Type: "detection", NamespaceType: l.Namespace})
		}
		hidden, found := lists.Hidden(r, resolver)
		_, _ = expr.String(hidden.At(noon)), found.Render()
		if problems.Err() != nil || set.Problems.Err() != nil || len(set.Rules) > 0 {
			return
		}
		once := exported(lists)
		again, problems := load("b.ndjson", once)
		if problems.Err() != nil {
			t.Fatalf("%s\n%s", once, problems.Render())
		}
		if diff := cmp.Diff(objects(t, once), objects(t, exported(again))); diff != "" {
			t.Error(diff)
		}
	})
}

// corpusSeeds are the recorded exceptions as files, where the corpus is there: value lists in a file of ours, lists and
// items in an export, the values.
func corpusSeeds(t testing.TB) (out [][3]string) {
	lines, err := os.ReadFile(filepath.Join(corpus.Root(), "corpus", "rule-exec", "exceptions.jsonl"))
	if err != nil {
		return nil // the corpus is absent
	}
	for line := range bytes.Lines(lines) {
		var s struct {
			Exceptions []json.RawMessage
			ValueLists map[string]struct {
				Type     string
				Contents []string
			} `json:"value_lists"`
		}
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatal(err)
		}
		own, values := "", ""
		for id, l := range s.ValueLists {
			own += fmt.Sprintf("[[value_list]]\nid = %q\ntype = %q\nfile = \"v.txt\"\n", id, l.Type)
			values += strings.Join(l.Contents, "\n") + "\n"
		}
		export := `{"list_id":"l","name":"n","description":"","type":"detection","namespace_type":"single"}` + "\n"
		for i, entries := range s.Exceptions {
			export += fmt.Sprintf(`{"list_id":"l","item_id":"%d","name":"n","description":"","type":"simple","namespace_type":"single","entries":%s}`+"\n", i, entries)
		}
		out = append(out, [3]string{own, export, values})
	}
	return out
}
