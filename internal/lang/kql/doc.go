// Package kql is the Kibana query language: text to tree (Parse), tree to text (String), advice on a query (Check), and
// the condition that it means (Lower). It runs nothing: a condition is evaluated by package expr or by a store.
//
//	n, err := kql.Parse(`event.action : GetCallerIdentity and not user.name : ci*`)
//	cond, err := kql.Lower(n, kql.Options{Resolver: fields, Now: now})
//
// # The language
//
// A query is a condition, or nothing, which every event fulfils.
//
//	query     = [ any ]
//	any       = all { "or" all }
//	all       = one { "and" one }
//	one       = [ "not" ] ( "(" any ")" | condition )
//	condition = path ":" "{" any "}"                     one object of a list fulfils it all
//	          | field ":" values                         one of the field's values equals
//	          | field ( "<" | "<=" | ">" | ">=" ) text   one of the field's values lies there
//	          | text                                     a value anywhere in the event
//	values    = text | "(" values joined by "or", "and", "not" as above ")"
//	path, field, text = quoted | bare
//
// Blanks are allowed between all parts; "and" and "or" need one on both sides, "not" one after it. The words may be
// written in capitals. Two "not" in a row are an error, "not (not a)" is none.
//
// A bare text runs over blanks up to a word that joins conditions or one of \ ( ) : < > " * { }, and loses the blanks at
// its ends: source.user : John Doe is one value. A star in it stands for any run of characters; a field alone with a
// star, user.name : *, asks whether there is a value. With a backslash before them those signs, and the words and, or,
// are ordinary text; \t, \r, \n and \uXXXX are what they are elsewhere (so \not is a line feed and "ot"); a backslash
// before anything else is an error. "not" followed by a blank ends a bare text even inside a word, as in "cannot open".
// Bare true, false and null are not texts.
//
// In a quoted text only \" \\ \t \r \n and \uXXXX are special, every other backslash is itself, and a star is a star.
//
// Everything else is ordinary text: = == != && || ' , ? # / [ ] have no meaning of their own. Check warns of them where
// they look like a habit from another language.
//
// # What a condition means
//
// A field with several values fulfils a condition if one of them does; an event without the field does not, and "not"
// is the plain opposite. How a value is read depends on the field's type, which Lower asks its Resolver for: exact texts
// in keywords, words in analysed text, numbers, addresses and ranges of them, instants with rounding and date math.
package kql
