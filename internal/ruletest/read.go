package ruletest

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/datemath"
	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// The codes of the diagnostics, besides TEST0001 to TEST0108, which say of a file with tests what RULE0001 to RULE0108 say
// of a rule's.
const (
	codeUnreadable = "TEST0001"
	codeNoTests    = "TEST0003" // a folder, or a rule, has no tests
	codeCannotRun  = "TEST0201" // the rule is of a kind that does not run

	numberOutOfRange = "0106"
	numberBadTime    = "0107"
	numberTwice      = "0108"
	numberNoBase     = "0203" // no base is called so, or it rests on itself
	numberBadEvent   = "0204" // the text is no event
	numberOrder      = "0205" // the history does not come first
)

// Limits of a file.
const (
	maxCases  = 10_000
	maxEvents = 100_000 // of one case
	maxCount  = 100_000 // alerts expected
)

// defaultNow is now where a file does not say: a day like any other.
var defaultNow = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

// suite is a file of tests.
type suite struct {
	file, rule string
	profiles   []string
	bases      map[string]source
	cases      []spec
	beside     *rule.Beside
}

// spec is one case as it is written.
type spec struct {
	name            string
	line            int
	at              *rule.Table
	now             time.Time
	runAt           *time.Time // run once, at this time, and not at every slot
	history, events []eventSpec
	exceptions      []*exception.Item // besides those of the rule's lists
	expected        []expectation
	because         string // why no alert is expected
}

// kind says what an event is written as.
type kind uint8

const (
	asFields     kind = iota // nothing but fields
	asCloudTrail             // a record as CloudTrail writes it
	asECS                    // an ECS document
)

// source is what an event is made from.
type source struct {
	kind   kind
	doc    event.Value    // the record or the document, changed as the file says
	fields []event.Member // fields of the event, put last
	stream string
}

// eventSpec is an event as it is written, or a file of them.
type eventSpec struct {
	source
	at       *rule.Table
	id       string
	when     *time.Time // in place of what the document says
	ingested *time.Time
	file     string // "" for one event
}

// expectation is an alert, or several alike, that must be there.
type expectation struct {
	line   int
	event  string // the evidence's ID, "" for any
	fields []event.Member
	count  int
}

func readSuite(name string) (*suite, diag.List) {
	beside, top := rule.OpenBeside("TEST", name)
	s := &suite{file: name, beside: beside, bases: map[string]source{}}
	if top == nil {
		return s, beside.Problems()
	}
	s.rule = strings.TrimSuffix(name, rule.TestSuffix) + ".toml"
	if own := top.Word("rule"); own != "" {
		s.rule = filepath.Join(filepath.Dir(name), filepath.FromSlash(own))
	}
	s.profiles = top.Names("profiles")
	for _, p := range s.profiles {
		if !slices.Contains(profileNames(), p) {
			hint := "one of: " + strings.Join(profileNames(), ", ")
			if near, ok := diag.Nearest(p, profileNames()); ok {
				hint = "did you mean \"" + near + "\"? (" + hint + ")"
			}
			top.Bad("0105", "profiles", hint, "%q is no layout of events", p)
		}
	}
	if len(s.profiles) == 0 {
		s.profiles = profileNames()[:1]
	}
	now := instant(top, "now", defaultNow, &defaultNow)
	s.readBases(top.Sub("base"))
	top.Need("case")
	cases := top.Subs("case")
	if len(cases) > maxCases {
		top.Bad(numberOutOfRange, "case", "", "the file has %d cases; it can have %d", len(cases), maxCases)
		cases = nil
	}
	names := map[string]bool{}
	for _, t := range cases {
		c := s.readCase(t, *now)
		if names[c.name] {
			t.Bad(numberTwice, "name", "", "two cases are called %q", c.name)
		}
		names[c.name] = true
		s.cases = append(s.cases, c)
	}
	top.Close()
	return s, beside.Problems()
}

// readBases reads the bases, each after the one that it rests on.
func (s *suite) readBases(t *rule.Table) {
	if t == nil {
		return
	}
	const reading = 1
	state := map[string]int{}
	var read func(name string)
	read = func(name string) {
		sub := t.Sub(name)
		if sub == nil {
			return
		}
		state[name] = reading
		if on := sub.Text("base"); on != "" && slices.Contains(t.Keys(), on) {
			if state[on] == reading {
				sub.Bad(numberNoBase, "base", "", "base %q rests on itself", on)
				delete(s.bases, on)
				s.bases[name] = source{}
				state[name]++
				sub.Close()
				return
			}
			if state[on] == 0 {
				read(on)
			}
		}
		s.bases[name] = s.readSource(sub)
		sub.Close()
		state[name]++
	}
	for _, name := range t.Keys() {
		if state[name] == 0 {
			read(name)
		}
	}
}

