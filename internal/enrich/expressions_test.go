package enrich_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/enrich"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// parsed is one case of the ua-parser project: a user agent and what its parts are, by the key of the file.
type parsed map[string]string

// cases reads a test file of the ua-parser project, which is a list of flat objects with quoted values.
func cases(t *testing.T, name string) []parsed {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(corpus.Dir(t, "data/ua"), name))
	if err != nil {
		t.Fatal(err)
	}
	var out []parsed
	for _, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		first := strings.HasPrefix(line, "- ")
		key, value, pair := strings.Cut(strings.TrimPrefix(line, "- "), ":")
		if !pair || strings.HasPrefix(line, "#") || key == "test_cases" {
			continue
		}
		if first {
			out = append(out, parsed{})
		}
		value = strings.TrimSpace(value)
		switch {
		case strings.HasPrefix(value, "'"):
			value = strings.ReplaceAll(strings.Trim(value, "'"), "''", "'")
		case strings.HasPrefix(value, `"`):
			if value, err = strconv.Unquote(value); err != nil {
				t.Fatalf("%s: %s: %v", name, line, err)
			}
		}
		out[len(out)-1][key] = value
	}
	return out
}

// version joins the first parts of p's version.
func (p parsed) version(parts int) string {
	v := p["major"]
	for _, key := range []string{"minor", "patch", "patch_minor"}[:parts-1] {
		if v == "" || p[key] == "" {
			break
		}
		v += "." + p[key]
	}
	return v
}

// otherExpressions are the cases that uap-go's expressions, which are a little newer or older than the cases, read
// differently.
var otherExpressions = map[string]string{
	"Mozilla/4.0 (SerenityOS; x86_64) LibWeb+LibJS (Not KHTML, nor Gecko) LibWeb":                                                "SerenityOS's browser has no expression",
	"Mozilla/5.0 (X11; Linux aarch64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/52.0.2743.84 Safari/537.36 CrKey/1.22.74257": "it is called Chromecast Linux",
}

// TestConformanceExpressions reads the cases that the ua-parser project keeps for its expressions: no case may be lost
// to what stands in front of them here, the filter and the limit.
func TestConformanceExpressions(t *testing.T) {
	agent := enrich.NewAgent()
	f := func(file, tallied string, least int, compare func(e *event.Event, want parsed) bool) {
		t.Helper()
		tally := corpus.NewTally(t, tallied)
		list := cases(t, file)
		if len(list) < least {
			t.Errorf("%s: %d cases, expected %d", file, len(list), least)
		}
		for _, want := range list {
			e := &event.Event{}
			e.SetString("user_agent.original", want["user_agent_string"])
			agent.Enrich(e)
			why, other := otherExpressions[want["user_agent_string"]]
			switch {
			case compare(e, want):
				tally.Pass()
			case other:
				tally.Skip(want["user_agent_string"], why)
			default:
				tally.Fail(want["user_agent_string"], "got "+strings.ReplaceAll(below(e, "user_agent."), "\n", " "))
			}
		}
	}
	f("test_ua.yaml", "uap-core/names", 1425, func(e *event.Event, want parsed) bool {
		// ua-parser gives names three parts and does not test the fourth, which Elasticsearch reads.
		got, three := e.Text("user_agent.version"), want.version(3)
		return e.Text("user_agent.name") == want["family"] && (got == three || strings.HasPrefix(got, three+"."))
	})
	f("test_os.yaml", "uap-core/systems", 456, func(e *event.Event, want parsed) bool {
		// Elasticsearch leaves out what no expression matched, and keeps what one of them calls Other.
		name := e.Text("user_agent.os.name")
		return (name == want["family"] || name == "" && want["family"] == "Other") && e.Text("user_agent.os.version") == want.version(4)
	})
	f("test_device.yaml", "uap-core/devices", 16111, func(e *event.Event, want parsed) bool {
		return e.Text("user_agent.device.name") == want["family"]
	})
}
