package kql_test

import (
	"flag"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
)

var update = flag.Bool("update", false, "write what comes out into the files of testdata")

// golden holds the answers to the queries of a file of testdata: see kqltest.Golden.
func golden(t *testing.T, name string, answer func(query string) string) {
	t.Helper()
	kqltest.Golden(t, name, *update, answer)
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
