// The guard: rules that hold for the whole repository, read from the source files themselves. A newcomer finds here
// which room may import which, who owns a third-party module, and where a clock may be read.
package tocsin_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tocsin-sec/tocsin"

// layers lists the rooms from low to high. An import goes to a lower layer or to the package's own parent, never
// sideways. "x/*" is every package directly below x; a package found under its own name is not looked up by pattern.
var layers = [][]string{
	0: {"internal/diag", "rules"},
	1: {"internal/event", "internal/datemath", "internal/attack", "internal/metrics", "internal/regex"},
	2: {"internal/ecs", "internal/expr", "internal/window"},
	3: {"internal/plan"},
	4: {"internal/store", "internal/lang/kql"},
	5: {"internal/exec", "internal/lang/lucene", "internal/lang/eql", "internal/lang/esql", "internal/normalize",
		"internal/enrich", "internal/source", "internal/lang/kql/kqltest"},
	6: {"internal/store/mem", "internal/store/duck", "internal/store/opensearch", "internal/normalize/*",
		"internal/source/*", "internal/rule", "internal/sighting", "internal/lang/filter",
		"internal/lang/eql/eqltest", "internal/lang/lucene/lucenetest"},
	7: {"internal/store/storetest", "internal/alert", "internal/exception", "internal/indicator", "internal/lang/filter/filtertest"},
	8: {"internal/detect", "internal/notify"},
	9: {"internal/ingest", "internal/schedule", "internal/investigate", "internal/cases",
		"internal/auth", "internal/lint"},
	10: {"internal/replay"},
	11: {"internal/ruletest", "internal/explain"},
	12: {"internal/api", "internal/web", "internal/config", "internal/demo", "internal/bench"},
	13: {"internal/cli"},
	14: {"cmd/tocsin"},
}

// pureLayers is the number of lowest layers that do no I/O, start no goroutine and read no clock.
const pureLayers = 5

// testSupport is imported by tests and by packages whose name ends in "test", and belongs to no layer.
var testSupport = []string{"internal/corpus"}

// owners says which rooms may import a third-party module. "x/*" is every package directly below x.
var owners = map[string][]string{
	"github.com/duckdb/duckdb-go/v2":       {"internal/store/duck"},
	"github.com/duckdb/duckdb-go-bindings": {"internal/store/duck"},
	"github.com/klauspost/compress":        {"internal/source", "internal/source/*"},
	"github.com/pelletier/go-toml/v2":      {"internal/rule", "internal/config", "internal/lang/eql/eqltest"},
	"github.com/clipperhouse/uax29/v2":     {"internal/expr"},
	"github.com/ua-parser/uap-go":          {"internal/enrich"},
	"github.com/oschwald/maxminddb-golang/v2": {
		"internal/enrich"},
	"github.com/alecthomas/kong":      {"internal/cli"},
	"github.com/jedib0t/go-pretty/v6": {"internal/cli"},
	"golang.org/x/term":               {"internal/cli"},
	"github.com/go-json-experiment/json": {"internal/event", "internal/normalize/*", "internal/source/*",
		"internal/store/*", "internal/alert", "internal/ingest", "internal/rule", "internal/indicator", "internal/cli"},
	"github.com/zeebo/xxh3": {"internal/event", "internal/store/*", "internal/sighting", "internal/source/*",
		"internal/alert", "internal/indicator", "internal/detect"},
}

// testModules are imported by tests and by packages whose name ends in "test" alone.
var testModules = []string{"github.com/google/go-cmp", "pgregory.net/rapid", "github.com/rogpeppe/go-internal"}

// clocks are the rooms that may ask what time it is; the packages below source may as well.
var clocks = []string{"internal/schedule", "internal/ingest", "internal/source", "internal/source/*", "internal/auth",
	"internal/cli"}

// readsClock are the functions of package time that look at the clock or wait for it.
var readsClock = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "Sleep"}

// impure are the packages that no pure layer imports.
var impure = []string{"os", "os/exec", "os/signal", "net", "net/http", "syscall", "log", "log/slog", "database/sql",
	"io/ioutil"}

// emptyNames say nothing about what a package is for.
var emptyNames = regexp.MustCompile(`(?i)^(utils?|helpers?|commons?|managers?|misc|shared)$`)

