package demo

import (
	"fmt"
	"slices"
	"time"
)

// story is something that one identity, or whoever holds its credentials, does once.
type story struct {
	at    time.Time
	who   *identity
	lane  int
	from  string // address and agent, where they are not the session's
	agent string
	steps []step
	// alert says that the first step raises an alert of the rule, and why.
	rule, why string
	// special is a record that is no call of an identity, in place of the steps.
	special *call
}

// step is one call, some seconds after the one before.
type step struct {
	action string
	after  int    // seconds
	code   string // of the error
}

// steps lists actions that go well, each so many seconds after the one before.
func steps(after int, actions ...string) []step {
	var out []step
	for _, a := range actions {
		out = append(out, step{action: a, after: after})
	}
	return out
}

// stories returns all of them by time. Their times are counted back from the end of the data, so that the same ones lie in
// the last five days whatever the length.
func (g *generator) stories() []story {
	before := func(days int, clock string) time.Time {
		t, err := time.Parse("15:04:05", clock)
		if err != nil {
			panic("demo: " + err.Error())
		}
		midnight := g.opt.End.AddDate(0, 0, -days)
		return midnight.Add(t.Sub(t.Truncate(24 * time.Hour)))
	}
	ask := steps(0, "GetCallerIdentity")
	audit := append(slices.Clone(ask), steps(7, "GetAccountSummary", "ListUsers", "ListRoles", "GenerateCredentialReport", "GetCredentialReport",
		"ListAccessKeys", "ListAttachedUserPolicies", "DescribeTrails", "GetTrailStatus", "GetBucketPolicy", "GetBucketAcl", "ListAccounts")...)
	look := steps(4, "DescribeDBInstances", "DescribeDBSnapshots")
	rootVisit := steps(25, "GetAccountSummary", "ListAccountAliases", "GetCredentialReport")

	thief := []step{
		{action: "GetCallerIdentity"},
		{"ListBuckets", 9, ""}, {"ListUsers", 6, "AccessDenied"}, {"GetAccountAuthorizationDetails", 5, "AccessDenied"},
		{"ListAttachedUserPolicies", 8, ""}, {"DescribeInstances", 7, ""}, {"ListSecrets", 11, "AccessDenied"},
		{"GetSecretValue", 5, "AccessDenied"}, {"CreateUser", 14, "AccessDenied"}, {"CreateAccessKey", 6, "AccessDenied"},
		{"ListObjects", 12, ""}, {"GetObject", 4, ""}, {"GetObject", 3, ""}, {"GetObject", 3, ""}, {"GetObject", 4, ""},
	}
	instanceThief := []step{
		{action: "GetCallerIdentity"},
		{"ListBuckets", 5, "AccessDenied"}, {"DescribeInstances", 6, ""}, {"ListRoles", 4, "AccessDenied"},
		{"GetParameters", 9, ""}, {"GetSecretValue", 7, ""}, {"ListObjects", 8, ""}, {"GetObject", 3, ""}, {"GetObject", 3, ""},
	}
	deploy := g.named("app-deploy", shop)
	worker := g.named("report-worker-instance-role", shop)
	auditor := g.named("auditor-quarterly", platform)
	dba := g.named("dba-1", platform)

	out := []story{
		// Three first sightings.
		{at: before(19, "09:12:40"), who: auditor, steps: audit},
		{at: before(3, "09:20:05"), who: auditor, steps: audit, rule: RuleIdentity,
			why: "asks for the first time in 16 days: longer than the history of 15"},
		{at: before(2, "22:47:31"), who: worker, from: thiefRole, agent: agentStolen, steps: instanceThief, rule: RuleRole,
			why: "credentials taken from an instance, used from an address that nobody else has, by a role that never asks"},
		{at: before(1, "04:12:17"), who: deploy, from: thiefKey, agent: agentStolen, steps: thief, rule: RuleIdentity,
			why: "a stolen access key, used from an address that nobody else has, by a user that never asks"},

		// What looks alike and is none: the thief asks again, a user asks after 14 days, one is refused, people of
		// the Identity Center ask.
		{at: before(1, "04:39:50"), who: deploy, from: thiefKey, agent: agentStolen, steps: ask},
		{at: before(1, "07:05:12"), who: deploy, from: thiefKey, agent: agentStolen, steps: ask},
		{at: before(18, "10:05:00"), who: dba, steps: append(slices.Clone(ask), look...)},
		{at: before(4, "10:01:00"), who: dba, steps: append(slices.Clone(ask), look...)},
		{at: before(2, "14:31:20"), who: g.named("support-1", shop), steps: []step{{"GetCallerIdentity", 0, "AccessDenied"}}},
		{at: before(2, "11:16:45"), who: g.named("AWSReservedSSO_ReadOnly_1b2c3d4e5f607182", platform), steps: ask},

		// Root, now and then, but not in the last five days, where a bundled rule would find it: there the auditor looks
		// at the same things.
		{at: before(17, "08:02:10"), who: g.named("root", platform), steps: rootVisit},
		{at: before(8, "11:31:00"), who: g.named("root", shop), steps: rootVisit},
		{at: before(1, "15:03:30"), who: auditor, steps: rootVisit},

		// A key turns over by itself: a record that nobody's call caused.
		{at: before(10, "00:06:08"), special: &call{
			account: platform, region: east, source: "kms", event: "RotateKey", kind: "AwsServiceEvent", write: true,
			user: fmt.Appendf(nil, `{"accountId":"%s","invokedBy":"AWS Internal"}`, platform), ip: "AWS Internal", agent: "AWS Internal",
			resources: fmt.Appendf(nil, `[{"ARN":"arn:aws:kms:%s:%s:key/%s","accountId":"%s","type":"AWS::KMS::Key"}]`, east, platform, pools["kmskey"][0], platform),
			details:   fmt.Appendf(nil, `{"keyId":"%s"}`, pools["kmskey"][0]),
		}},
	}
	// Somebody mistypes a password.
	oncall := g.named("oncall-1", platform)
	out = append(out, story{at: before(6, "08:55:02"), special: &call{
		account: platform, region: east, source: "signin", event: "ConsoleLogin", kind: "AwsConsoleSignIn", write: true,
		user: (&session{}).signedIn(oncall), ip: officeA, agent: agentChrome, host: "us-east-1.signin.aws.amazon.com",
		message: "Failed authentication", response: []byte(`{"ConsoleLogin":"Failure"}`),
		extra: []byte(`{"LoginTo":"https://console.aws.amazon.com/console/home","MobileVersion":"No","MFAUsed":"No"}`),
	}})
	if g.opt.LastHour {
		for n, name := range []string{"ci-pipeline", "backup-runner", "terraform-plan"} {
			out = append(out, story{at: before(1, fmt.Sprintf("23:%d:07", 12+3*n)), who: g.named(name, platform), steps: ask})
		}
		out = append(out, story{at: before(1, "23:16:30"), who: g.named("billing-export", platform), steps: ask, rule: RuleIdentity,
			why: "asks for the first time, in the last hour"})
	}
	slices.SortStableFunc(out, func(a, b story) int { return a.at.Compare(b.at) })
	return out
}

// tell makes the records of a story. They may reach into the slot behind.
func (g *generator) tell(st story) error {
	if st.special != nil {
		c := *st.special
		c.at = st.at
		return g.deliver(&c, onTime)
	}
	s, err := g.session(st.who, st.lane)
	if err != nil {
		return err
	}
	at := st.at
	for n, step := range st.steps {
		at = at.Add(time.Duration(step.after) * time.Second)
		act := g.act(step.action)
		c := g.call(st.who, s, act, at)
		if st.from != "" {
			c.ip, c.agent = st.from, st.agent
		}
		if step.code != "" {
			code := step.code
			if code == "AccessDenied" {
				code = denied(act)
			}
			g.fail(st.who, s, &c, act, code)
		}
		fate := onTime
		if n == 0 {
			fate = twice // a rule must not count what comes a second time
		}
		if err := g.deliver(&c, fate); err != nil {
			return err
		}
		if n == 0 && st.rule != "" {
			g.alerts = append(g.alerts, Alert{
				RuleID: st.rule, Identity: st.who.arn(), EventID: c.id, Time: at, SourceIP: c.ip, Why: st.why,
			})
		}
	}
	return nil
}
