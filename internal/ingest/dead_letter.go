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
// record that is read again takes the place of its earlier letter. Records that came in one text, and share its offset,
// are told apart by +1, +2 … behind it.
const DeadLetterKind = "dead_letter"

// MaxLetter is how many bytes of a rejected record its dead letter keeps.
const MaxLetter = 4 << 10

// DeadLetter is a rejected record.
type DeadLetter struct {
	Object string `json:"object"`
	Offset int64  `json:"offset"`
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"` // cut like Begins
	Size   int    `json:"size"`
	// Begins holds the first MaxLetter bytes, invalid UTF-8 replaced.
	Begins string `json:"begins"`
}

func deadLetter(raw event.Raw, err error) store.RecordWrite {
	// A file may be called anything; a store takes text alone.
	object := strings.ToValidUTF8(raw.Object, "\uFFFD")
	letter := DeadLetter{Object: object, Offset: raw.Offset, Reason: internalError, Detail: err.Error(), Size: len(raw.Data)}
	var rejected *normalize.Rejected
	if errors.As(err, &rejected) {
		letter.Reason, letter.Detail = rejected.Reason, rejected.Detail
	}
	letter.Begins, letter.Detail = beginning(raw.Data), beginning([]byte(letter.Detail))
	data, err := json.Marshal(letter)
	if err != nil { // a struct of texts and numbers always encodes
		data = []byte("{}")
	}
	return store.RecordWrite{Kind: DeadLetterKind, ID: fmt.Sprintf("%s@%020d", object, raw.Offset), Data: data}
}

// beginning is the first MaxLetter bytes of text, whole characters, invalid UTF-8 replaced.
func beginning(text []byte) string {
	if len(text) > MaxLetter {
		text = text[:MaxLetter]
		for n := MaxLetter - 1; n >= MaxLetter-utf8.UTFMax; n-- {
			if utf8.RuneStart(text[n]) {
				if !utf8.FullRune(text[n:]) {
					text = text[:n]
				}
				break
			}
		}
	}
	return strings.ToValidUTF8(string(text), "\uFFFD")
}

// letters tells letters with one ID apart, by their order.
type letters struct {
	id    string
	again int
}

func (l *letters) distinct(w store.RecordWrite) store.RecordWrite {
	if w.ID != l.id {
		l.id, l.again = w.ID, 0
		return w
	}
	l.again++
	w.ID = fmt.Sprintf("%s+%d", w.ID, l.again)
	return w
}
