package cloudtrail

import "github.com/tocsin-sec/tocsin/internal/event"

// field is one of the fields that normalising fills. Their order is that of their paths, so that an event's entries come
// out sorted without sorting.
type field uint8

// The fields; fCT… lie below aws.cloudtrail.
const (
	fTimestamp field = iota
	fActorEntityID
	fCTAddendumOriginalEventID
	fCTAddendumOriginalRequestID
	fCTAddendumReason
	fCTAddendumUpdatedFields
	fCTAdditionalEventdata
	fCTAPIVersion
	fCTConsoleLoginTo
	fCTConsoleMFAUsed
	fCTConsoleMobileVersion
	fCTDigestEndTime
	fCTDigestLogFiles
	fCTDigestNewestEventTime
	fCTDigestOldestEventTime
	fCTDigestPreviousHashAlgorithm
	fCTDigestPreviousS3Bucket
	fCTDigestPublicKeyFingerprint
	fCTDigestS3Bucket
	fCTDigestSignatureAlgorithm
	fCTDigestStartTime
	fCTErrorCode
	fCTErrorMessage
	fCTEventCategory
	fCTEventType
	fCTEventVersion
	fCTFlattenedAdditionalEventdata
	fCTFlattenedDigest
	fCTFlattenedInsightDetails
	fCTFlattenedRequestParameters
	fCTFlattenedResponseElements
	fCTFlattenedServiceEventDetails
	fCTInsightDetails
	fCTManagementEvent
	fCTReadOnly
	fCTRecipientAccountID
	fCTRequestID
	fCTRequestParameters
	fCTResources
	fCTResponseElements
	fCTServiceEventDetails
	fCTSessionCredentialFromConsole
	fCTSharedEventID
	fCTTLSDetailsKeyExchange
	fCTIdentityAccessKeyID
	fCTIdentityARN
	fCTIdentityCredentialID
	fCTIdentityIdentityProvider
	fCTIdentityInScopeOfCredentialsIssuedTo
	fCTIdentityInScopeOfIssuerType
	fCTIdentityInScopeOfSourceAccount
	fCTIdentityInScopeOfSourceARN
	fCTIdentityInvokedBy
	fCTIdentityInvokedByDelegateAccountID
	fCTIdentityOnBehalfOfIdentityStoreARN
	fCTIdentityOnBehalfOfUserID
	fCTSessionAssumedRoot
	fCTSessionCreationDate
	fCTSessionEC2RoleDelivery
	fCTSessionMFAAuthenticated
	fCTSessionSessionIssuerAccountID
	fCTSessionSessionIssuerARN
	fCTSessionSessionIssuerPrincipalID
	fCTSessionSessionIssuerType
	fCTSessionSignInSessionARN
	fCTSessionSourceIdentity
	fCTSessionWebIDFederationDataAttributes
	fCTSessionWebIDFederationDataFederatedProvider
	fCTIdentityType
	fCTVPCEndpointAccountID
	fCTVPCEndpointID
	fCloudAccountID
	fCloudProvider
	fCloudRegion
	fCloudServiceName
	fECSVersion
	fEntityID
	fEntityTargetID
	fEventAction
	fEventCategory
	fEventCreated
	fEventDataset
	fEventID
	fEventKind
	fEventModule
	fEventOriginal
	fEventOutcome
	fEventProvider
	fEventType
	fFileHashSHA256
	fFilePath
	fFilesetName
	fGroupID
	fGroupName
	fHostEntityID
	fHostTargetEntityID
	fHostTargetID
	fInputType
	fLogOffset
	fRelatedEntity
	fRelatedHash
	fRelatedHosts
	fRelatedIP
	fRelatedUser
	fServiceEntityID
	fServiceName
	fServiceTargetEntityID
	fServiceType
	fSourceAddress
	fSourceIP
	fTags
	fTargetEntityID
	fTLSCipher
	fTLSClientServerName
	fTLSVersion
	fTLSVersionProtocol
	fUserChangesName
	fUserEmail
	fUserEntityID
	fUserID
	fUserName
	fUserTargetEntityID
	fUserTargetID
	fUserTargetName
	fUserAgentOriginal

	fields = iota // how many there are
)

