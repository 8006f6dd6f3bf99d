package indicator_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/indicator"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// load reads files: name, content, name, content …
func load(t testing.TB, files ...string) (*indicator.Files, diag.List) {
	t.Helper()
	dir := t.TempDir()
	var list []rule.File
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(files[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := rule.IndicatorFiles(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, found...)
	}
	out, problems := indicator.Load(list)
	for i := range problems {
		problems[i].File = filepath.Base(problems[i].File)
	}
	for _, a := range out.Accounts() {
		sum := a.Used + a.Duplicates + a.RefusedTotal()
		for _, n := range a.Other {
			sum += n
		}
		if a.Read != sum {
			t.Errorf("%s: %d read, which are %d used, %d duplicate, %v refused and %v others", a.File, a.Read, a.Used, a.Duplicates, a.Refused, a.Other)
		}
	}
	return out, problems
}

// events are the documents that files hold.
func events(t testing.TB, files *indicator.Files) []*event.Event {
	t.Helper()
	return query(t, indicator.Over(mem.New(nil), files), plan.Scan{Streams: []string{"logs-ti_*"}})
}

func query(t testing.TB, q store.Querier, p plan.Node) []*event.Event {
	t.Helper()
	rows, err := exec.Query(context.Background(), q, p, store.Snapshot{Seq: 1 << 40})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []*event.Event
	for rows.Next() {
		out = append(out, rows.Event())
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// said is what documents say beyond what all of them do, one a line.
func said(t testing.TB, files *indicator.Files) []string {
	t.Helper()
	var out []string
	for _, e := range events(t, files) {
		var parts []string
		for _, f := range e.Fields() {
			switch f.Path {
			case "data_stream.type", "data_stream.dataset", "data_stream.namespace", "event.module", "event.dataset", "event.kind", "event.category", "event.type":
				continue
			case "@timestamp":
				if v := string(f.Value.AppendJSON(nil)); v == `["1970-01-01T00:00:00.000Z","9999-12-31T23:59:59.999Z"]` {
					continue
				}
			case "threat.feed.name":
				if f.Value.Str() == "f" {
					continue
				}
			}
			parts = append(parts, strings.TrimPrefix(f.Path, "threat.indicator.")+"="+strings.Trim(string(f.Value.AppendJSON(nil)), `"`))
		}
		out = append(out, strings.Join(parts, " "))
	}
	return out
}

// codes are the codes of problems with what their places show.
func codes(problems diag.List) string {
	var out []string
	for _, d := range problems {
		at, _ := d.Span.Positions(d.Text)
		s := d.Code
		if d.Severity == diag.Note {
			s = "note " + s
		}
		if d.Text != "" {
			s += fmt.Sprintf(" %d:%d", at.Line, at.Column)
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

func TestFormats(t *testing.T) {
	f := func(name, content, problems string, want ...string) {
		t.Helper()
		files, found := load(t, name, content)
		if got := codes(found); got != problems {
			t.Errorf("%s %.60q: told %q, expected %q\n%s", name, content, got, problems, found.Render())
		}
		if diff := cmp.Diff(want, said(t, files)); diff != "" {
			t.Errorf("%s %.60q (-want +got):\n%s", name, content, diff)
		}
	}
	const ip = "ip=198.51.100.7 type=ipv4-addr"
	// A list has a value a line.
	f("f.txt", "# bad hosts\n198.51.100.7\r\n\nevil.example # seen\n", "note IND0205 2:1", ip, "type=domain-name url.domain=evil.example")
	f("f.txt", "198.51.100.7\n198.51.100.7\n", "note IND0205 1:1", ip)
	f("f.txt", "198.51.100[.]7\nhxxps://evil[.]example/a?b\nbob(at)evil.example", "note IND0204 1:1, note IND0205 1:1", ip, "type=url url.full=https://evil.example/a?b",
		"email.address=bob@evil.example type=email-addr")
	f("f.txt", "198.51.100.0/24\n198.51.100.99/24\n203.0.113.9/32\n::ffff:198.51.100.7\n2001:DB8::1", "note IND0205 1:1", `ip=["198.51.100.0","198.51.100.0/24"] type=ipv4-addr`,
		"ip=203.0.113.9 type=ipv4-addr", ip, "ip=2001:db8::1 type=ipv6-addr")
	f("f.txt", "198.51.100.7:8080", "note IND0205 1:1", "ip=198.51.100.7 port=8080 type=ipv4-addr")
	f("f.txt", "D41D8CD98F00B204E9800998ECF8427E\nHKEY_LOCAL_MACHINE\\Software\\Evil", "note IND0205 1:1", "file.hash.md5=d41d8cd98f00b204e9800998ecf8427e type=file",
		`registry.hive=HKLM registry.key=Software\\Evil registry.path=HKLM\\Software\\Evil type=windows-registry-key`)
	f("f.txt", "198.51.100.7\n0.0.0.0/0\nfe80::1%eth0\nwhat is this\nx\x00y\n\xff\xfe", "IND0201 2:1, IND0201 3:1, IND0201 4:1, IND0201 5:1, IND0102 6:1, note IND0205 1:1", ip)
	f("f.txt", "0.0.0.0 evil.example # ads\n127.0.0.1  bad.example\n", "note IND0205 1:9", "type=domain-name url.domain=evil.example", "type=domain-name url.domain=bad.example")
	f("f.txt", "", "IND0106")
	f("f.txt", "# nothing\n", "IND0106 1:1")
	// Columns have names.
	f("f.csv", "ip,description\n198.51.100.7,\"C2, old\"\n", "", "description=C2, old "+ip)
	f("f.csv", "type;value;confidence\nip;198.51.100.7;85\nsha-256;"+strings.Repeat("aB", 32)+";low\n", "", "confidence=High "+ip,
		"confidence=Low file.hash.sha256="+strings.Repeat("ab", 32)+" type=file")
	f("f.csv", "threat.indicator.ip,threat.indicator.type,labels.case\n198.51.100.7,c2,7\n", "", "labels.case=7 ip=198.51.100.7 type=c2")
	f("f.csv", "IP Address,First Seen,expires,Feed\n198.51.100.7,2026-03-01 10:00:00,2026-04-01,Ours\n", "",
		`@timestamp=["2026-03-01T10:00:00.000Z","2026-04-01T00:00:00.000Z"] threat.feed.name=Ours first_seen=2026-03-01T10:00:00.000Z ip=198.51.100.7 type=ipv4-addr tocsin.indicator.expires=2026-04-01T00:00:00.000Z`)
	f("f.csv", "# first_seen,ip,tags\n-,198.51.100.7,\"a, b\"\n", "", `tags=["a","b"] `+ip)
	f("f.csv", "ip,colour\n198.51.100.7,red\n", "IND0103 1:4", ip)
	f("f.csv", "198.51.100.7,red\n", "IND0104 1:1")
	f("f.csv", "ip\n198.51.100.7\n198.51.100.300\n,\n", "IND0201 3:1, IND0201 4:1", ip)
	f("f.csv", "ip,expires\n198.51.100.7,soon\n198.51.100.7,never\n", "IND0201 2:14", ip)
	f("f.csv", "ip,description\n198.51.100.7,\"open\n203.0.113.1,x\n", "IND0102 2:1")
	f("f.csv", "ip,description\n203.0.113.1,a\"b\n198.51.100.7,\n203.0.113.1,x,y,z", "IND0102 2:14, IND0102 4:15", ip)
	// JSON: flat objects, lists, lines, documents as ECS has them.
	f("f.json", `[{"ip":"198.51.100.7","tags":["a","b"]},{"url":"http://evil.example/","port":80}]`, "", `tags=["a","b"] `+ip, "port=80 type=url url.full=http://evil.example/")
	f("f.json", `["198.51.100.7"]`, "note IND0205 1:2", ip)
	f("f.ndjson", "{\"ip\":\"203.0.113.1\"}\n{broken\n{\"ip\":\"198.51.100.7\"}\n", "IND0102 2:2", "ip=203.0.113.1 type=ipv4-addr", ip)
	f("f.ndjson", `{"@timestamp":"2026-03-01T00:00:00Z","threat":{"indicator":{"ip":"198.51.100.7"},"feed":{"name":"Theirs"}},"event":{"module":"ti_other"}}`, "",
		"@timestamp=2026-03-01T00:00:00Z threat.feed.name=Theirs ip=198.51.100.7")
	f("f.json", `{"_index":"logs-ti_x","_id":"1","_source":{"threat.indicator.ip":["10.0.0.0/8","198.51.100.7"]}}`, "", `ip=["10.0.0.0","10.0.0.0/8","198.51.100.7"]`)
	f("f.json", `{"threat":{"indicator":{"ip":"nowhere"}}} {"event":{"kind":"enrichment"}} {"a":1} 7`, "IND0201 1:1, IND0201 1:43, IND0103 1:76, IND0201 1:75, IND0102 1:83")
	f("f.json", `{"threat":{"indicator":[{"ip":"198.51.100.7"},{"ip":"203.0.113.1"}]}}`, "", `threat.indicator=[{"ip":"198.51.100.7"},{"ip":"203.0.113.1"}]`)
	f("f.json", `{"ip":"198.51.100.7","@timestamp":"2026-03-01T00:00:00Z","threat":"C2"}`, "IND0103 1:58",
		`@timestamp=["2026-03-01T00:00:00.000Z","9999-12-31T23:59:59.999Z"] first_seen=2026-03-01T00:00:00.000Z `+ip)
	f("f.json", `[{"ip":"198.51.100.7"},`, "IND0102 1:24", ip)
	f("f.json", strings.Repeat("[", 50), "IND0102 1:51")
	f("f.json", `{"ip":`+strings.Repeat("[", 2000)+strings.Repeat("]", 2000)+`}{"ip":"198.51.100.7"}`, "IND0102 1:1", ip)
	f("f.stix", "PK\x03\x04…", "IND0101 1:1")
}

// Where an indicator stands in a file, how lines are ordered and what is commented does not change it, and files of one name are one.
func TestSame(t *testing.T) {
	version := func(files ...string) string {
		f, _ := load(t, files...)
		return f.Version([]string{"logs-ti_*"})
	}
	a := version("a/f.csv", "ip\n198.51.100.7\n203.0.113.1\n")
	f := func(same bool, files ...string) {
		t.Helper()
		if got := version(files...); (got == a) != same {
			t.Errorf("%q: %s, expected the same: %t", files, got, same)
		}
	}
	f(true, "f.csv", "ip\n203.0.113.1\n# new\n198.51.100.7\n198.51.100.7\n")
	f(true, "a/f.csv", "ip\n203.0.113.1\n", "b/f.txt", "198.51.100.7")
	f(false, "f.csv", "ip\n198.51.100.7\n")
	f(false, "f.csv", "ip\n198.51.100.7\n203.0.113.2\n")
	f(false, "g.csv", "ip\n198.51.100.7\n203.0.113.1\n")
	if v := version("f.csv", "ip\n"); v != "" {
		t.Errorf("the version of nothing is %q", v)
	}
	one, _ := load(t, "f.csv", "ip\n198.51.100.7\n203.0.113.1\n")
	two, _ := load(t, "f.txt", "203.0.113.1\n198.51.100.7\n")
	ids := func(f *indicator.Files) (out []string) {
		for _, e := range events(t, f) {
			out = append(out, e.ID)
		}
		slices.Sort(out)
		return out
	}
	if diff := cmp.Diff(ids(one), ids(two)); diff != "" {
		t.Errorf("IDs (-one +two):\n%s", diff)
	}
	var many strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&many, "10.0.%d.%d\n", i>>8, i&255)
	}
	thousands, _ := load(t, "f.txt", many.String())
	if named := slices.Compact(ids(thousands)); len(named) != 2000 {
		t.Errorf("2,000 indicators have %d IDs", len(named))
	}
	if v := one.Version([]string{"filebeat-*"}); v != "" {
		t.Errorf("the version of other streams is %q", v)
	}
}
