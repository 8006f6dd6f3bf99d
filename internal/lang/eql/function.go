package eql

import (
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
)

// Function is a function of the language.
type Function struct {
	Name string // as the language's documentation writes it; queries may use any case
	Args string // the arguments, those that may be left out in brackets
	Doc  string // a sentence: what it gives
	Fold bool   // whether it has a form without regard to case, name~

	fn    string  // in expr's catalogue; with _fold after it for the form without regard to case
	gives class   // of its value
	takes []class // of its arguments, the last again for all further ones where many is true
	least int     // arguments at least
	many  bool
}

// Functions are all functions, sorted by name. Any null argument gives null where Doc says nothing of it.
func Functions() []Function { return slices.Clone(functions) }

var functions = []Function{
	{Name: "add", Args: "a, b", Doc: "the sum; a + b", fn: "add", gives: numbers, takes: []class{numbers, numbers}, least: 2},
	{Name: "between", Args: "text, left, right [, greedy]", Doc: "the text between the first left and the next right, or the " +
		"last one if greedy is true; null where they do not occur", Fold: true, fn: "between", gives: texts,
		takes: []class{texts, texts, texts, booleans}, least: 3},
	{Name: "cidrMatch", Args: "address, network, …", Doc: "whether the address lies in one of the networks", fn: "cidr_match",
		gives: booleans, takes: []class{addresses, texts}, least: 2, many: true},
	{Name: "concat", Args: "value, …", Doc: "the texts of all values, one after the other", fn: "concat", gives: texts,
		takes: []class{anything}, least: 1, many: true},
	{Name: "divide", Args: "a, b", Doc: "the quotient, without the fraction if both are whole; a / b", fn: "divide", gives: numbers,
		takes: []class{numbers, numbers}, least: 2},
	{Name: "endsWith", Args: "text, end", Doc: "whether the text ends so", Fold: true, fn: "ends_with", gives: booleans,
		takes: []class{texts, texts}, least: 2},
	{Name: "indexOf", Args: "text, part [, start]", Doc: "the position, from 0, of the first such part from start on; null where " +
		"there is none", Fold: true, fn: "index_of", gives: numbers, takes: []class{texts, texts, wholes}, least: 2},
	{Name: "length", Args: "text", Doc: "the number of UTF-16 units", fn: "utf16_length", gives: numbers, takes: []class{texts}, least: 1},
	{Name: "modulo", Args: "a, b", Doc: "what the division leaves, with the sign of a; a % b", fn: "modulo", gives: numbers,
		takes: []class{numbers, numbers}, least: 2},
	{Name: "multiply", Args: "a, b", Doc: "the product; a * b", fn: "multiply", gives: numbers, takes: []class{numbers, numbers}, least: 2},
	{Name: "number", Args: "text [, base]", Doc: "the number that the text says, in base 16 after 0x, else 10; null of other texts",
		fn: "to_number", gives: numbers, takes: []class{texts, wholes}, least: 1},
	{Name: "startsWith", Args: "text, begin", Doc: "whether the text begins so", Fold: true, fn: "starts_with", gives: booleans,
		takes: []class{texts, texts}, least: 2},
	{Name: "string", Args: "value", Doc: "the text of the value", fn: "to_text", gives: texts, takes: []class{anything}, least: 1},
	{Name: "stringContains", Args: "text, part", Doc: "whether the text holds the part, neither of them empty", Fold: true,
		fn: "contains", gives: booleans, takes: []class{texts, texts}, least: 2},
	{Name: "substring", Args: "text, start [, end]", Doc: "the text from start to before end; what is less than 0 counts from the " +
		"text's end, null is its beginning or end", fn: "substring", gives: texts, takes: []class{texts, wholes, wholes}, least: 2},
	{Name: "subtract", Args: "a, b", Doc: "the difference; a - b", fn: "subtract", gives: numbers, takes: []class{numbers, numbers}, least: 2},
}

// functionNamed finds a function by its name in any case.
func functionNamed(name string) (Function, bool) {
	for _, f := range functions {
		if strings.EqualFold(f.Name, name) {
			return f, true
		}
	}
	return Function{}, false
}

// gone are functions of older dialects and other languages, and what to write instead.
var gone = map[string]string{
	"wildcard":      `write field : ("a*", "b*")`,
	"match":         `write field regex """expression"""`,
	"matchlite":     `write field regex """expression"""`,
	"arraycontains": `write field : "value": a field with several values fulfils a condition if one of them does`,
	"arraysearch":   "write the condition on the field itself: one value that fulfils it is enough",
	"arraycount":    "the number of values of a field cannot be asked for",
	"safe":          "leave it out: what cannot be computed is null",
	"contains":      "write stringContains(field, \"part\"), or field : \"*part*\"",
	"lower":         `compare without regard to case: field : "value"`,
	"tolower":       `compare without regard to case: field : "value"`,
}

// functionHint says what may be meant by a function that does not exist.
func functionHint(name string) string {
	if hint, ok := gone[strings.ToLower(name)]; ok {
		return hint
	}
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = f.Name
	}
	if near, ok := diag.Nearest(name, names); ok {
		return "did you mean " + near + "?"
	}
	return "the functions are " + strings.Join(names, ", ")
}
