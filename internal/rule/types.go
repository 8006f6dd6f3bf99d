package rule

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// typeKeys lists the keys that not every type has, with the types that do (rule-execution.md §8.2).
var typeKeys = map[string][]string{
	"query":                   {TypeQuery, TypeSavedQuery, TypeEQL, TypeESQL, TypeThreshold, TypeThreatMatch, TypeNewTerms},
	"language":                {TypeQuery, TypeSavedQuery, TypeEQL, TypeESQL, TypeThreshold, TypeThreatMatch, TypeNewTerms},
	"index":                   {TypeQuery, TypeSavedQuery, TypeEQL, TypeThreshold, TypeThreatMatch, TypeNewTerms},
	"data_view_id":            {TypeQuery, TypeSavedQuery, TypeEQL, TypeThreshold, TypeThreatMatch, TypeNewTerms},
	"filters":                 {TypeQuery, TypeSavedQuery, TypeEQL, TypeThreshold, TypeThreatMatch, TypeNewTerms},
	"saved_id":                {TypeQuery, TypeSavedQuery, TypeThreshold, TypeThreatMatch},
	"new_terms":               {TypeNewTerms},
	"event_category_override": {TypeEQL},
	"tiebreaker_field":        {TypeEQL},
	"timestamp_field":         {TypeEQL},
	"threshold":               {TypeThreshold},
	"threat_query":            {TypeThreatMatch},
	"threat_mapping":          {TypeThreatMatch},
	"threat_index":            {TypeThreatMatch},
	"threat_filters":          {TypeThreatMatch},
	"threat_indicator_path":   {TypeThreatMatch},
	"threat_language":         {TypeThreatMatch},
	"concurrent_searches":     {TypeThreatMatch},
	"items_per_search":        {TypeThreatMatch},
	"anomaly_threshold":       {TypeMachineLearning},
	"machine_learning_job_id": {TypeMachineLearning},
}

func sortedTypeKeys() []string { return slices.Sorted(maps.Keys(typeKeys)) }

// neededBy lists the keys that every rule of a type has.
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

// cannotRun says what of the rule this version cannot do, "" when it can do all of it.
func (r *Rule) cannotRun() string {
	if r.Type != TypeQuery && r.Type != TypeNewTerms {
		return fmt.Sprintf("rule type %s cannot run yet", r.Type)
	}
	var why []string
	if !r.Enabled {
		why = append(why, "the file switches the rule off (enabled = false)")
	}
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
	if !r.AlertSuppression.IsNull() {
		why = append(why, "alert_suppression cannot be applied yet")
	}
	for _, list := range r.ExceptionsList {
		// Lists of endpoints' own kinds are applied by the agent on the endpoint, never by a rule run.
		if list.Type != "endpoint" && !strings.HasPrefix(list.Type, "endpoint_") {
			why = append(why, fmt.Sprintf("exceptions_list %s cannot be applied yet", list.ListID))
		}
	}
	return strings.Join(why, "; ")
}
