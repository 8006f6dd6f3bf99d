package eql_test

import (
	"testing"

	"github.com/tocsin-sec/tocsin/internal/lang/eql/eqltest"
)

func TestConformanceQueries(t *testing.T) { eqltest.RunEvents(t, "eql/queries", eqltest.Go) }

// TestConformanceSequences holds that the stages of sequences are what the server's were: found in them by a matcher that
// is for tests alone, sequences are the recorded ones.
func TestConformanceSequences(t *testing.T) {
	eqltest.RunSequences(t, "eql/sequences", eqltest.Sequences)
}
