package opensearch_test

import (
	"testing"

	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/storetest"
)

// engine is the store over indices that the test fills; pages are of so many documents, 0: as many as is usual.
func engine(page int) storetest.Engine {
	return storetest.Engine{Name: "opensearch",
		Open: func(t testing.TB, _ string, types storetest.Types) store.Store { return newLoader(t, types, page) }}
}

// TestCorpus runs the facts about plans that every engine is held to.
func TestCorpus(t *testing.T) {
	connect(t)
	t.Run("pages", func(t *testing.T) { storetest.Corpus(t, engine(0)) })
	t.Run("pages of two", func(t *testing.T) { storetest.Corpus(t, engine(2)) })
}

// TestDocuments reads odd documents back.
func TestDocuments(t *testing.T) {
	connect(t)
	storetest.Documents(t, engine(3))
}

// TestRandom holds the store equal to the one in memory.
func TestRandom(t *testing.T) {
	connect(t)
	storetest.Random(t, engine(50), storetest.RandomOptions{Plans: 3_000})
}
