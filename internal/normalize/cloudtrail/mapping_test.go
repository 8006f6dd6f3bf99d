package cloudtrail

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/normalize"
)

// mapped normalises a record, written with ' for ", that needs no eventTime.
func mapped(t *testing.T, opt Options, record string) *event.Event {
	t.Helper()
	record = strings.ReplaceAll(record, "'", `"`)
	if !strings.Contains(record, "Time") {
		record = strings.Replace(record, "{", `{"eventTime":"2026-03-01T12:00:00Z",`, 1)
		record = strings.Replace(record, ",}", "}", 1)
	}
	var counts normalize.Counts
	e, err := New(opt).Normalize(event.Raw{Data: []byte(record), Object: "o"}, &counts)
	if err != nil {
		t.Fatalf("%s: %v", record, err)
	}
	return e
}

// check holds what an event says: each want is "path=JSON", or "-path" for a field that must not be there.
func check(t *testing.T, e *event.Event, about string, want ...string) {
	t.Helper()
	for _, w := range want {
		if path, absent := strings.CutPrefix(w, "-"); absent {
			for _, f := range e.Fields() {
				if f.Path == path || strings.HasPrefix(f.Path, path+".") {
					t.Errorf("%s: %s is %s, want nothing", about, f.Path, f.Value.AppendJSON(nil))
				}
			}
			continue
		}
		path, value, _ := strings.Cut(w, "=")
		got := strings.ReplaceAll(string(e.Get(path).AppendJSON(nil)), `"`, "'")
		if got != value {
			t.Errorf("%s: %s is %s, want %s", about, path, got, value)
		}
	}
}

func TestFieldsAreSortedAndDeclared(t *testing.T) {
	for i := 1; i < len(paths); i++ {
		if paths[i-1] >= paths[i] {
			t.Errorf("%s stands before %s", paths[i-1], paths[i])
		}
	}
	for i, path := range paths {
		f, ok := ecs.Integration.Lookup(path)
		if !ok {
			f, ok = ecs.Filebeat.Lookup(path)
		}
		if !ok && path != "aws.cloudtrail.resources" { // the catalogue declares its leaves
			t.Errorf("the catalogue does not know %s", path)
		}
		if ok && (f.Type == event.Flattened) != field(i).isTree() {
			t.Errorf("%s is %v in the catalogue, a tree here: %v", path, f.Type, field(i).isTree())
		}
	}
}

