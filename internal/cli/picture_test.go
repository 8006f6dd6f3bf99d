package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/scan.svg anew")

// spent is what differs from run to run.
var spent = regexp.MustCompile(`time[ \x{a0}]+[0-9.]+[ \x{a0}]s[ \x{a0}]\([0-9,]+[ \x{a0}]events/s\)`)

// TestPicture holds the picture in the README equal to what a scan of the bundled data prints on a terminal of 100 columns.
func TestPicture(t *testing.T) {
	root := filepath.Join("..", "..")
	var out, errs bytes.Buffer
	code := Run(context.Background(), []string{"scan", "--from", "2026-03-15T00:00:00Z", filepath.Join(root, "testdata", "cloudtrail")},
		Streams{In: strings.NewReader(""), Out: &out, Err: &errs, screen: &screen{terminal: true, colour: true, width: 100}})
	if code != ExitAlerts || errs.Len() > 0 {
		t.Fatalf("exit code %d, standard error %q", code, errs.String())
	}
	name := filepath.Join(root, "docs", "scan.svg")
	got := picture("make demo", out.String())
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(steady(string(want)), steady(got)); diff != "" {
		t.Errorf("the picture is out of date (go test ./internal/cli -run TestPicture -update):\n%s", diff)
	}
}

// steady takes what differs from run to run out of a picture: the time, and what depends on its length.
func steady(svg string) string {
	lines := strings.Split(spent.ReplaceAllString(svg, "time …"), "\n")
	for i, l := range lines {
		if strings.Contains(l, "time …") {
			lines[i] = regexp.MustCompile(` textLength="[0-9.]+"`).ReplaceAllString(l, "")
		}
	}
	return strings.Join(lines, "\n")
}

// The measures of the picture, in pixels, and its colours.
const (
	cellWidth, lineHeight = 8.0, 19
	margin, bar           = 18, 34
)

var palette = map[string]string{"33": "#e5c07b", "31": "#e06c75", "91": "#ff6b76", "36": "#56b6c2", "1": "#ffffff", "2": "#8b929e"}

var escape = regexp.MustCompile("\x1b\\[([0-9;]*)m")

// picture draws what a command prints on a terminal, colours included.
func picture(command, output string) string {
	lines := append([]string{"$ " + command, ""}, strings.Split(strings.TrimRight(output, "\n"), "\n")...)
	columns := 0
	for _, l := range lines {
		columns = max(columns, utf8.RuneCountInString(escape.ReplaceAllString(l, "")))
	}
	width, height := float64(columns)*cellWidth+2*margin, len(lines)*lineHeight+bar+margin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" viewBox="0 0 %.0f %d" role="img" aria-label="Output of %s">`+"\n",
		width, height, width, height, html.EscapeString(command))
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="#1e2127"/>`+"\n")
	for i, c := range []string{"#e06c75", "#e5c07b", "#98c379"} {
		fmt.Fprintf(&b, `<circle cx="%d" cy="17" r="6" fill="%s"/>`+"\n", margin+6+20*i, c)
	}
	b.WriteString(`<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="13" fill="#d7dae0">` + "\n")
	for i, l := range lines {
		if l != "" {
			drawLine(&b, l, bar+lineHeight*(i+1)-5)
		}
	}
	b.WriteString("</g>\n</svg>\n")
	return b.String()
}

// drawLine draws one line of text at the height y; each stretch of one colour is a text of its own, of the exact length.
func drawLine(b *strings.Builder, line string, y int) {
	column, colour, at := 0, "", 0
	draw := func(s string) {
		begin := column + len(s) - len(strings.TrimLeft(s, " "))
		column += utf8.RuneCountInString(s)
		if s = strings.Trim(s, " "); s == "" {
			return
		}
		fill := ""
		if colour != "" {
			fill = fmt.Sprintf(` fill="%s"`, colour)
		}
		// Blanks that do not collapse, whatever draws the picture.
		fmt.Fprintf(b, `<text x="%s" y="%d" textLength="%s"%s>%s</text>`+"\n", pixels(margin, begin), y,
			pixels(0, utf8.RuneCountInString(s)), fill, strings.ReplaceAll(html.EscapeString(s), " ", "\u00a0"))
	}
	for _, m := range escape.FindAllStringSubmatchIndex(line, -1) {
		draw(line[at:m[0]])
		colour, at = palette[line[m[2]:m[3]]], m[1]
	}
	draw(line[at:])
}

func pixels(from, columns int) string {
	return strconv.FormatFloat(float64(from)+float64(columns)*cellWidth, 'f', -1, 64)
}
