package sighting_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/sighting"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

// fact is an event as the reference knows it: plain values, no documents.
type fact struct {
	id       string
	stream   string
	ts       int64 // milliseconds
	ingested int64 // 0: none
	action   string
	users    []string
	hosts    []string
	ports    []int64
	dropped  bool
}

// document is the fact as an event; a single value stands alone or as a list of one.
func (f fact) document(r *rand.Rand) *event.Event {
	e := &event.Event{ID: f.id, Stream: f.stream}
	e.Set("@timestamp", event.String(event.FormatTime(time.UnixMilli(f.ts))))
	if f.ingested != 0 {
		e.Set("event.ingested", event.Int(f.ingested)) // dates may be written as milliseconds
	}
	e.SetString("event.action", f.action)
	var ports []event.Value
	for _, p := range f.ports {
		if r.IntN(2) == 0 {
			ports = append(ports, event.Int(p))
		} else {
			ports = append(ports, event.String(strconv.FormatInt(p, 10))) // the same number as a text
		}
	}
	set := func(path string, list []event.Value) {
		switch {
		case len(list) == 1 && r.IntN(2) == 0:
			e.Set(path, list[0])
		case len(list) > 0:
			e.Set(path, event.List(list...))
		}
	}
	set("user.name", event.Strings(f.users...).Items())
	set("host.name", event.Strings(f.hosts...).Items())
	set("source.port", ports)
	return e
}

// question is what a program asks, in words of the reference.
type question struct {
	fields   []string // of user, host, port
	excluded string   // a user whose events do not count, "" for none
	ingested bool     // time is event.ingested, else @timestamp
	fallback bool     // @timestamp where an event has no event.ingested
	streams  []string
}

func (q question) program() sighting.Program {
	keyword := func(path string) expr.Field { return expr.Field{Path: path, Type: event.Keyword} }
	p := sighting.Program{Streams: q.streams, Time: plan.TimeField{Primary: plan.Timestamp},
		Cond: expr.In{Field: keyword("event.action"), Values: []event.Value{event.String("login")}}}
	if q.excluded != "" {
		p.Cond = expr.All(p.Cond, expr.Not{Cond: expr.In{Field: keyword("user.name"), Values: []event.Value{event.String(q.excluded)}}})
	}
	if q.ingested {
		p.Time = plan.TimeField{Primary: plan.Ingested}
		if q.fallback {
			p.Time.Fallback = plan.Timestamp
		}
	}
	for _, f := range q.fields {
		switch f {
		case "user":
			p.Fields = append(p.Fields, keyword("user.name"))
		case "host":
			p.Fields = append(p.Fields, keyword("host.name"))
		case "port":
			p.Fields = append(p.Fields, expr.Field{Path: "source.port", Type: event.Long})
		}
	}
	return p
}

// time is the fact's time for the question; false where it has none or does not match.
func (q question) time(f fact) (int64, bool) {
	if f.action != "login" || q.excluded != "" && slices.Contains(f.users, q.excluded) || f.dropped {
		return 0, false
	}
	if q.streams != nil && !slices.Contains(q.streams, f.stream) {
		return 0, false
	}
	switch {
	case !q.ingested:
		return f.ts, true
	case f.ingested != 0:
		return f.ingested, true
	}
	return f.ts, q.fallback
}

