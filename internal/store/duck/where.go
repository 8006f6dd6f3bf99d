package duck

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// clause is what SQL can say of a condition on the rows of one segment. It lets pass every row for which the condition is
// True; exact says that it lets pass no other, so that nothing is left to check. NULL counts as false: nothing is negated
// but by IS NOT TRUE, so that DuckDB can leave out row groups by their bounds.
type clause struct {
	sql   string
	exact bool
}

const (
	sqlTrue  = "true"
	sqlFalse = "false"
)

var (
	anyRow  = clause{sql: sqlTrue} // nothing is known: every row is to be checked
	noRow   = clause{sqlFalse, true}
	allRows = clause{sqlTrue, true}
)

// Bounds on the SQL of one condition: beyond them rows are checked one by one, which is slower and the same.
const (
	maxClauses     = 1_000
	maxClauseDepth = 100
	maxClauseIn    = 2_000
	maxNeedles     = 8
)

// whereWriter turns conditions into SQL for one segment.
type whereWriter struct {
	seg     *segment
	lookups *lookups
	leaves  int
}

// where returns the clause of c in the segment, to be looked at and not to be run.
func (s *segment) where(c expr.Cond) clause { return s.whereWith(c, nil) }

// whereWith returns the clause of c in the segment, for a query that has these lookups.
func (s *segment) whereWith(c expr.Cond, l *lookups) clause {
	if c == nil {
		return allRows
	}
	w := whereWriter{seg: s, lookups: l}
	return w.cond(c, false, 0)
}

// cond returns the clause of c; with not, that of its opposite.
func (w *whereWriter) cond(c expr.Cond, not bool, depth int) clause {
	if depth > maxClauseDepth {
		return anyRow
	}
	switch c := c.(type) {
	case expr.Const:
		if c.Value != not {
			return allRows
		}
		return noRow
	case expr.And:
		return w.join(c.Conds, not, !not, depth)
	case expr.Or:
		return w.join(c.Conds, not, not, depth)
	case expr.Not:
		return w.cond(c.Cond, !not, depth+1)
	}
	if w.leaves++; w.leaves > maxClauses {
		return anyRow
	}
	switch c := c.(type) {
	case expr.In:
		if w.seg.lacks(c) {
			return opposite(noRow, not)
		}
		return w.any(c.Field, not, oneOf(c), inRest(c))
	case expr.Member:
		return w.member(c, not)
	case expr.Range:
		if cl, decided := w.whole(c, not); decided {
			return cl
		}
		return w.any(c.Field, not, within(c), restClause{})
	case expr.Like:
		return w.any(c.Field, not, w.like(c), likeRest(c))
	case expr.Regexp:
		return w.any(c.Field, not, w.regexp(c), regexRest(c))
	case expr.Words:
		return w.any(c.Field, not, words(c), restClause{})
	case expr.Exists:
		return w.exists(c, not)
	case expr.Anywhere:
		return w.anywhere(c, not)
	case expr.Cmp:
		return w.cmp(c, not)
	case expr.IsNull:
		return w.isNull(c, not)
	}
	return anyRow
}

// opposite returns cl, or what is left where it holds exactly.
func opposite(cl clause, not bool) clause {
	switch {
	case !not:
		return cl
	case cl == noRow:
		return allRows
	case cl == allRows:
		return noRow
	}
	return anyRow
}

// join puts clauses together, by AND or by OR.
func (w *whereWriter) join(conds []expr.Cond, not, and bool, depth int) clause {
	word, neutral, absorbing := " OR ", noRow, allRows
	if and {
		word, neutral, absorbing = " AND ", allRows, noRow
	}
	exact := true
	var parts []string
	for _, c := range conds {
		cl := w.cond(c, not, depth+1)
		if cl.sql == absorbing.sql {
			return cl
		}
		exact = exact && cl.exact
		if cl.sql != neutral.sql {
			parts = append(parts, cl.sql)
		}
	}
	if !and {
		for _, part := range parts {
			if slices.Contains(parts, "("+part+" IS NOT TRUE)") {
				return clause{sqlTrue, exact}
			}
		}
	}
	switch len(parts) {
	case 0:
		return clause{neutral.sql, exact}
	case 1:
		return clause{parts[0], exact}
	}
	return clause{"(" + strings.Join(parts, word) + ")", exact}
}

