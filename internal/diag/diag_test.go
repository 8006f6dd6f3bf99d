package diag

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRender(t *testing.T) {
	f := func(text string, span Span, want string) {
		t.Helper()
		d := Diagnostic{Code: "X1", Message: "wrong", Span: span, Text: text}
		_, got, _ := strings.Cut(d.Render(), "\n")
		if diff := cmp.Diff(strings.TrimPrefix(want, "\n"), got); diff != "" {
			t.Errorf("%q %v (-want +got):\n%s", text, span, diff)
		}
	}
	f("response:", At(9), `
  1 | response:
    |          ^
`)
	f("a\nfoo bar\nb", Span{6, 9}, `
  2 | foo bar
    |     ^^^
`)
	f("\tx\ty", Span{1, 4}, `
  1 |     x   y
    |     ^^^^^
`)
	f("日本 x", Span{7, 8}, `
  1 | 日本 x
    |      ^
`)
	f("e\u0301 x", Span{4, 5}, "  1 | e\u0301 x\n    |   ^\n")
	f("a\xffb", Span{2, 3}, "  1 | a\uFFFDb\n    |   ^\n")
	f("a\x1b[31mb\u202e", Span{6, 7}, "  1 | a\u241b[31mb\uFFFD\n    |       ^\n")
	f("a\r\nb", Span{1, 1}, `
  1 | a
    |  ^
`)
	f("", At(0), "") // no text, no excerpt
	f("x\n", At(2), `
  2 | 
    | ^
`)
	f("one (\n  two\n  three)\nfour", Span{4, 21}, `
  1 | one (
    |     ^
    | …
  3 |   three)
    |   ^^^^^^
`)
	f("one (\n)", Span{4, 7}, `
  1 | one (
    |     ^
  2 | )
    | ^
`)
	f("one\ntwo", Span{0, 4}, `
  1 | one
    | ^^^
`)
	f(strings.Repeat("x", 9)+"\n\n\n\n\n\n\n\n\nbad", Span{18, 21}, `
  10 | bad
     | ^^^
`)
	f("abc", Span{-5, 99}, `
  1 | abc
    | ^^^
`)
	f("abc", Span{2, 1}, `
  1 | abc
    |   ^
`)
}

func TestRenderLongLine(t *testing.T) {
	text := strings.Repeat("a ", 500_000) + "HERE" + strings.Repeat(" z", 500_000)
	d := Diagnostic{Message: "wrong", Span: Span{1_000_000, 1_000_004}, Text: text}
	lines := strings.Split(d.Render(), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines, want 4", len(lines))
	}
	excerpt, carets := []rune(lines[1]), []rune(lines[2])
	if len(excerpt) > excerptWidth+10 {
		t.Errorf("the excerpt has %d characters", len(excerpt))
	}
	at := strings.IndexRune(string(carets), '^')
	if got := string(excerpt[at : at+4]); got != "HERE" {
		t.Errorf("the carets stand under %q", got)
	}
	if excerpt[6] != '…' || excerpt[len(excerpt)-1] != '…' {
		t.Errorf("the cuts are not shown: %s", string(excerpt))
	}
	d.Span = Span{10, 1_900_000}
	if got := d.Render(); len(got) > 1000 || !strings.Contains(got, "^^^^") {
		t.Errorf("a span longer than the excerpt renders as %d bytes", len(got))
	}
}

