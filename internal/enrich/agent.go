package enrich

import (
	"strings"
	"sync"

	"github.com/ua-parser/uap-go/uaparser"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// maxAgent is how much of a user agent is read, in bytes. CloudTrail cuts the text at 1 KB itself; whatever lies behind
// is in user_agent.original alone.
const maxAgent = 1024

// Agent knows what program a user agent stands for: its name, version, system and device by the expressions of the
// ua-parser project, and its class by a table of our own (see Class).
type Agent struct {
	expressions func() *uaparser.Parser
	known       cache[string, []event.Field]
}

// NewAgent returns an Agent. The expressions are compiled when the first user agent is met.
func NewAgent() *Agent {
	return &Agent{expressions: sync.OnceValue(uaparser.NewFromSaved)}
}

// Enrich adds user_agent.name, .version, .device.name, .os.* and tocsin.agent.class to an event with a
// user_agent.original. It is safe for concurrent use.
func (a *Agent) Enrich(e *event.Event) {
	text := e.Text("user_agent.original")
	if text == "" {
		return
	}
	text = text[:min(len(text), maxAgent)]
	fields, known := a.known.get(text)
	if !known {
		fields = a.read(text)
		// The copy keeps a record's memory from living on in the cache.
		a.known.put(strings.Clone(text), fields)
	}
	for _, f := range fields {
		e.Set(f.Path, f.Value)
	}
}

// other is what ua-parser calls what it does not know.
const other = "Other"

// read returns what is known about the user agent text.
func (a *Agent) read(text string) []event.Field {
	var fields []event.Field
	set := func(path, s string) {
		if s != "" {
			fields = append(fields, event.Field{Path: path, Value: event.String(s)})
		}
	}
	expressions := a.expressions()
	name, version := other, ""
	for _, p := range expressions.UA {
		groups := p.Reg.FindStringSubmatchIndex(text)
		if groups == nil {
			continue
		}
		var ua uaparser.UserAgent
		p.Match(text, &ua)
		if ua.Family == "" {
			continue
		}
		name, version = ua.Family, dotted(ua.Major, ua.Minor, ua.Patch, fourth(text, groups))
		break
	}
	set("user_agent.name", name)
	set("user_agent.version", version)

	for _, p := range expressions.OS {
		var os uaparser.Os
		if p.Match(text, &os); os.Family == "" {
			continue
		}
		set("user_agent.os.name", os.Family)
		if v := dotted(os.Major, os.Minor, os.Patch, os.PatchMinor); v != "" {
			set("user_agent.os.version", v)
			set("user_agent.os.full", os.Family+" "+v)
		}
		break
	}

	device := other
	for _, p := range expressions.Device {
		var d uaparser.Device
		if p.Match(text, &d); d.Family != "" {
			device = d.Family
			break
		}
	}
	set("user_agent.device.name", device)
	set("tocsin.agent.class", Class(text))
	return fields
}

// fourth returns the fourth part of a version, which expressions capture in their fifth group and uap-go leaves out.
func fourth(text string, groups []int) string {
	const group = 5
	if len(groups) <= 2*group || groups[2*group] < 0 {
		return ""
	}
	return text[groups[2*group]:groups[2*group+1]]
}

// dotted joins the parts of a version up to the first that is missing.
func dotted(parts ...string) string {
	var b strings.Builder
	for i, p := range parts {
		if p == "" {
			break
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(p)
	}
	return b.String()
}