// restClause says what stands in rest where one of a field's values satisfies a condition: one of needles.
type restClause struct {
	never   bool
	needles []string // already escaped; nil: any value
}

// test is a condition on one value of a column, written over the name of the value; nil where SQL cannot say it.
type test struct {
	fits  func(c column) bool
	sql   func(value string) string
	exact bool
}

// any is the clause of "any value of f passes t"; rest says what stands in rest where one does. Without t every row is to
// be checked where the field has a column.
func (w *whereWriter) any(f expr.Field, not bool, t *test, rest restClause) clause {
	if w.seg.stated(f.Path) {
		return anyRow
	}
	i, held := w.seg.layout.byPath[f.Path]
	if held && f.Root {
		return anyRow
	}
	if !held {
		return inRestOf(f, not, rest)
	}
	c := w.seg.layout.columns[i]
	if t == nil || !t.fits(c) {
		return anyRow
	}
	name := w.seg.layout.value(i)
	sql := "(" + t.sql(name) + ")"
	if c.List {
		sql = "(len(list_filter(" + name + ", lambda x: " + t.sql("x") + ")) > 0)"
	}
	wild := w.seg.wild.has(i)
	switch {
	case not && !t.exact:
		return anyRow
	case not:
		return clause{"(" + sql + " IS NOT TRUE)", !wild}
	case wild:
		if more := inRestOf(f, false, rest); more.sql != sqlFalse {
			if more.sql == sqlTrue {
				return anyRow
			}
			return clause{"(" + sql + " OR " + more.sql + ")", false}
		}
	}
	return clause{sql, t.exact && !wild}
}

// member is the clause of a value in a set. It is exact: the set decides, on all that the segment has of the field.
func (w *whereWriter) member(c expr.Member, not bool) clause {
	if c.Set.Len() == 0 {
		return opposite(noRow, not)
	}
	i, held := w.seg.layout.byPath[c.Field.Path]
	if w.seg.stated(c.Field.Path) || held && c.Field.Root {
		return anyRow
	}
	var parts []string
	if held {
		col, name := w.seg.layout.columns[i], w.seg.layout.value(i)
		fits, _, ok := readable(c.Field.Type)
		if c.Field.Type.IsText() {
			fits, ok = column.isText, true
		}
		if !ok || !fits(col) {
			return anyRow
		}
		if col.List {
			parts = append(parts, "(len(list_filter("+name+", lambda x: "+w.lookups.call(c, false, "x")+")) > 0)")
		} else {
			parts = append(parts, w.lookups.call(c, false, name))
		}
	}
	if !held || w.seg.wild.has(i) {
		there := inRestOf(c.Field, false, restClause{})
		if there == anyRow {
			there.sql = "rest IS NOT NULL"
		}
		parts = append(parts, "("+there.sql+" AND "+w.lookups.call(c, true, fixed(colRest))+")")
	}
	sql := "(" + strings.Join(parts, " OR ") + ")"
	if not {
		sql = "(" + sql + " IS NOT TRUE)"
	}
	return clause{sql, true}
}

// inRestOf is the clause of a field whose values stand in rest: its last key does, and one of the needles. What JSON cannot
// say stands there in a form of its own, in which no needle is found.
func inRestOf(f expr.Field, not bool, r restClause) clause {
	key, ok := escaped(f.Path[strings.LastIndexByte(f.Path, '.')+1:])
	if not || !ok {
		return anyRow
	}
	if !f.Root { // the keys of trees that begin with it are a flattened field's, too
		key += `":`
	}
	literal, _ := quote(key)
	sql := "contains(rest, " + literal + ")"
	if r.never {
		return noRow
	}
	if len(r.needles) > 0 {
		var found []string
		for _, n := range r.needles {
			needle, _ := quote(n)
			found = append(found, "contains(rest, "+needle+")")
		}
		sql += " AND (" + strings.Join(found, " OR ") + ")"
	}
	return clause{sql: `(` + sql + ` OR contains(rest, '\u0000'))`}
}

// escaped writes s as it stands between the quotes in rest; false for what does not stand there as it is.
func escaped(s string) (string, bool) {
	if !utf8.ValidString(s) {
		return "", false
	}
	return string(appendEscaped(nil, s)), true
}

