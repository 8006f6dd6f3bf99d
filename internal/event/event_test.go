package event

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func decode(t *testing.T, doc string, trees ...string) *Event {
	t.Helper()
	e, err := Decode([]byte(doc), DecodeOptions{Tree: func(p string) bool {
		for _, tree := range trees {
			if p == tree {
				return true
			}
		}
		return false
	}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestValues(t *testing.T) {
	e := decode(t, `{"a":{"b":[1,[2,null],"x"]},"c.d":true,"f":{"x.y":"dot","x":{"y":"nest"}},
		"l":[{"k":"1","m":{"n":[5]}},{"k":["2","3"]},7],"a-b":0}`, "f")
	f := func(path, want string) {
		t.Helper()
		var got []string
		for _, v := range e.Values(path) {
			got = append(got, v.Text())
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: got %q, want %q", path, s, want)
		}
	}
	f("a.b", "1 2 x")
	f("c.d", "true")
	f("f.x.y", "dot nest") // a key with a dot and two nested keys are the same path
	f("f.x", "")           // an object gives no value
	f("l.k", "1 2 3")
	f("l.m.n", "5")
	f("l", "7")
	f("a", "")
	f("nothing.here", "")
	if n := len(e.Leaves("f")); n != 2 {
		t.Errorf("leaves of f: %d", n)
	}
	if n := len(decode(t, `{"f":{"a.b":1,"a":{"c":2,"d.e":3},"ab":4}}`, "f").Leaves("f.a")); n != 3 {
		t.Errorf("leaves below f.a, keys with dots included: %d", n)
	}
	if n := len(e.Elements("l")); n != 2 {
		t.Errorf("elements of l: %d", n)
	}
	if n := len(e.Elements("a")); n != 1 {
		t.Errorf("an ordinary object is one element, got %d", n)
	}
	for _, f := range e.Elements("a")[0].Fields() {
		if !strings.HasPrefix(f.Path, "a.") {
			t.Errorf("the object a holds %s", f.Path)
		}
	}
	if got := e.Elements("l")[1].Values("l.k"); len(got) != 2 {
		t.Errorf("second element's l.k: %v", got)
	}
}

func TestJSONOut(t *testing.T) {
	f := func(in, want string, trees ...string) {
		t.Helper()
		got := string(decode(t, in, trees...).AppendJSON(nil, nil))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	f(`{"b":1,"a":{"y":2,"x":[1,"2",null]}}`, `{"a":{"x":[1,"2",null],"y":2},"b":1}`)
	f(`{"a-b":1,"a.x":2,"a":{"y":3}}`, `{"a-b":1,"a":{"x":2,"y":3}}`)
	f(`{"a":1,"a-b":0,"a.b":2}`, `{"a":1,"a-b":0,"a.b":2}`) // a scalar in the way: the longer path stays dotted
	f(`{"n":[1e3,1.50,18446744073709551616,-0]}`, `{"n":[1e3,1.50,18446744073709551616,-0]}`)
	f(`{"f":{"b.c":1,"a":{}},"e":{}}`, `{"e":{},"f":{"b.c":1,"a":{}}}`, "f")
	f(`{"k":1,"k":2,"z":null}`, `{"k":2}`)
	f("{\"s\":\"a\xffb\"}", "{\"s\":\"a\uFFFDb\"}")
}

func TestBadJSON(t *testing.T) {
	f := func(in string) {
		t.Helper()
		if _, err := Decode([]byte(in), DecodeOptions{}); err == nil {
			t.Errorf("%.40q: no error", in)
		}
	}
	f(``)
	f(`[]`)
	f(`{"a":1`)
	f(`{"a":1}{}`)
	f(`{"a":` + strings.Repeat("[", 100_000))
	f(strings.Repeat(`{"a":`, MaxDepth+2) + "1" + strings.Repeat("}", MaxDepth+2))
	f(`{"a":1e999999999999}x`)
}

func TestCoerce(t *testing.T) {
	f := func(typ Type, json, want string) {
		t.Helper()
		v, err := ParseJSON([]byte(json))
		if err != nil {
			t.Fatal(err)
		}
		got, ok := Coerce(typ, v)
		if text := got.Text(); ok != (want != "!") || ok && text != want {
			t.Errorf("%v reads %s as %q (%v), want %q", typ, json, text, ok, want)
		}
	}
	f(Keyword, `7`, "7")
	f(Keyword, `1e3`, "1e3")
	f(Keyword, `true`, "true")
	f(Keyword, `{}`, "!")
	f(Caseless, `"CMD.exe"`, "cmd.exe")
	f(Long, `7.9`, "7")
	f(Long, `"-7.9"`, "-7")
	f(Long, `"0x10"`, "!")
	f(Long, `"abc"`, "!")
	f(Long, `true`, "!")
	f(Long, `9223372036854775808`, "!")
	f(Double, `"1.5"`, "1.5")
	f(Double, `1e999`, "!")
	f(Boolean, `"true"`, "true")
	f(Boolean, `""`, "false")
	f(Boolean, `"True"`, "!")
	f(Boolean, `1`, "!")
	f(IPType, `"::ffff:10.1.2.3"`, "10.1.2.3")
	f(IPType, `"AWS Internal"`, "!")
	f(IPType, `"fe80::1%eth0"`, "!")
	f(Date, `"2024-05"`, "2024-05-01T00:00:00.000Z")
	f(Date, `"2024-05-06T07:08:09.1234567+02:00"`, "2024-05-06T05:08:09.123Z")
	f(Date, `"2024-02-30"`, "!")
	f(Date, `"..."`, "!")
	f(Date, `1715000000000`, "2024-05-06T12:53:20.000Z")
}

func TestCompareNumbersExactly(t *testing.T) {
	big := Int(9007199254740993) // 2^53 + 1, which float64 cannot hold
	if Compare(big, Float(9007199254740992)) != 1 || Compare(Float(9007199254740992), big) != -1 {
		t.Error("2^53+1 must be greater than 2^53")
	}
	if Compare(Int(-1<<63), Float(-1<<63)) != 0 {
		t.Error("the smallest integer equals itself as a float")
	}
}

func TestSetKeepsOrderAndReplaces(t *testing.T) {
	var e Event
	e.Set("b", Int(1))
	e.Set("a", Int(2))
	e.Set("b", Int(3))
	e.Set("c", Int(4))
	e.Set("c", Null())
	if got := string(e.AppendJSON(nil, nil)); got != `{"a":2,"b":3}` {
		t.Error(got)
	}
}