func TestIntegration(t *testing.T) {
	f := func(record string, want ...string) {
		t.Helper()
		check(t, mapped(t, Options{}, record), record, want...)
	}
	f(`{}`, "event.kind='event'", "event.outcome='success'", "event.type=['info']", "cloud.provider='aws'", "ecs.version='8.11.0'",
		"tags=['forwarded','aws-cloudtrail','actor_target_mapping']", "-event.category", "-event.created", "-event.original", "-user", "-related",
		"-aws")
	f(`{'eventVersion':'1.11','eventCategory':'Data','eventID':'x','requestID':'r','eventType':'AwsApiCall','apiVersion':'2006','awsRegion':'eu-west-1',
		'recipientAccountId':'1','vpcEndpointId':'vpce-1','vpcEndpointAccountId':'2','sharedEventID':'s'}`,
		"aws.cloudtrail.event_version='1.11'", "aws.cloudtrail.event_category='Data'", "event.id='x'", "aws.cloudtrail.request_id='r'",
		"aws.cloudtrail.event_type='AwsApiCall'", "aws.cloudtrail.api_version='2006'", "cloud.region='eu-west-1'", "cloud.account.id='1'",
		"aws.cloudtrail.recipient_account_id='1'", "aws.cloudtrail.vpc_endpoint_id='vpce-1'", "aws.cloudtrail.vpc_endpoint_account_id='2'",
		"aws.cloudtrail.shared_event_id='s'")
	f(`{'sharedEventId':'s'}`, "aws.cloudtrail.shared_event_id='s'")
	f(`{'managementEvent':true,'readOnly':'true','sessionCredentialFromConsole':true}`, "aws.cloudtrail.management_event='true'",
		"aws.cloudtrail.read_only=true", "aws.cloudtrail.session_credential_from_console='true'")
	f(`{'addendum':{'reason':'DELIVERY_DELAY','updatedFields':'a,b','originalRequestID':'r','originalEventID':'e'}}`,
		"aws.cloudtrail.addendum.reason='DELIVERY_DELAY'", "aws.cloudtrail.addendum.updated_fields='a,b'",
		"aws.cloudtrail.addendum.original_request_id='r'", "aws.cloudtrail.addendum.original_event_id='e'")

	// The service.
	f(`{'eventSource':'sts.amazonaws.com'}`, "event.provider='sts.amazonaws.com'", "cloud.service.name='sts'")
	f(`{'eventSource':'grafana'}`, "event.provider='grafana'", "-cloud.service.name")

	// The source.
	f(`{'sourceIPAddress':'192.0.2.1'}`, "source.address='192.0.2.1'", "source.ip='192.0.2.1'", "related.ip=['192.0.2.1']", "-related.hosts")
	f(`{'sourceIPAddress':'2001:db8::1'}`, "source.ip='2001:db8::1'")
	f(`{'sourceIPAddress':'AWS Internal'}`, "source.address='AWS Internal'", "-source.ip", "-related")
	f(`{'sourceIPAddress':'cloudformation.amazonaws.com'}`, "-source.ip", "-related")
	f(`{'sourceIPAddress':'host.example.com'}`, "-source.ip", "related.hosts=['host.example.com']")
	f(`{'sourceIPAddress':'192.0.2.1, 10.0.0.1'}`, "source.address='192.0.2.1, 10.0.0.1'", "-source.ip", "-related")
	f(`{'sourceIPAddress':'fe80::1%eth0'}`, "-source.ip")

	// What says nothing is dropped before anything is mapped.
	f(`{'errorCode':'','errorMessage':'-','userAgent':'none','requestParameters':{},'responseElements':[],'apiVersion':null}`,
		"event.outcome='success'", "-aws", "-user_agent")
	f(`{'requestParameters':{'a':'','b':[null,'-'],'c':{'d':'none','e':[{}]},'f':0,'g':false}}`,
		"aws.cloudtrail.request_parameters='{f=0, g=false}'", "aws.cloudtrail.flattened.request_parameters={'f':0,'g':false}")

	// Outcome, category, type.
	f(`{'errorCode':'AccessDenied'}`, "event.outcome='failure'", "aws.cloudtrail.error_code='AccessDenied'")
	f(`{'errorMessage':'no'}`, "event.outcome='failure'", "aws.cloudtrail.error_message='no'")
	f(`{'errorCode':'200'}`, "event.outcome='failure'")
	f(`{'eventName':'ConsoleLogin','responseElements':{'ConsoleLogin':'Failure'}}`, "event.outcome='failure'", "event.category=['authentication']")
	f(`{'eventName':'ConsoleLogin','errorCode':'x','responseElements':{'ConsoleLogin':'Success'}}`, "event.outcome='success'")
	f(`{'eventName':'ConsoleLogin','errorMessage':'x'}`, "event.outcome='failure'", "-aws.cloudtrail.console_login")
	f(`{'eventName':'ConsoleLogin','additionalEventData':{'MFAUsed':'Yes','MobileVersion':'No','LoginTo':'l'}}`,
		"aws.cloudtrail.console_login.additional_eventdata.mfa_used=true", "aws.cloudtrail.console_login.additional_eventdata.login_to='l'",
		"aws.cloudtrail.console_login.additional_eventdata.mobile_version=false")
	f(`{'eventName':'GetUser','additionalEventData':{'MFAUsed':'Yes'}}`, "-aws.cloudtrail.console_login", "event.category=['iam']", "event.type=['user','info']")
	f(`{'eventName':'ListFunctions20150331'}`, "-event.category", "event.type=['info']")
	f(`{'eventName':'SendCommand'}`, "event.category=['process']", "event.type=['start']")

	// TLS.
	f(`{'tlsDetails':{'tlsVersion':'TLSv1.3','cipherSuite':'c','clientProvidedHostHeader':'h.example.com','keyExchange':'x25519'}}`,
		"tls.version_protocol='tls'", "tls.version='1.3'", "tls.cipher='c'", "tls.client.server_name='h.example.com'",
		"aws.cloudtrail.tls_details.key_exchange='x25519'", "related.hosts=['h.example.com']")
	f(`{'tlsDetails':{'tlsVersion':'1.3'}}`, "tls.version='1.3'", "-tls.version_protocol")
	f(`{'tlsDetails':{'tlsVersion':'tlsVersion','cipherSuite':'c'}}`, "-tls")
	f(`{'tlsDetails':{'clientProvidedHostHeader':'sts.amazonaws.com'}}`, "tls.client.server_name='sts.amazonaws.com'", "-related.hosts")

	// Groups and users that a call concerns.
	f(`{'requestParameters':{'groupName':'g','userName':'u','newUserName':'n'},'responseElements':{'group':{'groupId':'gi'},'user':{'userId':'ui'}}}`,
		"group.name='g'", "group.id='gi'", "user.target.name='u'", "user.target.id='ui'", "user.changes.name='n'", "related.user=['u','n','ui']")

	// Hosts.
	f(`{'requestParameters':{'computerName':'c','instanceId':'i-0123456789','instanceIds':['i-1123456789','*','i-0123456789'],'target':'i-short'},
		'responseElements':{'resourceId':'i-2123456789','instancesSet':{'items':[{'instanceId':'i-3123456789'}]}},
		'resources':[{'ARN':'arn:aws:ec2:r:1:instance/i-4123456789','type':'t'}]}`,
		"related.hosts=['c','i-4123456789','i-0123456789','i-1123456789','i-2123456789','i-3123456789']")
	f(`{'serviceEventDetails':{'sourceIpAddress':'192.0.2.9'}}`, "related.ip=['192.0.2.9']",
		"aws.cloudtrail.service_event_details='{sourceIpAddress=192.0.2.9}'")

	// Resources: renamed, each once, in the order of a hash map.
	f(`{'resources':[{'ARN':'a','accountId':'1','type':'t','x':'y'},{'arn':'a','accountId':'1','type':'t'}]}`,
		"aws.cloudtrail.resources=[{'arn':'a','account_id':'1','type':'t'}]")
	f(`{'resources':{'ARN':'a'}}`, "aws.cloudtrail.resources.ARN='a'")
	f(`{'resources':['a',{'ARN':'b'}]}`, "aws.cloudtrail.resources=['a',{'ARN':'b'}]")

	// Insights.
	f(`{'eventType':'AwsCloudTrailInsight','insightDetails':{'state':'Start','x':{'y':[]}}}`,
		"aws.cloudtrail.flattened.insight_details={'state':'Start'}", "-event.action", "-related.entity")
}

