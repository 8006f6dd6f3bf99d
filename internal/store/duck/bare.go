package duck

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
)

// bareName is the name under which BareCopy attaches the file that it fills.
const bareName = "bare"

// BareCopy copies the rows of all segments of the store at path, which must be closed, to a fresh file beside it, by
// nothing but DuckDB's own INSERT … SELECT, and removes that file again: how fast it is says what a load could reach whose
// rows came for nothing. Tables, layout of the file, memory, threads and how many segments are written before the file
// takes them in are as they are for the store. It returns the number of rows.
func BareCopy(ctx context.Context, path string, opt Options) (rows int64, err error) {
	fail := func(err error) (int64, error) { return 0, fmt.Errorf("copy the rows of %s: %w", path, err) }
	s, err := Open(ctx, path, opt)
	if err != nil {
		return fail(err)
	}
	cat := s.catalog.Load()
	if err := s.Close(); err != nil {
		return fail(err)
	}
	fresh := path + ".bare"
	literal, ok := quote(fresh)
	if !ok {
		return fail(errors.New("its name cannot be written in SQL"))
	}
	if _, err := os.Lstat(fresh); !errors.Is(err, os.ErrNotExist) {
		return fail(fmt.Errorf("%s is there already", fresh))
	}
	r, err := openRaw(ctx, path, opt)
	if err != nil {
		return fail(err)
	}
	defer func() {
		r.close()
		err = errors.Join(err, remove(fresh), remove(fresh+".wal"))
	}()
	if err := r.exec(ctx, "ATTACH "+literal+" AS "+bareName+" ("+attachOptions+freshOptions+")"); err != nil {
		return fail(err)
	}
	for from := 0; from < len(cat.segments); from += settleAt {
		n, err := r.copy(ctx, cat.segments[from:min(from+settleAt, len(cat.segments))])
		if err != nil {
			return fail(err)
		}
		rows += n
	}
	return rows, nil
}

// remove removes a file that may not be there.
func remove(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// raw is an instance of its own that reads the file of a closed store, and that no other setting of a store hardens.
type raw struct {
	*conn
	db   *database
	lock *Store
}

// openRaw attaches the file at path for reading alone. Nothing else in this process may have it open meanwhile.
func openRaw(ctx context.Context, path string, opt Options) (*raw, error) {
	r := &raw{lock: &Store{path: path}}
	if err := r.lock.takeLock(); err != nil {
		return nil, err
	}
	if err := r.open(ctx, path, opt); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *raw) open(ctx context.Context, path string, opt Options) error {
	literal, ok := quote(path)
	if !ok {
		return errors.New("its name cannot be written in SQL")
	}
	if opt.Memory == 0 {
		opt.Memory = defaultMemory
	}
	if opt.Threads == 0 {
		opt.Threads = max(runtime.NumCPU()-1, 1)
	}
	var err error
	if r.db, err = openDatabase(map[string]string{
		"memory_limit":             strconv.FormatInt(opt.Memory>>10, 10) + "KiB",
		"threads":                  strconv.Itoa(opt.Threads),
		"temp_directory":           path + tempMark + "bare",
		"preserve_insertion_order": "false",
		"checkpoint_threshold":     "128MiB",
	}); err != nil {
		return err
	}
	if r.conn, err = r.db.take(); err != nil {
		return err
	}
	if err := r.exec(ctx, "ATTACH "+literal+" AS "+catalogName+" (READ_ONLY)"); err != nil {
		return attachError(err)
	}
	return r.exec(ctx, "USE "+catalogName)
}

func (r *raw) close() {
	if r.db != nil {
		r.db.close()
	}
	r.lock.dropLock()
}

// copy copies some segments, and writes them into the file.
func (r *raw) copy(ctx context.Context, segments []*segment) (rows int64, err error) {
	if err := r.begin("BEGIN"); err != nil {
		return 0, err
	}
	for _, g := range segments {
		to := bareName + "." + g.table()
		if err := r.exec(ctx, g.layout.create(to)); err != nil {
			return 0, err
		}
		err := r.each(ctx, "INSERT INTO "+to+" SELECT * FROM "+catalogName+"."+g.table(), func(cols []vector, n int) error {
			rows += cols[0].int64(0)
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	if err := r.exec(ctx, "COMMIT"); err != nil {
		return 0, err
	}
	return rows, r.exec(ctx, "CHECKPOINT "+bareName)
}

// Sizes says what the file of a store holds, in bytes. What it holds besides segments and what is free in it are File less
// the others.
type Sizes struct {
	File    int64
	Columns int64 // of segments, but for the next two
	Rest    int64 // the fields without columns
	Source  int64 // the records as they came
}

// SizesOf looks at the file of the store at path, which must be closed. Where columns share a block, each has what lies
// between its beginning and the next one's.
func SizesOf(ctx context.Context, path string) (Sizes, error) {
	var s Sizes
	fail := func(err error) (Sizes, error) { return Sizes{}, fmt.Errorf("measure the store %s: %w", path, err) }
	info, err := os.Stat(path)
	if err != nil {
		return fail(err)
	}
	s.File = info.Size()
	r, err := openRaw(ctx, path, Options{})
	if err != nil {
		return fail(err)
	}
	defer r.close()
	var block int64
	err = r.each(ctx, "SELECT block_size FROM pragma_database_size() WHERE database_name = '"+catalogName+"'", func(cols []vector, n int) error {
		block = cols[0].int64(0)
		return nil
	})
	if err != nil {
		return fail(err)
	}
	var names []string
	err = r.each(ctx, "SELECT table_name FROM duckdb_tables() WHERE database_name = '"+catalogName+`' AND regexp_full_match(table_name, 'segment_\d+')`,
		func(cols []vector, n int) error {
			for i := range n {
				names = append(names, cols[0].str(i))
			}
			return nil
		})
	if err != nil {
		return fail(err)
	}
	var pieces []piece
	for _, name := range names {
		if pieces, err = r.pieces(ctx, name, pieces); err != nil {
			return fail(err)
		}
	}
	slices.SortFunc(pieces, func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.block, b.block), cmp.Compare(a.offset, b.offset))
	})
	for i, p := range pieces {
		size := p.more * block
		if p.block >= 0 {
			end := block
			if i+1 < len(pieces) && pieces[i+1].block == p.block {
				end = pieces[i+1].offset
			}
			size += end - p.offset
		}
		switch p.column {
		case fixed(colRest):
			s.Rest += size
		case fixed(colSource):
			s.Source += size
		default:
			s.Columns += size
		}
	}
	return s, nil
}

// piece is where some rows of a column begin in the file: nowhere (block -1) where all are the same.
type piece struct {
	column        string
	block, offset int64
	more          int64 // blocks besides
}

// pieces appends those of a table.
func (r *raw) pieces(ctx context.Context, table string, to []piece) ([]piece, error) {
	err := r.each(ctx, "SELECT column_name, block_id, block_offset, len(additional_block_ids) FROM pragma_storage_info('"+table+"')",
		func(cols []vector, n int) error {
			for i := range n {
				p := piece{column: cols[0].str(i), block: cols[1].int64(i), offset: cols[2].int64(i), more: cols[3].int64(i)}
				if cols[1].null(i) {
					p.block = -1
				}
				to = append(to, p)
			}
			return nil
		})
	return to, err
}
