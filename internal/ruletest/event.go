package ruletest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/enrich"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
	"github.com/tocsin-sec/tocsin/internal/normalize/cloudtrail"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/source/file"
)

// usualDelay is when an event of the past counts as stored, after it happened: as a scan has it.
const usualDelay = 5 * time.Minute

// layout is a layout of events.
type layout struct {
	name    string
	profile ecs.Profile
	set     *cloudtrail.CloudTrail
	enrich  func(*event.Event)
}

func profileNames() []string { return []string{"integration", "filebeat"} }

func layoutNamed(name string) layout {
	p, _ := cloudtrail.ProfileNamed(name)
	l := layout{name: name, profile: ecs.Integration, set: cloudtrail.New(cloudtrail.Options{Profile: p}), enrich: enrich.NewAgent().Enrich}
	if p == cloudtrail.Filebeat {
		l.profile = ecs.Filebeat
	}
	return l
}

// badEvent is what is wrong with an event.
type badEvent struct {
	spec *eventSpec
	err  error
}

func (b *badEvent) Error() string { return b.err.Error() }

// make makes the events of spec. Of an event that says neither its ID nor its time, those are id and now.
func (l layout) make(ctx context.Context, spec *eventSpec, id string, now time.Time, stream string) ([]*event.Event, error) {
	if spec.file != "" {
		return l.file(ctx, spec)
	}
	e, err := l.one(spec, id, now, stream)
	if err != nil {
		return nil, &badEvent{spec, err}
	}
	return []*event.Event{e}, nil
}

func (l layout) one(spec *eventSpec, id string, now time.Time, stream string) (*event.Event, error) {
	when := now
	if spec.when != nil {
		when = *spec.when
	}
	var e *event.Event
	switch spec.kind {
	case asCloudTrail:
		doc := spec.doc
		if spec.when != nil || doc.Member("eventTime").IsNull() {
			doc = put(doc, "eventTime", event.String(when.Format("2006-01-02T15:04:05.999Z")))
		}
		if spec.id != "" {
			id = spec.id
		}
		if spec.id != "" || doc.Member("eventID").IsNull() {
			doc = put(doc, "eventID", event.String(id))
		}
		var err error
		if e, err = l.set.Normalize(event.Raw{Data: doc.AppendJSON(nil)}, &normalize.Counts{}); err != nil {
			return nil, err
		}
		l.enrich(e)
		l.set.Finish(e)
		if spec.stream != "" {
			e.Stream = spec.stream
		}
	default:
		e = &event.Event{ID: id, Stream: stream}
		e.SetObject("", spec.doc, l.profile.Flattened)
		if spec.id != "" {
			e.ID = spec.id
		}
		if spec.when != nil || e.Get(plan.Timestamp).IsNull() {
			e.Set(plan.Timestamp, event.String(event.FormatTime(when)))
		}
	}
	for _, f := range spec.fields {
		e.Set(f.Key, f.Value)
	}
	if spec.kind != asCloudTrail {
		e.Stream = streamOf(spec, e, stream)
	}
	happened, timed := plan.TimeField{Primary: plan.Timestamp}.Of(e)
	if !timed {
		return nil, fmt.Errorf("@timestamp %q is no time", e.Text(plan.Timestamp))
	}
	switch {
	case spec.ingested != nil:
		e.Set(plan.Ingested, event.String(event.FormatTime(*spec.ingested)))
	case e.Get(plan.Ingested).IsNull():
		e.Set(plan.Ingested, event.String(event.FormatTime(happened.Add(usualDelay))))
	}
	return e, nil
}

// streamOf is the stream of an event that is ECS already: the one that the test names, that of its data_stream fields, or
// else.
func streamOf(spec *eventSpec, e *event.Event, otherwise string) string {
	kind, set, space := e.Text("data_stream.type"), e.Text("data_stream.dataset"), e.Text("data_stream.namespace")
	switch {
	case spec.stream != "":
		return spec.stream
	case kind != "" && set != "" && space != "":
		return kind + "-" + set + "-" + space
	}
	return otherwise
}

// streamFor is a stream that a rule with these patterns reads.
func streamFor(patterns []string) string {
	for _, p := range patterns {
		if !strings.HasPrefix(p, "-") {
			return strings.ReplaceAll(p, "*", "default")
		}
	}
	return "logs-test-default"
}

// file reads the CloudTrail records of a file, packed or not.
func (l layout) file(ctx context.Context, spec *eventSpec) ([]*event.Event, error) {
	r, err := file.Open(ctx, []string{spec.file}, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out []*event.Event
	for {
		o, err := r.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, &badEvent{spec, err}
		}
		err = l.set.Split(o.Body, o.Name, func(raw event.Raw) error {
			if len(out) == maxEvents {
				return errTooMany
			}
			e, err := l.set.Normalize(raw, &normalize.Counts{})
			if err != nil {
				return fmt.Errorf("the record at offset %d: %w", raw.Offset, err)
			}
			l.enrich(e)
			l.set.Finish(e)
			out = append(out, e)
			return nil
		})
		o.Body.Close()
		if err != nil {
			return nil, &badEvent{spec, err}
		}
	}
	if len(out) == 0 {
		return nil, &badEvent{spec, fmt.Errorf("%s holds no record", spec.file)}
	}
	return out, nil
}

var errTooMany = errors.New("the file holds too many events")