const (
	maxLines     = 1000 // of a hand-written file
	maxMainLines = 40   // of cmd/tocsin/main.go
)

var generatedMark = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

func TestRepository(t *testing.T) {
	tree := os.DirFS(".")
	files, problems := load(tree)
	if len(files) < 10 {
		t.Fatalf("the guard read %d Go files: it is not looking at the repository", len(files))
	}
	problems = append(problems, inspect(files)...)
	mod, err := fs.ReadFile(tree, "go.mod")
	if err != nil {
		t.Fatal(err)
	}
	problems = append(problems, checkModule(string(mod))...)
	for _, p := range problems {
		t.Error(p)
	}
}

// source is one Go file as the guard sees it.
type source struct {
	name      string // slash path from the root
	dir       string
	syntax    *ast.File
	position  func(token.Pos) string
	lines     int
	isTest    bool // _test.go
	isOutside bool // package x_test
	isSupport bool // in a package whose name ends in "test", or named as test support
	generated bool
	detached  bool // //go:build ignore: run by go generate, in no package
}

// load parses every Go file of the tree, leaving out testdata, the browser's part and folders that begin with a dot.
func load(tree fs.FS) (files []source, problems []string) {
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "node_modules" || name == "ui") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		syntax, err := parser.ParseFile(set, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			problems = append(problems, err.Error())
			return nil
		}
		dir := path.Dir(name)
		isTest := strings.HasSuffix(name, "_test.go")
		files = append(files, source{
			name: name, dir: dir, syntax: syntax,
			position:  func(p token.Pos) string { return set.Position(p).String() },
			lines:     strings.Count(string(text), "\n"),
			isTest:    isTest,
			isOutside: isTest && strings.HasSuffix(syntax.Name.Name, "_test"),
			isSupport: slices.Contains(testSupport, dir) || strings.HasSuffix(path.Base(dir), "test") && dir != ".",
			generated: generatedMark.Match(text),
			detached:  strings.Contains(strings.SplitN(string(text), "\npackage ", 2)[0], "//go:build ignore"),
		})
		return nil
	})
	if err != nil {
		problems = append(problems, err.Error())
	}
	return files, problems
}

// inspect returns what is wrong with the files, one line each.
func inspect(files []source) []string {
	var out []string
	report := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	documented := map[string]bool{}
	packages := map[string]string{} // folder → package name, of folders with code that is not a test
	for _, f := range files {
		checkFile(f, report)
		if f.detached {
			continue
		}
		checkImports(f, report)
		if f.isTest {
			continue
		}
		packages[f.dir] = f.syntax.Name.Name
		checkPurity(f, report)
		if hasPackageComment(f) {
			documented[f.dir] = true
		}
	}
	for dir, name := range packages {
		if !documented[dir] {
			report("%s: no package comment (it begins with \"Package %s \", for a command \"Command \")", dir, name)
		}
		if (name == "main") != (dir == "cmd/tocsin") {
			report("%s: package %s: cmd/tocsin is the only package main", dir, name)
		}
		if emptyNames.MatchString(name) || emptyNames.MatchString(path.Base(dir)) {
			report("%s: package %s: the name does not say what the package is for", dir, name)
		}
		if _, ok := layerOf(dir); !ok && !slices.Contains(testSupport, dir) {
			report("%s: stands in no layer: add it to the table in repo_test.go and to ARCHITECTURE.md", dir)
		}
	}
	sort.Strings(out)
	return out
}

func hasPackageComment(f source) bool {
	if f.syntax.Doc == nil {
		return false
	}
	text := f.syntax.Doc.Text()
	if f.syntax.Name.Name == "main" {
		return strings.HasPrefix(text, "Command ")
	}
	return strings.HasPrefix(text, "Package "+f.syntax.Name.Name+" ")
}

// checkFile holds what is asked of every file: its length, and no init function.
func checkFile(f source, report func(string, ...any)) {
	if f.lines > maxLines && !f.generated {
		report("%s: %d lines, more than %d", f.name, f.lines, maxLines)
	}
	if f.dir == "cmd/tocsin" && !f.isTest && f.lines > maxMainLines {
		report("%s: %d lines, more than %d: it calls cli.Run and nothing else", f.name, f.lines, maxMainLines)
	}
	for _, d := range f.syntax.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			report("%s: an init function", f.position(fn.Pos()))
		}
	}
}

