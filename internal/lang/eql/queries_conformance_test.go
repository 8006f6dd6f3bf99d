package eql_test

import (
	"testing"

	"github.com/tocsin-sec/tocsin/internal/lang/eql/eqltest"
)

func TestConformanceQueries(t *testing.T) { eqltest.RunEvents(t, "eql/queries", eqltest.Go) }
