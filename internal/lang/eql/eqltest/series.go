package eqltest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
)

var seriesEvent = regexp.MustCompile(`^(?:(\w)\|)?(\w(\d+))$`)

// RunSeries runs the specifications of sequences with find, a line of events for each stage and what is found; the tally
// has the given name.
func RunSeries(t *testing.T, name string, find func(s *eql.Stages, events []*event.Event) []Match) {
	text, err := os.ReadFile(filepath.Join(Dir(t), "sequences.series-spec"))
	if err != nil {
		t.Fatal(err)
	}
	tally := corpus.NewTally(t, name)
	parts := strings.Split(regexp.MustCompile(`(?m)^//.*\n`).ReplaceAllString(string(text), ""), ";\n")
	for i := 0; i+1 < len(parts); i += 2 {
		lines := strings.Split(strings.TrimSpace(parts[i]), "\n")
		name, stages := lines[0], lines[1:]
		query := "sequence by ?k"
		var events []*event.Event
		for n, line := range stages {
			query += fmt.Sprintf(" [any where stage == %d]", n)
			for _, token := range strings.Fields(line) {
				m := seriesEvent.FindStringSubmatch(token)
				if m == nil {
					t.Fatalf("%s: no event: %s", name, token)
				}
				at, err := strconv.Atoi(m[3])
				if err != nil {
					t.Fatal(err)
				}
				e := &event.Event{ID: m[2]}
				e.Set("stage", event.Int(int64(n)))
				e.Set("at", event.Int(int64(at)))
				e.SetString("k", m[1])
				e.Set("@timestamp", event.String(event.FormatTime(time.Unix(int64(at), 0))))
				events = append(events, e)
			}
		}
		sort.SliceStable(events, func(a, b int) bool { return events[a].Get("at").Int() < events[b].Get("at").Int() })
		q, err := eql.Parse(query)
		if err != nil {
			t.Fatalf("%s: %s", name, diag.Of(err).Render())
		}
		p, err := eql.Lower(q, eql.Options{})
		if err != nil {
			t.Fatalf("%s: %s", name, diag.Of(err).Render())
		}
		var got []string
		for _, m := range find(p.Sequence, events) {
			var ids []string
			for _, e := range m.Events {
				ids = append(ids, e.ID)
			}
			got = append(got, strings.Join(ids, " "))
		}
		want := regexp.MustCompile(`\w\|`).ReplaceAllString(strings.TrimSpace(parts[i+1]), "")
		if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
			tally.Fail(name, "sequences (-want +got):\n"+diff)
		} else {
			tally.Pass()
		}
	}
}
