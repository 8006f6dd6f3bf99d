package expr

import (
	"maps"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// Function is one entry of the catalogue.
type Function struct {
	// MinArgs and MaxArgs bound the number of arguments; MaxArgs < 0: any number.
	MinArgs, MaxArgs int
	// Doc says in a sentence what the function gives.
	Doc   string
	apply func(args []event.Value) event.Value
}

// Functions is the catalogue: every function that Call can name. It is read-only. Arguments of other kinds than a
// function's Doc says give null, and so do nulls where it says nothing of them.
var Functions = catalogue(map[string]Function{
	"coalesce": {1, -1, "the first argument that is not null", func(args []event.Value) event.Value {
		for _, a := range args {
			if !a.IsNull() {
				return a
			}
		}
		return event.Null()
	}},
	"day": {1, 1, "the instant at which the UTC day of an instant begins", func(args []event.Value) event.Value {
		if args[0].Kind() != event.KindTime {
			return event.Null()
		}
		return event.Time(args[0].Time().Truncate(24 * time.Hour))
	}},
	"length": {1, 1, "the number of characters of a text", func(args []event.Value) event.Value {
		if args[0].Kind() != event.KindString {
			return event.Null()
		}
		return event.Int(int64(utf8.RuneCountInString(args[0].Str())))
	}},
	"to_lower": {1, 1, "a text in lower case", onText(strings.ToLower)},
	"to_upper": {1, 1, "a text in upper case", onText(strings.ToUpper)},
}, textFunctions, numberFunctions)

func catalogue(parts ...map[string]Function) map[string]Function {
	all := map[string]Function{}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}

func onText(f func(string) string) func([]event.Value) event.Value {
	return func(args []event.Value) event.Value {
		if args[0].Kind() != event.KindString {
			return event.Null()
		}
		return event.String(f(args[0].Str()))
	}
}
