package cli_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/cli"
)

// TestBundledRules runs the tests beside the bundled rules: all pass, every rule has some, and every clause of every query
// was true, false, and once decided alone.
func TestBundledRules(t *testing.T) {
	var out, errs bytes.Buffer
	code := cli.Run(t.Context(), []string{"test", "--cover", "../../rules"}, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	if code != cli.ExitNothing || errs.Len() > 0 {
		t.Errorf("tocsin test ended with code %d:\n%s%s", code, out.String(), errs.String())
	}
	if strings.Contains(out.String(), "without a") || !strings.Contains(out.String(), " tests in 16 files, 0 failed; ") {
		t.Errorf("some rule has no tests:\n%s", out.String())
	}
}