func TestIdentity(t *testing.T) {
	f := func(identity string, want ...string) {
		t.Helper()
		check(t, mapped(t, Options{}, `{'eventName':'X','userIdentity':`+identity+`}`), identity, want...)
	}
	f(`{'type':'IAMUser','principalId':'AIDA','arn':'arn:aws:iam::1:user/ann','accountId':'1','accessKeyId':'AKIA','userName':'ann'}`,
		"user.name='ann'", "user.id='AIDA'", "aws.cloudtrail.user_identity.type='IAMUser'", "aws.cloudtrail.user_identity.arn='arn:aws:iam::1:user/ann'",
		"aws.cloudtrail.user_identity.access_key_id='AKIA'", "cloud.account.id='1'", "related.user=['AIDA','ann']", "-user.email",
		"actor.entity.id=['arn:aws:iam::1:user/ann']", "user.entity.id=['arn:aws:iam::1:user/ann']",
		"related.entity=['AKIA','ann','arn:aws:iam::1:user/ann']")
	f(`{'userName':'ann@example.com'}`, "user.email='ann@example.com'")
	f(`{'userName':'@ann'}`, "user.name='@ann'", "-user.email")

	// A role's name is the user's; its session is related.
	role := `'type':'AssumedRole','principalId':'AROA:s@x.org','arn':'arn:aws:sts::1:assumed-role/r/s@x.org','sessionContext':{'attributes':
		{'mfaAuthenticated':'true','creationDate':'2026-03-01T11:00:00Z'},'sessionIssuer':{'type':'Role','principalId':'AROA','arn':'arn:aws:iam::1:role/r',
		'accountId':'1','userName':'r'}}`
	f(`{`+role+`}`, "user.name='r'", "user.id='AROA:s@x.org'", "user.email='s@x.org'", "related.user=['s@x.org','s','AROA:s@x.org','r']",
		"aws.cloudtrail.user_identity.session_context.mfa_authenticated='true'",
		"aws.cloudtrail.user_identity.session_context.creation_date='2026-03-01T11:00:00.000Z'",
		"aws.cloudtrail.user_identity.session_context.session_issuer.type='Role'",
		"aws.cloudtrail.user_identity.session_context.session_issuer.principal_id='AROA'",
		"aws.cloudtrail.user_identity.session_context.session_issuer.arn='arn:aws:iam::1:role/r'",
		"aws.cloudtrail.user_identity.session_context.session_issuer.account_id='1'",
		"actor.entity.id=['arn:aws:sts::1:assumed-role/r/s@x.org']", "user.entity.id=['arn:aws:iam::1:role/r']")
	f(`{'type':'FederatedUser','principalId':'1:bob','arn':'arn:aws:sts::1:federated-user/bob','userName':'b','sessionContext':{'sessionIssuer':{'userName':'ann'}}}`,
		"user.name='ann'", "user.entity.id=['arn:aws:sts::1:federated-user/bob']", "-entity")
	f(`{'type':'Root','arn':'arn:aws:iam::1:root'}`, "user.entity.id=['arn:aws:iam::1:root']")
	f(`{'type':'SAMLUser','userName':'x','sessionContext':{'sessionIssuer':{'userName':'y'}},'identityProvider':'p','credentialId':'c'}`, "user.name='x'",
		"aws.cloudtrail.user_identity.identity_provider='p'", "aws.cloudtrail.user_identity.credential_id='c'", "-actor")

	// AWS services are not users.
	f(`{'type':'AWSService','invokedBy':'ec2.amazonaws.com','userName':'u','principalId':'p'}`, "service.name='ec2.amazonaws.com'", "-user", "-actor",
		"aws.cloudtrail.user_identity.invoked_by='ec2.amazonaws.com'")
	service := strings.ReplaceAll(role, "role/r'", "role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX'")
	f(`{`+service+`}`, "service.name='x.amazonaws.com'", "-user", "related.user=['s@x.org','s']",
		"service.entity.id=['arn:aws:sts::1:assumed-role/r/s@x.org']")
	f(`{`+service+`,'invokedBy':'y.amazonaws.com'}`, "service.name='y.amazonaws.com'")
	f(strings.ReplaceAll(`{`+service+`}`, "assumed-role/r/", "assumed-role/AWSServiceRoleForX/"),
		"service.entity.id=['arn:aws:sts::1:assumed-role/AWSServiceRoleForX/s@x.org']", "-user")

	f(`{'sessionContext':{'ec2RoleDelivery':'2.0','sourceIdentity':'me','assumedRoot':'true','signInSessionArn':'sa','attributes':{'creationDate':'20131102T010628Z',
		'mfaAuthenticated':false},'webIdFederationData':{'federatedProvider':'fp','attributes':{'a.b':'c'}}}}`,
		"aws.cloudtrail.user_identity.session_context.ec2_role_delivery='2.0'", "aws.cloudtrail.user_identity.session_context.source_identity='me'",
		"aws.cloudtrail.user_identity.session_context.assumed_root=true", "aws.cloudtrail.user_identity.session_context.sign_in_session_arn='sa'",
		"aws.cloudtrail.user_identity.session_context.creation_date='2013-11-02T01:06:28.000Z'",
		"aws.cloudtrail.user_identity.session_context.mfa_authenticated='false'",
		"aws.cloudtrail.user_identity.session_context.web_id_federation_data.federated_provider='fp'",
		"aws.cloudtrail.user_identity.session_context.web_id_federation_data.attributes={'a.b':'c'}")
	f(`{'sessionContext':{'attributes':{'creationDate':'yesterday'}}}`, "-aws")
	f(`{'invokedByDelegate':{'accountId':'9'},'inScopeOf':{'issuerType':'it','credentialsIssuedTo':'to','sourceArn':'sa','sourceAccount':'8'}}`,
		"aws.cloudtrail.user_identity.invoked_by_delegate.account_id='9'", "aws.cloudtrail.user_identity.in_scope_of.issuer_type='it'",
		"aws.cloudtrail.user_identity.in_scope_of.credentials_issued_to='to'", "aws.cloudtrail.user_identity.in_scope_of.source_arn='sa'",
		"aws.cloudtrail.user_identity.in_scope_of.source_account='8'")
	f(`{'type':'IdentityCenterUser','onBehalfOf':{'userId':'u','identityStoreArn':'is'}}`, "user.id='u'", "entity.id=['u']", "related.entity=['is']",
		"aws.cloudtrail.user_identity.on_behalf_of.user_id='u'", "aws.cloudtrail.user_identity.on_behalf_of.identity_store_arn='is'")

	// A name that only the additional data knows moves to the user.
	check(t, mapped(t, Options{}, `{'eventName':'UserAuthentication','additionalEventData':{'UserName':'u@x','b':1}}`), "UserAuthentication",
		"user.name='u@x'", "user.email='u@x'", "aws.cloudtrail.additional_eventdata='{b=1}'", "aws.cloudtrail.flattened.additional_eventdata={'b':1}")
	check(t, mapped(t, Options{}, `{'eventName':'Other','additionalEventData':{'UserName':'u@x'}}`), "Other", "-user",
		"aws.cloudtrail.additional_eventdata='{UserName=u@x}'")
}

