package duck_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
	"github.com/tocsin-sec/tocsin/internal/store/storetest"
)

func engine() storetest.Engine {
	return storetest.Engine{Name: "duck", Persistent: true, Open: func(t testing.TB, dir string, types storetest.Types) store.Store {
		t.Helper()
		db, err := duck.Open(context.Background(), filepath.Join(dir, "store.db"), duck.Options{Types: types})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}}
}

func TestStore(t *testing.T)          { storetest.Run(t, engine()) }
func TestKQLConformance(t *testing.T) { storetest.KQL(t, engine()) }
func TestEQLConformance(t *testing.T) { storetest.EQL(t, engine()) }
