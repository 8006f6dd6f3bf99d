package opensearch

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// maxText is the length in bytes beyond which no index holds a term.
const maxText = 32_766

// in asks for one of values. The cluster takes an address with a zone, fe80::1%eth0, for the address: no query on
// addresses is exact.
func (f target) in(values []event.Value) (lowered, error) {
	switch f.typ {
	case event.Date:
		var parts []event.Value
		for _, v := range values {
			b := expr.Bound{Value: v, Inclusive: true}
			q, err := f.dates(b, b)
			if err != nil {
				return q, err
			}
			parts = append(parts, q.query)
		}
		return exactly(either(parts)), nil
	case event.Text, event.PatternText:
		return lowered{}, refused("it is analysed")
	}
	list := make([]event.Value, 0, len(values))
	var zero []event.Value
	for _, v := range values {
		text := v.Text()
		switch {
		case f.typ == event.Double && v.Float() == 0: // the cluster tells 0 from -0
			zero = []event.Value{f.ranged(expr.Bound{Value: v, Inclusive: true}, expr.Bound{Value: v, Inclusive: true})}
			continue
		case f.typ == event.IPType:
			v = event.String(text)
		case !f.typ.IsKeyword():
		case f.limit > 0 && len(utf16.Encode([]rune(text))) > f.limit:
			return lowered{}, refused("it leaves values out that are longer than %d", f.limit)
		case f.kind == "wildcard" && text == "":
			return lowered{}, refused("it does not find the empty text")
		case f.typ == event.Flattened && !keyText(text):
			return lowered{}, refused("values of its keys are indexed in a form that %q may not have", text)
		case len(text) > maxText:
			continue
		}
		list = append(list, v)
	}
	parts := zero
	for chunk := range slices.Chunk(list, f.index.maxTerms) {
		if len(chunk) == 1 {
			parts = append(parts, object("term", object(f.name, object("value", chunk[0]))))
		} else {
			parts = append(parts, object("terms", object(f.name, chunk)))
		}
	}
	return lowered{either(parts), f.typ != event.IPType}, nil
}

// keyText reports whether a text is found under the key of a flattened field exactly where documents hold it: key and
// value are joined by =, and numbers with a fraction or an exponent are rewritten.
func keyText(s string) bool {
	if strings.Contains(s, "=") {
		return false
	}
	n, isNumber := event.Literal(s)
	return !isNumber || n.Kind() == event.KindInt && n.Text() == s
}

// The instants that documents can carry (event.Coerce), in milliseconds.
const (
	firstDate = -62167219200000
	lastDate  = 253402300799999
	lastNanos = 9223372036854 // that an index of nanoseconds can hold; the first is 0
)

// dates asks for an instant within both bounds, of which open ones end where dates do.
func (f target) dates(from, to expr.Bound) (lowered, error) {
	least, most := int64(firstDate), int64(lastDate)
	if !from.Value.IsNull() {
		if least = from.Value.Int(); !from.Inclusive {
			least++
		}
	}
	if !to.Value.IsNull() {
		if most = to.Value.Int(); !to.Inclusive {
			most--
		}
	}
	nanos := f.kind == "date_nanos"
	switch {
	case least > most || nanos && (most < 0 || least > lastNanos):
		return exactly(none), nil
	case f.mixed && !nanos && (least > firstDate && least < 0 || least > lastNanos || most < 0 || most > lastNanos && most < lastDate):
		return lowered{}, refused("a bound that indices of nanoseconds cannot hold")
	}
	// Written out: the cluster reads numbers of four digits as years. Ends that an index of nanoseconds cannot hold are
	// left out where one reads them.
	written := func(ms int64) event.Value { return event.String(event.FormatTime(event.Millis(ms).Time())) }
	var bounds []event.Member
	if least > 0 || !nanos && !f.mixed {
		bounds = append(bounds, event.Member{Key: "gte", Value: written(least)})
	}
	switch {
	case nanos && most < lastNanos: // a millisecond is all that lies before the next one
		bounds = append(bounds, event.Member{Key: "lt", Value: written(most + 1)})
	case !nanos && (most < lastDate || !f.mixed):
		bounds = append(bounds, event.Member{Key: "lte", Value: written(most)})
	}
	if len(bounds) == 0 {
		return lowered{object("exists", object("field", f.name)), nanos}, nil
	}
	exact := nanos || !f.mixed || least > firstDate && most < lastDate
	bounds = append(bounds, event.Member{Key: "format", Value: event.String("strict_date_optional_time")})
	return lowered{object("range", object(f.name, event.Object(bounds...))), exact}, nil
}

