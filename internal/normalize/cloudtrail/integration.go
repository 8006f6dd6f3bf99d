package cloudtrail

import (
	"net/netip"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

var (
	aws         = event.String("aws")
	eventKind   = event.String("event")
	ecsVersion  = event.String("8.11.0")
	amazonAWS   = ".amazonaws.com"
	flattenable = 32766 // the length from which a parameter's text keeps its tree from being flattened
)

// integration maps the record as Elastic's AWS integration does.
func (m *mapper) integration() {
	r := &m.rec
	m.v[fECSVersion] = ecsVersion
	m.v[fCloudProvider] = aws
	m.direct()
	m.v[fCTSharedEventID] = first(r.sharedEventID, r.sharedEventId)
	m.v[fCTManagementEvent] = literalText(r.managementEvent)
	m.v[fCTReadOnly] = truth(r.readOnly)
	m.v[fCTSessionCredentialFromConsole] = literalText(r.sessionCredential)
	m.v[fCTVPCEndpointAccountID] = r.vpcEndpointAccountID
	m.v[fCTAddendumReason] = r.addendum.Member("reason")
	m.v[fCTAddendumUpdatedFields] = r.addendum.Member("updatedFields")
	m.v[fCTAddendumOriginalRequestID] = r.addendum.Member("originalRequestID")
	m.v[fCTAddendumOriginalEventID] = r.addendum.Member("originalEventID")
	m.v[fCTResources] = m.resources()
	if name, ok := strings.CutSuffix(r.eventSource.Str(), amazonAWS); ok && name != "" {
		m.v[fCloudServiceName] = event.String(name)
	}

	m.identify(false)
	m.v[fCloudAccountID] = first(m.v[fCloudAccountID], r.recipientAccountID, r.awsAccountID)
	m.actor()
	m.consoleLogin()
	m.changed()
	m.tls()
	m.v[fEventOutcome] = m.outcome()
	m.categorise(false)
	if r.isDigest() {
		m.digest()
	}
	if m.c.opt.Retain != RetainNone && r.insightDetails.Kind() == event.KindObject {
		m.v[fCTFlattenedInsightDetails] = r.insightDetails
	}
	m.relate()
	if m.c.entities && !r.eventName.IsNull() {
		m.entities()
	}
	// Last, because actor may take a name out of additionalEventData.
	m.parameter(r.requestParameters, fCTRequestParameters, fCTFlattenedRequestParameters)
	m.parameter(r.responseElements, fCTResponseElements, fCTFlattenedResponseElements)
	m.parameter(r.additionalEventData, fCTAdditionalEventdata, fCTFlattenedAdditionalEventdata)
	m.parameter(r.serviceEventDetails, fCTServiceEventDetails, fCTFlattenedServiceEventDetails)
}

// direct fills the fields that take their value as it is, in both profiles.
func (m *mapper) direct() {
	r := &m.rec
	m.v[fEventKind] = eventKind
	m.v[fCTEventVersion] = r.eventVersion
	m.v[fCTEventCategory] = r.eventCategory
	m.v[fEventProvider] = r.eventSource
	m.v[fEventAction] = r.eventName
	m.v[fCloudRegion] = r.awsRegion
	m.v[fSourceAddress] = r.sourceIPAddress
	if isIP(r.sourceIPAddress) {
		m.v[fSourceIP] = r.sourceIPAddress
	}
	m.v[fUserAgentOriginal] = r.userAgent
	m.v[fCTErrorCode] = r.errorCode
	m.v[fCTErrorMessage] = r.errorMessage
	m.v[fCTRequestID] = r.requestID
	m.v[fEventID] = r.eventID
	m.v[fCTEventType] = r.eventType
	m.v[fCTAPIVersion] = r.apiVersion
	m.v[fCTRecipientAccountID] = r.recipientAccountID
	m.v[fCTVPCEndpointID] = r.vpcEndpointID
}

func isIP(v event.Value) bool {
	a, err := netip.ParseAddr(v.Str())
	return err == nil && a.Zone() == ""
}

// first returns the first of values that is not null.
func first(values ...event.Value) event.Value {
	for _, v := range values {
		if !v.IsNull() {
			return v
		}
	}
	return event.Value{}
}

// minimalKeys are the keys that RetainMinimal leaves of each parameter.
var minimalKeys = map[field][]string{
	fCTFlattenedAdditionalEventdata: {"SSEApplied"},
	fCTFlattenedRequestParameters: {"cidrIp", "dryRun", "fromPort", "includeDeprecated", "policyArn", "serialNumber",
		"withDecryption", "x-amz-server-side-encryption-customer-algorithm"},
}

// parameter keeps v as text, and as a tree where it is an object whose text is not too long.
func (m *mapper) parameter(v event.Value, text, tree field) {
	retain := m.c.opt.Retain
	if v.IsNull() || retain == RetainNone {
		return
	}
	s := m.java.print(v)
	if retain != RetainFlattened {
		m.v[text] = event.String(s)
	}
	if v.Kind() != event.KindObject || retain == RetainKeyword || len(s) >= flattenable && utf16Len(s) >= flattenable {
		return
	}
	if retain == RetainMinimal {
		v = only(v, minimalKeys[tree])
	}
	m.v[tree] = v
}

// only returns the object v with the members of keys alone; null where none is left.
func only(v event.Value, keys []string) event.Value {
	var left []event.Member
	for _, k := range keys {
		if kept := v.Member(k); !kept.IsNull() {
			left = append(left, event.Member{Key: k, Value: kept})
		}
	}
	if left == nil {
		return event.Value{}
	}
	return event.Object(left...)
}

// resources renames the keys of each resource and drops those that come twice. Their order is that of a HashMap whose
// keys hold ARN, account and type.
func (m *mapper) resources() event.Value {
	items := m.rec.resources.Items()
	if len(items) == 0 {
		return m.rec.resources
	}
	found := make([]event.Member, 0, len(items))
	var places map[string]int // in found, by key
	if len(items) > 1 {
		places = make(map[string]int, len(items))
	}
	for _, item := range items {
		if item.Kind() != event.KindObject {
			return m.rec.resources
		}
		resource, key := renameResource(item)
		if at, twice := places[key]; twice {
			found[at].Value = resource
			continue
		}
		if places != nil {
			places[key] = len(found)
		}
		found = append(found, event.Member{Key: key, Value: resource})
	}
	list := make([]event.Value, len(found))
	for i, at := range m.java.ordered(found) {
		list[i] = found[at].Value
	}
	return event.List(list...)
}

func renameResource(item event.Value) (resource event.Value, key string) {
	members := item.Members()
	out := make([]event.Member, len(members))
	arn, account, kind := "null", "null", "null"
	for i, k := range members {
		switch k.Key {
		case "ARN", "arn":
			k.Key, arn = "arn", k.Value.Text()
		case "accountId":
			k.Key, account = "account_id", k.Value.Text()
		case "type":
			kind = k.Value.Text()
		}
		out[i] = k
	}
	return event.Object(out...), arn + "_" + account + "_" + kind
}

// consoleLogin says what is special about signing in to the console.
func (m *mapper) consoleLogin() {
	if m.rec.eventName.Str() != "ConsoleLogin" {
		return
	}
	extra := m.rec.additionalEventData
	if v := extra.Member("MobileVersion"); !v.IsNull() {
		m.v[fCTConsoleMobileVersion] = event.Bool(v.Str() != "No")
	}
	m.v[fCTConsoleLoginTo] = extra.Member("LoginTo")
	if v := extra.Member("MFAUsed"); !v.IsNull() {
		m.v[fCTConsoleMFAUsed] = event.Bool(v.Str() != "No")
	}
}

// changed names the group or the user that a call concerned.
func (m *mapper) changed() {
	ask, got := m.rec.requestParameters, m.rec.responseElements
	m.v[fGroupID] = got.At("group", "groupId")
	m.v[fGroupName] = ask.Member("groupName")
	m.v[fUserTargetID] = got.At("user", "userId")
	m.v[fUserTargetName] = ask.Member("userName")
	m.v[fUserChangesName] = ask.Member("newUserName")
}

func (m *mapper) tls() {
	details := m.rec.tlsDetails
	version := details.Member("tlsVersion")
	if details.IsNull() || version.Str() == "tlsVersion" { // a placeholder, met in records that say nothing else either
		return
	}
	m.v[fTLSVersion] = version
	if protocol, number, ok := strings.Cut(version.Str(), "v"); ok {
		m.v[fTLSVersionProtocol] = event.String(strings.ToLower(protocol))
		m.v[fTLSVersion] = event.String(number)
	}
	m.v[fTLSCipher] = details.Member("cipherSuite")
	m.v[fTLSClientServerName] = details.Member("clientProvidedHostHeader")
	m.v[fCTTLSDetailsKeyExchange] = details.Member("keyExchange")
}
