package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// DeadLetterKind is the kind of the records that hold what was rejected, one a record; the ID is object@offset, so a
// record that is read again takes the place of its earlier letter.
const DeadLetterKind = "dead_letter"

// MaxLetter is how many bytes of a rejected record its dead letter keeps.
const MaxLetter = 4 << 10

// DeadLetter is a rejected record.
type DeadLetter struct {
	Object string `json:"object"`
	Offset int64  `json:"offset"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
	Size   int    `json:"size"`
	// Begins holds the first MaxLetter bytes, invalid UTF-8 replaced.
	Begins string `json:"begins"`
}

func deadLetter(raw event.Raw, err error) store.RecordWrite {
	letter := DeadLetter{Object: raw.Object, Offset: raw.Offset, Reason: internalError, Detail: err.Error(), Size: len(raw.Data)}
	var rejected *normalize.Rejected
	if errors.As(err, &rejected) {
		letter.Reason, letter.Detail = rejected.Reason, rejected.Detail
	}
	begins := raw.Data
	if len(begins) > MaxLetter {
		begins = begins[:MaxLetter]
		for len(begins) > MaxLetter-utf8.UTFMax && !utf8.Valid(begins) && !utf8.RuneStart(begins[len(begins)-1]) {
			begins = begins[:len(begins)-1]
		}
	}
	letter.Begins = strings.ToValidUTF8(string(begins), "\uFFFD")
	data, err := json.Marshal(letter)
	if err != nil { // a struct of texts and numbers always encodes
		data = []byte("{}")
	}
	return store.RecordWrite{Kind: DeadLetterKind, ID: fmt.Sprintf("%s@%020d", raw.Object, raw.Offset), Data: data}
}
