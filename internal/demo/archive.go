package demo

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// archive collects records into objects as CloudTrail delivers them: one gzip file for each account, region and
// delivery, named after the minute of delivery, its records in no order. Objects are packed and written by goroutines
// beside the caller's; what they hold does not depend on which of them is faster.
type archive struct {
	dir        string
	level      int // of gzip
	rand       *rand.Rand
	open       map[place]*object
	waiting    map[place][][]byte // records that go with the next object of their place
	free       []*object          // written
	objects    int
	duplicates int
	late       int

	jobs    chan job
	buffers sync.Pool // of *[]byte
	writers sync.WaitGroup
	folders map[string]bool // that exist
	mu      sync.Mutex
	failed  error // the first error of a writer
}

// place is where an object lies: one account and region.
type place struct{ account, region string }

type object struct {
	delivered time.Time
	text      []byte
	ends      []int // where each record ends in text
}

func (o *object) add(rec []byte) {
	o.text = append(o.text, rec...)
	o.ends = append(o.ends, len(o.text))
}

// job is one object to be packed.
type job struct {
	name string
	text *[]byte // of the archive's buffers
}

// fate is how a record is delivered.
type fate int

const (
	onTime fate = iota
	late        // with the next object of its place
	twice       // with this object and with the next one
)

const writers = 2

func newArchive(dir string, seed uint64, level int) (*archive, error) {
	root := filepath.Join(dir, "AWSLogs")
	if _, err := os.Stat(root); err == nil {
		return nil, fmt.Errorf("%s exists already", root)
	}
	a := &archive{
		dir: root, level: level, rand: rand.New(rand.NewPCG(seed, 3)),
		open: map[place]*object{}, waiting: map[place][][]byte{},
		jobs: make(chan job, writers), folders: map[string]bool{},
		buffers: sync.Pool{New: func() any { return new([]byte) }},
	}
	for range writers {
		a.writers.Go(a.pack)
	}
	return a, nil
}

// add puts a copy of one record into the object of at that is delivered at the given time. Times must not go back per
// place. It fails when writing an earlier object did.
func (a *archive) add(at place, delivered time.Time, rec []byte, f fate) error {
	o := a.open[at]
	if o != nil && !o.delivered.Equal(delivered) {
		if err := a.write(at, o); err != nil {
			return err
		}
		o = nil
	}
	if o == nil {
		o = a.object(delivered)
		for _, rec := range a.waiting[at] {
			o.add(rec)
		}
		delete(a.waiting, at)
		a.open[at] = o
	}
	switch f {
	case late:
		a.late++
		a.waiting[at] = append(a.waiting[at], bytes.Clone(rec))
		return nil
	case twice:
		a.duplicates++
		a.waiting[at] = append(a.waiting[at], bytes.Clone(rec))
	}
	o.add(rec)
	return nil
}

// object returns an empty object, with the memory of one that was written.
func (a *archive) object(delivered time.Time) *object {
	n := len(a.free)
	if n == 0 {
		return &object{delivered: delivered}
	}
	o := a.free[n-1]
	a.free = a.free[:n-1]
	o.delivered, o.text, o.ends = delivered, o.text[:0], o.ends[:0]
	return o
}

// close writes what is still open, with what waited for a next object of its place, and ends the writers.
func (a *archive) close() error {
	var err error
	for _, at := range places(a.open) {
		o := a.open[at]
		for _, rec := range a.waiting[at] {
			o.add(rec)
		}
		if err = a.write(at, o); err != nil {
			break
		}
	}
	close(a.jobs)
	a.writers.Wait()
	if err == nil {
		err = a.failed
	}
	return err
}

// places lists the keys of m in order.
func places[V any](m map[place]V) []place {
	return slices.SortedFunc(maps.Keys(m), func(x, y place) int {
		return cmp.Or(cmp.Compare(x.account, y.account), cmp.Compare(x.region, y.region))
	})
}

// write hands an object to the writers.
func (a *archive) write(at place, o *object) error {
	a.mu.Lock()
	err := a.failed
	a.mu.Unlock()
	if err != nil || len(o.ends) == 0 {
		return err
	}
	order := a.rand.Perm(len(o.ends))
	buffer := a.buffers.Get().(*[]byte)
	text := (*buffer)[:0]
	text = append(text, `{"Records":[`...)
	for i, n := range order {
		if i > 0 {
			text = append(text, ',')
		}
		begin := 0
		if n > 0 {
			begin = o.ends[n-1]
		}
		text = append(text, o.text[begin:o.ends[n]]...)
	}
	text = append(text, "]}"...)
	name := fmt.Sprintf("%s_CloudTrail_%s_%s_%s.json.gz", at.account, at.region,
		o.delivered.Format("20060102T1504Z"), letters(a.rand, mixed, 16))
	folder := filepath.Join(a.dir, at.account, "CloudTrail", at.region, o.delivered.Format("2006/01/02"))
	if !a.folders[folder] {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		a.folders[folder] = true
	}
	a.objects++
	*buffer = text
	a.jobs <- job{filepath.Join(folder, name), buffer}
	a.free = append(a.free, o)
	return nil
}

// pack writes objects until there are no more. After an error it only empties the queue.
func (a *archive) pack() {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, a.level)
	for j := range a.jobs {
		if err == nil {
			packed.Reset()
			z.Reset(&packed)
			err = packOne(z, &packed, j)
		}
		a.buffers.Put(j.text)
		if err != nil {
			a.mu.Lock()
			if a.failed == nil {
				a.failed = err
			}
			a.mu.Unlock()
		}
	}
}

func packOne(z *gzip.Writer, packed *bytes.Buffer, j job) error {
	if _, err := z.Write(*j.text); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(j.name, packed.Bytes(), 0o644)
}
