// Package exception holds what rules are told to leave out: exception lists with their items, and the value lists that
// these look fields up in. It reads both of their formats, files of our own beside the rules (exceptions/*.toml) and
// Kibana's exports, and turns the items that a rule meets into one condition.
//
//	lists, problems := exception.Load(rule.Load("rules"))
//	hidden, problems := lists.Hidden(r, resolver)
//	cond = expr.All(cond, expr.Not{Cond: hidden.Always()}, expr.Not{Cond: hidden.At(now)})
//
// What an item means is Elastic's (rule-execution.md §1.8): its entries must all hold, one item that holds hides the event,
// and an item is gone once it has expired. An item that cannot be applied hides nothing, and is told of: an exception that
// is wrong must not keep a rule from alerting.
//
// The package runs nothing: which events a rule reads, its history included, is detect's matter.
package exception

import (
	"time"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// The codes of diagnostics; EXC0001 to EXC0112 say of a file with exceptions what RULE0001 to RULE0112 say of a rule's.
const (
	CodeNoList     = "EXC0201" // a rule or an item names a list that nothing defines
	CodeNoValues   = "EXC0202" // an entry names a value list that nothing defines, or that cannot be used
	CodeBadValues  = "EXC0203" // the values of a list cannot be read, or one is none of the list's type
	CodeExpired    = "EXC0204" // an item has expired
	CodeHidesAll   = "EXC0205" // nothing is left for a rule to see
	CodeUnfit      = "EXC0206" // an entry asks a field for what it cannot hold
	CodeOtherType  = "EXC0207" // a list is of another type than is said where it is named
	CodeTwice      = "EXC0108" // a list or an item is there already
	numberMissing  = "0104"
	numberNotOneOf = "0105"
	numberRange    = "0106"
	numberTwice    = "0108"
	numberBesides  = "0109" // two keys that exclude each other
	numberValues   = "0203"
	numberType     = "0207"
)

// The types of lists.
const (
	TypeDetection   = "detection"    // may be shared by rules
	TypeRuleDefault = "rule_default" // one rule's own
	TypeEndpoint    = "endpoint"     // and endpoint_…: applied on the endpoint, never by a rule
)

// DefaultNamespace is that of lists that do not say theirs: the space's own. The other one is agnostic, of all spaces.
const DefaultNamespace = "single"

// List is an exception list.
type List struct {
	ListID, Name, Description string
	Type                      string // TypeDetection, TypeRuleDefault, TypeEndpoint or an endpoint's own
	Namespace                 string // single or agnostic
	Tags, OSTypes             []string
	// Rules are the rule_ids of rules that the list is applied to, though they do not name it.
	Rules []string
	Items []*Item
	// Object is the list as Kibana exported it; null for one of ours.
	Object event.Value

	at place
}

// Item is one exception: it hides the events for which all of its entries hold.
type Item struct {
	ItemID, Name, Description string
	Tags, Comments            []string
	// OSTypes are linux, macos or windows: the item is about hosts of these alone. None: about everything.
	OSTypes []string
	// Expires is the last instant at which the item counts; zero: it always does.
	Expires time.Time
	Entries []Entry
	// Object is the item as Kibana exported it; null for one of ours.
	Object event.Value

	at place
}

// Kind says how an entry compares.
type Kind uint8

// The kinds of entries.
const (
	Match    Kind = iota // the field is Values[0]; words of an analysed field stand adjacent and in order
	MatchAny             // the field is one of Values
	Wildcard             // the field fits the pattern Values[0], of * and ?, with regard to case
	Exists               // the field has a value
	InList               // the field is in the value list List
	Nested               // one object at Field fulfils all of Entries
)

var kinds = [...]string{"match", "match_any", "wildcard", "exists", "list", "nested"}

// String returns the kind as Kibana calls it.
func (k Kind) String() string { return kinds[k] }

// Entry is one comparison of an item.
type Entry struct {
	Field    string
	Kind     Kind
	Excluded bool // it must not hold; true of an event without the field too. Never of Nested
	Values   []string
	List     Reference // of InList
	Entries  []Entry   // of Nested, whose fields are given without Field before them: Match, MatchAny and Exists

	at place
}

// Reference names a value list.
type Reference struct{ ID, Type string }

// place is where something stands: a diagnostic with File, Text and Span set.
type place diag.Diagnostic

// say returns a diagnostic at p.
func (p place) say(severity diag.Severity, code, hint, message string) diag.Diagnostic {
	d := diag.Diagnostic(p)
	d.Severity, d.Code, d.Hint, d.Message = severity, code, hint, message
	return d
}

// Expired reports whether the item no longer counts in a run at now.
func (i *Item) Expired(now time.Time) bool { return !i.Expires.IsZero() && i.Expires.Before(now) }

// title is what a person calls the item.
func (i *Item) title() string { return "exception " + quoted(i.Name) }

func (l *List) title() string { return "exception list " + quoted(l.ListID) }

// key is what tells lists apart.
func (l *List) key() listKey { return listKey{l.Namespace, l.ListID} }

type listKey struct{ namespace, id string }
