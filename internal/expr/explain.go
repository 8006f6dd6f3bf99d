package expr

import "github.com/tocsin-sec/tocsin/internal/event"

// Explained is what a condition, and every part of it, comes to for an event.
type Explained struct {
	Cond  Cond
	Truth Truth
	// Parts are those of And, Or, Not and Holds, all of them, in order. What stands inside another condition is one with it.
	Parts []Explained
}

// Explain evaluates c on e and says how it came about. The Truth of each part is what Eval gives.
func Explain(c Cond, e *event.Event) Explained {
	x := Explained{Cond: c}
	each := func(conds []Cond) {
		x.Parts = make([]Explained, len(conds))
		for i, sub := range conds {
			x.Parts[i] = Explain(sub, e)
		}
	}
	switch c := c.(type) {
	case And:
		each(c.Conds)
		x.Truth = True
		for _, part := range x.Parts {
			x.Truth = min(x.Truth, part.Truth)
		}
	case Or:
		each(c.Conds)
		for _, part := range x.Parts {
			x.Truth = max(x.Truth, part.Truth)
		}
	case Not:
		each([]Cond{c.Cond})
		x.Truth = True - x.Parts[0].Truth
	case Holds:
		each([]Cond{c.Cond})
		x.Truth = truth(x.Parts[0].Truth == True)
	default:
		x.Truth = Eval(c, e)
	}
	return x
}
