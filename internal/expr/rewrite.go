package expr

// Rewrite returns c with other leaves: leaf is given every condition that And, Or, Not and Nested are made of, and returns
// what stands in its place. c is not changed.
func Rewrite(c Cond, leaf func(Cond) Cond) Cond {
	switch c := c.(type) {
	case And:
		return And{Conds: rewriteAll(c.Conds, leaf)}
	case Or:
		return Or{Conds: rewriteAll(c.Conds, leaf)}
	case Not:
		return Not{Cond: Rewrite(c.Cond, leaf)}
	case Nested:
		return Nested{Path: c.Path, Cond: Rewrite(c.Cond, leaf)}
	}
	return leaf(c)
}

func rewriteAll(conds []Cond, leaf func(Cond) Cond) []Cond {
	out := make([]Cond, len(conds))
	for i, c := range conds {
		out[i] = Rewrite(c, leaf)
	}
	return out
}
