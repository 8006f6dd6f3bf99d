package storetest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// pools are the values of fields in random events, as JSON, a field a line: those that fit the field's type and some that
// do not. Few and often repeated, so that conditions hit.
var pools = parsePools(`
aws.cloudtrail.flattened.request_parameters.direct "x"
cloud.account.id "111122223333" "444455556666" 111122223333
cloud.region "eu-central-1" "us-east-1" "US-EAST-1"
custom.flag true false "true" "" "yes" 1
custom.ratio 0.5 -0.0 0 1 1.50 "1.5" 1e300 1e-300 1e999 "x"
custom.when "2026-03-01" "2026-03-01T00:00:00.000Z" "2026-03-02T10:11:12.123456Z" 1772359200123 "1969-12-31T23:59:59.999Z" "soon" 2026 "9999-12-31T23:59:59.999Z"
data_stream.dataset "aws.cloudtrail" "aws.s3access"
event.action "GetCallerIdentity" "ConsoleLogin" "AssumeRole" "getcalleridentity" "Get*" ""
event.category "authentication" "iam" "network" "web"
event.duration 0 1 -1 9223372036854775807 -9223372036854775808 9223372036854775808 9007199254740993 9007199254740992 "12" 3.9 -3.9
event.ingested "2026-03-01T12:05:00.000Z" "2026-03-02T12:05:00.000Z" "2026-03-03T00:00:00Z" "never" 1772359200123
event.kind "event" "alert"
event.outcome "success" "failure" "unknown"
event.risk_score 0 1 47 47.5 "47.50" 99.99 "high"
message "Failed login for root" "login failed: ROOT" "x.login don't" "" "日本語 テスト" "a b c a b" 404
powershell.file.script_block_text "[System.Reflection.Assembly]::Load" "Naïve x_y -enc" "load system"
process.command_line "cmd.exe /c whoami" "CMD.EXE /C dir" "a*b?c\\d" "ſtraße KELVIN \u212a"
related.ip "10.0.0.1" "10.0.0.2" "2001:db8::1" "AWS Internal"
source.geo.location "50.1,8.6" {"lat":50.1,"lon":8.6}
source.ip "10.0.0.1" "10.1.2.3" "::ffff:10.1.2.3" "2001:db8::1" "::1" "255.255.255.255" "AWS Internal" "10.0.0.0/8"
source.port 0 22 443 443.9 "443" "0x1bb" "https" -1 65535 4.43e2
tags "x" "y" "z" "" "X" "σς" "ΣΣ" "ẞ"
user.id "AIDA1" "AIDA2" 7 7.0 "7"
user.name "root" "Root" "alice" "bob" "Kaſ" "Ünïcode" " root " ""
user_agent.original "aws-cli/2.0 Python/3.8" "Mozilla/5.0" "AWS-CLI/2.0 python/3.8"
free.text "one" "two" "One" 1 1.0 true
free.number 1 2 3 4.5 "5" -6
free.way 1 2
free.way.below 1 2
odd.a b 1 2
odd.ü "x" "y"
`)

// pool is the values of one field.
type pool struct {
	path   string
	values []event.Value
}

func parsePools(text string) (out []pool) {
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		at := strings.IndexAny(line, " ")
		if strings.HasPrefix(line, "odd.a b") {
			at = len("odd.a b")
		}
		v, err := event.ParseJSON([]byte("[" + strings.Join(splitJSON(line[at:]), ",") + "]"))
		if err != nil {
			panic(fmt.Sprintf("%s: %v", line, err))
		}
		out = append(out, pool{path: line[:at], values: v.Items()})
	}
	return out
}

