package duck_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exec"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
)

// types declares some of the columns otherwise than as keywords, and one field that has no column.
func types(path string) (event.Type, bool) {
	t, ok := map[string]event.Type{
		"@timestamp":     event.Date,
		"event.ingested": event.Date,
		"aws.cloudtrail.user_identity.session_context.creation_date": event.Date,
		"source.ip":                    event.IPType,
		"related.ip":                   event.IPType,
		"source.as.number":             event.Long,
		"kibana.alert.risk_score":      event.Double,
		"source.geo.city_name":         event.Double, // so that every kind of column is tried
		"aws.cloudtrail.read_only":     event.Boolean,
		"aws.cloudtrail.error_message": event.Text,
		"cloud.region":                 event.Caseless,
		"event.duration":               event.Long,
	}[path]
	return t, ok
}

func open(t testing.TB) *duck.Store {
	t.Helper()
	db, _ := openAt(t)
	return db
}

// openAt also returns the path of the store's file.
func openAt(t testing.TB) (*duck.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.tocsin")
	db, err := duck.Open(context.Background(), path, duck.Options{Types: types})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, path
}

// paths are columns, paths above and below them, and others.
var paths = []string{"user", "user.name", "user.name.text", "event.action", "event", "source.ip", "related.ip", "related.user",
	"source.as.number", "source.geo.city_name", "aws.cloudtrail.read_only", "aws.cloudtrail.error_message", "cloud.region",
	"event.ingested", "aws.cloudtrail.user_identity.session_context.creation_date", "kibana.alert.risk_score",
	"aws.cloudtrail.resources", "aws.cloudtrail.request_id", "event.id", "a", "a.b", "a.b.c", "", "x\x00y", "\x00z", "bad\xffutf8", "quo\"te", "event.duration"}

