package alert

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// QueryID is the ID of the alert that a rule raises on a document of its own: a document alerts once for each rule. index
// and id name the document (rule-execution.md §1.7; no search asks for versions, so the text in their place is fixed).
func QueryID(space, ruleUUID, index, id string) string {
	sum := sha256.Sum256([]byte(index + id + "undefined" + space + ":" + ruleUUID))
	return hex.EncodeToString(sum[:])
}

// NewTermsID is the ID of the alert that a rule raises on a tuple of values that is new. episode is the ID of the event
// in which the tuple was found: the same find gives the same alert, and a tuple that is new once more another one.
func NewTermsID(space, ruleUUID string, tuple store.Tuple, episode string) string {
	return framed("tocsin.new_terms", space, ruleUUID, string(tuple[:]), episode)
}

// framed hashes parts, each with its length before it, so that no two lists of parts are the same bytes.
func framed(parts ...string) string {
	h := sha256.New()
	var length [8]byte
	for _, p := range parts {
		binary.LittleEndian.PutUint64(length[:], uint64(len(p)))
		h.Write(length[:])
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}
