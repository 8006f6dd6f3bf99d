package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/enrich"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/ingest"
	"github.com/tocsin-sec/tocsin/internal/normalize/cloudtrail"
	ecsdata "github.com/tocsin-sec/tocsin/internal/normalize/ecs"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

// What the parts of the process may have in memory, in bytes, so that all of it stays below 1 GiB: the Go side tries to
// get by with goMemory, the store's DuckDB with storeMemory and about 200 MB besides. Batches are what the Go side holds
// most of: 16,384 events, and as many on their way, are 350 MB of typical records.
const (
	goMemory    = 400 << 20
	storeMemory = 256 << 20
	batchEvents = 16 << 10
)

// openStore opens the store in the file called name, which is made where it does not exist.
func openStore(ctx context.Context, name string) (store.Store, error) {
	return duck.Open(ctx, name, duck.Options{Types: fieldType, Memory: storeMemory})
}

// openExisting opens the store in the file called name, which must exist.
func openExisting(ctx context.Context, name string) (store.Store, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no store %s: tocsin scan --db %s PATH makes one", name, name)
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder, not a store", name)
	}
	return openStore(ctx, name)
}

// scratchStore opens a store that remove takes away again, files and all.
func scratchStore(ctx context.Context) (db store.Store, remove func() error, err error) {
	dir, err := os.MkdirTemp("", "tocsin-")
	if err != nil {
		return nil, nil, fmt.Errorf("make a temporary store: %w", err)
	}
	if db, err = openStore(ctx, filepath.Join(dir, "scan.duckdb")); err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return db, func() error { return os.RemoveAll(dir) }, nil
}

// fieldType is the declared type of a field.
func fieldType(path string) (event.Type, bool) {
	f, ok := ecs.Lookup(path)
	return f.Type, ok
}

// stamps is the clock of commits to db: now, but never before the last commit, which the store would refuse.
func stamps(ctx context.Context, db store.Catalog, now func() time.Time) (func() time.Time, error) {
	at, err := db.Latest(ctx)
	if err != nil {
		return nil, err
	}
	return func() time.Time {
		if t := now(); t.After(at.Committed) {
			return t
		}
		return at.Committed
	}, nil
}

// dataSets returns what says of each file which data set it is: the one called data, or of "auto" what its beginning looks
// like. CloudTrail comes in the layout of profile, with the enrichers' fields; documents of ECS are taken as they are, into
// stream where they name none.
func dataSets(data, profile, stream string, enrichers []ingest.Enricher) (chooser, error) {
	p, ok := cloudtrail.ProfileNamed(profile)
	if !ok {
		return nil, fmt.Errorf("there is no profile %q: integration, filebeat", profile)
	}
	documents, err := ecsdata.New(ecsdata.Options{Stream: stream})
	if err != nil {
		return nil, err
	}
	trail, taken := input{cloudtrail.New(cloudtrail.Options{Profile: p}), enrichers}, input{set: documents}
	switch data {
	case "auto":
		return func(head []byte) input {
			if ecsdata.Looks(head) {
				return taken
			}
			return trail
		}, nil
	case "cloudtrail":
		return func([]byte) input { return trail }, nil
	case "ecs":
		return func([]byte) input { return taken }, nil
	}
	return nil, fmt.Errorf("there is no data set %q: auto, cloudtrail, ecs", data)
}

// enrichers are what adds to events; close frees them. Without geoDir no places are added.
func enrichers(geoDir string) (list []ingest.Enricher, close func() error, err error) {
	list, close = []ingest.Enricher{enrich.NewAgent().Enrich}, func() error { return nil }
	if geoDir == "" {
		return list, close, nil
	}
	geo, err := enrich.OpenGeo(geoDir)
	if err != nil {
		return nil, nil, err
	}
	return append(list, geo.Enrich), geo.Close, nil
}

// delivered tells from the name of an object when it was delivered; the zero time where the name does not say it.
func delivered(name string) time.Time { return cloudtrail.Delivered(name) }
