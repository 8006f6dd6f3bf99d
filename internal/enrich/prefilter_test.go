package enrich

import (
	"regexp"
	"strings"
	"testing"
)

// TestRequired lists what must stand in whatever an expression matches.
func TestRequired(t *testing.T) {
	f := func(expression, want string) {
		t.Helper()
		if got := strings.Join(required(regexp.MustCompile(expression)), " "); got != want {
			t.Errorf("%s: %q, expected %q", expression, got, want)
		}
	}
	f(`(aws-cli)/(\d+)`, "aws-cli/")
	f(`AWS-CLI`, "aws-cli")
	f(`(?i)silk`, "silk")
	f(`[Bb]oto`, "boto")
	f(`Fire(?:fox|bird)/\d`, "firefox/ firebird/")
	f(`zao|zeal`, "zao zeal") // factored by the parser into z(?:ao|eal)
	f(`Nexus ?(7|10)`, "nexus7 nexus10 nexus 7 nexus 10")
	f(`^Java/`, "java/")
	f(`(?:curl)+x`, "curl")
	f(`curl{2,3}`, "curll curlll")
	f(`Android.*GSA`, "gsa") // Android stands in many user agents
	// Nothing is known:
	f(`\d+`, "")
	f(`ab`, "")
	f(`(?:curl)?`, "")
	f(`(?:curl)*`, "")
	f(`curl|\d`, "")
	f(`curl|ab`, "")
	f(`größe`, "")
	f(`[^;]+`, "")
}

// TestCandidates holds that no expression is left out that matches.
func TestCandidates(t *testing.T) {
	f := func(expression, text string, want bool) {
		t.Helper()
		x := regexp.MustCompile(expression)
		if may := newPrefilter([]*regexp.Regexp{x}).candidates(text)[0]; may != want {
			t.Errorf("%s on %q: %v, expected %v", expression, text, may, want)
		}
		if !want && x.MatchString(text) {
			t.Errorf("%s matches %q: the test is wrong", expression, text)
		}
	}
	f(`(aws-cli)/(\d+)`, "aws-cli/2", true)
	f(`(aws-cli)/(\d+)`, "x aws-cli/y", true) // it may; only the expression itself can tell
	f(`(aws-cli)/(\d+)`, "aws-cl", false)
	f(`(aws-cli)/(\d+)`, "", false)
	f(`(?i)silk`, "SILK", true)
	f(`(?i)silk`, "ſilk", true)      // the long s is an s without regard to case
	f(`(?i)silk`, "sil\u212a", true) // and the Kelvin sign a k
	f(`(?i)silk`, "\xffSILK", true)  // not UTF-8
	f(`curl`, "wget", false)
	f(`zao|zeal`, "a zeal b", true)
	f(`\d`, "none", true)
}

// TestPrefilterIsWorthIt holds that few of the bundled expressions are left for a user agent as they come.
func TestPrefilterIsWorthIt(t *testing.T) {
	x := compile()
	for _, text := range []string{cliAgent, chromeAgent, "Boto3/1.26.165 Python/3.10.6 Linux/5.19.0 Botocore/1.29.165"} {
		left, all := 0, 0
		for _, f := range []*prefilter{x.names, x.systems, x.devices} {
			for _, may := range f.candidates(text) {
				all++
				if may {
					left++
				}
			}
		}
		if all < 1000 || left > all/10 {
			t.Errorf("%q: %d of %d expressions are left", text, left, all)
		}
	}
}
