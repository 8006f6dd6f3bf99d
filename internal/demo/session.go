package demo

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"
)

// session is what an identity acts with for a while: for users with an access key, for ever.
type session struct {
	period  int64  // which of the identity's sessions it is
	user    []byte // userIdentity, JSON
	name    string // of a role's session
	key     string // access key ID
	agent   string
	ip      string
	console bool
}

// lasts is how long sessions of a kind last.
func (k kind) lasts() time.Duration {
	switch k {
	case instance:
		return 6 * time.Hour
	case pipeline:
		return 2 * time.Hour
	case user, person, root:
		return 10 * time.Hour
	}
	return 12 * time.Hour
}

// lanes is in how many sessions an identity acts at the same time: a user with each of its programs, an instance role on
// as many instances, a person's role for as many people.
func (i *identity) lanes() int {
	switch i.kind {
	case user, root:
		return len(i.agents)
	case instance, person:
		return 2
	}
	return 1
}

func isBrowser(agent string) bool { return strings.HasPrefix(agent, "Mozilla/") }

// session returns what the identity acts with in a lane at a time; began says that it did not before. Times do not go
// back.
func (i *identity) session(lane int, at time.Time) (s *session, began bool) {
	if i.current == nil {
		i.current = make([]*session, i.lanes())
	}
	period := int64(0)
	if i.isRole() || i.agents != nil && isBrowser(i.agents[lane%len(i.agents)]) {
		// Sessions of different identities and lanes do not begin at the same time.
		length := int64(i.kind.lasts() / time.Second)
		period = (at.Unix() + int64(i.seed(fmt.Sprint("offset", lane))%uint64(length))) / length
	}
	if s := i.current[lane]; s != nil && s.period == period {
		return s, false
	}
	s = i.begin(lane, period, at)
	i.current[lane] = s
	return s, period != 0
}

// seed is a number that depends on the identity and what alone.
func (i *identity) seed(what string) uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, i.account, " ", i.name, " ", what)
	return h.Sum64()
}

func (i *identity) begin(lane int, period int64, at time.Time) *session {
	r := rand.New(rand.NewPCG(i.seed("session"), uint64(period)<<8|uint64(lane)))
	s := &session{period: period, agent: i.service, ip: i.service}
	if i.agents != nil {
		s.agent = i.agents[lane%len(i.agents)]
		s.ip = i.from[r.IntN(len(i.from))]
	}
	s.console = isBrowser(s.agent)
	if period == 0 {
		s.key = i.id("AKIA", 9)
	} else {
		s.key = "ASIA" + letters(r, upper, 9) + "EXAMPLE"
	}
	attributes := fmt.Sprintf(`{"creationDate":"%s","mfaAuthenticated":"%t"}`, stamp(at), s.console)
	switch {
	case i.kind == awsService:
		s.user = fmt.Appendf(nil, `{"type":"AWSService","invokedBy":"%s"}`, i.service)
	case i.kind == root:
		s.user = fmt.Appendf(nil, `{"type":"Root","principalId":"%s","arn":"%s","accountId":"%s","accessKeyId":"%s","sessionContext":{"attributes":%s}}`,
			i.account, i.arn(), i.account, s.key, attributes)
	case i.kind == user && period == 0:
		s.user = fmt.Appendf(nil, `{"type":"IAMUser","principalId":"%s","arn":"%s","accountId":"%s","accessKeyId":"%s","userName":"%s"}`,
			i.id("AIDA", 10), i.arn(), i.account, s.key, i.name)
	case i.kind == user:
		s.user = fmt.Appendf(nil, `{"type":"IAMUser","principalId":"%s","arn":"%s","accountId":"%s","accessKeyId":"%s","userName":"%s","sessionContext":{"attributes":%s}}`,
			i.id("AIDA", 10), i.arn(), i.account, s.key, i.name, attributes)
	default:
		s.name = i.sessionName(lane, r)
		principal := i.id("AROA", 10)
		s.user = fmt.Appendf(nil, `{"type":"AssumedRole","principalId":"%s:%s","arn":"arn:aws:sts::%s:assumed-role/%s/%s","accountId":"%s","accessKeyId":"%s",`+
			`"sessionContext":{"sessionIssuer":{"type":"Role","principalId":"%s","arn":"%s","accountId":"%s","userName":"%s"},"attributes":%s`,
			principal, s.name, i.account, i.name, s.name, i.account, s.key, principal, i.arn(), i.account, i.name, attributes)
		if i.kind == instance {
			s.user = append(s.user, `,"ec2RoleDelivery":"2.0"`...)
		}
		s.user = append(s.user, '}')
		if strings.HasSuffix(s.agent, ".amazonaws.com") {
			s.user = fmt.Appendf(s.user, `,"invokedBy":"%s"`, s.agent)
		}
		s.user = append(s.user, '}')
	}
	return s
}

