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

// indicatorReport is what became of the indicators in files, all files together.
type indicatorReport struct {
	Files    int              `json:"files"`
	Read     int64            `json:"read"`
	Used     int64            `json:"used"`
	Dup      int64            `json:"duplicate"`
	Refused  int64            `json:"refused"`
	ByReason map[string]int64 `json:"refused_by_reason"`
	Other    int64            `json:"other_types"` // objects that are no indicators
}

func summarize(files *indicator.Files) indicatorReport {
	sum := indicatorReport{Files: len(files.Accounts()), ByReason: map[string]int64{}}
	for _, a := range files.Accounts() {
		sum.Read, sum.Used, sum.Dup = sum.Read+int64(a.Read), sum.Used+int64(a.Used), sum.Dup+int64(a.Duplicates)
		for reason, n := range a.Refused {
			sum.ByReason[reason] += int64(n)
			sum.Refused += int64(n)
		}
		for _, n := range a.Other {
			sum.Other += int64(n)
		}
	}
	return sum
}

// accountIndicators prints what became of the indicators in files; nothing where there are none.
func accountIndicators(w io.Writer, files *indicator.Files) {
	sum := summarize(files)
	if sum.Files == 0 {
		return
	}
	var why []string
	for reason, n := range sum.ByReason {
		why = append(why, fmt.Sprintf("%s %s", thousands(n), reason))
	}
	slices.Sort(why)
	list, rest := "", ""
	if len(why) > 0 {
		list = " (" + printable(strings.Join(why, ", ")) + ")"
	}
	if sum.Other > 0 {
		rest = fmt.Sprintf(" + %s of other types", thousands(sum.Other))
	}
	fmt.Fprintf(w, "%-7s %s in %s: %s read = %s used + %s duplicate + %s refused%s%s\n", "feeds", counted(int64(files.Len()), "indicator"),
		counted(int64(sum.Files), "file"), thousands(sum.Read), thousands(sum.Used), thousands(sum.Dup), thousands(sum.Refused), list, rest)
}
