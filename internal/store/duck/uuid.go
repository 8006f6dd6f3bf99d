package duck

import (
	"encoding/binary"
	"encoding/hex"
)

// uuidLen is the length of a UUID as a text.
const uuidLen = 36

// uuidSign is the bit in which DuckDB's form of a UUID differs from its bytes, so that it orders as a signed number does.
const uuidSign = 1 << 63

// parseUUID reads a UUID in the one form in which it is given back: lower case, with hyphens.
func parseUUID(s string) (hugeint, bool) {
	if len(s) != uuidLen {
		return hugeint{}, false
	}
	var digits [32]byte
	n := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return hugeint{}, false
			}
			continue
		case c >= '0' && c <= '9':
			digits[n] = c - '0'
		case c >= 'a' && c <= 'f':
			digits[n] = c - 'a' + 10
		default:
			return hugeint{}, false
		}
		n++
	}
	var u hugeint
	for i := range 16 {
		u.upper = u.upper<<4 | uint64(digits[i])
		u.lower = u.lower<<4 | uint64(digits[16+i])
	}
	u.upper ^= uuidSign
	return u, true
}

// appendUUID appends the text of what parseUUID returned.
func appendUUID(dst []byte, u hugeint) []byte {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], u.upper^uuidSign)
	binary.BigEndian.PutUint64(b[8:], u.lower)
	from := 0
	for _, to := range []int{4, 6, 8, 10, 16} {
		if from > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, b[from:to])
		from = to
	}
	return dst
}
