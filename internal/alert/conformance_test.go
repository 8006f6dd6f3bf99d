package alert_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// TestConformanceOverrides makes the alerts of the scenarios in which the source decides how bad an alert is.
func TestConformanceOverrides(t *testing.T) {
	dir := corpus.Dir(t, "corpus/rule-exec")
	tally := corpus.NewTally(t, "rule-exec/overrides")
	f, err := os.Open(filepath.Join(dir, "query.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var s struct {
			ID   string
			Rule struct {
				Severity string
				Risk     int                 `json:"risk_score"`
				Severe   []map[string]string `json:"severity_mapping"`
				Risky    []map[string]string `json:"risk_score_mapping"`
			}
			Docs   []json.RawMessage
			Expect struct {
				Alerts []struct {
					Doc      string `json:"doc_id"`
					Severity string
					Risk     json.Number `json:"risk_score"`
				}
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(s.ID, "query/override-") {
			continue
		}
		r := read(t, fmt.Sprintf("[rule]\nname='n'\ndescription='d'\ntype='query'\nrule_id=%q\nseverity=%q\nrisk_score=%d\n"+
			"severity_mapping=%s\nrisk_score_mapping=%s\n", s.ID, s.Rule.Severity, s.Rule.Risk, tables(s.Rule.Severe), tables(s.Rule.Risky)))
		for i, want := range s.Expect.Alerts {
			source, err := event.Decode(s.Docs[i], event.DecodeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			name := s.ID + "/" + want.Doc
			a := alert.New(alert.Input{Rule: r, Source: source, ID: name})
			got := a.Text("kibana.alert.severity") + " " + a.Text("kibana.alert.risk_score")
			if wanted := want.Severity + " " + want.Risk.String(); source.Text("_id") != want.Doc || got != wanted {
				tally.Fail(name, fmt.Sprintf("got %s, want %s", got, wanted))
				continue
			}
			tally.Pass()
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// tables writes a list of tables as TOML.
func tables(list []map[string]string) string {
	var out []string
	for _, m := range list {
		var members []string
		for k, v := range m {
			members = append(members, fmt.Sprintf("%s=%q", k, v))
		}
		out = append(out, "{"+strings.Join(members, ",")+"}")
	}
	return "[" + strings.Join(out, ",") + "]"
}
