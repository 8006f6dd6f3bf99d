package demo

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// template is JSON with gaps.
type template []piece

// piece is a text, and the gap behind it: an index into names, or none.
type piece struct {
	text string
	gap  int
}

const none = -1

// names are what may stand in braces in a template.
var names = []string{"account", "region", "service", "prefix", "cluster", "asg", "bucket", "build", "db", "function", "image",
	"instance", "key", "kmskey", "lb", "loggroup", "number", "param", "policy", "queue", "repo", "role", "secret", "sg", "size",
	"snapshot", "stack", "stream", "subnet", "table", "taskid", "tg", "topic", "user", "uuid", "volume", "vpc"}

// compile cuts text at the names in braces. Braces that belong to the JSON itself never hold a bare lower-case word.
func compile(text string) template {
	var out template
	held := ""
	for {
		before, rest, found := strings.Cut(text, "{")
		held += before
		if !found {
			if held != "" {
				out = append(out, piece{held, none})
			}
			return out
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz") != "" {
			held += "{"
			text = rest
			continue
		}
		gap := slices.Index(names, name)
		if gap == none {
			panic("demo: a template names {" + name + "}, which nothing fills")
		}
		out = append(out, piece{held, gap})
		held, text = "", after
	}
}

// filling fills the gaps of one call's templates; a name keeps its value for the whole call.
type filling struct {
	r      *rand.Rand
	values []string // by index into names, "" where it is not drawn yet
}

// begin forgets the last call.
func (f *filling) begin(account, region string) {
	if f.values == nil {
		f.values = make([]string, len(names))
	}
	clear(f.values)
	f.set("account", account)
	f.set("region", region)
}

func (f *filling) set(name, value string) { f.values[slices.Index(names, name)] = value }

// append adds t to dst with its gaps filled.
func (f *filling) append(dst []byte, t template) []byte {
	for _, p := range t {
		dst = append(dst, p.text...)
		if p.gap != none {
			dst = append(dst, f.value(p.gap)...)
		}
	}
	return dst
}

func (f *filling) value(gap int) string {
	if f.values[gap] == "" {
		f.values[gap] = f.draw(names[gap])
	}
	return f.values[gap]
}

func (f *filling) named(name string) string { return f.value(slices.Index(names, name)) }

func (f *filling) draw(name string) string {
	if pool, ok := pools[name]; ok {
		return pool[f.r.IntN(len(pool))]
	}
	switch name {
	case "uuid":
		return string(appendUUID(nil, f.r))
	case "number":
		return strconv.Itoa(100 + f.r.IntN(900))
	case "build":
		return strconv.Itoa(4000 + f.r.IntN(400))
	case "size":
		return strconv.Itoa(400 + 50*f.r.IntN(200))
	case "snapshot":
		return "snap-0" + letters(f.r, hexes, 8) + "a1b2c3d4"
	case "key":
		return f.named("prefix") + "2026/part-" + strconv.Itoa(1000+f.r.IntN(3000)) + ".json.gz"
	case "stream":
		return "2026/[$LATEST]" + letters(f.r, hexes, 8)
	case "taskid":
		return "arn:aws:ecs:" + f.named("region") + ":" + f.named("account") + ":task/" + f.named("cluster") + "/" + letters(f.r, hexes, 8)
	case "tg":
		return "arn:aws:elasticloadbalancing:" + f.named("region") + ":" + f.named("account") + ":targetgroup/" + f.named("service") + "/73e2d6bc24d8a067"
	}
	panic("demo: nothing fills {" + name + "}")
}

const (
	mixed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	hexes = "0123456789abcdef"
)

// letters draws n characters of the alphabet.
func letters(r *rand.Rand, alphabet string, n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(out)
}

// appendUUID draws a random UUID.
func appendUUID(dst []byte, r *rand.Rand) []byte {
	high, low := r.Uint64(), r.Uint64()
	high = high&^0xf000 | 0x4000       // version 4
	low = low&^(3<<62) | uint64(2)<<62 // variant
	for i := range 32 {
		if i == 8 || i == 12 || i == 16 || i == 20 {
			dst = append(dst, '-')
		}
		bits := high
		if i >= 16 {
			bits = low
		}
		dst = append(dst, hexes[bits>>(60-4*(i%16))&0xf])
	}
	return dst
}
