// Package lucene is the query language of Lucene as Elasticsearch's query_string reads it when Kibana sends it: text to
// tree (Parse), tree to text (String), advice on a query (Check), and the condition that it means (Lower). It runs
// nothing: a condition is evaluated by package expr or by a store.
//
//	n, err := lucene.Parse(`event.action:GetCallerIdentity AND NOT user.name:ci*`)
//	cond, err := lucene.Lower(n, lucene.Options{Resolver: fields, Now: now})
//
// # The language
//
//	query   = { [ "AND" | "OR" ] [ "+" | "-" | "NOT" ] clause }       one at least; the first has no AND and no OR
//	clause  = [ field ":" ] ( value | "(" query ")" ) [ "^" number ]
//	value   = word | word { word } | quoted | pattern | "/" regular expression "/" | range
//	range   = ( "[" | "{" ) bound "TO" bound ( "]" | "}" ) | ">" bound | ">=" bound | "<" bound | "<=" bound
//
// AND, OR and NOT are written in capitals, or && || !. Lower-case and, or, not are ordinary words. A word ends at a blank
// or one of ( ) : ^ [ ] " { } ~ / ! and holds these, and \ * ?, behind a backslash; + and - are signs only where a word
// begins. * stands for any characters, ? for one. Within quotes \ makes the next character an ordinary one, and stars are
// stars. Words side by side, with no sign between them, are one value: k:(a b) is the value "a b" of a keyword, and asks an
// analysed text for either word.
//
// # What joins clauses
//
// There is no precedence. A clause is required, optional or prohibited: + and - say so, NOT is -, and AND makes the
// clauses on both its sides required unless they are prohibited. OR, or nothing, leaves them optional. Where a clause is
// required, optional ones change nothing; else one of the optional ones must hold. a OR b AND c is therefore b AND c, and
// a OR NOT b is a AND NOT b. String writes what a query means with these signs, and Check warns of clauses that change
// nothing.
//
// # What a clause means
//
// A field with several values fulfils a clause if one of them does; a prohibited clause is the plain opposite. How a value
// is read depends on the field's type, as in package kql. A field's name with an escaped star (o.\*:x) stands for the
// fields that fit; a value without a field, or of the field *, is looked for everywhere. _exists_:f, and f:*, ask whether
// there is a value.
//
// What is not applied is refused: fuzzy words and loose phrases (~), regular expressions on analysed text or without a
// field, and values that are none of their field's type, which the server passes over in silence. Boosts (^2) order hits
// and find none: they are read and left out.
package lucene