// isPlain reports whether values of the type are texts that a query reads as they are.
func isPlain(t event.Type) bool {
	return t == event.Keyword || t == event.ConstantKeyword || t == event.Wildcard || t == event.Flattened
}

// readable returns how texts of a column read as type t are written over the name of a value; false where SQL does not
// read them so, or where the column has another type.
func readable(t event.Type) (fits func(c column) bool, read func(value string) string, ok bool) {
	same := func(value string) string { return value }
	switch {
	case isPlain(t):
		return column.isText, same, true
	case t == event.Caseless:
		return column.isText, func(value string) string { return "lower(" + value + ")" }, true
	case t == event.Long || t == event.Double || t == event.Boolean || t == event.IPType || t == event.Date:
		return func(c column) bool { return c.Type == t }, same, true
	}
	return nil, nil, false
}

// literal writes a value as the columns of type t hold it; false where none can.
func literal(t event.Type, v event.Value) (string, bool) {
	switch {
	case (isPlain(t) || t == event.Caseless) && v.Kind() == event.KindString:
		return quote(v.Str())
	case t == event.Long && v.Kind() == event.KindInt, t == event.Date && v.Kind() == event.KindTime:
		return integer(v.Int()), true
	case t == event.Double && v.Kind() == event.KindFloat:
		return double(v.Float()), !math.IsNaN(v.Float()) // which Go finds equal to every number
	case t == event.Boolean && v.Kind() == event.KindBool:
		return strconv.FormatBool(v.Bool()), true
	case t == event.IPType && v.Kind() == event.KindIP:
		return blob(addressOf(v)), true
	}
	return "", false
}

// hasKind reports whether v is what Coerce makes of values of type t.
func hasKind(t event.Type, v event.Value) bool {
	_, ok := literal(t, v)
	return ok || (isPlain(t) || t == event.Caseless) && v.Kind() == event.KindString
}

func oneOf(c expr.In) *test {
	fits, read, ok := readable(c.Field.Type)
	if !ok || len(c.Values) > maxClauseIn {
		return nil
	}
	var list []string
	for _, v := range c.Values {
		if !hasKind(c.Field.Type, v) {
			return nil
		}
		if l, held := literal(c.Field.Type, v); held {
			list = append(list, l)
		}
	}
	return &test{fits: fits, exact: true, sql: func(value string) string {
		switch len(list) {
		case 0:
			return sqlFalse
		case 1:
			return read(value) + " = " + list[0]
		}
		return read(value) + " IN (" + strings.Join(list, ", ") + ")"
	}}
}

func inRest(c expr.In) restClause {
	if !isPlain(c.Field.Type) || len(c.Values) > maxNeedles {
		return restClause{}
	}
	if len(c.Values) == 0 {
		return restClause{never: true}
	}
	var needles []string
	for _, v := range c.Values {
		n, ok := escaped(v.Text())
		if !ok || n == "" {
			return restClause{}
		}
		needles = append(needles, n)
	}
	return restClause{needles: needles}
}

func within(c expr.Range) *test {
	fits, read, ok := readable(c.Field.Type)
	if !ok || c.Min.Value.IsNull() && c.Max.Value.IsNull() {
		return nil
	}
	var bounds []string
	for _, end := range []struct {
		expr.Bound
		op string
	}{{c.Min, ">"}, {c.Max, "<"}} {
		if end.Value.IsNull() {
			continue
		}
		l, ok := literal(c.Field.Type, end.Value)
		if !ok {
			return nil
		}
		op := end.op
		if end.Inclusive {
			op += "="
		}
		bounds = append(bounds, op+" "+l)
	}
	return &test{fits: fits, exact: true, sql: func(value string) string {
		parts := make([]string, len(bounds))
		for i, b := range bounds {
			parts[i] = read(value) + " " + b
		}
		return "(" + strings.Join(parts, " AND ") + ")"
	}}
}

