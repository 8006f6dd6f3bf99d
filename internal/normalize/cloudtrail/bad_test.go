package cloudtrail

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
)

// rich is a record that holds every key that is mapped.
const rich = `{"eventVersion":"1.11","eventTime":"2026-03-01T12:00:00Z","eventSource":"ec2.amazonaws.com","eventName":"ConsoleLogin",
"awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.1","userAgent":"aws-cli/2","errorCode":"c","errorMessage":"m","requestID":"r","eventID":"e",
"eventType":"AwsApiCall","apiVersion":"v","managementEvent":true,"readOnly":false,"recipientAccountId":"1","sharedEventID":"s","sharedEventId":"s",
"eventCategory":"Management","vpcEndpointId":"v","vpcEndpointAccountId":"2","sessionCredentialFromConsole":"true","awsAccountId":"1",
"userIdentity":{"type":"AssumedRole","principalId":"p:s","arn":"arn:aws:sts::1:assumed-role/r/s@x","accountId":"1","accessKeyId":"k","userName":"u",
 "invokedBy":"i","credentialId":"c","identityProvider":"ip","invokedByDelegate":{"accountId":"3"},
 "inScopeOf":{"issuerType":"it","credentialsIssuedTo":"c","sourceArn":"a","sourceAccount":"4"},"onBehalfOf":{"userId":"b","identityStoreArn":"s"},
 "sessionContext":{"attributes":{"mfaAuthenticated":"false","creationDate":"2026-03-01T11:00:00Z"},"ec2RoleDelivery":"2.0","sourceIdentity":"si",
  "assumedRoot":"false","signInSessionArn":"a","sessionIssuer":{"type":"Role","principalId":"p","arn":"arn:aws:iam::1:role/r","accountId":"1","userName":"r"},
  "webIdFederationData":{"federatedProvider":"f","attributes":{"x":"y"}}}},
"requestParameters":{"userName":"u","newUserName":"n","groupName":"g","groupId":"sg-1","computerName":"c","instanceId":"i-0123456789","target":"i-0123456789",
 "instanceIds":["i-0123456789"],"instancesSet":{"items":[{"instanceId":"i-0123456789","imageId":"ami-1"}]},"targets":[{"key":"k","values":["v"]}]},
"responseElements":{"ConsoleLogin":"Success","group":{"groupId":"g"},"user":{"userId":"u"},"instancesSet":{"items":[{"instanceId":"i-1",
 "networkInterfaceSet":{"items":[{"networkInterfaceId":"eni-1","groupSet":{"items":[{"groupId":"sg-1"}]}}]}}]},
 "securityGroupRuleSet":{"items":[{"securityGroupRuleId":"sgr-1"}]}},
"additionalEventData":{"MobileVersion":"No","LoginTo":"l","MFAUsed":"No","UserName":"u"},"serviceEventDetails":{"sourceIpAddress":"192.0.2.2"},
"resources":[{"ARN":"arn:aws:s3:::b","accountId":"1","type":"AWS::S3::Bucket"},{"ARN":"arn:aws:ec2:r:1:instance/i-0123456789"}],
"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"c","clientProvidedHostHeader":"h.example.com","keyExchange":"k"},
"addendum":{"reason":"r","updatedFields":"u","originalRequestID":"r","originalEventID":"e"},"insightDetails":{"state":"Start"}}`

const richDigest = `{"awsAccountId":"1","digestStartTime":"2026-03-01T11:00:00Z","digestEndTime":"2026-03-01T12:00:00Z","digestS3Bucket":"b","digestS3Object":"o",
"digestPublicKeyFingerprint":"f","digestSignatureAlgorithm":"a","newestEventTime":"2026-03-01T11:10:00Z","oldestEventTime":"2026-03-01T11:05:00Z",
"previousDigestS3Bucket":"b","previousDigestS3Object":"o","previousDigestHashValue":"h","previousDigestHashAlgorithm":"a","previousDigestSignature":"s",
"logFiles":[{"s3Bucket":"b","s3Object":"o"}]}`

// everyOption returns data sets that together take every way through the mapping.
func everyOption() []*CloudTrail {
	return []*CloudTrail{
		New(Options{}), New(Options{Retain: RetainMinimal, PreserveOriginal: true}), New(Options{Retain: RetainNone, Tags: []string{}}),
		New(Options{Profile: Filebeat}),
	}
}

