package demo

// action is one API call as CloudTrail records it. request, response, extra and resources are JSON with names in braces,
// which a call fills in; a name means the same value in all of them.
type action struct {
	name      string // short name, as identities list it
	source    string // event source without .amazonaws.com
	event     string // event name, where it is not name
	write     bool   // changes something: readOnly is false and the response is recorded
	data      bool   // a data event
	global    bool   // recorded in us-east-1 wherever the caller is
	request   string
	response  string
	extra     string // additionalEventData
	resources string
	missing   string // error code where the thing asked for does not exist, empty: cannot happen
}

const (
	s3Extra   = `{"SignatureVersion":"SigV4","CipherSuite":"TLS_AES_128_GCM_SHA256","bytesTransferredIn":0,"AuthenticationMethod":"AuthHeader","bytesTransferredOut":{size}}`
	s3Bucket  = `[{"accountId":"{account}","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::{bucket}"}]`
	s3Object  = `[{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::{bucket}/{key}"},{"accountId":"{account}","type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::{bucket}"}]`
	s3Host    = `"bucketName":"{bucket}","Host":"{bucket}.s3.{region}.amazonaws.com"`
	kmsKey    = `[{"accountId":"{account}","type":"AWS::KMS::Key","ARN":"arn:aws:kms:{region}:{account}:key/{kmskey}"}]`
	tableARN  = `[{"accountId":"{account}","type":"AWS::DynamoDB::Table","ARN":"arn:aws:dynamodb:{region}:{account}:table/{table}"}]`
	lambdaARN = `[{"accountId":"{account}","type":"AWS::Lambda::Function","ARN":"arn:aws:lambda:{region}:{account}:function:{function}"}]`
)

