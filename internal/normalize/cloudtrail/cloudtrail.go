// Package cloudtrail turns AWS CloudTrail records into ECS events, field by field as Elastic's AWS integration does, or
// as Filebeat's aws module did, and finds the records in every shape that CloudTrail files come in.
//
// It looks nothing up: places, networks and user agents are package enrich's work. It keeps no state between records.
// What it had to infer where the specification is silent stands in docs/cloudtrail-inferred.md.
//
//	ct := cloudtrail.New(cloudtrail.Options{})
//	e, err := ct.Normalize(raw, &counts)
//	e.Text("event.action") // "GetCallerIdentity"
package cloudtrail

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
)

// Profile says whose field layout events get.
type Profile uint8

// The profiles.
const (
	Integration Profile = iota // Elastic's AWS integration: logs-aws.cloudtrail-*
	Filebeat                   // Filebeat's aws module: filebeat-*
)

// ProfileNamed returns the profile that is called name: integration or filebeat.
func ProfileNamed(name string) (Profile, bool) {
	switch name {
	case "integration":
		return Integration, true
	case "filebeat":
		return Filebeat, true
	}
	return 0, false
}

// Retain says in which forms the integration keeps the parameters of a call (requestParameters, responseElements,
// additionalEventData, serviceEventDetails): as one text each, and as a tree below aws.cloudtrail.flattened.
type Retain uint8

// The forms.
const (
	RetainAll       Retain = iota // both
	RetainKeyword                 // the texts, and the trees of digests and Insights
	RetainMinimal                 // the texts, those trees, and a few keys of the others
	RetainFlattened               // the trees
	RetainNone                    // nothing
)

// Options says what events look like. The zero Options is the integration's layout with everything kept, as a scan of
// past files wants it.
type Options struct {
	Profile Profile
	Retain  Retain // ignored by Filebeat, which keeps all

	// PreserveOriginal puts the record's text into event.original. It is always kept as the event's Source.
	PreserveOriginal bool

	// Tags replaces the profile's tags where it is not nil.
	Tags []string

	// ReadAt is when the records count as read: event.created, and the time of records without an eventTime. Where it
	// is zero, event.created is left out and such records are rejected.
	ReadAt time.Time

	// Live leaves event.ingested to the store's stamp. Otherwise Finish sets it from the object's delivery.
	Live bool
}

// CloudTrail is the data set. It implements normalize.DataSet.
type CloudTrail struct {
	opt      Options
	tags     event.Value
	readAt   event.Value
	entities bool      // actors and targets are wanted
	pool     sync.Pool // of *scratch
}

var _ normalize.DataSet = (*CloudTrail)(nil)

// New returns the data set with opt.
func New(opt Options) *CloudTrail {
	c := &CloudTrail{opt: opt}
	if opt.Profile == Filebeat {
		c.opt.Retain = RetainAll
	}
	tags := opt.Tags
	if tags == nil {
		tags = defaultTags(opt)
	}
	if len(tags) > 0 {
		c.tags = event.Strings(tags...)
	}
	c.entities = slices.Contains(tags, entityTag)
	if !opt.ReadAt.IsZero() {
		c.readAt = event.String(opt.ReadAt.UTC().Format(time.RFC3339Nano))
	}
	c.pool.New = func() any { return &scratch{parser: event.Parser{MaxValues: normalize.MaxValues}} }
	return c
}

// entityTag among an integration's tags asks for the fields of actors and targets.
const entityTag = "actor_target_mapping"

func defaultTags(opt Options) []string {
	if opt.Profile == Filebeat {
		return []string{"forwarded"}
	}
	tags := []string{"forwarded", "aws-cloudtrail", entityTag}
	if opt.PreserveOriginal {
		tags = append([]string{"preserve_original_event"}, tags...)
	}
	return tags
}

// Name is "aws.cloudtrail".
func (c *CloudTrail) Name() string { return "aws.cloudtrail" }

// Normalize turns one record into one event: see normalize.DataSet. Records of versions and with keys that nobody has
// described are mapped as far as their keys are known; values of unexpected types stand where the expected ones would.
func (c *CloudTrail) Normalize(raw event.Raw, counts *normalize.Counts) (*event.Event, error) {
	scratch := c.pool.Get().(*scratch)
	defer c.pool.Put(scratch)
	counts.Records++
	root, duplicates, bad := normalize.ParseObject(&scratch.parser, raw.Data)
	counts.DuplicateKeys += int64(duplicates)
	if bad != nil {
		return nil, counts.Reject(bad.Reason, bad.Detail)
	}
	m := mapper{c: c, scratch: scratch}
	e, found := m.event(raw, root)
	if e == nil {
		return nil, counts.Reject(normalize.NoEventTime, found)
	}
	counts.Events++
	return e, nil
}

// mapper normalises one record. It lives on the stack, where filling and clearing its fields costs least.
type mapper struct {
	c   *CloudTrail
	v   [fields]event.Value // what has been found
	rec record
	who identity
	*scratch
}

// scratch is what is used again for the next record.
type scratch struct {
	parser         event.Parser
	java           javaText
	names, targets []string // of entities
}

// event maps root. It returns nil and what stood in the time's place where the record does not say when it happened.
func (m *mapper) event(raw event.Raw, root event.Value) (*event.Event, string) {
	filebeat := m.c.opt.Profile == Filebeat
	m.java.reset()
	m.rec.load(root, &m.java, !filebeat)
	at, ok := m.rec.time()
	if !ok {
		if !m.rec.eventTime.IsNull() || m.c.readAt.IsNull() {
			return nil, fmt.Sprintf("eventTime %.80q", m.rec.eventTime.Text())
		}
		at = m.c.readAt.Text()
	}
	m.v[fTimestamp] = event.String(at)
	m.v[fTags] = m.c.tags
	m.v[fEventCreated] = m.c.readAt
	if m.c.opt.PreserveOriginal {
		m.v[fEventOriginal] = event.String(strings.ToValidUTF8(string(raw.Data), "\uFFFD"))
	}
	if filebeat {
		m.filebeat(raw)
	} else {
		m.integration()
	}
	e := &event.Event{ID: m.id(raw), Source: raw, Stream: m.c.stream()}
	m.fill(e)
	return e, ""
}

// maxID is the length from which an eventID is no longer used as an identifier, in bytes.
const maxID = 512

func (m *mapper) id(raw event.Raw) string {
	if id := m.rec.eventID.Str(); id != "" && len(id) <= maxID {
		return id
	}
	return normalize.ContentID(raw.Data)
}
