package eql_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/lang/eql"
)

// TestDocumentation holds the table at the end of docs/eql.md to the functions that there are.
func TestDocumentation(t *testing.T) {
	const name = "../../../docs/eql.md"
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const head = "|---|---|---|\n"
	at := strings.LastIndex(string(page), head) + len(head)
	var want strings.Builder
	for _, f := range eql.Functions() {
		fold := ""
		if f.Fold {
			fold = "`" + f.Name + "~`"
		}
		fmt.Fprintf(&want, "| `%s(%s)` | %s | %s |\n", f.Name, f.Args, fold, f.Doc)
	}
	if *update {
		if err := os.WriteFile(name, []byte(string(page)[:at]+want.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want.String(), string(page)[at:]); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", name, diff)
	}
}

// TestFunctionsRun holds that every function of the language, and its form without regard to case, can be computed with
// the fewest and with the most arguments, and refuses fewer and more.
func TestFunctionsRun(t *testing.T) {
	functions := eql.Functions()
	if !slices.IsSortedFunc(functions, func(a, b eql.Function) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the functions are not sorted")
	}
	lower := func(call string) error {
		_, err := eql.LowerValue(call, eql.Options{Resolver: fields(t)})
		return err
	}
	for _, f := range functions {
		required, optional, _ := strings.Cut(f.Args, "[")
		count := func(list string) (n int, more bool) {
			for _, arg := range strings.Split(list, ",") {
				switch arg = strings.Trim(arg, " ]"); arg {
				case "":
				case "…":
					more = true
				default:
					n++
				}
			}
			return n, more
		}
		least, more := count(required)
		extra, _ := count(optional)
		most := least + extra
		call := func(name string, n int) string {
			return name + "(" + strings.TrimSuffix(strings.Repeat("null, ", n), ", ") + ")"
		}
		if more {
			most += 5
		} else if err := lower(call(f.Name, most+1)); err == nil {
			t.Errorf("%s takes more than %d arguments", f.Name, most)
		}
		for _, n := range []int{least, most} {
			if err := lower(call(strings.ToUpper(f.Name), n)); err != nil {
				t.Errorf("%s of %d arguments: %v", f.Name, n, err)
			}
			if err := lower(call(f.Name+"~", n)); (err == nil) != f.Fold {
				t.Errorf("%s~ of %d arguments: %v", f.Name, n, err)
			}
		}
		if err := lower(call(f.Name, least-1)); err == nil {
			t.Errorf("%s takes fewer than %d arguments", f.Name, least)
		}
	}
}
