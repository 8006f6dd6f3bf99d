package filter

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
)

// onField reads a query on one field: {"field": value} or {"field": {…}}.
func (p *parser) onField(name string, v item) Node {
	none := &None{At: v.at}
	if !p.object(v) {
		return none
	}
	var field string
	var body item
	for _, m := range v.Members() {
		at := v.at.key(m.Key)
		switch {
		case len(v.Members()) > 1 && slices.Contains(idle, m.Key):
		case field != "":
			return p.refuse(at, CodeNoQuery, "join several with bool", "%s asks one field, and that is %s", name, field)
		default:
			field, body = m.Key, item{m.Value, at}
		}
	}
	if field == "" {
		return p.refuse(v.at, CodeMissing, "", "%s names no field", name)
	}
	switch name {
	case "terms":
		return p.terms(field, body)
	case "range":
		if !p.object(body) {
			return none
		}
		return p.rangeOf(field, body)
	}
	if body.Kind() != event.KindObject {
		text, ok := p.text(body)
		if !ok {
			return none
		}
		return p.leaf(name, field, text, item{at: body.at})
	}
	key := map[string]string{"match": "query", "match_phrase": "query"}[name]
	if key == "" {
		key = "value"
	}
	value, given := body.member(key)
	if !given && name == "wildcard" {
		value, given = body.member("wildcard")
	}
	if !given {
		return p.refuse(body.at, CodeMissing, "", "%s has no %s", name, key)
	}
	text, ok := p.text(value)
	if !ok {
		return none
	}
	return p.leaf(name, field, text, body)
}

// leaf makes the query name of field and text; options are what stands beside the text, and may be null.
func (p *parser) leaf(name, field, text string, options item) Node {
	none := &None{At: options.at}
	switch name {
	case "match", "match_phrase":
		return p.match(name, field, text, options)
	case "term":
		if !p.only(options, "value", "case_insensitive") {
			return none
		}
	case "prefix":
		if !p.only(options, "value", "case_insensitive", "rewrite") {
			return none
		}
	case "wildcard":
		if !p.only(options, "value", "wildcard", "case_insensitive", "rewrite") {
			return none
		}
	}
	fold, ok := p.flag(options, "case_insensitive")
	if !ok {
		return none
	}
	switch name {
	case "term":
		return &Term{Field: field, Values: []string{text}, Fold: fold, At: options.at}
	case "prefix":
		return &Wildcard{Field: field, Pattern: expr.Stars(text, ""), Fold: fold, At: options.at}
	}
	w := NewWildcard(field, text, options.at)
	w.Fold = fold
	return w
}

// NewWildcard returns the query for values that fit the pattern that text writes: * any characters, ? one, \ before a
// literal one.
func NewWildcard(field, text string, at Place) *Wildcard {
	pattern, dropped := readPattern(text)
	return &Wildcard{Field: field, Pattern: pattern, At: at, dropped: dropped}
}

// readPattern reads a wildcard pattern: \ makes the next character an ordinary one, a lone one at the end is itself.
// dropped is the first letter or digit that a \ stands before.
func readPattern(s string) (p expr.Pattern, dropped rune) {
	var literal strings.Builder
	wild := func(part expr.PatternPart) {
		if literal.Len() > 0 {
			p.Parts = append(p.Parts, expr.PatternPart{Literal: literal.String()})
			literal.Reset()
		}
		if n := len(p.Parts); part.One || n == 0 || p.Parts[n-1] != part {
			p.Parts = append(p.Parts, part)
		}
	}
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '*':
			wild(expr.PatternPart{})
		case r == '?':
			wild(expr.PatternPart{One: true})
		case r == '\\' && i+n < len(s):
			i += n
			r, n = utf8.DecodeRuneInString(s[i:])
			if dropped == 0 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
				dropped = r
			}
			literal.WriteString(s[i : i+n])
		default:
			literal.WriteString(s[i : i+n])
		}
		i += n
	}
	if literal.Len() > 0 {
		p.Parts = append(p.Parts, expr.PatternPart{Literal: literal.String()})
	}
	return p, dropped
}

func (p *parser) match(name, field, text string, options item) Node {
	n := &Match{Field: field, Text: text, Phrase: name == "match_phrase", At: options.at}
	ok := p.only(options, "query", "type", "operator", "minimum_should_match", "zero_terms_query", "lenient", "slop",
		"max_expansions", "auto_generate_synonyms_phrase_query", "cutoff_frequency")
	word := func(key string) string {
		m, _ := options.member(key)
		return m.Str()
	}
	switch word("type") {
	case "", "boolean":
	case "phrase":
		n.Phrase = true
	default:
		return p.refuse(options.at.key("type"), CodeUnsupported, "", "a match of the type %s cannot be applied", word("type"))
	}
	if m, given := options.member("slop"); given && m.Text() != "0" {
		return p.refuse(m.at, CodeUnsupported, "", "a phrase with other words in it (slop) cannot be applied")
	}
	switch strings.ToLower(word("operator")) {
	case "", "or":
	case "and":
		n.Least = "100%"
	default:
		return p.refuse(options.at.key("operator"), CodeBadValue, "", "an operator is and or or")
	}
	if m, given := options.member("minimum_should_match"); given && n.Least == "" {
		spec, valid := p.minimum(m)
		n.Least, ok = spec, ok && valid
	}
	switch word("zero_terms_query") {
	case "", "none", "NONE":
	case "all", "ALL":
		n.NoWords = true
	default:
		return p.refuse(options.at.key("zero_terms_query"), CodeBadValue, "", "zero_terms_query is none or all")
	}
	lenient, valid := p.flag(options, "lenient")
	n.Lenient = lenient
	if !ok || !valid {
		return &None{At: options.at}
	}
	return n
}

