package indicator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/diag"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
)

// The columns that are no kind of value.
const (
	columnType  = "type"
	columnValue = "value"
)

// shortNames are the names of columns, and of keys of flat objects, with what they are: a kind of value, or one of those that
// describe. Case, spaces, - and _ do not count.
var shortNames = map[string]string{
	"type": columnType, "indicatortype": columnType, "ioctype": columnType, "kind": columnType,
	"value": columnValue, "indicator": columnValue, "ioc": columnValue, "iocvalue": columnValue, "observable": columnValue,
	"ip": isIP, "ipaddress": isIP, "ipaddr": isIP, "ipv4": isIP, "ipv6": isIP, "address": isIP, "addr": isIP, "cidr": isIP, "network": isIP,
	"srcip": isIP, "dstip": isIP, "dstipaddress": isIP,
	"domain": isDomain, "hostname": isDomain, "host": isDomain, "fqdn": isDomain, "domainname": isDomain,
	"url": isURL, "uri": isURL, "email": isEmail, "emailaddress": isEmail,
	"hash": isHash, "filehash": isHash, "md5": "md5", "md5hash": "md5", "sha1": "sha1", "sha1hash": "sha1", "sha256": "sha256", "sha256hash": "sha256",
	"sha384": "sha384", "sha512": "sha512", "imphash": "imphash", "ssdeep": "ssdeep", "tlsh": "tlsh",
	"registry": isRegistry, "registrypath": isRegistry, "registrykey": isRegistry, "regkey": isRegistry,
	"filename": isName, "filepath": isPath, "filesize": isSize, "user": isUser, "username": isUser, "mutex": isMutex, "asn": isASN, "mac": isMAC,
	"macaddress": isMAC, "port": isPort, "dstport": isPort, "serial": isSerial, "serialnumber": isSerial, "commandline": isCommand,
	"firstseen": "first_seen", "firstseenutc": "first_seen", "validfrom": "first_seen", "added": "first_seen", "dateadded": "first_seen", "@timestamp": "first_seen",
	"timestamp": "first_seen", "date": "first_seen",
	"lastseen": "last_seen", "lastseenutc": "last_seen", "lastonline": "last_seen",
	"expires": "expires", "expiration": "expires", "expirationdate": "expires", "validuntil": "expires", "expiry": "expires",
	"confidence": "confidence", "confidencelevel": "confidence", "feed": "feed", "feedname": "feed", "list": "feed",
	"source": "provider", "provider": "provider", "reporter": "provider",
	"description": "description", "comment": "description", "comments": "description", "note": "description", "notes": "description",
	"tags": "tags", "labels": "tags", "tag": "tags", "tlp": "tlp", "reference": "reference", "link": "reference", "references": "reference",
	"id": "id", "iocid": "id", "name": "name", "title": "name",
}

// typeNames are what other tools call kinds of values, beyond the names of columns.
var typeNames = map[string]string{
	"ipsrc": isIP, "ipdst": isIP, "ipv4addr": isIP, "ipv6addr": isIP, "ip:port": isIP, "filehashmd5": "md5", "filehashsha1": "sha1",
	"filehashsha256": "sha256", "emailaddr": isEmail, "emailsrc": isEmail, "windowsregistrykey": isRegistry, "registrykeypath": isRegistry,
	"file": isHash, "autonomoussystem": isASN, "useraccount": isUser, "macaddr": isMAC, "md5": "md5",
}

// squeeze is a name without what does not count.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == ' ' || r == '.' {
			return -1
		}
		return r
	}, strings.ToLower(strings.TrimSpace(s)))
}

// column is what stands under a name: what is, a path of ECS otherwise, "" for what nothing is known of.
type column struct {
	is   string
	path string
	kind event.Type
}

// columnOf returns what stands under a name.
func columnOf(name string) (column, bool) {
	name = strings.TrimSpace(name)
	if strings.Contains(name, ".") {
		f, declared := ecs.Lookup(name)
		if declared || strings.HasPrefix(name, "threat.") || strings.HasPrefix(name, "labels.") {
			return column{path: name, kind: f.Type}, true
		}
	}
	is, known := shortNames[squeeze(name)]
	return column{is: is}, known
}

// describes are the fields below threat.indicator that are nothing to look for.
var describes = []string{"type", "confidence", "description", "first_seen", "last_seen", "modified_at", "marking", "provider", "reference",
	"scanner_stats", "sightings", "geo", "name", "id", "port"}

// isObservable reports whether the field at path says what is to be looked for.
func isObservable(path string) bool {
	rest, ok := strings.CutPrefix(path, "threat.indicator.")
	first, _, _ := strings.Cut(rest, ".")
	return ok && !slices.Contains(describes, first)
}

// typed is the value of a field as documents hold it: a text, unless the field holds numbers or booleans.
func typed(path string, kind event.Type, s string) (event.Value, error) {
	switch kind {
	case event.IPType:
		text, _, err := readAddress(s)
		return event.String(text), err
	case event.Date:
		ms, err := readTime(s)
		if ms == 0 {
			return event.Value{}, err
		}
		return event.String(event.FormatTime(event.Millis(ms).Time())), err
	case event.Long, event.Double, event.Boolean:
		v, fits := event.Coerce(kind, event.String(s))
		if !fits {
			return event.Value{}, fmt.Errorf("no %s, which %s holds", kind, path)
		}
		return v, nil
	}
	return event.String(s), nil
}

// cell is one value of a line or object; from and to are where it stands.
type cell struct {
	column
	text     string
	from, to int
}

