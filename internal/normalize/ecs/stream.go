package ecs

import (
	"fmt"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// What data_stream.* are where a document names only some of them.
const (
	genericType    = "logs"
	genericDataset = "generic"
	genericSpace   = "default"
)

// stream is where e lands: what index names, else its data_stream fields where they make a name, else what the options say.
// why tells why it can land nowhere.
func (s *ECS) stream(index string, e *event.Event) (name, why string) {
	kind, dataset, space := first(e, "data_stream.type"), first(e, "data_stream.dataset"), first(e, "data_stream.namespace")
	switch {
	case index != "":
		name = streamOf(index)
	case kind+dataset+space != "":
		name = or(kind, genericType) + "-" + or(dataset, genericDataset) + "-" + or(space, genericSpace)
	default:
		return s.opt.Stream, ""
	}
	s.mu.RLock()
	known := s.streams[name]
	s.mu.RUnlock()
	if known {
		return name, ""
	}
	switch why := badStream(name); {
	case why != "" && index == "":
		return s.opt.Stream, ""
	case why != "":
		return "", fmt.Sprintf("stream %.80q: %s", name, why)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.streams) >= MaxStreams && !s.streams[name] {
		return "", fmt.Sprintf("stream %.80q: there are %d others already", name, MaxStreams)
	}
	s.streams[strings.Clone(name)] = true
	return name, ""
}

func first(e *event.Event, path string) string {
	if values := e.Values(path); len(values) > 0 {
		return values[0].Text()
	}
	return ""
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// streamOf is the data stream that an index belongs to: .ds-NAME-2026.03.01-000001, and .ds-NAME-000001 of old, belong to
// NAME, and so do the copies that searchable snapshots mount. Any other index is a stream by itself. The name of a cluster
// before it does not count.
func streamOf(index string) string {
	name := index[strings.LastIndexByte(index, ':')+1:]
	backing := strings.TrimPrefix(strings.TrimPrefix(name, "partial-"), "restored-")
	rest, ok := strings.CutPrefix(backing, ".ds-")
	if !ok {
		return name
	}
	at := strings.LastIndexByte(rest, '-')
	if at <= 0 || len(rest)-at-1 < 6 || !shaped(rest[at+1:], strings.Repeat("0", len(rest)-at-1)) {
		return name
	}
	rest = rest[:at]
	if day := len(rest) - len("-0000.00.00"); day > 0 && shaped(rest[day:], "-0000.00.00") {
		rest = rest[:day]
	}
	return rest
}

// shaped reports whether text has digits where shape has zeros, and is shape elsewhere.
func shaped(text, shape string) bool {
	for i := range len(shape) {
		if c := text[i]; shape[i] == '0' && (c < '0' || c > '9') || shape[i] != '0' && c != shape[i] {
			return false
		}
	}
	return true
}

// badStream says why no stream can be called name; "" where one can. The names are those that Elasticsearch takes, but for
// those that begin with a dot: they are its own, and alerts are ours.
func badStream(name string) string {
	switch {
	case name == "":
		return "the name is empty"
	case len(name) > 255:
		return "the name is longer than 255 bytes"
	case name[0] == '.':
		return "names that begin with a dot belong to the system"
	case strings.IndexByte("-_+", name[0]) >= 0:
		return fmt.Sprintf("the name begins with %q", name[0])
	case strings.ToLower(name) != name:
		return "the name has capital letters"
	}
	for _, c := range name {
		if c <= ' ' || c == 0x7F || c == '\uFFFD' || strings.ContainsRune(`\/*?"<>|,#:`, c) {
			return fmt.Sprintf("the name holds %q", c)
		}
	}
	return ""
}

// parts are what the name of a data stream is made of: type-dataset-namespace.
func parts(stream string) (kind, dataset, space string, ok bool) {
	p := strings.Split(stream, "-")
	if len(p) != 3 || p[1] == "" || p[2] == "" {
		return "", "", "", false
	}
	switch p[0] {
	case "logs", "metrics", "traces", "synthetics", "profiling":
		return p[0], p[1], p[2], true
	}
	return "", "", "", false
}
