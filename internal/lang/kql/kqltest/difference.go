package kqltest

// Difference is a probed query to which this project knowingly gives another answer than Elasticsearch.
type Difference struct {
	KQL    string
	Server answer // recorded
	Ours   answer
	Why    string
}

const (
	keyWildcard = "a wildcard on a key of a flattened field is about the values of that key alone"
	keyRange    = "a one-sided comparison of a key of a flattened field compares that key's values as texts"
)

// Differences are all of them; each is part of a row of docs/deviations.md.
func Differences() []Difference {
	return []Difference{
		{"f.zz:*Yz", hit, miss, keyWildcard},
		{"f.a:*Yz", hit, miss, keyWildcard},
		{"f.zz:*o*", hit, miss, keyWildcard},
		{"f.a:H*d", miss, hit, keyWildcard},
		{"f.n > 4", failed, miss, keyRange},
		{`f.a > "H"`, failed, miss, keyRange},
	}
}
