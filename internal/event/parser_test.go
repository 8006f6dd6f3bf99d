package event

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// sameAsSlowly says how p reads data differently from jsontext, or nothing.
func sameAsSlowly(p *Parser, data []byte) string {
	given := bytes.Clone(data)
	got, duplicates, err := p.Parse(given)
	want, wantDuplicates, wantErr := parseSlowly(data, p.MaxValues)
	inPlace, again, err2 := p.ParseInPlace(data)
	if (err == nil) != (err2 == nil) || err == nil && (duplicates != again || string(got.AppendJSON(nil)) != string(inPlace.AppendJSON(nil))) {
		return "in place it reads otherwise"
	}
	clear(given) // what was read must not depend on the bytes any more
	switch {
	case (err == nil) != (wantErr == nil):
		return cmp.Diff(wantErr, err)
	case err != nil:
		return cmp.Diff(wantErr.Error(), err.Error())
	case duplicates != wantDuplicates:
		return cmp.Diff(wantDuplicates, duplicates)
	}
	return cmp.Diff(string(want.AppendJSON(nil)), string(got.AppendJSON(nil)))
}

func TestParser(t *testing.T) {
	var p Parser
	f := func(text string) {
		t.Helper()
		if diff := sameAsSlowly(&p, []byte(text)); diff != "" {
			t.Errorf("%.80s: %s", text, diff)
		}
	}
	for _, text := range []string{
		``, ` `, `{}`, `[]`, ` [ ] `, `{"a":1}`, `{"a":1,"b":[1,2,{"c":null}],"d":{"e":{"f":[]}}}`, `{"a":1}}`, `{"a":1}x`, `1 2`,
		`{"a":1,}`, `[1,]`, `[,1]`, `{,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{"a" : 1 , "b" : 2}`, "{\"a\"\n:\t1\r}", "{\v}", `{"a":1 "b":2}`,
		`[1 2]`, `[`, `{`, `{"a`, `{"a":`, `{"a":1`, `"`, `"a`, `"a\`, `"a\"`, `tru`, `true`, `truex`, `nul`, `null`, `false`, `nan`, `NaN`,
		`0`, `-0`, `00`, `01`, `-`, `-1`, `+1`, `1.`, `.5`, `1.5`, `1.e1`, `1e`, `1e+`, `1e5`, `1E-05`, `-0.0`, `1e999`, `-1e999`, `1e-999`,
		`9223372036854775807`, `9223372036854775808`, `-9223372036854775808`, `123456789012345678901234567890`, `1_0`, `0x1`,
		`{"a":1,"a":2,"b":3,"a":4}`, `{"a":{"b":1},"a":{"b":2,"b":3}}`,
		`"12345678"`, `"1234567\n"`, `"1234567890123456\t"`, `"\u0041\u00e9\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud83dx"`, `"\u12"`,
		`"\x"`, `"\\\"\/\b\f\n\r\t"`, "\"a\nb\"", "\"a\x00b\"", "\"1234567\x1f\"", "\"\x7f\"", "\"é€😀\"", "\"a\xffb\"", "{\"\xff\":1,\"\uFFFD\":2}",
		"\xEF\xBB\xBF{}", "\"\u2028\"", `["` + strings.Repeat("x", 100) + `\\"]`, `{"\u0061":1,"a":2}`,
	} {
		f(text)
	}
	deep := func(n int) string { return strings.Repeat(`{"a":[`, n/2) + strings.Repeat(`]}`, n/2) }
	f(deep(MaxDepth))
	f(deep(MaxDepth + 2))
	f(deep(10_000))
	f(strings.Repeat("[", 1_000_000))
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(`,"k` + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + `":[` + strings.Repeat("0,", i%40) + `1]`)
		}
		return "{" + b.String()[1:] + "}"
	}
	f(many(5))
	f(many(31))
	f(many(500)) // keys come again and again
	f(many(5))   // after a large one
}