func TestTargets(t *testing.T) {
	f := func(record string, want ...string) {
		t.Helper()
		check(t, mapped(t, Options{}, record), record, want...)
	}
	f(`{'eventSource':'rds.amazonaws.com','eventName':'DeleteDBInstance','requestParameters':{'dBInstanceIdentifier':'db1'}}`, "target.entity.id=['db1']",
		"entity.target.id=['db1']")
	f(`{'eventSource':'lambda.amazonaws.com','eventName':'ListFunctions20150331','recipientAccountId':'1'}`, "target.entity.id=['1']", "related.entity=['1']")
	f(`{'eventSource':'ssm.amazonaws.com','eventName':'SendCommand','recipientAccountId':'1','requestParameters':{'targets':[{'key':'k','values':['*']}]}}`,
		"target.entity.id=['1']")
	f(`{'eventSource':'ssm.amazonaws.com','eventName':'SendCommand','requestParameters':{'instanceIds':['i-2','i-1','i-1']}}`,
		"host.target.entity.id=['i-1','i-2']", "host.target.id=['i-1','i-2']")
	f(`{'eventSource':'ssm.amazonaws.com','eventName':'GetParameter','resources':[{'ARN':'arn:aws:ec2:r:1:instance/i-1'}]}`,
		"host.target.entity.id=['arn:aws:ec2:r:1:instance/i-1']", "host.target.id=['i-1']")
	f(`{'eventSource':'iam.amazonaws.com','eventName':'CreateAccessKey','responseElements':{'accessKey':{'accessKeyId':'AKIA5555555555555555'}},
		'requestParameters':{'userName':'ann'}}`, "user.target.entity.id=['AKIA5555555555555555']", "entity.target.id=['ann']")
	f(`{'eventSource':'sts.amazonaws.com','eventName':'AssumeRole','requestParameters':{'roleArn':'arn:aws:iam::1:role/aws-service-role/x/AWSServiceRoleForX'}}`,
		"service.target.entity.id=['arn:aws:iam::1:role/aws-service-role/x/AWSServiceRoleForX']", "-user")
	f(`{'eventSource':'ec2.amazonaws.com','eventName':'DeleteNetworkAclEntry','requestParameters':{'networkAclId':'acl-1','ruleNumber':100}}`,
		"target.entity.id=['100','acl-1']", "service.target.entity.id=['acl-1']", "entity.target.id=['100']")

	without := mapped(t, Options{Tags: []string{"forwarded"}}, `{'eventSource':'sts.amazonaws.com','eventName':'GetCallerIdentity','recipientAccountId':'1',
		'userIdentity':{'type':'Root','arn':'arn:aws:iam::1:root'}}`)
	check(t, without, "no tag", "-actor", "-target", "-entity", "-user.entity", "-related.entity", "tags=['forwarded']")
}