// actions is the catalogue. Sources and event names are AWS's.
func actions() []action {
	return []action{
		// Compute and network.
		{name: "DescribeInstances", source: "ec2", request: `{"instancesSet":{"items":[{"instanceId":"{instance}"}]},"filterSet":{}}`, missing: "Client.InvalidInstanceID.NotFound"},
		{name: "DescribeInstanceStatus", source: "ec2", request: `{"instancesSet":{},"filterSet":{},"includeAllInstances":false}`},
		{name: "DescribeSecurityGroups", source: "ec2", request: `{"securityGroupSet":{},"securityGroupIdSet":{"items":[{"groupId":"{sg}"}]},"filterSet":{}}`},
		{name: "DescribeVolumes", source: "ec2", request: `{"volumeSet":{},"filterSet":{"items":[{"name":"attachment.instance-id","valueSet":{"items":[{"value":"{instance}"}]}}]}}`},
		{name: "DescribeSnapshots", source: "ec2", request: `{"maxResults":200,"snapshotSet":{},"ownersSet":{"items":[{"owner":"self"}]},"sharedUsersSet":{},"filterSet":{}}`},
		{name: "CreateSnapshot", source: "ec2", write: true, request: `{"volumeId":"{volume}","description":"nightly","tagSpecificationSet":{"items":[{"resourceType":"snapshot","tags":[{"key":"plan","value":"nightly"}]}]}}`, response: `{"requestId":"{uuid}","snapshotId":"{snapshot}","volumeId":"{volume}","status":"pending","volumeSize":"40","description":"nightly","encrypted":true}`},
		{name: "DeleteSnapshot", source: "ec2", write: true, request: `{"snapshotId":"{snapshot}"}`, response: `{"requestId":"{uuid}","_return":true}`, missing: "Client.InvalidSnapshot.NotFound"},
		{name: "CreateTags", source: "ec2", write: true, request: `{"resourcesSet":{"items":[{"resourceId":"{instance}"}]},"tagSet":{"items":[{"key":"stage","value":"live"}]}}`, response: `{"requestId":"{uuid}","_return":true}`},
		{name: "RunInstances", source: "ec2", write: true, request: `{"instancesSet":{"items":[{"imageId":"{image}","minCount":1,"maxCount":1}]},"instanceType":"m6i.large","blockDeviceMapping":{},"monitoring":{"enabled":false},"disableApiTermination":false,"subnetId":"{subnet}"}`, response: `{"requestId":"{uuid}","ownerId":"{account}","groupSet":{},"instancesSet":{"items":[{"instanceId":"{instance}","imageId":"{image}","currentState":{"code":0,"name":"pending"},"instanceType":"m6i.large","subnetId":"{subnet}","vpcId":"{vpc}"}]}}`},
		{name: "TerminateInstances", source: "ec2", write: true, request: `{"instancesSet":{"items":[{"instanceId":"{instance}"}]}}`, response: `{"requestId":"{uuid}","instancesSet":{"items":[{"instanceId":"{instance}","currentState":{"code":32,"name":"shutting-down"},"previousState":{"code":16,"name":"running"}}]}}`},
		{name: "DescribeImages", source: "ec2", request: `{"imagesSet":{"items":[{"imageId":"{image}"}]},"ownersSet":{},"filterSet":{}}`},
		{name: "DescribeSubnets", source: "ec2", request: `{"subnetSet":{"items":[{"subnetId":"{subnet}"}]},"filterSet":{}}`},
		{name: "DescribeVpcs", source: "ec2", request: `{"vpcSet":{"items":[{"vpcId":"{vpc}"}]},"filterSet":{}}`},
		{name: "DescribeNetworkInterfaces", source: "ec2", request: `{"networkInterfaceIdSet":{},"filterSet":{"items":[{"name":"vpc-id","valueSet":{"items":[{"value":"{vpc}"}]}}]}}`},
		{name: "DescribeRegions", source: "ec2", request: `{"regionSet":{},"allRegions":false}`},
		{name: "DescribeAvailabilityZones", source: "ec2", request: `{"availabilityZoneSet":{},"availabilityZoneIdSet":{}}`},
		{name: "DescribeTags", source: "ec2", request: `{"maxResults":1000,"filterSet":{"items":[{"name":"resource-id","valueSet":{"items":[{"value":"{instance}"}]}}]}}`},
		{name: "AuthorizeSecurityGroupIngress", source: "ec2", write: true, request: `{"groupId":"{sg}","ipPermissions":{"items":[{"ipProtocol":"tcp","fromPort":443,"toPort":443,"groups":{},"ipRanges":{"items":[{"cidrIp":"192.0.2.0/24"}]},"ipv6Ranges":{},"prefixListIds":{}}]}}`, response: `{"requestId":"{uuid}","_return":true,"securityGroupRuleSet":{"items":[{"groupOwnerId":"{account}","groupId":"{sg}","isEgress":false,"ipProtocol":"tcp","fromPort":443,"toPort":443,"cidrIpv4":"192.0.2.0/24"}]}}`},
		{name: "DescribeAutoScalingGroups", source: "autoscaling", request: `{"autoScalingGroupNames":["{asg}"]}`},
		{name: "SetDesiredCapacity", source: "autoscaling", write: true, request: `{"autoScalingGroupName":"{asg}","desiredCapacity":4,"honorCooldown":false}`},
		{name: "DescribeLoadBalancers", source: "elasticloadbalancing", request: `{"names":["{lb}"]}`, missing: "LoadBalancerNotFoundException"},
		{name: "DescribeTargetHealth", source: "elasticloadbalancing", request: `{"targetGroupArn":"{tg}"}`},
		{name: "RegisterTargets", source: "elasticloadbalancing", write: true, request: `{"targetGroupArn":"{tg}","targets":[{"id":"{instance}","port":8080}]}`},
		{name: "DeregisterTargets", source: "elasticloadbalancing", write: true, request: `{"targetGroupArn":"{tg}","targets":[{"id":"{instance}","port":8080}]}`},
		{name: "DescribeCluster", source: "eks", request: `{"name":"{cluster}"}`},

		// Containers.
		{name: "GetAuthorizationToken", source: "ecr"},
		{name: "DescribeRepositories", source: "ecr", request: `{"repositoryNames":["{repo}"]}`, missing: "RepositoryNotFoundException"},
		{name: "BatchGetImage", source: "ecr", request: `{"registryId":"{account}","repositoryName":"{repo}","imageIds":[{"imageTag":"{build}"}],"acceptedMediaTypes":["application/vnd.docker.distribution.manifest.v2+json"]}`, resources: `[{"accountId":"{account}","ARN":"arn:aws:ecr:{region}:{account}:repository/{repo}"}]`},
		{name: "InitiateLayerUpload", source: "ecr", write: true, request: `{"registryId":"{account}","repositoryName":"{repo}"}`, response: `{"uploadId":"{uuid}","partSize":10485760}`, resources: `[{"accountId":"{account}","ARN":"arn:aws:ecr:{region}:{account}:repository/{repo}"}]`},
		{name: "PutImage", source: "ecr", write: true, request: `{"registryId":"{account}","repositoryName":"{repo}","imageTag":"{build}"}`, response: `{"image":{"registryId":"{account}","repositoryName":"{repo}","imageId":{"imageTag":"{build}"}}}`, resources: `[{"accountId":"{account}","ARN":"arn:aws:ecr:{region}:{account}:repository/{repo}"}]`},
		{name: "DescribeServices", source: "ecs", request: `{"cluster":"{cluster}","services":["{service}"]}`},
		{name: "DescribeTasks", source: "ecs", request: `{"cluster":"{cluster}","tasks":["{taskid}"]}`},
		{name: "ListTasks", source: "ecs", request: `{"cluster":"{cluster}","serviceName":"{service}"}`},
		{name: "RegisterTaskDefinition", source: "ecs", write: true, request: `{"family":"{service}","networkMode":"awsvpc","cpu":"512","memory":"1024","requiresCompatibilities":["FARGATE"],"containerDefinitions":[{"name":"{service}","image":"{account}.dkr.ecr.{region}.amazonaws.com/{repo}:{build}","essential":true,"portMappings":[{"containerPort":8080,"protocol":"tcp"}]}]}`, response: `{"taskDefinition":{"taskDefinitionArn":"arn:aws:ecs:{region}:{account}:task-definition/{service}:{number}","family":"{service}","revision":{number},"status":"ACTIVE"}}`},
		{name: "UpdateService", source: "ecs", write: true, request: `{"cluster":"{cluster}","service":"{service}","taskDefinition":"{service}:{number}","forceNewDeployment":false}`, response: `{"service":{"serviceName":"{service}","status":"ACTIVE","desiredCount":3,"runningCount":3,"taskDefinition":"arn:aws:ecs:{region}:{account}:task-definition/{service}:{number}"}}`, missing: "ServiceNotFoundException"},

		// Storage.
		{name: "ListBuckets", source: "s3", global: true, request: `{"Host":"s3.amazonaws.com"}`, extra: s3Extra},
		{name: "GetBucketLocation", source: "s3", request: `{` + s3Host + `,"location":""}`, extra: s3Extra, resources: s3Bucket},
		{name: "GetBucketAcl", source: "s3", request: `{` + s3Host + `,"acl":""}`, extra: s3Extra, resources: s3Bucket},
		{name: "GetBucketPolicy", source: "s3", request: `{` + s3Host + `,"policy":""}`, extra: s3Extra, resources: s3Bucket, missing: "NoSuchBucketPolicy"},
		{name: "GetBucketVersioning", source: "s3", request: `{` + s3Host + `,"versioning":""}`, extra: s3Extra, resources: s3Bucket},
		{name: "GetBucketEncryption", source: "s3", request: `{` + s3Host + `,"encryption":""}`, extra: s3Extra, resources: s3Bucket},
		{name: "ListObjects", source: "s3", data: true, request: `{"list-type":"2",` + s3Host + `,"prefix":"{prefix}"}`, extra: s3Extra, resources: s3Bucket},
		{name: "GetObject", source: "s3", data: true, request: `{` + s3Host + `,"key":"{key}"}`, extra: s3Extra, resources: s3Object, missing: "NoSuchKey"},
		{name: "PutObject", source: "s3", data: true, write: true, request: `{` + s3Host + `,"key":"{key}"}`, response: `{"x-amz-server-side-encryption":"AES256"}`, extra: s3Extra, resources: s3Object},

		// Identity.
		{name: "GetCallerIdentity", source: "sts"},
		{name: "ListUsers", source: "iam", global: true, request: `{"maxItems":100}`},
		{name: "ListRoles", source: "iam", global: true},
		{name: "GetUser", source: "iam", global: true, request: `{"userName":"{user}"}`, missing: "NoSuchEntityException"},
		{name: "GetRole", source: "iam", global: true, request: `{"roleName":"{role}"}`, missing: "NoSuchEntityException"},
		{name: "GetPolicy", source: "iam", global: true, request: `{"policyArn":"arn:aws:iam::{account}:policy/{policy}"}`, missing: "NoSuchEntityException"},
		{name: "GetPolicyVersion", source: "iam", global: true, request: `{"policyArn":"arn:aws:iam::{account}:policy/{policy}","versionId":"v3"}`},
		{name: "ListAccessKeys", source: "iam", global: true, request: `{"userName":"{user}"}`, missing: "NoSuchEntityException"},
		{name: "ListAttachedUserPolicies", source: "iam", global: true, request: `{"userName":"{user}"}`, missing: "NoSuchEntityException"},
		{name: "ListAttachedRolePolicies", source: "iam", global: true, request: `{"roleName":"{role}"}`, missing: "NoSuchEntityException"},
		{name: "ListRolePolicies", source: "iam", global: true, request: `{"roleName":"{role}"}`},
		{name: "GetAccountSummary", source: "iam", global: true},
		{name: "ListAccountAliases", source: "iam", global: true},
		{name: "GenerateCredentialReport", source: "iam", global: true, response: `{"state":"STARTED","description":"No report exists. Starting a new report generation task"}`},
		{name: "GetCredentialReport", source: "iam", global: true},
		{name: "CreateRole", source: "iam", write: true, global: true, request: `{"roleName":"{role}","assumeRolePolicyDocument":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"lambda.amazonaws.com\"},\"Action\":\"sts:AssumeRole\"}]}"}`, response: `{"role":{"path":"/","roleName":"{role}","arn":"arn:aws:iam::{account}:role/{role}"}}`, missing: "EntityAlreadyExistsException"},
		{name: "AttachRolePolicy", source: "iam", write: true, global: true, request: `{"roleName":"{role}","policyArn":"arn:aws:iam::{account}:policy/{policy}"}`},
		{name: "CreateUser", source: "iam", write: true, global: true, request: `{"userName":"{user}"}`},
		{name: "CreateAccessKey", source: "iam", write: true, global: true, request: `{"userName":"{user}"}`},
		{name: "GetAccountAuthorizationDetails", source: "iam", global: true},
		{name: "ListAccounts", source: "organizations", global: true},

		// Keys and secrets.
		{name: "Decrypt", source: "kms", request: `{"encryptionAlgorithm":"SYMMETRIC_DEFAULT","encryptionContext":{"aws:s3:arn":"arn:aws:s3:::{bucket}"}}`, resources: kmsKey},
		{name: "GenerateDataKey", source: "kms", request: `{"keyId":"arn:aws:kms:{region}:{account}:key/{kmskey}","keySpec":"AES_256","encryptionContext":{"aws:s3:arn":"arn:aws:s3:::{bucket}"}}`, resources: kmsKey},
		{name: "DescribeKey", source: "kms", request: `{"keyId":"{kmskey}"}`, resources: kmsKey},
		{name: "ListAliases", source: "kms", request: `{"limit":100}`},
		{name: "GetSecretValue", source: "secretsmanager", request: `{"secretId":"{secret}"}`, missing: "ResourceNotFoundException"},
		{name: "ListSecrets", source: "secretsmanager", request: `{"maxResults":100,"includePlannedDeletion":false}`},
		{name: "GetParameter", source: "ssm", request: `{"name":"{param}","withDecryption":true}`, missing: "ParameterNotFound"},
		{name: "GetParameters", source: "ssm", request: `{"names":["{param}"],"withDecryption":true}`},
		{name: "DescribeParameters", source: "ssm", request: `{"maxResults":50}`},
		{name: "UpdateInstanceInformation", source: "ssm", write: true, request: `{"instanceId":"{instance}","agentVersion":"3.2.2303.0","agentStatus":"Active","platformType":"Linux","platformName":"Amazon Linux","platformVersion":"2023"}`},
		{name: "StartSession", source: "ssm", write: true, request: `{"target":"{instance}"}`, response: `{"sessionId":"{user}-{build}"}`, missing: "TargetNotConnected"},

		// Functions, data and messages.
		{name: "ListFunctions", source: "lambda", event: "ListFunctions20150331"},
		{name: "GetFunction", source: "lambda", event: "GetFunction20150331v2", request: `{"functionName":"{function}"}`, missing: "ResourceNotFoundException"},
		{name: "GetFunctionConfiguration", source: "lambda", event: "GetFunctionConfiguration20150331v2", request: `{"functionName":"{function}"}`},
		{name: "UpdateFunctionCode", source: "lambda", event: "UpdateFunctionCode20150331v2", write: true, request: `{"functionName":"{function}","publish":false,"dryRun":false,"s3Bucket":"{bucket}","s3Key":"{key}"}`, response: `{"functionName":"{function}","functionArn":"arn:aws:lambda:{region}:{account}:function:{function}","runtime":"python3.12","handler":"main.handler","codeSize":{size},"timeout":30,"memorySize":512,"state":"Active","lastUpdateStatus":"InProgress"}`, missing: "ResourceConflictException"},
		{name: "Invoke", source: "lambda", data: true, write: true, request: `{"functionName":"{function}","invocationType":"Event"}`, resources: lambdaARN},
		{name: "DescribeTable", source: "dynamodb", request: `{"tableName":"{table}"}`, missing: "ResourceNotFoundException"},
		{name: "ListTables", source: "dynamodb", request: `{"limit":100}`},
		{name: "GetItem", source: "dynamodb", data: true, request: `{"tableName":"{table}","key":{"id":"{number}"}}`, resources: tableARN},
		{name: "Query", source: "dynamodb", data: true, request: `{"tableName":"{table}","indexName":"by-day","limit":50}`, resources: tableARN},
		{name: "PutItem", source: "dynamodb", data: true, write: true, request: `{"tableName":"{table}","key":{"id":"{number}"}}`, resources: tableARN, missing: "ConditionalCheckFailedException"},
		{name: "DescribeDBInstances", source: "rds", request: `{"dBInstanceIdentifier":"{db}"}`, missing: "DBInstanceNotFound"},
		{name: "DescribeDBSnapshots", source: "rds", request: `{"dBInstanceIdentifier":"{db}","snapshotType":"manual"}`},
		{name: "CreateDBSnapshot", source: "rds", write: true, request: `{"dBSnapshotIdentifier":"{db}-{build}","dBInstanceIdentifier":"{db}"}`, response: `{"dBSnapshotIdentifier":"{db}-{build}","dBInstanceIdentifier":"{db}","engine":"postgres","allocatedStorage":100,"status":"creating","snapshotType":"manual","encrypted":true}`, missing: "InvalidDBInstanceState"},
		{name: "ListTagsForResource", source: "rds", request: `{"resourceName":"arn:aws:rds:{region}:{account}:db:{db}"}`},
		{name: "Publish", source: "sns", data: true, write: true, request: `{"topicArn":"arn:aws:sns:{region}:{account}:{topic}","message":"HIDDEN_DUE_TO_SECURITY_REASONS"}`, response: `{"messageId":"{uuid}"}`, resources: `[{"accountId":"{account}","type":"AWS::SNS::Topic","ARN":"arn:aws:sns:{region}:{account}:{topic}"}]`},
		{name: "SendMessage", source: "sqs", data: true, write: true, request: `{"queueUrl":"https://sqs.{region}.amazonaws.com/{account}/{queue}","delaySeconds":0}`, response: `{"messageId":"{uuid}"}`, resources: `[{"accountId":"{account}","type":"AWS::SQS::Queue","ARN":"arn:aws:sqs:{region}:{account}:{queue}"}]`},
		{name: "ListQueues", source: "sqs", request: `{"queueNamePrefix":"orders"}`},
		{name: "GetQueueAttributes", source: "sqs", request: `{"queueUrl":"https://sqs.{region}.amazonaws.com/{account}/{queue}","attributeNames":["ApproximateNumberOfMessages"]}`},

		// Logs, measurements, governance.
		{name: "DescribeLogGroups", source: "logs", request: `{"logGroupNamePrefix":"{loggroup}"}`},
		{name: "FilterLogEvents", source: "logs", request: `{"logGroupName":"{loggroup}","limit":100,"filterPattern":"ERROR"}`, missing: "ResourceNotFoundException"},
		{name: "CreateLogGroup", source: "logs", write: true, request: `{"logGroupName":"{loggroup}"}`, missing: "ResourceAlreadyExistsException"},
		{name: "CreateLogStream", source: "logs", write: true, request: `{"logGroupName":"{loggroup}","logStreamName":"{stream}"}`, missing: "ResourceAlreadyExistsException"},
		{name: "DescribeAlarms", source: "monitoring", request: `{"stateValue":"ALARM","maxRecords":100}`},
		{name: "GetMetricData", source: "monitoring", data: true, request: `{"metricDataQueries":[{"id":"m1","metricStat":{"metric":{"namespace":"AWS/EC2","metricName":"CPUUtilization","dimensions":[{"name":"InstanceId","value":"{instance}"}]},"period":300,"stat":"Average"}}]}`},
		{name: "ListMetrics", source: "monitoring", request: `{"namespace":"AWS/ApplicationELB"}`},
		{name: "PutMetricData", source: "monitoring", data: true, write: true, request: `{"namespace":"{service}"}`},
		{name: "PutMetricAlarm", source: "monitoring", write: true, request: `{"alarmName":"{service}-errors","namespace":"{service}","metricName":"Errors","statistic":"Sum","period":60,"evaluationPeriods":5,"threshold":10,"comparisonOperator":"GreaterThanThreshold","actionsEnabled":true}`},
		{name: "LookupEvents", source: "cloudtrail", request: `{"maxResults":50,"lookupAttributes":[{"attributeKey":"Username","attributeValue":"{user}"}]}`},
		{name: "DescribeTrails", source: "cloudtrail", request: `{"trailNameList":[]}`},
		{name: "GetTrailStatus", source: "cloudtrail", request: `{"name":"arn:aws:cloudtrail:us-east-1:{account}:trail/organization"}`},
		{name: "DescribeConfigurationRecorders", source: "config"},
		{name: "PutEvaluations", source: "config", write: true, request: `{"evaluations":[{"complianceResourceType":"AWS::EC2::Volume","complianceResourceId":"{volume}","complianceType":"COMPLIANT"}],"testMode":false}`, response: `{"failedEvaluations":[]}`},
		{name: "ListBackupJobs", source: "backup", request: `{"byState":"RUNNING"}`},
		{name: "DescribeStacks", source: "cloudformation", request: `{"stackName":"{stack}"}`, missing: "ValidationException"},
		{name: "DescribeStackEvents", source: "cloudformation", request: `{"stackName":"{stack}"}`},
		{name: "CreateChangeSet", source: "cloudformation", write: true, request: `{"stackName":"{stack}","changeSetName":"release-{build}","changeSetType":"UPDATE","capabilities":["CAPABILITY_IAM"]}`, response: `{"id":"arn:aws:cloudformation:{region}:{account}:changeSet/release-{build}/{uuid}","stackId":"arn:aws:cloudformation:{region}:{account}:stack/{stack}/{kmskey}"}`},
		{name: "DescribeChangeSet", source: "cloudformation", request: `{"stackName":"{stack}","changeSetName":"release-{build}"}`, missing: "ChangeSetNotFoundException"},
		{name: "ExecuteChangeSet", source: "cloudformation", write: true, request: `{"stackName":"{stack}","changeSetName":"release-{build}"}`},
		{name: "ListHostedZones", source: "route53", global: true},
	}
}

