package indicator

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"github.com/zeebo/xxh3"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// references are what the STIX objects of a file refer to by their IDs.
type references struct {
	names    map[string]string     // of identities
	markings map[string]string     // the TLP of markings
	versions map[[16]byte]modified // of indicators, by ID
}

// modified is which of the objects with one ID counts: the one that was changed last, of several the first.
type modified struct {
	at   int64
	seen bool // it was taken
}

// markings are the TLP of the markings that STIX itself defines, 1.0 and 2.0.
var markings = map[string]string{
	"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": "WHITE",
	"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": "GREEN",
	"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": "AMBER",
	"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "RED",
	"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": "CLEAR",
	"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "GREEN",
	"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": "AMBER",
	"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": "AMBER+STRICT",
	"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": "RED",
}

// isSTIX reports whether an object is one of STIX: its ID begins with its type.
func isSTIX(v event.Value) bool {
	is, id := textOf(v, "type"), textOf(v, "id")
	return is != "" && strings.HasPrefix(id, is+"--")
}

// textOf is the text of a member, "" where it is none.
func textOf(v event.Value, key string) string { return v.Member(key).Str() }

// instantOf is the instant of a member in milliseconds, 0 where there is none.
func instantOf(v event.Value, key string) (int64, error) {
	m := v.Member(key)
	if m.IsNull() {
		return 0, nil
	}
	return readTime(m.Text())
}

