package cli

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// Bounds of the columns of events.
const (
	maxAction = 48
	maxAgent  = 40
	maxCell   = 200
	leastCell = 12
)

// within is the condition that @timestamp lies in [from, to]; a zero time is no bound.
func within(from, to time.Time) expr.Cond {
	if from.IsZero() && to.IsZero() {
		return expr.Const{Value: true}
	}
	r := expr.Range{Field: expr.Field{Path: plan.Timestamp, Type: event.Date}}
	if !from.IsZero() {
		r.Min = expr.Bound{Value: event.Time(from), Inclusive: true}
	}
	if !to.IsZero() {
		r.Max = expr.Bound{Value: event.Time(to), Inclusive: true}
	}
	return r
}

// eventTable prints events, one a line: when, what, with which outcome, who, from where, with what.
func eventTable(w io.Writer, events []*event.Event, sc screen) {
	header := []string{"TIME (UTC)", "ACTION", "OUTCOME", "WHO", "FROM", "AGENT"}
	rows := make([][]string, len(events))
	for i, e := range events {
		rows[i] = []string{second(e), short(action(e), maxAction), short(outcome(e), 24), short(who(e), maxWho),
			short(from(e), maxFrom), short(agent(e), maxAgent)}
	}
	if h, r := narrowed(header, rows, sc, 20, 3, 1, 5); fits(h, r, sc) {
		writeTable(w, h, r, false)
		return
	}
	header = header[:5] // without the agent
	for i := range rows {
		rows[i] = rows[i][:5]
	}
	header, rows = narrowed(header, rows, sc, leastCell, 3, 1, 4)
	writeTable(w, header, rows, false)
}

// fieldTable prints the fields that were asked for.
func fieldTable(w io.Writer, names []string, events []*event.Event, sc screen) {
	header := make([]string, len(names))
	for i, n := range names {
		header[i] = printable(n)
	}
	rows := make([][]string, len(events))
	for i, e := range events {
		rows[i] = make([]string, len(names))
		for k, n := range names {
			rows[i][k] = short(joined(e, n), maxCell)
		}
	}
	all := make([]int, len(names))
	for i := range all {
		all[i] = i
	}
	header, rows = narrowed(header, rows, sc, leastCell, all...)
	writeTable(w, header, rows, false)
}

// joined prints all values of a field; of an object, or a flattened field, all below it.
func joined(e *event.Event, name string) string {
	values := e.Values(name)
	if values == nil {
		values = e.Leaves(name)
	}
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = v.Text()
	}
	return strings.Join(texts, ", ")
}

// narrowed is the table with the given columns shortened, the widest first, until it fits the screen; none below least
// cells, so that it may not fit.
func narrowed(header []string, rows [][]string, sc screen, least int, columns ...int) ([]string, [][]string) {
	if fits(header, rows, sc) {
		return header, rows
	}
	header = slices.Clone(header)
	rows = slices.Clone(rows)
	for i, r := range rows {
		rows[i] = slices.Clone(r)
	}
	for over := tableWidth(header, rows) - sc.width; over > 0; over = tableWidth(header, rows) - sc.width {
		widest, width, next := -1, least, least
		for _, c := range columns {
			if w := columnWidth(header[c], rows, c); w > width {
				widest, width, next = c, w, width
			} else if w > next {
				next = w
			}
		}
		if widest < 0 {
			break
		}
		to := max(least, min(width-1, max(next, width-over)))
		header[widest] = fit(header[widest], to)
		for _, r := range rows {
			r[widest] = fit(r[widest], to)
		}
	}
	return header, rows
}

func columnWidth(header string, rows [][]string, c int) int {
	w := text.StringWidthWithoutEscSequences(header)
	for _, r := range rows {
		w = max(w, text.StringWidthWithoutEscSequences(r[c]))
	}
	return w
}

// fit shortens s to at most n cells.
func fit(s string, n int) string {
	if text.StringWidthWithoutEscSequences(s) <= n {
		return s
	}
	runes := []rune(s)
	for len(runes) > 0 && text.StringWidthWithoutEscSequences(string(runes)) > n-1 {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}

func second(e *event.Event) string {
	if t := occurred(e); !t.IsNull() {
		return t.Time().Format("2006-01-02 15:04:05")
	}
	return ""
}

// agent is the program that was used, as it calls itself where nothing better is known.
func agent(e *event.Event) string {
	if name := first(e, "user_agent.name"); name != "" && name != "Other" {
		return name
	}
	return first(e, "user_agent.original")
}

// action is the service and what was asked of it: sts:GetCallerIdentity.
func action(e *event.Event) string {
	what := first(e, "event.action", "event.code", "kibana.alert.rule.name")
	service, _, _ := strings.Cut(first(e, "event.provider"), ".")
	if service == "" || what == "" {
		return what
	}
	return service + ":" + what
}

// outcome is success, or what failed.
func outcome(e *event.Event) string {
	if code := first(e, "aws.cloudtrail.error_code", "error.code"); code != "" {
		return code
	}
	return first(e, "event.outcome")
}
