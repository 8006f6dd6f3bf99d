package demo

import (
	"fmt"
	"math/rand/v2"
)

// The two accounts: one runs the platform, the other a shop.
const (
	platform = "111122223333"
	shop     = "444455556666"
	east     = "us-east-1"
	west     = "eu-west-1"
)

// Kinds of identities.
type kind int

const (
	user       kind = iota // an IAM user with an access key
	instance               // a role of EC2 instances; the session is called like the instance
	function               // a role of a Lambda function; the session is called like the function
	workload               // another role that AWS services hand out: containers, back-ups, stacks
	linked                 // a service-linked role: only the service itself can use it
	person                 // a role that people take over after signing in at the identity provider
	pipeline               // a role that an external pipeline takes over with a web identity
	crossRole              // a role assumed from another account
	awsService             // an AWS service that acts by itself
	root                   // the account's root user
)

// identity is one actor of the archive.
type identity struct {
	name    string
	kind    kind
	account string
	region  string
	path    string   // of a role, with slashes at both ends
	service string   // the AWS service that acts, or hands the role out
	agents  []string // user agents it sends
	from    []string // addresses it calls from
	does    string   // names of its usual actions, blank separated; one that stands twice comes twice as often
	weight  int      // how often it is chosen for background traffic; 0: standing work alone
	office  bool     // active on weekdays, 7 to 19 h UTC
	asks    bool     // calls GetCallerIdentity with each of its standing jobs
	at      []int    // hours of its standing job on every day

	usual   []*compiled // what it does
	current []*session  // by lane
}

// id draws a stable identifier for the identity, such as AIDA….
func (i *identity) id(prefix string, n int) string {
	return prefix + letters(rand.New(rand.NewPCG(i.seed(prefix), 0)), upper, n) + "EXAMPLE"
}

// arn is the identity's own ARN; for a role, that of the role.
func (i *identity) arn() string {
	switch i.kind {
	case user:
		return fmt.Sprintf("arn:aws:iam::%s:user/%s", i.account, i.name)
	case root:
		return fmt.Sprintf("arn:aws:iam::%s:root", i.account)
	case awsService:
		return ""
	}
	path := i.path
	if path == "" {
		path = "/"
	}
	return fmt.Sprintf("arn:aws:iam::%s:role%s%s", i.account, path, i.name)
}

// isRole reports whether the identity acts in sessions.
func (i *identity) isRole() bool { return i.kind != user && i.kind != root && i.kind != awsService }

// User agents as the tools of early 2026 send them, or sent them when they were installed.
const (
	agentCLI       = "aws-cli/2.15.30 Python/3.11.8 Linux/6.1.0-18-amd64 exe/x86_64.debian.12 prompt/off"
	agentCLIMac    = "aws-cli/2.17.9 md/awscrt#0.20.11 ua/2.0 os/macos#23.5.0 md/arch#arm64 lang/python#3.11.9 md/pyimpl#CPython exec-env/ cfg/retry-mode#standard md/installer#exe md/prompt#off"
	agentBoto      = "Boto3/1.34.69 md/Botocore#1.34.69 ua/2.0 os/linux#6.1.79-99.167.amzn2023.x86_64 md/arch#x86_64 lang/python#3.11.8 md/pyimpl#CPython cfg/retry-mode#legacy Botocore/1.34.69"
	agentLambda    = "Boto3/1.34.42 md/Botocore#1.34.42 ua/2.0 os/linux#5.10.210-219.855.amzn2.x86_64 md/arch#x86_64 lang/python#3.12.1 md/pyimpl#CPython exec-env/AWS_Lambda_python3.12 cfg/retry-mode#legacy Botocore/1.34.42"
	agentGo        = "aws-sdk-go-v2/1.25.3 os/linux lang/go#1.22.1 md/GOOS#linux md/GOARCH#amd64"
	agentJava      = "aws-sdk-java/2.25.11 Linux/5.10.210-201.852.amzn2.x86_64 OpenJDK_64-Bit_Server_VM/17.0.10+7-LTS Java/17.0.10 vendor/Amazon.com_Inc. io/async http/NettyNioAsync cfg/retry-mode/legacy"
	agentSSM       = "aws-sdk-go/1.44.260 (go1.20.12; linux; amd64) amazon-ssm-agent/3.2.2303.0"
	agentTerraform = "APN/1.0 HashiCorp/1.0 Terraform/1.7.5 (+https://www.terraform.io) terraform-provider-aws/5.42.0 (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.26.0 os/linux lang/go#1.21.8 md/GOOS#linux md/GOARCH#amd64"
	agentChrome    = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Safari/537.36"
	agentFirefox   = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:123.0) Gecko/20100101 Firefox/123.0"
	agentStolen    = "aws-cli/2.15.17 Python/3.11.6 Linux/6.5.0-kali3-amd64 exe/x86_64.kali.2023 prompt/off"
)