// ranged asks for a value within both bounds.
func (f target) ranged(from, to expr.Bound) event.Value {
	var m []event.Member
	add := func(b expr.Bound, closed, open string) {
		if b.Value.IsNull() {
			return
		}
		key, v := open, b.Value
		if b.Inclusive {
			key = closed
		}
		switch {
		case v.Kind() == event.KindFloat && v.Float() == 0 && key != "gt" && key != "lte": // before -0
			v, _ = event.Literal("-0.0")
		case v.Kind() == event.KindIP:
			v = event.String(v.Text())
		}
		m = append(m, event.Member{Key: key, Value: v})
	}
	add(from, "gte", "gt")
	add(to, "lte", "lt")
	return object("range", object(f.name, event.Object(m...)))
}

// between asks for a value within both bounds.
func (f target) between(c expr.Range) (lowered, error) {
	switch f.typ {
	case event.Date:
		return f.dates(c.Min, c.Max)
	case event.Boolean:
		var values []event.Value
		for _, b := range []bool{false, true} {
			e := &event.Event{}
			e.Set(c.Field.Path, event.Bool(b))
			if expr.Matches(c, e) {
				values = append(values, event.Bool(b))
			}
		}
		return f.in(values)
	case event.Long, event.Double, event.IPType:
	case event.Keyword, event.Caseless:
		if f.limit > 0 {
			return lowered{}, refused("it leaves values out that are longer than %d", f.limit)
		}
	default:
		return lowered{}, refused("its values have no order that can be asked (%s)", f.kind)
	}
	if c.Min.Value.IsNull() && c.Max.Value.IsNull() {
		return lowered{object("exists", object("field", f.name)), f.typ != event.IPType}, nil
	}
	for _, b := range []expr.Bound{c.Min, c.Max} {
		if k := b.Value.Kind(); f.typ == event.Long && k == event.KindFloat {
			return lowered{}, refused("a bound with a fraction on whole numbers")
		}
	}
	return lowered{f.ranged(c.Min, c.Max), f.typ != event.IPType}, nil
}

// like asks for a value, or a word of an analysed field, that fits a pattern.
func (f target) like(c expr.Like) (lowered, error) {
	if !f.typ.IsKeyword() && !f.typ.IsText() {
		return lowered{}, refused("a pattern on a field of the type %s", f.kind)
	}
	stars, length := false, 0
	for _, p := range c.Pattern.Parts {
		switch {
		case p.Literal != "":
			length += len(utf16.Encode([]rune(p.Literal)))
		case p.One:
			length += 2
		default:
			stars = true
		}
	}
	exact := true
	switch {
	case f.limit > 0 && (stars || length > f.limit):
		return lowered{}, refused("it leaves values out that are longer than %d", f.limit)
	case length == 0 && !stars && f.typ.IsText():
		return exactly(none), nil // no word is empty
	case length == 0 && !stars:
		return f.in([]event.Value{event.String("")})
	case f.typ == event.Flattened:
		if !f.key || c.Fold || !wordy(c.Pattern) {
			return lowered{}, refused("values of its keys are indexed in a form that is not asked for patterns")
		}
		exact = false // a key that holds = may be taken for this one
	case c.Pattern.Everything() && !f.typ.IsText():
		return exactly(object("exists", object("field", f.name))), nil
	}
	if !c.Fold {
		return lowered{object("wildcard", object(f.name, object("value", wildcard(c.Pattern)))), exact}, nil
	}
	if foldsAlike(c.Pattern) {
		return exactly(object("wildcard", object(f.name, object("value", wildcard(c.Pattern), "case_insensitive", true)))), nil
	}
	expression := regexpOf(c.Pattern)
	if n := len(utf16.Encode([]rune(expression))); n > f.index.maxRegexp {
		return lowered{}, refused("a pattern of %d characters that folds case", n)
	}
	return exactly(object("regexp", object(f.name, object("value", expression, "flags", "NONE")))), nil
}

// wordy reports whether whatever fits p holds a letter, so that it is no number, which flattened fields rewrite.
func wordy(p expr.Pattern) bool {
	for _, part := range p.Parts {
		if strings.ContainsFunc(part.Literal, func(r rune) bool { return unicode.IsLetter(r) && r != 'e' && r != 'E' }) {
			return !strings.Contains(part.Literal, "=")
		}
	}
	return false
}

// wildcard writes a pattern as the cluster reads one.
func wildcard(p expr.Pattern) string { return p.String() }

