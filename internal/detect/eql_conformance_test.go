package detect_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// excepted is the scenario's rule with the exceptions that the scenario gives it.
func (s scenario) excepted(t *testing.T, fields kqltest.Mapping) *detect.Program {
	t.Helper()
	of := exceptionScenario{ID: s.ID, Rule: map[string]any{}}
	for k, v := range s.Rule {
		if k != "exceptions" {
			of.Rule[k] = v
		}
	}
	text, err := json.Marshal(s.Rule["exceptions"])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &of.Exceptions); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	of.write(t, dir, 0)
	set := rule.Load(dir)
	lists, problems := exception.Load(set)
	if problems = append(set.Problems, problems...); len(problems) > 0 || len(set.Rules) != 1 {
		t.Fatal(problems.Render())
	}
	p, err := detect.CompileWith(set.Rules[0], fields, lists)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sequenced says what of the alerts on sequences is not as it was recorded, "" for nothing.
func (s scenario) sequenced(alerts []*event.Event) string {
	var shells, blocks []*event.Event
	for _, a := range alerts {
		switch {
		case a.Get("kibana.alert.group.id").IsNull():
		case a.Get("kibana.alert.group.index").IsNull():
			shells = append(shells, a)
		default:
			blocks = append(blocks, a)
		}
	}
	if n := s.Expect.Sequences; n != nil && len(shells) != *n {
		return fmt.Sprintf("%d sequences, want %d", len(shells), *n)
	}
	if n := s.Expect.Blocks; n != nil && len(blocks) != *n {
		return fmt.Sprintf("%d building blocks, want %d", len(blocks), *n)
	}
	for _, b := range blocks {
		group := func(a *event.Event) bool { return a.ID == b.Text("kibana.alert.group.id") }
		if b.Text("kibana.alert.building_block_type") != "default" || !slices.ContainsFunc(shells, group) {
			return "a building block belongs to no sequence"
		}
	}
	if want := s.Expect.Shell; want != nil && matched([]map[string]any{want}, shells) != "" {
		return fmt.Sprintf("no sequence is %v", want)
	}
	return matched(s.Expect.OfSequence, shells)
}
