package diag

import (
	"strings"
	"unicode/utf8"
)

// longestGuess is the length in characters from which on a word is no mistyped one.
const longestGuess = 200

// Nearest returns the candidate that word was most likely meant to be: the one that fewest changes lead to (a character
// added, left out, replaced, or two neighbours exchanged; case counts for nothing), at most a third of the word's
// characters. Of equally near ones the first in alphabetical order; false when none is near enough.
func Nearest(word string, candidates []string) (string, bool) {
	w := []rune(strings.ToLower(word))
	if len(w) == 0 || len(w) > longestGuess {
		return "", false
	}
	limit := max(1, len(w)/3)
	if len(w) < 3 {
		limit = 0
	}
	best, found := "", false
	for _, c := range candidates {
		if c == "" || utf8.RuneCountInString(c) > len(w)+limit {
			continue
		}
		d := distance(w, []rune(strings.ToLower(c)), limit)
		if d < limit || d == limit && (!found || c < best) {
			best, limit, found = c, d, true
		}
	}
	return best, found
}

// distance returns how many changes lead from a to b, or limit+1 when they are more than limit.
func distance(a, b []rune, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > limit {
			return limit + 1
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