// sessionName is what a session of a role is called.
func (i *identity) sessionName(lane int, r *rand.Rand) string {
	switch i.kind {
	case instance:
		// Instances live for days: the name does not change with each session.
		return fmt.Sprintf("i-0%016x", i.seed(fmt.Sprint("instance", lane)))
	case function:
		return strings.TrimSuffix(i.name, "-lambda-role")
	case person:
		return fmt.Sprintf("engineer-%02d@example.com", 1+(i.seed("people")+uint64(lane))%12)
	case pipeline:
		return fmt.Sprintf("run-%d", 1_000_000+r.IntN(9_000_000))
	case crossRole:
		return "terraform"
	case workload:
		return "task-" + letters(r, hexes, 12)
	}
	return strings.TrimPrefix(i.name, "AWSServiceRoleFor")
}

// arrival is the record of how a session came to be: a role taken over, a person signed in. There are two where the role
// belongs to another account than its caller.
func (g *generator) arrival(i *identity, s *session, at time.Time) []call {
	c := call{at: at, account: i.account, region: i.region, source: "sts", event: "AssumeRole", ip: s.ip, agent: s.agent}
	if i.kind == user || i.kind == root {
		c.user, c.kind, c.write = s.signedIn(i), "AwsConsoleSignIn", true
		c.source, c.event, c.region, c.host = "signin", "ConsoleLogin", east, "us-east-1.signin.aws.amazon.com"
		c.response = []byte(`{"ConsoleLogin":"Success"}`)
		c.extra = []byte(`{"LoginTo":"https://console.aws.amazon.com/console/home","MobileVersion":"No","MFAUsed":"Yes"}`)
		return []call{c}
	}
	duration := i.kind.lasts()
	c.request = fmt.Appendf(nil, `{"roleArn":"%s","roleSessionName":"%s","durationSeconds":%d}`, i.arn(), s.name, int(duration.Seconds()))
	c.response = fmt.Appendf(nil, `{"credentials":{"accessKeyId":"%s","sessionToken":"HIDDEN_DUE_TO_SECURITY_REASONS","expiration":"%s"},"assumedRoleUser":{"assumedRoleId":"%s:%s","arn":"arn:aws:sts::%s:assumed-role/%s/%s"}}`,
		s.key, at.Add(duration).Format("Jan 2, 2006, 3:04:05 PM"), i.id("AROA", 10), s.name, i.account, i.name, s.name)
	c.resources = fmt.Appendf(nil, `[{"accountId":"%s","type":"AWS::IAM::Role","ARN":"%s"}]`, i.account, i.arn())
	c.host = "sts." + i.region + ".amazonaws.com"
	switch i.kind {
	case person:
		c.event = "AssumeRoleWithSAML"
		c.user = fmt.Appendf(nil, `{"type":"SAMLUser","principalId":"c2lnbi1pbg==:%s","userName":"%s","identityProvider":"c2lnbi1pbg=="}`, s.name, s.name)
	case pipeline:
		c.event = "AssumeRoleWithWebIdentity"
		c.user = fmt.Appendf(nil, `{"type":"WebIdentityUser","principalId":"arn:aws:iam::%s:oidc-provider/ci.example.com:sts.amazonaws.com:repo:acme/shop","userName":"repo:acme/shop","identityProvider":"arn:aws:iam::%s:oidc-provider/ci.example.com"}`, i.account, i.account)
	case crossRole:
		c.shared = string(appendUUID(nil, g.r))
		caller := g.named("terraform-plan", platform)
		with, _ := caller.session(0, at)
		theirs := c
		theirs.account, theirs.user = caller.account, with.user
		c.user = fmt.Appendf(nil, `{"type":"AWSAccount","principalId":"%s","accountId":"%s"}`, caller.id("AIDA", 10), caller.account)
		return []call{theirs, c}
	default:
		c.ip, c.agent, c.host = i.service, i.service, ""
		c.user = fmt.Appendf(nil, `{"type":"AWSService","invokedBy":"%s"}`, i.service)
		c.shared = string(appendUUID(nil, g.r))
	}
	return []call{c}
}

// signedIn is who signs in to the console: the session does not exist yet.
func (s *session) signedIn(i *identity) []byte {
	if i.kind == root {
		return fmt.Appendf(nil, `{"type":"Root","principalId":"%s","arn":"%s","accountId":"%s"}`, i.account, i.arn(), i.account)
	}
	return fmt.Appendf(nil, `{"type":"IAMUser","principalId":"%s","arn":"%s","accountId":"%s","userName":"%s"}`, i.id("AIDA", 10), i.arn(), i.account, i.name)
}
