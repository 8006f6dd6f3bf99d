package opensearch_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene"
	"github.com/tocsin-sec/tocsin/internal/lang/lucene/lucenetest"
	"github.com/tocsin-sec/tocsin/internal/store/opensearch"
)

// luceneAsked loads the documents of package lucenetest and returns how to ask the server about them as Kibana does.
func luceneAsked(t *testing.T, s *server) func(query string) string {
	t.Helper()
	s.index("lucene", lucenetest.Index)
	var docs []document
	for i, body := range lucenetest.Documents() {
		docs = append(docs, document{fmt.Sprint(i + 1), body})
	}
	if refused := s.load("lucene", docs); len(refused) > 0 {
		t.Fatal(refused)
	}
	return func(query string) string {
		body, err := json.Marshal(map[string]any{"size": 100, "_source": false, "query": map[string]any{"query_string": map[string]any{
			"query": query, "analyze_wildcard": true, "time_zone": "Zulu"}}})
		if err != nil {
			t.Fatal(err)
		}
		status, answer := s.ask("POST", "/lucene/_search", string(body))
		if status >= 300 {
			return lucenetest.Refused
		}
		v, err := event.ParseJSON(answer)
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, hit := range v.At("hits", "hits").Items() {
			found = append(found, hit.Member("_id").Str())
		}
		slices.Sort(found)
		return strings.Join(found, " ")
	}
}

// TestLucene asks the server the queries of package lucene's facts, as Kibana sends them: as they are written, as package
// lucene prints them, and as the conditions that it makes of them. It finds what the facts say, or what they say that it
// finds.
func TestLucene(t *testing.T) {
	s := connect(t)
	raw := luceneAsked(t, s)
	types, err := kqltest.TypesMapping(lucenetest.Types)
	if err != nil {
		t.Fatal(err)
	}
	db := s.store(opensearch.Options{})
	asked, differ := 0, 0
	for _, f := range lucenetest.Facts() {
		want := f.Want
		if f.Why != "" {
			want = f.Server
			differ++
		}
		asked++
		if got := raw(f.Query); got != want {
			t.Errorf("%s: the server finds %q, want %q", f.Query, got, want)
		}
		n, err := lucene.Parse(f.Query)
		if err != nil {
			continue // as TestFacts of package lucene holds
		}
		if got := raw(lucene.String(n)); got != want {
			t.Errorf("%s, printed as %s: the server finds %q, want %q", f.Query, lucene.String(n), got, want)
		}
		c, err := lucene.Lower(n, lucene.Options{Resolver: types, Now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)})
		if err != nil {
			continue
		}
		found, err := ids(db, c, "lucene")
		if slices.Sort(found); err != nil || strings.Join(found, " ") != f.Want {
			t.Errorf("%s: the store finds %q (%v), want %q", f.Query, found, err, f.Want)
		}
	}
	t.Logf("%d queries asked, %d on which the server says something else by intention", asked, differ)
	if asked < 150 {
		t.Error("too few")
	}
}

// TestLuceneRandom asks the server what words and signs in any order mean: it refuses what package lucene refuses, and
// finds the same.
func TestLuceneRandom(t *testing.T) {
	s := connect(t)
	raw := luceneAsked(t, s)
	types, err := kqltest.TypesMapping(lucenetest.Types)
	if err != nil {
		t.Fatal(err)
	}
	var docs []*event.Event
	for i, body := range lucenetest.Documents() {
		e, err := event.Decode([]byte(body), event.DecodeOptions{Tree: types.Tree})
		if err != nil {
			t.Fatal(err)
		}
		e.ID = fmt.Sprint(i + 1)
		docs = append(docs, e)
	}
	ours := func(query string) string {
		n, err := lucene.Parse(query)
		if err != nil {
			return lucenetest.Refused
		}
		c, err := lucene.Lower(n, lucene.Options{Resolver: types, Now: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)})
		if found := diag.Of(err); len(found) > 0 {
			if found[0].Code != lucene.CodeNoWords { // that the server leaves out, as package lucenetest says
				t.Errorf("%s: %v", query, err)
			}
			return lucenetest.Failed
		}
		var found []string
		for _, e := range docs {
			if expr.Matches(c, e) {
				found = append(found, e.ID)
			}
		}
		return strings.Join(found, " ")
	}
	words := []string{"k:a", "k:b", "k:7", "k:or", "l:[1 TO 7]", "l:{0 TO *}", "t:quick", "t:fox", "quick", "fox", "two", "Foo", "Bar",
		`"Foo Bar"`, "F*", "k:F*", "args:/2.*/", `_exists_:"kn"`, "k:(", "t:(", "*", "b:true^2", "k:", "a", "b"}
	signs := []string{"AND", "OR", "NOT", "&&", "||", "!", "+", "-", "(", ")"}
	random := rand.New(rand.NewPCG(1, 2))
	refused, some := 0, 0
	const queries = 3000
	for range queries {
		query, depth := "", 0
		for n := 1 + random.IntN(9); n > 0; n-- {
			part := words[random.IntN(len(words))]
			if random.IntN(5) < 2 {
				part = signs[random.IntN(len(signs))]
			}
			if strings.HasSuffix(part, "(") {
				depth++
			}
			if part == ")" {
				if depth == 0 {
					continue
				}
				depth--
			}
			query += part
			if random.IntN(6) > 0 {
				query += " "
			}
		}
		query += strings.Repeat(")", depth)
		want, got := raw(query), ours(query)
		if strings.TrimSpace(query) == "" || got == lucenetest.Failed {
			continue // Kibana asks for everything without a query
		}
		if want != got {
			t.Errorf("%s: the server finds %q, we %q", query, want, got)
		}
		switch {
		case want == lucenetest.Refused:
			refused++
		case want != "":
			some++
		}
	}
	t.Logf("%d queries asked: %d refused, %d found something", queries, refused, some)
	if refused > queries*3/4 || some < queries/10 {
		t.Error("too few queries are of use")
	}
}
