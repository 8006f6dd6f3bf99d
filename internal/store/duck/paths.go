package duck

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// pathSets knows the paths that each stream holds, each with the last day on which an event has it, so that retention
// can forget those that no segment holds any more. Only the writer changes it.
type pathSets struct {
	mu     sync.RWMutex
	byName map[int32]map[string]*pathState
}

// pathState is a path of a stream.
type pathState struct {
	day   store.Day
	typ   event.Type
	check bool // whether values of typ can be misfits
}

func (p *pathSets) put(stream int32, path string, st *pathState) {
	set := p.byName[stream]
	if set == nil {
		set = map[string]*pathState{}
		p.byName[stream] = set
	}
	set[path] = st
}

// newPathState returns the state of a path that was last seen on day.
func newPathState(types func(string) (event.Type, bool), path string, day store.Day) *pathState {
	st := &pathState{day: day}
	if types != nil {
		t, declared := types(path)
		st.typ, st.check = t, declared && canMisfit(t)
	}
	return st
}

// sorted returns the paths of a stream.
func (p *pathSets) sorted(stream int32) []string {
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := make([]string, 0, len(p.byName[stream]))
	for path := range p.byName[stream] {
		out = append(out, path)
	}
	sort.Strings(out)
	return out[:min(len(out), store.MaxPaths)]
}

// pathNotes are the paths that one commit adds to a stream, or sees on a later day than before.
type pathNotes struct {
	known map[string]*pathState
	fresh map[string]*pathState
	types func(path string) (event.Type, bool)
}

// note says that an event of the day has a value at path.
func (p *pathNotes) note(path []byte, day store.Day) *pathState {
	st := p.known[string(path)]
	if st != nil && st.day >= day {
		return st
	}
	if newer := p.fresh[string(path)]; newer != nil {
		newer.day = max(newer.day, day)
		return newer
	}
	name := string(path)
	next := newPathState(p.types, name, day)
	p.fresh[name] = next
	return next
}

// canMisfit reports whether there are scalars that a field of type t cannot read.
func canMisfit(t event.Type) bool {
	switch t {
	case event.Long, event.Double, event.Boolean, event.IPType, event.Date:
		return true
	}
	return false
}

// walk notes the paths of all values at and below path and returns how many of them misfit. It uses and returns path's
// memory.
func (p *pathNotes) walk(path []byte, v event.Value, day store.Day) (misfits int) {
	switch v.Kind() {
	case event.KindNull:
	case event.KindList:
		for _, item := range v.Items() {
			misfits += p.walk(path, item, day)
		}
	case event.KindObject:
		n := len(path)
		for _, m := range v.Members() {
			path = append(append(path[:n], '.'), m.Key...)
			misfits += p.walk(path, m.Value, day)
		}
	default:
		if st := p.note(path, day); st.check {
			if _, fits := event.Coerce(st.typ, v); !fits {
				misfits++
			}
		}
	}
	return misfits
}

// savePaths writes the paths that a commit adds or moves, and returns them for take. Beyond store.MaxPaths a stream
// keeps the least.
func (s *Store) savePaths(ctx context.Context, c *conn, n *commit) error {
	some := false
	for _, notes := range n.paths {
		some = some || len(notes.fresh) > 0
	}
	if !some {
		return nil
	}
	a, err := c.appendTo(catalogName, "path", []columnType{typeInteger, typeBlob, typeInteger})
	if err != nil {
		return err
	}
	defer a.close()
	for stream, notes := range n.paths {
		var moved []string
		greatest := ""
		if len(notes.known) >= store.MaxPaths && len(notes.fresh) > 0 {
			for path := range notes.known {
				greatest = max(greatest, path)
			}
		}
		fresh := make([]string, 0, len(notes.fresh))
		for path := range notes.fresh {
			fresh = append(fresh, path)
		}
		slices.Sort(fresh)
		added := 0
		for _, path := range fresh {
			if notes.known[path] != nil {
				moved = append(moved, blob(path))
			} else if added++; greatest != "" && path > greatest || added > store.MaxPaths {
				delete(notes.fresh, path)
				continue
			}
			a.int32(0, stream)
			a.text(1, path)
			a.int32(2, int32(notes.fresh[path].day))
			if err := a.next(); err != nil {
				return err
			}
		}
		for len(moved) > 0 {
			some := moved[:min(len(moved), 1000)]
			moved = moved[len(some):]
			err := c.exec(ctx, fmt.Sprintf("DELETE FROM path WHERE stream = %d AND path IN (%s)", stream, strings.Join(some, ",")))
			if err != nil {
				return err
			}
		}
	}
	return a.flush()
}

// takePaths makes the paths of a commit known.
func (s *Store) takePaths(n *commit) {
	s.paths.mu.Lock()
	defer s.paths.mu.Unlock()
	for stream, notes := range n.paths {
		set := s.paths.byName[stream]
		if set == nil {
			set = map[string]*pathState{}
			s.paths.byName[stream] = set
		}
		for path, st := range notes.fresh {
			set[path] = st
		}
	}
}
