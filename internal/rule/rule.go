// Package rule is the detection rule as its author wrote it: the model, the TOML layout of public rule repositories, and
// everything that can be said of a rule without running it.
//
// A rule is read strictly. An unknown key, a value of the wrong type or out of its range, a window that cannot be, a
// rule_id that comes twice: each is a diagnostic with file, line, column and hint, and one bad file does not stop the
// others. What is right but cannot run in this version is no mistake: such a rule is read like the others, and its
// CannotRun says why.
//
//	set := rule.Load("rules/aws", "extra/one.toml")
//	for _, r := range set.Rules { … }
//	fmt.Print(set.Problems.Render())
//
// The package compiles no query and looks at no clock: that is the work of detect and its callers.
package rule

import (
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// The rule types.
const (
	TypeQuery           = "query"
	TypeNewTerms        = "new_terms"
	TypeSavedQuery      = "saved_query"
	TypeEQL             = "eql"
	TypeESQL            = "esql"
	TypeThreshold       = "threshold"
	TypeThreatMatch     = "threat_match"
	TypeMachineLearning = "machine_learning"
)

// Types returns the rule types, in the order of their constants.
func Types() []string {
	return []string{TypeQuery, TypeNewTerms, TypeSavedQuery, TypeEQL, TypeESQL, TypeThreshold, TypeThreatMatch,
		TypeMachineLearning}
}

// The query languages.
const (
	LanguageKuery  = "kuery"
	LanguageLucene = "lucene"
	LanguageEQL    = "eql"
	LanguageESQL   = "esql"
)

// Severities returns the severities from the lowest to the highest.
func Severities() []string { return []string{"low", "medium", "high", "critical"} }

// Rule is one detection rule. Fields are named after the keys of its file. A Rule is not changed after it was read, and
// is safe to share.
type Rule struct {
	// File is the name of the file that the rule was read from.
	File string

	RuleID      string // the author's own name for the rule, the same in every version of it
	Name        string
	Description string // one line: line breaks of the file are blanks
	Type        string // one of Types
	Severity    string // one of Severities
	RiskScore   int    // 0 to 100
	Version     int    // ≥ 1
	Enabled     bool   // true unless the file says otherwise

	From       string // date math or an instant: where a window begins
	To         string // where it ends
	Interval   string // how often it runs: a positive number and s, m, h or d
	MaxSignals int    // how many alerts one run makes at most, ≥ 1

	Index      []string // the patterns of the streams to read; nil: all event streams
	DataViewID string
	Query      string
	Language   string        // one of the languages, "" for machine learning
	Filters    []event.Value // further conditions, as objects
	SavedID    string

	NewTermsFields     []string // of a new_terms rule
	HistoryWindowStart string   // of a new_terms rule: date math or an instant

	// Extra holds the keys that only rules of other types have, such as threshold, sorted by key.
	Extra []event.Member

	TimestampOverride                 string // the field to cut windows on instead of @timestamp
	TimestampOverrideFallbackDisabled bool

	Tags           []string
	Author         []string
	License        string
	References     []string
	FalsePositives []string // one line each
	Note           string   // the investigation guide, with what [transform] adds to it
	Setup          string
	Threat         []Threat

	SeverityMapping     []SeverityMapping
	RiskScoreMapping    []RiskScoreMapping
	RuleNameOverride    string
	BuildingBlockType   string
	InvestigationFields []string
	AlertSuppression    event.Value // null, or an object

	ExceptionsList  []ExceptionList
	Actions         []event.Value
	ResponseActions []event.Value
	Throttle        string
	Meta            event.Value // null, or an object

	TimelineID, TimelineTitle string
	Namespace                 string
	OutputIndex               string
	RelatedIntegrations       []event.Value
	RequiredFields            []event.Value

	Metadata Metadata

	// CannotRun says why this version of Tocsin does not run the rule; "" when it does.
	CannotRun string

	text    string // of the file
	queryAt int    // where the query's first character stands in text
}

// Metadata is what a file says about itself rather than about what to detect.
type Metadata struct {
	CreationDate string // 2026-11-24, or "" where the file gives none that can be read
	UpdatedDate  string
	Maturity     string // production, development, deprecated …
	Integrations []string
}

// Threat places a rule in a framework of attacks: one tactic with the techniques that serve it.
type Threat struct {
	Framework  string // MITRE ATT&CK
	Tactic     Reference
	Techniques []Technique
}

// Reference names an entry of a framework.
type Reference struct {
	ID   string // TA0007, T1087, T1087.004
	Name string
	URL  string
}

// Technique is a technique with its sub-techniques.
type Technique struct {
	Reference
	Subtechniques []Reference
}

// SeverityMapping raises or lowers the severity of an alert whose source has Value in Field.
type SeverityMapping struct{ Field, Operator, Value, Severity string }

// RiskScoreMapping takes the risk score of an alert from Field of its source.
type RiskScoreMapping struct {
	Field, Operator, Value string
	RiskScore              int
	Scored                 bool // whether the file gives a RiskScore
}

// ExceptionList names a list of exceptions by which events are left out.
type ExceptionList struct{ ID, ListID, Type, NamespaceType string }

// UUID identifies the rule in alerts: the version-5 UUID of its rule_id, the same on every machine.
func (r *Rule) UUID() string { return UUIDv5(ruleNamespace, r.RuleID) }

// TimeField is the field that the rule's windows are cut on (rule-execution.md §1.5).
func (r *Rule) TimeField() plan.TimeField {
	if r.TimestampOverride == "" || r.TimestampOverride == plan.Timestamp {
		return plan.TimeField{Primary: plan.Timestamp}
	}
	f := plan.TimeField{Primary: r.TimestampOverride, Fallback: plan.Timestamp}
	if r.TimestampOverrideFallbackDisabled {
		f.Fallback = ""
	}
	return f
}

// Locate returns diagnostics of the rule's query, whose positions are in the query, as diagnostics of the rule's file.
// Where the file writes the query with escapes the positions stay in the query and the file is only named.
func (r *Rule) Locate(query diag.List) diag.List {
	out := make(diag.List, len(query))
	for i, d := range query {
		if d.Text != "" && strings.HasPrefix(r.Query, d.Text) && r.queryAt > 0 {
			out[i] = d.In(r.File, r.text, r.queryAt)
		} else {
			out[i] = d.In(r.File, r.text, -1)
		}
	}
	return out
}
