package ruletest

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// Found is what paths lead to.
type Found struct {
	Files    []string // with tests, sorted within each path, each once
	Untested []string // rule files (*.toml) without one beside them
	Problems diag.List
}

// Find looks for tests: a path is a file with tests, a rule's file, which stands for the tests beside it, or a folder, of
// which every file is looked at to the bottom.
func Find(paths ...string) Found {
	var out Found
	bad := func(code, name, hint, message string) {
		out.Problems = append(out.Problems, diag.Diagnostic{Code: code, File: name, Message: message, Hint: hint})
	}
	add := func(list *[]string, name string) {
		if !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
	for _, p := range paths {
		info, err := os.Stat(p)
		switch {
		case err != nil:
			bad(codeUnreadable, p, "", "the path cannot be read: "+cause(err))
			continue
		case !info.IsDir() && strings.HasSuffix(p, rule.TestSuffix):
			add(&out.Files, filepath.Clean(p))
			continue
		case !info.IsDir():
			test := testOf(filepath.Clean(p))
			if _, err := os.Stat(test); err != nil {
				bad(codeNoTests, p, "tests of x.toml stand in x"+rule.TestSuffix, "the rule has no tests")
				continue
			}
			add(&out.Files, test)
			continue
		}
		before := len(out.Files) + len(out.Untested)
		err = filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				bad(codeUnreadable, name, "", "the path cannot be read: "+cause(err))
				if d != nil && d.IsDir() {
					return fs.SkipDir
				}
			case d.IsDir() && d.Name() == rule.ExceptionsFolder && name != p:
				return fs.SkipDir
			case d.IsDir():
			case strings.HasSuffix(name, rule.TestSuffix):
				add(&out.Files, name)
			case filepath.Ext(name) == ".toml":
				if _, err := os.Stat(testOf(name)); err != nil {
					add(&out.Untested, name)
				}
			}
			return nil
		})
		if err != nil {
			bad(codeUnreadable, p, "", "the folder cannot be read: "+cause(err))
		} else if len(out.Files)+len(out.Untested) == before && len(out.Problems) == 0 {
			bad(codeNoTests, p, "tests of x.toml stand in x"+rule.TestSuffix, "the folder holds no rule and no tests")
		}
	}
	return out
}

// testOf is the file with the tests of a rule's file.
func testOf(name string) string {
	return strings.TrimSuffix(name, filepath.Ext(name)) + rule.TestSuffix
}

// cause strips the operation and the path from an error of the file system.
func cause(err error) string {
	if p, ok := err.(*fs.PathError); ok {
		return p.Err.Error()
	}
	return err.Error()
}
