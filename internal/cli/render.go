package cli

import (
	"fmt"
	"io"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/tocsin-sec/tocsin/internal/alert"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Bounds of the columns, so that one long name does not push the rest away.
const (
	maxRule = 70
	maxWho  = 56
	maxFrom = 48

	leastRule = 28 // of the rule and the name; where that does not fit, alerts take several lines
)

// alertTable prints alerts, one a line. Where the terminal is too narrow for that, each takes a few lines.
func alertTable(w io.Writer, alerts []*event.Event, sc screen) {
	if len(alerts) == 0 {
		return
	}
	rows := make([][]string, len(alerts))
	for i, a := range alerts {
		rows[i] = []string{minute(a), printable(a.Text("kibana.alert.severity")), short(a.Text("kibana.alert.rule.name"), maxRule),
			short(who(a), maxWho), short(from(a), maxFrom), printable(why(a))}
	}
	header := []string{"TIME (UTC)", "SEVERITY", "RULE", "WHO", "FROM", "WHY"}
	if !fits(header, rows, sc) {
		_, narrow := narrowed(header, rows, sc, leastRule, 2, 3)
		if !fits(header, narrow, sc) {
			alertBlocks(w, rows, sc)
			return
		}
		rows = narrow
	}
	writeTable(w, header, rows, sc.colour)
}

// alertBlocks prints each alert on lines of its own.
func alertBlocks(w io.Writer, rows [][]string, sc screen) {
	paint := func(s string, c ...text.Color) string {
		if !sc.colour {
			return s
		}
		return text.Colors(c).Sprint(s)
	}
	for i, r := range rows {
		if i > 0 {
			fmt.Fprintln(w)
		}
		for k, part := range wrapped(r[2], room(sc, len(r[0])+len(r[1])+4)) {
			if k == 0 {
				fmt.Fprintf(w, "%s  %s  %s\n", r[0], paint(r[1], severityColour(r[1])...), paint(part, text.Bold))
			} else {
				fmt.Fprintf(w, "%*s%s\n", len(r[0])+len(r[1])+4, "", paint(part, text.Bold))
			}
		}
		for k, title := range []string{"who ", "from", "why "} {
			for n, part := range wrapped(r[3+k], room(sc, 8)) {
				if n > 0 {
					title = "    "
				}
				fmt.Fprintf(w, "  %s  %s\n", paint(title, text.Faint), part)
			}
		}
	}
}

// wrapped breaks s into lines of at most n cells, at blanks where there are some; 0: one line. An empty text has none.
func wrapped(s string, n int) []string {
	if s == "" {
		return nil
	}
	if n == 0 {
		return []string{s}
	}
	lines := strings.Split(text.WrapSoft(s, n), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

// fits reports whether a table fits the screen.
func fits(header []string, rows [][]string, sc screen) bool {
	return sc.width == 0 || tableWidth(header, rows) <= sc.width
}

// tableWidth is the number of cells that a table takes.
func tableWidth(header []string, rows [][]string) int {
	total := 0
	for i, h := range header {
		widest := text.StringWidthWithoutEscSequences(h)
		for _, r := range rows {
			widest = max(widest, text.StringWidthWithoutEscSequences(r[i]))
		}
		total += widest + 2
	}
	return total - 2
}

// writeTable prints aligned columns without lines. With colour, the column SEVERITY has one.
func writeTable(w io.Writer, header []string, rows [][]string, colour bool) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft = ""
	style.Box.PaddingRight = "  "
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	t.AppendHeader(cells(header, nil))
	for _, r := range rows {
		t.AppendRow(cells(r, func(i int, s string) string {
			if colour && header[i] == "SEVERITY" {
				return severityColour(s).Sprint(s)
			}
			return s
		}))
	}
	t.Render()
}

func cells(values []string, change func(i int, s string) string) table.Row {
	row := make(table.Row, len(values))
	for i, v := range values {
		if change != nil {
			v = change(i, v)
		}
		row[i] = v
	}
	return row
}

func severityColour(severity string) text.Colors {
	switch severity {
	case "critical":
		return text.Colors{text.FgHiRed, text.Bold}
	case "high":
		return text.Colors{text.FgRed}
	case "medium":
		return text.Colors{text.FgYellow}
	}
	return text.Colors{text.FgCyan}
}

// byTime returns alerts in order of what they are about, not of when the rule ran.
func byTime(alerts []*event.Event) []*event.Event {
	sorted := append([]*event.Event(nil), alerts...)
	at := map[*event.Event]int64{}
	for _, a := range sorted {
		at[a] = occurred(a).Int()
	}
	sort.SliceStable(sorted, func(i, j int) bool {
		a, b := sorted[i], sorted[j]
		return at[a] < at[b] || at[a] == at[b] && a.ID < b.ID
	})
	return sorted
}

// occurred is when what an event or alert is about happened; null where nothing says so.
func occurred(e *event.Event) event.Value {
	for _, path := range []string{"kibana.alert.original_time", "@timestamp"} {
		if t, ok := event.Coerce(event.Date, e.Get(path)); ok {
			return t
		}
	}
	return event.Null()
}

func minute(e *event.Event) string {
	if t := occurred(e); !t.IsNull() {
		return clock(t.Time())
	}
	return ""
}

// who names the identity: the user with its account, else the service, else the caller's ARN.
func who(e *event.Event) string {
	account := first(e, "cloud.account.id")
	name := first(e, "user.name", "service.name", "aws.cloudtrail.user_identity.arn", "user.id",
		"aws.cloudtrail.user_identity.invoked_by", "aws.cloudtrail.user_identity.type", "host.name")
	switch {
	case name == "":
		return account
	case account == "":
		return name
	}
	return name + " (" + account + ")"
}

// from is the address, with country and network where they are known.
func from(e *event.Event) string {
	address := first(e, "source.ip", "source.address")
	var about []string
	for _, path := range []string{"source.geo.country_iso_code", "source.as.organization.name"} {
		if s := first(e, path); s != "" {
			about = append(about, s)
		}
	}
	if address == "" || about == nil {
		return address
	}
	return address + " (" + strings.Join(about, ", ") + ")"
}

func why(a *event.Event) string {
	if s := a.Text("tocsin.alert.why"); s != "" {
		return s
	}
	return first(a, "kibana.alert.reason")
}

// first is the first value of the first of paths that has one.
func first(e *event.Event, paths ...string) string {
	for _, p := range paths {
		for _, v := range e.Values(p) {
			if s := v.Text(); s != "" {
				return s
			}
		}
	}
	return ""
}

// writeJSON prints a document in one line. Characters that could steer a terminal are escaped: the document stays the same.
func writeJSON(w io.Writer, e *event.Event) {
	dotted := alert.Dotted
	if e.Stream != store.AlertStream {
		dotted = nil
	}
	io.WriteString(w, escaped(string(e.AppendJSON(nil, dotted)))+"\n")
}

// escaped writes the characters of a JSON text that printable would replace as \u escapes. They stand in strings alone.
func escaped(json string) string {
	risky := func(r rune) bool { return r >= utf8.RuneSelf && !unicode.IsPrint(r) || r == 0x7F }
	if strings.IndexFunc(json, risky) < 0 {
		return json
	}
	var b strings.Builder
	for _, r := range json {
		switch {
		case !risky(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xD800+r>>10, 0xDC00+r&0x3FF)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// short cuts s to n characters, and makes it printable.
func short(s string, n int) string {
	s = printable(s)
	if runes := []rune(s); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return s
}

// printable replaces what could move the cursor or colour the terminal: log data come from strangers.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// thousands prints n with separators: 1,204.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// counted prints n things: 1 event, 2 events.
func counted(n int64, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return thousands(n) + " " + thing
}

// byReason prints counts by reason, most first: " (12 no-event-time, 1 not-json)"; nothing for none.
func byReason(counts map[string]int64) string {
	if len(counts) == 0 {
		return ""
	}
	var reasons []string
	for r := range counts {
		reasons = append(reasons, r)
	}
	sort.Slice(reasons, func(i, j int) bool {
		a, b := reasons[i], reasons[j]
		return counts[a] > counts[b] || counts[a] == counts[b] && a < b
	})
	for i, r := range reasons {
		reasons[i] = fmt.Sprintf("%s %s", thousands(counts[r]), r)
	}
	return " (" + strings.Join(reasons, ", ") + ")"
}