// unsound says what is wrong with an event whatever its record was, or nothing.
func unsound(e *event.Event) string {
	if e.ID == "" || e.Stream == "" {
		return fmt.Sprintf("ID %q, stream %q", e.ID, e.Stream)
	}
	for _, path := range []string{"@timestamp", "event.ingested"} {
		if _, ok := event.Coerce(event.Date, e.Get(path)); !ok {
			return fmt.Sprintf("%s is %q", path, e.Text(path))
		}
	}
	before := ""
	for _, f := range e.Fields() {
		switch {
		case f.Value.IsNull():
			return f.Path + " is null"
		case f.Path <= before && before != "":
			return fmt.Sprintf("%q stands behind %q", f.Path, before)
		case f.Value.Kind() == event.KindObject && len(f.Value.Members()) > 0 && !strings.Contains(f.Path, "flattened.") &&
			!strings.HasSuffix(f.Path, ".attributes") && f.Path != "aws.cloudtrail.insight_details":
			return "an object stands at " + f.Path
		}
		before = f.Path
	}
	if doc := e.AppendJSON(nil, nil); !json.Valid(doc) {
		return "not JSON: " + string(doc)
	}
	return ""
}

// wrongs is what stands in turn at every place of a record.
var wrongs = []string{`null`, `""`, `"-"`, `"text"`, `"2026-03-01T12:00:00Z"`, `"10.0.0.1"`, `0`, `-1.5e300`, `true`, `[]`, `{}`, `[null]`, `["x",["y"],{"z":1}]`,
	`{"a":{"b":"c"}}`, `{"":""}`, `{"a.b":1,"a":{"b":2}}`, `[{"a":1},{"a":[2]}]`, `"\u0000\ud800"`}

// eachWrong calls f with record, once for each of its values and each of wrongs, with the one in place of the other.
func eachWrong(t testing.TB, record string, f func(record []byte, place string)) {
	t.Helper()
	v, err := event.ParseJSON([]byte(record))
	if err != nil {
		t.Fatal(err)
	}
	var places []string
	var walk func(path string, v event.Value, rebuild func(string) string)
	walk = func(path string, v event.Value, rebuild func(string) string) {
		places = append(places, path)
		for _, w := range wrongs {
			f([]byte(rebuild(w)), path)
		}
		for i, m := range v.Members() {
			walk(path+"."+m.Key, m.Value, func(inner string) string {
				out := "{"
				for j, other := range v.Members() {
					if j > 0 {
						out += ","
					}
					key, _ := json.Marshal(other.Key)
					out += string(key) + ":"
					if i == j {
						out += inner
					} else {
						out += string(other.Value.AppendJSON(nil))
					}
				}
				return rebuild(out + "}")
			})
		}
		for i, item := range v.Items() {
			walk(fmt.Sprint(path, "[", i, "]"), item, func(inner string) string {
				out := "["
				for j, other := range v.Items() {
					if j > 0 {
						out += ","
					}
					if i == j {
						out += inner
					} else {
						out += string(other.AppendJSON(nil))
					}
				}
				return rebuild(out + "]")
			})
		}
	}
	walk("", v, func(inner string) string { return inner })
	if len(places) < 10 {
		t.Fatalf("%d places", len(places))
	}
}

func TestWrongTypesEverywhere(t *testing.T) {
	records, events := 0, 0
	for _, ct := range everyOption() {
		for _, record := range []string{rich, richDigest} {
			eachWrong(t, record, func(record []byte, place string) {
				records++
				var counts normalize.Counts
				e, err := ct.Normalize(event.Raw{Data: record}, &counts)
				if err != nil {
					var rejected *normalize.Rejected
					if !errors.As(err, &rejected) || place != "" && place != ".eventTime" && place != ".digestEndTime" {
						t.Errorf("%s: %v", place, err)
					}
					return
				}
				events++
				ct.Finish(e)
				if why := unsound(e); why != "" {
					t.Errorf("%s: %s: %s", place, why, record)
				}
			})
		}
	}
	t.Logf("%d records, %d events", records, events)
	if records < 8000 || events < records*9/10 {
		t.Errorf("%d of %d records became events", events, records)
	}
}