// textsOf are the texts of a list.
func textsOf(v event.Value, key string) []string {
	var out []string
	for _, item := range v.Member(key).Items() {
		if s := item.Str(); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// refersTo takes note of what other objects refer to.
func (r *reader) refersTo(raw []byte) {
	if !bytes.Contains(raw, []byte("--")) {
		return
	}
	p := event.Parser{MaxValues: MaxValues}
	v, _, err := p.Parse(raw)
	if err != nil || v.Kind() != event.KindObject || !isSTIX(v) {
		return
	}
	if r.refs.names == nil {
		r.refs = references{map[string]string{}, map[string]string{}, map[[16]byte]modified{}}
	}
	id := textOf(v, "id")
	switch textOf(v, "type") {
	case "identity":
		r.refs.names[strings.Clone(id)] = strings.Clone(textOf(v, "name"))
	case "marking-definition":
		level := v.At("definition", "tlp").Str()
		for _, extension := range v.Member("extensions").Members() {
			if s := textOf(extension.Value, "tlp_2_0"); s != "" {
				level = s
			}
		}
		if level == "" {
			level = textOf(v, "name")
		}
		if level = tlp(level); level != "" {
			r.refs.markings[strings.Clone(id)] = level
		}
	case "indicator":
		at, _ := instantOf(v, "modified")
		key := [16]byte(xxh3.HashString128(id).Bytes())
		if m, known := r.refs.versions[key]; !known || at > m.at {
			r.refs.versions[key] = modified{at: at}
		}
	}
}

// stix takes a STIX object.
func (r *reader) stix(v event.Value, raw []byte, at int) {
	is, id := textOf(v, "type"), textOf(v, "id")
	if is != "indicator" {
		if len(is) > 80 {
			is = is[:80]
		}
		r.account.Other[strings.ToValidUTF8(is, "?")]++
		return
	}
	changed, _ := instantOf(v, "modified")
	key := [16]byte(xxh3.HashString128(id).Bytes())
	if m := r.refs.versions[key]; m.at != changed || m.seen {
		r.account.Refused["an older version of another one"]++
		return
	}
	r.refs.versions[key] = modified{changed, true}
	if v.Member("revoked").Bool() {
		r.account.Refused["revoked"]++
		return
	}
	place := func(key string) (from, to int) { // of a member's value
		n := bytes.Index(raw, []byte(`"`+key+`"`))
		if n < 0 {
			return at, at
		}
		return at + n, at + n + len(key) + 2
	}
	from, to := place("pattern_type")
	if is := textOf(v, "pattern_type"); is != "" && is != "stix" {
		r.refuse("pattern_type "+limited(is), CodeCannot, from, to, "", "patterns of the type %s are not read", quoted(is))
		return
	}
	var d document
	if err := r.describe(&d, v, changed); err != nil {
		r.refuse("a value that is none of its kind", CodeValue, at, at, "", "%s: %v", quoted(id), err)
		return
	}
	r.pattern(&d, textOf(v, "pattern"), raw, at)
}

func limited(s string) string { return strings.ToValidUTF8(s[:min(len(s), 40)], "?") }

// describe fills in what an indicator says besides its pattern.
func (r *reader) describe(d *document, v event.Value, changed int64) (err error) {
	instant := func(ms int64) string { return event.FormatTime(event.Millis(ms).Time()) }
	if d.from, err = instantOf(v, "valid_from"); err != nil {
		return fmt.Errorf("valid_from is %w", err)
	}
	if d.until, err = instantOf(v, "valid_until"); err != nil {
		return fmt.Errorf("valid_until is %w", err)
	}
	if d.from != 0 {
		d.text("threat.indicator.first_seen", instant(d.from))
	}
	if changed != 0 {
		d.text("threat.indicator.modified_at", instant(changed))
	}
	d.set("threat.indicator.id", event.Strings(textOf(v, "id")))
	for _, key := range []string{"name", "description"} {
		if s := textOf(v, key); s != "" {
			d.text("threat.indicator."+key, s)
		}
	}
	if c := v.Member("confidence"); c.IsScalar() {
		d.text("threat.indicator.confidence", confidence(c.Text()))
	}
	if by := textOf(v, "created_by_ref"); r.refs.names[by] != "" {
		d.text("threat.indicator.provider", r.refs.names[by])
	}
	for _, ref := range textsOf(v, "object_marking_refs") {
		level := markings[ref]
		if level == "" {
			level = r.refs.markings[ref]
		}
		if level != "" {
			d.text("threat.indicator.marking.tlp", level)
		}
	}
	for _, reference := range v.Member("external_references").Items() {
		if url := textOf(reference, "url"); url != "" && d.get("threat.indicator.reference").IsNull() {
			d.text("threat.indicator.reference", url)
		}
	}
	tags := append(textsOf(v, "labels"), textsOf(v, "indicator_types")...)
	var tactics []string
	for _, phase := range v.Member("kill_chain_phases").Items() {
		chain, name := textOf(phase, "kill_chain_name"), textOf(phase, "phase_name")
		switch {
		case name == "":
		case chain == "mitre-attack":
			tactics = append(tactics, tactic(name))
		default:
			tags = append(tags, chain+":"+name)
		}
	}
	for path, list := range map[string][]string{"tags": tags, "threat.tactic.name": tactics} {
		slices.Sort(list)
		if list = slices.Compact(list); len(list) > 0 {
			d.set(path, event.Strings(list...))
		}
	}
	return nil
}

// tactic is the name of a phase of ATT&CK: Initial Access of initial-access.
func tactic(phase string) string {
	words := strings.Split(phase, "-")
	for i, w := range words {
		if w != "" && w != "and" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, " ")
}

// pattern takes the alternatives of a pattern, each with what d says.
func (r *reader) pattern(d *document, text string, raw []byte, at int) {
	place := strings.Index(unsafe.String(unsafe.SliceData(raw), len(raw)), text)
	locate := func(found diag.Diagnostic, severity diag.Severity) {
		found.Severity = severity
		if r.enough(found.Code) {
			r.say(found)
			return
		}
		if place >= 0 && text != "" {
			found = found.In(r.account.File, r.text, at+place)
		} else { // it has escapes: the place of the object is told besides
			p := diag.PosAt(r.text, at)
			found.Message += fmt.Sprintf(" (in the pattern of the object at line %d, column %d)", p.Line, p.Column)
		}
		r.say(found)
	}
	n, err := parsePattern(text)
	if err != nil {
		r.account.Refused["a pattern that is wrong"]++
		var found diag.Diagnostic
		errors.As(err, &found)
		locate(found, diag.Warning)
		return
	}
	l := patternLowering{reader: r, text: text, at: at}
	alternatives := l.lower(n)
	for _, found := range l.found {
		locate(found, diag.Warning)
	}
	used := 0
	for _, a := range alternatives {
		one := document{fields: slices.Clone(d.fields), from: d.from, until: d.until}
		if err := a.put(&one); err != nil {
			locate(diag.Diagnostic{Code: CodeValue, Text: text, Span: a[0].at, Message: err.Error()}, diag.Warning)
			continue
		}
		if !one.observed {
			locate(diag.Diagnostic{Code: CodeCannot, Text: text, Span: a[0].at, Message: "the pattern says nothing to look for"}, diag.Warning)
			continue
		}
		if r.add(&one) {
			used++
		} else if !r.full {
			used = max(used, 1) // it is there, as that of another alternative
		}
	}
	switch {
	case used > 0:
		r.account.Used++
	case r.full:
		r.account.Refused["too many indicators"]++
	default:
		r.account.Refused["a pattern that no field holds"]++
	}
}
