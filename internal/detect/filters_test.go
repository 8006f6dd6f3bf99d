package detect_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/diag"
)

const filtered = `filters=[{query={term={'user.name'={value='EVE', case_insensitive=true}}}},
  {meta={negate=true}, query={range={'@timestamp'={lt='now-5m'}}}}, {meta={disabled=true}, query={match_none={}}}]
`

// Filters must hold besides the query; date math in them starts from the run.
func TestFilters(t *testing.T) {
	p := compile(t, parse(t, "query", "type='query'\nquery='event.action: login'\nfrom='now-10m'\n"+filtered))
	b := newBench(t)
	b.land(
		login(t, "early", "9 10:04:59.999", `{"user":{"name":"eve"}}`),
		login(t, "yes", "9 10:05", `{"user":{"name":"eve"}}`),
		login(t, "other", "9 10:06", `{"user":{"name":"ops"}}`),
		login(t, "action", "9 10:07", `{"user":{"name":"eve"},"event":{"action":"logout"}}`),
	)
	if diff := cmp.Diff([]string{"yes"}, found(b.at(p, "9 10:10").Alerts)); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

// The history of a new-terms rule is filtered like its window.
func TestFiltersNewTerms(t *testing.T) {
	p := compile(t, parse(t, "terms", "type='new_terms'\nquery='event.action: login'\nfrom='now-10m'\n"+
		"filters=[{query={term={'host.name'='web'}}}]\n"+terms("now-7d", "user.name")))
	b := newBench(t)
	b.land(
		login(t, "a-elsewhere", "7 10:00", `{"user":{"name":"a"},"host":{"name":"db"}}`),
		login(t, "b-before", "7 10:00", `{"user":{"name":"b"},"host":{"name":"web"}}`),
		login(t, "a", "9 10:05", `{"user":{"name":"a"},"host":{"name":"web"}}`),
		login(t, "b", "9 10:05", `{"user":{"name":"b"},"host":{"name":"web"}}`),
		login(t, "c-elsewhere", "9 10:05", `{"user":{"name":"c"},"host":{"name":"db"}}`),
	)
	if diff := cmp.Diff([]string{"a a"}, found(b.at(p, "9 10:10").Alerts)); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

// What is wrong with a filter is found in the rule's file; other filters make another program.
func TestFiltersCompile(t *testing.T) {
	_, err := detect.Compile(parse(t, "bad", "type='query'\nquery='a: ('\nfilters=[{query={script={}}}]"), declared(t))
	got := diag.Of(err)
	got.Sort()
	if len(got) != 2 || got[0].Code != "KQL0108" || got[1].Code != "FLT0103" || got[1].File != "bad.toml" || got[1].Text[got[1].Span.Start:got[1].Span.End] != "{}" {
		t.Errorf("%v", got.Render())
	}
	ids := map[string]bool{}
	for _, more := range []string{"", filtered, "filters=[{query={range={'@timestamp'={lt='now-5m'}}}}]", "filters=[{query={range={'@timestamp'={lt='now-6m'}}}}]",
		"filters=[{query={exists={field='user.name'}}}]"} {
		ids[compile(t, parse(t, "same", "type='query'\nquery='event.action: login'\n"+more)).ID()] = true
	}
	if len(ids) != 5 {
		t.Errorf("%d programs of five rules", len(ids))
	}
}
