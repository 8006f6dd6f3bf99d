package detect_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A query in Lucene means what package lucene says, in a window and in a history, with date math from the run.
func TestLucene(t *testing.T) {
	f := func(more string, want ...string) {
		t.Helper()
		p := compile(t, parse(t, "query", "language='lucene'\nfrom='now-10m'\n"+more))
		b := newBench(t)
		b.land(
			login(t, "history", "7 10:00", `{"user":{"name":"bob"},"host":{"name":"web-1"}}`),
			login(t, "eve", "9 10:04", `{"user":{"name":"eve","id":7},"host":{"name":"web-1"}}`),
			login(t, "bob", "9 10:06", `{"user":{"name":"bob","id":100},"host":{"name":"web-22"}}`),
			login(t, "and", "9 10:07", `{"user":{"name":"eve and bob"}}`),
		)
		if diff := cmp.Diff(want, found(b.at(p, "9 10:10").Alerts)); diff != "" {
			t.Errorf("%s: alerts (-want +got):\n%s", more, diff)
		}
	}
	f("type='query'\nquery='user.name:(eve OR bob)'", "eve", "bob")
	f("type='query'\nquery='user.name:(eve and bob)'", "and")
	f("type='query'\nquery='host.name:/web-[0-9]/ OR user.id:[50 TO *]'", "eve", "bob")
	f("type='query'\nquery='host.name:web* AND NOT user.name:eve'", "bob")
	f("type='query'\nquery='user.name:* AND @timestamp:{now-5m TO now]'", "bob", "and")
	f("type='query'\nquery=''\nfilters=[{query={term={'user.name'='eve'}}}]", "eve")
	f("type='new_terms'\nquery='host.name:web-*'\n"+terms("now-7d", "user.name"), "eve eve")
}
