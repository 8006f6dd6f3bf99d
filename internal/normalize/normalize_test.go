package normalize_test

import (
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/normalize/cloudtrail"
)

func TestRegistry(t *testing.T) {
	ct := cloudtrail.New(cloudtrail.Options{})
	r, err := normalize.NewRegistry(ct)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := r.Get("aws.cloudtrail"); !ok || got != normalize.DataSet(ct) {
		t.Errorf("got %v, %v", got, ok)
	}
	if _, ok := r.Get("aws.vpcflow"); ok {
		t.Error("found a data set that nobody registered")
	}
	if diff := cmp.Diff([]string{"aws.cloudtrail"}, r.Names()); diff != "" {
		t.Error(diff)
	}
	if _, err := normalize.NewRegistry(ct, cloudtrail.New(cloudtrail.Options{})); err == nil {
		t.Error("two data sets took one name")
	}
}

func TestCounts(t *testing.T) {
	var all normalize.Counts
	all.Add(normalize.Counts{Records: 3, Events: 2, DuplicateKeys: 1, Rejected: map[string]int64{normalize.NotJSON: 1}})
	one := normalize.Counts{Records: 1}
	if err := one.Reject(normalize.NotJSON, "x"); err.Error() != "record rejected: not-json: x" {
		t.Error(err)
	}
	if err := (&normalize.Rejected{Reason: normalize.TooDeep}); err.Error() != "record rejected: too-deep" {
		t.Error(err)
	}
	all.Add(one)
	want := normalize.Counts{Records: 4, Events: 2, DuplicateKeys: 1, Rejected: map[string]int64{normalize.NotJSON: 2}}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
}

func TestObjectError(t *testing.T) {
	err := error(&normalize.ObjectError{Object: "o", Offset: 7, Reason: normalize.Truncated, Err: io.ErrUnexpectedEOF})
	if err.Error() != "split o at offset 7: truncated: unexpected EOF" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}
