package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"
)

// On a terminal no line of an explanation is wider than it, and outcomes have colours; through a pipe there are none.
func TestExplainOnTerminal(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"r.toml": "[rule]\nrule_id='r'\nname='R'\ndescription='d'\ntype='query'\nseverity='low'\nrisk_score=1\nindex=['logs-app-*']\n" +
			"query='event.action: (created-a-user-with-a-long-name or deleted-a-user-with-a-long-name) and user.name: alice and not source.ip: 10.0.0.0/8'\n",
		"e.ndjson": `{"@timestamp":"2026-03-01T00:00:00Z","event":{"action":"` + strings.Repeat("a word ", 60) + `"},"source":{"ip":"10.1.1.1"}}` + "\n" +
			`{"@timestamp":"2026-03-01T00:00:01Z","event":{"action":"created-a-user-with-a-long-name"},"user":{"name":"alice"}}`,
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ruleFile, events, db := filepath.Join(dir, "r.toml"), filepath.Join(dir, "e.ndjson"), filepath.Join(dir, "c.duckdb")
	run := func(sc *screen, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := Run(context.Background(), args, Streams{In: strings.NewReader(""), Out: &out, Err: &errs, screen: sc}); code > ExitAlerts {
			t.Fatalf("%q: exit code %d, %s", args, code, errs.String())
		}
		return out.String()
	}
	run(&screen{}, "scan", "--rules", ruleFile, "--db", db, "--stream", "logs-app-default", events)
	f := func(want string, args ...string) {
		t.Helper()
		args = append([]string{"explain", ruleFile}, args...)
		narrow := run(&screen{terminal: true, colour: true, width: 60}, args...)
		for line := range strings.Lines(narrow) {
			if w := text.StringWidthWithoutEscSequences(strings.TrimRight(line, "\n")); w > 60 {
				t.Errorf("%q: %d cells: %s", args, w, line)
			}
		}
		if !strings.Contains(narrow, want) {
			t.Errorf("%q: no %q in\n%s", args, want, narrow)
		}
		if wide := run(&screen{}, args...); strings.Contains(wide, "\x1b") {
			t.Errorf("%q: colours through a pipe:\n%s", args, wide)
		}
	}
	f("\x1b[31mfalse   \x1b[0m", events)
	f("\x1b[33mmissing \x1b[0m", events)
	f("\x1b[1malert\x1b[0m", "--for", "user.name : alice or source.ip : *", "--db", db)
}
