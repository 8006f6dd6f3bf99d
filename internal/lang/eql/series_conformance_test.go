package eql_test

import (
	"testing"

	"github.com/tocsin-sec/tocsin/internal/lang/eql/eqltest"
)

// TestConformanceSeries runs the specifications of sequences with the matcher for tests.
func TestConformanceSeries(t *testing.T) { eqltest.RunSeries(t, "eql/series", eqltest.Sequences) }
