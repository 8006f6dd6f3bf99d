package event

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestSetAllSetsAsSetDoes holds that setting many fields at once leaves what setting them one by one leaves.
func TestSetAllSetsAsSetDoes(t *testing.T) {
	text := func(e *Event) string {
		out := ""
		for _, f := range e.Fields() {
			out += f.Path + "=" + f.Value.Text() + " "
		}
		return out
	}
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.SampledFrom([]string{"a", "a.b", "b", "c.a", "c.b", "c.c", "d", "e.f", "z"})
		var one, all Event
		for range rapid.IntRange(1, 4).Draw(t, "times") {
			var fields []Field
			for i := range rapid.IntRange(0, 8).Draw(t, "fields") {
				fields = append(fields, Field{Path: path.Draw(t, "path"), Value: Int(int64(i))})
			}
			if rapid.Bool().Draw(t, "sorted") {
				var tidy Event
				for _, f := range fields {
					tidy.Set(f.Path, f.Value)
				}
				fields = append([]Field(nil), tidy.Fields()...)
			}
			for _, f := range fields {
				one.Set(f.Path, f.Value)
			}
			all.SetAll(fields)
			if diff := cmp.Diff(text(&one), text(&all)); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}
