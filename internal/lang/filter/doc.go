// Package filter is the filters of a rule, written as Kibana keeps them: objects around a query of the search DSL. It
// reads them into one tree (Parse), writes the tree as a query (String), gives advice (Check) and the condition that they
// mean together (Lower). It runs nothing, and knows no file format: it is handed values.
//
//	n, err := filter.Parse(r.Filters, filter.Options{Name: "filters"})
//	cond, err := filter.Lower(n, fields, now)
//
// # The objects
//
// All filters must hold. One is {"meta": {…}, "query": {…}, "$state": {…}}, where only meta.disabled (it is left out) and
// meta.negate (it must not hold) count beside the query; an old one has the query's own key in place of "query". One
// without any query is read from meta.type, phrase, phrases, range or exists, with meta.key, meta.value and meta.params;
// of the type combined, meta.params are filters, joined by meta.relation, AND or OR.
//
// # The queries
//
//	match_all match_none                           every event, no event
//	bool                                           must, filter, should, must_not, minimum_should_match
//	constant_score dis_max                         their filter, one of their queries
//	term terms                                     a value as it stands, without analysis
//	match match_phrase multi_match                 a value, analysed as its field is
//	wildcard prefix                                a pattern: * any characters, ? one, \ makes the next an ordinary one
//	range                                          gt, gte, lt, lte (or from, to, include_lower, include_upper)
//	exists                                         a value, whatever it is
//	query_string                                   a query in Lucene's language, as package lucene reads it
//	nested                                         one object of a list fulfils it all
//
// What only changes scores, highlights or execution (boost, _name, rewrite, score_mode, inner_hits …) is passed over.
// Everything else is refused with a diagnostic that names its path, filters[2].query.bool.must[0].script: a filter is
// never applied in part. Scripts, ids, regular expressions and fuzziness are not applied, of query_string no fields and no
// default operator but OR.
//
// How a value is read depends on its field's type, as in package kql: a value that is none of its type is an error, an
// event without the field fulfils nothing, of several values one must. Letters folded by case_insensitive are all letters
// of Unicode, not those of ASCII alone.
package filter