func TestError(t *testing.T) {
	f := func(d Diagnostic, want string) {
		t.Helper()
		if got := d.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	f(Diagnostic{Message: "m"}, "m")
	f(Diagnostic{Code: "A1", Message: "m"}, "A1: m")
	f(Diagnostic{Code: "A1", Message: "m", File: "r.toml"}, "r.toml: A1: m")
	f(Diagnostic{Code: "A1", Message: "m", File: "r.toml", Text: "a\nbé c", Span: Span{6, 7}}, "r.toml:2:4: A1: m")
	f(Diagnostic{Code: "A1", Severity: Warning, Message: "m"}, "warning A1: m")
	f(Diagnostic{Severity: Note, Message: "m\x1b[2J\nn", Text: "x"}, "1:1: note: m\u241b[2J n")
}

func TestIn(t *testing.T) {
	file := "type = 'q'\nquery = '''a : \"b\"'''\n"
	d := Diagnostic{Code: "A1", Message: "m", Text: `a : "b"`, Span: Span{4, 7}}
	if got, want := d.In("r.toml", file, 22).Error(), "r.toml:2:16: A1: m"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := d.In("r.toml", file, 3).Error(), "r.toml:1:5: A1: m"; got != want {
		t.Errorf("text that does not stand there: got %s, want %s", got, want)
	}
}

func TestJSON(t *testing.T) {
	f := func(d Diagnostic, want string) {
		t.Helper()
		got, err := json.Marshal(d)
		if err != nil || string(got) != want {
			t.Errorf("got  %s %v\nwant %s", got, err, want)
		}
	}
	f(Diagnostic{Code: "A1", Severity: Warning, Message: "m", File: "f", Span: Span{3, 6}, Text: "é\nabc", Hint: "h",
		Expected: []string{"x"}},
		`{"code":"A1","severity":"warning","message":"m","file":"f","line":2,"column":1,"end_line":2,"end_column":4,`+
			`"offset":3,"hint":"h","expected":["x"]}`)
	f(Diagnostic{Code: "A1", Message: "m"},
		`{"code":"A1","severity":"error","message":"m","line":0,"column":0,"end_line":0,"end_column":0,"offset":0}`)
	var s Severity
	if err := s.UnmarshalText([]byte("note")); err != nil || s != Note {
		t.Errorf("note reads as %v, %v", s, err)
	}
	if s.UnmarshalText([]byte("fatal")) == nil {
		t.Error("fatal is taken for a severity")
	}
}

func TestPositions(t *testing.T) {
	f := func(text string, offset, line, column int) {
		t.Helper()
		got := PosAt(text, offset)
		if want := (Pos{offset, line, column}); got != want {
			t.Errorf("PosAt(%q, %d) = %v, want %v", text, offset, got, want)
		}
		if back := OffsetOf(text, line, column); back != offset {
			t.Errorf("OffsetOf(%q, %d, %d) = %d, want %d", text, line, column, back, offset)
		}
	}
	f("", 0, 1, 1)
	f("ab", 2, 1, 3)
	f("a\nb", 2, 2, 1)
	f("a\n", 2, 2, 1)
	f("é\xffx", 3, 1, 3)
	if got := OffsetOf("ab\nc", 1, 99); got != 2 {
		t.Errorf("a column beyond the line is %d, want the line's end", got)
	}
	if got := OffsetOf("ab\nc", 9, 1); got != 4 {
		t.Errorf("a line beyond the text is %d, want the text's end", got)
	}
	if start, end := (Span{2, 4}).Positions("aéé"); start.Offset != 1 || end.Offset != 3 {
		t.Errorf("offsets inside characters are %d and %d, want 1 and 3", start.Offset, end.Offset)
	}
}

func TestList(t *testing.T) {
	l := List{
		{Code: "B", Severity: Warning, Message: "w", Span: At(1)},
		{Code: "C", Message: "e2", Span: At(7)},
		{Code: "A", Message: "e1", Span: At(1)},
	}
	l.Sort()
	if got := l[0].Code + l[1].Code + l[2].Code; got != "ABC" {
		t.Errorf("sorted as %s, want ABC", got)
	}
	if got, want := l[1:].Error(), "C: e2 (and 1 more)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if l[:1].Err() == nil || l[1:2].Err() != nil || List(nil).Err() != nil {
		t.Error("Err is for errors alone")
	}
	wrapped := fmt.Errorf("read rule: %w", l)
	var d Diagnostic
	if !errors.As(wrapped, &d) || d.Code != "A" {
		t.Errorf("errors.As found %v", d)
	}
	if got := Of(errors.Join(wrapped, &l[1])); len(got) != 4 {
		t.Errorf("Of found %d diagnostics, want 4", len(got))
	}
	if Of(errors.New("x")) != nil || Of(nil) != nil {
		t.Error("Of found a diagnostic in nothing")
	}
}

func TestNearest(t *testing.T) {
	fields := []string{"event.action", "event.category", "user.name", "user.id", "source.ip", "aws.cloudtrail.user_identity.arn"}
	f := func(word, want string) {
		t.Helper()
		if got, ok := Nearest(word, fields); got != want || ok != (want != "") {
			t.Errorf("Nearest(%q) = %q, %t; want %q", word, got, ok, want)
		}
	}
	f("event.acton", "event.action")
	f("Event.Action", "event.action")
	f("user_name", "user.name")
	f("userName", "user.name")
	f("uesr.id", "user.id")
	f("sorce.ip", "source.ip")
	f("aws.cloudtrail.user_identity.ar", "aws.cloudtrail.user_identity.arn")
	f("process.pid", "")
	f("", "")
	f("x", "")
	f(strings.Repeat("event.action", 100), "")
	if got, _ := Nearest("bat", []string{"cat", "bad", "bar"}); got != "bad" {
		t.Errorf("of equally near words %q is taken, want the first in the alphabet", got)
	}
}

// Tabs take more cells than bytes: the place is shown all the same.
func TestRenderTabs(t *testing.T) {
	for _, before := range []int{0, 1, 29, 30, 31, 60, 119, 5000} {
		text := strings.Repeat("\t", before) + "HERE"
		lines := strings.Split(Diagnostic{Message: "m", Text: text, Span: Span{before, before + 4}}.Render(), "\n")
		at := strings.Index(lines[2], "^^^^")
		if at < 0 || string([]rune(lines[1])[at:at+4]) != "HERE" {
			t.Errorf("%d tabs:\n%s\n%s", before, lines[1], lines[2])
		}
	}
}

func FuzzRender(f *testing.F) {
	f.Add("a\xff\t日\u202e\r\nb", 2, 7)
	f.Fuzz(func(t *testing.T, text string, start, end int) {
		d := Diagnostic{Message: text, Hint: text, Text: text, Span: Span{start, end}}
		got := d.Render()
		if strings.ContainsAny(got, "\x1b\r\x00") {
			t.Errorf("control characters reach the terminal: %q", got)
		}
		if text != "" && !strings.Contains(got, "^") {
			t.Errorf("no caret: %q", got)
		}
	})
}
