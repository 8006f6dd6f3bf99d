package indicator_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/indicator"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// survives reads a file: every line or object of it is accounted for, every document can be read, and a second reading gives
// the same.
func survives(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := rule.IndicatorFiles(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	files, problems := indicator.Load(list)
	problems.Render()
	a := files.Accounts()[0]
	sum := a.Used + a.Duplicates + a.RefusedTotal()
	for _, n := range a.Other {
		sum += n
	}
	if a.Read != sum || a.Indicators != files.Len() || a.Used > a.Indicators+a.Read {
		t.Fatalf("%+v, and %d indicators are held", a, files.Len())
	}
	if a.RefusedTotal()-a.Refused["revoked"]-a.Refused["an older version of another one"] > 0 && len(problems) == 0 {
		t.Fatalf("%v are refused, and nothing is told", a.Refused)
	}
	if len(problems) > 60 {
		t.Fatalf("%d diagnostics", len(problems))
	}
	found := events(t, files)
	if len(found) != files.Len() {
		t.Fatalf("%d documents of %d indicators", len(found), files.Len())
	}
	ids := map[string]bool{}
	for _, e := range found {
		if ids[e.ID] {
			t.Fatalf("two documents have the ID %s", e.ID)
		}
		ids[e.ID] = true
		if len(e.Values("@timestamp")) == 0 || e.Text("event.module") == "" && len(e.Values("event.module")) == 0 {
			t.Fatalf("a document without a time or a module: %s", e.AppendJSON(nil, nil))
		}
	}
	again, _ := indicator.Load(list)
	if again.Version(nil) != files.Version(nil) {
		t.Fatal("a second reading gives another version")
	}
}

func FuzzSTIX(f *testing.F) {
	for _, pattern := range []string{
		"[ipv4-addr:value = '198.51.100.7' OR ipv4-addr:value IN ('203.0.113.0/24', '1')]", "[file:hashes.'SHA-256' = 'ab' AND file:name LIKE 'a%'] FOLLOWEDBY [a:b[*].c NOT IN (1, -2.5, true, t'2026-03-01T00:00:00Z')]",
		`[windows-registry-key:key = 'HKLM\\a' AND (windows-registry-key:values[0].name = 'it\'s')] WITHIN 5 SECONDS REPEATS 2 TIMES START t'x' STOP t'y'`,
		"([url:value = 'hxxp://a[.]b'] AND [domain-name:value = 'A.b.'])", "[NOT EXISTS x:y]", "[file:size = 7 AND autonomous-system:number = 64500]", "[", "'", "",
	} {
		f.Add(true, pattern)
		f.Add(false, bundle(stixIndicator(1, pattern, `,"valid_until":"2026-03-01T00:00:00Z","confidence":85,"labels":["a"],"modified":"2026-03-01T00:00:00Z"`), stixIndicator(1, pattern, `,"revoked":true`),
			`{"type":"identity","id":"identity--1","name":"x"}`))
	}
	f.Add(false, "[{\"ip\":\"198.51.100.7\"},7,[1],{\"threat\":{\"indicator\":{\"ip\":[\"10.0.0.0/8\",1]}}}")
	f.Add(false, "{\"objects\":[{\"objects\":[{\"objects\":[{\"objects\":[{\"objects\":[{}]}]}]}]}]}\n{\"a\":")
	f.Add(false, strings.Repeat("[", 3000))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, isPattern bool, text string) {
		if isPattern {
			text = bundle(stixIndicator(1, text, ""))
		}
		survives(t, dir, "f.json", text)
	})
}

func FuzzCSV(f *testing.F) {
	for _, text := range []string{
		"ip,description\n198.51.100[.]7,\"a\"\"b\"\n", "type;value;expires;tags\nsha256;" + strings.Repeat("ab", 32) + ";2026-03-01 10:00:00;a,b\n", "198.51.100.7\n# x\nevil.example # y\n2001:db8::/32\n",
		"# ip,domain\n198.51.100.7,evil.example\n", "threat.indicator.ip\tlabels.x\n198.51.100.7\ty\n", "ip\n\"open\n198.51.100.7", "ip\n\xff\n\x00\n", "198.51.100.7:80\n[::1]:443\nHKLM\\a\n", "ip,ip,asn,port\n1.1.1.1,2.2.2.2,AS64500,99999",
		"a,b\n1,2\n", "\xef\xbb\xbfip\n1.1.1.1", "PK\x03\x04", "//\n;\n",
	} {
		f.Add(text)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) { survives(t, dir, "f.csv", text) })
}
