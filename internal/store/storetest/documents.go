package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Documents stores random documents, as odd as JSON allows, and holds that they are read back as they were: the same
// paths with the same values, numbers by their literal. The flag -rapid.checks sets the number of commits.
func Documents(t *testing.T, e Engine) {
	s := &suite{t: t, engine: e, Store: e.open(t, DeclaredType)}
	t.Run("by hand", func(t *testing.T) { oddDocuments(t, s) })
	n := 0
	t.Run("random", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			docs := rapid.SliceOfN(document(), 1, 12).Draw(t, "documents")
			for i := range docs {
				n++
				docs[i].ID, docs[i].Stream = fmt.Sprint(n), "logs-random"
			}
			c := &store.Change{At: commitTime(1), Events: docs}
			if err := s.Apply(context.Background(), c); err != nil {
				t.Fatal(err)
			}
			at := store.Snapshot{After: c.Outcome.Seq - 1, Seq: c.Outcome.Seq}
			stored, err := query(context.Background(), s, plan.Scan{}, at)
			if err != nil {
				t.Fatal(err)
			}
			byID := map[string]*event.Event{}
			for _, e := range stored {
				byID[e.ID] = e
			}
			if len(stored) != len(docs) || len(byID) != len(docs) {
				t.Fatalf("%d rows of %d documents", len(stored), len(docs))
			}
			for _, want := range docs {
				if why := differ(want, byID[want.ID]); why != "" {
					t.Fatalf("%s\n%s", why, want.AppendJSON(nil, nil))
				}
			}
		})
	})
}

// differ says how got differs from want, or nothing.
func differ(want, got *event.Event) string {
	if got == nil {
		return "no row"
	}
	if got.Stream != want.Stream || string(got.Source.Data) != string(want.Source.Data) {
		return fmt.Sprintf("stream %q, source %q", got.Stream, got.Source.Data)
	}
	for _, f := range want.Fields() {
		if v := got.Get(f.Path); !event.Equal(f.Value, v) {
			return fmt.Sprintf("%q: stored %s, read %s", f.Path, f.Value.AppendJSON(nil), v.AppendJSON(nil))
		}
	}
	for _, f := range got.Fields() {
		if want.Get(f.Path).IsNull() {
			return fmt.Sprintf("%q: nothing stored, read %s", f.Path, f.Value.AppendJSON(nil))
		}
	}
	return ""
}

func oddDocuments(t *testing.T, s *suite) {
	texts := []string{
		`{}`,
		`{"user":{"name":""},"tags":[],"files":[],"message":[""]}`,
		`{"user":{"name":[null]},"tags":[null,null],"source":{"port":[null,1]}}`,
		`{"user":{"name":{}},"tags":{},"aws.cloudtrail.flattened.request_parameters":{}}`,
		`{"source":{"port":443,"ip":"10.0.0.1"},"event":{"duration":9223372036854775807,"risk_score":1.5}}`,
		`{"source":{"port":"443","ip":"::ffff:10.0.0.1"},"event":{"duration":9223372036854775808,"risk_score":"1.50"}}`,
		`{"source":{"port":443.0,"ip":"AWS Internal"},"event":{"duration":-9223372036854775808,"risk_score":1.50}}`,
		`{"source":{"port":4.43e2,"ip":["10.0.0.1"]},"event":{"duration":1e400,"risk_score":-0}}`,
		`{"source":{"port":[1,[2,"3"],"four"],"ip":["10.0.0.1","x",null]},"event":{"duration":[1],"risk_score":[1.5,"1.5"]}}`,
		`{"source":{"port":true,"ip":7},"event":{"duration":-0,"risk_score":1e-400}}`,
		`{"source":{"port":123456789012345678901234567890,"ip":""},"event":{"duration":0.1e1,"risk_score":0.1000}}`,
		`{"source":"not an object","source.port":1,"source.port.x":2}`,
		`{"custom":{"flag":[true,false],"when":["2026-03-01","2026-03-01T00:00:00.000Z"],"ratio":[1,1.0]}}`,
		`{"custom":{"flag":"true","when":"2026-03-01","ratio":"1"}}`,
		`{"custom":{"flag":"","when":1772359200123,"ratio":2.0}}`,
		`{"event":{"ingested":"2026-03-01T00:00:00Z"}}`,
		`{"event":{"ingested":"2026-03-01T00:00:00.000000001Z"}}`,
		`{"event":{"ingested":1772359200123}}`,
		`{"event":{"ingested":["2026-03-01T00:00:00.000Z"]}}`,
		`{"event":{"ingested":"soon"}}`,
		`{"@timestamp":"2026-03-01T12:00:00Z"}`,
		`{"@timestamp":"2026-03-01T12:00:00.123456789+05:30"}`,
		`{"@timestamp":1772359200123}`,
		`{"@timestamp":"1772359200123"}`,
		`{"@timestamp":2026}`,
		`{"@timestamp":"0000-01-01T00:00:00.000Z"}`,
		`{"@timestamp":"9999-12-31T23:59:59.999Z"}`,
		`{"a.b":{"c.d":1},"a":{"b.c":{"e":2}},"a..b":3,"":4,".":5,"a.":6,".a":7}`,
		`{"a":1,"a.b":2,"a.b.c":3,"A":4,"ä":5,"a b":6,"a\"b":7,"a\\b":8,"a'b":9,"a\u0000b":10,"日本":11}`,
		`{"x":"\u0000","y":"a\u0000b\r\n\t\u001f","z":"\u2028\ud83d\ude00\ufffd","w":"'\"\\/%_"}`,
		`{"files":[{"name":"a","size":1,"":null},{"size":{"x":[]}},[{}],null,"s",1.0]}`,
		`{"resources":[{"a.b":1,"a":{"b":2}},{"ARN":"arn:aws:s3:::x"}],"nested":{"list":[{"deep":[{"er":[1]}]}]}}`,
		`{"aws.cloudtrail.flattened.request_parameters":{"a.b":1,"a":{"b":2,"b.c":[{"d":null}]},"e":[],"":{}}}`,
		`{"aws.cloudtrail.flattened.request_parameters":"text"}`,
		`{"aws.cloudtrail.flattened.request_parameters":["text",{"k":1},[2]]}`,
		`{"aws.cloudtrail.flattened.request_parameters.a":1}`,
		`{"n":[0,-0,0.0,-0.0,0e5,1E5,1e+5,1e-5,100000,1.0,1.00,18446744073709551615,18446744073709551616,-9223372036854775809]}`,
		`{"message":"` + strings.Repeat("ü long text ", 20_000) + `"}`,
		`{"deep":` + strings.Repeat(`[{"x":`, 200) + `1` + strings.Repeat(`}]`, 200) + `}`,
		`{"related":{"ip":["10.0.0.1","10.0.0.1","::1","AWS Internal"]},"tags":["b","a","b",""]}`,
		`{"data_stream":{"dataset":["a","b"]},"event":{"category":"one","action":["x","y"],"kind":7,"outcome":{"of":"object"}}}`,
		`{"_id":"x","_seq":1,"_source":{},"rest":{},"source":{},"seq":1,"id":"y"}`,
	}
	wide := `{"wide":0`
	for i := range 3000 {
		wide += fmt.Sprintf(`,"w%d":%d`, i, i)
	}
	texts = append(texts, wide+"}")
	c := &store.Change{}
	for i, text := range texts {
		c.Events = append(c.Events, doc("logs-odd", fmt.Sprint(i), text))
	}
	// What no JSON text says, but a program can put into an event.
	made := doc("logs-odd", "made", `{}`)
	made.Set("geo.lat", event.Float(50.1))
	made.Set("geo.lon", event.Float(-0.5))
	made.Set("whole", event.Float(3))
	made.Set("custom.ratio", event.Float(2))
	c.Events = append(c.Events, made)
	s.apply(1, c)
	byID := map[string]*event.Event{}
	for _, e := range s.rows(plan.Scan{Streams: []string{"logs-odd"}}, s.latest()) {
		byID[e.ID] = e
	}
	for _, want := range c.Events {
		if why := differ(want, byID[want.ID]); why != "" {
			t.Errorf("%s: %.300s", why, want.Source.Data)
		}
	}
}

