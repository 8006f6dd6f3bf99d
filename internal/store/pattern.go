package store

import (
	"strings"

	"github.com/tocsin-sec/tocsin/internal/expr"
)

// Selects reports whether patterns name the stream: * stands for any characters, a pattern that begins with - takes
// away what those before it named. Nil names every stream but alerts, and no wildcard names a stream that begins with a
// dot unless the pattern does too.
func Selects(patterns []string, stream string) bool {
	if patterns == nil {
		return stream != AlertStream
	}
	selected := false
	for _, p := range patterns {
		p, minus := strings.CutPrefix(p, "-")
		if strings.HasPrefix(stream, ".") && !strings.HasPrefix(p, ".") {
			continue
		}
		if expr.Stars(strings.Split(p, "*")...).Fits(stream, false) {
			selected = !minus
		}
	}
	return selected
}