// tuples are the combinations of values in f, each once, as texts.
func (q question) tuples(f fact) []string {
	all := []string{""}
	for _, field := range q.fields {
		var values []string
		switch field {
		case "user":
			values = f.users
		case "host":
			values = f.hosts
		case "port":
			for _, p := range f.ports {
				values = append(values, strconv.FormatInt(p, 10))
			}
		}
		var next []string
		for _, before := range all {
			for _, v := range values {
				next = append(next, before+"/"+v)
			}
		}
		all = next
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// random makes histories of few values and few instants, so that everything meets everything.
type random struct {
	*rand.Rand
	days int64
	n    int
}

const dayMillis = 24 * 60 * 60 * 1000

// instant lies on or beside the start of a day, or anywhere in it.
func (r *random) instant() int64 {
	day := (20_000 + r.Int64N(r.days)) * dayMillis
	switch r.IntN(4) {
	case 0:
		return day + r.Int64N(3) - 1
	case 1:
		return day + dayMillis/2 + r.Int64N(3) - 1
	}
	return day + r.Int64N(dayMillis)
}

func pick(r *random, from ...string) []string {
	var out []string
	for range []int{0, 1, 1, 1, 2, 3}[r.IntN(6)] {
		out = append(out, from[r.IntN(len(from))])
	}
	return out
}

func (r *random) fact() fact {
	r.n++
	f := fact{id: fmt.Sprintf("%03d", r.n), stream: []string{"logs-a", "logs-b"}[r.IntN(2)], ts: r.instant(), action: "login",
		users: pick(r, "ann", "bob", "eve"), hosts: pick(r, "h1", "h2")}
	if r.IntN(6) == 0 {
		f.action = "logout"
	}
	for range r.IntN(3) {
		f.ports = append(f.ports, r.Int64N(3))
	}
	switch r.IntN(4) {
	case 0:
	case 1:
		f.ingested = r.instant() // much later, or before it happened: clocks are wrong
	default:
		f.ingested = f.ts + r.Int64N(dayMillis)
	}
	return f
}

func (r *random) question() question {
	q := question{ingested: r.IntN(2) == 0, fallback: r.IntN(2) == 0}
	all := []string{"user", "host", "port"}
	r.Shuffle(3, func(i, j int) { all[i], all[j] = all[j], all[i] })
	q.fields = all[:1+r.IntN(3)]
	if r.IntN(2) == 0 {
		q.excluded = "bob"
	}
	if r.IntN(3) == 0 {
		q.streams = []string{"logs-a"}
	}
	return q
}

// history is one random history: a store, an index in it, and the facts that both should know.
type history struct {
	*random
	t     *testing.T
	name  string
	db    *mem.Store
	now   time.Time
	facts []fact
	names map[store.Tuple]string // what each tuple of the facts says
	named int                    // how many facts have theirs there
	tally map[string]int
}

func TestIndexIsAFullScan(t *testing.T) {
	n, seed := setting(t, "TOCSIN_HISTORIES", 20_000), setting(t, "TOCSIN_SEED", 1)
	t.Logf("%d histories from seed %d (TOCSIN_HISTORIES, TOCSIN_SEED)", n, seed)
	const shards = 8
	tallies := make([]map[string]int, shards)
	t.Run("", func(t *testing.T) {
		for shard := range uint64(shards) {
			tallies[shard] = map[string]int{}
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				for i := seed + shard; i < seed+n && !t.Failed(); i += shards {
					h := &history{random: &random{Rand: rand.New(rand.NewPCG(i, 0))}, t: t, name: fmt.Sprintf("TOCSIN_HISTORIES=1 TOCSIN_SEED=%d", i),
						db: mem.New(nil), now: time.Unix(2e9, 0), tally: tallies[shard]}
					h.days = 1 + h.Int64N(5)
					h.live()
				}
			})
		}
	})
	sum := map[string]int{}
	for _, tally := range tallies {
		for k, n := range tally {
			sum[k] += n
		}
	}
	t.Logf("what happened: %v", sum)
	for _, what := range []string{"known", "unknown", "one day", "late", "dropped", "another program", "crash", "first", "before", "scan"} {
		if uint64(sum[what]) < n/10 {
			t.Errorf("%q happened %d times: the test shows nothing of it", what, sum[what])
		}
	}
}

