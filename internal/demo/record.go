package demo

import (
	"strings"
	"time"
)

// call is what one record says.
type call struct {
	at      time.Time
	user    []byte // userIdentity, JSON
	account string // of the recipient
	region  string
	source  string // event source without .amazonaws.com
	event   string
	ip      string
	agent   string
	code    string // of an error
	message string
	kind    string // eventType; "" is an API call

	request, response, extra, resources, details []byte // JSON; nil where there is none

	shared  string // sharedEventID
	host    string // that the caller asked for over TLS; "" where there is no TLS to tell of
	write   bool
	data    bool
	console bool // with the credentials of a console session
	id      string
}

const apiCall = "AwsApiCall"

// append writes the record in the order in which CloudTrail writes its fields. No text of the archive needs escaping.
func (c *call) append(dst []byte, requestID []byte) []byte {
	text := func(key, value string) {
		dst = append(dst, `,"`...)
		dst = append(dst, key...)
		dst = append(dst, `":"`...)
		dst = append(dst, value...)
		dst = append(dst, '"')
	}
	raw := func(key string, value []byte) {
		dst = append(dst, `,"`...)
		dst = append(dst, key...)
		dst = append(dst, `":`...)
		if value == nil {
			dst = append(dst, "null"...)
		} else {
			dst = append(dst, value...)
		}
	}
	flag := func(key string, value bool) {
		if value {
			raw(key, []byte("true"))
		} else {
			raw(key, []byte("false"))
		}
	}
	dst = append(dst, `{"eventVersion":"1.10"`...)
	raw("userIdentity", c.user)
	dst = append(dst, `,"eventTime":"`...)
	dst = appendStamp(dst, c.at)
	dst = append(dst, `","eventSource":"`...)
	dst = append(dst, c.source...)
	dst = append(dst, `.amazonaws.com"`...)
	text("eventName", c.event)
	text("awsRegion", c.region)
	text("sourceIPAddress", c.ip)
	dst = append(dst, `,"userAgent":"`...)
	if bracketed := c.source == "s3" && !strings.HasSuffix(c.agent, ".amazonaws.com"); bracketed {
		dst = append(append(append(dst, '['), c.agent...), ']')
	} else {
		dst = append(dst, c.agent...)
	}
	dst = append(dst, '"')
	if c.code != "" {
		text("errorCode", c.code)
	}
	if c.message != "" {
		text("errorMessage", c.message)
	}
	raw("requestParameters", c.request)
	raw("responseElements", c.response)
	if c.extra != nil {
		raw("additionalEventData", c.extra)
	}
	if c.kind == "" {
		text("requestID", string(requestID))
	}
	text("eventID", c.id)
	flag("readOnly", !c.write)
	if c.resources != nil {
		raw("resources", c.resources)
	}
	if c.kind == "" {
		text("eventType", apiCall)
	} else {
		text("eventType", c.kind)
	}
	flag("managementEvent", !c.data)
	text("recipientAccountId", c.account)
	if c.shared != "" {
		text("sharedEventID", c.shared)
	}
	if c.details != nil {
		raw("serviceEventDetails", c.details)
	}
	if c.data {
		text("eventCategory", "Data")
	} else {
		text("eventCategory", "Management")
	}
	if c.host != "" {
		dst = append(dst, `,"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"`...)
		dst = append(dst, c.host...)
		dst = append(dst, `"}`...)
	}
	if c.console {
		text("sessionCredentialFromConsole", "true")
	}
	return append(dst, '}')
}

// appendStamp writes a time as CloudTrail does: whole seconds, UTC.
func appendStamp(dst []byte, t time.Time) []byte { return t.AppendFormat(dst, "2006-01-02T15:04:05Z") }

func stamp(t time.Time) string { return string(appendStamp(nil, t)) }