func (s *suite) readCase(t *rule.Table, now time.Time) spec {
	t.Need("name", "events")
	c := spec{name: t.Word("name"), line: t.Line(), at: t}
	c.now = *instant(t, "now", now, &now)
	c.runAt = instant(t, "run_at", c.now, nil)
	c.history = s.readEvents(t, "history", c.now)
	c.events = s.readEvents(t, "events", c.now)
	if t.Given("events") && len(c.events) == 0 {
		t.Bad(numberOutOfRange, "events", "", "%s has no event", t.Title())
	}
	if len(c.history)+len(c.events) > maxEvents {
		t.Bad(numberOutOfRange, "events", "", "%s has more than %d events", t.Title(), maxEvents)
	}
	c.exceptions = exception.ReadItems(t, "exceptions")
	c.because = t.Word("none")
	alerts := t.Subs("alerts")
	for _, a := range alerts {
		e := expectation{line: a.Line(), event: a.Word("event"), count: a.Number("count", 1, 1, maxCount)}
		if fields := a.Object("fields"); fields.Kind() == event.KindObject {
			e.fields = flat("", fields)
		}
		a.Close()
		c.expected = append(c.expected, e)
	}
	const either = `write alerts = [{ event = "…" }], or none = "because …"`
	switch {
	case t.Given("none") && t.Given("alerts"):
		t.Bad(numberOutOfRange, "none", either, "%s expects alerts and none", t.Title())
	case !t.Given("none") && !t.Given("alerts"):
		t.Bad("0104", "name", either, "%s says neither which alerts it expects nor why none", t.Title())
	case t.Given("alerts") && alerts != nil && len(alerts) == 0:
		t.Bad(numberOutOfRange, "alerts", either, "alerts is empty: say why none is expected")
	}
	t.Close()
	return c
}

func (s *suite) readEvents(t *rule.Table, key string, now time.Time) []eventSpec {
	var out []eventSpec
	for _, e := range t.Subs(key) {
		spec := eventSpec{at: e, id: e.Word("id"), when: instant(e, "at", now, nil), ingested: instant(e, "ingested", now, nil)}
		if spec.file = e.Word("file"); spec.file != "" {
			for _, other := range []string{"base", "cloudtrail", "ecs", "fields", "set", "without", "at", "ingested", "id"} {
				if e.Given(other) {
					e.Bad("0109", other, "", "an event that stands in a file has no %s", other)
				}
			}
			spec.file = filepath.Join(filepath.Dir(s.file), filepath.FromSlash(spec.file))
		}
		spec.source = s.readSource(e)
		e.Close()
		out = append(out, spec)
	}
	return out
}

// readSource reads what an event, or a base, is made from.
func (s *suite) readSource(t *rule.Table) source {
	var src source
	if on := t.Word("base"); on != "" {
		base, known := s.bases[on]
		if !known {
			hint := ""
			var names []string
			for name := range s.bases {
				names = append(names, name)
			}
			slices.Sort(names)
			if near, ok := diag.Nearest(on, names); ok {
				hint = "did you mean \"" + near + "\"?"
			}
			t.Bad(numberNoBase, "base", hint, "no base is called %q", on)
		}
		src = base
	}
	for k, key := range []string{asCloudTrail: "cloudtrail", asECS: "ecs"} {
		if key == "" {
			continue
		}
		text := t.Word(key)
		if text == "" {
			continue
		}
		if src.kind != asFields {
			t.Bad("0109", key, "", "the event is written twice: it has a base, or both cloudtrail and ecs")
		}
		src.kind, src.doc = kind(k), document(t, key, text)
	}
	if s := t.Word("stream"); s != "" {
		src.stream = s
	}
	for _, path := range t.Names("without") {
		doc, found := without(src.doc, path)
		if !found && src.kind != asFields && src.doc.Kind() == event.KindObject {
			t.Bad(numberBadEvent, "without", "", "the document has no %s", path)
		}
		src.doc = doc
	}
	if set := t.Object("set"); set.Kind() == event.KindObject {
		src.doc = merged(src.doc, set)
	}
	if src.kind == asFields {
		for _, key := range []string{"set", "without"} {
			if t.Given(key) {
				t.Bad("0109", key, "fields sets fields of an event", "%s changes a cloudtrail or ecs document, and there is none", key)
			}
		}
	}
	if fields := t.Object("fields"); fields.Kind() == event.KindObject {
		src.fields = append(slices.Clone(src.fields), flat("", fields)...)
	}
	return src
}

// document reads a JSON object that stands as a text at key.
func document(t *rule.Table, key, text string) event.Value {
	var syntax *json.SyntaxError
	if err := json.Unmarshal([]byte(text), new(json.RawMessage)); errors.As(err, &syntax) {
		t.Inside(numberBadEvent, key, int(max(syntax.Offset-1, 0)), "", "%s is not JSON: %v", key, err)
		return event.Null()
	}
	v, err := event.ParseJSON([]byte(text))
	switch {
	case err != nil:
		t.Bad(numberBadEvent, key, "", "%s cannot be read: %v", key, err)
	case v.Kind() != event.KindObject:
		t.Bad(numberBadEvent, key, "", "%s is no JSON object", key)
	default:
		return v
	}
	return event.Null()
}

// instant reads a time, date math from now on; otherwise where it is absent or none.
func instant(t *rule.Table, key string, now time.Time, otherwise *time.Time) *time.Time {
	text := t.Word(key)
	if text == "" {
		return otherwise
	}
	e, err := datemath.Parse(text)
	if err != nil {
		message, offset := err.Error(), 0
		if found := diag.Of(err); len(found) > 0 {
			message, offset = found[0].Message, found[0].Span.Start
		}
		t.Inside(numberBadTime, key, offset, "write an instant (2026-03-15T12:00:00Z), or date math (now-3d)", "%s: %s", key, message)
		return otherwise
	}
	at := e.At(now)
	return &at
}

// flat lists the leaves of nested tables by dotted path; lists and empty tables are leaves.
func flat(prefix string, v event.Value) []event.Member {
	var out []event.Member
	for _, m := range v.Members() {
		if m.Value.Kind() == event.KindObject && len(m.Value.Members()) > 0 {
			out = append(out, flat(prefix+m.Key+".", m.Value)...)
			continue
		}
		out = append(out, event.Member{Key: prefix + m.Key, Value: m.Value})
	}
	return out
}
