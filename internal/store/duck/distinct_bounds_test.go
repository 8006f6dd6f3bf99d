package duck

import (
	"fmt"
	"testing"
)

// TestRememberedBounds holds that what is remembered of segments is bounded, however many there are and whatever they hold.
func TestRememberedBounds(t *testing.T) {
	d := &distinct{}
	most, texts := 0, 0
	for i := range 3 * fewEntries {
		g := &segment{id: int64(i)}
		for n := 0; ; n++ {
			if _, unread := d.of(g, []int{1}); len(unread) > 0 {
				if n != askedOften {
					t.Fatalf("read after %d queries", n)
				}
				break
			}
		}
		var found []string
		for k := range fewValues {
			found = append(found, fmt.Sprint(i, k))
		}
		if values := d.put(g, 1, found); len(values[1]) != fewValues {
			t.Fatalf("%d values are known of segment %d", len(values[1]), i)
		}
		if i%100 != 0 {
			continue
		}
		sum := 0
		for _, h := range d.by {
			for _, set := range h.values {
				sum += len(set)
			}
		}
		most, texts = max(most, sum), max(texts, len(d.texts))
	}
	if most < mostValues/2 || most > mostValues || texts > mostValues+fewValues {
		t.Errorf("up to %d values and %d texts", most, texts)
	}
}