var paths = [fields]string{
	fTimestamp:                                     "@timestamp",
	fActorEntityID:                                 "actor.entity.id",
	fCTAddendumOriginalEventID:                     "aws.cloudtrail.addendum.original_event_id",
	fCTAddendumOriginalRequestID:                   "aws.cloudtrail.addendum.original_request_id",
	fCTAddendumReason:                              "aws.cloudtrail.addendum.reason",
	fCTAddendumUpdatedFields:                       "aws.cloudtrail.addendum.updated_fields",
	fCTAdditionalEventdata:                         "aws.cloudtrail.additional_eventdata",
	fCTAPIVersion:                                  "aws.cloudtrail.api_version",
	fCTConsoleLoginTo:                              "aws.cloudtrail.console_login.additional_eventdata.login_to",
	fCTConsoleMFAUsed:                              "aws.cloudtrail.console_login.additional_eventdata.mfa_used",
	fCTConsoleMobileVersion:                        "aws.cloudtrail.console_login.additional_eventdata.mobile_version",
	fCTDigestEndTime:                               "aws.cloudtrail.digest.end_time",
	fCTDigestLogFiles:                              "aws.cloudtrail.digest.log_files",
	fCTDigestNewestEventTime:                       "aws.cloudtrail.digest.newest_event_time",
	fCTDigestOldestEventTime:                       "aws.cloudtrail.digest.oldest_event_time",
	fCTDigestPreviousHashAlgorithm:                 "aws.cloudtrail.digest.previous_hash_algorithm",
	fCTDigestPreviousS3Bucket:                      "aws.cloudtrail.digest.previous_s3_bucket",
	fCTDigestPublicKeyFingerprint:                  "aws.cloudtrail.digest.public_key_fingerprint",
	fCTDigestS3Bucket:                              "aws.cloudtrail.digest.s3_bucket",
	fCTDigestSignatureAlgorithm:                    "aws.cloudtrail.digest.signature_algorithm",
	fCTDigestStartTime:                             "aws.cloudtrail.digest.start_time",
	fCTErrorCode:                                   "aws.cloudtrail.error_code",
	fCTErrorMessage:                                "aws.cloudtrail.error_message",
	fCTEventCategory:                               "aws.cloudtrail.event_category",
	fCTEventType:                                   "aws.cloudtrail.event_type",
	fCTEventVersion:                                "aws.cloudtrail.event_version",
	fCTFlattenedAdditionalEventdata:                "aws.cloudtrail.flattened.additional_eventdata",
	fCTFlattenedDigest:                             "aws.cloudtrail.flattened.digest",
	fCTFlattenedInsightDetails:                     "aws.cloudtrail.flattened.insight_details",
	fCTFlattenedRequestParameters:                  "aws.cloudtrail.flattened.request_parameters",
	fCTFlattenedResponseElements:                   "aws.cloudtrail.flattened.response_elements",
	fCTFlattenedServiceEventDetails:                "aws.cloudtrail.flattened.service_event_details",
	fCTInsightDetails:                              "aws.cloudtrail.insight_details",
	fCTManagementEvent:                             "aws.cloudtrail.management_event",
	fCTReadOnly:                                    "aws.cloudtrail.read_only",
	fCTRecipientAccountID:                          "aws.cloudtrail.recipient_account_id",
	fCTRequestID:                                   "aws.cloudtrail.request_id",
	fCTRequestParameters:                           "aws.cloudtrail.request_parameters",
	fCTResources:                                   "aws.cloudtrail.resources",
	fCTResponseElements:                            "aws.cloudtrail.response_elements",
	fCTServiceEventDetails:                         "aws.cloudtrail.service_event_details",
	fCTSessionCredentialFromConsole:                "aws.cloudtrail.session_credential_from_console",
	fCTSharedEventID:                               "aws.cloudtrail.shared_event_id",
	fCTTLSDetailsKeyExchange:                       "aws.cloudtrail.tls_details.key_exchange",
	fCTIdentityAccessKeyID:                         "aws.cloudtrail.user_identity.access_key_id",
	fCTIdentityARN:                                 "aws.cloudtrail.user_identity.arn",
	fCTIdentityCredentialID:                        "aws.cloudtrail.user_identity.credential_id",
	fCTIdentityIdentityProvider:                    "aws.cloudtrail.user_identity.identity_provider",
	fCTIdentityInScopeOfCredentialsIssuedTo:        "aws.cloudtrail.user_identity.in_scope_of.credentials_issued_to",
	fCTIdentityInScopeOfIssuerType:                 "aws.cloudtrail.user_identity.in_scope_of.issuer_type",
	fCTIdentityInScopeOfSourceAccount:              "aws.cloudtrail.user_identity.in_scope_of.source_account",
	fCTIdentityInScopeOfSourceARN:                  "aws.cloudtrail.user_identity.in_scope_of.source_arn",
	fCTIdentityInvokedBy:                           "aws.cloudtrail.user_identity.invoked_by",
	fCTIdentityInvokedByDelegateAccountID:          "aws.cloudtrail.user_identity.invoked_by_delegate.account_id",
	fCTIdentityOnBehalfOfIdentityStoreARN:          "aws.cloudtrail.user_identity.on_behalf_of.identity_store_arn",
	fCTIdentityOnBehalfOfUserID:                    "aws.cloudtrail.user_identity.on_behalf_of.user_id",
	fCTSessionAssumedRoot:                          "aws.cloudtrail.user_identity.session_context.assumed_root",
	fCTSessionCreationDate:                         "aws.cloudtrail.user_identity.session_context.creation_date",
	fCTSessionEC2RoleDelivery:                      "aws.cloudtrail.user_identity.session_context.ec2_role_delivery",
	fCTSessionMFAAuthenticated:                     "aws.cloudtrail.user_identity.session_context.mfa_authenticated",
	fCTSessionSessionIssuerAccountID:               "aws.cloudtrail.user_identity.session_context.session_issuer.account_id",
	fCTSessionSessionIssuerARN:                     "aws.cloudtrail.user_identity.session_context.session_issuer.arn",
	fCTSessionSessionIssuerPrincipalID:             "aws.cloudtrail.user_identity.session_context.session_issuer.principal_id",
	fCTSessionSessionIssuerType:                    "aws.cloudtrail.user_identity.session_context.session_issuer.type",
	fCTSessionSignInSessionARN:                     "aws.cloudtrail.user_identity.session_context.sign_in_session_arn",
	fCTSessionSourceIdentity:                       "aws.cloudtrail.user_identity.session_context.source_identity",
	fCTSessionWebIDFederationDataAttributes:        "aws.cloudtrail.user_identity.session_context.web_id_federation_data.attributes",
	fCTSessionWebIDFederationDataFederatedProvider: "aws.cloudtrail.user_identity.session_context.web_id_federation_data.federated_provider",
	fCTIdentityType:                                "aws.cloudtrail.user_identity.type",
	fCTVPCEndpointAccountID:                        "aws.cloudtrail.vpc_endpoint_account_id",
	fCTVPCEndpointID:                               "aws.cloudtrail.vpc_endpoint_id",
	fCloudAccountID:                                "cloud.account.id",
	fCloudProvider:                                 "cloud.provider",
	fCloudRegion:                                   "cloud.region",
	fCloudServiceName:                              "cloud.service.name",
	fECSVersion:                                    "ecs.version",
	fEntityID:                                      "entity.id",
	fEntityTargetID:                                "entity.target.id",
	fEventAction:                                   "event.action",
	fEventCategory:                                 "event.category",
	fEventCreated:                                  "event.created",
	fEventDataset:                                  "event.dataset",
	fEventID:                                       "event.id",
	fEventKind:                                     "event.kind",
	fEventModule:                                   "event.module",
	fEventOriginal:                                 "event.original",
	fEventOutcome:                                  "event.outcome",
	fEventProvider:                                 "event.provider",
	fEventType:                                     "event.type",
	fFileHashSHA256:                                "file.hash.sha256",
	fFilePath:                                      "file.path",
	fFilesetName:                                   "fileset.name",
	fGroupID:                                       "group.id",
	fGroupName:                                     "group.name",
	fHostEntityID:                                  "host.entity.id",
	fHostTargetEntityID:                            "host.target.entity.id",
	fHostTargetID:                                  "host.target.id",
	fInputType:                                     "input.type",
	fLogOffset:                                     "log.offset",
	fRelatedEntity:                                 "related.entity",
	fRelatedHash:                                   "related.hash",
	fRelatedHosts:                                  "related.hosts",
	fRelatedIP:                                     "related.ip",
	fRelatedUser:                                   "related.user",
	fServiceEntityID:                               "service.entity.id",
	fServiceName:                                   "service.name",
	fServiceTargetEntityID:                         "service.target.entity.id",
	fServiceType:                                   "service.type",
	fSourceAddress:                                 "source.address",
	fSourceIP:                                      "source.ip",
	fTags:                                          "tags",
	fTargetEntityID:                                "target.entity.id",
	fTLSCipher:                                     "tls.cipher",
	fTLSClientServerName:                           "tls.client.server_name",
	fTLSVersion:                                    "tls.version",
	fTLSVersionProtocol:                            "tls.version_protocol",
	fUserChangesName:                               "user.changes.name",
	fUserEmail:                                     "user.email",
	fUserEntityID:                                  "user.entity.id",
	fUserID:                                        "user.id",
	fUserName:                                      "user.name",
	fUserTargetEntityID:                            "user.target.entity.id",
	fUserTargetID:                                  "user.target.id",
	fUserTargetName:                                "user.target.name",
	fUserAgentOriginal:                             "user_agent.original",
}

