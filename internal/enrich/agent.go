package enrich

import (
	"regexp"
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
	expressions func() *expressions
	known       cache[string, []event.Field]
}

// expressions are those that uap-go bundles, each kind with the filter in front of it.
type expressions struct {
	*uaparser.Parser
	names, systems, devices *prefilter
}

// NewAgent returns an Agent. The expressions are compiled when the first user agent is met.
func NewAgent() *Agent { return &Agent{expressions: sync.OnceValue(compile)} }

func compile() *expressions {
	x := &expressions{Parser: uaparser.NewFromSaved()}
	var names, systems, devices []*regexp.Regexp
	for _, p := range x.UA {
		names = append(names, p.Reg)
	}
	for _, p := range x.OS {
		systems = append(systems, p.Reg)
	}
	for _, p := range x.Device {
		devices = append(devices, p.Reg)
	}
	x.names, x.systems, x.devices = newPrefilter(names), newPrefilter(systems), newPrefilter(devices)
	return x
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
	x := a.expressions()
	name, version := other, ""
	for i, may := range x.names.candidates(text) {
		if !may {
			continue
		}
		var ua uaparser.UserAgent
		if x.UA[i].Match(text, &ua); ua.Family != "" {
			fourth := fifthGroup(text, x.UA[i].Reg)
			name, version = ua.Family, dotted(ua.Major, ua.Minor, ua.Patch, fourth)
			break
		}
	}
	set("user_agent.name", name)
	set("user_agent.version", version)

	for i, may := range x.systems.candidates(text) {
		var os uaparser.Os
		if may {
			x.OS[i].Match(text, &os)
		}
		if os.Family == "" {
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
	for i, may := range x.devices.candidates(text) {
		var d uaparser.Device
		if may {
			x.Device[i].Match(text, &d)
		}
		if d.Family != "" {
			device = d.Family
			break
		}
	}
	set("user_agent.device.name", device)
	set("tocsin.agent.class", Class(text))
	return fields
}

// fifthGroup returns what the fifth group of x captures in text, "" when x has none: the fourth part of a version, which
// uap-go leaves out.
func fifthGroup(text string, x *regexp.Regexp) string {
	if x.NumSubexp() < 5 {
		return ""
	}
	return x.FindStringSubmatch(text)[5]
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
