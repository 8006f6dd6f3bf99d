package ruletest

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"unicode"
)

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	Line    int           `xml:"line,attr,omitempty"`
	Time    string        `xml:"time,attr"`
	Failure *junitProblem `xml:"failure,omitempty"`
	Error   *junitProblem `xml:"error,omitempty"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes what became of files as JUnit XML, which build servers read: a suite for each file, a case for each
// case and layout. A file that something is wrong with has one case, with an error.
func WriteJUnit(w io.Writer, files []File) error {
	all := junitSuites{}
	for _, f := range files {
		s := junitSuite{Name: legal(f.Name)}
		var total float64
		for _, c := range f.Cases {
			j := junitCase{Name: legal(c.Name + " (" + c.Profile + ")"), Class: s.Name, Line: c.Line, Time: seconds(c.Took.Seconds())}
			total += c.Took.Seconds()
			if len(c.Failures) > 0 {
				s.Failures++
				first := c.Failures[0]
				j.Failure = &junitProblem{Message: legal("expected " + first.Expected + "; came " + first.Came), Text: legal(c.Text(f.Name))}
			}
			s.Cases = append(s.Cases, j)
		}
		if f.Bad() {
			s.Errors++
			s.Cases = append(s.Cases, junitCase{Name: s.Name, Class: s.Name, Time: seconds(0),
				Error: &junitProblem{Message: legal(f.Problems.Error()), Text: legal(f.Problems.Render())}})
		}
		s.Tests, s.Time = len(s.Cases), seconds(total)
		all.Tests, all.Failures, all.Errors = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors
		all.Suites = append(all.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }

// legal replaces what cannot stand in XML.
func legal(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// Text says for a person what failed in a case of the file called name; "" where nothing did.
func (c Case) Text(name string) string {
	if len(c.Failures) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "FAIL %s:%d: %s (%s)\n", name, c.Line, c.Name, c.Profile)
	for _, f := range c.Failures {
		fmt.Fprintf(&b, "  line %d expects  %s\n  came            %s\n", f.Line, f.Expected, f.Came)
		for i, n := range f.Nearest {
			title := "nearest"
			if i > 0 {
				title = ""
			}
			fmt.Fprintf(&b, "  %-14s  %s\n", title, n)
		}
	}
	return b.String()
}
