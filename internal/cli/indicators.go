package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/indicator"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// loadIndicators reads the indicators that were found with rules, and those of paths.
func loadIndicators(set rule.Set, paths []string) (*indicator.Files, diag.List) {
	files := slices.Clone(set.Indicators)
	var problems diag.List
	for _, p := range paths {
		more, err := rule.IndicatorFiles(p)
		if err != nil {
			var cause *fs.PathError
			if errors.As(err, &cause) {
				err = cause.Err
			}
			problems = append(problems, diag.Diagnostic{Code: indicator.CodeUnreadable, File: p, Message: fmt.Sprintf("the indicators cannot be read: %v", err)})
		}
		for _, f := range more {
			if !slices.ContainsFunc(files, func(g rule.File) bool { return g.Name == f.Name }) {
				files = append(files, f)
			}
		}
	}
	out, found := indicator.Load(files)
	return out, append(problems, found...)
}

// unused tells of files whose indicators no rule looks for.
func unused(files *indicator.Files, rules []*rule.Rule) diag.List {
	var out diag.List
	for _, a := range files.Accounts() {
		if a.Indicators == 0 || slices.ContainsFunc(rules, func(r *rule.Rule) bool {
			return r.ThreatMatch != nil && store.Selects(r.ThreatMatch.Index, a.Stream)
		}) {
			continue
		}
		out = append(out, diag.Diagnostic{Severity: diag.Warning, Code: indicator.CodeUnused, File: a.File,
			Message: fmt.Sprintf("no rule looks for these indicators: none has a threat_index that names %s", a.Stream),
			Hint:    "name a rule of the type threat_match with --rules; without --rules those that come with Tocsin run"})
	}
	return out
}

// withIndicators returns streams with those of files.
func withIndicators(streams []store.Stream, files *indicator.Files) []store.Stream {
	return append(slices.Clone(streams), files.Streams(nil)...)
}

// accountIndicators prints what became of the indicators in files; nothing where there are none.
func accountIndicators(w io.Writer, files *indicator.Files) {
	if len(files.Accounts()) == 0 {
		return
	}
	var sum indicator.Account
	reasons, others := map[string]int64{}, int64(0)
	for _, a := range files.Accounts() {
		sum.Read, sum.Used, sum.Duplicates = sum.Read+a.Read, sum.Used+a.Used, sum.Duplicates+a.Duplicates
		for reason, n := range a.Refused {
			reasons[reason] += int64(n)
		}
		for _, n := range a.Other {
			others += int64(n)
		}
	}
	var refused int64
	var why []string
	for reason, n := range reasons {
		refused += n
		why = append(why, fmt.Sprintf("%s %s", thousands(n), reason))
	}
	slices.Sort(why)
	list, rest := "", ""
	if len(why) > 0 {
		list = " (" + printable(strings.Join(why, ", ")) + ")"
	}
	if others > 0 {
		rest = fmt.Sprintf(" + %s of other types", thousands(others))
	}
	fmt.Fprintf(w, "%-7s %s in %s: %s read = %s used + %s duplicate + %s refused%s%s\n", "feeds", counted(int64(files.Len()), "indicator"),
		counted(int64(len(files.Accounts())), "file"), thousands(int64(sum.Read)), thousands(int64(sum.Used)), thousands(int64(sum.Duplicates)),
		thousands(refused), list, rest)
}