// pools are the things that the accounts own, by name in braces.
var pools = map[string][]string{
	"bucket":   {"acme-artifacts", "acme-media", "acme-order-archive", "acme-logs", "acme-reports", "acme-static-site", "acme-etl-staging"},
	"prefix":   {"orders/", "images/", "reports/2026/", "releases/"},
	"role":     {"web-instance-role", "worker-instance-role", "order-events-lambda-role", "checkout-lambda-role", "stack-execution-role", "nightly-etl-role"},
	"user":     {"dev-backend-1", "dev-backend-2", "oncall-1", "ci-pipeline", "backup-runner", "dev-shop-1", "support-1"},
	"policy":   {"artifact-read", "order-write", "media-read", "logs-write", "deploy-services"},
	"function": {"order-events", "image-resize", "checkout", "send-receipt", "rotate-catalogue"},
	"table":    {"orders", "carts", "sessions", "catalogue"},
	"db":       {"orders-primary", "orders-replica", "catalogue"},
	"cluster":  {"shop", "platform"},
	"service":  {"storefront", "checkout", "catalogue", "search", "billing"},
	"repo":     {"storefront", "checkout", "catalogue", "worker"},
	"stack":    {"network", "storefront", "checkout", "data-platform"},
	"asg":      {"web-asg", "worker-asg", "report-asg"},
	"lb":       {"storefront-public", "internal-api"},
	"secret":   {"live/orders-db", "live/payment-gateway", "live/search"},
	"param":    {"/live/storefront/config", "/live/checkout/config", "/live/feature-flags"},
	"loggroup": {"/aws/lambda/order-events", "/aws/lambda/checkout", "/ecs/storefront", "/ecs/search"},
	"topic":    {"order-placed", "stock-low", "alarms"},
	"queue":    {"orders", "orders-retry", "image-jobs"},
	"vpc":      {"vpc-0a4be1c2d3f405162", "vpc-0b5cf2d3e40516273"},
	"subnet":   {"subnet-0c1d2e3f405162738", "subnet-0d2e3f4051627384a", "subnet-0e3f4051627384a5b"},
	"sg":       {"sg-0123456789abcdef0", "sg-01a2b3c4d5e6f7081", "sg-0fedcba9876543210"},
	"image":    {"ami-0c101f26f147fa7fd", "ami-0d7a109bf30624c99"},
	"kmskey":   {"1f0c2d3e-4b5a-4978-8695-a4b3c2d1e0f1", "2a1b3c4d-5e6f-4081-92a3-b4c5d6e7f809"},
	"volume":   {"vol-0a1b2c3d4e5f60718", "vol-0b2c3d4e5f6071829", "vol-0c3d4e5f60718293a", "vol-0d4e5f60718293a4b"},
	"instance": {"i-0a1b2c3d4e5f60718", "i-0b2c3d4e5f6071829", "i-0c3d4e5f60718293a", "i-0d4e5f60718293a4b", "i-0e5f60718293a4b5c"},
}
