package duck

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestPlainText(t *testing.T) {
	f := func(s string, fits, ascii bool) {
		t.Helper()
		if a, b := plainText(s); a != fits || b != ascii {
			t.Errorf("%q: fits %t, ascii %t", s, a, b)
		}
	}
	f("", true, true)
	f("GetCallerIdentity", true, true)
	f("\x7f\x01\x7f\x01\x7f\x01\x7f\x01\x7f\x01", true, true)
	f("GetCallerIdentité", true, false)
	f("é", true, false)
	f("12345678\x00", false, false)
	f("1234\x00678", false, false)
	f("1234567\xff", false, false)
	f("é\x00", false, false)
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,40}`),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		fits, ascii := plainText(s)
		wantFits := utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
		wantASCII := wantFits && strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
		if fits != wantFits || ascii != wantASCII {
			t.Fatalf("%q: fits %t, ascii %t", s, fits, ascii)
		}
	})
}

// TestLower holds that DuckDB's lower case is Go's, character by character: clauses rely on it.
func TestLower(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, filepath.Join(t.TempDir(), "store"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n := 0
	err = s.read(ctx, `SELECT i, lower(chr(i)) FROM (SELECT i::INTEGER AS i FROM range(1, 1114112) t(i)) WHERE i < 55296 OR i > 57343`,
		func(cols []vector, rows int) error {
			for i := range rows {
				r := string(rune(cols[0].int32(i)))
				if got := cols[1].str(i); got != strings.ToLower(r) {
					t.Errorf("lower(%q) is %q to DuckDB, %q to Go", r, got, strings.ToLower(r))
				}
			}
			n += rows
			return nil
		})
	if err != nil || n != 1114111-2048 {
		t.Errorf("%d characters, %v", n, err)
	}
}
