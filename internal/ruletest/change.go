package ruletest

import (
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// merged is doc with the members of change put into it. A key with dots leads into objects, a table is merged into the
// object that stands there; anything else is replaced.
func merged(doc, change event.Value) event.Value {
	for _, m := range change.Members() {
		doc = put(doc, m.Key, m.Value)
	}
	return doc
}

// step finds the member of doc that path leads to or through, and the rest of the path. Where there is none yet it is the
// place behind the last, with the path's first part as its key.
func step(members []event.Member, path string) (at int, key, rest string) {
	at = slices.IndexFunc(members, func(m event.Member) bool { return m.Key == path || strings.HasPrefix(path, m.Key+".") })
	if at < 0 {
		key, rest, _ = strings.Cut(path, ".")
		return len(members), key, rest
	}
	key = members[at].Key
	return at, key, strings.TrimPrefix(path[len(key):], ".")
}

func put(doc event.Value, path string, v event.Value) event.Value {
	members := slices.Clone(doc.Members())
	at, key, rest := step(members, path)
	if at == len(members) {
		members = append(members, event.Member{Key: key})
	}
	switch old := members[at].Value; {
	case rest != "":
		members[at].Value = put(old, rest, v)
	case v.Kind() == event.KindObject && len(v.Members()) > 0:
		members[at].Value = merged(old, v)
	default:
		members[at].Value = v
	}
	return event.Object(members...)
}

// without is doc less what stands at path; false where nothing does.
func without(doc event.Value, path string) (event.Value, bool) {
	members := slices.Clone(doc.Members())
	at, _, rest := step(members, path)
	switch {
	case at == len(members):
		return doc, false
	case rest == "":
		members = slices.Delete(members, at, at+1)
	default:
		inner, found := without(members[at].Value, rest)
		if !found {
			return doc, false
		}
		members[at].Value = inner
	}
	return event.Object(members...), true
}
