package tocsin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// TestGuard shows the guard small trees that each break one rule, and their twins that do not.
func TestGuard(t *testing.T) {
	inspected := func(files ...string) []string {
		t.Helper()
		tree := fstest.MapFS{}
		for i := 0; i < len(files); i += 2 {
			tree[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
		}
		parsed, problems := load(tree)
		return append(problems, inspect(parsed)...)
	}
	bad := func(want string, files ...string) {
		t.Helper()
		got := inspected(files...)
		if !slices.ContainsFunc(got, func(p string) bool { return strings.Contains(p, want) }) {
			t.Errorf("the guard did not say %q; it said %q", want, got)
		}
	}
	good := func(files ...string) {
		t.Helper()
		if got := inspected(files...); len(got) > 0 {
			t.Errorf("the guard complained: %q", got)
		}
	}
	// pkg writes a file of a documented package with these imports.
	pkg := func(name, body string, imports ...string) string {
		out := "// Package " + name + " is here for the guard.\npackage " + name + "\n"
		for _, i := range imports {
			if strings.HasPrefix(i, "internal/") {
				i = module + "/" + i
			}
			out += fmt.Sprintf("import _ %q\n", i)
		}
		return out + body
	}

	// Layers.
	good("internal/expr/a.go", pkg("expr", "", "internal/event"))
	bad("upward, from layer 1 to 2", "internal/event/a.go", pkg("event", "", "internal/expr"))
	bad("upward, from layer 1 to 2", "internal/event/a.go", pkg("event", ""), "internal/event/a_test.go", pkg("event", "", "internal/expr"))
	bad("sideways, both stand in layer 6", "internal/store/duck/a.go", pkg("duck", "", "internal/store/mem"))
	bad("sideways, both stand in layer 6", "internal/normalize/cloudtrail/a.go", pkg("cloudtrail", "", "internal/source/file"))
	good("internal/store/duck/a.go", pkg("duck", "", "internal/store", "internal/exec"))
	bad("upward, from layer 4 to 6", "internal/store/a.go", pkg("store", "", "internal/store/duck"))
	good("internal/store/duck/a.go", pkg("duck", ""), "internal/store/duck/a_test.go", pkg("duck_test", "", "internal/store/storetest"))
	bad("internal/gossip: stands in no layer", "internal/gossip/a.go", pkg("gossip", ""))
	bad("internal/gossip: it stands in no layer", "internal/cli/a.go", pkg("cli", "", "internal/gossip"))
	good("cmd/tocsin/main.go", "// Command tocsin is here for the guard.\npackage main\nimport _ \""+module+"/internal/cli\"\n")

	// Test support.
	bad("it is for tests alone", "internal/event/a.go", pkg("event", "", "internal/corpus"))
	good("internal/event/a.go", pkg("event", ""), "internal/event/a_test.go", pkg("event", "", "internal/corpus"))
	good("internal/store/storetest/a.go", pkg("storetest", "", "internal/corpus", "github.com/google/go-cmp/cmp"))

	// Owners of modules.
	bad("it belongs to internal/store/duck", "internal/cli/a.go", pkg("cli", "", "github.com/duckdb/duckdb-go/v2"))
	bad("it belongs to internal/source", "internal/ingest/a.go", pkg("ingest", "", "github.com/klauspost/compress/zstd"))
	good("internal/source/file/a.go", pkg("file", "", "github.com/klauspost/compress/zstd"))
	bad("the module has no owner", "internal/cli/a.go", pkg("cli", "", "example.com/fashion/v3"))
	bad("it is for tests alone", "internal/cli/a.go", pkg("cli", "", "github.com/google/go-cmp/cmp"))
	good("internal/cli/a.go", pkg("cli", ""), "internal/cli/a_test.go", pkg("cli", "", "pgregory.net/rapid"))

	// Clock, goroutines and I/O.
	now := "import \"time\"\nvar _ = time.Now\n"
	bad("time.Now in internal/detect", "internal/detect/a.go", pkg("detect", now))
	bad("time.Since in internal/detect", "internal/detect/a.go", pkg("detect", "import wall \"time\"\nvar _ = wall.Since\n"))
	good("internal/ingest/a.go", pkg("ingest", now), "internal/source/file/a.go", pkg("file", now))
	good("internal/detect/a.go", pkg("detect", ""), "internal/detect/a_test.go", pkg("detect", now))
	good("internal/detect/a.go", pkg("detect", "import \"time\"\nvar _ = time.Unix\n"))
	bad("starts a goroutine", "internal/plan/a.go", pkg("plan", "func f() { go f() }\n"))
	good("internal/exec/a.go", pkg("exec", "func f() { go f() }\n"))
	bad("imports \"os\": layers 0 to 4 do no I/O", "internal/plan/a.go", pkg("plan", "", "os"))

	// Names, comments, length, init.
	bad("no package comment", "internal/event/a.go", "package event\n")
	bad("no package comment", "internal/event/a.go", "// Package events is misspelt.\npackage event\n")
	bad("no package comment", "internal/event/a.go", "package event\n", "internal/event/a_test.go", pkg("event", ""))
	bad("does not say what the package is for", "internal/helpers/a.go", pkg("helpers", ""))
	bad("only package main", "internal/event/a.go", "// Command event is here for the guard.\npackage main\n")
	good("internal/ecs/a.go", pkg("ecs", ""), "internal/ecs/generate.go", "//go:build ignore\n\npackage main\n")
	bad("an init function", "internal/event/a.go", pkg("event", "func init() {}\n"))
	good("internal/event/a.go", pkg("event", "type t int\nfunc (t) init() {}\n"))
	long := strings.Repeat("\n", maxLines)
	bad("lines, more than 1000", "internal/event/a.go", pkg("event", long))
	good("internal/event/a.go", "// Code generated by the guard's test. DO NOT EDIT.\n\n"+pkg("event", long))
	bad("more than 40", "cmd/tocsin/main.go", "// Command tocsin is here for the guard.\npackage main\n"+strings.Repeat("\n", maxMainLines))
	bad("expected 'package'", "internal/event/a.go", "pakcage event\n")

	if got := checkModule("module x\n\nreplace a => b\n"); len(got) != 1 {
		t.Errorf("the guard did not see a replace directive: %q", got)
	}
	if got := checkModule("module x\n// replace a => b\n"); len(got) != 0 {
		t.Errorf("the guard complained about a comment: %q", got)
	}
}
