// Package storetest holds every engine to the contracts of package store and to the meaning of plans. An engine plugs in
// by saying how it is opened:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, storetest.Engine{Name: "duck", Persistent: true,
//			Open: func(t testing.TB, dir string, types storetest.Types) store.Store { … }})
//	}
//
// There are six witnesses. Contract asks for what the interfaces promise. Corpus runs the plans of testdata over their
// events and compares the rows with those that were derived by hand. Documents stores odd documents and reads them back.
// Random holds the engine equal to store/mem on random plans over random events. KQL and EQL ask what a real server
// answered.
//
// The package is for tests. It knows no engine but mem.
package storetest

import (
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Types tells the declared type of the field at a path, false where none is declared.
type Types = func(path string) (event.Type, bool)

// Engine is what is tested.
type Engine struct {
	// Name names the engine in reports, such as duck.
	Name string
	// Open returns the store of the folder dir, an empty one where it holds none yet, whose fields have the given types.
	// It does not close the store: the tests do. Opening fails the test.
	Open func(t testing.TB, dir string, types Types) store.Store
	// Persistent says that a store that was closed can be opened again with what it held.
	Persistent bool
}

// Run runs all tests but KQL and EQL, which have their corpora outside of the repository.
func Run(t *testing.T, e Engine) {
	t.Run("contract", func(t *testing.T) { Contract(t, e) })
	t.Run("corpus", func(t *testing.T) { Corpus(t, e) })
	t.Run("documents", func(t *testing.T) { Documents(t, e) })
	t.Run("random", func(t *testing.T) { Random(t, e, RandomOptions{}) })
}

// open returns a new, empty store, which is closed at the test's end.
func (e Engine) open(t testing.TB, types Types) store.Store {
	t.Helper()
	db := e.Open(t, t.TempDir(), types)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	return db
}
