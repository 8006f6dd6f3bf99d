package cloudtrail

import "github.com/tocsin-sec/tocsin/internal/event"

// digest maps a digest file: the hourly list of what CloudTrail delivered.
func (m *mapper) digest() {
	root := m.rec.digestRoot
	get := func(key string) event.Value { return root.Member(key) }
	m.v[fFilePath] = get("digestS3Object")
	if v := get("previousDigestHashValue"); !v.IsNull() {
		m.v[fRelatedHash] = event.List(v)
	}
	if m.c.opt.Retain == RetainNone {
		return
	}
	var tree []event.Member
	add := func(key string, v event.Value) {
		if !v.IsNull() {
			tree = append(tree, event.Member{Key: key, Value: v})
		}
	}
	add("start_time", moment(get("digestStartTime")))
	add("end_time", moment(get("digestEndTime")))
	add("newest_event_time", moment(get("newestEventTime")))
	add("oldest_event_time", moment(get("oldestEventTime")))
	add("s3_bucket", get("digestS3Bucket"))
	add("signature_algorithm", get("digestSignatureAlgorithm"))
	add("public_key_fingerprint", first(get("digestPublicKeyFingerprint"), get("publicKeyFingerprint")))
	add("previous_s3_bucket", get("previousDigestS3Bucket"))
	add("previous_s3_object", get("previousDigestS3Object"))
	add("previous_signature", get("previousDigestSignature"))
	add("previous_hash_value", get("previousDigestHashValue"))
	add("previous_hash_algorithm", get("previousDigestHashAlgorithm"))
	add("log_files", get("logFiles"))
	m.v[fCTFlattenedDigest] = event.Object(tree...)
}

// filebeatDigest maps a digest file as Filebeat does, which puts the previous digest's signature where a hash belongs.
func (m *mapper) filebeatDigest() {
	root := m.rec.digestRoot
	m.v[fFilePath] = root.Member("digestS3Object")
	m.v[fFileHashSHA256] = root.Member("previousDigestSignature")
	m.v[fCTDigestStartTime] = moment(root.Member("digestStartTime"))
	m.v[fCTDigestEndTime] = moment(root.Member("digestEndTime"))
	m.v[fCTDigestNewestEventTime] = moment(root.Member("newestEventTime"))
	m.v[fCTDigestOldestEventTime] = moment(root.Member("oldestEventTime"))
	m.v[fCTDigestS3Bucket] = root.Member("digestS3Bucket")
	m.v[fCTDigestSignatureAlgorithm] = root.Member("digestSignatureAlgorithm")
	m.v[fCTDigestPublicKeyFingerprint] = root.Member("publicKeyFingerprint")
	m.v[fCTDigestPreviousS3Bucket] = root.Member("previousDigestS3Bucket")
	m.v[fCTDigestPreviousHashAlgorithm] = root.Member("previousDigestHashAlgorithm")
	m.v[fCTDigestLogFiles] = root.Member("logFiles")
}

// moment prints an instant as events carry it; what is none stays as it is.
func moment(v event.Value) event.Value {
	if at, ok := instant(v); ok {
		return event.String(at)
	}
	return v
}
