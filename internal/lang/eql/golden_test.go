package eql_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
)

var update = flag.Bool("update", false, "write what comes out into the files of testdata")

// golden runs every query of a file of testdata: blocks of lines that begin with "> ", the query, and what answer
// returned for it.
func golden(t *testing.T, name string, answer func(query string) string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	file, err := os.ReadFile(path)
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
	lines := strings.Split(string(file), "\n")
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
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(file), out.String()); diff != "" {
		t.Errorf("%s (-want +got; -update writes what came out):\n%s", path, diff)
	}
}

// goldenQueries are the queries of the files of testdata.
func goldenQueries(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("testdata", "*.txt"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	var out []string
	for _, name := range names {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(file), "\n") {
			if q, ok := strings.CutPrefix(line, "> "); ok {
				out = append(out, q)
			}
		}
	}
	return out
}

func TestErrors(t *testing.T) {
	golden(t, "errors.txt", func(query string) string {
		q, err := eql.Parse(query)
		if err == nil {
			return "accepted as " + eql.String(q)
		}
		return diag.Of(err).Render()
	})
}
