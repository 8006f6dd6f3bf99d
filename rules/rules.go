// Package rules embeds the detection rules that come with Tocsin, one TOML file each, sorted by the service they watch.
// It hands out files: reading and checking them is the work of package rule.
//
//	files, err := fs.Glob(rules.FS, "aws/*.toml")
package rules

import "embed"

// FS holds the rule files as aws/<name>.toml.
//
//go:embed aws/*.toml
var FS embed.FS

// Indicators holds the rules that look for indicators, as indicators/<name>.toml: they run where somebody names some.
//
//go:embed indicators/*.toml
var Indicators embed.FS