func TestRetain(t *testing.T) {
	record := `{'requestParameters':{'cidrIp':'c','x':1},'responseElements':{'cidrIp':'c'},'additionalEventData':{'SSEApplied':'s','x':1},
		'serviceEventDetails':{'x':1},'insightDetails':{'i':1}}`
	const text, tree = "aws.cloudtrail.", "aws.cloudtrail.flattened."
	f := func(retain Retain, want ...string) {
		t.Helper()
		check(t, mapped(t, Options{Retain: retain}, record), fmt.Sprint("retain ", retain), want...)
	}
	f(RetainAll, text+"request_parameters='{x=1, cidrIp=c}'", text+"response_elements='{cidrIp=c}'", text+"service_event_details='{x=1}'",
		tree+"request_parameters={'cidrIp':'c','x':1}", tree+"response_elements={'cidrIp':'c'}", tree+"insight_details={'i':1}",
		tree+"additional_eventdata={'SSEApplied':'s','x':1}", tree+"service_event_details={'x':1}")
	f(RetainKeyword, text+"request_parameters='{x=1, cidrIp=c}'", "-"+tree+"request_parameters", "-"+tree+"response_elements",
		tree+"insight_details={'i':1}")
	f(RetainMinimal, text+"response_elements='{cidrIp=c}'", tree+"request_parameters={'cidrIp':'c'}", "-"+tree+"response_elements",
		tree+"additional_eventdata={'SSEApplied':'s'}", "-"+tree+"service_event_details", tree+"insight_details={'i':1}")
	f(RetainFlattened, "-"+text+"request_parameters", tree+"request_parameters={'cidrIp':'c','x':1}", tree+"insight_details={'i':1}")
	f(RetainNone, "-aws")

	// A tree is kept while its text, in Java's length, is shorter than what Lucene takes.
	long := func(n int, rune string) *event.Event {
		return mapped(t, Options{}, `{'requestParameters':{'k':'`+strings.Repeat(rune, n)+`'}}`)
	}
	has := func(e *event.Event) bool { return !e.Get(tree + "request_parameters").IsNull() }
	for _, c := range []struct {
		e    *event.Event
		want bool
	}{
		{long(32761, "x"), true}, // 32,765 with {k=}
		{long(32762, "x"), false},
		{long(16380, "😀"), true}, // two units each
		{long(16381, "😀"), false},
		{long(32761, "é"), true},
	} {
		if has(c.e) != c.want || c.e.Get(text+"request_parameters").IsNull() {
			t.Errorf("a text of %d bytes: tree %v, want %v", len(c.e.Text(text+"request_parameters")), has(c.e), c.want)
		}
	}
}

