package eql_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
)

var update = flag.Bool("update", false, "write what comes out into the files of testdata")

// golden holds the answers to the queries of a file of testdata: see kqltest.Golden.
func golden(t *testing.T, name string, answer func(query string) string) {
	t.Helper()
	kqltest.Golden(t, name, *update, answer)
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

// fields are the fields that the queries of testdata are about.
func fields(t testing.TB) kqltest.Mapping {
	t.Helper()
	m, err := kqltest.ReadMapping([]byte(`{"mappings":{"properties":{
		"@timestamp":{"type":"date"}, "event.action":{"type":"keyword"}, "event.category":{"type":"keyword"},
		"user.name":{"type":"keyword","fields":{"caseless":{"type":"keyword","normalizer":"lowercase"}}},
		"message":{"type":"text"}, "script":{"type":"text","fields":{"raw":{"type":"keyword"}}}, "source.ip":{"type":"ip"},
		"source.port":{"type":"long"}, "score":{"type":"double"}, "error":{"type":"boolean"}, "params":{"type":"flattened"},
		"cmd":{"type":"wildcard"}, "files":{"type":"nested","properties":{"name":{"type":"keyword"}}}, "where":{"type":"geo_point"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCheck(t *testing.T) {
	golden(t, "check.txt", func(query string) string {
		q, err := eql.Parse(query)
		if err != nil {
			return diag.Of(err).Render()
		}
		found := eql.Check(q, eql.Options{Resolver: fields(t)})
		if _, err := eql.Lower(q, eql.Options{Resolver: fields(t)}); (err == nil) != (found.Err() == nil) {
			return fmt.Sprintf("Check finds %v, Lower %v", found, err)
		}
		if len(found) == 0 {
			return "nothing to say"
		}
		return found.Render()
	})
}

func TestLower(t *testing.T) {
	golden(t, "lower.txt", func(query string) string {
		q, err := eql.Parse(query)
		if err != nil {
			return diag.Of(err).Render()
		}
		p, err := eql.Lower(q, eql.Options{Resolver: fields(t)})
		if err != nil {
			return diag.Of(err).Render()
		}
		return describe(p)
	})
}

func TestLenient(t *testing.T) {
	golden(t, "lenient.txt", func(query string) string {
		q, o := parse(t, query), eql.Options{Resolver: fields(t), Lenient: true}
		p, err := eql.Lower(q, o)
		if err != nil {
			return diag.Of(err).Render()
		}
		return describe(p) + eql.Check(q, o).Render()
	})
}

// describe writes what a query means.
func describe(p *eql.Program) string {
	var b strings.Builder
	stage := func(word string, s eql.Stage) {
		if s.Missing {
			word += " without"
		}
		fmt.Fprintf(&b, "%s ×%d %s", word, s.Runs, expr.String(s.Cond))
		for _, k := range s.Keys {
			fmt.Fprintf(&b, " by %s=%v optional=%t absent=%t", k.Name, k.Field, k.Optional, k.Absent)
		}
		b.WriteByte('\n')
	}
	for _, s := range []*eql.Stages{p.Sequence, p.Sample} {
		if s == nil {
			continue
		}
		for _, st := range s.Stages {
			stage("stage", st)
		}
		if s.Until != nil {
			stage("until", *s.Until)
		}
		fmt.Fprintf(&b, "within %v\n", s.MaxSpan)
	}
	if p.Events != nil {
		b.WriteString(expr.String(p.Events) + "\n")
	}
	for _, pipe := range p.Pipes {
		fmt.Fprintf(&b, "tail=%t %d\n", pipe.Tail, pipe.N)
	}
	return b.String()
}