// scalar draws what JSON can say, what it cannot, and what is hard about it.
func scalar() *rapid.Generator[event.Value] {
	literal := func(text string) *rapid.Generator[event.Value] {
		v, ok := event.Literal(text)
		if !ok {
			panic(text)
		}
		return rapid.Just(v)
	}
	var numbers []*rapid.Generator[event.Value]
	for _, n := range []string{"0", "-0", "1.50", "1e400", "1E5", "123456789012345678901234567890", "9223372036854775807",
		"-9223372036854775808", "443.0", "0.1", "007", "1.", "nan", "-inf", "1e-7"} {
		numbers = append(numbers, literal(n))
	}
	return rapid.OneOf(
		rapid.Just(event.Bool(true)), rapid.Just(event.Bool(false)),
		rapid.Map(rapid.Int64(), event.Int),
		rapid.Map(rapid.Float64(), event.Float), rapid.Just(event.Float(math.NaN())), rapid.Just(event.Float(math.Inf(-1))),
		rapid.OneOf(numbers...),
		rapid.Map(rapid.String(), event.String),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) event.Value { return event.String(string(b)) }),
		rapid.Map(rapid.SampledFrom([]string{"", "true", "false", "443", "198.51.100.7", "::ffff:198.51.100.7", "2001:db8::1",
			"2001:DB8::1", "2024-03-01T12:00:00.000Z", "2024-03-01T12:00:00Z", "2024-03-01", "0f5b2c1e-9a77-4e1b-8c3d-0123456789ab", "ff5b2c1e-9a77-4e1b-8c3d-0123456789ab",
			"0F5B2C1E-9A77-4E1B-8C3D-0123456789AB", "0f5b2c1e-9a77-4e1b-8c3d-0123456789a", "0f5b2c1e-9a77-4e1b-8c3d-0123456789abc", "İK", "ſ", "a\x00b", `"\`, "1.0"}), event.String),
		rapid.Map(rapid.Int64Range(-62167219200000, 253402300799999), event.Millis),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), func(b []byte) event.Value {
			return event.IP(netip.AddrFrom16([16]byte(b)))
		}))
}

func value(depth int) *rapid.Generator[event.Value] {
	if depth == 0 {
		return scalar()
	}
	inner := rapid.OneOf(scalar(), rapid.Just(event.Null()), rapid.Deferred(func() *rapid.Generator[event.Value] { return value(depth - 1) }))
	return rapid.OneOf(scalar(), scalar(),
		rapid.Map(rapid.SliceOfN(scalar(), 0, 3), func(items []event.Value) event.Value { return event.List(items...) }),
		rapid.Map(rapid.SliceOfN(inner, 0, 3), func(items []event.Value) event.Value { return event.List(items...) }),
		rapid.Map(rapid.MapOfN(rapid.SampledFrom([]string{"name", "b", "b.c", "\x00S", "\x00", "\xff", "ip", "user.name", "text"}), inner, 0, 3),
			func(m map[string]event.Value) event.Value {
				var members []event.Member
				for k, v := range m {
					members = append(members, event.Member{Key: k, Value: v})
				}
				return event.Object(members...)
			}))
}

func document(i int) *rapid.Generator[*event.Event] {
	return rapid.Custom(func(t *rapid.T) *event.Event {
		id := rapid.SampledFrom([]string{"e%d", "%08x-0000-4e1b-8c3d-0123456789ab", "%08X-000A-4e1b-8c3d-0123456789ab"}).Draw(t, "id")
		e := &event.Event{ID: fmt.Sprintf(id, i), Stream: "logs"}
		e.Source = event.Raw{Data: []byte(fmt.Sprint("source ", i)), Object: "o\xff", Offset: int64(i) << 40,
			Delivered: time.UnixMicro(int64(i) * 1000).UTC()}
		for range rapid.IntRange(0, 8).Draw(t, "fields") {
			e.Set(rapid.SampledFrom(paths).Draw(t, "path"), value(2).Draw(t, "value"))
		}
		at := rapid.SampledFrom([]event.Value{event.String("2024-03-01T12:00:00.000Z"), event.String("2024-03-01T12:00:00Z"),
			event.Int(1709294400123), event.Millis(1709294400000), event.String("2024-03-02")}).Draw(t, "@timestamp")
		e.Set("@timestamp", at)
		if rapid.Bool().Draw(t, "own ID") {
			e.Set("event.id", event.String(e.ID))
		}
		e.Source.Data = source(e).Draw(t, "source")
		return e
	})
}

// source draws the bytes of a record that says what e holds, among others.
func source(e *event.Event) *rapid.Generator[[]byte] {
	pieces := []string{`"`, `""`, `\"`, ",", ":", "\xff", "\xff\x00", "\xff\x01", "\xff\x85", "İ", `{"key":`, "long enough", `"`}
	for _, f := range e.Fields() {
		if f.Value.Kind() == event.KindString {
			pieces = append(pieces, f.Value.Str(), `"`+f.Value.Str()+`"`, `"x`+f.Value.Str()+`"`)
		} else {
			pieces = append(pieces, string(f.Value.AppendJSON(nil)))
		}
	}
	return rapid.Map(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 12), func(some []string) []byte {
		return []byte(strings.Join(some, ""))
	})
}

// TestSourceIsCut holds that a record whose values stand in columns and in rest takes little besides.
func TestSourceIsCut(t *testing.T) {
	size := func(told bool) int64 {
		db, path := openAt(t)
		var events []*event.Event
		for i := range 2_000 {
			text, other := func(k int) string { return fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, k, i))) }, 0
			if !told {
				other = 1_000
			}
			e := &event.Event{ID: fmt.Sprint("e", i), Stream: "logs"}
			e.Set("@timestamp", event.String("2024-03-01T12:00:00.000Z"))
			e.Set("user.name", event.String(text(1)))
			e.Set("a.tree", event.Object(event.Member{Key: "key", Value: event.String(text(2))}))
			e.Source.Data = fmt.Appendf(nil, `{"name":%q,"arguments":{"key":%q},"other":%q}`, text(1+other), text(2+other), text(3))
			events = append(events, e)
		}
		if err := db.Apply(context.Background(), &store.Change{At: time.UnixMilli(1), Events: events}); err != nil {
			t.Fatal(err)
		}
		for _, e := range query(t, db, plan.Scan{}) {
			var i int
			fmt.Sscanf(e.ID, "e%d", &i)
			if got, want := string(e.Source.Data), string(events[i].Source.Data); got != want {
				t.Fatalf("the source of %s came back as %s, not %s", e.ID, got, want)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	// Each of the two texts takes 32 bytes an event at least, were it stored once more.
	if cut, whole := size(true), size(false); whole-cut < 2_000*2*32 {
		t.Errorf("the store takes %d bytes with values that are known, and %d with others", cut, whole)
	}
}

// TestDocuments holds that what is stored comes back field by field, whatever its form.
func TestDocuments(t *testing.T) {
	ctx := context.Background()
	rapid.Check(t, func(rt *rapid.T) {
		db := open(t)
		want := map[string]*event.Event{}
		var events []*event.Event
		for i := range rapid.IntRange(1, 20).Draw(rt, "events") {
			e := document(i).Draw(rt, "event")
			want[e.ID] = e
			events = append(events, e)
		}
		if err := db.Apply(ctx, &store.Change{At: time.UnixMilli(1), Events: events}); err != nil {
			rt.Fatal(err)
		}
		got := query(rt, db, plan.Scan{})
		if len(got) != len(want) {
			rt.Fatalf("%d events came back of %d", len(got), len(want))
		}
		for _, e := range got {
			if diff := difference(want[e.ID], e); diff != "" {
				rt.Fatalf("event %s: %s", e.ID, diff)
			}
		}
		if err := db.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

// difference says in what two events differ.
func difference(want, got *event.Event) string {
	a, b := want.Fields(), got.Fields()
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			return fmt.Sprintf("%q came back without having been stored", b[i].Path)
		case i >= len(b) || a[i].Path != b[i].Path:
			return fmt.Sprintf("%q = %s is lost", a[i].Path, a[i].Value.AppendJSON(nil))
		case !event.Equal(a[i].Value, b[i].Value):
			return fmt.Sprintf("%q = %s (%d) came back as %s (%d)", a[i].Path, a[i].Value.AppendJSON(nil), a[i].Value.Kind(),
				b[i].Value.AppendJSON(nil), b[i].Value.Kind())
		}
	}
	if a, b := want.Source, got.Source; string(a.Data) != string(b.Data) || a.Object != b.Object || a.Offset != b.Offset ||
		!a.Delivered.Equal(b.Delivered) {
		return fmt.Sprintf("source %+v came back as %+v", a, b)
	}
	if want.Stream != got.Stream {
		return fmt.Sprintf("stream %q came back as %q", want.Stream, got.Stream)
	}
	return ""
}

// query runs p over everything that is stored.
func query(t interface{ Fatal(...any) }, db store.Store, p plan.Node) []*event.Event {
	ctx := context.Background()
	at, err := db.Latest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := exec.Query(ctx, db, p, at)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []*event.Event
	for rows.Next() {
		out = append(out, rows.Event())
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestForms holds that a source comes back that says what every kind of column holds, in the form in which records do.
func TestForms(t *testing.T) {
	db := open(t)
	const uuid = "ff5b2c1e-9a77-4e1b-8c3d-0123456789ab"
	e := &event.Event{ID: uuid, Stream: "logs"}
	for path, text := range map[string]string{"@timestamp": "2024-03-01T12:00:00Z", "event.id": uuid, "user.name": "somebody",
		"source.ip": "198.51.100.7", "aws.cloudtrail.request_id": "0f5b2c1e-9a77-4e1b-8c3d-0123456789ab", "cloud.region": "eu-west-1",
		"aws.cloudtrail.user_identity.session_context.creation_date": "2024-03-01T11:00:00Z"} {
		e.Set(path, event.String(text))
		e.Source.Data = fmt.Appendf(e.Source.Data, "%q:%q,", path, text)
	}
	e.Source.Data = append(e.Source.Data, "\xff\"::ffff:198.51.100.7\"\"2024-03-01T12:00:00.000Z\"\xff"...)
	if err := db.Apply(context.Background(), &store.Change{At: time.UnixMilli(1), Events: []*event.Event{e}}); err != nil {
		t.Fatal(err)
	}
	got := query(t, db, plan.Scan{})
	if len(got) != 1 || got[0].ID != uuid {
		t.Fatalf("%v came back", got)
	}
	if diff := difference(e, got[0]); diff != "" {
		t.Error(diff)
	}
}
