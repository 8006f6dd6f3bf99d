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
var runs = []string{TypeQuery, TypeNewTerms}

// Lacks says what of the rule this version of Tocsin cannot do, one reason each; nil when it can do all of it. Whether the
// rule is switched on plays no part.
func (r *Rule) Lacks() []string {
	if !slices.Contains(runs, r.Type) {
		return []string{fmt.Sprintf("rule type %s cannot run yet", r.Type)}
	}
	var why []string
	if r.Language != LanguageKuery {
		why = append(why, fmt.Sprintf("language %s cannot run yet", r.Language))
	}
	if r.DataViewID != "" {
		why = append(why, "data_view_id cannot be looked up yet")
	}
	if r.SavedID != "" {
		why = append(why, "saved_id cannot be looked up yet")
	}
	if len(r.Filters) > 0 {
		why = append(why, "filters cannot be applied yet")
	}
	if r.Suppression != nil {
		why = append(why, "alert_suppression cannot be applied yet")
	}
	for _, list := range r.ExceptionsList {
		// Lists of endpoints' own kinds are applied by the agent on the endpoint, never by a rule run.
		if list.Type != "endpoint" && !strings.HasPrefix(list.Type, "endpoint_") {
			why = append(why, fmt.Sprintf("exceptions_list %s cannot be applied yet", list.ListID))
		}
	}
	return why
}

// Runs reports whether this version can run the rule, be it switched on or not.
func (r *Rule) Runs() bool { return len(r.Lacks()) == 0 }

// cannotRun is CannotRun.
func (r *Rule) cannotRun() string {
	why := r.Lacks()
	if !r.Enabled {
		why = append([]string{"the file switches the rule off (enabled = false)"}, why...)
	}
	return strings.Join(why, "; ")
}
