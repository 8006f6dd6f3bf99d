package duck

import (
	"bytes"
	"context"
	"fmt"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// recordID names a record.
type recordID struct{ kind, id string }

// recordState is a record as a commit leaves it.
type recordState struct {
	stored  bool // before the commit
	exists  bool
	version int64
	doc     []byte
}

// writeRecords does the writes in order and stores what they come to.
func (s *Store) writeRecords(ctx context.Context, w *conn, writes []store.RecordWrite) error {
	if len(writes) == 0 {
		return nil
	}
	states, order, err := s.readVersions(ctx, w, writes)
	if err != nil {
		return err
	}
	for _, r := range writes {
		st := states[recordID{r.Kind, r.ID}]
		if r.IfVersion == -1 && st.exists || r.IfVersion > 0 && (!st.exists || st.version != r.IfVersion) {
			return fmt.Errorf("write record %s/%s at version %d: %w", r.Kind, r.ID, r.IfVersion, store.ErrVersion)
		}
		if r.Data == nil {
			st.exists, st.version, st.doc = false, 0, nil
		} else {
			st.exists, st.version, st.doc = true, st.version+1, r.Data
		}
	}
	return s.storeRecords(ctx, w, states, order)
}

// readVersions returns what is stored of the records that writes name, without their documents, and their order.
func (s *Store) readVersions(ctx context.Context, w *conn, writes []store.RecordWrite) (map[recordID]*recordState, []recordID, error) {
	states := map[recordID]*recordState{}
	var order []recordID
	err := w.fill(ctx, "stage_record", recordColumns, func(a *appender) error {
		for _, r := range writes {
			id := recordID{r.Kind, r.ID}
			if states[id] != nil {
				continue
			}
			states[id] = &recordState{}
			order = append(order, id)
			a.text(0, r.Kind)
			a.text(1, r.ID)
			if err := a.next(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	err = w.each(ctx, "SELECT kind, id, version FROM record WHERE (kind, id) IN (SELECT kind, id FROM temp.main.stage_record)",
		func(cols []vector, n int) error {
			for i := range n {
				st := states[recordID{cols[0].str(i), cols[1].str(i)}]
				st.stored, st.exists, st.version = true, true, cols[2].int64(i)
			}
			return nil
		})
	return states, order, err
}

var recordColumns = []columnType{typeBlob, typeBlob, typeBigint, typeBlob}

// storeRecords deletes, updates and inserts the records that changed.
func (s *Store) storeRecords(ctx context.Context, w *conn, states map[recordID]*recordState, order []recordID) error {
	var gone, changed, fresh []recordID
	for _, id := range order {
		switch st := states[id]; {
		case st.stored && !st.exists:
			gone = append(gone, id)
		case st.stored:
			changed = append(changed, id)
		case st.exists:
			fresh = append(fresh, id)
		}
	}
	put := func(ids []recordID) func(a *appender) error {
		return func(a *appender) error {
			for _, id := range ids {
				st := states[id]
				a.text(0, id.kind)
				a.text(1, id.id)
				a.int64(2, st.version)
				if st.doc != nil {
					a.bytes(3, st.doc)
				}
				if err := a.next(); err != nil {
					return err
				}
			}
			return nil
		}
	}
	const same = "record.kind = t.kind AND record.id = t.id"
	if len(gone) > 0 {
		if err := w.fill(ctx, "stage_record", recordColumns, put(gone)); err != nil {
			return err
		}
		if err := w.exec(ctx, "DELETE FROM record USING temp.main.stage_record t WHERE "+same); err != nil {
			return err
		}
	}
	if len(changed) > 0 {
		if err := w.fill(ctx, "stage_record", recordColumns, put(changed)); err != nil {
			return err
		}
		err := w.exec(ctx, "UPDATE record SET version = t.version, doc = t.doc FROM temp.main.stage_record t WHERE "+same)
		if err != nil {
			return err
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	return w.appendRows(catalogName, "record", recordColumns, put(fresh))
}

// appendRows writes to a table what f appends.
func (c *conn) appendRows(catalog, table string, types []columnType, f func(a *appender) error) error {
	a, err := c.appendTo(catalog, table, types)
	if err != nil {
		return err
	}
	defer a.close()
	if err := f(a); err != nil {
		return err
	}
	return a.flush()
}

// fill empties a staging table and writes what f appends.
func (c *conn) fill(ctx context.Context, table string, types []columnType, f func(a *appender) error) error {
	if err := c.exec(ctx, "DELETE FROM temp.main."+table); err != nil {
		return err
	}
	return c.appendRows("temp", table, types, f)
}

// Get returns one record, or store.ErrNotFound.
func (s *Store) Get(ctx context.Context, kind, id string) (store.Record, error) {
	out, err := s.records(ctx, fmt.Sprintf("kind = %s AND id = %s", blob(kind), blob(id)))
	if err != nil {
		return store.Record{}, fmt.Errorf("read record %s/%s: %w", kind, id, err)
	}
	if len(out) == 0 {
		return store.Record{}, fmt.Errorf("record %s/%s: %w", kind, id, store.ErrNotFound)
	}
	return out[0], nil
}

// List returns up to n records of a kind with IDs greater than after, sorted by ID.
func (s *Store) List(ctx context.Context, kind, after string, n int) ([]store.Record, error) {
	if n <= 0 {
		return nil, nil
	}
	out, err := s.records(ctx, fmt.Sprintf("kind = %s AND id > %s ORDER BY id LIMIT %d", blob(kind), blob(after), n))
	if err != nil {
		return nil, fmt.Errorf("list records %s: %w", kind, err)
	}
	return out, nil
}

func (s *Store) records(ctx context.Context, where string) (out []store.Record, err error) {
	err = s.read(ctx, "SELECT kind, id, version, doc FROM record WHERE "+where, func(cols []vector, n int) error {
		for i := range n {
			out = append(out, store.Record{Kind: cols[0].str(i), ID: cols[1].str(i), Version: cols[2].int64(i),
				Data: bytes.Clone(cols[3].bytes(i))})
		}
		return nil
	})
	return out, err
}

// read runs one reading statement on a connection of its own.
func (s *Store) read(ctx context.Context, sql string, f func(cols []vector, n int) error) error {
	c, done, err := s.connection()
	if err != nil {
		return err
	}
	defer done()
	return c.each(ctx, sql, f)
}
