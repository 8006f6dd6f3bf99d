package rule

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
)

// ruleNamespace is the namespace of the UUIDs of rules: the version-5 UUID of the module's name as a URL.
const ruleNamespace = "b946b599-192d-5ead-a2b9-60853c7cd6bf"

// UUIDv5 returns the version-5 UUID (RFC 9562) of name within namespace, itself a UUID; a namespace that is none counts
// as the nil UUID.
func UUIDv5(namespace, name string) string {
	space, err := hex.DecodeString(strings.ReplaceAll(namespace, "-", ""))
	if err != nil || len(space) != 16 {
		space = make([]byte, 16)
	}
	sum := sha1.Sum(append(space, name...))
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	h := hex.EncodeToString(u)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
