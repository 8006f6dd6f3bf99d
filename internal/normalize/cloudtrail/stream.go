package cloudtrail

import (
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// The streams that events land in.
const (
	integrationStream = "logs-aws.cloudtrail-default"
	filebeatStream    = "filebeat-aws-default"
)

// usualDelay is how long after an event CloudTrail delivers it, as Amazon says: five minutes on average.
const usualDelay = 5 * time.Minute

var (
	logs            = event.String("logs")
	defaultSpace    = event.String("default")
	filebeatVersion = event.String("1.12.0")
)

func (c *CloudTrail) stream() string {
	if c.opt.Profile == Filebeat {
		return filebeatStream
	}
	return integrationStream
}

// Finish adds what the stream and the agent add to each document: data_stream.*, event.dataset and event.module for the
// integration, ecs.version for Filebeat, and, unless the data set is Live, event.ingested.
func (c *CloudTrail) Finish(e *event.Event) {
	at := event.Value{}
	if !c.opt.Live {
		at = ingested(e)
	}
	more := make([]event.Field, 0, 6) // sorted by path
	if c.opt.Profile == Filebeat {
		more = append(more, event.Field{Path: "ecs.version", Value: filebeatVersion})
	} else {
		more = append(more,
			event.Field{Path: "data_stream.dataset", Value: dataset},
			event.Field{Path: "data_stream.namespace", Value: defaultSpace},
			event.Field{Path: "data_stream.type", Value: logs},
			event.Field{Path: "event.dataset", Value: dataset})
	}
	if !at.IsNull() {
		more = append(more, event.Field{Path: "event.ingested", Value: at})
	}
	if c.opt.Profile == Integration {
		more = append(more, event.Field{Path: "event.module", Value: aws})
	}
	e.SetAll(more)
}

// ingested is when an event of the past would have been stored: when its object was delivered, where that is known, else
// the usual delay after it happened.
func ingested(e *event.Event) event.Value {
	at := e.Source.Delivered
	if at.IsZero() {
		happened, ok := event.ParseTime(e.Text("@timestamp"))
		if !ok {
			return event.Value{}
		}
		if at = happened.Add(usualDelay); at.Year() > 9999 {
			at = happened
		}
	}
	return event.String(event.FormatTime(at))
}
