package duck

import (
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// HasColumn reports whether new segments of a stream keep the field at path in a column of its own; a field without one is
// read from the column of all others.
func HasColumn(stream, path string) bool {
	held := func(name string) bool { return strings.TrimSuffix(name, "[]") == path }
	return slices.ContainsFunc(commonColumns, held) || stream == store.AlertStream && slices.ContainsFunc(alertColumns, held)
}
