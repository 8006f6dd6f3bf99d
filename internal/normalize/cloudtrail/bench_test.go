package cloudtrail_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/normalize/cloudtrail"
)

// records returns the records of a real archive, and one object that holds them all.
func records(b *testing.B) (raws []event.Raw, object []byte) {
	b.Helper()
	dir := corpus.Dir(b, "corpus/cloudtrail-real/invictus-aws_dataset")
	ct := cloudtrail.New(cloudtrail.Options{})
	var all bytes.Buffer
	all.WriteString(`{"Records":[`)
	eachFile(b, dir, func(name string, r io.Reader) {
		err := ct.Split(r, name, func(raw event.Raw) error {
			if len(raws) > 0 {
				all.WriteByte(',')
			}
			all.Write(raw.Data)
			raws = append(raws, raw)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	})
	all.WriteString("]}")
	return raws, all.Bytes()
}

// BenchmarkSplit finds records in an object. It reports the object's MB/s and records/s.
func BenchmarkSplit(b *testing.B) {
	raws, object := records(b)
	ct := cloudtrail.New(cloudtrail.Options{})
	b.SetBytes(int64(len(object)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := ct.Split(bytes.NewReader(object), "object", func(event.Raw) error { n++; return nil }); err != nil || n != len(raws) {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(len(raws))*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkNormalize turns records into finished events. One operation is one record.
func BenchmarkNormalize(b *testing.B) {
	raws, object := records(b)
	for name, profile := range map[string]cloudtrail.Profile{
		"integration": cloudtrail.Integration, "filebeat": cloudtrail.Filebeat,
	} {
		b.Run(name, func(b *testing.B) {
			ct := cloudtrail.New(cloudtrail.Options{Profile: profile})
			var counts normalize.Counts
			b.SetBytes(int64(len(object) / len(raws)))
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				e, err := ct.Normalize(raws[i], &counts)
				if err != nil {
					b.Fatal(err)
				}
				ct.Finish(e)
				if i++; i == len(raws) {
					i = 0
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
		})
	}
	if len(raws) == 0 {
		b.Fatal(fmt.Errorf("no records"))
	}
}
