package cloudtrail

import (
	"strings"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// texts gathers values for a list of keywords, each once, in the order in which they come.
type texts struct {
	items []event.Value
	seen  map[string]bool // of long lists
}

// longList is the number of values from which what is seen is looked up, not searched.
const longList = 32

// add adds what v holds: a scalar as text, or those of a list.
func (t *texts) add(v event.Value) {
	switch {
	case v.Kind() == event.KindList:
		for _, item := range v.Items() {
			t.add(item)
		}
	case v.IsScalar():
		t.addText(v.Text())
	}
}

func (t *texts) addText(s string) {
	if s == "" {
		return
	}
	if t.has(s) {
		return
	}
	t.items = append(t.items, event.String(s))
	switch {
	case t.seen != nil:
		t.seen[s] = true
	case len(t.items) == longList:
		t.seen = make(map[string]bool, 2*longList)
		for _, item := range t.items {
			t.seen[item.Str()] = true
		}
	}
}

func (t *texts) has(s string) bool {
	if t.seen != nil {
		return t.seen[s]
	}
	for i := range t.items {
		if t.items[i].Str() == s {
			return true
		}
	}
	return false
}

// list returns the list, null when it is empty.
func (t *texts) list() event.Value {
	if len(t.items) == 0 {
		return event.Value{}
	}
	return event.List(t.items...)
}

// relate fills related.user, related.ip and related.hosts.
func (m *mapper) relate() {
	r, ask := &m.rec, m.rec.requestParameters
	users := texts{items: make([]event.Value, 0, 4)}
	if s := m.who.session; s != "" {
		users.addText(s)
		if name, _, ok := strings.Cut(s, "@"); ok {
			users.addText(name)
		}
	}
	users.add(ask.Member("userName"))
	users.add(ask.Member("newUserName"))
	users.add(m.v[fUserTargetID])
	users.add(m.v[fUserID])
	users.add(m.v[fUserName])
	users.add(m.who.behalfUserID)
	m.v[fRelatedUser] = users.list()

	var ips texts
	ips.add(m.v[fSourceIP])
	if v := r.serviceEventDetails.Member("sourceIpAddress"); isIP(v) {
		ips.add(v)
	}
	m.v[fRelatedIP] = ips.list()

	var hosts texts
	if name := m.v[fTLSClientServerName].Str(); !strings.HasSuffix(name, amazonAWS) {
		hosts.addText(name)
	}
	if name := r.sourceIPAddress.Str(); m.v[fSourceIP].IsNull() && strings.Contains(name, ".") &&
		!strings.Contains(name, " ") && !strings.HasSuffix(name, amazonAWS) {
		hosts.addText(name)
	}
	hosts.add(ask.Member("computerName"))
	for _, resource := range r.resources.Items() {
		arn := first(resource.Member("ARN"), resource.Member("arn")).Str()
		if _, id, ok := strings.Cut(arn, ":instance/"); ok {
			hosts.addInstance(event.String(id))
		}
	}
	hosts.addInstances(ask)
	hosts.addInstances(r.responseElements)
	m.v[fRelatedHosts] = hosts.list()
}

// addInstances adds the EC2 instances that a request or its answer names.
func (t *texts) addInstances(v event.Value) {
	t.addInstance(v.Member("instanceId"))
	t.addInstance(v.Member("target"))
	t.addInstance(v.Member("resourceId"))
	t.addInstance(v.Member("instanceIds"))
	for _, item := range v.At("instancesSet", "items").Items() {
		t.addInstance(item.Member("instanceId"))
	}
}

func (t *texts) addInstance(v event.Value) {
	if v.Kind() == event.KindList {
		for _, item := range v.Items() {
			t.addInstance(item)
		}
		return
	}
	if id := v.Str(); isInstance(id) {
		t.addText(id)
	}
}

// isInstance reports whether id is that of an EC2 instance.
func isInstance(id string) bool { return len(id) >= 10 && strings.HasPrefix(id, "i-") }
