package kqltest

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
)

// matchCase is one query on one document, and what the server said.
type matchCase struct {
	KQL       string            `json:"kql"`
	Types     map[string]string `json:"mapping"`
	Doc       json.RawMessage   `json:"doc"`
	Match     *bool             `json:"match"`          // null: the query is an error
	MatchView json.RawMessage   `json:"match_dataview"` // where it differs; null as above
	Error     string            `json:"error"`
}

// answer is what a query comes to: a match or none, or an error.
type answer string

const (
	hit    answer = "match"
	miss   answer = "no match"
	failed answer = "error"
)

func answerOf(match *bool) answer {
	switch {
	case match == nil:
		return failed
	case *match:
		return hit
	}
	return miss
}

// RunMatches runs the corpus's match cases; the tally has the given name.
func RunMatches(t *testing.T, name string, engine Engine) {
	cases := readLines[matchCase](t, filepath.Join(corpus.Dir(t, "corpus/kql"), "match_cases.jsonl"))
	runMatches(t, name, engine, cases, []kql.View{kql.ViewByQuery, kql.ViewAlways})
}

// RunProbes runs the answers that a server was probed for. Where this project's answer is knowingly another one (the
// Differences), both are held: each difference must be recorded as it says at least once, and ours must be as it says.
func RunProbes(t *testing.T, name string, engine Engine) {
	cases := readLines[matchCase](t, filepath.Join(corpus.Dir(t, "corpus/kql"), "match_cases.probed.jsonl"))
	met := runMatches(t, name, engine, cases, []kql.View{kql.ViewNever, kql.ViewAlways})
	for _, d := range Differences() {
		if !met[d] {
			t.Errorf("%s: no case is recorded as %q and answered %q here", d.KQL, d.Server, d.Ours)
		}
		t.Logf("differs by intention: %-10s Elasticsearch: %s, here: %s: %s", d.KQL, d.Server, d.Ours, d.Why)
	}
}

// runMatches runs every case in each of the views and returns the differences that it met. The documents of one mapping
// are loaded once.
func runMatches(t *testing.T, name string, engine Engine, cases []matchCase, views []kql.View) map[Difference]bool {
	tally := corpus.NewTally(t, name)
	type index struct {
		fields Mapping
		docs   []*event.Event
		query  Query
	}
	indices := map[string]*index{}
	ids := map[string]string{}
	key := func(c matchCase) string { return fmt.Sprint(c.Types) }
	for _, c := range cases {
		x := indices[key(c)]
		if x == nil {
			m, err := TypesMapping(c.Types)
			if err != nil {
				t.Fatal(err)
			}
			x = &index{fields: m}
			indices[key(c)] = x
		}
		doc := key(c) + string(c.Doc)
		if ids[doc] == "" {
			e := decode(t, x.fields, c.Doc)
			ids[doc] = fmt.Sprintf("m%05d", len(ids))
			e.ID = ids[doc]
			x.docs = append(x.docs, e)
		}
	}
	for _, x := range indices {
		x.query = engine(t, x.fields, x.docs)
	}
	met := map[Difference]bool{}
	for _, c := range cases {
		x, id, why := indices[key(c)], ids[key(c)+string(c.Doc)], ""
		for _, view := range views {
			server := answerOf(c.Match)
			if view == kql.ViewAlways && c.MatchView != nil {
				var match *bool
				if err := json.Unmarshal(c.MatchView, &match); err != nil {
					t.Fatal(err)
				}
				server = answerOf(match)
			}
			got, detail := ask(x.fields, x.query, c.KQL, id, view)
			want := server
			for _, d := range Differences() {
				// The document of a recorded error is empty, so that ours is a miss on it.
				if d.KQL == c.KQL && d.Server == server && d.Ours == got {
					want, met[d] = d.Ours, true
				}
			}
			if got != want && why == "" {
				why = fmt.Sprintf("%s, want %s (view %d): %s %s", got, want, view, c.Doc, detail)
			}
		}
		if why != "" {
			tally.Fail(c.KQL, why)
		} else {
			tally.Pass()
		}
	}
	return met
}

// ask returns the answer of the engine for one document.
func ask(m Mapping, query Query, text, id string, view kql.View) (answer, string) {
	n, err := kql.Parse(text)
	if err != nil {
		return failed, err.Error()
	}
	cond, err := kql.Lower(n, kql.Options{Resolver: m, Now: Now, View: view})
	if err != nil {
		return failed, err.Error()
	}
	found, err := query(cond)
	if err != nil {
		return failed, err.Error()
	}
	for _, f := range found {
		if f == id {
			return hit, ""
		}
	}
	return miss, ""
}
