package lint

import (
	"fmt"
	"strings"
)

// Markdown returns the documentation of all checks, docs/lint.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(`# What lint looks for

` + "`tocsin rules lint PATH…`" + ` reads rules and names what is likely a mistake in them, with file, line and column.
The command ends with 3 if it has a warning, else with 0. Notes are worth knowing and change nothing.
` + "`tocsin rules lint --list`" + ` prints the table below.

<!-- Made from the checks: go test ./internal/lint -run Documentation -update -->

| check | name | looks for |
|---|---|---|
`)
	for _, c := range checks {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", c.Code, strings.ToLower(c.Code+"-"+c.Name), c.Name, c.Title)
	}
	for _, c := range checks {
		fmt.Fprintf(&b, "\n## %s %s\n\n%s.\n\n%s\n\nBefore:\n\n```toml\n%s\n```\n\nAfter:\n\n```toml\n%s\n```\n",
			c.Code, c.Name, strings.ToUpper(c.Title[:1])+c.Title[1:], c.About, c.Before, c.After)
	}
	return b.String()
}
