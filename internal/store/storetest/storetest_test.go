package storetest_test

import (
	"testing"

	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
	"github.com/tocsin-sec/tocsin/internal/store/storetest"
)

func memory() storetest.Engine {
	return storetest.Engine{Name: "mem", Open: func(_ testing.TB, _ string, types storetest.Types) store.Store {
		return mem.New(types)
	}}
}

func TestCorpusOnMem(t *testing.T) { storetest.Corpus(t, memory()) }