// fill puts cells into the document. The error is about one of them, which it returns.
func (r *reader) fill(d *document, cells []cell) (*cell, error) {
	kind, value := "", -1
	for i := range cells {
		c := &cells[i]
		switch {
		case c.text == "" || c.is == "" && c.path == "":
			continue
		case len(c.text) > MaxValue:
			return c, fmt.Errorf("longer than %d bytes", MaxValue)
		case strings.IndexByte(c.text, 0) >= 0:
			return c, errors.New("no text: it holds a NUL byte")
		}
		var err error
		switch {
		case c.is == columnType:
			kind = c.text
		case c.is == columnValue:
			value = i
		case c.path != "":
			var v event.Value
			text := c.text
			if refangable(c.path) {
				text = r.refang(c)
			}
			if v, err = typed(c.path, c.kind, text); err == nil && !v.IsNull() {
				d.set(c.path, v)
				d.observed = d.observed || isObservable(c.path)
			}
		default:
			err = r.put(d, c.is, c)
		}
		if err != nil {
			return c, err
		}
	}
	if value < 0 {
		if kind != "" {
			d.text("threat.indicator.type", kind)
		}
		return nil, nil
	}
	return &cells[value], r.named(d, kind, &cells[value])
}

// refangable reports whether values of the field at path are written so that nobody follows them.
func refangable(path string) bool {
	rest, ok := strings.CutPrefix(path, "threat.indicator.")
	return ok && (rest == "ip" || strings.HasPrefix(rest, "url.") || strings.HasPrefix(rest, "email."))
}

// put puts a value into the document as what it is.
func (r *reader) put(d *document, is string, c *cell) error {
	at := func(path string) (ms int64, err error) {
		if ms, err = readTime(c.text); ms != 0 && path != "" {
			d.text(path, event.FormatTime(event.Millis(ms).Time()))
		}
		return ms, err
	}
	var err error
	switch is {
	case "first_seen":
		d.from, err = at("threat.indicator.first_seen")
	case "last_seen":
		_, err = at("threat.indicator.last_seen")
	case "expires":
		d.until, err = at("")
	case "confidence":
		d.text("threat.indicator.confidence", confidence(c.text))
	case "feed":
		d.text("threat.feed.name", c.text)
	case "provider", "description", "reference", "name":
		d.text("threat.indicator."+is, c.text)
	case "id":
		d.set("threat.indicator.id", event.Strings(c.text))
	case "tlp":
		if color := tlp(c.text); color != "" {
			d.text("threat.indicator.marking.tlp", color)
		} else {
			err = errors.New("no TLP marking")
		}
	case "tags":
		var tags []string
		for _, tag := range strings.FieldsFunc(c.text, func(r rune) bool { return r == ',' || r == ';' || r == '|' }) {
			if tag = strings.TrimSpace(tag); tag != "" {
				tags = append(tags, tag)
			}
		}
		slices.Sort(tags)
		tags = slices.Compact(tags)
		if len(tags) > 0 {
			d.set("tags", event.Strings(tags...))
		}
	case isIP, isDomain, isURL, isEmail:
		text := r.refang(c)
		if host, port, ok := withPort(text); ok && (is == isIP || is == isDomain) {
			if err := d.observe(isPort, port); err != nil {
				return err
			}
			text = host
		}
		err = d.observe(is, text)
	default:
		err = d.observe(is, c.text)
	}
	return err
}

// refang returns the cell's text as it was meant, and notes where it was written otherwise.
func (r *reader) refang(c *cell) string {
	text, was := refang(c.text)
	if was {
		if r.refanged++; r.refanged == 1 {
			r.firstRefanged = r.at(diag.Note, CodeRefanged, c.from, c.to, "", "")
		}
	}
	return text
}

// named puts a value into the document whose kind another column names, or nobody.
func (r *reader) named(d *document, kind string, c *cell) error {
	is, known := typeNames[squeeze(kind)]
	if !known {
		is = shortNames[squeeze(kind)]
	}
	if is != "" && slices.Contains(kinds, is) {
		return r.put(d, is, c)
	}
	whole := *c
	text, _ := refang(c.text)
	is = guess(text)
	if is == "" {
		if host, _, ok := withPort(text); ok {
			is = guess(host)
		}
	}
	if is == "" {
		return errUnknown
	}
	if r.kinds == nil {
		r.kinds = map[string]int{}
	}
	if r.guessed++; r.guessed == 1 {
		r.firstGuessed = r.at(diag.Note, CodeGuessed, c.from, c.to, "", "")
	}
	if err := r.put(d, is, &whole); err != nil {
		return err
	}
	r.kinds[is]++
	return nil
}

var errUnknown = errors.New("nothing that can be told by how it looks: an address, a network, a domain, a URL, a hash …")

// kinds are the kinds of values.
var kinds = []string{isIP, isDomain, isURL, isEmail, isHash, isRegistry, isName, isPath, isUser, isMutex, isASN, isMAC, isSerial, isCommand,
	"md5", "sha1", "sha256", "sha384", "sha512", "imphash", "ssdeep", "tlsh"}

// unknownColumn tells of a column that says nothing known, once.
func (r *reader) unknownColumn(name string, from, to int) {
	if r.once[name] || len(r.once) > 1000 {
		return
	}
	if r.once == nil {
		r.once = map[string]bool{}
	}
	r.once[strings.Clone(name)] = true
	hint := "columns are fields of ECS such as threat.indicator.ip, or short: ip, domain, url, sha256, first_seen, expires, feed …"
	if near, ok := diag.Nearest(squeeze(name), slices.Sorted(maps.Keys(shortNames))); ok {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	r.warn(CodeColumn, from, to, hint, "%s is no name of a column: what stands there is not read", quoted(name))
}

// quoted is a text that may be long, in quotes.
func quoted(s string) string {
	if len(s) > 80 {
		s = strings.ToValidUTF8(s[:80], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}
