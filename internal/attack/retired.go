package attack

import (
	"strings"
	"sync"
)

// Retired is an ID that Current no longer has.
type Retired struct {
	ID   string
	Name string // its last one
	// Deprecated says that it was dropped; else it was revoked in favour of others.
	Deprecated bool
	// ReplacedBy are the IDs that took its place when it went, which may be retired themselves by now; Current those of
	// the current release in the end. Both are empty where nothing took its place.
	ReplacedBy []string
	Current    []string
}

var retiredByID = sync.OnceValue(func() map[string]Retired {
	out := map[string]Retired{}
	for line := range strings.Lines(retiredTable) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 5 {
			continue
		}
		r := Retired{ID: f[0], Deprecated: f[1] == "deprecated", Name: f[4]}
		r.ReplacedBy, r.Current = ids(f[2]), ids(f[3])
		out[r.ID] = r
	}
	return out
})

func ids(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

// RetiredID returns what became of a technique's ID that the current release no longer has. The result is not to be
// changed.
func RetiredID(id string) (Retired, bool) {
	r, ok := retiredByID()[id]
	return r, ok
}

// Replacements returns the IDs of the current release that stand for id, a tactic's or technique's of any release: itself
// where it is current, none where it was dropped without successor. False for an ID that no release has.
func Replacements(id string) ([]string, bool) {
	if _, ok := In(Current).Technique(id); ok {
		return []string{id}, true
	}
	if _, ok := In(Current).Tactic(id); ok {
		return []string{id}, true
	}
	r, ok := RetiredID(id)
	return append([]string(nil), r.Current...), ok
}
