package kqltest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Golden runs every query of a file of testdata, in whatever language: blocks of lines that begin with "> ", the query, and
// what answer returned for it; lines that begin with "# " are kept. With update the answers are written into the file.
func Golden(t *testing.T, name string, update bool, answer func(query string) string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	var query []string
	n := 0
	flush := func() {
		if query != nil {
			n++
			out.WriteString("> " + strings.Join(query, "\n> ") + "\n")
			out.WriteString(strings.TrimRight(answer(strings.Join(query, "\n")), "\n") + "\n\n")
		}
		query = nil
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if q, ok := strings.CutPrefix(line, "> "); ok {
			if i > 0 && !strings.HasPrefix(lines[i-1], "> ") {
				flush()
			}
			query = append(query, q)
		} else if strings.HasPrefix(line, "# ") {
			flush()
			out.WriteString(line + "\n\n")
		}
	}
	flush()
	if n == 0 {
		t.Fatalf("%s holds no query", path)
	}
	if update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), out.String()); diff != "" {
		t.Errorf("%s (-want +got; -update writes what came out):\n%s", path, diff)
	}
}
