package indicator

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// What a value is.
const (
	isIP       = "ip"
	isDomain   = "domain"
	isURL      = "url"
	isEmail    = "email"
	isHash     = "hash"
	isRegistry = "registry"
	isName     = "file_name"
	isPath     = "file_path"
	isUser     = "user"
	isMutex    = "mutex"
	isASN      = "asn"
	isMAC      = "mac"
	isSerial   = "certificate_serial"
	isCommand  = "command_line"
	isPort     = "port"
	isSize     = "file_size"
)

// hashes are the hashes that are told by their length, in hexadecimal digits.
var hashes = map[int]string{32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}

// hashPath is the field of a hash.
func hashPath(name string) string {
	if name == "imphash" {
		return "threat.indicator.file.pe.imphash"
	}
	return "threat.indicator.file.hash." + name
}

// refangs undoes what people do to values so that nobody follows them by mistake.
var refangs = strings.NewReplacer("[.]", ".", "(.)", ".", "{.}", ".", "[dot]", ".", "(dot)", ".", "[DOT]", ".", "(DOT)", ".", "[:]", ":",
	"[://]", "://", "[:/]", ":/", "[/]", "/", "[at]", "@", "(at)", "@", "[AT]", "@", "[@]", "@")

// refang returns the value as it was meant; true where it was written otherwise.
func refang(s string) (string, bool) {
	out := s
	if strings.ContainsAny(s, "[({") {
		out = refangs.Replace(s)
	}
	if len(out) > 4 && (out[0] == 'h' || out[0] == 'H') && strings.EqualFold(out[1:3], "xx") && (out[3] == 'p' || out[3] == 'P') {
		out = "http" + out[4:]
	}
	return out, out != s
}

// observe puts the value of a kind into the document.
func (d *document) observe(kind, s string) error {
	switch kind {
	case isIP:
		text, v6, err := readAddress(s)
		if err != nil {
			return err
		}
		d.look("threat.indicator.ip", addressType(v6), event.String(text))
	case isDomain:
		name, err := readDomain(s)
		if err != nil {
			return err
		}
		d.look("threat.indicator.url.domain", "domain-name", event.String(name))
	case isURL:
		if strings.ContainsFunc(s, unicode.IsSpace) {
			return errors.New("no URL: it holds a space")
		}
		d.look("threat.indicator.url.full", "url", event.String(s))
	case isEmail:
		if at := strings.IndexByte(s, '@'); at <= 0 || at == len(s)-1 || strings.ContainsFunc(s, unicode.IsSpace) {
			return errors.New("no e-mail address")
		}
		d.look("threat.indicator.email.address", "email-addr", event.String(s))
	case isHash:
		name, known := hashes[len(s)]
		if !known || !isHex(s) {
			return errors.New("no hash: one has 32, 40, 64, 96 or 128 hexadecimal digits")
		}
		d.look(hashPath(name), "file", event.String(strings.ToLower(s)))
	case isRegistry:
		d.registry(s, "")
	case isName:
		d.look("threat.indicator.file.name", "file", event.String(s))
	case isPath:
		d.look("threat.indicator.file.path", "file", event.String(s))
	case isUser:
		d.look("threat.indicator.user.name", "user-account", event.String(s))
	case isMutex:
		d.look("threat.indicator.mutex.name", "mutex", event.String(s))
	case isMAC:
		d.look("threat.indicator.mac", "mac-addr", event.String(strings.ToUpper(strings.ReplaceAll(s, ":", "-"))))
	case isSerial:
		d.look("threat.indicator.x509.serial_number", "x509-certificate", event.String(strings.ToUpper(strings.ReplaceAll(s, ":", ""))))
	case isCommand:
		d.look("threat.indicator.process.command_line", "process", event.String(s))
	case isASN, isPort, isSize:
		digits := s
		if kind == isASN && len(s) > 2 && strings.EqualFold(s[:2], "as") {
			digits = s[2:]
		}
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil || kind == isPort && n > 65535 || kind == isASN && n > 1<<32-1 {
			return errors.New("no number of this kind")
		}
		switch kind {
		case isASN:
			d.look("threat.indicator.as.number", "autonomous-system", event.Int(int64(n)))
		case isPort: // alone it says nothing that is worth looking for
			d.set("threat.indicator.port", event.Int(int64(n)))
		default:
			d.set("threat.indicator.file.size", event.Int(int64(n)))
		}
	default:
		return d.digest(kind, s)
	}
	return nil
}

// digest puts a hash of a named kind into the document.
func (d *document) digest(name, s string) error {
	for digits, is := range hashes {
		if is == name && (len(s) != digits || !isHex(s)) {
			return fmt.Errorf("no %s: one has %d hexadecimal digits", name, digits)
		}
	}
	switch name {
	case "md5", "sha1", "sha256", "sha384", "sha512":
		s = strings.ToLower(s)
	case "imphash":
		if s = strings.ToLower(s); len(s) != 32 || !isHex(s) {
			return errors.New("no imphash: one has 32 hexadecimal digits")
		}
	}
	d.look(hashPath(name), "file", event.String(s))
	return nil
}

