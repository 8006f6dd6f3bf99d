package cloudtrail

import (
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// identity is what of a record's userIdentity is needed in more than one place.
type identity struct {
	kind        string // its type: IAMUser, AssumedRole …
	arn         string
	accessKeyID string
	invokedBy   string
	userName    event.Value
	principalID event.Value

	issuerARN      string
	issuerUserName event.Value

	behalfUserID  event.Value
	behalfStoreID string // the ARN of the identity store

	session string // the name of an assumed role's session, from the ARN
	service bool   // the actor is an AWS service
}

// identify reads userIdentity into fields of aws.cloudtrail.user_identity and into m.who. What only newer records have
// is Filebeat's neither.
func (m *mapper) identify(filebeat bool) {
	id := &m.who
	for _, k := range m.rec.userIdentity.Members() {
		v := k.Value
		switch k.Key {
		case "type":
			id.kind = v.Str()
			m.v[fCTIdentityType] = v
		case "userName":
			id.userName = v
		case "principalId":
			id.principalID = v
		case "arn":
			id.arn = v.Str()
			m.v[fCTIdentityARN] = v
		case "accountId":
			m.v[fCloudAccountID] = v
		case "accessKeyId":
			id.accessKeyID = v.Str()
			m.v[fCTIdentityAccessKeyID] = v
		case "invokedBy":
			id.invokedBy = v.Str()
			m.v[fCTIdentityInvokedBy] = v
		case "sessionContext":
			m.sessionContext(v, filebeat)
		default:
			if !filebeat {
				m.identifyMore(k.Key, v)
			}
		}
	}
	id.session = sessionName(id.arn)
	id.service = id.kind == "AWSService" || id.kind == "AssumedRole" && strings.Contains(id.issuerARN, serviceRolePath)
}

func (m *mapper) identifyMore(key string, v event.Value) {
	switch key {
	case "credentialId":
		m.v[fCTIdentityCredentialID] = v
	case "identityProvider":
		m.v[fCTIdentityIdentityProvider] = v
	case "invokedByDelegate":
		m.v[fCTIdentityInvokedByDelegateAccountID] = v.Member("accountId")
	case "inScopeOf":
		m.v[fCTIdentityInScopeOfIssuerType] = v.Member("issuerType")
		m.v[fCTIdentityInScopeOfCredentialsIssuedTo] = v.Member("credentialsIssuedTo")
		m.v[fCTIdentityInScopeOfSourceARN] = v.Member("sourceArn")
		m.v[fCTIdentityInScopeOfSourceAccount] = v.Member("sourceAccount")
	case "onBehalfOf":
		m.who.behalfUserID = v.Member("userId")
		m.who.behalfStoreID = v.Member("identityStoreArn").Str()
		m.v[fCTIdentityOnBehalfOfUserID] = m.who.behalfUserID
		m.v[fCTIdentityOnBehalfOfIdentityStoreARN] = v.Member("identityStoreArn")
	}
}

func (m *mapper) sessionContext(v event.Value, filebeat bool) {
	for _, k := range v.Members() {
		v := k.Value
		switch k.Key {
		case "attributes":
			m.v[fCTSessionMFAAuthenticated] = literalText(v.Member("mfaAuthenticated"))
			read := basicInstant
			if filebeat {
				read = instant
			}
			if at, ok := read(v.Member("creationDate")); ok { // anything else is dropped, as by both
				m.v[fCTSessionCreationDate] = event.String(at)
			}
		case "sessionIssuer":
			for _, k := range v.Members() {
				switch k.Key {
				case "type":
					m.v[fCTSessionSessionIssuerType] = k.Value
				case "principalId":
					m.v[fCTSessionSessionIssuerPrincipalID] = k.Value
				case "arn":
					m.who.issuerARN = k.Value.Str()
					m.v[fCTSessionSessionIssuerARN] = k.Value
				case "accountId":
					m.v[fCTSessionSessionIssuerAccountID] = k.Value
				case "userName":
					m.who.issuerUserName = k.Value
				}
			}
		default:
			if !filebeat {
				m.sessionMore(k.Key, v)
			}
		}
	}
}

func (m *mapper) sessionMore(key string, v event.Value) {
	switch key {
	case "ec2RoleDelivery":
		m.v[fCTSessionEC2RoleDelivery] = v
	case "sourceIdentity":
		m.v[fCTSessionSourceIdentity] = v
	case "assumedRoot":
		m.v[fCTSessionAssumedRoot] = truth(v)
	case "signInSessionArn":
		m.v[fCTSessionSignInSessionARN] = v
	case "webIdFederationData":
		m.v[fCTSessionWebIDFederationDataFederatedProvider] = v.Member("federatedProvider")
		m.v[fCTSessionWebIDFederationDataAttributes] = v.Member("attributes")
	}
}

// actor fills user.name, user.id and user.email, or service.name where the actor is an AWS service.
func (m *mapper) actor() {
	id := &m.who
	if id.service {
		name := id.invokedBy
		if name == "" {
			_, path, _ := strings.Cut(id.issuerARN, serviceRolePath)
			name, _, _ = strings.Cut(path, "/")
		}
		if name != "" {
			m.v[fServiceName] = event.String(name)
		}
		return
	}
	name := id.userName
	if (id.kind == "AssumedRole" || id.kind == "FederatedUser") && !id.issuerUserName.IsNull() {
		name = id.issuerUserName
	}
	if name.IsNull() && m.rec.eventName.Str() == "UserAuthentication" {
		if name = m.rec.additionalEventData.Member("UserName"); !name.IsNull() {
			m.rec.additionalEventData = m.java.without(m.rec.additionalEventData, "UserName")
		}
	}
	m.v[fUserName] = name
	m.v[fUserID] = id.principalID
	if id.principalID.IsNull() && id.kind == "IdentityCenterUser" {
		m.v[fUserID] = id.behalfUserID
	}
	switch {
	case strings.Contains(id.session, "@"):
		m.v[fUserEmail] = event.String(id.session)
	case strings.IndexByte(name.Str(), '@') > 0:
		m.v[fUserEmail] = name
	}
}

// serviceRolePath stands in the ARN of roles that AWS services own.
const serviceRolePath = ":role/aws-service-role/"

// resourceOf returns an ARN's part behind its fifth colon, which may hold more of them; "" for anything else.
func resourceOf(arn string) string {
	if !strings.HasPrefix(arn, "arn:") {
		return ""
	}
	rest := arn
	for range 5 {
		var found bool
		if _, rest, found = strings.Cut(rest, ":"); !found {
			return ""
		}
	}
	return rest
}

// sessionName returns the session in the ARN of an assumed role: arn:aws:sts::1:assumed-role/ROLE/SESSION.
func sessionName(arn string) string {
	path, ok := strings.CutPrefix(resourceOf(arn), "assumed-role/")
	if !ok {
		return ""
	}
	_, session, _ := strings.Cut(path, "/")
	return session
}