func TestRejections(t *testing.T) {
	var counts normalize.Counts
	ct := New(Options{})
	f := func(record, reason string) {
		t.Helper()
		before := counts.Rejected[reason]
		e, err := ct.Normalize(event.Raw{Data: []byte(record), Object: "o"}, &counts)
		var rejected *normalize.Rejected
		if e != nil || !errors.As(err, &rejected) || rejected.Reason != reason || counts.Rejected[reason] != before+1 {
			t.Errorf("%.60s: %v, %v, want %s", record, e, err, reason)
			return
		}
		if len(err.Error()) > 500 {
			t.Errorf("%.60s: an error of %d bytes", record, len(err.Error()))
		}
	}
	f(``, normalize.NotJSON)
	f(`{`, normalize.NotJSON)
	f(`{"eventTime":"2026-03-01T12:00:00Z"`, normalize.NotJSON)
	f(`{"eventTime":"2026-03-01T12:00:00Z"} x`, normalize.NotJSON)
	f(`{"eventTime":"2026-03-01T12:00:00Z"}{}`, normalize.NotJSON)
	f("{\"eventTime\":\"2026-03-01T12:00:00Z\",\"x\":\"a\nb\"}", normalize.NotJSON)
	f(strings.Repeat("x", 100_000), normalize.NotJSON)
	f(`[]`, normalize.NotAnObject)
	f(`"eventTime"`, normalize.NotAnObject)
	f(`7`, normalize.NotAnObject)
	f(`null`, normalize.NotAnObject)
	f(`"`+strings.Repeat("x", 100_000)+`"`, normalize.NotAnObject)
	f(`{}`, normalize.NoEventTime)
	f(`{"eventTime":null}`, normalize.NoEventTime)
	f(`{"eventTime":"`+strings.Repeat("x", 100_000)+`"}`, normalize.NoEventTime)
	f(`{"digestEndTime":"x","eventTime":"2026-03-01T12:00:00Z"}`, normalize.NoEventTime)
	f(`{"eventTime":"2026-03-01T12:00:00Z","x":`+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)+`}`, normalize.TooDeep)
	f(`{"eventTime":"2026-03-01T12:00:00Z","x":`+strings.Repeat(`{"a":`, 10_000)+`1`+strings.Repeat("}", 10_000)+`}`, normalize.TooDeep)
	f(strings.Repeat("[", 10_000_000), normalize.TooDeep)
	f(`{"eventTime":"2026-03-01T12:00:00Z","x":[`+strings.Repeat("0,", normalize.MaxValues)+`0]}`, normalize.TooMany)
	f(`{"eventTime":"2026-03-01T12:00:00Z","x":["`+"\xff"+`",`+strings.Repeat("{},", normalize.MaxValues)+`0]}`, normalize.TooMany)
	if counts.Records != 21 || counts.Events != 0 {
		t.Errorf("%d records, %d events", counts.Records, counts.Events)
	}
}

func TestClocks(t *testing.T) {
	var counts normalize.Counts
	ct := New(Options{})
	f := func(clock, want string) {
		t.Helper()
		e, err := ct.Normalize(event.Raw{Data: []byte(`{"eventTime":` + clock + `}`)}, &counts)
		got := "rejected"
		if err == nil {
			ct.Finish(e)
			got = e.Text("@timestamp") + " " + e.Text("event.ingested")
			if why := unsound(e); why != "" {
				t.Errorf("%s: %s", clock, why)
			}
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", clock, got, want)
		}
	}
	f(`"2026-03-01T12:00:00Z"`, "2026-03-01T12:00:00.000Z 2026-03-01T12:05:00.000Z")
	f(`"2026-03-01T12:00:00.123456Z"`, "2026-03-01T12:00:00.123Z 2026-03-01T12:05:00.123Z")
	f(`"2026-03-01T14:00:00+02:00"`, "2026-03-01T12:00:00.000Z 2026-03-01T12:05:00.000Z")
	f(`"2026-03-01"`, "2026-03-01T00:00:00.000Z 2026-03-01T00:05:00.000Z")
	f(`"0001-01-01T00:00:00Z"`, "0001-01-01T00:00:00.000Z 0001-01-01T00:05:00.000Z")
	f(`"1969-12-31T23:59:59Z"`, "1969-12-31T23:59:59.000Z 1970-01-01T00:04:59.000Z")
	f(`"9999-12-31T23:59:59Z"`, "9999-12-31T23:59:59.000Z 9999-12-31T23:59:59.000Z")
	f(`"9999-12-31T23:59:59-18:00"`, "rejected") // the year 10000
	f(`"0000-01-01T00:00:00+18:00"`, "rejected") // the year -1
	f(`"2026-02-29T12:00:00Z"`, "rejected")
	f(`"2026-13-01T12:00:00Z"`, "rejected")
	f(`"2026-03-01T25:00:00Z"`, "rejected")
	f(`"2026-03-01 12:00:00"`, "rejected")
	f(`"redacted"`, "rejected")
	f(`"..."`, "rejected")
	f(`""`, "rejected")
	f(`1772366400`, "rejected")
	f(`2026`, "rejected")
	f(`{}`, "rejected")
	f(`["2026-03-01T12:00:00Z"]`, "rejected")
}

