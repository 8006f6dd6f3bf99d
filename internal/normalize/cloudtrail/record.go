package cloudtrail

import (
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// record is a CloudTrail record taken apart: its keys that are mapped.
type record struct {
	digestRoot event.Value // the whole record, where it is a digest

	addendum, additionalEventData, apiVersion, awsAccountID, awsRegion, digestEndTime, errorCode, errorMessage,
	eventCategory, eventID, eventName, eventSource, eventTime, eventType, eventVersion, insightDetails,
	managementEvent, readOnly, recipientAccountID, requestID, requestParameters, resources, responseElements,
	serviceEventDetails, sessionCredential, sharedEventID, sharedEventId, sourceIPAddress, tlsDetails, userAgent,
	userIdentity, vpcEndpointID, vpcEndpointAccountID event.Value
}

// load takes root apart; with clean, what the integration drops is left out.
func (r *record) load(root event.Value, j *javaText, clean bool) {
	for _, m := range root.Members() {
		to := r.at(m.Key)
		if to == nil {
			continue
		}
		v, keep := m.Value, true
		if clean {
			v, keep = j.clean(v)
		}
		if keep {
			*to = v
		}
	}
	if r.isDigest() {
		if r.digestRoot = root; clean {
			r.digestRoot, _ = j.clean(root)
		}
	}
}

// at returns where the value of key belongs, nil for keys that are not mapped.
func (r *record) at(key string) *event.Value {
	switch key {
	case "addendum":
		return &r.addendum
	case "additionalEventData":
		return &r.additionalEventData
	case "apiVersion":
		return &r.apiVersion
	case "awsAccountId":
		return &r.awsAccountID
	case "awsRegion":
		return &r.awsRegion
	case "digestEndTime":
		return &r.digestEndTime
	case "errorCode":
		return &r.errorCode
	case "errorMessage":
		return &r.errorMessage
	case "eventCategory":
		return &r.eventCategory
	case "eventID":
		return &r.eventID
	case "eventName":
		return &r.eventName
	case "eventSource":
		return &r.eventSource
	case "eventTime":
		return &r.eventTime
	case "eventType":
		return &r.eventType
	case "eventVersion":
		return &r.eventVersion
	case "insightDetails":
		return &r.insightDetails
	case "managementEvent":
		return &r.managementEvent
	case "readOnly":
		return &r.readOnly
	case "recipientAccountId":
		return &r.recipientAccountID
	case "requestID":
		return &r.requestID
	case "requestParameters":
		return &r.requestParameters
	case "resources":
		return &r.resources
	case "responseElements":
		return &r.responseElements
	case "serviceEventDetails":
		return &r.serviceEventDetails
	case "sessionCredentialFromConsole":
		return &r.sessionCredential
	case "sharedEventID":
		return &r.sharedEventID
	case "sharedEventId":
		return &r.sharedEventId
	case "sourceIPAddress":
		return &r.sourceIPAddress
	case "tlsDetails":
		return &r.tlsDetails
	case "userAgent":
		return &r.userAgent
	case "userIdentity":
		return &r.userIdentity
	case "vpcEndpointId":
		return &r.vpcEndpointID
	case "vpcEndpointAccountId":
		return &r.vpcEndpointAccountID
	}
	return nil
}

// isDigest reports whether the record is a digest file.
func (r *record) isDigest() bool { return !r.digestEndTime.IsNull() }

// time returns when the record says that it happened, as events carry it.
func (r *record) time() (string, bool) {
	if r.isDigest() {
		return instant(r.digestEndTime)
	}
	return instant(r.eventTime)
}

// instant prints a time in ISO 8601 as events carry it.
func instant(v event.Value) (string, bool) {
	s := v.Str()
	if len(s) == 20 && s[19] == 'Z' { // as CloudTrail writes it
		if _, ok := event.ParseTime(s); ok {
			return s[:19] + ".000Z", true
		}
		return "", false
	}
	t, ok := event.ParseTime(s)
	if t = t.UTC(); !ok || t.Year() < 0 || t.Year() > 9999 { // an offset can lead out of the years that have a text
		return "", false
	}
	return event.FormatTime(t), true
}

// basicInstant is instant for times that may also be written without separators, as in 20131102T010628Z.
func basicInstant(v event.Value) (string, bool) {
	if s, ok := instant(v); ok {
		return s, true
	}
	for _, layout := range [...]string{"20060102T150405Z0700", "20060102T150405.000Z0700"} {
		if t, err := time.Parse(layout, v.Str()); err == nil {
			return event.FormatTime(t), true
		}
	}
	return "", false
}

// truth reads a boolean, and texts that say one; anything else stays as it is.
func truth(v event.Value) event.Value {
	switch v.Str() {
	case "true":
		return event.Bool(true)
	case "false":
		return event.Bool(false)
	}
	return v
}

// literalText turns a number or a boolean into its text; anything else stays as it is.
func literalText(v event.Value) event.Value {
	if v.IsScalar() && v.Kind() != event.KindString {
		return event.String(v.Text())
	}
	return v
}
