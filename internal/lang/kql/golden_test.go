package kql_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
)

var update = flag.Bool("update", false, "write what comes out into the files of testdata")

// golden runs every query of a file of testdata: blocks of lines that begin with "> ", the query, and what answer
// returned for it.
func golden(t *testing.T, name string, answer func(query string) string) {
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
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), out.String()); diff != "" {
		t.Errorf("%s (-want +got; -update writes what came out):\n%s", path, diff)
	}
}

// fields are the fields that the queries of testdata are about.
func fields(t testing.TB) kqltest.Mapping {
	t.Helper()
	m, err := kqltest.TypesMapping(map[string]string{
		"@timestamp": "date", "event.action": "keyword", "event.category": "keyword", "user.name": "keyword",
		"user.name.caseless": "keyword_lowercase", "message": "text", "script": "text:pattern", "source.ip": "ip",
		"source.port": "long", "score": "double", "error": "boolean", "params": "flattened", "cmd": "wildcard",
		"files": "nested", "files.name": "keyword", "files.size": "long", "where": "geo_point",
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestErrors(t *testing.T) {
	golden(t, "errors.txt", func(query string) string {
		n, err := kql.Parse(query)
		if err == nil {
			return "accepted as " + kql.String(n)
		}
		return diag.Of(err).Render()
	})
}

func TestCheck(t *testing.T) {
	golden(t, "check.txt", func(query string) string {
		n, err := kql.Parse(query)
		if err != nil {
			return diag.Of(err).Render()
		}
		found := kql.Check(n, fields(t))
		if len(found) == 0 {
			return "nothing to say"
		}
		return found.Render()
	})
}

func TestLower(t *testing.T) {
	golden(t, "lower.txt", func(query string) string {
		n, err := kql.Parse(query)
		if err != nil {
			return diag.Of(err).Render()
		}
		cond, err := kql.Lower(n, kql.Options{Resolver: fields(t), Now: kqltest.Now})
		if err != nil {
			return diag.Of(err).Render()
		}
		return expr.String(cond)
	})
}
