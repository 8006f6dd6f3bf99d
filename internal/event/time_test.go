package event

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestUsualTime holds the short ways of FormatTime and ParseTime equal to the long ones.
func TestUsualTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMilli(rapid.Int64Range(-62167219200000-1e12, 253402300799999+1e12).Draw(t, "instant"))
		text := FormatTime(at)
		if want := at.UTC().Format("2006-01-02T15:04:05.000Z"); text != want {
			t.Fatalf("%d is %s, expected %s", at.UnixMilli(), text, want)
		}
		if got, ok := ParseTime(text); len(text) == 24 && (!ok || !got.Equal(at)) {
			t.Fatalf("%s is read as %v, %t", text, got, ok)
		}
		b := []byte(text)
		b[rapid.IntRange(0, len(b)-1).Draw(t, "place")] = rapid.SampledFrom([]byte("0159:-TZ. \x00/\xff")).Draw(t, "byte")
		if got, is := parseUsual(string(b)); is {
			want, err := time.Parse("2006-01-02T15:04:05.000Z", string(b))
			if err != nil || !got.Equal(want) {
				t.Fatalf("%q is read as %v, expected %v, %v", b, got, want, err)
			}
		}
	})
}
