// Package rule is the detection rule as its author wrote it: the model, the TOML layout of public rule repositories, the
// NDJSON of Kibana's exports, and everything that can be said of a rule without running it.
//
// A rule is read strictly. An unknown key, a value of the wrong type or out of its range, a window that cannot be, a
// rule_id that comes twice: each is a diagnostic with file, line, column and hint, and one bad file does not stop the
// others. What is right but cannot run in this version is no mistake: such a rule is read like the others, and its
// CannotRun says why.
//
//	set := rule.Load("rules/aws", "extra/one.toml", "kibana-export.ndjson")
//	for _, r := range set.Rules { … }
//	fmt.Print(set.Problems.Render())
//
// There are two layouts, and what is read in one is written in either: TOML, one rule a file (AppendTOML), and NDJSON, one
// rule a line, as Kibana exports them together with exception lists and connectors (AppendJSON, ParseExport). Nothing is
// lost on the way back into the layout that a rule came from.
//
// The package compiles no query and looks at no clock: that is the work of detect and its callers.
package rule

import (
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
	// File is the name of the file that the rule was read from, Line where it begins there: 1 in a file of its own.
	File string
	Line int

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

	// What the rule looks for, and where. Of a rule that Load found the data view or the saved query for, these are as they
	// say; it is written as its own file has it.
	Index      []string // the patterns of the streams to read; nil: all event streams
	DataViewID string
	Query      string
	Language   string        // one of the languages, "" for machine learning
	Filters    []event.Value // further conditions, as objects
	SavedID    string
	Runtime    []string // the fields that the data view computes by scripts, sorted: no event has them

	NewTermsFields     []string // of a new_terms rule, 1 to MaxNewTermsFields
	HistoryWindowStart string   // of a new_terms rule: date math or an instant

	Threshold   *Threshold   // of a threshold rule
	ThreatMatch *ThreatMatch // of a threat_match rule

	EventCategoryOverride string // of an eql rule: the field that holds an event's category, "" for event.category
	TiebreakerField       string // of an eql rule
	TimestampField        string // of an eql rule

	AnomalyThreshold      int      // of a machine_learning rule, ≥ 0
	MachineLearningJobIDs []string // of a machine_learning rule, one at least

	// Extra holds the keys that only rules of other types have, such as threshold, sorted by key. The fields above say the
	// same, typed.
	Extra []event.Member

	TimestampOverride                 string // the field to cut windows on instead of @timestamp
	TimestampOverrideFallbackDisabled bool

	Tags           []string
	Author         []string
	License        string
	References     []string
	FalsePositives []string // one line each
	Note           string   // the investigation guide, with what Transform adds to it
	Setup          string
	Threat         []Threat
	ThreatMappings event.Value // null, or other versions of Threat, which repositories keep for themselves

	SeverityMapping     []SeverityMapping
	RiskScoreMapping    []RiskScoreMapping
	RuleNameOverride    string
	BuildingBlockType   string
	InvestigationFields []string
	Suppression         *Suppression // nil: every match is an alert
	AlertSuppression    event.Value  // Suppression as it is written: null, or an object

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

	Metadata  Metadata
	Transform Transform
	// Stored is what a server added to the rule that an export holds; nil for a rule from a file of its own.
	Stored *Stored

	// CannotRun says why a run over rules leaves this one out: what this version of Tocsin lacks, or that the file switches
	// the rule off. "" when it runs.
	CannotRun string

	source source
	found  *found // nil: it refers to nothing, or Load did not look
}

// Metadata is what a file says about itself rather than about what to detect.
type Metadata struct {
	CreationDate string // 2026-11-24, or "" where the file gives none that can be read
	UpdatedDate  string
	Maturity     string // production, development, deprecated …
	Integrations []string
	Others       []event.Member // the keys besides these, sorted
}

// Transform is what a file's [transform] adds to its guide: entries of two plug-ins, as objects.
type Transform struct{ Investigate, Osquery []event.Value }

// Stored is what only a server says of a rule.
type Stored struct {
	ID                   string // by which the server knows it
	Immutable            bool
	Source               event.Value // rule_source: null, or an object
	Revision             int
	CreatedAt, UpdatedAt string
	CreatedBy, UpdatedBy string
	ExecutionSummary     event.Value // null, or an object
	Outcome              string
	AliasTargetID        string
	AliasPurpose         string
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

// Threshold is what a threshold rule counts.
type Threshold struct {
	Fields      []string // the groups; none: everything is one group
	Value       int      // the least count that alerts, ≥ 1
	Cardinality []Cardinality
}

// Cardinality asks a group for at least Value different values of Field.
type Cardinality struct {
	Field string
	Value int // ≥ 0
}

// ThreatMatch is what a threat_match rule compares events with.
type ThreatMatch struct {
	Index              []string // the patterns of the indicators' streams
	Query              string
	Language           string // "": that of the rule's query
	Filters            []event.Value
	Mapping            []ThreatMapping // one at least; one that fits is enough
	IndicatorPath      string          // where in an indicator its description stands
	ConcurrentSearches int             // 0: not said
	ItemsPerSearch     int             // 0: not said
}

// ThreatMapping is a group of comparisons that one indicator must all fulfil.
type ThreatMapping struct{ Entries []ThreatEntry }

// ThreatEntry says that the event's Field equals the indicator's Value, itself a field; Negate: that it does not.
type ThreatEntry struct {
	Field, Value string
	Negate       bool
}

// Suppression says which alerts are folded into one.
type Suppression struct {
	GroupBy []string // 1 to MaxGroupBy fields; none for threshold rules, which have their own groups
	// Value and Unit (s, m or h) are how long alerts are folded after the first; Value 0: within one run alone.
	Value int
	Unit  string
	// MissingFields is suppress or doNotSuppress, "" where the rule does not say (suppress).
	MissingFields string
}

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
