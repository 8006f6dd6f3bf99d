package cloudtrail

import (
	"strings"
	"time"
)

// ObjectName is what the name of an object that CloudTrail delivered says about it.
type ObjectName struct {
	Kind      string    // CloudTrail, CloudTrail-Insight or CloudTrail-Digest
	Account   string    // the account whose activity it holds
	Region    string    // the region whose activity it holds
	Delivered time.Time // when it was delivered; to the minute, for digests to the second
}

// ParseObjectName reads names such as
//
//	AWSLogs/123456789012/CloudTrail/us-east-2/2024/05/06/123456789012_CloudTrail_us-east-2_20240506T0710Z_mDjmJ0YqPz4a8s1A.json.gz
//
// of which only the last element matters. False for any other name.
func ParseObjectName(name string) (ObjectName, bool) {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name, _, _ = strings.Cut(name, ".")
	parts := strings.Split(name, "_")
	if len(parts) < 4 {
		return ObjectName{}, false
	}
	o := ObjectName{Kind: parts[1], Account: parts[0], Region: parts[2]}
	at, layout := parts[3], "20060102T1504Z"
	switch o.Kind {
	case "CloudTrail", "CloudTrail-Insight":
	case "CloudTrail-Digest": // the trail's name, which may hold underscores, and its region stand between
		at, layout = parts[len(parts)-1], "20060102T150405Z"
	default:
		return ObjectName{}, false
	}
	t, err := time.Parse(layout, at)
	if err != nil {
		return ObjectName{}, false
	}
	o.Delivered = t
	return o, true
}

// Delivered returns when the object was delivered, as its name tells; the zero time for names that do not.
func Delivered(object string) time.Time {
	o, _ := ParseObjectName(object)
	return o.Delivered
}
