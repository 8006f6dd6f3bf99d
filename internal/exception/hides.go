package exception

import (
	"fmt"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// hidesAll warns of items that hide every event, alone or two together: what one does not hide the other does. It finds the
// plain cases.
func hidesAll(items []lowered) diag.List {
	var out diag.List
	seen := map[string]*Item{}
	for _, item := range items {
		if always(item.cond) {
			out = append(out, item.at.say(diag.Warning, CodeHidesAll, "let its entries say what is known to be harmless",
				fmt.Sprintf("%s hides every event", item.title())))
			continue
		}
		if other := seen[expr.String(plain(not(item.cond)))]; other != nil {
			out = append(out, item.at.say(diag.Warning, CodeHidesAll, "the entries of one exception must all hold, of two one is enough",
				fmt.Sprintf("%s and %s together hide every event", other.title(), item.title())))
		}
		seen[expr.String(item.cond)] = item.Item
	}
	return out
}

// plain takes a doubled not away.
func plain(c expr.Cond) expr.Cond {
	if n, ok := c.(expr.Not); ok {
		if inner, ok := n.Cond.(expr.Not); ok {
			return plain(inner.Cond)
		}
	}
	return c
}

// always reports whether c is true of every event, in the plain cases.
func always(c expr.Cond) bool {
	switch c := c.(type) {
	case expr.Const:
		return c.Value
	case expr.Not:
		return never(c.Cond)
	case expr.Exists:
		return c.Field.Path == plan.Timestamp
	case expr.And:
		for _, sub := range c.Conds {
			if !always(sub) {
				return false
			}
		}
		return true
	}
	return false
}

// never reports whether c is true of no event, in the plain cases.
func never(c expr.Cond) bool {
	switch c := c.(type) {
	case expr.Const:
		return !c.Value
	case expr.In:
		return len(c.Values) == 0
	case expr.Member:
		return c.Set.Len() == 0
	case expr.Not:
		return always(c.Cond)
	case expr.Nested:
		return never(c.Cond)
	case expr.Words:
		return len(c.Tokens) == 0
	}
	return false
}
