package replay_test

import (
	"path/filepath"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// risk are rules over alerts such as users write them.
var risk = map[string]string{
	"Three rules on one identity within an hour": "type='threshold'\nquery='event.kind: signal'\nfrom='now-1h'\ninterval='30m'\n" + overAlerts +
		"[rule.threshold]\nfield='user.name'\nvalue=3\n[[rule.threshold.cardinality]]\nfield='kibana.alert.rule.rule_id'\nvalue=3",
	"A rule fires for the first time": "type='new_terms'\nquery='event.kind: signal'\n" + overAlerts + "[rule.new_terms]\nfield='new_terms_fields'\n" +
		"value=['kibana.alert.rule.rule_id']\n[[rule.new_terms.history_window_start]]\nfield='history_window_start'\nvalue='now-30d'",
	"One identity, two rules in a row": "type='eql'\nlanguage='eql'\nfrom='now-1h'\n" + overAlerts + "query='sequence by user.name with maxspan=30m " +
		"[any where kibana.alert.depth == 1 and kibana.alert.rule.type == \"query\"] [any where kibana.alert.rule.type == \"threshold\"]'",
	"Something of a building block": "type='query'\nquery='kibana.alert.building_block_type: * and kibana.alert.depth: 1'\n" + overAlerts,
}

// rulesOnAlerts are the public rules over alerts, the public building blocks on AWS, and risk.
func rulesOnAlerts(t *testing.T) []*detect.Program {
	t.Helper()
	var out []*detect.Program
	public := 0
	for _, glob := range []string{"rules/cross-platform/*.toml", "rules/integrations/okta/*.toml", "rules/linux/*.toml", "rules/windows/*.toml", "rules_building_block/*.toml"} {
		files, err := filepath.Glob(filepath.Join(corpus.Dir(t, "corpus/rules"), glob))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			r, err := rule.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			p, err := detect.Compile(r, catalogue{})
			if err != nil {
				continue // in ES|QL, or learnt by a machine
			}
			switch {
			case p.OnAlerts():
				public++
			case r.BuildingBlockType == "" || !store.Selects(p.Streams(), "logs-aws.cloudtrail-default"):
				continue
			}
			out = append(out, p)
		}
	}
	if public != 5 || len(out) != 9 {
		t.Errorf("%d public rules over alerts run, and %d building blocks on AWS", public, len(out)-public)
	}
	for name, more := range risk {
		out = append(out, program(t, name, more))
	}
	return out
}