// Addresses, all from the ranges that are kept for documentation.
const (
	officeA   = "192.0.2.10"
	officeB   = "192.0.2.11"
	vpnA      = "192.0.2.40"
	vpnB      = "192.0.2.41"
	homeA     = "203.0.113.21"
	homeB     = "203.0.113.24"
	natA      = "198.51.100.10" // the platform's instances leave through these
	natB      = "198.51.100.11"
	natC      = "198.51.100.20" // the shop's
	natD      = "198.51.100.21"
	lambdaA   = "198.51.100.72"
	lambdaB   = "198.51.100.73"
	lambdaC   = "198.51.100.80"
	runnerA   = "198.51.100.40"
	runnerB   = "198.51.100.41"
	runnerC   = "198.51.100.44"
	deployer  = "198.51.100.60"
	partner   = "198.51.100.200"
	thiefKey  = "203.0.113.77"  // nobody else calls from here
	thiefRole = "203.0.113.150" // nor from here
)

// Usual work, by kind of caller.
const (
	doesPipeline = "DescribeRepositories GetAuthorizationToken BatchGetImage PutImage InitiateLayerUpload DescribeStacks CreateChangeSet DescribeChangeSet ExecuteChangeSet DescribeStackEvents UpdateFunctionCode GetFunctionConfiguration ListFunctions DescribeServices RegisterTaskDefinition UpdateService DescribeTasks PutObject GetObject GetParameter DescribeTargetHealth"
	doesPlan     = "DescribeInstances DescribeVpcs DescribeSubnets DescribeSecurityGroups DescribeNetworkInterfaces DescribeImages DescribeAvailabilityZones GetRole GetPolicy GetPolicyVersion ListAttachedRolePolicies ListRolePolicies GetBucketVersioning GetBucketEncryption GetBucketPolicy GetBucketAcl DescribeDBInstances DescribeTable ListTagsForResource DescribeLoadBalancers DescribeKey ListAliases DescribeLogGroups ListHostedZones DescribeAlarms AuthorizeSecurityGroupIngress CreateTags"
	doesBackup   = "DescribeVolumes CreateSnapshot DescribeSnapshots DeleteSnapshot CreateTags DescribeDBInstances DescribeDBSnapshots CreateDBSnapshot ListBackupJobs PutObject"
	doesServer   = "GetObject GetObject GetObject PutObject GetSecretValue GetParameter GetParameters Decrypt Decrypt GetItem Query PutItem PutMetricData UpdateInstanceInformation UpdateInstanceInformation DescribeTags DescribeInstances CreateLogStream PutMetricAlarm"
	doesFunction = "GetObject PutObject GetItem PutItem Query CreateLogStream CreateLogStream Decrypt GetSecretValue GetParameter Publish SendMessage Invoke"
	doesPeople   = "DescribeInstances DescribeInstanceStatus DescribeSecurityGroups DescribeVolumes DescribeAlarms GetMetricData ListMetrics DescribeLogGroups FilterLogEvents ListFunctions GetFunction DescribeTable ListTables ListBuckets GetBucketLocation ListObjects GetObject DescribeDBInstances DescribeStacks DescribeServices ListTasks LookupEvents DescribeParameters ListSecrets StartSession ListUsers ListRoles GetUser DescribeLoadBalancers DescribeAutoScalingGroups"
	doesAudit    = "GetAccountSummary ListUsers ListRoles ListAccessKeys GetCredentialReport GenerateCredentialReport ListAttachedUserPolicies GetUser GetRole DescribeTrails GetTrailStatus DescribeConfigurationRecorders ListBuckets GetBucketAcl GetBucketPolicy ListAccounts DescribeRegions"
	doesData     = "ListObjects GetObject GetObject PutObject PutObject ListTables Query PutItem GenerateDataKey Decrypt GetQueueAttributes ListQueues"
	doesMonitor  = "DescribeAlarms GetMetricData GetMetricData ListMetrics DescribeInstances DescribeInstanceStatus DescribeLoadBalancers DescribeTargetHealth DescribeDBInstances ListTagsForResource DescribeRegions"
	doesDeploy   = "GetAuthorizationToken BatchGetImage PutImage DescribeServices RegisterTaskDefinition UpdateService DescribeTasks PutObject PutObject GetObject DescribeTargetHealth"
	doesScaling  = "DescribeAutoScalingGroups DescribeInstanceStatus RunInstances TerminateInstances RegisterTargets DeregisterTargets DescribeTargetHealth CreateTags SetDesiredCapacity"
	doesConfig   = "DescribeInstances DescribeSecurityGroups DescribeVolumes ListRoles GetBucketPolicy GetBucketVersioning DescribeDBInstances ListFunctions PutEvaluations DescribeKey ListTables"
	doesNode     = "DescribeInstances DescribeNetworkInterfaces DescribeSubnets DescribeCluster GetAuthorizationToken BatchGetImage UpdateInstanceInformation DescribeTags"
)

