package cloudtrail

import "github.com/tocsin-sec/tocsin/internal/event"

var (
	dataset   = event.String("aws.cloudtrail")
	fileset   = event.String("cloudtrail")
	inputType = event.String("log")
)

// filebeat maps the record as Filebeat's aws module does: nothing is cleaned, fewer keys are known, and what the module
// adds to each document stands in it from the beginning.
func (m *mapper) filebeat(raw event.Raw) {
	r := &m.rec
	m.v[fEventDataset] = dataset
	m.v[fEventModule] = aws
	m.v[fServiceType] = aws
	m.v[fFilesetName] = fileset
	m.v[fInputType] = inputType
	m.v[fLogOffset] = event.Int(raw.Offset)
	m.direct()
	m.v[fCTSharedEventID] = r.sharedEventId
	m.v[fCTManagementEvent] = r.managementEvent
	m.v[fCTReadOnly] = r.readOnly

	m.identify(true)
	m.v[fUserName] = first(m.who.userName, m.who.issuerUserName)
	m.v[fUserID] = m.who.principalID
	m.consoleLogin()
	m.changed()
	m.categorise(true)
	if r.isDigest() {
		m.v[fCloudAccountID] = r.awsAccountID
		m.filebeatDigest()
	} else {
		m.v[fEventOutcome] = m.outcome()
	}
	m.v[fCTInsightDetails] = r.insightDetails
	var users texts
	users.add(m.who.userName)
	users.add(r.requestParameters.Member("userName"))
	users.add(r.requestParameters.Member("newUserName"))
	m.v[fRelatedUser] = users.list()
	m.parameter(r.requestParameters, fCTRequestParameters, fCTFlattenedRequestParameters)
	m.parameter(r.responseElements, fCTResponseElements, fCTFlattenedResponseElements)
	m.parameter(r.additionalEventData, fCTAdditionalEventdata, fCTFlattenedAdditionalEventdata)
	m.parameter(r.serviceEventDetails, fCTServiceEventDetails, fCTFlattenedServiceEventDetails)
}
