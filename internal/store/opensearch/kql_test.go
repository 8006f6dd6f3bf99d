package opensearch_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/opensearch"
)

// counted is a Querier that counts what it is asked for: plans that run whole, and those that do not.
type counted struct {
	store.Querier
	whole, looked, part int
	why                 map[string]int
}

func (c *counted) Query(ctx context.Context, p plan.Node, at store.Snapshot) (store.Rows, error) {
	rows, err := c.Querier.Query(ctx, p, at)
	var no *store.Unsupported
	switch {
	case errors.As(err, &no):
		if c.part++; c.why != nil {
			c.why[no.Why]++
		}
	case err == nil:
		if f, ok := p.(plan.Filter); ok {
			c.whole++
			if _, exact, err := c.Querier.(*opensearch.Store).Asks(ctx, f.In.(plan.Scan).Streams, f.Cond); err != nil || !exact {
				c.looked++
			}
		}
	}
	return rows, err
}

// ids returns the IDs that a condition finds in the streams.
func ids(q store.Querier, c expr.Cond, streams ...string) ([]string, error) {
	p := plan.Filter{In: plan.Scan{Streams: streams}, Cond: c}
	rows, err := exec.Query(context.Background(), q, p, store.Snapshot{Seq: 1})
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		out = append(out, rows.Event().ID)
	}
	return out, rows.Err()
}

// documentsIndex is the body of an index for the corpus's documents: flattened fields are flat_object, or, where flat is
// not set, objects of keywords.
func documentsIndex(t testing.TB, flat bool) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(corpus.Dir(t, "corpus/kql"), "documents.mapping.json"))
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil {
		t.Fatal(err)
	}
	var walk func(properties map[string]any)
	walk = func(properties map[string]any) {
		for _, v := range properties {
			field := v.(map[string]any)
			if field["type"] == "flattened" {
				if field["type"] = "flat_object"; !flat {
					field["type"], field["dynamic"] = "object", true
				}
			}
			if sub, ok := field["properties"].(map[string]any); ok {
				walk(sub)
			}
		}
	}
	mappings := body["mappings"].(map[string]any)
	walk(mappings["properties"].(map[string]any))
	var templates []any
	for _, kind := range []string{"string", "long", "double", "boolean", "date"} {
		templates = append(templates, map[string]any{kind: map[string]any{"match_mapping_type": kind,
			"mapping": map[string]any{"type": "keyword"}}})
	}
	mappings["dynamic_templates"] = templates
	body["settings"].(map[string]any)["number_of_replicas"] = 0
	body["settings"].(map[string]any)["index.mapping.total_fields.limit"] = 20_000
	out, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestConformanceHits asks the server the corpus's rule queries, in both ways to map flattened fields: it finds what the
// recorded server found.
func TestConformanceHits(t *testing.T) {
	for _, flat := range []bool{true, false} {
		for _, set := range []kqltest.Set{kqltest.Plain, kqltest.Leaves} {
			name := "kql/hits" + strings.ReplaceAll(string(set), ".", "-") + map[bool]string{true: "@flat_object", false: "@keywords"}[flat]
			t.Run(name, func(t *testing.T) {
				s := connect(t)
				var c *counted
				left := map[string]*event.Event{} // documents that the server refuses: they are answered for here
				kqltest.RunHits(t, set, name, func(t testing.TB, _ kqltest.Mapping, docs []*event.Event) kqltest.Query {
					s.index(kqltest.Stream, documentsIndex(t, flat))
					list := make([]document, len(docs))
					byID := map[string]*event.Event{}
					for i, e := range docs {
						list[i] = document{e.ID, string(e.AppendJSON(nil, nil))}
						byID[e.ID] = e
					}
					for id, why := range s.load(kqltest.Stream, list) {
						left[id] = byID[id]
						if !strings.Contains(why, "failed to parse") && !strings.Contains(why, "object mapping") {
							t.Errorf("document %s is left out: %s", id, why)
						}
					}
					c = &counted{Querier: s.store(opensearch.Options{}), why: map[string]int{}}
					return func(cond expr.Cond) ([]string, error) {
						found, err := ids(c, cond, kqltest.Stream)
						for id, e := range left {
							if expr.Matches(cond, e) {
								found = append(found, id)
							}
						}
						return found, err
					}
				})
				want := 0
				if !flat && set == kqltest.Plain {
					want = 10
				}
				if len(left) != want {
					t.Errorf("the server refused %d documents, want %d", len(left), want)
				}
				t.Logf("%d queries ran on the server, %d of them with a second look here; %d here", c.whole, c.looked, c.part)
				for why, n := range c.why {
					t.Logf("%4d × %s", n, why)
				}
			})
		}
	}
}

// matchEngine puts the documents of each mapping of the match cases into an index of their own.
func matchEngine(s *server, c *counted) kqltest.Engine {
	n := 0
	return func(t testing.TB, m kqltest.Mapping, docs []*event.Event) kqltest.Query {
		n++
		name := fmt.Sprintf("match-%d", n)
		kinds := map[string]string{}
		for _, f := range m.Expand(expr.Stars("", "")) {
			switch kinds[f.Path] = f.Type.String(); f.Type {
			case event.Flattened:
				kinds[f.Path] = "flat_object"
			case event.ConstantKeyword:
				kinds[f.Path] = "keyword"
			}
		}
		s.index(name, indexBody(kinds))
		list := make([]document, len(docs))
		for i, e := range docs {
			list[i] = document{e.ID, string(e.AppendJSON(nil, nil))}
		}
		for id, why := range s.load(name, list) {
			t.Errorf("document %s: %s", id, why)
		}
		return func(cond expr.Cond) ([]string, error) { return ids(c, cond, name) }
	}
}

func TestConformanceMatches(t *testing.T) {
	s := connect(t)
	c := &counted{Querier: s.store(opensearch.Options{}), why: map[string]int{}}
	kqltest.RunMatches(t, "kql/match-cases@opensearch", matchEngine(s, c))
	t.Logf("%d queries ran on the server, %d of them with a second look here; %d here: %v", c.whole, c.looked, c.part, c.why)
}

func TestConformanceProbes(t *testing.T) {
	s := connect(t)
	c := &counted{Querier: s.store(opensearch.Options{}), why: map[string]int{}}
	kqltest.RunProbes(t, "kql/match-probed@opensearch", matchEngine(s, c))
	t.Logf("%d queries ran on the server, %d of them with a second look here; %d here: %v", c.whole, c.looked, c.part, c.why)
}
