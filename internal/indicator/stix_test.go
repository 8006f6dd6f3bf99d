package indicator_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/indicator"
)

// stixIndicator is an indicator with a pattern; more are other members.
func stixIndicator(n int, pattern, more string) string {
	text, _ := json.Marshal(pattern)
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--%08d-0000-4000-8000-000000000000","pattern_type":"stix","pattern":%s%s}`, n,
		strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(text)), more)
}

func bundle(objects ...string) string {
	return `{"type":"bundle","id":"bundle--1","objects":[` + strings.Join(objects, ",\n") + `]}`
}

func TestPatterns(t *testing.T) {
	id := `["indicator--00000001-0000-4000-8000-000000000000"]`
	f := func(pattern, problems string, want ...string) {
		t.Helper()
		files, found := load(t, "f.json", bundle(stixIndicator(1, pattern, "")))
		place := strings.Index(bundle(stixIndicator(1, pattern, "")), `"pattern":"`) + len(`"pattern":"`)
		got := ""
		for _, d := range found {
			at, _ := d.Span.Positions(d.Text)
			if d.Text == pattern { // it has escapes
				got += fmt.Sprintf(", %s %d", d.Code, at.Column)
			} else {
				got += fmt.Sprintf(", %s %d", d.Code, at.Column-place)
			}
		}
		if got = strings.TrimPrefix(got, ", "); got != problems {
			t.Errorf("%s: told %q, expected %q\n%s", pattern, got, problems, found.Render())
		}
		for i := range want {
			want[i] = strings.Replace(want[i], "ID", "id="+id, 1)
		}
		if diff := cmp.Diff(want, said(t, files)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", pattern, diff)
		}
	}
	const ip, other = "ID ip=198.51.100.7 type=ipv4-addr", "ID ip=203.0.113.1 type=ipv4-addr"
	hash := strings.Repeat("ab", 32)
	f("[ipv4-addr:value = '198.51.100.7']", "", ip)
	f("[ipv4-addr:value='198.51.100.7'or ipv4-addr:value = '203.0.113.1']", "", ip, other)
	f("[ipv4-addr:value IN ('198.51.100.7', '203.0.113.1')]", "", ip, other)
	f("[ipv4-addr:value = '198.51.100.7'] OR [ipv4-addr:value = '203.0.113.1']", "", ip, other)
	f("([ipv4-addr:value = '198.51.100.7'])", "", ip)
	f("[ipv4-addr:value = '198.51.100.7' OR ipv4-addr:value = '198.51.100.7']", "", ip)
	f("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", "", `ID ip=["198.51.100.0","198.51.100.0/24"] type=ipv4-addr`)
	f("[ipv6-addr:value = '2001:db8::1']", "", "ID ip=2001:db8::1 type=ipv6-addr")
	f("[domain-name:value = 'Evil.Example.']", "", "ID type=domain-name url.domain=evil.example")
	f("[url:value = 'http://evil.example/a']", "", "ID type=url url.full=http://evil.example/a")
	f("[email-addr:value = 'bob@evil.example']", "", "email.address=bob@evil.example ID type=email-addr")
	f("[file:hashes.'SHA-256' = '"+hash+"']", "", "file.hash.sha256="+hash+" ID type=file")
	f("[file:hashes.'SHA-256' = '"+hash+"' AND file:name = 'a.exe' AND file:size = 7]", "", "file.hash.sha256="+hash+" file.name=a.exe file.size=7 ID type=file")
	f("[file:hashes.MD5 = '"+strings.Repeat("A", 32)+"' AND (file:name = 'a' OR file:name = 'b')]", "", "file.hash.md5="+strings.Repeat("a", 32)+" file.name=a ID type=file",
		"file.hash.md5="+strings.Repeat("a", 32)+" file.name=b ID type=file")
	f("[file:hashes.sha256 = '"+hash+"']", "", "file.hash.sha256="+hash+" ID type=file")
	f("[file:name = 'a'] AND [ipv4-addr:value = '198.51.100.7']", "", "file.name=a ID ip=198.51.100.7 type=file")
	f(`[windows-registry-key:key = 'HKEY_LOCAL_MACHINE\\Software\\Evil' AND windows-registry-key:values[*].name = 'Run']`, "",
		`ID registry.hive=HKLM registry.key=Software\\Evil registry.path=HKLM\\Software\\Evil\\Run registry.value=Run type=windows-registry-key`)
	f("[x509-certificate:serial_number = '36:F7']", "", "ID type=x509-certificate x509.serial_number=36F7")
	f("[autonomous-system:number = 64500]", "", "as.number=64500 ID type=autonomous-system")
	f("[user-account:account_login = 'root']", "", "ID type=user-account user.name=root")
	f("[mutex:name = 'it\\'s']", "", "ID mutex.name=it's type=mutex")
	f("[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '198.51.100.7' AND network-traffic:dst_port = 443]", "",
		"ID ip=198.51.100.7 port=443 type=ipv4-addr")
	// What no field holds is told, and alternatives without it are kept.
	f("[ipv4-addr:value = '198.51.100.7' OR software:name = 'x']", "IND0203 38", ip)
	f("[ipv4-addr:value = '198.51.100.7' AND software:name = 'x']", "IND0203 39")
	f("[file:name LIKE 'a%']", "IND0203 2")
	f("[file:name != 'a' OR NOT EXISTS file:name OR file:size > 5 OR file:name NOT IN ('a')]", "IND0203 2, IND0203 22, IND0203 46, IND0203 63")
	f("[ipv4-addr:value = '198.51.100.7'] FOLLOWEDBY [file:name = 'a']", "IND0203 36")
	f("[ipv4-addr:value = '198.51.100.7'] REPEATS 5 TIMES WITHIN 600 SECONDS", "IND0203 52")
	f("[ipv4-addr:value = '198.51.100.7'] START t'2026-03-01T00:00:00Z' STOP t'2026-04-01T00:00:00Z'", "IND0203 36")
	f("[ipv4-addr:value = '198.51.100.7' AND ipv4-addr:value = '203.0.113.1']", "IND0201 20")
	f("[ipv4-addr:value = 'nowhere']", "IND0201 20")
	f("[network-traffic:dst_port = 443]", "IND0203 29")
	f("[file:name = true]", "IND0203 14")
	f("[file:name = '']", "IND0203 14")
	// What is wrong is told with its place.
	f("", "IND0202 1")
	f("[ipv4-addr:value = ]", "IND0202 20")
	f("[ipv4-addr:value = '198.51.100.7'", "IND0202 34")
	f("[ipv4-addr:value = '198.51.100.7]", "IND0202 20")
	f("[ipv4-addr = '198.51.100.7']", "IND0202 12")
	f("[ipv4-addr:value = '198.51.100.7'] [file:name = 'a']", "IND0202 36")
	f("ipv4-addr:value = '198.51.100.7'", "IND0202 1")
	f("[ipv4-addr:value % '198.51.100.7']", "IND0202 18")
	f(strings.Repeat("(", 200)+"[file:name = 'a']", "IND0202 102")
	f("["+strings.Repeat("(", 200)+"file:name = 'a'", "IND0202 102")
	var many []string
	for range 11 {
		many = append(many, "(file:name = 'a' OR file:name = 'b')")
	}
	f("["+strings.Join(many, " AND ")+"]", "IND0203 3")
	f("[file:name IN ('"+strings.Repeat("a','", 5000)+"b')]", "", "file.name=a ID type=file", "file.name=b ID type=file")
}

