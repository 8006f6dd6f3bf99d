package enrich

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// gramSize is how many bytes of a needle are looked up at once; shorter needles are not used.
const gramSize = 3

// prefilter names, of a list of expressions, those that a text may match, without running them: most of the thousand
// expressions for user agents hold some text that must stand in whatever they match, and the text mostly does not.
type prefilter struct {
	always  []bool // by expression: no such text is known
	needles map[[gramSize]byte][]needle
}

// needle is a text, lower-case, and the expressions that may match where it stands.
type needle struct {
	text        string
	expressions []int
}

// newPrefilter reads the expressions.
func newPrefilter(expressions []*regexp.Regexp) *prefilter {
	f := &prefilter{always: make([]bool, len(expressions)), needles: map[[gramSize]byte][]needle{}}
	at := map[string][]int{}
	for i, x := range expressions {
		texts := required(x)
		f.always[i] = texts == nil
		for _, text := range texts {
			if list := at[text]; len(list) == 0 || list[len(list)-1] != i {
				at[text] = append(list, i)
			}
		}
	}
	for text, list := range at {
		gram := [gramSize]byte([]byte(text))
		f.needles[gram] = append(f.needles[gram], needle{text, list})
	}
	return f
}

// candidates marks the expressions that may match text; the caller tries them in their order.
func (f *prefilter) candidates(text string) []bool {
	marked := append([]bool(nil), f.always...)
	text = folded(text)
	for i := 0; i+gramSize <= len(text); i++ {
		for _, n := range f.needles[[gramSize]byte([]byte(text[i:]))] {
			if strings.HasPrefix(text[i:], n.text) {
				for _, x := range n.expressions {
					marked[x] = true
				}
			}
		}
	}
	return marked
}

// folded returns text in lower case, as an expression without regard to case takes its ASCII letters: the long s is an s
// and the Kelvin sign a k.
func folded(text string) string { return strings.ReplaceAll(strings.ToLower(text), "ſ", "s") }

// required returns texts of which one stands, folded, in whatever x matches; nil when none are known.
func required(x *regexp.Regexp) []string {
	tree, err := syntax.Parse(x.String(), syntax.Perl)
	if err != nil {
		return nil
	}
	return language(tree.Simplify()).asNeedles()
}

// Limits on what is spelt out: how many characters of a class, how many texts a sequence of parts may stand for, and how
// many an alternative.
const (
	maxClass       = 8
	maxSequence    = 64
	maxAlternative = 1024
)

// words is what is known about the texts that a part of an expression matches, folded: all of them (whole), or some of
// which each contains one (needles). Both nil: nothing.
type words struct {
	whole, needles []string
}

// asNeedles returns the best needles that w gives, nil when it gives none.
func (w words) asNeedles() []string {
	if w.whole == nil {
		return w.needles
	}
	for _, text := range w.whole {
		if len(text) < gramSize {
			return nil
		}
	}
	return w.whole
}

func language(x *syntax.Regexp) words {
	switch x.Op {
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText,
		syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return words{whole: []string{""}}
	case syntax.OpLiteral:
		return literal(x.Rune)
	case syntax.OpCharClass:
		return charClass(x.Rune)
	case syntax.OpCapture:
		return language(x.Sub[0])
	case syntax.OpPlus:
		return words{needles: language(x.Sub[0]).asNeedles()}
	case syntax.OpQuest:
		if w := language(x.Sub[0]); w.whole != nil {
			return words{whole: append([]string{""}, w.whole...)}
		}
	case syntax.OpConcat:
		return sequence(x.Sub)
	case syntax.OpAlternate:
		return alternative(x.Sub)
	}
	return words{}
}

func literal(runes []rune) words {
	for _, r := range runes {
		if r >= utf8.RuneSelf {
			return words{} // it may fold in ways that folded does not know
		}
	}
	return words{whole: []string{strings.ToLower(string(runes))}}
}

// charClass spells a class of few characters out; pairs holds the ends of its ranges.
func charClass(pairs []rune) words {
	var out []string
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] >= utf8.RuneSelf || pairs[i+1]-pairs[i] >= maxClass {
			return words{}
		}
		for r := pairs[i]; r <= pairs[i+1]; r++ {
			if text := folded(string(r)); !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	if len(out) > maxClass {
		return words{}
	}
	return words{whole: out}
}

// sequence joins what its parts may be as long as that is not too much, and keeps the best needles on the way.
func sequence(parts []*syntax.Regexp) words {
	run, best, all := []string{""}, []string(nil), true
	offer := func(needles []string) {
		if rarer(needles, best) {
			best = needles
		}
	}
	for _, part := range parts {
		w := language(part)
		if w.whole != nil && len(run)*len(w.whole) <= maxSequence {
			run = joined(run, w.whole)
			continue
		}
		all = false
		offer(words{whole: run}.asNeedles())
		run = []string{""}
		switch {
		case w.whole == nil:
			offer(w.needles)
		case len(w.whole) <= maxSequence:
			run = w.whole
		default:
			offer(w.asNeedles())
		}
	}
	if all {
		return words{whole: run}
	}
	offer(words{whole: run}.asNeedles())
	return words{needles: best}
}

func joined(heads, tails []string) []string {
	var out []string
	for _, h := range heads {
		for _, t := range tails {
			out = append(out, h+t)
		}
	}
	return out
}

// alternative is whole when all its parts are.
func alternative(parts []*syntax.Regexp) words {
	var whole, needles []string
	allWhole, allNeedles := true, true
	for _, part := range parts {
		w := language(part)
		n := w.asNeedles()
		allWhole = allWhole && w.whole != nil && len(whole)+len(w.whole) <= maxAlternative
		allNeedles = allNeedles && n != nil
		if allWhole {
			whole = append(whole, w.whole...)
		}
		needles = append(needles, n...)
	}
	switch {
	case allWhole:
		return words{whole: whole}
	case allNeedles:
		return words{needles: needles}
	}
	return words{}
}

// rarer reports whether one of a is less likely to stand in a text than one of b.
func rarer(a, b []string) bool {
	if a == nil || b == nil {
		return a != nil
	}
	return rarity(a) > rarity(b) || rarity(a) == rarity(b) && len(a) < len(b)
}

// frequent are words that stand in so many user agents that looking for them tells little.
var frequent = []string{"mozilla", "applewebkit", "khtml", "gecko", "chrome", "safari", "mobile", "android", "linux", "windows",
	"build", "compatible", "version"}

// rarity is the length of the shortest text, that of frequent words left out.
func rarity(texts []string) int {
	least := len(texts[0])
	for _, t := range texts {
		n := len(t)
		for _, word := range frequent {
			if strings.Contains(t, word) {
				n -= len(word)
			}
		}
		least = min(least, n)
	}
	return least
}
