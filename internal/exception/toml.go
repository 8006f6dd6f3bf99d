package exception

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// MaxItems is how many items one file holds at most, MaxEntries how many entries one item.
const (
	MaxItems   = 10_000
	MaxEntries = 1_000
)

// osTypes are the operating systems that an item may be about.
var osTypes = []string{"linux", "macos", "windows"}

// written are the comparisons as our own files write them.
var written = []struct {
	key      string
	kind     Kind
	excluded bool
}{
	{"is", Match, false}, {"is_not", Match, true},
	{"is_one_of", MatchAny, false}, {"is_not_one_of", MatchAny, true},
	{"matches", Wildcard, false}, {"does_not_match", Wildcard, true},
	{"exists", Exists, false},
	{"in_list", InList, false}, {"not_in_list", InList, true},
	{"nested", Nested, false},
}

// own is what a file of ours holds.
type own struct {
	list   *List // nil: none
	values []*ValueList
}

// readOwn reads a file of ours.
func readOwn(f rule.File) (own, diag.List) {
	beside, top := f.Open("EXC")
	var out own
	if top == nil {
		return out, beside.Problems()
	}
	if t := top.Sub("list"); t != nil {
		out.list = readList(t)
		t.Close()
	}
	items := top.Subs("item")
	switch {
	case out.list == nil && items != nil:
		top.Bad(numberMissing, "item", "write [list] with a list_id and a name before the items", "the items are in no list")
	case len(items) > MaxItems:
		top.Bad(numberRange, "item", "", "the file has %d items; it can have %d", len(items), MaxItems)
		items = nil
	}
	seen := map[string]bool{}
	for _, t := range items {
		item := readItem(t)
		if item.ItemID != "" && seen[item.ItemID] {
			t.Bad(numberTwice, "item_id", "", "two items have the item_id %q", short(item.ItemID))
		}
		seen[item.ItemID] = true
		if out.list != nil {
			out.list.Items = append(out.list.Items, item)
		}
	}
	if out.list != nil && beside.Problems().Err() != nil {
		out.list.Items = nil // an item that lacks an entry by mistake would hide more than was meant
	}
	for _, t := range top.Subs("value_list") {
		if v := readValues(f, t); v != nil {
			out.values = append(out.values, v)
		}
		t.Close()
	}
	if out.list == nil && items == nil && !top.Given("value_list") {
		top.Bad(numberMissing, "list", "write [list] and [[item]], or [[value_list]]", "the file holds no exceptions")
	}
	top.Close()
	return out, beside.Problems()
}

func readList(t *rule.Table) *List {
	t.Need("list_id", "name")
	l := &List{ListID: t.Word("list_id"), Name: t.Word("name"), Description: t.Text("description"),
		Type: t.OneOf("type", TypeDetection, TypeRuleDefault), Namespace: t.OneOf("namespace_type", DefaultNamespace, "agnostic"),
		Tags: t.Names("tags"), Rules: t.Names("rules"), at: place(t.Place("list_id"))}
	if l.Type == "" {
		l.Type = TypeDetection
	}
	if l.Namespace == "" {
		l.Namespace = DefaultNamespace
	}
	return l
}

// ReadItems reads the items at a key of a table: nil where there are none. Their mistakes are reported there.
func ReadItems(t *rule.Table, key string) []*Item {
	var out []*Item
	for _, sub := range t.Subs(key) {
		out = append(out, readItem(sub))
	}
	return out
}

// readItem reads an item of ours, and closes its table.
func readItem(t *rule.Table) *Item {
	t.Need("name", "entries")
	item := &Item{ItemID: t.Word("item_id"), Name: t.Word("name"), Description: t.Text("description"), Tags: t.Names("tags"),
		Comments: t.Texts("comments"), OSTypes: t.Names("os_types"), at: place(t.Place("name"))}
	for _, os := range item.OSTypes {
		if !slices.Contains(osTypes, os) {
			t.Bad(numberNotOneOf, "os_types", oneOf(os, osTypes), "%q is no operating system", short(os))
		}
	}
	if at, ok := event.ParseTime(t.Instant("expire_time")); ok {
		item.Expires = at
	}
	item.Entries = readEntries(t, "entries", true)
	t.Close()
	return item
}

func readEntries(t *rule.Table, key string, outer bool) []Entry {
	tables := t.Subs(key)
	switch {
	case tables != nil && len(tables) == 0:
		t.Bad(numberRange, key, "an item without entries hides nothing", "%s is empty", key)
	case len(tables) > MaxEntries:
		t.Bad(numberRange, key, "", "%s has %d entries; it can have %d", key, len(tables), MaxEntries)
		tables = nil
	}
	var out []Entry
	for _, sub := range tables {
		out = append(out, readEntry(sub, outer))
		sub.Close()
	}
	return out
}

func readEntry(t *rule.Table, outer bool) Entry {
	t.Need("field")
	e := Entry{Field: t.Word("field"), at: place(t.Place("field"))}
	var known, given []string
	for _, w := range written {
		if !outer && (w.kind == Wildcard || w.kind == InList || w.kind == Nested) {
			continue
		}
		known = append(known, w.key)
		has := t.Given(w.key)
		if has {
			given = append(given, w.key)
			e.Kind, e.Excluded = w.kind, w.excluded
		}
		switch w.kind {
		case Match, Wildcard:
			if s := t.Text(w.key); has {
				e.Values = []string{s}
			}
		case MatchAny:
			if list := t.Names(w.key); has {
				if e.Values = list; len(list) == 0 {
					t.Bad(numberRange, w.key, "", "%s is empty", w.key)
				}
			}
		case Exists:
			if there := t.Flag(w.key, true); has {
				e.Excluded = !there
			}
		case InList:
			if id := t.Word(w.key); has {
				e.List.ID = id
			}
		case Nested:
			if has {
				e.Entries = readEntries(t, w.key, false)
			} else {
				t.Subs(w.key) // takes note of the key
			}
		}
	}
	all := strings.Join(known, ", ")
	switch len(given) {
	case 0:
		mistyped := slices.ContainsFunc(t.Keys(), func(key string) bool { return key != "field" })
		if !mistyped { // Close tells of it
			t.Bad(numberMissing, "field", "one of: "+all, "%s does not say what %s must be", t.Title(), short(e.Field))
		}
	case 1:
		e.at = place(t.Place(given[0]))
	default:
		t.Bad(numberBesides, given[1], "an entry compares once: write another entry", "%s stands beside %s", given[1], given[0])
	}
	return e
}

// oneOf is the hint where word is none of allowed.
func oneOf(word string, allowed []string) string {
	hint := "one of: " + strings.Join(allowed, ", ")
	if near, ok := diag.Nearest(word, allowed); ok {
		return fmt.Sprintf("did you mean %q? (%s)", near, hint)
	}
	return hint
}

// quoted and short write a text in a message.
func quoted(s string) string { return fmt.Sprintf("%q", short(s)) }

func short(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
