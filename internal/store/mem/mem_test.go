package mem_test

import (
	"testing"

	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
	"github.com/tocsin-sec/tocsin/internal/store/storetest"
)

func engine() storetest.Engine {
	return storetest.Engine{Name: "mem", Open: func(_ testing.TB, _ string, types storetest.Types) store.Store {
		return mem.New(types)
	}}
}

// Random plans need another engine to be compared with: the other engines' tests run them, and those of storetest do over
// a mem that refuses nodes.
func TestContract(t *testing.T)       { storetest.Contract(t, engine()) }
func TestCorpus(t *testing.T)         { storetest.Corpus(t, engine()) }
func TestDocuments(t *testing.T)      { storetest.Documents(t, engine()) }
func TestKQLConformance(t *testing.T) { storetest.KQL(t, engine()) }
func TestEQLConformance(t *testing.T) { storetest.EQL(t, engine()) }
