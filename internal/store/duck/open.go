// Package duck is the store in one DuckDB file: the default engine. It keeps events in segments, one table for each stream,
// UTC day and generation of columns, and answers plans by SQL over the segments and columns that they need.
//
// It gives the rows that mem gives. What SQL cannot say exactly is narrowed down by SQL and decided in Go on what is
// left; nodes that it does not take return store.Unsupported, and exec runs them.
//
//	db, err := duck.Open(ctx, "events.tocsin", duck.Options{Types: ecsTypes})
//	defer db.Close()
//	err = db.Apply(ctx, &store.Change{At: at, Events: events})
//
// One process owns the file. The package reads no clock and knows no catalogue of fields: the types come with Options.
package duck

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Options of a Store. The zero Options are good.
type Options struct {
	// Types tells the declared type of the field at a path, false where none is declared: it decides how columns are
	// stored and what counts as a misfit. It must not change while the store is open. Nil declares nothing.
	Types func(path string) (event.Type, bool)
	// Memory is what DuckDB may use, in bytes; beside it allocates up to 150 MB more. 0: 384 MB.
	Memory int64
	// Threads is how many threads DuckDB uses; 0: one for each processor but the first, which the program needs. (The
	// caller's thread is one of them: it turns idle circles while another does its work.)
	Threads int
}

const defaultMemory = 384 << 20

// attachOptions say how the file is laid out. A commit touches some eighty columns of each day that it has events of, and
// what is not yet compressed takes a block a column: with blocks of 256 KiB (the default) twenty days filled 384 MB.
// Whole row groups are compressed at once; what does not fill one goes through the log, and is compressed again whenever
// the group grows. With groups of 122,880 rows (the default) a day of 400,000 events took twice the time of the whole load.
const (
	attachOptions = "TYPE duckdb, STORAGE_VERSION 'latest', ROW_GROUP_SIZE 8192"
	freshOptions  = ", BLOCK_SIZE 65536" // a file keeps its own
)

// Store is a store in a file. It is safe for concurrent use.
type Store struct {
	path  string
	types func(path string) (event.Type, bool)
	db    *database
	held  string // the path under which the file is known to be open

	stretch int64 // see stretchRows

	catalog atomic.Pointer[catalog]
	// layout is held for reading while a query finds its tables, and for writing while tables go.
	layout sync.RWMutex
	users  sync.WaitGroup // queries that run
	closed atomic.Bool

	// The rest belongs to whoever holds writing.
	writing     sync.Mutex
	writer      *conn
	nextSegment int64
	turned      map[columnKey]bool // columns that are lists in the next generation
	broken      error              // why nothing can be written any more

	paths      pathSets
	programsMu sync.RWMutex
	programs   map[string]int32
}

var _ store.Store = (*Store)(nil)