// foldsAlike reports whether the cluster, which folds ASCII letters alone, folds the literals of p as package expr does:
// they are ASCII, and no other letter folds to theirs.
func foldsAlike(p expr.Pattern) bool {
	for _, part := range p.Parts {
		for _, r := range part.Literal {
			if r >= 0x80 || strings.ContainsRune("kKsS", r) {
				return false
			}
		}
	}
	return true
}

// regexpOf writes a pattern that folds case as a regular expression: every letter as all that fold to it.
func regexpOf(p expr.Pattern) string {
	var b strings.Builder
	for _, part := range p.Parts {
		switch {
		case part.Literal != "":
			for _, r := range part.Literal {
				class := []rune{r}
				for x := unicode.SimpleFold(r); x != r; x = unicode.SimpleFold(x) {
					class = append(class, x)
				}
				if len(class) > 1 {
					b.WriteString("[" + string(class) + "]")
					continue
				}
				if r < 0x80 && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
					b.WriteByte('\\')
				}
				b.WriteRune(r)
			}
		case part.One:
			b.WriteByte('.')
		default:
			b.WriteString(".*")
		}
	}
	return b.String()
}

// words asks for words of an analysed field.
func (f target) words(c expr.Words) (lowered, error) {
	switch {
	case !f.typ.IsText():
		return lowered{}, refused("words of a field of the type %s", f.kind)
	case len(c.Tokens) == 0:
		return exactly(none), nil
	case len(c.Tokens) == 1:
		return exactly(object("term", object(f.name, object("value", c.Tokens[0])))), nil
	case !c.Phrase:
		var parts []event.Value
		for chunk := range slices.Chunk(c.Tokens, f.index.maxTerms) {
			parts = append(parts, object("terms", object(f.name, chunk)))
		}
		return exactly(either(parts)), nil
	}
	for _, t := range c.Tokens {
		if t == "" || strings.ContainsFunc(t, unicode.IsSpace) || len(t) > 255 {
			return lowered{}, refused("a phrase with the word %q", t)
		}
	}
	return exactly(object("match_phrase", object(f.name,
		object("query", strings.Join(c.Tokens, " "), "analyzer", "whitespace")))), nil
}

// anywhere asks for a value anywhere within the nested object at within. It can be asked where all that documents hold
// there is indexed as texts.
func (v *view) anywhere(c expr.Anywhere, within string) (event.Value, error) {
	for _, x := range v.indices {
		for at, open := range x.open {
			if !open && (inside(at, within) || inside(within, at)) {
				return none, refused("%q of %s: documents may hold things that are not indexed", at, x.name)
			}
		}
		for _, f := range x.fields {
			if f.kind != "object" && f.name != within && inside(f.path, within) && !f.foundAnywhere(c, within) {
				return none, refused("%s of %s is not asked for a value anywhere", f.name, x.name)
			}
		}
	}
	if c.Pattern != nil {
		for _, p := range c.Pattern.Parts {
			if strings.ContainsFunc(p.Literal, unicode.IsSpace) || p.One {
				return none, refused("a pattern with blanks or single characters anywhere")
			}
		}
		return object("query_string", object("query", queryString(*c.Pattern))), nil
	}
	kind := "best_fields"
	if c.Phrase {
		kind = "phrase"
	}
	return object("multi_match", object("type", kind, "query", c.Text, "lenient", true)), nil
}

// foundAnywhere reports whether the cluster, asked for a value anywhere, finds in f what c does.
func (f *field) foundAnywhere(c expr.Anywhere, within string) bool {
	analysed, isAnalysed := event.Type(0), false
	if c.Analyse != nil {
		analysed, isAnalysed = c.Analyse(f.path)
	}
	switch {
	case f.plain != "" || f.limit > 0 || f.nested != within || f.name != f.path:
		return false
	case !isAnalysed:
		return f.kind == "keyword" && f.typ == event.Keyword
	case !f.typ.IsText() || f.typ != analysed:
		return false
	}
	// c reads f as a keyword too: what equals or fits as a whole must do so by its words.
	if c.Pattern == nil {
		return len(expr.Tokens(f.typ, c.Text)) > 0
	}
	p := c.Pattern.Parts
	return len(p) == 2 && p[1] == expr.PatternPart{} && !strings.ContainsFunc(p[0].Literal, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
}

// queryString writes a pattern in the language of query_string, in which nearly every sign must be escaped.
func queryString(p expr.Pattern) string {
	var b strings.Builder
	for _, part := range p.Parts {
		if part.Literal == "" {
			b.WriteByte('*')
			continue
		}
		for _, r := range part.Literal {
			if r < 0x80 && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}
