package ruletest_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A rule in Lucene has clauses too: all but optional ones beside required ones.
func TestLucene(t *testing.T) {
	f := func(query, events string, want ...string) {
		t.Helper()
		file := run(t, "type = 'query'\nlanguage = 'lucene'\nquery = '''"+query+"'''\n", "[[case]]\nname = 'x'\nevents = ["+events+"]\nalerts = [{ event = 'event-1' }]\n")
		got := []string{}
		for _, c := range file.Clauses {
			got = append(got, fmt.Sprintf("%d:%d %s true %d false %d decided %d %s", c.Line, c.Column, c.Text, c.True, c.False, c.Decided, c.Lacks()))
		}
		if diff := cmp.Diff(want, got); diff != "" || file.Bad() {
			t.Errorf("%s: %v\n%s", query, file.Problems, diff)
		}
	}
	f("event.action:(a OR b) AND NOT user.name:x", `{ fields = { "event.action" = "a" } }, { fields = { "event.action" = "c" } }, { fields = { "user.name" = "x" } }`,
		"10:26 event.action:a true 1 false 2 decided 2 ",
		"10:31 event.action:b true 0 false 3 decided 1 never true",
		"10:52 user.name:x true 1 false 2 decided 1 ")
	f("host.name:h OR event.action:/a+/ AND event.kind:k*", `{ fields = { "event.action" = "aa", "event.kind" = "kk" } }, { fields = { "event.action" = "b" } }`,
		"10:40 event.action:/a+/ true 1 false 1 decided 1 ",
		"10:60 event.kind:k* true 1 false 1 decided 1 ")
}