// Open opens the store in the file at path, and makes it where there is none. A file that another store has open, in this
// process or another, and one that is no store give an error that says so.
func Open(ctx context.Context, path string, opt Options) (*Store, error) {
	if path == "" {
		return nil, errors.New("open a store: no path")
	}
	s := &Store{path: path, types: opt.Types, stretch: stretchRows, turned: map[columnKey]bool{}, programs: map[string]int32{},
		paths: pathSets{byName: map[int32]map[string]*pathState{}}}
	if err := s.open(ctx, opt); err != nil {
		s.abandon()
		return nil, fmt.Errorf("open the store %s: %w", path, err)
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, opt Options) error {
	if err := s.takeLock(); err != nil {
		return err
	}
	if opt.Memory == 0 {
		opt.Memory = defaultMemory
	}
	settings := map[string]string{
		"memory_limit":                 strconv.FormatInt(opt.Memory>>10, 10) + "KiB",
		"temp_directory":               s.path + tempMark + strconv.Itoa(os.Getpid()),
		"autoinstall_known_extensions": "false",
		"autoload_known_extensions":    "false",
		"allow_community_extensions":   "false",
		"allow_persistent_secrets":     "false",
		"preserve_insertion_order":     "false",
		"checkpoint_threshold":         "128MiB",
	}
	if opt.Threads == 0 {
		opt.Threads = max(runtime.NumCPU()-1, 1)
	}
	settings["threads"] = strconv.Itoa(opt.Threads)
	fresh, err := checkFile(s.path)
	if err != nil {
		return err
	}
	if s.db, err = openDatabase(settings); err != nil {
		return err
	}
	if s.writer, err = s.db.take(); err != nil {
		return err
	}
	if err := registerInSet(s.writer); err != nil {
		return err
	}
	literal, ok := quote(s.path)
	if !ok {
		return errors.New("its name cannot be written in SQL")
	}
	options := attachOptions
	if fresh {
		options += freshOptions
	}
	if err := s.writer.exec(ctx, "ATTACH "+literal+" AS "+catalogName+" ("+options+")"); err != nil {
		return attachError(err)
	}
	s.sweep() // the file is ours alone from here on
	if err := s.writer.exec(ctx, "USE "+catalogName); err != nil {
		return err
	}
	if err := s.prepare(ctx); err != nil {
		return err
	}
	for _, sql := range append(staging, "SET enable_external_access = false", "SET lock_configuration = true") {
		if err := s.writer.exec(ctx, sql); err != nil {
			return err
		}
	}
	return s.load(ctx, s.writer)
}

// tempMark stands between the name of the file and the process in the name of the folder for what DuckDB has no memory for.
const tempMark = ".tmp-"

// sweep removes the folders that killed processes have left beside the file. What cannot be removed does no harm.
func (s *Store) sweep() {
	entries, err := os.ReadDir(filepath.Dir(s.path))
	if err != nil {
		return
	}
	mark := filepath.Base(s.path) + tempMark
	for _, e := range entries {
		if pid, ok := strings.CutPrefix(e.Name(), mark); ok && e.IsDir() && pid != strconv.Itoa(os.Getpid()) {
			_ = os.RemoveAll(filepath.Join(filepath.Dir(s.path), e.Name()))
		}
	}
}

// prepare makes the tables of a fresh file and looks at those of another.
func (s *Store) prepare(ctx context.Context) error {
	tablesHere, known := 0, false
	err := s.writer.each(ctx, "SELECT table_name FROM duckdb_tables() WHERE database_name = '"+catalogName+"'",
		func(cols []vector, n int) error {
			tablesHere += n
			for i := range n {
				known = known || cols[0].str(i) == "meta"
			}
			return nil
		})
	if err != nil {
		return err
	}
	switch {
	case tablesHere == 0:
		return s.create(ctx)
	case !known:
		return errors.New("it is a DuckDB file, but no Tocsin store")
	}
	found := int32(-1)
	err = s.writer.each(ctx, "SELECT version FROM meta", func(cols []vector, n int) error {
		found = cols[0].int32(0)
		return nil
	})
	if err != nil || found == -1 {
		return errors.New("it is a DuckDB file, but no Tocsin store")
	}
	if found != version {
		return fmt.Errorf("it is a store of version %d, this program reads version %d", found, version)
	}
	return nil
}

func (s *Store) create(ctx context.Context) error {
	for _, sql := range append(append([]string{"BEGIN"}, tables...), "COMMIT") {
		if err := s.writer.exec(ctx, sql); err != nil {
			return fmt.Errorf("make the tables: %w", err)
		}
	}
	return nil
}

// checkFile refuses what can hold no store; fresh says that there is none yet.
func checkFile(path string) (fresh bool, err error) {
	f, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if dir, err := os.Stat(filepath.Dir(path)); err != nil || !dir.IsDir() {
			return false, fmt.Errorf("there is no folder %s", filepath.Dir(path))
		}
		return true, nil
	case err != nil:
		return false, err
	case f.IsDir():
		return false, errors.New("it is a folder")
	case f.Size() == 0: // a temporary file, or what is left of a start that was killed: DuckDB wants to make it itself
		return true, os.Remove(path)
	}
	return false, nil
}

// attachError says in plain words why DuckDB does not open a file.
func attachError(err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "Could not set lock"), strings.Contains(text, "Conflicting lock"):
		return fmt.Errorf("another program has it open (%w)", err)
	case strings.Contains(text, "not a valid DuckDB database file"):
		return fmt.Errorf("it is no Tocsin store (%w)", err)
	case strings.Contains(text, "Permission denied"):
		return fmt.Errorf("it may not be read or written (%w)", err)
	}
	return fmt.Errorf("the file is damaged or of another version (%w)", err)
}

// connection returns a connection for reading, and what gives it back.
func (s *Store) connection() (*conn, func(), error) {
	s.users.Add(1)
	if s.closed.Load() {
		s.users.Done()
		return nil, nil, errClosed
	}
	c, err := s.db.take()
	if err == nil && !c.used {
		if err = c.exec(context.Background(), "USE "+catalogName); err == nil {
			c.used = true
		}
	}
	if err != nil {
		s.users.Done()
		return nil, nil, err
	}
	return c, func() {
		s.db.give(c)
		s.users.Done()
	}, nil
}

// Close waits for the queries that run, writes what the log holds into the file and lets go of it.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.users.Wait()
	s.writing.Lock()
	defer s.writing.Unlock()
	var err error
	if s.broken == nil {
		err = s.writer.exec(context.Background(), "CHECKPOINT "+catalogName)
	}
	s.abandon()
	if err != nil {
		return fmt.Errorf("close the store %s: %w", s.path, err)
	}
	return nil
}

// abandon lets go of everything.
func (s *Store) abandon() {
	if s.db != nil {
		s.db.close()
	}
	s.dropLock()
}

// opened are the files that stores of this process have open. DuckDB's own lock keeps other processes out, but not a
// second store in this one, whose writes would destroy the file.
var opened = struct {
	sync.Mutex
	paths map[string]bool
}{paths: map[string]bool{}}

func (s *Store) takeLock() error {
	path, err := filepath.Abs(s.path)
	if err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	opened.Lock()
	defer opened.Unlock()
	if opened.paths[path] {
		return errors.New("this program has it open already")
	}
	opened.paths[path] = true
	s.held = path
	return nil
}

func (s *Store) dropLock() {
	opened.Lock()
	defer opened.Unlock()
	if s.held != "" {
		delete(opened.paths, s.held)
	}
}