func setting(t *testing.T, name string, standard uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return standard
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// live goes through one history, and asks again and again.
func (h *history) live() {
	q := h.question()
	x := h.open(q)
	for range 4 + h.IntN(8) {
		switch h.IntN(10) {
		default:
			h.commit()
		case 0: // the rule's exception changes: another program, which has folded nothing yet
			if q.excluded == "" {
				q.excluded = "bob"
			} else {
				q.excluded = ""
			}
			h.tally["another program"]++
			x = h.open(q)
		case 1:
			h.drop()
			x = h.open(q) // what an index has read, it does not forget
		case 2: // what was folded is lost before it is committed
			if _, _, err := x.Fold(context.Background(), h.latest()); err != nil {
				h.t.Fatal(h.name, err)
			}
			h.tally["crash"]++
			x = h.open(q)
		case 3:
			x = h.open(q)
		}
		h.fold(x)
		h.ask(q, x)
	}
}

func (h *history) apply(c store.Change) {
	h.t.Helper()
	h.now = h.now.Add(time.Second)
	c.At = h.now
	if err := h.db.Apply(context.Background(), &c); err != nil {
		h.t.Fatal(h.name, err)
	}
}

func (h *history) latest() store.Snapshot {
	at, err := h.db.Latest(context.Background())
	if err != nil {
		h.t.Fatal(h.name, err)
	}
	return at
}

func (h *history) commit() {
	var c store.Change
	newest := int64(0)
	for _, f := range h.facts {
		newest = max(newest, f.ts)
	}
	for range 1 + h.IntN(5) {
		f := h.fact()
		if f.ts < newest {
			h.tally["late"]++
		}
		h.facts = append(h.facts, f)
		c.Events = append(c.Events, f.document(h.Rand))
	}
	h.apply(c)
}

func (h *history) drop() {
	before := store.Day(20_000 + h.Int64N(h.days+1))
	streams := []string{"logs-a", "logs-b"}
	if h.IntN(2) == 0 {
		streams = streams[1:]
	}
	if _, err := h.db.DropSegments(context.Background(), before, streams); err != nil {
		h.t.Fatal(h.name, err)
	}
	for i, f := range h.facts {
		if !f.dropped && slices.Contains(streams, f.stream) && store.DayOf(time.UnixMilli(f.ts)) < before {
			h.facts[i].dropped = true
			h.tally["dropped"]++
		}
	}
}

func (h *history) open(q question) *sighting.Index {
	x, err := sighting.Open(context.Background(), h.db, q.program())
	if err != nil {
		h.t.Fatal(h.name, err)
	}
	return x
}

func (h *history) fold(x *sighting.Index) {
	rows, marks, err := x.Fold(context.Background(), h.latest())
	if err != nil {
		h.t.Fatal(h.name, err)
	}
	if len(marks) > 0 {
		h.apply(store.Change{Sightings: rows, Records: marks})
	}
}

// occurrence is one tuple at one time in one event.
type occurrence struct {
	tuple string
	at    int64
	id    string
}

// occurrences are all of them, by time, then event.
func (h *history) occurrences(q question) []occurrence {
	var out []occurrence
	for _, f := range h.facts {
		if at, ok := q.time(f); ok {
			for _, tuple := range q.tuples(f) {
				out = append(out, occurrence{tuple, at, f.id})
			}
		}
	}
	slices.SortFunc(out, func(a, b occurrence) int { return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.id, b.id)) })
	return out
}

// asked are the tuples of the facts, and one that nobody has seen: text by tuple.
func (h *history) asked(q question) map[store.Tuple]string {
	more := h.facts[h.named:]
	h.named = len(h.facts)
	if h.names == nil {
		h.names = map[store.Tuple]string{}
		stranger := fact{id: "x", action: "login", users: []string{"zoe"}, hosts: []string{"h9"}, ports: []int64{9}}
		more = append([]fact{stranger}, more...)
	}
	for _, f := range more { // the fields that q asks for stay the same in one history
		occurrences, err := sighting.Tuples(q.program().Fields, f.document(h.Rand))
		if err != nil {
			h.t.Fatal(h.name, err)
		}
		for _, o := range occurrences {
			text := ""
			for _, v := range o.Values {
				text += "/" + v.Text()
			}
			h.names[o.Tuple] = text
		}
	}
	return h.names
}