func TestFilebeat(t *testing.T) {
	f := func(record string, want ...string) {
		t.Helper()
		check(t, mapped(t, Options{Profile: Filebeat, Retain: RetainNone}, record), record, want...)
	}
	f(`{'eventName':'GetCallerIdentity','eventSource':'sts.amazonaws.com','recipientAccountId':'1','sharedEventID':'s','readOnly':true,'managementEvent':false,
		'tlsDetails':{'tlsVersion':'TLSv1.3'},'resources':[{'ARN':'a'}],'vpcEndpointId':'v','sourceIPAddress':'192.0.2.1'}`,
		"event.type='info'", "-event.category", "-cloud", "-tls", "-aws.cloudtrail.resources", "-aws.cloudtrail.shared_event_id", "-related",
		"aws.cloudtrail.read_only=true", "aws.cloudtrail.management_event=false", "aws.cloudtrail.vpc_endpoint_id='v'", "event.outcome='success'",
		"event.dataset='aws.cloudtrail'", "event.module='aws'", "service.type='aws'", "fileset.name='cloudtrail'", "input.type='log'", "log.offset=0",
		"tags=['forwarded']", "source.ip='192.0.2.1'", "-ecs", "-data_stream")
	f(`{'sharedEventId':'s','errorCode':''}`, "aws.cloudtrail.shared_event_id='s'", "event.outcome='failure'")
	f(`{'requestParameters':{'a':null,'b':'','c':[],'userName':'u'},'userIdentity':{'userName':'n','accountId':'1'}}`,
		"aws.cloudtrail.request_parameters='{a=null, b=, c=[], userName=u}'",
		"aws.cloudtrail.flattened.request_parameters={'a':null,'b':'','c':[],'userName':'u'}", "related.user=['n','u']", "cloud.account.id='1'")
	f(`{'userIdentity':{'type':'SAMLUser','sessionContext':{'sessionIssuer':{'userName':'i'},'sourceIdentity':'s'},'onBehalfOf':{'userId':'o'}}}`,
		"user.name='i'", "-user.id", "-aws.cloudtrail.user_identity.session_context", "-aws.cloudtrail.user_identity.on_behalf_of")
	f(`{'eventName':'AssumeRole','insightDetails':{'a':[]}}`, "event.category=['authentication']", "event.type=['info']",
		"aws.cloudtrail.insight_details={'a':[]}", "-actor")
	f(`{'digestEndTime':'2026-03-01T12:00:00Z','digestStartTime':'2026-03-01T11:00:00Z','awsAccountId':'1','previousDigestSignature':'p','publicKeyFingerprint':'f'}`,
		"@timestamp='2026-03-01T12:00:00.000Z'", "aws.cloudtrail.digest.start_time='2026-03-01T11:00:00.000Z'", "file.hash.sha256='p'", "cloud.account.id='1'",
		"-event.outcome", "aws.cloudtrail.digest.public_key_fingerprint='f'")
}

