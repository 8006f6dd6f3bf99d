package expr

import "github.com/tocsin-sec/tocsin/internal/event"

// Indexed returns c with a Member in place of every In of more than most values, so that looking one up takes the same
// time however many there are; and of more than most alternative Likes of one field, one condition that reads the field
// once. The meaning is the same. Making the sets takes a few milliseconds for 10,000 values: it is for whoever evaluates c
// often.
func Indexed(c Cond, most int) Cond {
	out, _ := indexed(c, most)
	return out
}

// indexed is Indexed; changed says whether out is another condition.
func indexed(c Cond, most int) (out Cond, changed bool) {
	switch c := c.(type) {
	case And:
		conds, changed := indexedAll(c.Conds, most)
		return And{conds}, changed
	case Or:
		conds, changed := indexedAll(c.Conds, most)
		if likes := joinLikes(conds, most); len(likes) < len(conds) {
			conds, changed = likes, true
		}
		return Or{conds}, changed
	case Not:
		sub, changed := indexed(c.Cond, most)
		return Not{sub}, changed
	case Holds:
		sub, changed := indexed(c.Cond, most)
		return Holds{sub}, changed
	case Nested:
		sub, changed := indexed(c.Cond, most)
		return Nested{c.Path, sub}, changed
	case In:
		if m, ok := c.member(most); ok {
			return m, true
		}
	}
	return c, false
}

// indexedAll leaves conds as they are.
func indexedAll(conds []Cond, most int) (out []Cond, changed bool) {
	out = conds
	for i, c := range conds {
		sub, other := indexed(c, most)
		if other && !changed {
			out, changed = append([]Cond(nil), conds...), true
		}
		if other {
			out[i] = sub
		}
	}
	return out, changed
}

// member is c as a Member; false where it has few values, or its values may be equal and have other keys.
func (c In) member(most int) (Member, bool) {
	switch t := c.Field.Type; {
	case len(c.Values) <= most:
		return Member{}, false
	case !t.IsKeyword() && t != event.Long && t != event.Date && t != event.IPType:
		return Member{}, false
	}
	b := NewSet(c.Field.Type)
	for _, v := range c.Values {
		if !b.Add(v) {
			return Member{}, false
		}
	}
	set, err := b.Set()
	return Member{Field: c.Field, Set: set}, err == nil
}

// joinLikes puts the patterns that one field may fit into one condition, where they are more than most.
func joinLikes(conds []Cond, most int) []Cond {
	type kind struct {
		field Field
		fold  bool
	}
	kindOf := func(c Cond) (kind, bool) {
		like, ok := c.(Like)
		return kind{like.Field, like.Fold}, ok && !like.Field.Type.IsText()
	}
	patterns := map[kind][]Pattern{}
	for _, c := range conds {
		if k, ok := kindOf(c); ok {
			p := c.(Like).Pattern
			if k.fold {
				p = p.folded()
			}
			patterns[k] = append(patterns[k], p)
		}
	}
	var out []Cond
	for _, c := range conds {
		k, ok := kindOf(c)
		switch of := patterns[k]; {
		case !ok || of != nil && len(of) <= most:
			out = append(out, c)
		case of != nil: // the first of them
			out = append(out, Each{Field: k.field, Cond: Fits{Value: This{}, Patterns: of, Fold: k.fold}})
			patterns[k] = nil
		}
	}
	return out
}
