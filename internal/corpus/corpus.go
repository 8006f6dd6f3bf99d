// Package corpus finds the shared conformance data for tests and counts what they show. It is imported by tests alone
// and holds no data: the corpora live beside the checkout, and a test without its corpus skips with one clear line.
//
//	dir := corpus.Dir(t, "corpus/kql")
//	tally := corpus.NewTally(t, "kql/ast")
//	tally.Pass()
package corpus

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Root is the folder of the shared data: TOCSIN_SHARED, by default ../shared beside the checkout.
func Root() string {
	if dir := os.Getenv("TOCSIN_SHARED"); dir != "" {
		return dir
	}
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "shared")
}

// Dir returns the folder rel below Root. When it is absent the test is skipped, or fails where TOCSIN_CONFORMANCE=1.
func Dir(t testing.TB, rel string) string {
	t.Helper()
	dir := filepath.Join(Root(), filepath.FromSlash(rel))
	if _, err := os.Stat(dir); err != nil {
		if os.Getenv("TOCSIN_CONFORMANCE") == "1" {
			t.Fatalf("the conformance data %s is absent (TOCSIN_SHARED names its folder)", rel)
		}
		t.Skipf("skipped: the conformance data %s is absent (TOCSIN_SHARED names its folder)", rel)
	}
	return dir
}

// Tally counts the cases of one corpus and reports them when the test ends.
type Tally struct {
	t                       testing.TB
	name                    string
	passed, failed, skipped int
}

// NewTally starts counting the cases of the corpus called name. When the test ends it logs one line
// "conformance: NAME cases N pass N fail N skip N"; a tally without a case fails the test, unless that was skipped.
func NewTally(t testing.TB, name string) *Tally {
	t.Helper()
	c := &Tally{t: t, name: name}
	t.Cleanup(func() {
		if t.Skipped() { // the corpus is absent
			return
		}
		cases := c.passed + c.failed + c.skipped
		t.Logf("conformance: %-28s cases %6d pass %6d fail %6d skip %6d", c.name, cases, c.passed, c.failed, c.skipped)
		if c.passed+c.failed == 0 {
			t.Errorf("%s: no case ran", c.name)
		}
	})
	return c
}

// Pass counts a case that came out as recorded.
func (c *Tally) Pass() { c.passed++ }

// Fail counts a case that did not, and fails the test with the case's name and detail.
func (c *Tally) Fail(name, detail string) {
	c.t.Helper()
	c.failed++
	c.t.Errorf("%s: %s: %s", c.name, name, detail)
}

// Skip counts a case that cannot run here, and logs why.
func (c *Tally) Skip(name, why string) {
	c.t.Helper()
	c.skipped++
	c.t.Logf("%s: %s: skipped: %s", c.name, name, why)
}
