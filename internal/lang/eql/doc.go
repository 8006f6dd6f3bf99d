// Package eql is the event query language: text to tree (Parse), tree to text (String), advice on a query (Check), and
// what it means (Lower): conditions and the order of events, as values. It runs nothing: conditions are evaluated by
// package expr or by a store, sequences by package exec.
//
//	q, err := eql.Parse(`process where process.name : "cmd.exe" and not user.name in ("ci", "root")`)
//	program, err := eql.Lower(q, eql.Options{Resolver: fields})
//
// # The language
//
//	query     = ( events | sequence | sample | join ) { "|" ( "head" | "tail" ) integer }
//	events    = ( "any" | category ) "where" condition
//	sequence  = "sequence" [ by ] [ "with" "maxspan" "=" span ] term { term } [ "until" term ]
//	sample    = "sample" [ by ] term term { term }
//	join      = "join" [ by ] term term { term } [ "until" term ]           read, but nothing runs it
//	by        = "by" field { "," field }
//	term      = ( "[" | "![" ) events "]" [ by ] [ "with" "runs" "=" integer ]
//	span      = integer ( "ms" | "s" | "m" | "h" | "d" )
//	condition = and-conditions joined by "or", these of conditions joined by "and", these with "not" before them
//	            value [ ( "==" | "!=" | "<" | "<=" | ">" | ">=" | ":" ) value ]
//	            value [ "not" ] ( "in" | "in~" ) "(" values ")"
//	            value ( ":" | "like" | "like~" | "regex" | "regex~" ) ( constant | "(" constants ")" )
//	value     = sums and products of: field, constant, name[~] "(" values ")", "(" condition ")", "-" value
//	field     = [ "?" ] name { "." name }
//	constant  = "null" | "true" | "false" | number | text
//
// Words of the language are in lower case; names of functions may be written in any. A name is a letter, _ or @, then
// letters, digits, _ and @; anything stands between backquotes, a backquote doubled. A text is "…", in which \b \t \n \f
// \r \" \' \\ and \u{2 to 8 hexadecimal digits} are special and no other backslash may stand, or """…""", in which nothing
// is. // begins a comment to the end of the line, /* ends with */. Comparisons cannot be chained, and "not" binds less
// than they do.
//
// # What a condition means
//
// A leaf, one comparison or one call, is true or false for an event: where it cannot be known because something is
// missing, it is false, and "not" of it is true. A comparison inside another (null == (x > 1)) and a constant (not null)
// are null where something is missing. A field with several values fulfils a leaf if one of them does, each leaf by
// itself; where a leaf reads several fields, it reads the least value of each. A leaf that compares a field with "!="
// or "not in" is the opposite of "==" and "in": true where the field is missing.
//
// A field that nothing declares is an error unless it is written ?field: then it is missing everywhere.
package eql
