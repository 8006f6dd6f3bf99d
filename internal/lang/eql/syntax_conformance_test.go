package eql_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/lang/eql"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

const serverCorpus = "corpus/eql/elasticsearch"

// listed returns the queries of a file in which each ends with a semicolon at the end of a line.
func listed(t testing.TB, name string) []string {
	t.Helper()
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, q := range strings.Split(string(file), ";\n") {
		if q = regexp.MustCompile(`(?m)^//.*\n`).ReplaceAllString(q, ""); strings.TrimSpace(q) != "" {
			out = append(out, q)
		}
	}
	return out
}

// syntaxClass are the codes of Parse.
var syntaxClass = regexp.MustCompile(`^EQL01\d\d$`)

func TestConformanceSyntax(t *testing.T) {
	dir := corpus.Dir(t, serverCorpus)
	tally := corpus.NewTally(t, "eql/supported")
	for _, q := range listed(t, filepath.Join(dir, "queries-supported-extract.eql")) {
		if why := refix(q); why != "" {
			tally.Fail(q, why)
		} else {
			tally.Pass()
		}
	}
	tally = corpus.NewTally(t, "eql/unsupported")
	for _, q := range listed(t, filepath.Join(dir, "queries-unsupported-extract.eql")) {
		var d diag.Diagnostic
		if _, err := eql.Parse(q); !errors.As(err, &d) {
			tally.Fail(q, "accepted")
		} else if !syntaxClass.MatchString(d.Code) || d.Hint == "" && d.Code == eql.CodeUnexpected {
			tally.Fail(q, d.Render())
		} else {
			tally.Pass()
			t.Log(d.Error())
		}
	}
}

// TestConformanceRules holds that every public rule's query is read, and read the same when written by the printer.
func TestConformanceRules(t *testing.T) {
	set := rule.Load(corpus.Dir(t, "corpus/rules"))
	tally := corpus.NewTally(t, "eql/rules")
	for _, r := range set.Rules {
		if r.Type != "eql" {
			continue
		}
		if why := refix(r.Query); why != "" {
			tally.Fail(r.Name, why)
		} else {
			tally.Pass()
		}
	}
}

// refix says why a query is not read, or how reading and writing it again differs, or nothing.
func refix(query string) string {
	q, err := eql.Parse(query)
	if err != nil {
		return diag.Of(err).Render()
	}
	written := eql.String(q)
	again, err := eql.Parse(written)
	if err != nil {
		return "printed as " + written + ": " + diag.Of(err).Render()
	}
	if diff := cmp.Diff(shape(q), shape(again)); diff != "" {
		return "printed as " + written + ": the tree becomes (-was +is):\n" + diff
	}
	if second := eql.String(again); second != written {
		return "printed as " + written + ", then as " + second
	}
	return ""
}

// existing returns the queries of a list, none where it is absent.
func existing(t testing.TB, name string) []string {
	if _, err := os.Stat(name); err != nil {
		return nil
	}
	return listed(t, name)
}
