package ecs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// catalogue is the fields of one profile.
type catalogue struct {
	fields  []Field          // sorted by path
	index   map[string]int32 // path → place in fields
	objects map[string]bool  // undeclared objects on the way to fields
	free    map[string]bool  // declared objects below which no key is declared: any may stand there
}

var (
	integration = sync.OnceValue(func() *catalogue { return compile(ecsTable, integrationTable) })
	filebeat    = sync.OnceValue(func() *catalogue { return compile(ecsTable, filebeatTable) })
)

func (p Profile) catalogue() *catalogue {
	if p == Filebeat {
		return filebeat()
	}
	return integration()
}

// compile puts the tables together; where two declare a field the later one wins. The two that all profiles share come
// first, as a data set's own mapping wins over them.
func compile(tables ...string) *catalogue {
	byPath := map[string]Field{}
	for _, table := range slices.Concat([]string{kibanaTable, ownTable}, tables) {
		for line := range strings.Lines(table) {
			if line = strings.TrimSpace(line); line != "" {
				f := parse(line)
				byPath[f.Path] = f
			}
		}
	}
	c := &catalogue{index: make(map[string]int32, len(byPath)), objects: map[string]bool{}, free: map[string]bool{}}
	for _, f := range byPath {
		c.fields = append(c.fields, f)
	}
	slices.SortFunc(c.fields, func(a, b Field) int { return strings.Compare(a.Path, b.Path) })
	for i, f := range c.fields { // a field comes before those below it
		c.index[f.Path] = int32(i)
		if f.Type == event.ObjectType || f.Type == event.Nested {
			c.free[f.Path] = true
		}
		for at := range f.Path {
			if f.Path[at] != '.' {
				continue
			}
			parent := f.Path[:at]
			delete(c.free, parent)
			if _, declared := byPath[parent]; !declared {
				c.objects[parent] = true
			}
		}
	}
	return c
}

// parse reads a line of a table: path, type, then any of "list", "multi" (a multi-field of the path above it) and "max=N"
// (values longer than that are not indexed). The type is called what mappings call it.
func parse(line string) Field {
	words := strings.Fields(line)
	t, ok := event.TypeNamed(words[1])
	if !ok {
		panic(fmt.Sprintf("ecs: the table has a field of an unknown type: %q", line))
	}
	f := Field{Path: words[0], Type: t}
	for _, w := range words[2:] {
		switch n, limited := strings.CutPrefix(w, "max="); {
		case w == "list":
			f.List = true
		case w == "multi":
			f.Of = f.Path[:strings.LastIndexByte(f.Path, '.')]
		case limited:
			f.IgnoreAbove, _ = strconv.Atoi(n)
		default:
			panic(fmt.Sprintf("ecs: the table has an unknown word: %q", line))
		}
	}
	return f
}
