package duck

import "github.com/tocsin-sec/tocsin/internal/store"

// SortAtOnce makes db sort about so many rows at once.
func SortAtOnce(db *Store, rows int64) { db.stretch = rows }

// Stretches is in how many pieces rows are sorted; 0 where they are not sorted by sorted.
func Stretches(rows store.Rows) int {
	if r, ok := rows.(*sorted); ok {
		return len(r.stretches)
	}
	return 0
}

// Scans is how many segments are left to be read.
func Scans(r store.Rows) int { return len(r.(*rows).scans) }
