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
	if c.opt.Profile == Filebeat {
		e.Set("ecs.version", filebeatVersion)
	} else {
		e.Set("data_stream.dataset", dataset)
		e.Set("data_stream.namespace", defaultSpace)
		e.Set("data_stream.type", logs)
		e.Set("event.dataset", dataset)
		e.Set("event.module", aws)
	}
	if c.opt.Live {
		return
	}
	if at := ingested(e); at != "" {
		e.Set("event.ingested", event.String(at))
	}
}

// ingested is when an event of the past would have been stored: when its object was delivered, where that is known, else
// the usual delay after it happened.
func ingested(e *event.Event) string {
	at := e.Source.Delivered
	if at.IsZero() {
		happened, ok := event.ParseTime(e.Text("@timestamp"))
		if !ok {
			return ""
		}
		if at = happened.Add(usualDelay); at.Year() > 9999 {
			at = happened
		}
	}
	return event.FormatTime(at)
}
