package kql_test

import (
	"testing"

	"github.com/tocsin-sec/tocsin/internal/lang/kql/kqltest"
)

func TestConformanceHits(t *testing.T) {
	t.Run("plain", func(t *testing.T) { kqltest.RunHits(t, kqltest.Plain, "kql/hits", kqltest.Go) })
	t.Run("leaves", func(t *testing.T) { kqltest.RunHits(t, kqltest.Leaves, "kql/hits-leaves", kqltest.Go) })
}

func TestConformanceMatches(t *testing.T) { kqltest.RunMatches(t, "kql/match-cases", kqltest.Go) }

func TestConformanceProbes(t *testing.T) { kqltest.RunProbes(t, "kql/match-probed", kqltest.Go) }