func TestOddText(t *testing.T) {
	// Invalid UTF-8 becomes U+FFFD; the source keeps it.
	record := "{\"eventTime\":\"2026-03-01T12:00:00Z\",\"userAgent\":\"a\xff\xfeb\",\"requestParameters\":{\"k\xc3\":\"\\ud800\"}}"
	e := mapped(t, Options{}, record)
	check(t, e, "invalid UTF-8", "user_agent.original='a\uFFFD\uFFFDb'", "aws.cloudtrail.request_parameters='{k\uFFFD=\uFFFD}'")
	if string(e.Source.Data) != record {
		t.Errorf("the source is %q", e.Source.Data)
	}
	if doc := e.AppendJSON(nil, nil); bytes.Contains(doc, []byte{0xFF}) || !json.Valid(doc) {
		t.Errorf("the document is %q", doc)
	}

	// Of keys that come twice the last counts, at every depth, and each is counted.
	var counts normalize.Counts
	twice := `{"eventTime":"x","eventName":"A","eventTime":"2026-03-01T12:00:00Z","requestParameters":{"a":1,"b":2,"a":{"c":1,"c":2}},"eventName":"B"}`
	e, err := New(Options{}).Normalize(event.Raw{Data: []byte(twice)}, &counts)
	if err != nil {
		t.Fatal(err)
	}
	check(t, e, "duplicate keys", "event.action='B'", "aws.cloudtrail.request_parameters='{a={c=2}, b=2}'", "@timestamp='2026-03-01T12:00:00.000Z'")
	if diff := cmp.Diff(normalize.Counts{Records: 1, Events: 1, DuplicateKeys: 4}, counts); diff != "" {
		t.Error(diff)
	}

	// Versions and keys that nobody has described.
	check(t, mapped(t, Options{}, `{'eventVersion':'99.0','eventName':'X','edgeDeviceDetails':{'a':1},'somethingNew':[{}]}`), "an unknown version",
		"aws.cloudtrail.event_version='99.0'", "event.action='X'", "-somethingNew", "-edgeDeviceDetails")
	check(t, mapped(t, Options{}, `{'eventVersion':2,'userIdentity':'root','requestParameters':'text','resources':'r','tlsDetails':[1]}`), "other types",
		"aws.cloudtrail.event_version=2", "aws.cloudtrail.request_parameters='text'", "-aws.cloudtrail.flattened", "aws.cloudtrail.resources='r'", "-tls")
	// An object where a name belongs becomes paths, so that nothing is lost and every tree stands where trees are expected.
	check(t, mapped(t, Options{}, `{'userIdentity':{'userName':{'a':{'b':1}}}}`), "an object as a name", "user.name.a.b=1", "-user.email")
}

// TestUnexpectedObjects holds that an object where a text belongs does not take memory in the square of its size: this one
// would take 200 GB.
func TestUnexpectedObjects(t *testing.T) {
	wide := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"%d":1,`, i)
		}
		return "{" + b.String() + `"last":1}`
	}
	nested := func(depth, keyLength, n int) string {
		key := `{"` + strings.Repeat("k", keyLength) + `":`
		return strings.Repeat(key, depth) + wide(n) + strings.Repeat("}", depth)
	}
	f := func(object string, fields int) {
		t.Helper()
		before := len(mapped(t, Options{}, `{'userIdentity':{}}`).Fields())
		e := mapped(t, Options{}, `{'userIdentity':{'arn':`+object+`}}`)
		if got := len(e.Fields()) - before; got != fields {
			t.Errorf("%.40s: %d fields, want %d", object, got, fields)
		}
	}
	f(wide(9), 10)
	f(nested(5, 3, 9), 10)
	f(wide(10_000), 0)
	f(nested(900, 1000, 200_000), 0)
}

// TestLongLists holds that long lists take no quadratic time: these records would take minutes each.
func TestLongLists(t *testing.T) {
	list := func(format string) string {
		var b strings.Builder
		for i := range 100_000 {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for name, record := range map[string]string{
		"instances":  `"requestParameters":{"instanceIds":[` + list(`"i-%016d"`) + `]}`,
		"resources":  `"resources":[` + list(`{"ARN":"%d"}`) + `]`,
		"user names": `"requestParameters":{"userName":[` + list(`"u%d"`) + `]}`,
		"keys":       `"requestParameters":{` + list(`"k%d":""`) + `}`,
		"collisions": `"requestParameters":{` + list(`"%d\u0000":1`) + `}`,
		"name":       `"userIdentity":{"userName":[` + list(`{"k%d":1}`) + `]}`,
		"targets":    `"eventSource":"monitoring.amazonaws.com","eventName":"DeleteAlarms","requestParameters":{"alarmNames":[` + list(`"a%d"`) + `]}`,
	} {
		for _, opt := range []Options{{}, {Profile: Filebeat}} {
			e := mapped(t, opt, `{"eventTime":"2026-03-01T12:00:00Z",`+record+`}`)
			New(opt).Finish(e)
			if why := unsound(e); why != "" {
				t.Errorf("%s: %s", name, why)
			}
		}
	}
}