// whole decides a range of time by what the segment holds: nothing within it, or nothing outside.
func (w *whereWriter) whole(c expr.Range, not bool) (clause, bool) {
	i, held := w.seg.layout.byPath[c.Field.Path]
	if !held || w.seg.wild.has(i) || w.seg.stated(c.Field.Path) || c.Field.Type != event.Date || c.Field.Root {
		return clause{}, false
	}
	all := allRows // every event has a @timestamp
	var b bounds
	switch c.Field.Path {
	case plan.Timestamp:
		b = w.seg.time
	case plan.Ingested:
		b, all.sql = w.seg.ingested, "("+w.seg.layout.name(i)+" IS NOT NULL)"
	default:
		return clause{}, false
	}
	least, most := c.Min.Value, c.Max.Value
	timed := func(v event.Value) bool { return v.IsNull() || v.Kind() == event.KindTime }
	switch {
	case !timed(least) || !timed(most):
		return clause{}, false
	case !b.some:
		return opposite(noRow, not), true
	case !least.IsNull() && least.Int() > b.max || !most.IsNull() && most.Int() < b.min:
		return opposite(noRow, not), true
	case !least.IsNull() && (least.Int() > b.min || least.Int() == b.min && !c.Min.Inclusive):
		return clause{}, false
	case !most.IsNull() && (most.Int() < b.max || most.Int() == b.max && !c.Max.Inclusive):
		return clause{}, false
	case not && all != allRows:
		all.sql = "(" + all.sql + " IS NOT TRUE)"
		return all, true
	}
	return opposite(all, not), true
}

// words can only say that the tokens stand in the text: what stands around them is checked row by row.
func words(c expr.Words) *test {
	if len(c.Tokens) > maxNeedles {
		return nil
	}
	var tokens []string
	for _, token := range c.Tokens {
		if l, ok := quote(token); ok {
			tokens = append(tokens, l)
		} else if c.Phrase {
			return nil
		}
	}
	word := " OR "
	if c.Phrase {
		word = " AND "
	}
	return &test{fits: column.isText, sql: func(value string) string {
		parts := []string{sqlFalse}
		if c.Phrase && len(tokens) > 0 {
			parts = nil
		}
		for _, l := range tokens {
			parts = append(parts, "contains(lower("+value+"), "+l+")")
		}
		return "(" + strings.Join(parts, word) + ")"
	}}
}

func (w *whereWriter) exists(c expr.Exists, not bool) clause {
	switch c.Field.Type {
	case event.ObjectType, event.Nested, event.GeoPoint:
		return anyRow
	}
	everything := &test{exact: true, sql: func(value string) string { return value + " IS NOT NULL" }}
	everything.fits = func(col column) bool {
		return col.Type == c.Field.Type || col.isText() && (isPlain(c.Field.Type) || c.Field.Type == event.Caseless || c.Field.Type.IsText())
	}
	return w.any(expr.Field{Path: c.Field.Path, Type: plainOf(c.Field), Root: c.Field.Root}, not, everything,
		restClause{})
}

// plainOf is the type by which the existence of a value is read: case does not matter to it.
func plainOf(f expr.Field) event.Type {
	if f.Type == event.Caseless {
		return event.Keyword
	}
	return f.Type
}

var cmpOps = [...]string{expr.Equal: "=", expr.NotEqual: "<>", expr.Less: "<", expr.LessEqual: "<=", expr.Greater: ">",
	expr.GreaterEqual: ">="}

func (w *whereWriter) cmp(c expr.Cmp, not bool) clause {
	left, ok := w.seg.value(c.Left)
	right, also := w.seg.value(c.Right)
	switch {
	case !ok || !also:
		return anyRow
	case left.kind == event.KindNull || right.kind == event.KindNull: // neither true nor false
		return noRow
	case left.kind != right.kind:
		return anyRow
	}
	sql := left.sql + " " + cmpOps[c.Op] + " " + right.sql
	if not {
		sql = "NOT (" + sql + ")"
	}
	return clause{"(" + sql + ")", true}
}

func (w *whereWriter) isNull(c expr.IsNull, not bool) clause {
	v, ok := w.seg.value(c.Value)
	switch {
	case !ok:
		return anyRow
	case v.kind == event.KindNull:
		return opposite(allRows, not)
	case not:
		return clause{"(" + v.sql + " IS NOT NULL)", true}
	}
	return clause{"(" + v.sql + " IS NULL)", true}
}
