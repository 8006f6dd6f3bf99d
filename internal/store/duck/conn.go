package duck

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	bindings "github.com/duckdb/duckdb-go-bindings"
)

// database is an instance of DuckDB with its idle connections.
type database struct {
	handle bindings.Database

	mu     sync.Mutex
	idle   []*conn
	opened []*conn
	closed bool
}

// conn is one connection: it runs one statement at a time and is used by one goroutine at a time.
type conn struct {
	handle bindings.Connection
	used   bool // the store has made it ready
}

// errClosed says that the store was closed.
var errClosed = errors.New("the store is closed")

// openDatabase starts an instance in memory, to which files are attached.
func openDatabase(settings map[string]string) (*database, error) {
	var config bindings.Config
	defer bindings.DestroyConfig(&config)
	if bindings.CreateConfig(&config) == bindings.StateError {
		return nil, errors.New("start DuckDB: no memory for its settings")
	}
	for name, value := range settings {
		if bindings.SetConfig(config, name, value) == bindings.StateError {
			return nil, fmt.Errorf("start DuckDB: it refuses the setting %s=%s", name, value)
		}
	}
	db := &database{}
	var message string
	if bindings.OpenExt(":memory:", &db.handle, config, &message) == bindings.StateError {
		return nil, fmt.Errorf("start DuckDB: %s", message)
	}
	return db, nil
}

// take returns an idle connection, or a new one.
func (db *database) take() (*conn, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return nil, errClosed
	}
	if n := len(db.idle); n > 0 {
		c := db.idle[n-1]
		db.idle = db.idle[:n-1]
		return c, nil
	}
	c := &conn{}
	if bindings.Connect(db.handle, &c.handle) == bindings.StateError {
		return nil, errors.New("connect to DuckDB: no memory")
	}
	db.opened = append(db.opened, c)
	return c, nil
}

// give takes back a connection that runs nothing and is in no transaction.
func (db *database) give(c *conn) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if !db.closed {
		db.idle = append(db.idle, c)
	}
}

// close ends the instance. No connection may be in use.
func (db *database) close() {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return
	}
	db.closed = true
	for _, c := range db.opened {
		bindings.Disconnect(&c.handle)
	}
	db.idle, db.opened = nil, nil
	bindings.Close(&db.handle)
}

// watch interrupts the running statement once ctx ends, until stop is called. It must be called after the statement has
// been started, since the start takes back an earlier interruption.
func (c *conn) watch(ctx context.Context) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	fired := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		bindings.Interrupt(c.handle)
		close(fired)
	})
	return func() {
		if !cancel() {
			<-fired // else it could interrupt the next statement
		}
	}
}

// exec runs statements without parameters and drops their results. A cancelled ctx ends the one that runs.
func (c *conn) exec(ctx context.Context, sql string) error {
	r, err := c.query(ctx, sql)
	if err != nil {
		return err
	}
	for {
		_, err := r.next()
		if err != nil || r.done {
			r.close()
			return err
		}
	}
}

// begin starts a transaction with the statement sql. Nothing interrupts it: an interrupted BEGIN may have begun all the
// same, and what it began would stay open.
func (c *conn) begin(sql string) error { return c.exec(context.Background(), sql) }

// query starts one statement, whose result streams: the next statement of the connection ends it.
func (c *conn) query(ctx context.Context, sql string) (*result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r := &result{conn: c, ctx: ctx}
	if bindings.Prepare(c.handle, sql, &r.stmt) == bindings.StateError {
		err := fmt.Errorf("prepare %s: %s", brief(sql), bindings.PrepareError(r.stmt))
		r.close()
		return nil, err
	}
	var pending bindings.PendingResult
	if bindings.PendingPreparedStreaming(r.stmt, &pending) == bindings.StateError {
		err := fmt.Errorf("start %s: %s", brief(sql), bindings.PendingError(pending))
		bindings.DestroyPending(&pending)
		r.close()
		return nil, err
	}
	r.stop = c.watch(ctx)
	state := bindings.ExecutePending(pending, &r.res)
	bindings.DestroyPending(&pending)
	r.open = true
	if state == bindings.StateError {
		err := r.failure(sql)
		r.close()
		return nil, err
	}
	return r, nil
}

// brief is the beginning of a statement, for errors.
func brief(sql string) string {
	sql = strings.Join(strings.Fields(sql), " ")
	if len(sql) > 200 {
		sql = strings.ToValidUTF8(sql[:200], "") + "…"
	}
	return fmt.Sprintf("%q", sql)
}

// result is the result of a statement, read chunk by chunk.
type result struct {
	conn  *conn
	ctx   context.Context
	stmt  bindings.PreparedStatement
	res   bindings.Result
	open  bool
	stop  func()
	chunk bindings.DataChunk
	cols  []vector
	done  bool
}

// next returns the size of the next chunk, whose columns are then in r.cols until the next call; at the end it is 0 and
// r.done is set.
func (r *result) next() (int, error) {
	for {
		bindings.DestroyDataChunk(&r.chunk)
		if err := r.ctx.Err(); err != nil {
			return 0, err
		}
		r.chunk = bindings.FetchChunk(r.res)
		if r.chunk.Ptr == nil {
			r.done = true
			if message := bindings.ResultError(&r.res); message != "" {
				return 0, r.failure("")
			}
			return 0, r.ctx.Err()
		}
		n := int(bindings.DataChunkGetSize(r.chunk))
		if n == 0 {
			continue
		}
		r.cols = r.cols[:0]
		for i := range int(bindings.DataChunkGetColumnCount(r.chunk)) {
			r.cols = append(r.cols, readVector(bindings.DataChunkGetVector(r.chunk, bindings.IdxT(i)), n))
		}
		return n, nil
	}
}

// failure is the error of the result, or the context's where that ended it.
func (r *result) failure(sql string) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	message := bindings.ResultError(&r.res)
	if sql == "" {
		return errors.New(message)
	}
	return fmt.Errorf("run %s: %s", brief(sql), message)
}

func (r *result) close() {
	bindings.DestroyDataChunk(&r.chunk)
	if r.open {
		bindings.DestroyResult(&r.res)
		r.open = false
	}
	if r.stop != nil {
		r.stop()
		r.stop = nil
	}
	bindings.DestroyPrepare(&r.stmt)
	r.done = true
}

// each calls f for every chunk of the statement's result with its columns and size.
func (c *conn) each(ctx context.Context, sql string, f func(cols []vector, n int) error) error {
	r, err := c.query(ctx, sql)
	if err != nil {
		return err
	}
	defer r.close()
	for {
		n, err := r.next()
		if err != nil || r.done {
			return err
		}
		if err := f(r.cols, n); err != nil {
			return err
		}
	}
}
