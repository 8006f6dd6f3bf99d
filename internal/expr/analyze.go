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
		return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
			return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '_' || r == '-')
		})
	}
	var out []string
	for seg := words.FromString(s); seg.Next(); {
		w := seg.Value()
		if !strings.ContainsFunc(w, wordRune) {
			continue
		}
		w = strings.ToLower(w)
		for utf8.RuneCountInString(w) > maxToken {
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

func wordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.So, r) && r > 0x1F000
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