// multiMatch is a match on each of several fields.
func (p *parser) multiMatch(v item) Node {
	none := &None{At: v.at}
	if !p.object(v) || !p.only(v, "query", "fields", "type", "lenient", "tie_breaker") {
		return none
	}
	phrase := false
	switch kind, _ := v.member("type"); kind.Str() {
	case "", "best_fields", "most_fields":
	case "phrase":
		phrase = true
	default:
		return p.refuse(kind.at, CodeUnsupported, "", "a multi_match of the type %s cannot be applied", kind.Str())
	}
	value, given := v.member("query")
	fields, named := v.member("fields")
	switch {
	case !given:
		return p.refuse(v.at, CodeMissing, "", "multi_match has no query")
	case !named || fields.Kind() != event.KindList || len(fields.Items()) == 0:
		return p.refuse(fields.at, CodeMissing, "", "multi_match is applied to the fields that it names, and it names none")
	}
	text, ok := p.text(value)
	lenient, valid := p.flag(v, "lenient")
	if !ok || !valid || !p.spend(len(fields.Items()), v.at) {
		return none
	}
	b := &Bool{Least: 1, At: v.at}
	for _, f := range fields.each() {
		name, _, _ := strings.Cut(f.Str(), "^")
		if name == "" || strings.Contains(name, "*") {
			return p.refuse(f.at, CodeUnsupported, "", "a field's name must stand here, without a star")
		}
		b.Should = append(b.Should, &Match{Field: name, Text: text, Phrase: phrase, Lenient: lenient, At: f.at})
	}
	return b
}

func (p *parser) terms(field string, v item) Node {
	if v.Kind() != event.KindList {
		return p.refuse(v.at, CodeKind, "write the values out", "a list of values must stand here, not %s", v.kind())
	}
	if !p.spend(len(v.Items()), v.at) {
		return &None{At: v.at}
	}
	if len(v.Items()) == 0 {
		return &None{At: v.at}
	}
	t := &Term{Field: field, At: v.at}
	for _, x := range v.each() {
		text, _ := p.text(x)
		t.Values = append(t.Values, text)
	}
	return t
}

// utc are the names of the only time zone that bounds are read in.
var utc = []string{"Z", "UTC", "GMT", "Zulu", "+00:00", "+0000", "Etc/UTC"}

// formats are the formats of dates that bounds may ask for.
var formats = []string{"strict_date_optional_time", "date_optional_time", "epoch_millis", "strict_date_time",
	"strict_date_optional_time||epoch_millis"}

func (p *parser) rangeOf(field string, v item) Node {
	r := &Range{Field: field, At: v.at}
	lower, upper, millis := true, true, false
	for _, m := range v.Members() {
		value := item{m.Value, v.at.key(m.Key)}
		switch m.Key {
		case "gt", "gte", "from", "lt", "lte", "to":
			p.bound(r, m.Key, value)
		case "include_lower":
			lower, _ = p.flag(v, m.Key)
		case "include_upper":
			upper, _ = p.flag(v, m.Key)
		case "format":
			if !slices.Contains(formats, m.Value.Str()) {
				return p.refuse(value.at, CodeUnsupported, "write dates like 2026-03-01T12:00:00Z", "the format %q of dates is not read", m.Value.Text())
			}
			millis = m.Value.Str() == "epoch_millis"
		case "time_zone":
			if !slices.Contains(utc, m.Value.Str()) {
				return p.refuse(value.at, CodeUnsupported, "write the bounds in UTC", "the time zone %q is not applied", m.Value.Text())
			}
		case "boost", "_name":
		default:
			p.refuse(value.at, CodeUnknownKey, "", "the key %q is not known here", m.Key)
		}
	}
	if millis && (short(r.Min) || short(r.Max)) {
		return p.refuse(v.at, CodeUnsupported, "write dates like 2026-03-01T12:00:00Z", "numbers of up to four digits would be read as years")
	}
	r.Min.Inclusive = r.Min.Inclusive && lower
	r.Max.Inclusive = r.Max.Inclusive && upper
	return r
}

// bound sets the bound that key says; a null opens it.
func (p *parser) bound(r *Range, key string, v item) {
	end := &r.Min
	if strings.HasPrefix(key, "l") || key == "to" {
		end = &r.Max
	}
	*end = Bound{Inclusive: key != "gt" && key != "lt"}
	if v.IsNull() {
		return
	}
	if text, ok := p.text(v); ok {
		end.Value = &text
	}
}

// short reports whether b is a number that could be a year.
func short(b Bound) bool {
	if b.Value == nil || len(*b.Value) > 4 {
		return false
	}
	_, err := strconv.Atoi(*b.Value)
	return err == nil
}

// minimum reads how many of several must hold: 2, -1, 75% or -25%.
func (p *parser) minimum(v item) (string, bool) {
	spec := strings.TrimSpace(v.Text())
	n, err := strconv.Atoi(strings.TrimSuffix(spec, "%"))
	if err != nil || n > 1<<20 || n < -1<<20 {
		p.refuse(v.at, CodeUnsupported, "write a number or a percentage: 2, -1, 75%", "the minimum %q is not read", spec)
		return "", false
	}
	return spec, true
}

// least is the number that spec comes to of n; "" is 1.
func least(spec string, n int) int {
	if spec == "" {
		return 1
	}
	k, _ := strconv.Atoi(strings.TrimSuffix(spec, "%"))
	if strings.HasSuffix(spec, "%") {
		k = k * n / 100 // towards zero, both ways
	}
	if k < 0 {
		k += n
	}
	return max(k, 0)
}
