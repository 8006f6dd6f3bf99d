package cloudtrail

import (
	"slices"
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// entities fills who acted, what was acted on, and everything else that the call names: actor.*, target.*, related.entity
// and the fields of each kind of entity.
func (m *mapper) entities() {
	service, _ := strings.CutSuffix(m.rec.eventSource.Str(), amazonAWS)
	m.targets = distinct(m.targetsOf(m.targets[:0], service, m.rec.eventName.Str()))
	m.names = distinct(append(m.relatedOf(m.names[:0], service), m.targets...))
	m.v[fRelatedEntity] = textList(m.names)
	m.v[fTargetEntityID] = textList(m.targets)
	m.classifyTargets(service)
	m.classifyActor()
}

// distinct sorts texts and leaves each once, none empty.
func distinct(list []string) []string {
	slices.Sort(list)
	list = slices.Compact(list)
	if len(list) > 0 && list[0] == "" {
		list = list[1:]
	}
	return list
}

func textList(list []string) event.Value {
	if len(list) == 0 {
		return event.Value{}
	}
	return event.Strings(list...)
}

// relatedOf appends what a call names: its actor's keys, ARNs and names, its resources, and what services call their
// things.
func (m *mapper) relatedOf(out []string, service string) []string {
	id := &m.who
	out = append(out, id.accessKeyID, id.arn, id.userName.Text(), id.issuerARN, id.issuerUserName.Text())
	if id.kind == "IdentityCenterUser" {
		out = append(out, id.behalfStoreID)
	}
	out = m.follow(out, "resources.ARN")
	for _, path := range relatedPaths[service] {
		out = m.follow(out, path)
	}
	return out
}

// targetsOf appends what a call acted on.
func (m *mapper) targetsOf(out []string, service, action string) []string {
	switch service {
	case "lambda": // the names of its calls carry versions: AddPermission20150331v2
		switch {
		case strings.Contains(action, "AddPermission"):
			return m.follow(out, "ask.functionName")
		case strings.Contains(action, "ListFunctions"):
			return m.follow(out, "account")
		}
		return out
	case "ssm":
		if action == "SendCommand" {
			return m.commanded(out)
		}
	}
	for _, path := range targetPaths[service][action] {
		from := len(out)
		for _, way := range strings.Split(path, "|") { // the first that leads somewhere
			if out = m.follow(out, way); len(out) > from {
				break
			}
		}
	}
	return out
}

// commanded appends the instances that a command was sent to; all of them are named by the account.
func (m *mapper) commanded(out []string) []string {
	from := len(out)
	out = m.follow(out, "ask.instanceIds")
	out = m.follow(out, "ask.targets.values")
	for i, id := range out[from:] {
		if id == "*" {
			out = slices.Delete(out, from+i, from+i+1)
			return m.follow(out, "account")
		}
	}
	return out
}

// follow appends the texts at path, which begins with ask (the request's parameters), got (the response's elements), more
// (the additional data), resources, or is account; lists are entered on the way.
func (m *mapper) follow(out []string, path string) []string {
	root, rest, _ := strings.Cut(path, ".")
	var v event.Value
	switch root {
	case "ask":
		v = m.rec.requestParameters
	case "got":
		v = m.rec.responseElements
	case "more":
		v = m.rec.additionalEventData
	case "resources":
		v = m.rec.resources
	case "account":
		v = m.rec.recipientAccountID
	}
	return appendTexts(out, v, rest)
}

func appendTexts(out []string, v event.Value, path string) []string {
	switch v.Kind() {
	case event.KindNull:
	case event.KindList:
		for _, item := range v.Items() {
			out = appendTexts(out, item, path)
		}
	case event.KindObject:
		if path != "" {
			key, rest, _ := strings.Cut(path, ".")
			out = appendTexts(out, v.Member(key), rest)
		}
	default:
		if path == "" {
			out = append(out, v.Text())
		}
	}
	return out
}

// What an entity is.
type entityKind uint8

const (
	otherEntity entityKind = iota
	userEntity
	hostEntity
	serviceEntity
)

// classifyTargets sorts the targets by what they are.
func (m *mapper) classifyTargets(service string) {
	var users, hosts, hostIDs, services, others []event.Value
	for _, t := range m.targets {
		switch v := event.String(t); targetKind(t, service) {
		case userEntity:
			users = append(users, v)
		case serviceEntity:
			services = append(services, v)
		case hostEntity:
			hosts = append(hosts, v)
			if _, id, ok := strings.Cut(t, "instance/"); ok {
				v = event.String(id)
			}
			hostIDs = append(hostIDs, v)
		default:
			others = append(others, v)
		}
	}
	m.v[fUserTargetEntityID] = valueList(users)
	m.v[fHostTargetEntityID] = valueList(hosts)
	m.v[fHostTargetID] = valueList(hostIDs)
	m.v[fServiceTargetEntityID] = valueList(services)
	m.v[fEntityTargetID] = valueList(others)
}

func valueList(list []event.Value) event.Value {
	if len(list) == 0 {
		return event.Value{}
	}
	return event.List(list...)
}

// isServiceRole reports whether an ARN is that of a role that an AWS service owns.
func isServiceRole(arn string) bool {
	return strings.Contains(arn, "/AWSServiceRoleFor") || strings.Contains(arn, "/aws-service-role/")
}

func targetKind(id, service string) entityKind {
	if strings.HasPrefix(id, "arn:") {
		if isServiceRole(id) || service == "s3" {
			return serviceEntity
		}
		return kindOfARN(id)
	}
	switch {
	case len(id) == 20 && strings.HasPrefix(id, "AKIA"):
		return userEntity
	case strings.HasPrefix(id, "i-"):
		return hostEntity
	}
	prefix, _, dashed := strings.Cut(id, "-")
	if dashed && slices.Contains(servicePrefixes, prefix) {
		return serviceEntity
	}
	return otherEntity
}

// kindOfARN goes by the type of resource: what stands behind the fifth colon, up to the next colon or slash.
func kindOfARN(arn string) entityKind {
	kind := resourceOf(arn)
	if end := strings.IndexAny(kind, ":/"); end >= 0 {
		kind = kind[:end]
	}
	switch {
	case slices.Contains(userTypes, kind):
		return userEntity
	case kind == "instance":
		return hostEntity
	case slices.Contains(serviceTypes, kind):
		return serviceEntity
	}
	return otherEntity
}

// classifyActor says who acted. Taking on a role is done by whoever held the credentials: a service, or the role that a
// session came from.
func (m *mapper) classifyActor() {
	id := &m.who
	actor := id.arn
	if actor == "" {
		actor = id.behalfUserID.Text()
	}
	if m.rec.eventName.Str() == "AssumeRole" {
		switch {
		case id.kind == "AWSService" && id.invokedBy != "":
			actor = id.invokedBy
		case id.kind == "AssumedRole" && id.issuerARN != "":
			actor = id.issuerARN
		}
	}
	if actor == "" {
		return
	}
	list := event.Strings(actor)
	m.v[fActorEntityID] = list
	switch {
	case id.service || isServiceRole(actor):
		m.v[fServiceEntityID] = list
	case id.kind == "AssumedRole" && id.issuerARN != "": // the role: sessions come and go
		m.v[fUserEntityID] = event.Strings(id.issuerARN)
	case id.kind == "IAMUser" || id.kind == "Root" || id.kind == "AssumedRole":
		m.v[fUserEntityID] = list
	default:
		switch kindOfARN(actor) {
		case userEntity:
			m.v[fUserEntityID] = list
		case hostEntity:
			m.v[fHostEntityID] = list
		default:
			m.v[fEntityID] = list
		}
	}
}