// splitJSON cuts scalars and flat objects at the blanks between them.
func splitJSON(s string) (out []string) {
	quoted, from := false, -1
	for i := 0; i <= len(s); i++ {
		if i == len(s) || s[i] == ' ' && !quoted {
			if from >= 0 {
				out = append(out, s[from:i])
			}
			from = -1
			continue
		}
		if from < 0 {
			from = i
		}
		if s[i] == '"' && s[i-1] != '\\' {
			quoted = !quoted
		}
	}
	return out
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

// randomEvents makes n events: in some streams, on some days, brought by some commits, late ones among them.
func randomEvents(r *rand.Rand, n int) []placed {
	streams := []string{"logs-a", "logs-b", "metrics-c", ".hidden-d", "Logs-A"}[:1+r.IntN(4)]
	if chance(r, 30) {
		streams = append(streams, store.AlertStream)
	}
	days, commits := 1+r.IntN(3), 1+r.IntN(4)
	fill := 20 + r.IntN(60) // how full events are, in percent
	out := make([]placed, n)
	for i := range out {
		e := &event.Event{Stream: pick(r, streams), ID: randomID(r, i)}
		when := time.Date(2026, 3, 1+r.IntN(days), r.IntN(24), r.IntN(4)*15, 0, r.IntN(3)*int(time.Millisecond), time.UTC)
		for _, p := range pools {
			if chance(r, fill) {
				e.SetObject("", event.Object(event.Member{Key: p.path, Value: randomValue(r, p.values)}), tree)
			}
		}
		if chance(r, fill) {
			e.SetObject("", randomTrees(r), tree)
		}
		if chance(r, 3) {
			e.Set("custom", event.String("in the way"))
		}
		stamp := event.String(event.FormatTime(when))
		if chance(r, 10) {
			stamp = event.Int(when.UnixMilli())
		}
		e.Set(plan.Timestamp, stamp)
		e.Source.Data = fmt.Appendf(nil, "source %d", i)
		out[i] = placed{Event: e, commit: 1 + r.IntN(commits)}
		if e.Stream == store.AlertStream && chance(r, 60) {
			out[i].state = []event.Member{{Key: "event.kind", Value: event.String("state")},
				{Key: "kibana.alert.workflow_status", Value: event.String(pick(r, []string{"open", "closed"}))}}
			if chance(r, 20) {
				out[i].state[0].Value = event.Null()
			}
		}
	}
	return out
}

// randomID is unique; the order of IDs is not that of events.
func randomID(r *rand.Rand, i int) string {
	return pick(r, []string{"a", "A", "b", "ü", "z"}) + fmt.Sprintf("%x-%d", r.IntN(16), i)
}

// randomValue is a value of the pool, or several, or nothing in its many forms.
func randomValue(r *rand.Rand, values []event.Value) event.Value {
	switch k := r.IntN(100); {
	case k < 72:
		return pick(r, values)
	case k < 90:
		list := make([]event.Value, r.IntN(4))
		for i := range list {
			list[i] = pick(r, values)
			if chance(r, 10) {
				list[i] = event.Null()
			}
		}
		return event.List(list...)
	case k < 92:
		return event.List(event.List(pick(r, values)), pick(r, values))
	case k < 94:
		return event.List(event.Null())
	case k < 96:
		return event.String("")
	case k < 97:
		return event.Object(event.Member{Key: "first", Value: pick(r, values)})
	case k < 98:
		return event.Object()
	case k < 99:
		return event.List(event.Object(event.Member{Key: "first", Value: pick(r, values)}), pick(r, values))
	}
	return event.Null()
}

// randomTrees holds a flattened field and lists of objects.
func randomTrees(r *rand.Rand) event.Value {
	text := func() event.Value { return event.String(pick(r, []string{"x", "y", "X", ""})) }
	number := func() event.Value { return event.Int(int64(r.IntN(4))) }
	object := func(members ...event.Member) event.Value {
		var kept []event.Member
		for _, m := range members {
			if chance(r, 60) {
				kept = append(kept, m)
			}
		}
		return event.Object(kept...)
	}
	list := func(f func() event.Value) event.Value {
		items := make([]event.Value, r.IntN(4))
		for i := range items {
			items[i] = f()
		}
		return event.List(items...)
	}
	file := func() event.Value {
		if chance(r, 5) {
			return text()
		}
		return object(event.Member{Key: "name", Value: text()}, event.Member{Key: "size", Value: number()},
			event.Member{Key: "hash", Value: object(event.Member{Key: "md5", Value: text()})},
			event.Member{Key: "hash.sha1", Value: list(text)})
	}
	flat := object(event.Member{Key: "bucketName", Value: text()}, event.Member{Key: "count", Value: number()},
		event.Member{Key: "a.b", Value: text()}, event.Member{Key: "a", Value: object(event.Member{Key: "b", Value: list(text)},
			event.Member{Key: "c", Value: event.Bool(chance(r, 50))})},
		event.Member{Key: "list", Value: list(func() event.Value { return object(event.Member{Key: "k", Value: text()}) })})
	files := list(file)
	if chance(r, 20) {
		files = file()
	}
	return event.Object(
		event.Member{Key: "aws.cloudtrail.flattened.request_parameters", Value: flat},
		event.Member{Key: "files", Value: files},
		event.Member{Key: "resources", Value: list(func() event.Value {
			return object(event.Member{Key: "type", Value: text()}, event.Member{Key: "ARN", Value: text()}, event.Member{Key: "n", Value: number()})
		})},
	)
}
