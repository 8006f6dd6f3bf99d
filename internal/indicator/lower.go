package indicator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// asked is a value that an event must have: a kind of value, or a path of a text.
type asked struct {
	is, path string
	object   string // of STIX
	text     string
	at       diag.Span
}

// alternative is what one indicator asks for, all of it.
type alternative []asked

// patternLowering turns a pattern into alternatives. What no field says is found; the alternatives that need it are left out.
type patternLowering struct {
	reader *reader
	text   string
	at     int // of its object, in the file
	found  diag.List
	many   bool
}

func (l *patternLowering) cannot(at diag.Span, format string, args ...any) []alternative {
	l.found = append(l.found, diag.Diagnostic{Code: CodeCannot, Text: l.text, Span: at, Message: fmt.Sprintf(format, args...)})
	return nil
}

// lower returns the alternatives of n.
func (l *patternLowering) lower(n node) []alternative {
	switch n := n.(type) {
	case test:
		return l.test(n)
	case cannot:
		return l.cannot(n.at, "the pattern asks for %s, and an indicator is compared with one event at a time", n.why)
	case anyOf:
		var out []alternative
		for _, sub := range n.nodes {
			if out = append(out, l.lower(sub)...); len(out) > maxAlternatives {
				return l.tooMany(n)
			}
		}
		return out
	case allOf:
		out := []alternative{nil}
		for _, sub := range n.nodes {
			some := l.lower(sub)
			if len(out)*len(some) > maxAlternatives {
				return l.tooMany(n)
			}
			if len(out) > 0 && len(some) > 0 && len(out[0])+len(some[0]) > maxAsked {
				return l.cannot(n.span(), "the pattern asks for more than %d values at once", maxAsked)
			}
			var next []alternative
			for _, a := range out {
				for _, b := range some {
					next = append(next, append(slices.Clip(a), b...))
				}
			}
			out = next
		}
		return out
	}
	return nil
}

func (l *patternLowering) tooMany(n node) []alternative {
	if l.many {
		return nil
	}
	l.many = true
	return l.cannot(n.span(), "the pattern has more than %d alternatives", maxAlternatives)
}

// objects are what objects of STIX are, by type and path. A path of ECS holds the text as it is.
var objects = map[string]asked{
	"ipv4-addr:value": {is: isIP}, "ipv6-addr:value": {is: isIP}, "domain-name:value": {is: isDomain}, "url:value": {is: isURL},
	"email-addr:value": {is: isEmail}, "mac-addr:value": {is: isMAC}, "mutex:name": {is: isMutex},
	"email-message:from_ref.value": {is: isEmail}, "email-message:sender_ref.value": {is: isEmail},
	"file:hashes.MD5": {is: "md5"}, "file:hashes.SHA-1": {is: "sha1"}, "file:hashes.SHA-256": {is: "sha256"}, "file:hashes.SHA-384": {is: "sha384"},
	"file:hashes.SHA-512": {is: "sha512"}, "file:hashes.SSDEEP": {is: "ssdeep"}, "file:hashes.TLSH": {is: "tlsh"},
	"file:name": {is: isName}, "file:size": {is: isSize}, "file:mime_type": {path: "threat.indicator.file.mime_type"},
	"file:parent_directory_ref.path": {path: "threat.indicator.file.directory"}, "directory:path": {path: "threat.indicator.file.directory"},
	"file:extensions.windows-pebinary-ext.imphash": {is: "imphash"},
	"windows-registry-key:key":                     {is: isRegistry}, "windows-registry-key:values.name": {path: registryValue},
	"windows-registry-key:values.data": {path: "threat.indicator.registry.data.strings"},
	"x509-certificate:serial_number":   {is: isSerial}, "x509-certificate:issuer": {path: "threat.indicator.x509.issuer.distinguished_name"},
	"x509-certificate:subject":      {path: "threat.indicator.x509.subject.distinguished_name"},
	"autonomous-system:number":      {is: isASN},
	"autonomous-system:name":        {path: "threat.indicator.as.organization.name"},
	"user-account:account_login":    {is: isUser},
	"user-account:user_id":          {path: "threat.indicator.user.id"},
	"user-account:display_name":     {path: "threat.indicator.user.full_name"},
	"process:name":                  {path: "threat.indicator.process.name"},
	"process:command_line":          {is: isCommand},
	"network-traffic:dst_port":      {is: isPort},
	"network-traffic:dst_ref.value": {is: isHost}, "network-traffic:src_ref.value": {is: isHost},
	"network-traffic:dst_ref.type": {is: isNothing}, "network-traffic:src_ref.type": {is: isNothing},
}

// Values that are decided when they are put into a document.
const (
	isHost        = "host"    // an address or the name of a domain
	isNothing     = "nothing" // what the value of a reference shows besides
	registryValue = "threat.indicator.registry.value"
)

// hashNames are how hashes are called, squeezed.
var hashNames = map[string]string{"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512",
	"ssdeep": "SSDEEP", "tlsh": "TLSH"}

// test returns the alternatives of one comparison: one for each value.
func (l *patternLowering) test(t test) []alternative {
	path := slices.Clone(t.path)
	if len(path) == 2 && path[0] == "hashes" {
		if name := hashNames[squeeze(path[1])]; name != "" {
			path[1] = name
		}
	}
	name := t.object + ":" + strings.Join(path, ".")
	is, known := objects[name]
	subset := t.op == "ISSUBSET" && is.is == isIP // a network
	switch {
	case !known:
		return l.cannot(t.at, "no field of indicators holds %s", quoted(name))
	case t.not || t.op != "=" && t.op != "IN" && !subset:
		op := t.op
		if t.not {
			op = "NOT " + op
		}
		return l.cannot(t.at, "indicators are compared with =, IN and, of networks, ISSUBSET: %s cannot be kept", op)
	}
	var out []alternative
	for _, v := range t.values {
		if v.kind != 's' && v.kind != 'n' {
			l.cannot(v.at, "%s is no text", quoted(v.text))
			continue
		}
		text := v.text
		if is.is == isIP || is.is == isDomain || is.is == isURL || is.is == isEmail || is.is == isHost {
			text = l.reader.refang(&cell{text: text, from: l.at, to: l.at})
		}
		if strings.IndexByte(text, 0) >= 0 || len(text) > MaxValue || text == "" {
			l.cannot(v.at, "the text is empty, longer than %d bytes, or holds a NUL byte", MaxValue)
			continue
		}
		a := is
		a.text, a.at, a.object = text, v.at, t.object
		out = append(out, alternative{a})
	}
	return out
}

// put puts what is asked for into the document.
func (a alternative) put(d *document) error {
	key, value := "", ""
	seen := map[string]string{}
	for _, one := range a {
		name := one.is + one.path
		if before, twice := seen[name]; twice && before != one.text && one.is != isNothing {
			return fmt.Errorf("one object cannot have both values, %s and %s", quoted(before), quoted(one.text))
		}
		seen[name] = one.text
		is := one.is
		if is == isHost {
			is = isDomain
			if _, _, err := readAddress(one.text); err == nil {
				is = isIP
			}
		}
		switch {
		case is == isNothing:
		case is == isRegistry:
			key = one.text
		case one.path == registryValue:
			value = one.text
		case is != "":
			if err := d.observe(is, one.text); err != nil {
				return fmt.Errorf("%s is %w", quoted(one.text), err)
			}
		default:
			d.look(one.path, one.object, event.String(one.text))
		}
	}
	switch {
	case key != "":
		d.registry(key, value)
	case value != "":
		d.look(registryValue, "windows-registry-key", event.String(value))
	}
	return nil
}
