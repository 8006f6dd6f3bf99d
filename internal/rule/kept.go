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
	// Objects are the saved query and the data view that the rule refers to, each in JSON.
	Objects []keptObject `json:"objects,omitempty"`
}

type keptObject struct {
	File string `json:"file"`
	Text string `json:"text"`
}

// Keep returns a document that Kept makes the same rule of, wherever the files are by then that it was read from.
func (r *Rule) Keep() ([]byte, error) {
	k := kept{File: r.File, Line: r.Line, JSON: r.source.json, Text: r.source.text}
	if r.source.json {
		k.Text = r.source.text[r.source.start:r.source.end]
	}
	for _, l := range r.found.lines() {
		k.Objects = append(k.Objects, keptObject{l.file, l.text[l.start:l.end]})
	}
	return json.Marshal(k)
}

// Kept reads what Keep wrote. The error is a diag.List where the text is no rule for this version of Tocsin.
func Kept(document []byte) (*Rule, error) {
	var k kept
	if err := json.Unmarshal(document, &k); err != nil {
		return nil, fmt.Errorf("decode a rule that was kept: %w", err)
	}
	var r *Rule
	if k.JSON {
		line := readObject(k.File, k.Text, 0, len(k.Text))
		if len(line.problems) > 0 {
			return nil, line.problems
		}
		if r = line.Rule; r == nil {
			return nil, errors.New("decode a rule that was kept: it is none")
		}
		r.Line = k.Line
	} else {
		var err error
		if r, err = Parse(k.File, []byte(k.Text)); err != nil {
			return nil, err
		}
	}
	var lines []Line
	for _, o := range k.Objects {
		line := readObject(o.File, o.Text, 0, len(o.Text))
		if len(line.problems) > 0 {
			return nil, line.problems
		}
		lines = append(lines, line.Line)
	}
	r.resolve(collect(lines))
	return r, nil
}
