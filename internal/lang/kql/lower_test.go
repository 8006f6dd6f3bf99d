package kql_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/lang/kql"
)

var checkNow = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// TestMeaning holds what queries find, by hand-derived truths.
func TestMeaning(t *testing.T) {
	m := fields(t)
	f := func(query, doc string, want bool) {
		t.Helper()
		n, err := kql.Parse(query)
		if err != nil {
			t.Fatal(err)
		}
		cond, err := kql.Lower(n, kql.Options{Resolver: m, Now: checkNow})
		if err != nil {
			t.Fatal(err)
		}
		e, err := event.Decode([]byte(doc), event.DecodeOptions{Tree: m.Tree})
		if err != nil {
			t.Fatal(err)
		}
		if got := expr.Matches(cond, e); got != want {
			t.Errorf("%s on %s is %t, want %t", query, doc, got, want)
		}
	}
	// Several values: each condition is fulfilled by any of them.
	f("user.name : (a and b)", `{"user":{"name":["a","b"]}}`, true)
	f("not user.name : a", `{"user":{"name":["a","b"]}}`, false)
	f("not user.name : a", `{}`, true)
	f("source.port > 5 and source.port < 3", `{"source":{"port":[1,9]}}`, true)
	// Flattened keys are keywords of their own (Elasticsearch: any pattern but a prefix is about all keys).
	f("params.a : *z", `{"params":{"a":"xyz","b":"q"}}`, true)
	f("params.b : *z", `{"params":{"a":"xyz","b":"q"}}`, false)
	f("params.a : x*z", `{"params":{"a":"xyz"}}`, true)
	f("params : xyz", `{"params":{"a":{"deep":"xyz"}}}`, true)
	// One object of a list.
	f("files:{ name : a and size > 5 }", `{"files":[{"name":"a","size":1},{"name":"b","size":9}]}`, false)
	f("files.name : a and files.size > 5", `{"files":[{"name":"a","size":1},{"name":"b","size":9}]}`, true)
	f("files:{ name : b and size > 5 }", `{"files":[{"name":"a","size":1},{"name":"b","size":9}]}`, true)
	// Dates: a missing time is the whole unit.
	f("@timestamp : 2026-03-01", `{"@timestamp":"2026-03-01T23:59:59.999Z"}`, true)
	f("@timestamp > 2026-03-01", `{"@timestamp":"2026-03-01T23:59:59.999Z"}`, false)
	f("@timestamp <= now-1d/d", `{"@timestamp":"2026-11-23T23:59:59.999Z"}`, true)
	f("@timestamp < now-1d/d", `{"@timestamp":"2026-11-23T00:00:00Z"}`, false)
	// Addresses.
	f(`source.ip : "2001:db8::/33"`, `{"source":{"ip":"2001:db8:7fff::1"}}`, true)
	f(`source.ip : "2001:db8::/33"`, `{"source":{"ip":"2001:db8:8000::"}}`, false)
	f("source.ip : 10.0.0.0/31", `{"source":{"ip":["192.0.2.1","10.0.0.1"]}}`, true)
	f("source.ip : 10.0.0.0/31", `{"source":{"ip":"10.0.0.2"}}`, false)
	f("source.ip : 0.0.0.0/0", `{"source":{"ip":"2001:db8::1"}}`, false)
	// Folding.
	f("user.name.caseless : ROOT", `{"user":{"name":{"caseless":"Root"}}}`, true)
	f("user.name : ROOT", `{"user":{"name":"Root"}}`, false)
	f("message : HELLO", `{"message":"say hello"}`, true)
	// A value without a field.
	f("10.1.2.3", `{"source":{"ip":"::ffff:10.1.2.3"}}`, true)
	f("hello", `{"message":"say hello"}`, true)
	f("hello", `{"user":{"name":"say hello"}}`, false)
	f(`Say*`, `{"message":"say hello"}`, true)
	f(`Say*`, `{"user":{"name":"say"}}`, false)
	f("files:{ a }", `{"files":[{"name":"b"}],"user":{"name":"a"}}`, false)
}

