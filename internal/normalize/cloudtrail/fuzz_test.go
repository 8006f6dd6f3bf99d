package cloudtrail

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
)

// seeds adds the records of the shared corpora, as far as they are there.
func seeds(f *testing.F) {
	f.Helper()
	f.Add([]byte(rich))
	f.Add([]byte(richDigest))
	for _, pattern := range []string{"cloudtrail-ecs/input/*.log", "cloudtrail-real/panther-analysis-tests/*.json", "cloudtrail-real/misc-small/*.json"} {
		files, err := filepath.Glob(filepath.Join(corpus.Root(), "corpus", filepath.FromSlash(pattern)))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			left := 3 // of each file
			err = Split(bytes.NewReader(data), file, func(raw event.Raw) error {
				if left--; left >= 0 {
					f.Add(raw.Data)
				}
				return nil
			})
			if err != nil {
				f.Fatal(err)
			}
		}
	}
}

// FuzzNormalize holds that a record becomes a sound event, or is rejected with a reason and counted.
func FuzzNormalize(f *testing.F) {
	seeds(f)
	sets := everyOption()
	f.Fuzz(func(t *testing.T, record []byte) {
		for _, ct := range sets {
			var counts normalize.Counts
			e, err := ct.Normalize(event.Raw{Data: record, Object: "o", Offset: 7}, &counts)
			var rejected *normalize.Rejected
			switch {
			case err == nil:
				ct.Finish(e)
				if why := unsound(e); why != "" {
					t.Error(why)
				}
				if counts.Events != 1 || !bytes.Equal(e.Source.Data, record) {
					t.Error("not counted, or another source")
				}
			case !errors.As(err, &rejected) || e != nil || counts.Rejected[rejected.Reason] != 1:
				t.Errorf("%v: %v", err, counts)
			}
		}
	})
}

// FuzzSplit holds that splitting ends, and that each record stands, or what holds it, where it is said to stand.
func FuzzSplit(f *testing.F) {
	seeds(f)
	for _, in := range []string{`{"Records":[{},{"a":1}]}`, "{}\n{\"a\":1}\n", `[{},{}]`, `{"messageType":"DATA_MESSAGE","logEvents":[{"message":"{}"}]}`,
		`{"logEvents":[{"message":"{}"}],"messageType":"DATA_MESSAGE"}`, `{"Events":[{"CloudTrailEvent":"{}"}]}`, `{"awslogs":{"data":"` + pack(`{"Records":[{}]}`) + `"}}`,
		`{"detail-type":"AWS API Call via CloudTrail","detail":{}}`} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		last := int64(-1)
		err := Split(bytes.NewReader(in), "o", func(raw event.Raw) error {
			if raw.Offset < last || raw.Offset > int64(len(in)) {
				t.Errorf("a record at %d behind one at %d", raw.Offset, last)
			}
			last = raw.Offset
			return nil
		})
		var broken *normalize.ObjectError
		if err != nil && (!errors.As(err, &broken) || broken.Offset < 0 || broken.Offset > int64(len(in))) {
			t.Error(err)
		}
	})
}
