package storetest

import (
	"sort"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// declared are the fields that the tests declare, by name. A field reads what stands at its own name, but for the
// multi-fields.
var declared = map[string]event.Type{
	"@timestamp": event.Date,
	"aws.cloudtrail.flattened.request_parameters": event.Flattened,
	"cloud.account.id":                            event.Keyword,
	"cloud.region":                                event.Keyword,
	"custom.flag":                                 event.Boolean,
	"custom.ratio":                                event.Double,
	"custom.when":                                 event.Date,
	"data_stream.dataset":                         event.ConstantKeyword,
	"event.action":                                event.Keyword,
	"event.category":                              event.Keyword,
	"event.duration":                              event.Long,
	"event.ingested":                              event.Date,
	"event.kind":                                  event.Keyword,
	"event.outcome":                               event.Keyword,
	"event.risk_score":                            event.Double,
	"files":                                       event.Nested,
	"files.name":                                  event.Keyword,
	"files.size":                                  event.Long,
	"message":                                     event.Text,
	"powershell.file.script_block_text":           event.PatternText,
	"process.command_line":                        event.Wildcard,
	"related.ip":                                  event.IPType,
	"source.geo.location":                         event.GeoPoint,
	"source.ip":                                   event.IPType,
	"source.port":                                 event.Long,
	"tags":                                        event.Keyword,
	"user":                                        event.ObjectType,
	"user.id":                                     event.Keyword,
	"user.name":                                   event.Keyword,
	"user_agent.original":                         event.Keyword,
}

// multiFields read what stands at another name.
var multiFields = map[string]expr.Field{
	"process.command_line.caseless": {Path: "process.command_line", Type: event.Caseless},
	"user.name.caseless":            {Path: "user.name", Type: event.Caseless},
	"user.name.text":                {Path: "user.name", Type: event.Text},
	"user_agent.original.text":      {Path: "user_agent.original", Type: event.Text},
}

// DeclaredType tells the types of the fields that the tests declare.
func DeclaredType(path string) (event.Type, bool) {
	t, ok := declared[path]
	return t, ok
}

// tree reports whether the object at path is one flattened value.
func tree(path string) bool { return declared[path] == event.Flattened }

// analysed tells the text type of the leaf at path.
func analysed(path string) (event.Type, bool) {
	t, ok := declared[path]
	return t, ok && t.IsText()
}

// resolver resolves names to the declared fields.
type resolver struct{}

var _ plan.Resolver = resolver{}

// Field implements plan.Resolver.
func (resolver) Field(path string) (expr.Field, bool) {
	if f, ok := multiFields[path]; ok {
		return f, true
	}
	if t, ok := declared[path]; ok {
		return expr.Field{Path: path, Type: t, Root: t == event.Flattened}, true
	}
	if belowTree(path) {
		return expr.Field{Path: path, Type: event.Flattened}, true
	}
	return expr.Field{Path: path}, false
}

// Expand implements plan.Resolver.
func (r resolver) Expand(pattern expr.Pattern) []expr.Field {
	var names []string
	for name := range declared {
		if pattern.Fits(name, false) {
			names = append(names, name)
		}
	}
	for name := range multiFields {
		if pattern.Fits(name, false) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	out := make([]expr.Field, len(names))
	for i, name := range names {
		out[i], _ = r.Field(name)
	}
	return out
}