func TestParserMaxValues(t *testing.T) {
	p := Parser{MaxValues: 4}
	f := func(text string, want error) {
		t.Helper()
		if _, _, err := p.Parse([]byte(text)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
		if diff := sameAsSlowly(&p, []byte(text)); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
	f(`[1,2,3]`, nil)
	f(`[1,2,3,4]`, ErrTooMany)
	f(`{"a":{"b":[1]}}`, nil)
	f(`{"a":{"b":[1,null]}}`, ErrTooMany)
	f(`{"a":1,"a":1,"a":1,"a":1}`, ErrTooMany)
	f("[\"\xff\",1,2,3]", ErrTooMany)
	f(`[[],[],[]]`, nil)
}

// TestParserValuesStand holds that reading goes on without touching values that were read before.
func TestParserValuesStand(t *testing.T) {
	var p Parser
	text := `{"a":["x",{"b":1,"c":[true]}],"d":{}}`
	var read []Value
	for range 1000 {
		v, _, err := p.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, v)
	}
	for i, v := range read {
		if got := string(v.AppendJSON(nil)); got != text {
			t.Fatalf("value %d became %s", i, got)
		}
	}
}

// jsonText draws JSON, and writes it into b.
func jsonText(t *rapid.T, b *strings.Builder, depth int) {
	gap := rapid.SampledFrom([]string{"", "", "", " ", "\n\t", "\r\n  "})
	text := rapid.SampledFrom([]string{`""`, `"a"`, `"b"`, `"12345678"`, `"1234567\n"`, `"\\"`, `"\""`, `"\u0041"`, `"\ud83d\ude00"`, `"\ud83d"`,
		"\"é\"", "\"\xff\"", `"arn:aws:iam::123456789012:user/Alice"`})
	kind := rapid.IntRange(0, 6).Draw(t, "kind")
	if depth > 5 {
		kind %= 4
	}
	b.WriteString(gap.Draw(t, "gap"))
	switch kind {
	case 0, 1:
		b.WriteString(text.Draw(t, "text"))
	case 2:
		b.WriteString(rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "word"))
	case 3:
		b.WriteString(rapid.SampledFrom([]string{"0", "-0", "7", "-12", "1.5", "2e3", "1E-2", "9223372036854775808", "1e999"}).Draw(t, "number"))
	default:
		n := rapid.IntRange(0, 5).Draw(t, "n")
		if rapid.IntRange(0, 20).Draw(t, "large") == 0 {
			n = 40
			depth = 6
		}
		begin, end := "[", "]"
		if kind > 4 {
			begin, end = "{", "}"
		}
		b.WriteString(begin)
		for i := range n {
			if i > 0 {
				b.WriteString(",")
			}
			if kind > 4 {
				b.WriteString(gap.Draw(t, "gap") + text.Draw(t, "key") + gap.Draw(t, "gap") + ":")
			}
			jsonText(t, b, depth+1)
		}
		b.WriteString(gap.Draw(t, "gap") + end)
	}
	b.WriteString(gap.Draw(t, "gap"))
}

func TestParserReadsAsJSONTextDoes(t *testing.T) {
	var p Parser
	valid := 0
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		jsonText(t, &b, 0)
		text := []byte(b.String())
		if diff := sameAsSlowly(&p, text); diff != "" {
			t.Fatalf("%q: %s", text, diff)
		}
		if _, _, err := p.Parse(text); err == nil {
			valid++
		}
		at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		text[at] = rapid.SampledFrom([]byte(`{}[]":,\ 0a-.e`+"\x00\x80")).Draw(t, "byte")
		if diff := sameAsSlowly(&p, text); diff != "" {
			t.Fatalf("%q: %s", text, diff)
		}
	})
	if valid < 50 {
		t.Errorf("%d valid texts were drawn", valid)
	}
}

func FuzzParser(f *testing.F) {
	f.Add([]byte(`{"a":[1,-2.5e3,"x\u00e9\n",null,true,{"b":{}}],"a":""}`))
	var p Parser
	f.Fuzz(func(t *testing.T, data []byte) {
		if diff := sameAsSlowly(&p, data); diff != "" {
			t.Error(diff)
		}
	})
}
