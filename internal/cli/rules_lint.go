package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/lint"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

type rulesLintCommand struct {
	Paths []string `arg:"" optional:"" name:"path" help:"Rule files (TOML), exports (NDJSON), or folders of them."`
	List  bool     `help:"Print the checks, and look at no rule."`
	Notes bool     `help:"Print notes, too: what is worth knowing and may well be right."`
	JSON  bool     `name:"json" help:"Print findings as objects, one a line."`
}

// Help is the long help.
func (rulesLintCommand) Help() string {
	return `What each check looks for, why, and a rule before and after: docs/lint.md.

Exit codes: 0 nothing to warn of, 2 the command line is wrong, 3 there are warnings, or a rule is invalid.`
}

// Run looks at the rules and tells what is likely wrong with them.
func (c rulesLintCommand) Run(ctx context.Context, streams Streams) error {
	out := streams.results()
	if c.List {
		listChecks(out)
		return out.close()
	}
	if len(c.Paths) == 0 {
		return errors.New("name rule files or folders, or --list")
	}
	set := rule.Load(c.Paths...)
	var warnings, notes, rules int64
	for _, f := range set.Found {
		if err := ctx.Err(); err != nil {
			return err
		}
		found := f.Problems
		if f.Rule != nil && f.Problems.Err() == nil {
			found = findings(f.Rule)
		}
		told := louder(found, diag.Note)
		notes += int64(len(found) - len(told))
		warnings += int64(len(told))
		if len(told) > 0 {
			rules++
		}
		if c.Notes {
			told = found
		}
		if err := c.tell(out, told); err != nil {
			return err
		}
	}
	if !c.JSON {
		c.summary(out, set, warnings, notes, rules)
	}
	if err := out.close(); err != nil {
		return err
	}
	if warnings > 0 {
		return exit(ExitIncomplete)
	}
	return nil
}

// findings are what is wrong with a rule's queries and, where nothing is, what the checks find.
func findings(r *rule.Rule) diag.List {
	resolver := fieldsOf(profileOf(r), nil)
	wrong := louder(lint.Query(r, resolver), diag.Warning)
	return append(wrong, lint.Run(r, resolver)...)
}

func (c rulesLintCommand) tell(w io.Writer, found diag.List) error {
	if !c.JSON {
		_, err := io.WriteString(w, found.Render())
		return err
	}
	for _, d := range found {
		data, err := json.Marshal(d)
		if err != nil {
			return fmt.Errorf("write a finding: %w", err)
		}
		if _, err := io.WriteString(w, escaped(string(data))+"\n"); err != nil {
			return err
		}
	}
	return nil
}

func (c rulesLintCommand) summary(w io.Writer, set rule.Set, warnings, notes, rules int64) {
	line := fmt.Sprintf("%s in %s of %s", counted(warnings, "warning"), thousands(rules), counted(int64(len(set.Found)), "rule"))
	switch {
	case notes > 0 && c.Notes:
		line += ", " + counted(notes, "note")
	case notes > 0:
		line += fmt.Sprintf(", %s (--notes prints them)", counted(notes, "note"))
	}
	fmt.Fprintln(w, line)
}

func listChecks(w io.Writer) {
	var rows [][]string
	for _, c := range lint.Checks() {
		rows = append(rows, []string{c.Code, c.Name, c.Severity.String(), c.Title})
	}
	writeTable(w, []string{"CHECK", "NAME", "SAYS", "LOOKS FOR"}, rows, false)
	fmt.Fprintln(w, "\nWhy each matters, with a rule before and after: docs/lint.md")
}