// memory is what an Index and a Scan both answer.
type memory interface {
	Known(ctx context.Context, tuples []store.Tuple, span sighting.Span) (map[store.Tuple]bool, error)
	LookedAt(ctx context.Context, span sighting.Span) (int64, error)
	Before(ctx context.Context, tuples []store.Tuple, t time.Time) (map[store.Tuple]sighting.Span, error)
}

// ask holds the index, and a scan, to what the facts say.
func (h *history) ask(q question, x *sighting.Index) {
	ctx := context.Background()
	all := h.occurrences(q)
	names := h.asked(q)
	tuples := make([]store.Tuple, 0, len(names))
	for t := range names {
		tuples = append(tuples, t)
	}
	for range 2 {
		from, to := h.instant(), h.instant()
		if len(all) > 0 && h.IntN(3) == 0 { // exactly on an event, or beside it
			from = all[h.IntN(len(all))].at + h.Int64N(3) - 1
		}
		if len(all) > 0 && h.IntN(3) == 0 {
			to = all[h.IntN(len(all))].at + h.Int64N(3) - 1
		}
		if to < from && h.IntN(4) > 0 {
			from, to = to, from
		}
		span := sighting.Span{From: time.UnixMilli(from), To: time.UnixMilli(to)}
		if from/dayMillis == to/dayMillis && from < to {
			h.tally["one day"]++
		}
		first := map[string]occurrence{}
		looked := int64(0)
		before := map[string][2]int64{}
		for _, o := range all {
			if from <= o.at && o.at <= to {
				if _, ok := first[o.tuple]; !ok {
					first[o.tuple] = o
				}
			}
			if from <= to && from/dayMillis <= o.at/dayMillis && o.at/dayMillis <= to/dayMillis {
				looked++
			}
			if o.at < from {
				if _, ok := before[o.tuple]; !ok {
					before[o.tuple] = [2]int64{o.at, o.at}
				}
				before[o.tuple] = [2]int64{before[o.tuple][0], o.at}
			}
		}
		ways := map[string]memory{"index": x}
		if h.IntN(3) == 0 {
			ways["scan"] = sighting.NewScan(h.db, q.program(), h.latest())
			h.tally["scan"]++
		}
		for name, m := range ways {
			known, err := m.Known(ctx, tuples, span)
			if err != nil {
				h.t.Fatal(h.name, err)
			}
			for _, t := range tuples {
				_, want := first[names[t]]
				if known[t] != want {
					h.t.Errorf("%s: %s: %s known within %d … %d: %t, want %t", h.name, name, names[t], from, to, known[t], want)
				}
				h.tally[map[bool]string{true: "known", false: "unknown"}[want]]++
			}
			got, err := m.LookedAt(ctx, span)
			if err != nil {
				h.t.Fatal(h.name, err)
			}
			if got != looked {
				h.t.Errorf("%s: %s: looked at %d within %d … %d, want %d", h.name, name, got, from, to, looked)
			}
			spans, err := m.Before(ctx, tuples, span.From)
			if err != nil {
				h.t.Fatal(h.name, err)
			}
			for _, t := range tuples {
				want, ok := before[names[t]]
				got, gotOK := spans[t]
				exact := got.To.UnixMilli() == want[1]
				if name == "index" { // of the day itself the index may know less
					exact = got.To.UnixMilli() <= want[1] && got.To.UnixMilli()/dayMillis == want[1]/dayMillis
				}
				if ok != gotOK || ok && (got.From.UnixMilli() != want[0] || !exact) {
					h.t.Errorf("%s: %s: %s before %d: %v, want %v", h.name, name, names[t], from, got, want)
				}
				if ok {
					h.tally["before"]++
				}
			}
		}
		for _, t := range tuples {
			got, ok, err := x.First(ctx, t, span)
			if err != nil {
				h.t.Fatal(h.name, err)
			}
			want, wanted := first[names[t]]
			if ok != wanted || ok && (got.Time.UnixMilli() != want.at || got.Event != want.id) {
				h.t.Errorf("%s: first of %s within %d … %d: %v %t, want %v %t", h.name, names[t], from, to, got, ok, want, wanted)
			}
			if ok {
				h.tally["first"]++
			}
		}
	}
}