// checkImports holds the layers and the owners of modules.
func checkImports(f source, report func(string, ...any)) {
	for _, spec := range f.syntax.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		at := f.position(spec.Pos())
		if dir, ours := strings.CutPrefix(target, module+"/"); ours {
			if why := refuseRoom(f, dir); why != "" {
				report("%s: %s imports %s: %s", at, f.dir, dir, why)
			}
			continue
		}
		if first, _, _ := strings.Cut(target, "/"); !strings.Contains(first, ".") {
			continue // the standard library
		}
		if why := refuseModule(f, target); why != "" {
			report("%s: %s imports %s: %s", at, f.dir, target, why)
		}
	}
}

// refuseRoom says why f may not import the package in dir of this module, or nothing.
func refuseRoom(f source, dir string) string {
	if slices.Contains(testSupport, dir) {
		if f.isTest || f.isSupport {
			return ""
		}
		return "it is for tests alone"
	}
	if f.isOutside || f.dir == "." {
		return ""
	}
	to, ok := layerOf(dir)
	if !ok {
		return "it stands in no layer"
	}
	from, ok := layerOf(f.dir)
	switch {
	case !ok:
		return "the importing package stands in no layer"
	case to < from || dir == path.Dir(f.dir):
		return ""
	case to == from:
		return fmt.Sprintf("sideways, both stand in layer %d", to)
	}
	return fmt.Sprintf("upward, from layer %d to %d", from, to)
}

// refuseModule says why f may not import the package target of another module, or nothing.
func refuseModule(f source, target string) string {
	for _, m := range testModules {
		if within(target, m) {
			if f.isTest || f.isSupport {
				return ""
			}
			return "it is for tests alone"
		}
	}
	for m, rooms := range owners {
		if within(target, m) {
			if matches(rooms, f.dir) {
				return ""
			}
			return "it belongs to " + strings.Join(rooms, ", ")
		}
	}
	return "the module has no owner: add it to the table in repo_test.go"
}

// checkPurity holds where a clock may be read, and what the low layers may not do.
func checkPurity(f source, report func(string, ...any)) {
	layer, inLayer := layerOf(f.dir)
	pure := inLayer && layer < pureLayers
	clock := ""
	for _, spec := range f.syntax.Imports {
		target, _ := strconv.Unquote(spec.Path.Value)
		if target == "time" {
			clock = "time"
			if spec.Name != nil {
				clock = spec.Name.Name
			}
		}
		if pure && slices.Contains(impure, target) {
			report("%s: %s imports %q: layers 0 to %d do no I/O", f.position(spec.Pos()), f.dir, target, pureLayers-1)
		}
	}
	mayLook := matches(clocks, f.dir) || f.isSupport
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if pure {
				report("%s: %s starts a goroutine: layers 0 to %d do not", f.position(n.Pos()), f.dir, pureLayers-1)
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if ok && clock != "" && x.Name == clock && slices.Contains(readsClock, n.Sel.Name) && !mayLook {
				report("%s: time.%s in %s: time is an argument there", f.position(n.Pos()), n.Sel.Name, f.dir)
			}
		}
		return true
	})
}

// checkModule holds that go.mod replaces no module.
func checkModule(mod string) []string {
	if regexp.MustCompile(`(?m)^\s*replace\b`).MatchString(mod) {
		return []string{"go.mod: a replace directive"}
	}
	return nil
}

// layerOf finds the layer of the package in dir.
func layerOf(dir string) (int, bool) {
	for n, rooms := range layers {
		if slices.Contains(rooms, dir) {
			return n, true
		}
	}
	for n, rooms := range layers {
		if slices.Contains(rooms, path.Dir(dir)+"/*") {
			return n, true
		}
	}
	return 0, false
}

// matches reports whether rooms names dir, itself or as "parent/*".
func matches(rooms []string, dir string) bool {
	return slices.Contains(rooms, dir) || slices.Contains(rooms, path.Dir(dir)+"/*")
}

// within reports whether the import path lies in the module.
func within(target, mod string) bool { return target == mod || strings.HasPrefix(target, mod+"/") }
