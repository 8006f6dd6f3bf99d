package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/ruletest"
	"github.com/tocsin-sec/tocsin/internal/store"
)

type testCommand struct {
	Paths []string `arg:"" name:"path" help:"Files of tests (x.test.toml), rules that have some, or folders of them."`
	Cover bool     `help:"Fail, too, where a clause of a query was never true, never false, or never decided alone."`
	JSON  bool     `name:"json" help:"Print one object a file, one a line."`
	JUnit string   `name:"junit" placeholder:"FILE" help:"Write the results to this file as JUnit XML."`
}

// Help is the long help.
func (testCommand) Help() string {
	return `The tests of the rule x.toml stand in x.test.toml beside it: events, and which alerts they must make, or why none. How to write them: docs/rule-tests.md.

Examples:

    tocsin test my-rules/
    tocsin test --cover --junit tests.xml my-rules/

Exit codes: 0 all passed, 1 a test failed, 2 the command line is wrong, 3 a file of tests, or its rule, is bad.`
}

// Run runs the tests and tells how they went.
func (c testCommand) Run(ctx context.Context, streams Streams) error {
	found := ruletest.Find(c.Paths...)
	var files []ruletest.File
	for _, d := range found.Problems {
		files = append(files, ruletest.File{Name: d.File, Problems: diag.List{d}, Cases: []ruletest.Case{}, Clauses: []ruletest.Clause{}})
	}
	for _, name := range found.Files {
		file, err := ruletest.Run(ctx, name, ruletest.Options{Clock: streams.Now, Fields: func(p ecs.Profile, s []store.Stream) plan.Resolver {
			return fieldsOf(p, s)
		}})
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	if c.JUnit != "" {
		if err := writeJUnit(c.JUnit, files); err != nil {
			return err
		}
	}
	out := streams.results()
	if c.JSON {
		for _, f := range files {
			if err := writeTests(out, f); err != nil {
				return err
			}
		}
	} else {
		testTable(out, files, len(found.Untested))
	}
	if err := out.close(); err != nil {
		return err
	}
	return exit(c.code(files))
}

// code is what the command ends with.
func (c testCommand) code(files []ruletest.File) int {
	code := ExitNothing
	for _, f := range files {
		switch {
		case f.Bad():
			return ExitIncomplete
		case f.Failed() > 0, c.Cover && f.Covered() < len(f.Clauses):
			code = ExitAlerts
		}
	}
	return code
}

func writeJUnit(name string, files []ruletest.File) (err error) {
	w, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write the JUnit file: %w", err)
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	return ruletest.WriteJUnit(w, files)
}

// writeTests prints what became of a file as an object on one line.
func writeTests(w io.Writer, f ruletest.File) error {
	object := struct {
		ruletest.File
		RuleID string `json:"rule_id"`
		Status string `json:"status"` // passed, failed, bad
	}{File: f, Status: "passed"}
	if f.Rule != nil {
		object.RuleID = f.Rule.RuleID
	}
	switch {
	case f.Bad():
		object.Status = "bad"
	case f.Failed() > 0:
		object.Status = "failed"
	}
	data, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("write the tests of %s: %w", f.Name, err)
	}
	_, err = io.WriteString(w, escaped(string(data))+"\n")
	return err
}

// testTable prints what failed, what was never tried, and a line a file.
func testTable(w io.Writer, files []ruletest.File, untested int) {
	var rows [][]string
	var cases, failed, bad, clauses, covered int64
	for _, f := range files {
		if f.Bad() {
			bad++
			fmt.Fprint(w, f.Problems.Render())
			continue
		}
		for _, c := range f.Cases {
			if text := c.Text(f.Name); text != "" {
				fmt.Fprintln(w, lines(text))
			}
		}
		for _, c := range f.Clauses {
			if lacks := c.Lacks(); lacks != "" {
				fmt.Fprintf(w, "%s:%d:%d: %s: %s\n", printable(f.Rule.File), c.Line, c.Column, lacks, printable(c.Text))
			}
		}
		cases, failed = cases+int64(len(f.Cases)), failed+int64(f.Failed())
		clauses, covered = clauses+int64(len(f.Clauses)), covered+int64(f.Covered())
		rows = append(rows, []string{printable(f.Name), thousands(int64(len(f.Cases))), thousands(int64(f.Failed())),
			fmt.Sprintf("%d of %d", f.Covered(), len(f.Clauses))})
	}
	if len(rows) > 0 {
		writeTable(w, []string{"FILE", "TESTS", "FAILED", "CLAUSES COVERED"}, rows, false)
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%s in %s, %d failed; %d of %s covered", counted(cases, "test"), counted(int64(len(files))-bad, "file"), failed,
		covered, counted(clauses, "clause"))
	if bad > 0 {
		fmt.Fprintf(w, "; %s could not be run", counted(bad, "file"))
	}
	if untested > 0 {
		fmt.Fprintf(w, "; %s without a %s", counted(int64(untested), "rule"), rule.TestSuffix)
	}
	fmt.Fprintln(w)
}

// lines makes a text of several lines printable.
func lines(text string) string { return printableLines(strings.Split(text, "\n")) }
