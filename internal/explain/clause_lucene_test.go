package explain

import (
	"slices"
	"testing"
)

// What decided of a query in Lucene, in its words. An optional clause beside required ones decides nothing.
func TestFirstCauseLucene(t *testing.T) {
	f := func(query, document string, want ...string) {
		t.Helper()
		a, err := Event(ctx, ask(t, "type='query'\nlanguage='lucene'\nquery='''"+query+"'''"), decode(t, document))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.Causes, want) {
			t.Errorf("%s on %s: %q, expected %q", query, document, a.Causes, want)
		}
		if a.Found != (len(want) == 0) {
			t.Errorf("%s on %s: found is %t", query, document, a.Found)
		}
	}
	f(`user.name:a AND NOT host.name:b`, `{"user":{"name":"a"}}`)
	f(`user.name:a AND host.name:b`, `{"user":{"name":"a"},"host":{"name":"y"}}`, `host.name:b is false: host.name is "y"`)
	f(`user.name:a OR host.name:b AND process.name:c`, `{"user":{"name":"a"},"host":{"name":"b"}}`, `process.name:c is not met: process.name is missing`)
	f(`user.name:(a OR b) AND NOT host.name:h*`, `{"user":{"name":"b"},"host":{"name":"h1"}}`, `host.name:h* is true, and must not be: host.name is "h1"`)
	f(`user.name:(a or b)`, `{"user":{"name":"a"}}`, `user.name:a\ or\ b is false: user.name is "a"`)
	f(`host.name:/web-[0-9]/`, `{"host":{"name":"web-12"}}`, `host.name:/web-[0-9]/ is false: host.name is "web-12"`)
	f(`source.port:[1 TO 5]`, `{"source":{"port":7}}`, `source.port:[1 TO 5] is false: source.port is "7"`)
}
