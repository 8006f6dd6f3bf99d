package indicator_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/indicator"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// What is packed comes out as it went in, whole and field by field.
func TestPacked(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	var value func(depth int) string
	value = func(depth int) string {
		switch n := r.IntN(10); {
		case n < 4:
			return fmt.Sprintf("%q", pick("a", "b", "x y", "ü", "198.51.100.7", ""))
		case n == 4:
			return pick("1", "-7", "1.50", "12345678901234567890", "true", "false")
		case n == 5 && depth > 0:
			return `[` + value(depth-1) + `,` + value(depth-1) + `]`
		case n == 6 && depth > 0:
			return `[{"k":` + value(depth-1) + `},{"k":1}]`
		case n == 7:
			return `[]`
		case n == 8:
			return `["a","b"]`
		}
		return `"` + pick("2026-03-01T00:00:00Z", "c") + `"`
	}
	for range 300 {
		text := `{"threat":{"indicator":{"ip":"198.51.100.7","first_seen":"2026-03-01T00:00:00Z"}}`
		for _, path := range []string{"tags", "labels.a", "event.kind", "event.category", "threat.indicator.type", "threat.feed.name", "x.y", "zz", "@timestamp"} {
			if r.IntN(2) == 0 {
				text += fmt.Sprintf(",%q:%s", path, value(2))
			}
		}
		text += "}"
		files, problems := load(t, "f.json", text)
		if len(problems) > 0 {
			t.Fatal(problems.Render())
		}
		got := events(t, files)[0]
		want, err := event.Decode([]byte(text), event.DecodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range want.Fields() {
			if diff := cmp.Diff(string(f.Value.AppendJSON(nil)), string(got.Get(f.Path).AppendJSON(nil))); diff != "" {
				t.Fatalf("%s: %s (-written +read):\n%s", text, f.Path, diff)
			}
			part := query(t, indicator.Over(mem.New(nil), files), plan.Project{Paths: []string{f.Path}, In: plan.Scan{Streams: []string{"logs-ti_*"}}})[0]
			if string(part.AppendJSON(nil, nil)) != string(got.Keep([]string{f.Path}).AppendJSON(nil, nil)) {
				t.Fatalf("%s: of %s comes %s", text, f.Path, part.AppendJSON(nil, nil))
			}
		}
	}
}