// document draws an event: a JSON document, decoded.
func document() *rapid.Generator[*event.Event] {
	return rapid.Custom(func(t *rapid.T) *event.Event {
		e := &event.Event{}
		e.SetObject("", objectOf(4).Draw(t, "document"), tree)
		e.Set(plan.Timestamp, event.String(rapid.SampledFrom([]string{defaultTime, "2026-03-01T00:00:00Z",
			"2026-03-02T23:59:59.999999Z", "2026-03-03"}).Draw(t, "@timestamp")))
		e.Source.Data = []byte(rapid.String().Draw(t, "source"))
		return e
	})
}

// keys are names that mean something to engines, or could.
var keys = append(fieldNames(), "user", "name", "source", "custom", "aws", "a", "a.b", "b", "", ".", "a.", "seq", "id",
	"rest", "@timestamp.x", "it's", `q"t`, `b\s`, "ü", "日本", "a b", "*", "\x00", "A")

func fieldNames() []string {
	var out []string
	for name := range declared {
		if name != plan.Timestamp {
			out = append(out, name)
		}
	}
	return sorted(out)
}

func key() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom(keys), rapid.SampledFrom(keys), rapid.String())
}

func objectOf(depth int) *rapid.Generator[event.Value] {
	return rapid.Custom(func(t *rapid.T) event.Value {
		names := rapid.SliceOfNDistinct(key(), 0, 5, rapid.ID[string]).Draw(t, "keys")
		members := make([]event.Member, len(names))
		for i, name := range names {
			members[i] = event.Member{Key: name, Value: valueOf(depth-1).Draw(t, "value")}
		}
		return event.Object(members...)
	})
}

func valueOf(depth int) *rapid.Generator[event.Value] {
	kinds := []*rapid.Generator[event.Value]{scalar(), scalar(), scalar()}
	if depth > 0 {
		kinds = append(kinds, objectOf(depth), rapid.Custom(func(t *rapid.T) event.Value {
			return event.List(rapid.SliceOfN(valueOf(depth-1), 0, 4).Draw(t, "items")...)
		}))
	}
	return rapid.OneOf(kinds...)
}

func scalar() *rapid.Generator[event.Value] {
	return rapid.OneOf(
		rapid.Map(rapid.String(), event.String),
		rapid.Map(rapid.SampledFrom([]string{"", "10.0.0.1", "AWS Internal", "443", "1.50", "true", "2026-03-01",
			"2026-03-01T12:00:00.000Z", "2026-03-01T12:00:00Z", "1772359200123", "\x00", "'", "ß", "null", "{}"}), event.String),
		rapid.Map(rapid.Int64(), event.Int),
		rapid.Map(rapid.SampledFrom([]string{"0", "-0", "0.0", "1.0", "1.50", "1e3", "1E+3", "443", "443.9", "1e400", "1e-400",
			"9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551616", "1772359200123", "2026",
			"0.1", "123456789.123456789123456789"}), literal),
		rapid.Map(rapid.Float64Range(-1e300, 1e300), event.Float),
		rapid.Map(rapid.Bool(), event.Bool),
		rapid.Just(event.Null()),
	)
}

func literal(text string) event.Value {
	v, ok := event.Literal(text)
	if !ok {
		panic("no number: " + text)
	}
	return v
}
