package event

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKeep(t *testing.T) {
	const doc = `{"a":{"b":1,"bc":2},"a-b":3,"f":{"k":{"m":1,"n":2},"k.m":3,"x":4},"l":[{"k":1,"m":2},{"m":3},5,[{"k":6}]]}`
	f := func(paths, want string) {
		t.Helper()
		e := decode(t, doc, "f")
		e.ID, e.Stream, e.Source = "i", "s", Raw{Data: []byte("src")}
		got := e.Keep(strings.Fields(paths))
		if diff := cmp.Diff(want, string(got.AppendJSON(nil, nil))); diff != "" {
			t.Errorf("%s: %s", paths, diff)
		}
		if got.ID != "i" || got.Stream != "s" || string(got.Source.Data) != "src" {
			t.Errorf("%s: identity lost: %+v", paths, got)
		}
		if diff := cmp.Diff(string(decode(t, doc, "f").AppendJSON(nil, nil)), string(e.AppendJSON(nil, nil))); diff != "" {
			t.Errorf("%s: the event changed: %s", paths, diff)
		}
	}
	f("", `{}`)
	f("nothing a.b.c", `{}`)
	f("a", `{"a":{"b":1,"bc":2}}`)
	f("a.b", `{"a":{"b":1}}`)
	f("a.b a-b", `{"a-b":3,"a":{"b":1}}`)
	f("f", `{"f":{"k":{"m":1,"n":2},"k.m":3,"x":4}}`)
	f("f.k.m", `{"f":{"k":{"m":1},"k.m":3}}`) // both ways to the path
	f("f.k", `{"f":{"k":{"m":1,"n":2},"k.m":3}}`)
	f("f.x f.y", `{"f":{"x":4}}`)
	f("l.k", `{"l":[{"k":1},[{"k":6}]]}`)
	f("l.k l.m", `{"l":[{"k":1,"m":2},{"m":3},[{"k":6}]]}`)
	f("l", `{"l":[{"k":1,"m":2},{"m":3},5,[{"k":6}]]}`)
}
