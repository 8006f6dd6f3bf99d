package rule

import (
	"encoding/json"
	"errors"
	"fmt"
)

// kept is a rule as Keep writes it.
type kept struct {
	File string `json:"file"`
	Line int    `json:"line"`
	JSON bool   `json:"json,omitempty"`
	Text string `json:"text"`
}

// Keep returns a document that Kept makes the same rule of, wherever the files are by then that it was read from.
func (r *Rule) Keep() ([]byte, error) {
	k := kept{File: r.File, Line: r.Line, JSON: r.source.json, Text: r.source.text}
	if r.source.json {
		k.Text = r.source.text[r.source.start:r.source.end]
	}
	return json.Marshal(k)
}

// Kept reads what Keep wrote. The error is a diag.List where the text is no rule for this version of Tocsin.
func Kept(document []byte) (*Rule, error) {
	var k kept
	if err := json.Unmarshal(document, &k); err != nil {
		return nil, fmt.Errorf("decode a rule that was kept: %w", err)
	}
	if !k.JSON {
		return Parse(k.File, []byte(k.Text))
	}
	line := readObject(k.File, k.Text, 0, len(k.Text))
	switch {
	case len(line.problems) > 0:
		return nil, line.problems
	case line.Rule == nil:
		return nil, errors.New("decode a rule that was kept: it is none")
	}
	line.Rule.Line = k.Line
	return line.Rule, nil
}