func TestBundle(t *testing.T) {
	const pattern = "[ipv4-addr:value = '198.51.100.7']"
	objects := []string{
		stixIndicator(1, pattern, `,"name":"C2","description":"d","created_by_ref":"identity--1","confidence":85,"labels":["malicious-activity"],"indicator_types":["anonymization"],
"valid_from":"2026-03-01T00:00:00Z","valid_until":"2026-04-01T00:00:00Z","modified":"2026-03-02T00:00:00Z","object_marking_refs":["marking-definition--f88d31f6-486f-44da-b317-01333bde0b82"],
"kill_chain_phases":[{"kill_chain_name":"mitre-attack","phase_name":"command-and-control"},{"kill_chain_name":"lockheed-martin-cyber-kill-chain","phase_name":"delivery"}],
"external_references":[{"source_name":"x"},{"source_name":"report","url":"https://feed.example/1"}]`),
		stixIndicator(2, pattern, `,"revoked":true`),
		stixIndicator(3, "rule x {}", ""), stixIndicator(4, pattern, `,"object_marking_refs":["marking-definition--9"]`),
		stixIndicator(5, "[ipv4-addr:value = '203.0.113.1']", `,"modified":"2026-03-01T00:00:00Z"`),
		stixIndicator(5, "[ipv4-addr:value = '203.0.113.2']", `,"modified":"2026-03-03T00:00:00Z"`),
		stixIndicator(5, "[ipv4-addr:value = '203.0.113.3']", `,"modified":"2026-03-02T00:00:00Z"`),
		strings.Replace(stixIndicator(6, "rule x {}", ""), `"stix"`, `"yara"`, 1), stixIndicator(7, pattern, `,"valid_until":"someday"`),
		`{"type":"identity","id":"identity--1","name":"Feeds Inc."}`, `{"type":"relationship","id":"relationship--1"}`, `{"type":"relationship","id":"relationship--2"}`,
		`{"type":"marking-definition","id":"marking-definition--9","extensions":{"extension-definition--1":{"tlp_2_0":"amber+strict"}}}`, `{"type":"ipv4-addr","id":"ipv4-addr--1","value":"192.0.2.1"}`,
	}
	files, found := load(t, "f.json", bundle(objects...))
	want := []string{
		`@timestamp=["2026-03-01T00:00:00.000Z","2026-04-01T00:00:00.000Z"] tags=["anonymization","lockheed-martin-cyber-kill-chain:delivery","malicious-activity"] confidence=High description=d ` +
			`first_seen=2026-03-01T00:00:00.000Z id=["indicator--00000001-0000-4000-8000-000000000000"] ip=198.51.100.7 marking.tlp=AMBER modified_at=2026-03-02T00:00:00.000Z name=C2 ` +
			`provider=Feeds Inc. reference=https://feed.example/1 type=ipv4-addr threat.tactic.name=["Command and Control"] tocsin.indicator.expires=2026-04-01T00:00:00.000Z`,
		`id=["indicator--00000004-0000-4000-8000-000000000000"] ip=198.51.100.7 marking.tlp=AMBER+STRICT type=ipv4-addr`,
		`id=["indicator--00000005-0000-4000-8000-000000000000"] ip=203.0.113.2 modified_at=2026-03-03T00:00:00.000Z type=ipv4-addr`,
	}
	if diff := cmp.Diff(want, said(t, files)); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
	if got, want := codes(found), "IND0202 6:130, IND0203 11:97, IND0201 12:1"; got != want {
		t.Errorf("told %q, expected %q\n%s", got, want, found.Render())
	}
	a := files.Accounts()[0]
	a.File = ""
	if diff := cmp.Diff(indicator.Account{Stream: "logs-ti_file.f-default", Read: 14, Used: 3, Indicators: 3,
		Refused: map[string]int{"revoked": 1, "a pattern that is wrong": 1, "an older version of another one": 2, "pattern_type yara": 1, "a value that is none of its kind": 1},
		Other:   map[string]int{"identity": 1, "relationship": 2, "marking-definition": 1, "ipv4-addr": 1}}, a); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	// Objects may come one a line, and in whatever wraps them.
	for _, content := range []string{strings.ReplaceAll(strings.Join(objects, "\x00"), "\n", ""), "[" + strings.Join(objects, ",") + "]", `{"more":true,"objects":[` + strings.Join(objects, ",") + `]}`,
		"[" + bundle(objects...) + "]"} {
		again, _ := load(t, "f.json", strings.ReplaceAll(content, "\x00", "\n"))
		if diff := cmp.Diff(want, said(t, again)); diff != "" {
			t.Errorf("%.30s (-want +got):\n%s", content, diff)
		}
	}
}