func addressType(v6 bool) string {
	if v6 {
		return "ipv6-addr"
	}
	return "ipv4-addr"
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; (s[i] < '0' || s[i] > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}

// readAddress reads an address, or a network of them, which matches those in it.
func readAddress(s string) (text string, v6 bool, err error) {
	if a, err := netip.ParseAddr(s); err == nil {
		if a.Zone() != "" {
			return "", false, errors.New("no address that others could have: it has a zone")
		}
		a = a.Unmap()
		return a.String(), a.Is6(), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return "", false, errors.New("no address and no network such as 198.51.100.0/24")
	case p.Bits() == 0:
		return "", false, errors.New("the network of all addresses: every event would match it")
	case p.IsSingleIP():
		return p.Addr().String(), p.Addr().Is6(), nil
	}
	return p.Masked().String(), p.Addr().Is6(), nil
}

// networkOf returns the first address of a network.
func networkOf(s string) (address string, network bool) {
	if strings.IndexByte(s, '/') < 0 {
		return "", false
	}
	p, err := netip.ParsePrefix(s)
	return p.Masked().Addr().String(), err == nil
}

// readDomain reads the name of a domain.
func readDomain(s string) (string, error) {
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if strings.HasPrefix(name, "*.") {
		return "", errors.New("a wildcard: values are compared as they are")
	}
	if !isDomainName(name) {
		return "", errors.New("no name of a domain")
	}
	return name, nil
}

// isDomainName reports whether s has two labels or more, the last of which is no number.
func isDomainName(s string) bool {
	labels := strings.Split(s, ".")
	if len(labels) < 2 || len(s) > 253 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || strings.ContainsFunc(l, func(r rune) bool {
			return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < utf8.RuneSelf || !unicode.IsLetter(r) && !unicode.IsMark(r))
		}) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(last) > 1 && !strings.ContainsFunc(last, func(r rune) bool { return r >= '0' && r <= '9' && !strings.HasPrefix(last, "xn--") })
}

// hives are the parts of a registry, short and long.
var hives = []struct{ short, long string }{
	{"HKLM", "HKEY_LOCAL_MACHINE"}, {"HKCU", "HKEY_CURRENT_USER"}, {"HKCR", "HKEY_CLASSES_ROOT"}, {"HKU", "HKEY_USERS"},
	{"HKCC", "HKEY_CURRENT_CONFIG"},
}

// registry puts a registry key, or a value of it, into the document: with the short name of its hive, as ECS has it.
func (d *document) registry(key, value string) {
	hive, rest, below := strings.Cut(key, `\`)
	for _, h := range hives {
		if strings.EqualFold(hive, h.short) || strings.EqualFold(hive, h.long) {
			hive = h.short
			d.text("threat.indicator.registry.hive", hive)
			if below {
				d.text("threat.indicator.registry.key", rest)
			}
		}
	}
	full := hive
	if below {
		full += `\` + rest
	}
	if value != "" {
		full += `\` + value
		d.text("threat.indicator.registry.value", value)
	}
	d.look("threat.indicator.registry.path", "windows-registry-key", event.String(full))
}

// guess tells what a value is by how it looks, "" where that says nothing.
func guess(s string) string {
	lower := strings.ToLower(s)
	if _, err := netip.ParseAddr(s); err == nil {
		return isIP
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return isIP
	}
	if at := strings.Index(s, "://"); at > 0 && !strings.ContainsFunc(s[:at], func(r rune) bool { return r > 'z' || r < '+' }) {
		return isURL
	}
	if _, known := hashes[len(s)]; known && isHex(s) {
		return isHash
	}
	if slices.ContainsFunc(hives, func(h struct{ short, long string }) bool {
		return strings.HasPrefix(lower, strings.ToLower(h.short)+`\`) || strings.HasPrefix(lower, strings.ToLower(h.long)+`\`)
	}) {
		return isRegistry
	}
	if at := strings.IndexByte(s, '@'); at > 0 && isDomainName(s[at+1:]) {
		return isEmail
	}
	if len(s) > 3 && s[1:3] == `:\` || strings.HasPrefix(s, `\\`) {
		return isPath
	}
	if isDomainName(strings.TrimSuffix(lower, ".")) || strings.HasPrefix(lower, "*.") {
		return isDomain
	}
	return ""
}

// withPort parts an address, or the name of a domain, from the port behind it.
func withPort(s string) (host, port string, ok bool) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a.Addr().String(), strconv.Itoa(int(a.Port())), true
	}
	host, port, ok = strings.Cut(s, ":")
	n, err := strconv.ParseUint(port, 10, 16)
	return host, port, ok && err == nil && n > 0 && isDomainName(host)
}

// layouts are how lists write instants besides ISO 8601: without a zone it is UTC.
var layouts = []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05.999999", "2006-01-02 15:04",
	"2006-01-02 15:04:05-07:00", time.RFC1123, time.RFC1123Z}

// readTime reads an instant in milliseconds; 0 where the text says that there is none.
func readTime(s string) (ms int64, err error) {
	switch strings.ToLower(s) {
	case "", "-", "none", "null", "n/a", "never", "unknown":
		return 0, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n >= 1e8 {
		switch {
		case n < 1e11: // seconds
			return n * 1000, nil
		case n < end:
			return n, nil
		}
	}
	t, ok := event.ParseTime(s)
	for i := 0; !ok && i < len(layouts); i++ {
		t, err = time.Parse(layouts[i], s)
		ok = err == nil
	}
	if ms = t.UnixMilli(); !ok || ms <= 0 || ms > end {
		return 0, errors.New("no instant such as 2026-03-01T12:00:00Z")
	}
	return ms, nil
}

// confidence is how sure a feed is, in ECS's words.
func confidence(s string) string {
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		switch {
		case n <= 0:
			return "None"
		case n < 30:
			return "Low"
		case n < 70:
			return "Medium"
		default:
			return "High"
		}
	}
	for _, word := range []string{"Not Specified", "None", "Low", "Medium", "High"} {
		if strings.EqualFold(s, word) {
			return word
		}
	}
	return s
}

// tlp is a marking in ECS's words, "" where it is none.
func tlp(s string) string {
	s = strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(s)), "TLP:")
	switch s {
	case "WHITE", "CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED":
		return s
	}
	return ""
}
