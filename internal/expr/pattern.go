package expr

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Pattern is a wildcard pattern over a whole value: literal texts with runs of any characters, or single characters,
// between them. The zero Pattern fits the empty text alone.
type Pattern struct{ Parts []PatternPart }

// PatternPart is one step of a pattern: a literal, or, where Literal is empty, a wildcard.
type PatternPart struct {
	Literal string
	One     bool // exactly one character; else any number of them, none included
}

// star is the part that any number of characters fit.
var star = PatternPart{}

// Stars returns the pattern of the literals with a run of any characters between each two: Stars("a", "") is a*.
func Stars(literals ...string) Pattern {
	var p Pattern
	for i, l := range literals {
		if i > 0 && (len(p.Parts) == 0 || p.Parts[len(p.Parts)-1] != star) {
			p.Parts = append(p.Parts, star)
		}
		if l != "" {
			p.Parts = append(p.Parts, PatternPart{Literal: l})
		}
	}
	return p
}

// Everything reports whether every text fits p.
func (p Pattern) Everything() bool { return len(p.Parts) == 1 && p.Parts[0] == star }

// String writes the pattern with * and ? as wildcards and \ before a literal one of * ? \.
func (p Pattern) String() string {
	var b strings.Builder
	for _, part := range p.Parts {
		switch {
		case part.Literal != "":
			for i := 0; i < len(part.Literal); i++ {
				if c := part.Literal[i]; c == '*' || c == '?' || c == '\\' {
					b.WriteByte('\\')
				}
				b.WriteByte(part.Literal[i])
			}
		case part.One:
			b.WriteByte('?')
		default:
			b.WriteByte('*')
		}
	}
	return b.String()
}

// Fits reports whether the whole of s fits p. The time is bounded by len(s) times the size of p.
func (p Pattern) Fits(s string, fold bool) bool {
	if fold {
		return p.folded().fits(Fold(s))
	}
	return p.fits(s)
}

// folded is p with folded literals: p itself, most often.
func (p Pattern) folded() Pattern {
	for i, part := range p.Parts {
		if small(part.Literal) {
			continue
		}
		folded := Fold(part.Literal)
		if folded == part.Literal {
			continue
		}
		parts := append([]PatternPart(nil), p.Parts...)
		for parts[i].Literal = folded; i < len(parts); i++ {
			parts[i].Literal = Fold(parts[i].Literal)
		}
		return Pattern{parts}
	}
	return p
}

// fits goes back to the last star alone: what an earlier star swallowed never has to grow again.
func (p Pattern) fits(s string) bool {
	part, at := 0, 0
	backPart, backAt := -1, 0
	for {
		if part < len(p.Parts) {
			switch q := p.Parts[part]; {
			case q.Literal != "":
				if strings.HasPrefix(s[at:], q.Literal) {
					part, at = part+1, at+len(q.Literal)
					continue
				}
			case q.One:
				if at < len(s) {
					_, n := utf8.DecodeRuneInString(s[at:])
					part, at = part+1, at+n
					continue
				}
			default:
				backPart, backAt = part, at
				part++
				continue
			}
		} else if at == len(s) {
			return true
		}
		if backPart < 0 || backAt >= len(s) {
			return false
		}
		_, n := utf8.DecodeRuneInString(s[backAt:])
		backAt += n
		part, at = backPart+1, backAt
	}
}

// small reports whether s has neither capitals nor other than ASCII letters: it is folded.
func small(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// Fold maps every character to one of its case class, the same for all of the class, so that two texts that differ in
// case alone become equal. It is Unicode's simple folding: one character for one.
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf {
			if 'A' <= r && r <= 'Z' {
				return r + 'a' - 'A'
			}
			if r != 'k' && r != 's' {
				return r
			}
		}
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			if f < least {
				least = f
			}
		}
		if 'A' <= least && least <= 'Z' {
			return least + 'a' - 'A'
		}
		return least
	}, s)
}
