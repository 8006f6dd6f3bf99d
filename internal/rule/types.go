package rule

import (
	"fmt"
	"slices"
	"strings"
)

// neededBy lists the keys that every rule of a type has, besides those that every rule has.
var neededBy = map[string][]string{
	TypeNewTerms:        {"query"},
	TypeSavedQuery:      {"saved_id"},
	TypeEQL:             {"query", "language"},
	TypeESQL:            {"query", "language"},
	TypeThreshold:       {"query", "threshold"},
	TypeThreatMatch:     {"query", "threat_query", "threat_mapping", "threat_index"},
	TypeMachineLearning: {"anomaly_threshold", "machine_learning_job_id"},
}

// languagesOf lists the languages of each type, the default first.
var languagesOf = map[string][]string{
	TypeQuery:       {LanguageKuery, LanguageLucene},
	TypeNewTerms:    {LanguageKuery, LanguageLucene},
	TypeSavedQuery:  {LanguageKuery, LanguageLucene},
	TypeThreshold:   {LanguageKuery, LanguageLucene},
	TypeThreatMatch: {LanguageKuery, LanguageLucene},
	TypeEQL:         {LanguageEQL},
	TypeESQL:        {LanguageESQL},
}

// runs lists the types that this version runs.
var runs = []string{TypeQuery, TypeNewTerms, TypeSavedQuery, TypeThreshold, TypeEQL, TypeThreatMatch}

// The codes of what a sound rule is told of.
const (
	CodeLacks = "RULE0201" // this version of Tocsin cannot do what a key of the rule asks for
	CodeOff   = "RULE0202" // the file switches the rule off
	// CodeAbsent: a data view or a saved query that the rule cannot do without was not read with it.
	CodeAbsent = "RULE0203"
	// CodeOwnQuery: the saved query was not read with the rule, and its own query stands in for it.
	CodeOwnQuery = "RULE0204"
)

// Lack is something that keeps a sound rule from running.
type Lack struct {
	Key  string // the key of the rule that asks for it
	Code string // CodeLacks: this version of Tocsin cannot do it; CodeAbsent
	Why  string
	Hint string
}

// Lacks says what of the rule this version of Tocsin cannot do, or not with what was read; nil when it can do all of it.
// Whether the rule is switched on plays no part.
func (r *Rule) Lacks() []Lack {
	if !slices.Contains(runs, r.Type) {
		return []Lack{{Key: "type", Code: CodeLacks, Why: fmt.Sprintf("rule type %s cannot run yet", r.Type)}}
	}
	var out []Lack
	if r.lacksView() {
		out = append(out, Lack{Key: "data_view_id", Code: CodeAbsent, Why: fmt.Sprintf("no data view that was read has the ID or title %q", short(r.DataViewID)),
			Hint: "export it (saved objects, NDJSON) and put the file beside the rule"})
	}
	if r.lacksQuery() && r.Query == "" {
		out = append(out, Lack{Key: "saved_id", Code: CodeAbsent, Why: fmt.Sprintf("no saved query that was read has the ID %q, and the rule has none of its own", short(r.SavedID)),
			Hint: "export it (saved objects, NDJSON) and put the file beside the rule"})
	}
	return out
}

// Runs reports whether this version can run the rule, be it switched on or not.
func (r *Rule) Runs() bool { return len(r.Lacks()) == 0 }

// cannotRun is CannotRun.
func (r *Rule) cannotRun() string {
	var why []string
	if !r.Enabled {
		why = append(why, "the file switches the rule off (enabled = false)")
	}
	for _, l := range r.Lacks() {
		why = append(why, l.Why)
	}
	return strings.Join(why, "; ")
}
