package storetest

import (
	"math/rand/v2"
	"strings"
	"unicode"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// planner makes random plans. It knows the rows that a plan gives so far and takes values from them, so that conditions
// hit.
type planner struct {
	r      *rand.Rand
	fields []expr.Field // that conditions read
	rows   []*event.Event
}

// readable are the fields of random events, each as declared, some of them read by other types too.
func readable() []expr.Field {
	var out []expr.Field
	add := func(path string, types ...event.Type) {
		for _, t := range types {
			out = append(out, expr.Field{Path: path, Type: t})
		}
	}
	for _, name := range fieldNames() {
		f, _ := resolver{}.Field(name)
		out = append(out, f)
	}
	for _, name := range []string{"process.command_line.caseless", "user.name.caseless", "user.name.text", "user_agent.original.text"} {
		out = append(out, multiFields[name])
	}
	const flat = "aws.cloudtrail.flattened.request_parameters"
	add("@timestamp", event.Date, event.Date)
	for _, key := range []string{".bucketName", ".a.b", ".a.c", ".list.k", ".count", ".nothing"} {
		add(flat+key, event.Flattened)
	}
	add(flat+".count", event.Long)
	add(flat, event.Flattened, event.ObjectType)
	add("files.hash.md5", event.Keyword)
	add("files.hash.sha1", event.Keyword)
	add("files.hash", event.ObjectType)
	add("files", event.Keyword)
	add("resources.type", event.Keyword)
	add("resources.ARN", event.Keyword, event.Caseless)
	add("resources.n", event.Long, event.Double)
	add("free.text", event.Keyword, event.Text)
	add("free.number", event.Long, event.Keyword, event.Double)
	add("free.way", event.Keyword)
	add("free.way.below", event.Long)
	add("free", event.ObjectType)
	add("odd.a b", event.Long)
	add("odd.ü", event.Keyword)
	add("custom", event.Keyword)
	add("kibana.alert.workflow_status", event.Keyword)
	add("no.such.field", event.Keyword, event.Date)
	// Declared one way, read another.
	add("source.port", event.Keyword, event.Double)
	add("event.risk_score", event.Long, event.Keyword)
	add("custom.when", event.Keyword, event.Long)
	add("custom.flag", event.Keyword)
	add("source.ip", event.Keyword, event.Wildcard)
	add("user.name", event.ConstantKeyword, event.Date)
	add("message", event.Keyword, event.PatternText)
	add("event.ingested", event.Keyword)
	add("event.duration", event.Double)
	return out
}

// kinds of fields that a node can read.
func isText(t event.Type) bool   { return t.IsKeyword() || t.IsText() }
func isScalar(t event.Type) bool { return t < event.Nested }

// field picks a field whose type is wanted, one that a row has a value of if there is any.
func (g *planner) field(wanted func(event.Type) bool) expr.Field {
	for try := 0; ; try++ {
		f := pick(g.r, g.fields)
		if !wanted(f.Type) {
			if try > 500 {
				return expr.Field{Path: "@timestamp", Type: event.Date}
			}
			continue
		}
		if _, ok := g.sample(f); ok || try > 5 || chance(g.r, 10) {
			return f
		}
	}
}

// sample returns a value of f in one of the rows.
func (g *planner) sample(f expr.Field) (event.Value, bool) {
	if len(g.rows) == 0 {
		return event.Value{}, false
	}
	for range 6 {
		if values := expr.Read(f, pick(g.r, g.rows)); len(values) > 0 {
			return pick(g.r, values), true
		}
	}
	return event.Value{}, false
}

// typed returns a value for a field of type t: one of f's, most of the time.
func (g *planner) typed(f expr.Field) event.Value {
	if chance(g.r, 85) {
		if v, ok := g.sample(f); ok {
			if v, ok = event.Coerce(f.Type, g.shift(v)); ok {
				return v
			}
		}
	}
	for {
		v := pick(g.r, pick(g.r, pools).values)
		if typed, ok := event.Coerce(f.Type, v); ok {
			return typed
		}
	}
}

// shift moves a value a little, now and then.
func (g *planner) shift(v event.Value) event.Value {
	if chance(g.r, 75) {
		return v
	}
	switch v.Kind() {
	case event.KindInt:
		if n := v.Int() + int64(g.r.IntN(3)-1); (n > v.Int()) == (n-v.Int() > 0) {
			return event.Int(n)
		}
	case event.KindFloat:
		return event.Float(v.Float() * 1.5)
	case event.KindTime:
		moved := event.Millis(v.Int() + int64(g.r.IntN(3)-1))
		if _, ok := event.ParseTime(moved.Text()); ok { // years of five digits cannot be written
			return moved
		}
	case event.KindString:
		if chance(g.r, 50) {
			return event.String(strings.ToUpper(v.Str()))
		}
		return event.String(v.Str() + "x")
	}
	return v
}

// cond makes a condition of at most the given depth.
func (g *planner) cond(depth int) expr.Cond {
	if depth > 0 && chance(g.r, 45) {
		switch g.r.IntN(10) {
		case 0, 1, 2:
			return expr.And{Conds: g.conds(depth - 1)}
		case 3, 4, 5, 6:
			return expr.Or{Conds: g.conds(depth - 1)}
		default:
			return expr.Not{Cond: g.cond(depth - 1)}
		}
	}
	switch k := g.r.IntN(100); {
	case k < 11:
		return g.in()
	case k < 16:
		return g.member()
	case k < 28:
		return g.between()
	case k < 40:
		return g.like()
	case k < 50:
		return g.words()
	case k < 57:
		return expr.Exists{Field: g.field(func(event.Type) bool { return true })}
	case k < 65:
		return g.nested(depth)
	case k < 72:
		return g.anywhere()
	case k < 84:
		return g.cmp()
	case k < 94:
		return g.script()
	case k < 98:
		return expr.IsNull{Value: g.value(1, g.class())}
	}
	return expr.Const{Value: chance(g.r, 60)}
}

func (g *planner) conds(depth int) []expr.Cond {
	out := make([]expr.Cond, pick(g.r, []int{0, 1, 2, 2, 2, 2, 2, 3, 3}))
	for i := range out {
		out[i] = g.cond(depth)
	}
	return out
}

func (g *planner) in() expr.Cond {
	c := expr.In{Field: g.field(isScalar)}
	for range pick(g.r, []int{0, 1, 1, 1, 1, 2, 2, 3, 5}) {
		c.Values = append(c.Values, g.typed(c.Field))
	}
	return c
}

func (g *planner) between() expr.Cond {
	c := expr.Range{Field: g.field(isScalar)}
	bound := func() expr.Bound { return expr.Bound{Value: g.typed(c.Field), Inclusive: chance(g.r, 60)} }
	switch g.r.IntN(10) {
	case 0, 1, 2:
		c.Min = bound()
	case 3, 4, 5:
		c.Max = bound()
	case 6:
	default:
		c.Min, c.Max = bound(), bound()
		if event.Compare(c.Min.Value, c.Max.Value) > 0 && chance(g.r, 80) {
			c.Min.Value, c.Max.Value = c.Max.Value, c.Min.Value
		}
	}
	return c
}

func (g *planner) like() expr.Cond {
	c := expr.Like{Field: g.field(isText), Fold: chance(g.r, 40)}
	text := g.typed(c.Field).Text()
	if c.Field.Type.IsText() {
		if tokens := expr.Tokens(c.Field.Type, text); len(tokens) > 0 {
			text = pick(g.r, tokens)
		}
	}
	if c.Fold {
		text = strings.Map(func(r rune) rune {
			if chance(g.r, 40) {
				return unicode.SimpleFold(r)
			}
			return r
		}, text)
	}
	c.Pattern = g.pattern(text)
	return c
}

// pattern is text with some of its characters made wild.
func (g *planner) pattern(text string) expr.Pattern {
	var p expr.Pattern
	literal := ""
	flush := func() {
		if literal != "" {
			p.Parts = append(p.Parts, expr.PatternPart{Literal: literal})
		}
		literal = ""
	}
	star := func() {
		flush()
		if n := len(p.Parts); n == 0 || p.Parts[n-1] != (expr.PatternPart{}) {
			p.Parts = append(p.Parts, expr.PatternPart{})
		}
	}
	wild := pick(g.r, []int{0, 5, 10, 20, 40})
	if chance(g.r, 25) {
		star()
	}
	for _, c := range text {
		switch {
		case chance(g.r, wild):
			star()
		case chance(g.r, wild/2):
			flush()
			p.Parts = append(p.Parts, expr.PatternPart{One: true})
		default:
			literal += string(c)
		}
	}
	if chance(g.r, 25) {
		star()
	}
	flush()
	return p
}

func (g *planner) words() expr.Cond {
	c := expr.Words{Field: g.field(event.Type.IsText), Phrase: chance(g.r, 50)}
	if !c.Field.Type.IsText() {
		return expr.Exists{Field: c.Field}
	}
	tokens := expr.Tokens(c.Field.Type, g.typed(c.Field).Text())
	if len(tokens) == 0 {
		return c
	}
	from := g.r.IntN(len(tokens))
	c.Tokens = append(c.Tokens, tokens[from:min(len(tokens), from+1+g.r.IntN(3))]...)
	if chance(g.r, 10) {
		c.Tokens = append(c.Tokens, "nothing")
	}
	return c
}

func (g *planner) nested(depth int) expr.Cond {
	path := pick(g.r, []string{"files", "files", "files", "resources", "files.hash", "user", "aws.cloudtrail.flattened.request_parameters.list"})
	inner := &planner{r: g.r}
	for _, e := range g.rows {
		inner.rows = append(inner.rows, e.Elements(path)...)
	}
	for _, f := range g.fields {
		if strings.HasPrefix(f.Path, path+".") {
			inner.fields = append(inner.fields, f)
		}
	}
	if len(inner.fields) == 0 || chance(g.r, 5) {
		inner.fields = g.fields
	}
	return expr.Nested{Path: path, Cond: inner.cond(depth - 1)}
}

func (g *planner) anywhere() expr.Cond {
	c := expr.Anywhere{Text: "x", Phrase: chance(g.r, 40)}
	if chance(g.r, 60) {
		c.Analyse = analysed
	}
	if len(g.rows) > 0 {
		if fields := pick(g.r, g.rows).Fields(); len(fields) > 0 {
			f := pick(g.r, fields)
			whole := event.Event{}
			whole.Set("v", f.Value)
			if leaves := whole.Leaves("v"); len(leaves) > 0 {
				c.Text = pick(g.r, leaves).Text()
			}
		}
	}
	if words := strings.Fields(c.Text); c.Analyse != nil && len(words) > 1 && chance(g.r, 70) {
		from := g.r.IntN(len(words))
		c.Text = strings.Join(words[from:min(len(words), from+1+g.r.IntN(2))], " ")
	}
	if chance(g.r, 40) {
		p := g.pattern(c.Text)
		c.Pattern, c.Text = &p, ""
	}
	return c
}

// class picks a type for values that are compared or sorted by.
func (g *planner) class() event.Type {
	return pick(g.r, []event.Type{event.Keyword, event.Keyword, event.Long, event.Double, event.Date, event.IPType, event.Boolean})
}

// inClass reports which fields give values of the class.
func inClass(class event.Type) func(event.Type) bool {
	return func(t event.Type) bool { return t == class || class == event.Keyword && isText(t) }
}

// value makes an expression that gives values of the class.
func (g *planner) value(depth int, class event.Type) expr.Value {
	call := func(fn string, classes ...event.Type) expr.Value {
		c := expr.Call{Fn: fn}
		for _, class := range classes {
			c.Args = append(c.Args, g.value(depth-1, class))
		}
		return c
	}
	if depth > 0 && chance(g.r, 35) {
		switch {
		case chance(g.r, 40):
			return call("coalesce", []event.Type{class, class, class}[:1+g.r.IntN(3)]...)
		case class == event.Keyword:
			return call(pick(g.r, []string{"to_lower", "to_upper"}), class)
		case class == event.Long:
			return call("length", event.Keyword)
		case class == event.Date:
			return call("day", event.Date)
		}
	}
	if depth > 0 && chance(g.r, 20) {
		if x, ok := g.computed(depth, class); ok {
			return x
		}
	}
	f := g.field(inClass(class))
	if chance(g.r, 10) {
		return expr.Least{Field: f}
	}
	if chance(g.r, 80) {
		return expr.One{Field: f}
	}
	if chance(g.r, 10) {
		return expr.Lit{}
	}
	return expr.Lit{Value: g.typed(expr.Field{Path: f.Path, Type: class})}
}

func (g *planner) cmp() expr.Cond {
	class := g.class()
	c := expr.Cmp{Op: expr.CmpOp(g.r.IntN(6)), Left: g.value(1, class)}
	other := class
	if chance(g.r, 5) {
		other = g.class()
	}
	if chance(g.r, 60) {
		f := g.field(inClass(other))
		if one, ok := c.Left.(expr.One); ok && other == class {
			f = one.Field
		}
		c.Right = expr.Lit{Value: g.typed(expr.Field{Path: f.Path, Type: other, Root: f.Root})}
	} else {
		c.Right = g.value(1, other)
	}
	if chance(g.r, 10) {
		c.Left, c.Right = c.Right, c.Left
	}
	return c
}