// isTree reports whether objects in f stay one value; in all other fields their keys become paths.
func (f field) isTree() bool {
	switch f {
	case fCTFlattenedAdditionalEventdata, fCTFlattenedDigest, fCTFlattenedInsightDetails, fCTFlattenedRequestParameters,
		fCTFlattenedResponseElements, fCTFlattenedServiceEventDetails, fCTInsightDetails,
		fCTSessionWebIDFederationDataAttributes:
		return true
	}
	return false
}

// spare is how many fields enrichment and Finish add to an event, about.
const spare = 24

// fill gives e what m has found.
func (m *mapper) fill(e *event.Event) {
	n := 0
	for i := range m.v {
		if !m.v[i].IsNull() {
			n++
		}
	}
	entries := make([]event.Field, 0, n+spare)
	var objects []event.Field
	for i := range m.v {
		switch v := m.v[i]; {
		case v.IsNull():
		case v.Kind() == event.KindObject && !field(i).isTree(): // where a record has an object that nobody expects
			objects = append(objects, event.Field{Path: paths[i], Value: v})
		default:
			entries = append(entries, event.Field{Path: paths[i], Value: v})
		}
	}
	e.SetAll(entries)
	for _, o := range objects {
		if pathBytes(o.Value, len(o.Path), maxPaths) > 0 {
			e.SetObject(o.Path, o.Value, nil)
		}
	}
}

// maxPaths is how long the paths may be, in bytes, that an object where none is expected becomes; a longer one stands in
// the source alone. Deep nesting below long keys repeats these keys for each value.
const maxPaths = 64 << 10

// pathBytes returns what is left of budget when the paths of v's values, which begin with prefix bytes, are taken from it;
// less than 1 when it does not suffice.
func pathBytes(v event.Value, prefix, budget int) int {
	if v.Kind() != event.KindObject || len(v.Members()) == 0 {
		return budget - prefix
	}
	for _, m := range v.Members() {
		if budget = pathBytes(m.Value, prefix+1+len(m.Key), budget); budget < 1 {
			break
		}
	}
	return budget
}