// cast returns all identities, in an order that does not change.
func cast() []*identity {
	one := func(s ...string) []string { return s }
	return []*identity{
		// Users of the platform account.
		{name: "ci-pipeline", kind: user, account: platform, region: east, agents: one(agentTerraform, agentBoto), from: one(runnerA, runnerB), does: doesPipeline, weight: 9, asks: true, at: []int{6, 9, 12, 15, 18}},
		{name: "backup-runner", kind: user, account: platform, region: east, agents: one(agentBoto), from: one(natA), does: doesBackup, weight: 3, asks: true, at: []int{1, 13}},
		{name: "terraform-plan", kind: user, account: platform, region: east, agents: one(agentTerraform), from: one(runnerA), does: doesPlan, weight: 6, asks: true, at: []int{5, 16}},
		{name: "dev-backend-1", kind: user, account: platform, region: east, agents: one(agentCLI), from: one(officeA, vpnA), does: doesPeople, weight: 3, office: true},
		{name: "dev-backend-2", kind: user, account: platform, region: east, agents: one(agentCLIMac, agentFirefox), from: one(officeA, homeA), does: doesPeople, weight: 3, office: true},
		{name: "dev-frontend-1", kind: user, account: platform, region: west, agents: one(agentCLIMac), from: one(officeB, vpnB), does: doesPeople, weight: 2, office: true},
		{name: "oncall-1", kind: user, account: platform, region: east, agents: one(agentChrome, agentCLI), from: one(officeA, homeB), does: doesMonitor, weight: 2},
		{name: "billing-export", kind: user, account: platform, region: east, agents: one(agentBoto), from: one(natB), does: doesData, weight: 2},
		{name: "dba-1", kind: user, account: platform, region: east, agents: one(agentCLI), from: one(vpnA), does: "DescribeDBInstances DescribeDBSnapshots CreateDBSnapshot DescribeAlarms GetMetricData ListTagsForResource DescribeTable", weight: 2, office: true},
		{name: "auditor-quarterly", kind: user, account: platform, region: east, agents: one(agentBoto), from: one(partner), does: doesAudit},

		// Users of the shop account.
		{name: "app-deploy", kind: user, account: shop, region: east, agents: one(agentGo), from: one(deployer), does: doesDeploy, weight: 5, at: []int{8, 14}},
		{name: "release-bot", kind: user, account: shop, region: east, agents: one(agentGo), from: one(runnerC), does: doesDeploy, weight: 4, asks: true, at: []int{7, 17}},
		{name: "dev-shop-1", kind: user, account: shop, region: east, agents: one(agentCLI, agentChrome), from: one(officeB), does: doesPeople, weight: 3, office: true},
		{name: "dev-shop-2", kind: user, account: shop, region: west, agents: one(agentCLIMac), from: one(vpnB), does: doesPeople, weight: 2, office: true},
		{name: "dev-mobile-1", kind: user, account: shop, region: east, agents: one(agentFirefox), from: one(officeB, homeA), does: doesPeople, weight: 2, office: true},
		{name: "data-loader", kind: user, account: shop, region: east, agents: one(agentJava), from: one(natC), does: doesData, weight: 4},
		{name: "support-1", kind: user, account: shop, region: east, agents: one(agentChrome), from: one(officeA), does: "ListObjects GetObject Query GetItem FilterLogEvents DescribeLogGroups DescribeAlarms", weight: 1, office: true},
		{name: "monitoring-agent", kind: user, account: shop, region: east, agents: one(agentGo), from: one(partner), does: doesMonitor, weight: 5, asks: true, at: []int{0, 4, 8, 12, 16, 20}},

		// Roles of the platform account.
		{name: "web-instance-role", kind: instance, account: platform, region: east, service: "ec2.amazonaws.com", agents: one(agentJava, agentSSM), from: one(natA, natB), does: doesServer, weight: 10},
		{name: "worker-instance-role", kind: instance, account: platform, region: east, service: "ec2.amazonaws.com", agents: one(agentBoto, agentSSM), from: one(natA), does: doesServer, weight: 6, asks: true, at: []int{0, 3, 6, 9, 12, 15, 18, 21}},
		{name: "eks-node-role", kind: instance, account: platform, region: west, service: "ec2.amazonaws.com", agents: one(agentGo), from: one(natB), does: doesNode, weight: 7},
		{name: "order-events-lambda-role", kind: function, account: platform, region: east, path: "/service-role/", service: "lambda.amazonaws.com", agents: one(agentLambda), from: one(lambdaA), does: doesFunction, weight: 7},
		{name: "image-resize-lambda-role", kind: function, account: platform, region: east, path: "/service-role/", service: "lambda.amazonaws.com", agents: one(agentLambda), from: one(lambdaA, lambdaB), does: doesFunction, weight: 5, asks: true, at: []int{2, 6, 10, 14, 18, 22}},
		{name: "stack-execution-role", kind: workload, account: platform, region: east, service: "cloudformation.amazonaws.com", agents: one("cloudformation.amazonaws.com"), from: one("cloudformation.amazonaws.com"), does: "DescribeStacks UpdateFunctionCode CreateLogGroup AttachRolePolicy CreateRole PutMetricAlarm GetRole CreateTags", weight: 2},
		{name: "AWSBackupDefaultServiceRole", kind: workload, account: platform, region: east, path: "/service-role/", service: "backup.amazonaws.com", agents: one("backup.amazonaws.com"), from: one("backup.amazonaws.com"), does: "CreateSnapshot DescribeSnapshots DescribeVolumes CreateTags CreateDBSnapshot DescribeDBSnapshots ListTagsForResource", weight: 2},
		{name: "github-deploy-role", kind: pipeline, account: platform, region: east, agents: one(agentBoto), from: one(runnerB, runnerC), does: doesPipeline, weight: 5, asks: true, at: []int{8, 15}},
		{name: "AWSReservedSSO_PlatformAdmin_0a1b2c3d4e5f6071", kind: person, account: platform, region: east, path: "/aws-reserved/sso.amazonaws.com/", agents: one(agentChrome, agentCLI), from: one(officeA, vpnA), does: doesPeople, weight: 4, office: true, asks: true, at: []int{10}},
		{name: "AWSReservedSSO_ReadOnly_1b2c3d4e5f607182", kind: person, account: platform, region: east, path: "/aws-reserved/sso.amazonaws.com/", agents: one(agentFirefox), from: one(officeB, vpnB), does: doesPeople, weight: 3, office: true},
		{name: "AWSServiceRoleForAutoScaling", kind: linked, account: platform, region: east, path: "/aws-service-role/autoscaling.amazonaws.com/", service: "autoscaling.amazonaws.com", does: doesScaling, weight: 3},
		{name: "AWSServiceRoleForConfig", kind: linked, account: platform, region: east, path: "/aws-service-role/config.amazonaws.com/", service: "config.amazonaws.com", does: doesConfig, weight: 4},
		{name: "AWSServiceRoleForRDS", kind: linked, account: platform, region: east, path: "/aws-service-role/rds.amazonaws.com/", service: "rds.amazonaws.com", does: "DescribeSecurityGroups DescribeSubnets DescribeVpcs DescribeNetworkInterfaces PutMetricData", weight: 1},

		// Roles of the shop account.
		{name: "shop-web-instance-role", kind: instance, account: shop, region: east, service: "ec2.amazonaws.com", agents: one(agentJava, agentSSM), from: one(natC, natD), does: doesServer, weight: 9},
		{name: "report-worker-instance-role", kind: instance, account: shop, region: east, service: "ec2.amazonaws.com", agents: one(agentBoto, agentSSM), from: one(natC), does: doesServer, weight: 5, at: []int{2, 11, 20}},
		{name: "checkout-lambda-role", kind: function, account: shop, region: east, path: "/service-role/", service: "lambda.amazonaws.com", agents: one(agentLambda), from: one(lambdaC), does: doesFunction, weight: 8},
		{name: "nightly-etl-role", kind: workload, account: shop, region: east, service: "glue.amazonaws.com", agents: one(agentJava), from: one(natD), does: doesData, weight: 3, asks: true, at: []int{3}},
		{name: "shop-task-role", kind: workload, account: shop, region: west, service: "ecs-tasks.amazonaws.com", agents: one(agentGo), from: one(natD), does: doesFunction, weight: 6},
		{name: "shop-deploy-role", kind: pipeline, account: shop, region: east, agents: one(agentGo), from: one(runnerB), does: doesDeploy, weight: 3, asks: true, at: []int{9, 18}},
		{name: "OrganizationAccountAccessRole", kind: crossRole, account: shop, region: east, agents: one(agentTerraform), from: one(runnerA), does: doesPlan, weight: 3, asks: true, at: []int{4}},
		{name: "AWSReservedSSO_ShopDeveloper_2c3d4e5f60718293", kind: person, account: shop, region: east, path: "/aws-reserved/sso.amazonaws.com/", agents: one(agentChrome, agentCLIMac), from: one(officeB, homeB), does: doesPeople, weight: 3, office: true},
		{name: "AWSServiceRoleForECS", kind: linked, account: shop, region: west, path: "/aws-service-role/ecs.amazonaws.com/", service: "ecs.amazonaws.com", does: "RegisterTargets DeregisterTargets DescribeTargetHealth DescribeNetworkInterfaces DescribeSubnets", weight: 2},
		{name: "AWSServiceRoleForElasticLoadBalancing", kind: linked, account: shop, region: east, path: "/aws-service-role/elasticloadbalancing.amazonaws.com/", service: "elasticloadbalancing.amazonaws.com", does: "DescribeNetworkInterfaces DescribeSubnets DescribeSecurityGroups DescribeInstances", weight: 2},
		{name: "AWSServiceRoleForConfig", kind: linked, account: shop, region: east, path: "/aws-service-role/config.amazonaws.com/", service: "config.amazonaws.com", does: doesConfig, weight: 3},

		// AWS services that act by themselves, and root.
		{name: "cloudtrail.amazonaws.com", kind: awsService, account: platform, region: east, service: "cloudtrail.amazonaws.com", does: "GetBucketAcl PutObject GenerateDataKey", weight: 3},
		{name: "delivery.logs.amazonaws.com", kind: awsService, account: platform, region: east, service: "delivery.logs.amazonaws.com", does: "PutObject GetBucketAcl GenerateDataKey", weight: 2},
		{name: "config.amazonaws.com", kind: awsService, account: shop, region: east, service: "config.amazonaws.com", does: "GetBucketAcl PutObject", weight: 2},
		{name: "elasticloadbalancing.amazonaws.com", kind: awsService, account: shop, region: east, service: "elasticloadbalancing.amazonaws.com", does: "PutObject", weight: 2},
		{name: "root", kind: root, account: platform, region: east, agents: one(agentChrome), from: one(officeA), does: "GetAccountSummary ListAccountAliases GetCredentialReport ListAccessKeys"},
		{name: "root", kind: root, account: shop, region: east, agents: one(agentFirefox), from: one(officeA), does: "GetAccountSummary ListAccountAliases ListAccounts"},
	}
}
