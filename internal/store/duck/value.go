package duck

import (
	"math"
	"strconv"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// scalar is an expression in SQL: NULL where the plan's is null, else of the kind.
type scalar struct {
	sql   string
	kind  event.Kind // KindNull: always null
	ascii bool       // of a text: whether it is all ASCII
}

// value writes an expression over the segment; false where SQL does not compute it as Go does.
func (s *segment) value(x expr.Value) (scalar, bool) {
	switch x := x.(type) {
	case expr.Lit:
		return literalOf(x.Value)
	case expr.One:
		return s.one(x.Field)
	case expr.Call:
		args := make([]scalar, len(x.Args))
		for i, a := range x.Args {
			v, ok := s.value(a)
			if !ok {
				return scalar{}, false
			}
			args[i] = v
		}
		return call(x.Fn, args)
	}
	return scalar{}, false
}

// held returns the column that holds all values of f, as f reads them; false where there is none.
func (s *segment) held(f expr.Field) (i int, read func(value string) string, ok bool) {
	i, ok = s.layout.byPath[f.Path]
	if !ok || f.Root || s.wild.has(i) || s.stated(f.Path) {
		return 0, nil, false
	}
	fits, read, ok := readable(f.Type)
	return i, read, ok && fits(s.layout.columns[i])
}

// one reads a field that has one value.
func (s *segment) one(f expr.Field) (scalar, bool) {
	i, read, ok := s.held(f)
	if !ok {
		return scalar{}, false
	}
	c, name := s.layout.columns[i], s.layout.value(i)
	if c.List {
		name = "(CASE WHEN len(" + name + ") = 1 THEN " + name + "[1] END)"
	}
	return scalar{sql: read(name), kind: c.kind(), ascii: !s.wide.has(i)}, true
}

// kind is the kind of the values that queries of the column's type read.
func (c column) kind() event.Kind {
	switch {
	case c.isText():
		return event.KindString
	case c.Type == event.Long:
		return event.KindInt
	case c.Type == event.Double:
		return event.KindFloat
	case c.Type == event.Boolean:
		return event.KindBool
	case c.Type == event.Date:
		return event.KindTime
	}
	return event.KindIP
}

func literalOf(v event.Value) (scalar, bool) {
	s := scalar{kind: v.Kind()}
	switch v.Kind() {
	case event.KindNull:
		s.sql = "NULL"
		return s, true
	case event.KindString:
		var ok bool
		s.sql, ok = quote(v.Str())
		_, s.ascii = plainText(v.Str())
		return s, ok
	case event.KindBool:
		s.sql = strconv.FormatBool(v.Bool())
	case event.KindInt, event.KindTime:
		s.sql = integer(v.Int())
	case event.KindFloat:
		f := v.Float()
		if f == 0 {
			f = 0 // -0 equals it, and is another group
		}
		s.sql = double(f)
		return s, !math.IsNaN(f) && !math.IsInf(f, 0)
	case event.KindIP:
		s.sql = blob(addressOf(v))
	default:
		return s, false
	}
	return s, true
}

func call(fn string, args []scalar) (scalar, bool) {
	one := func(kind event.Kind) bool { return len(args) == 1 && args[0].kind == kind }
	switch fn {
	case "coalesce":
		out := scalar{ascii: true}
		var parts []string
		for _, a := range args {
			if a.kind == event.KindNull {
				continue
			}
			if out.kind != event.KindNull && out.kind != a.kind {
				return scalar{}, false
			}
			out.kind, out.ascii = a.kind, out.ascii && a.ascii
			parts = append(parts, a.sql)
		}
		out.sql = "coalesce(" + strings.Join(parts, ", ") + ")"
		if len(parts) == 0 {
			out.sql = "NULL"
		}
		return out, true
	case "day":
		const day = "86400000"
		if !one(event.KindTime) {
			return scalar{}, false
		}
		x := args[0].sql
		return scalar{sql: "(" + x + " - ((" + x + " % " + day + ") + " + day + ") % " + day + ")", kind: event.KindTime}, true
	case "length":
		if !one(event.KindString) {
			return scalar{}, false
		}
		return scalar{sql: "length(" + args[0].sql + ")", kind: event.KindInt}, true
	case "to_lower", "to_upper":
		if !one(event.KindString) || fn == "to_upper" && !args[0].ascii {
			return scalar{}, false
		}
		name := map[string]string{"to_lower": "lower", "to_upper": "upper"}[fn]
		return scalar{sql: name + "(" + args[0].sql + ")", kind: event.KindString, ascii: args[0].ascii}, true
	}
	return scalar{}, false
}

// integer writes a BIGINT; the least one has no literal of its own.
func integer(n int64) string {
	if n == math.MinInt64 {
		return "(-9223372036854775807::BIGINT - 1)"
	}
	return strconv.FormatInt(n, 10) + "::BIGINT"
}

func double(f float64) string { return "'" + strconv.FormatFloat(f, 'g', -1, 64) + "'::DOUBLE" }