func TestUsesNow(t *testing.T) {
	f := func(query string, want bool) {
		t.Helper()
		n, err := kql.Parse(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := kql.UsesNow(n); got != want {
			t.Errorf("%s: %t, want %t", query, got, want)
		}
	}
	f("@timestamp >= now-30d/d", true)
	f(`a : b and not (c : "now/w" or d : e)`, true)
	f("n:{ t > now }", true)
	f("a : nowhere", false)
	f("a : now*", false)
	f("a : know-how or a : now-here", false)
	f("t > 2026-01-01||+1d", false)
}

func TestNoNow(t *testing.T) {
	n, err := kql.Parse("@timestamp >= now-1d")
	if err != nil {
		t.Fatal(err)
	}
	_, err = kql.Lower(n, kql.Options{Resolver: fields(t)})
	var d diag.Diagnostic
	if !errors.As(err, &d) || d.Code != kql.CodeNoNow {
		t.Errorf("date math without a time: %v", err)
	}
}

// TestLimits holds that hostile queries are refused, quickly and with a reason.
func TestLimits(t *testing.T) {
	f := func(query, code string) {
		t.Helper()
		n, err := kql.Parse(query)
		if err == nil {
			_, err = kql.Lower(n, kql.Options{Resolver: fields(t), Now: checkNow})
			kql.Check(n, fields(t))
			kql.String(n)
		}
		found := diag.Of(err)
		switch {
		case code == "" && err != nil:
			t.Errorf("%.40s…: %v", query, err)
		case code != "" && (len(found) != 1 || found[0].Code != code):
			t.Errorf("%.40s…: %v, want %s", query, err, code)
		}
	}
	f(strings.Repeat("(", kql.MaxDepth)+"a"+strings.Repeat(")", kql.MaxDepth), "")
	f(strings.Repeat("(", kql.MaxDepth+1)+"a"+strings.Repeat(")", kql.MaxDepth+1), kql.CodeTooDeep)
	f("a:"+strings.Repeat("(", 900_000), kql.CodeTooDeep)
	f(strings.Repeat("(", 10<<20), kql.CodeTooLong)
	f(strings.Repeat("(", 5<<20)+strings.Repeat(")", 5<<20), kql.CodeTooLong)
	f(strings.Repeat("a:{", 10_000), kql.CodeTooDeep)
	f(strings.Repeat("not (", kql.MaxDepth)+"a"+strings.Repeat(")", kql.MaxDepth), "")
	f("a:"+strings.Repeat("x", kql.MaxLength), kql.CodeTooLong)
	f("a:"+strings.Repeat("x", kql.MaxLength-2), "")
	f("a:b"+strings.Repeat(" ", kql.MaxLength-3), "")
	f("a"+strings.Repeat(" no", 300_000), "")
	f("user.name:(x"+strings.Repeat(" or x", kql.MaxTerms-1)+")", "")
	f("user.name:(x"+strings.Repeat(" or x", kql.MaxTerms)+")", kql.CodeTooMany)
	f("x"+strings.Repeat(" or x", 60_000), kql.CodeTooMany)
	f("u*:x"+strings.Repeat(" or u*:x", 60_000), kql.CodeTooMany)
	f("user.name:a"+strings.Repeat("*", 1_000_000), "")
	f("user.name:"+strings.Repeat("* ", 500_000), "")
	f("message:"+strings.Repeat("a* ", 300_000), "")
	f(strings.Repeat("u", 500)+":x"+strings.Repeat(" or y:x", 60_000), "")
	f("y:x"+strings.Repeat(" or y:x", 100_000), kql.CodeTooMany)
	f("@timestamp > now"+strings.Repeat("-1d", 300_000), "")
	f(`a:"`+strings.Repeat(`\`, 1_000_000), kql.CodeQuote)
}