func TestFinish(t *testing.T) {
	f := func(opt Options, raw event.Raw, want ...string) {
		t.Helper()
		var counts normalize.Counts
		ct := New(opt)
		e, err := ct.Normalize(raw, &counts)
		if err != nil {
			t.Fatal(err)
		}
		check(t, e, "before Finish", "-data_stream", "-event.ingested")
		ct.Finish(e)
		check(t, e, string(raw.Data), want...)
	}
	raw := event.Raw{Data: []byte(`{"eventTime":"2026-03-01T12:00:00Z"}`)}
	f(Options{}, raw, "data_stream.type='logs'", "data_stream.dataset='aws.cloudtrail'", "data_stream.namespace='default'", "event.dataset='aws.cloudtrail'",
		"event.module='aws'", "event.ingested='2026-03-01T12:05:00.000Z'", "ecs.version='8.11.0'")
	f(Options{Profile: Filebeat}, raw, "-data_stream", "ecs.version='1.12.0'", "event.dataset='aws.cloudtrail'", "event.ingested='2026-03-01T12:05:00.000Z'")
	f(Options{Live: true}, raw, "-event.ingested", "data_stream.type='logs'")
	delivered := raw
	delivered.Delivered = time.Date(2026, 3, 1, 12, 10, 0, 0, time.UTC)
	f(Options{}, delivered, "event.ingested='2026-03-01T12:10:00.000Z'")
	f(Options{}, event.Raw{Data: []byte(`{"eventTime":"9999-12-31T23:59:59Z"}`)}, "event.ingested='9999-12-31T23:59:59.000Z'")

	if e := mapped(t, Options{}, `{}`); e.Stream != "logs-aws.cloudtrail-default" {
		t.Error(e.Stream)
	}
	if e := mapped(t, Options{Profile: Filebeat}, `{}`); e.Stream != "filebeat-aws-default" {
		t.Error(e.Stream)
	}
}

func TestID(t *testing.T) {
	f := func(record, want string) {
		t.Helper()
		if got := mapped(t, Options{}, record).ID; got != want {
			t.Errorf("%.60s: ID %q, want %q", record, got, want)
		}
	}
	f(`{'eventID':'x'}`, "x")
	hashed := func(record string) {
		t.Helper()
		if e := mapped(t, Options{}, record); !strings.HasPrefix(e.ID, "sha256:") || len(e.ID) != 39 {
			t.Errorf("%.60s: ID %q", record, e.ID)
		}
	}
	hashed(`{}`)
	hashed(`{'eventID':''}`)
	hashed(`{'eventID':7}`)
	hashed(`{'eventID':'` + strings.Repeat("x", 513) + `'}`)
	if a, b := mapped(t, Options{}, `{'a':1}`), mapped(t, Options{}, `{'a':2}`); a.ID == b.ID {
		t.Errorf("two records have the ID %s", a.ID)
	}
}

func TestOptions(t *testing.T) {
	at := time.Date(2026, 3, 2, 1, 2, 3, 456789000, time.FixedZone("", 3600))
	opt := Options{PreserveOriginal: true, ReadAt: at}
	check(t, mapped(t, opt, `{'eventTime':'2026-03-01T12:00:00Z'}`), "options", "event.created='2026-03-02T00:02:03.456789Z'",
		"tags=['preserve_original_event','forwarded','aws-cloudtrail','actor_target_mapping']", "@timestamp='2026-03-01T12:00:00.000Z'")
	if got := mapped(t, opt, "{'eventTime':'2026-03-01T12:00:00Z','x':'\xff'}").Text("event.original"); got != "{\"eventTime\":\"2026-03-01T12:00:00Z\",\"x\":\"\uFFFD\"}" {
		t.Error(got)
	}
	var counts normalize.Counts
	e, err := New(opt).Normalize(event.Raw{Data: []byte(`{}`)}, &counts)
	if err != nil {
		t.Fatal(err)
	}
	check(t, e, "no eventTime, but read at", "@timestamp='2026-03-02T00:02:03.456789Z'")
	for name, want := range map[string]bool{"integration": true, "filebeat": true, "ocsf": false, "": false} {
		if _, ok := ProfileNamed(name); ok != want {
			t.Errorf("profile %q: %v", name, ok)
		}
	}
}

