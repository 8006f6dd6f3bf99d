package demo

import (
	"math/rand/v2"
	"strings"
)

// The parts of made-up names of request parameters.
var (
	keyBegins  = strings.Fields("allowed attached current default desired expected external final initial internal linked local maximum minimum next pending preferred primary required target")
	keyMiddles = strings.Fields("Access Account Alarm Backup Bucket Cache Cluster Domain Endpoint Function Gateway Image Instance Network Policy Queue Schedule Snapshot Subnet Volume")
	keyEnds    = strings.Fields("Action Age Arn Count Days Description Filter Flag Format Group Identifier Limit List Mode Name Owner Path Period Policies Prefix Rate Size State Threshold Type")
)

// MaxKeys is how many names there are.
const MaxKeys = 20 * 20 * 25

// keyShare is one in how many requests has a key of keyring's.
const keyShare = 2

// keyring hands out the keys that requests have besides those of their calls, one after the other, in an order of its own,
// and from the beginning again.
type keyring struct {
	names    []string
	requests int
	next     int
	text     []byte
}

// newKeyring returns a ring of n keys; nil for none.
func newKeyring(n int, seed uint64) *keyring {
	if n == 0 {
		return nil
	}
	k := &keyring{}
	for _, i := range rand.New(rand.NewPCG(seed, 4)).Perm(MaxKeys)[:n] {
		begin, middle, end := keyBegins[i%20], keyMiddles[i/20%20], keyEnds[i/400]
		k.names = append(k.names, begin+middle+end)
	}
	return k
}

// add returns request, a JSON object or nil, with one more key where it is a request's turn. What it returns is valid until the
// next call.
func (k *keyring) add(request []byte) []byte {
	if k == nil || request == nil {
		return request
	}
	if k.requests++; k.requests%keyShare != 0 {
		return request
	}
	name := k.names[k.next]
	k.next = (k.next + 1) % len(k.names)
	k.text = append(k.text[:0], `{"`...)
	k.text = append(k.text, name...)
	k.text = append(k.text, `":"on"`...)
	if rest := request[1:]; rest[0] != '}' {
		k.text = append(k.text, ',')
	}
	k.text = append(k.text, request[1:]...)
	return k.text
}
