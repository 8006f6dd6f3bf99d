package detect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// CodeUntimed warns of streams that lack the time field of a rule: it never matches what is in them.
const CodeUntimed = "RUN0203"

// maxUntimed is how many streams the warning names.
const maxUntimed = 3

// Untimed returns the streams among those that p reads of which no event has the time that windows are cut on, sorted, and
// the warning that says so; nothing where there is none. Of a stream with too many paths to know that is not said.
func (p *Program) Untimed(streams []store.Stream) (names []string, warning diag.List) {
	for _, s := range streams {
		has := func(path string) bool { return path == plan.Timestamp || slices.Contains(s.Paths, path) }
		if store.Selects(p.Streams(), s.Name) && len(s.Paths) < store.MaxPaths && !slices.ContainsFunc(p.Time.Paths(), has) {
			names = append(names, s.Name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	slices.Sort(names)
	listed := strings.Join(names[:min(maxUntimed, len(names))], ", ")
	if more := len(names) - maxUntimed; more > 0 {
		listed += fmt.Sprintf(" and %d more", more)
	}
	d := diag.Diagnostic{Code: CodeUntimed, Severity: diag.Warning, File: p.Rule.File,
		Message: fmt.Sprintf("no event of %s has %s, by which the windows of rule %s go: the rule never matches them", listed, p.Time.Primary, p.Rule.Name),
		Hint:    "without timestamp_override_fallback_disabled the rule takes @timestamp where the field is absent"}
	d.Span, d.Text = p.Rule.Locator().At("timestamp_override")
	return names, diag.List{d}
}