func TestDigest(t *testing.T) {
	digest := `{'digestEndTime':'2026-03-01T12:00:00Z','digestStartTime':'2026-03-01T11:00:00Z','awsAccountId':'1','digestS3Object':'o','digestS3Bucket':'b',
		'digestPublicKeyFingerprint':'f','digestSignatureAlgorithm':'SHA256withRSA','newestEventTime':null,'previousDigestHashValue':'h','logFiles':[]}`
	check(t, mapped(t, Options{}, digest), "digest", "@timestamp='2026-03-01T12:00:00.000Z'", "file.path='o'", "related.hash=['h']", "cloud.account.id='1'",
		"event.outcome='success'", "event.type=['info']", "-event.action",
		"aws.cloudtrail.flattened.digest={'start_time':'2026-03-01T11:00:00.000Z','end_time':'2026-03-01T12:00:00.000Z','s3_bucket':'b',"+
			"'signature_algorithm':'SHA256withRSA','public_key_fingerprint':'f','previous_hash_value':'h'}")
	check(t, mapped(t, Options{Retain: RetainNone}, digest), "digest, nothing retained", "-aws", "file.path='o'")
	check(t, mapped(t, Options{Retain: RetainKeyword}, `{'digestEndTime':'2026-03-01T12:00:00Z','publicKeyFingerprint':'g'}`), "digest, other key",
		"aws.cloudtrail.flattened.digest={'end_time':'2026-03-01T12:00:00.000Z','public_key_fingerprint':'g'}")
}

func TestJavaText(t *testing.T) {
	f := func(parameters, want string) {
		t.Helper()
		e := mapped(t, Options{Profile: Filebeat}, `{'requestParameters':`+parameters+`}`)
		if diff := cmp.Diff(want, e.Text("aws.cloudtrail.request_parameters")); diff != "" {
			t.Error(parameters, diff)
		}
	}
	f(`{'quotaCode':'L-1','serviceCode':'ec2'}`, "{serviceCode=ec2, quotaCode=L-1}")
	f(`{'expiration':'e','sessionToken':'s','accessKeyId':'a'}`, "{accessKeyId=a, sessionToken=s, expiration=e}")
	f(`{'key':'k','Host':'h','bucketName':'b'}`, "{bucketName=b, Host=h, key=k}")
	collide := "x-amz-server-side-encryption-aws-kms-key-id"
	f(`{'Host':'h','`+collide+`':'k'}`, "{Host=h, "+collide+"=k}")
	f(`{'`+collide+`':'k','Host':'h'}`, "{"+collide+"=k, Host=h}")
	f(`{'d':1,'c':2,'b':3,'a':4}`, "{a=4, b=3, c=2, d=1}")
	f(`{'é':1,'😀':2}`, "{😀=2, é=1}") // hashes of UTF-16 units: 0xE9 and 0x1B02FA, of which the low four bits count
	f(`['a','b c',{'x':['y',[]]}]`, "[a, b c, {x=[y, []]}]")
	f(`'a text'`, "a text")
	f(`{'n':[0,-1,9223372036854775808,123456789012345678901234567890,-0]}`, "{n=[0, -1, 9223372036854775808, 123456789012345678901234567890, 0]}")
	f(`{'n':[0.0,-0.0,1.0,1e10,123456.5,1e7,12345678.9,0.001,0.00012,1e-5,1.5e300,2e23,1e999]}`,
		"{n=[0.0, -0.0, 1.0, 1.0E10, 123456.5, 1.0E7, 1.23456789E7, 0.001, 1.2E-4, 1.0E-5, 1.5E300, 2.0E23, Infinity]}")
	f(`{'n':[true,false,null]}`, "{n=[true, false, null]}")

	// The number of buckets is what it was when the map was read: thirteen keys make it 32, cleaned or not.
	thirteen := ""
	for i := range 13 {
		thirteen += fmt.Sprintf(",'k%d':''", i)
	}
	e := mapped(t, Options{}, `{'requestParameters':{'P':1,'a':2`+thirteen+`}}`)
	check(t, e, "cleaned, 32 buckets", "aws.cloudtrail.request_parameters='{a=2, P=1}'") // P hashes to 80, a to 97
	e = mapped(t, Options{}, `{'requestParameters':{'a':2,'P':1}}`)
	check(t, e, "16 buckets", "aws.cloudtrail.request_parameters='{P=1, a=2}'")
}

// TestManyAtOnce normalises with one data set from several goroutines.
func TestManyAtOnce(t *testing.T) {
	ct := New(Options{})
	document := func() string {
		var counts normalize.Counts
		e, err := ct.Normalize(event.Raw{Data: []byte(rich)}, &counts)
		if err != nil {
			return err.Error()
		}
		ct.Finish(e)
		return string(e.AppendJSON(nil, nil))
	}
	want := document()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 200 {
				if got := document(); got != want {
					t.Error(cmp.Diff(want, got))
					return
				}
			}
		})
	}
	group.Wait()
}
