package cloudtrail

import (
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// kind is what an API call is in terms of ECS.
type kind struct {
	category, types event.Value
	filebeat        bool // Filebeat knows it too
}

// What calls outside the table are.
var (
	infoList = event.Strings("info")
	infoText = event.String("info")
)

// kinds holds the calls that have a category, by their exact name.
var kinds = readKinds(
	// Category, types (of which order counts), names; those behind a bar are not Filebeat's.
	[3]string{"iam", "group change", `AddUserToGroup AttachGroupPolicy DeleteGroupPolicy DetachGroupPolicy PutGroupPolicy
		RemoveUserFromGroup UpdateGroup`},
	[3]string{"iam", "user change", `AttachUserPolicy ChangePassword CreateAccessKey CreateVirtualMFADevice
		DeactivateMFADevice DeleteAccessKey DeleteSSHPublicKey DeleteUserPermissionsBoundary DeleteUserPolicy
		DeleteVirtualMFADevice DetachUserPolicy EnableMFADevice PutUserPermissionsBoundary PutUserPolicy TagUser UntagUser
		UpdateAccessKey UpdateLoginProfile UpdateSSHPublicKey UpdateUser`},
	[3]string{"iam", "group creation", "CreateGroup"},
	[3]string{"iam", "group deletion", "DeleteGroup"},
	[3]string{"iam", "user creation", "CreateUser"},
	[3]string{"iam", "user deletion", "DeleteUser"},
	[3]string{"iam", "admin creation", "CreateKeyPair"},
	[3]string{"iam", "admin change", `SetDefaultPolicyVersion SetSecurityTokenServicePreferences
		UpdateAccountPasswordPolicy UpdateRole`},
	[3]string{"iam", "group info", "GetGroup GetGroupPolicy ListAttachedGroupPolicies ListGroupPolicies ListGroups"},
	[3]string{"iam", "user info", `GetUser GetUserPolicy ListAttachedUserPolicies ListGroupsForUser ListUserPolicies
		ListUsers ListUserTags`},
	[3]string{"authentication", "info", "AssumeRole ConsoleLogin | GetCallerIdentity"},
	[3]string{"file", "creation", "CreateBucket | CreateDocument"},
	[3]string{"file", "deletion", "DeleteBucket | DeleteObject"},
	[3]string{"file", "info", "| ListBuckets ListObjects HeadObject GetObject"},
	[3]string{"file", "change", "| PutObject"},
	[3]string{"iam", "info", "| ListRoles GetPolicy ListAttachedRolePolicies"},
	[3]string{"iam", "creation", "| CreatePolicy"},
	[3]string{"iam", "change", "| AttachRolePolicy"},
	[3]string{"host", "info", "| DescribeInstances DescribeVolumes ListInstanceAssociations"},
	[3]string{"network", "info", `| DescribeSecurityGroups DescribeNetworkInterfaces DescribeVpcs DescribeNetworkAcls
		DescribeLoadBalancers`},
	[3]string{"network", "access", "| AuthorizeSecurityGroupIngress"},
	[3]string{"configuration", "info", "| DescribeTrails"},
	[3]string{"configuration", "creation", "| CreateTopic"},
	[3]string{"configuration", "change", "| Subscribe"},
	[3]string{"configuration", "deletion", "| DeleteTrail"},
	[3]string{"api", "info", "| DescribeRegions Publish Converse"},
	[3]string{"database", "info", "| ListTables DescribeDBInstances"},
	[3]string{"package", "info", "| ListFunctions"},
	[3]string{"process", "start", "| SendCommand"},
	[3]string{"session", "start", "| StartSession CreateControlChannel OpenControlChannel CreateDataChannel OpenDataChannel"},
	[3]string{"session", "end", "| TerminateSession"},
)

func readKinds(rows ...[3]string) map[string]kind {
	out := map[string]kind{}
	for _, row := range rows {
		k := kind{category: event.Strings(row[0]), types: event.Strings(strings.Fields(row[1])...), filebeat: true}
		for _, name := range strings.Fields(row[2]) {
			if name == "|" {
				k.filebeat = false
				continue
			}
			out[name] = k
		}
	}
	return out
}

// categorise fills event.category and event.type.
func (m *mapper) categorise(filebeat bool) {
	k, known := kinds[m.rec.eventName.Str()]
	switch {
	case known && (k.filebeat || !filebeat):
		m.v[fEventCategory], m.v[fEventType] = k.category, k.types
	case filebeat:
		m.v[fEventType] = infoText
	default:
		m.v[fEventType] = infoList
	}
}

var (
	success = event.String("success")
	failure = event.String("failure")
)

// outcome says how the call ended. A console sign-in says it itself; of all other calls an error code or message does,
// whatever it says.
func (m *mapper) outcome() event.Value {
	if m.rec.eventName.Str() == "ConsoleLogin" {
		if said := m.rec.responseElements.Member("ConsoleLogin").Str(); said != "" {
			return event.String(strings.ToLower(said))
		}
	}
	if !m.rec.errorCode.IsNull() || !m.rec.errorMessage.IsNull() {
		return failure
	}
	return success
}
