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

// MaxLetters is how many letters one object leaves. What it holds of bad records besides is counted, by reason, in one record
// of the kind LeftOutKind, with the object as its ID: an object of nothing but bad records does not fill the store.
const (
	MaxLetters  = 10_000
	LeftOutKind = "dead_letters_left_out"
)

// LeftOut says how many records of an object were rejected that left no letter.
type LeftOut struct {
	Object   string           `json:"object"`
	Rejected map[string]int64 `json:"rejected"` // by reason
}

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

// letter is a dead letter on its way.
type letter struct {
	object, reason string
	record         store.RecordWrite
}

func deadLetter(raw event.Raw, err error) letter {
	// A file may be called anything; a store takes text alone.
	object := strings.ToValidUTF8(raw.Object, "\uFFFD")
	l := DeadLetter{Object: object, Offset: raw.Offset, Reason: internalError, Detail: err.Error(), Size: len(raw.Data)}
	var rejected *normalize.Rejected
	if errors.As(err, &rejected) {
		l.Reason, l.Detail = rejected.Reason, rejected.Detail
	}
	l.Begins, l.Detail = beginning(raw.Data), beginning([]byte(l.Detail))
	data, err := json.Marshal(l)
	if err != nil { // a struct of texts and numbers always encodes
		data = []byte("{}")
	}
	return letter{object, l.Reason, store.RecordWrite{Kind: DeadLetterKind, ID: fmt.Sprintf("%s@%020d", object, raw.Offset), Data: data}}
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

// letters tells letters of one object with one ID apart, by their order, and keeps the first of them.
type letters struct {
	object string
	kept   int
	left   map[string]int64 // by reason; nil: none
	told   bool             // left is written as it is

	id    string
	again int
}

// take returns the record of a letter; false where its object has left enough of them. What an earlier object left out must
// have been written before.
func (l *letters) take(in letter) (w store.RecordWrite, keep bool) {
	if in.object != l.object {
		*l = letters{object: in.object}
	}
	if l.kept == MaxLetters {
		if l.left == nil {
			l.left = map[string]int64{}
		}
		l.left[in.reason]++
		l.told = false
		return w, false
	}
	l.kept++
	w = in.record
	if w.ID != l.id {
		l.id, l.again = w.ID, 0
		return w, true
	}
	l.again++
	w.ID = fmt.Sprintf("%s+%d", w.ID, l.again)
	return w, true
}

// leftOut returns the record of what was left out so far; false where there is nothing new to write.
func (l *letters) leftOut() (w store.RecordWrite, some bool) {
	if len(l.left) == 0 || l.told {
		return w, false
	}
	l.told = true
	data, err := json.Marshal(LeftOut{l.object, l.left})
	if err != nil { // texts and numbers always encode
		data = []byte("{}")
	}
	return store.RecordWrite{Kind: LeftOutKind, ID: l.object, Data: data}, true
}
