package expr

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/words"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// maxToken is the longest token of the standard analyser, in characters: longer ones are cut into pieces of it.
const maxToken = 255

// Tokens analyses s as a field of the text type t does: event.Text by Unicode word boundaries (UAX 29), keeping words
// that hold a letter, a digit or an ideograph; event.PatternText by every run of characters that are no ASCII letter,
// digit, _ or -. Both fold to lower case.
func Tokens(t event.Type, s string) []string {
	if t == event.PatternText {
		// Split before folding: the lower case of some signs (K, the Kelvin sign) is an ASCII letter.
		tokens := strings.FieldsFunc(s, func(r rune) bool {
			return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
		})
		for i := range tokens {
			tokens[i] = strings.ToLower(tokens[i])
		}
		return tokens
	}
	var out []string
	complex := false // whether the last token is a run of a script written without blanks
	for seg := words.FromString(s); seg.Next(); {
		w := seg.Value()
		if !strings.ContainsFunc(w, wordRune) {
			complex = false
			continue
		}
		w = strings.ToLower(w)
		run := isComplex(w)
		if run && complex && utf8.RuneCountInString(out[len(out)-1]+w) <= maxToken {
			out[len(out)-1] += w
			continue
		}
		complex = run
		for len(w) > maxToken && utf8.RuneCountInString(w) > maxToken {
			cut := 0
			for range maxToken {
				_, n := utf8.DecodeRuneInString(w[cut:])
				cut += n
			}
			out, w = append(out, w[:cut]), w[cut:]
		}
		out = append(out, w)
	}
	return out
}

// wordRune reports whether a token may stand on r alone: a letter, a digit, another alphabetic or an emoji.
func wordRune(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.Nl, r) ||
		unicode.Is(unicode.So, r) && (r > 0x1F000 || unicode.Is(unicode.Other_Alphabetic, r))
}

// isComplex reports whether w is of a South-East Asian script, whose words stand without blanks: the analyser takes a
// whole run of them as one token, where UAX 29 alone breaks at each character.
func isComplex(w string) bool {
	r, _ := utf8.DecodeRuneInString(w)
	return r >= 0x0E00 && unicode.In(r, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tai_Le,
		unicode.New_Tai_Lue, unicode.Tai_Tham, unicode.Tai_Viet) && !unicode.IsDigit(r)
}

// holdsWords reports whether tokens has one of want, or all of want adjacent and in order.
func holdsWords(tokens, want []string, phrase bool) bool {
	if len(want) == 0 {
		return false
	}
	for i := range tokens {
		if !phrase {
			for _, w := range want {
				if tokens[i] == w {
					return true
				}
			}
			continue
		}
		if i+len(want) > len(tokens) {
			return false
		}
		j := 0
		for j < len(want) && tokens[i+j] == want[j] {
			j++
		}
		if j == len(want) {
			return true
		}
	}
	return false
}
