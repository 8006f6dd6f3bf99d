package explain

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/corpus"
	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/ecs"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/rule"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/duck"
	"github.com/tocsin-sec/tocsin/internal/store/mem"
)

var ctx = context.Background()

const stream = "logs-test-default"

// catalogue resolves the names of the catalogue.
type catalogue struct{}

func (catalogue) Field(path string) (expr.Field, bool) {
	r, ok := ecs.Resolve(path)
	return expr.Field{Path: r.Path, Type: r.Type, Root: r.Type == event.Flattened && r.Flattened == path}, ok
}

func (catalogue) Expand(pattern expr.Pattern) []expr.Field {
	var out []expr.Field
	for known := range ecs.Integration.Fields() {
		if pattern.Fits(known.Path, false) {
			f, _ := catalogue{}.Field(known.Path)
			out = append(out, f)
		}
	}
	return out
}

func declaredType(path string) (event.Type, bool) {
	f, ok := ecs.Lookup(path)
	return f.Type, ok
}

func ask(t testing.TB, more string) Question {
	t.Helper()
	r, err := rule.Parse("r.toml", fmt.Appendf(nil, "[rule]\nname='r'\ndescription='d'\nrule_id='r'\nseverity='low'\nrisk_score=1\nindex=['logs-*']\n%s\n", more))
	if err != nil {
		t.Fatal(err)
	}
	p, err := detect.Compile(r, catalogue{})
	if err != nil {
		t.Fatal(err)
	}
	return Question{Program: p, Resolver: catalogue{}}
}

func decode(t testing.TB, document string) *event.Event {
	t.Helper()
	e, err := event.Decode([]byte(document), event.DecodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e.ID, e.Stream = "e", stream
	if e.Get("@timestamp").IsNull() {
		e.Set("@timestamp", event.String("2026-03-01T00:00:00.000Z"))
	}
	return e
}

// What decided, in the words of the rule.
func TestFirstCause(t *testing.T) {
	f := func(query, document string, want ...string) {
		t.Helper()
		a, err := Event(ctx, ask(t, "type='query'\nquery='''"+query+"'''"), decode(t, document))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.Causes, want) {
			t.Errorf("%s on %s: %q, expected %q", query, document, a.Causes, want)
		}
		if a.Found != (len(want) == 0) {
			t.Errorf("%s on %s: found is %t", query, document, a.Found)
		}
	}
	f(`user.name: a`, `{"user":{"name":"a"}}`)
	f(`user.name: a and host.name: b`, `{"user":{"name":"x"},"host":{"name":"y"}}`, `user.name:a is false: user.name is "x"`)
	f(`user.name: a and (host.name: b or process.name: c)`, `{"user":{"name":"a"},"host":{"name":"B"}}`,
		`host.name:b is false: host.name is "B" (only the case differs: the rule asks for "b")`, `process.name:c is not met: process.name is missing`)
	f(`(user.name: a or user.name: b) and not host.name: h*`, `{"user":{"name":"b"},"host":{"name":"h1"}}`, `host.name:h* is true, and must not be: host.name is "h1"`)
	f(`not (user.name: a and host.name: b)`, `{"user":{"name":"a"},"host":{"name":"b"}}`,
		`user.name:a is true, and must not be: user.name is "a"`, `host.name:b is true, and must not be: host.name is "b"`)
	f(`source.ip: 10.0.0.0/8`, `{"source":{"ip":"bastion"}}`, `source.ip:10.0.0.0/8 is false: source.ip is "bastion" (which is no ip address)`)
	f(`source.port > 10`, `{"source":{"port":["a",7]}}`, `source.port > 10 is false: source.port is "a", "7" (1 of 2 are no whole number)`)
	f(`(user.name: a and host.name: b) or process.name: c`, `{"user":{"name":"a"}}`, `host.name:b is not met: host.name is missing`, `process.name:c is not met: process.name is missing`)
}

// randomTree is a tree of joins over leaves of random truth.
func randomTree(r *rand.Rand, depth int, leaves *[]*Node) *Node {
	n := &Node{}
	if depth == 0 || r.IntN(3) == 0 {
		n.truth = []expr.Truth{expr.False, expr.True}[r.IntN(2)]
		*leaves = append(*leaves, n)
		return n
	}
	n.Join = []string{joinAnd, joinOr, joinNot}[r.IntN(3)]
	parts := 1
	if n.Join != joinNot {
		parts += r.IntN(3)
	}
	for range parts {
		n.Nodes = append(n.Nodes, randomTree(r, depth-1, leaves))
	}
	n.settle()
	return n
}

// settle computes the truth of n from its leaves'.
func (n *Node) settle() expr.Truth {
	if n.Join == "" {
		return n.truth
	}
	n.truth = expr.True
	if n.Join == joinOr {
		n.truth = expr.False
	}
	for _, sub := range n.Nodes {
		switch v := sub.settle(); n.Join {
		case joinAnd:
			n.truth = min(n.truth, v)
		case joinOr:
			n.truth = max(n.truth, v)
		default:
			n.truth = expr.True - v
		}
	}
	return n.truth
}

// What decided is enough: whatever all other leaves are, the tree comes out the same. And all of it is needed: without one of
// them it may come out otherwise.
func TestDecidingIsEnough(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 5))
	needed := 0
	for range 20_000 {
		var leaves []*Node
		n := randomTree(r, 4, &leaves)
		was := n.truth
		found := deciding(n, was != expr.True)
		if len(found) == 0 {
			t.Fatalf("nothing decided a tree of %d leaves", len(leaves))
		}
		before := map[*Node]expr.Truth{}
		for _, l := range leaves {
			before[l] = l.truth
		}
		scramble := func(free func(*Node) bool) {
			for _, l := range leaves {
				if l.truth = before[l]; free(l) {
					l.truth = []expr.Truth{expr.False, expr.True}[r.IntN(2)]
				}
			}
		}
		for range 8 {
			scramble(func(l *Node) bool { return !slices.Contains(found, l) })
			if n.settle() != was {
				t.Fatalf("other leaves than the %d that decided changed the outcome", len(found))
			}
		}
		for range 30 {
			one := found[r.IntN(len(found))]
			scramble(func(l *Node) bool { return l == one || !slices.Contains(found, l) })
			if n.settle() != was {
				needed++
				break
			}
		}
	}
	if needed < 15_000 {
		t.Errorf("of 20,000 sets only %d were shown to be needed", needed)
	}
}

// A document that is meant to flood the screen is cut, and it is said how much there is.
func TestHostileEvent(t *testing.T) {
	list := strings.Repeat(`"u",`, 100_000) + `"v"`
	e := decode(t, `{"user":{"name":[`+list+`]},"process":{"command_line":"`+strings.Repeat("é", 1<<20)+`"}}`)
	var query strings.Builder
	query.WriteString(`user.name: x and process.command_line: "y" and (`)
	for i := range 3000 {
		if i > 0 {
			query.WriteString(" or ")
		}
		fmt.Fprintf(&query, "labels.f%d: v", i)
	}
	a, err := Event(ctx, ask(t, "type='query'\nquery='''"+query.String()+")'''"), e)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 32<<10 {
		t.Errorf("the answer has %d bytes", len(text))
	}
	for _, want := range []string{"99,996 more values", "1,048,576 characters", `"more":2980`} {
		if !strings.Contains(string(text)+a.Causes[0], want) {
			t.Errorf("the answer does not say %q", want)
		}
	}
}

// The clauses mean together what the program was compiled to: of every public rule in KQL or EQL, on events made of its own values.
func TestClausesConformance(t *testing.T) {
	dir := corpus.Dir(t, "corpus/rules")
	files, err := filepath.Glob(filepath.Join(dir, "rules", "*", "*.toml"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob(filepath.Join(dir, "rules", "*", "*", "*.toml"))
	if err != nil {
		t.Fatal(err)
	}
	tally := corpus.NewTally(t, "explain/clauses")
	r := rand.New(rand.NewPCG(1, 2))
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	matched, rulesMatched := 0, 0
	for _, name := range append(files, more...) {
		read, err := rule.ReadFile(name)
		if err != nil {
			continue
		}
		p, err := detect.Compile(read, catalogue{})
		if err != nil {
			continue
		}
		parts, err := clausesOf(Question{p, catalogue{}}, now)
		if err != nil {
			tally.Fail(read.RuleID, err.Error())
			continue
		}
		asked, err := p.Asked(now)
		if err != nil {
			t.Fatal(err)
		}
		var conds []expr.Cond
		for _, c := range parts.stages {
			conds = append(conds, c.cond)
		}
		whole := expr.Some(conds...)
		if parts.query != nil {
			whole = parts.all().cond
		} else if parts.filters != nil {
			whole = expr.All(whole, parts.filters.cond)
		}
		hits, bad := 0, ""
		for range 60 {
			e := &event.Event{ID: "e", Stream: stream}
			fillRandomly(r, asked, e, r.IntN(8) > 0)
			if expr.Matches(asked, e) != expr.Matches(whole, e) {
				bad = string(e.AppendJSON(nil, nil))
				break
			}
			if expr.Matches(asked, e) {
				hits++
			}
			if parts.query != nil && (parts.query.eval(e).truth == expr.True) != expr.Matches(parts.query.cond, e) {
				bad = "tree: " + string(e.AppendJSON(nil, nil))
				break
			}
		}
		if bad != "" {
			tally.Fail(read.RuleID, clip(bad, maxClause))
			continue
		}
		matched += hits
		if hits > 0 {
			rulesMatched++
		}
		tally.Pass()
	}
	t.Logf("%d events matched, of %d rules", matched, rulesMatched)
	if rulesMatched < 700 {
		t.Errorf("only %d rules found some of their events", rulesMatched)
	}
}

// fillRandomly sets fields that c reads to values that it asks for, or where want is false to some that it does not.
func fillRandomly(r *rand.Rand, c expr.Cond, e *event.Event, want bool) {
	switch c := c.(type) {
	case expr.And:
		for _, sub := range c.Conds {
			fillRandomly(r, sub, e, want)
		}
	case expr.Or:
		if len(c.Conds) > 0 {
			fillRandomly(r, c.Conds[r.IntN(len(c.Conds))], e, want)
		}
	case expr.Not:
		if r.IntN(20) == 0 {
			fillRandomly(r, c.Cond, e, want)
		}
	case expr.Holds:
		fillRandomly(r, c.Cond, e, want)
	case expr.Each:
		fillRandomly(r, c.Cond, e, want)
	case expr.In:
		v := event.String("other")
		if want || r.IntN(2) == 0 {
			v = event.String(c.Values[r.IntN(len(c.Values))].Text())
		}
		e.Set(c.Field.Path, v)
	case expr.Like:
		e.Set(c.Field.Path, event.String(strings.NewReplacer("*", "x", "?", "y", `\`, "").Replace(c.Pattern.String())))
	case expr.Exists:
		e.Set(c.Field.Path, event.String("some"))
	case expr.Words:
		e.Set(c.Field.Path, event.String(strings.Join(c.Tokens, " ")))
	case expr.Range:
		e.Set(c.Field.Path, event.String([]string{c.Min.Value.Text(), c.Max.Value.Text()}[r.IntN(2)]))
	}
}

// The counts of clauses are those of looking at each event by itself, on both engines.
func TestClauseCounts(t *testing.T) {
	q := ask(t, "type='query'\nquery='''user.name: (a or b) and (host.name: h1 or process.name: p*) and not source.port >= 100 and event.action: login'''")
	r := rand.New(rand.NewPCG(9, 9))
	pick := func(list ...string) event.Value { return event.String(list[r.IntN(len(list))]) }
	var events []*event.Event
	for i := range 600 {
		e := &event.Event{ID: fmt.Sprint("e", i), Stream: stream}
		e.Set("@timestamp", event.String(event.FormatTime(time.Date(2026, 3, 1, 0, 0, i, 0, time.UTC))))
		for path, list := range map[string][]string{"user.name": {"a", "b", "c"}, "host.name": {"h1", "h2"}, "process.name": {"p1", "q"},
			"source.port": {"7", "100", "no"}, "event.action": {"login", "login", "logout"}} {
			if r.IntN(4) > 0 {
				e.Set(path, pick(list...))
			}
		}
		events = append(events, e)
	}
	parts, err := clausesOf(q, time.Unix(0, 0).UTC())
	if err != nil {
		t.Fatal(err)
	}
	want := countsOf(t, flat(parts.query), events, 0)
	found := int64(0)
	for _, e := range events {
		if expr.Matches(parts.query.cond, e) {
			found++
		}
	}
	chain := ask(t, "type='eql'\nlanguage='eql'\nquery='''sequence with maxspan=1m [any where user.name in (\"a\", \"b\") and (host.name == \"h1\" or "+
		"process.name like \"p*\") and event.action == \"login\"] [any where user.name == \"nobody\"]'''")
	stages, err := clausesOf(chain, time.Unix(0, 0).UTC())
	if err != nil {
		t.Fatal(err)
	}
	nearly := countsOf(t, flat(stages.stages[0]), events, 1)
	f := func(name string, db store.Store) {
		t.Helper()
		var copies []*event.Event
		for _, e := range events {
			c := e.Clone()
			c.Source.Data = c.AppendJSON(nil, nil)
			copies = append(copies, c)
		}
		if err := db.Apply(ctx, &store.Change{At: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), Events: copies}); err != nil {
			t.Fatal(err)
		}
		a, err := Span(ctx, q, db, Asked{Cond: expr.Const{Value: true}, Text: "*:*", From: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 3, 1, 1, 0, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		got := slices.DeleteFunc(slices.Clone(a.Clauses), func(c ClauseCount) bool { return c.Depth > 0 })
		if !slices.Equal(got, want) {
			t.Errorf("%s: clauses %+v\nexpected %+v", name, got, want)
		}
		if a.Events != 600 || a.Found != found || found == 0 {
			t.Errorf("%s: %d events, %d found, expected %d", name, a.Events, a.Found, found)
		}
		if len(a.Fates) != 1 || a.Fates[0].Kind != FateNotRun || int64(a.Fates[0].Count) != found {
			t.Errorf("%s: fates %+v", name, a.Fates)
		}
		a, err = Span(ctx, chain, db, Asked{Cond: expr.In{Field: expr.Field{Path: "user.name"}, Values: []event.Value{event.String("c")}}, Text: "user.name:c",
			From: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 3, 1, 1, 0, 0, 0, time.UTC)})
		if err != nil {
			t.Fatal(err)
		}
		if says := fmt.Sprintf(`: stage 1 would take %d events, but user.name in ("a", "b") is not true`, a.Clauses[1].Alone); !strings.HasSuffix(a.Verdict, says) || a.Clauses[1].Alone == 0 {
			t.Errorf("%s: %s, expected it to end with %q", name, a.Verdict, says)
		}
		if a, err = Span(ctx, chain, db, Asked{Cond: expr.Const{Value: true}, Text: "*:*", From: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 3, 1, 1, 0, 0, 0, time.UTC)}); err != nil {
			t.Fatal(err)
		}
		got = slices.Clone(a.Clauses[1:min(len(a.Clauses), 1+len(nearly))])
		if !slices.Equal(got, nearly) || !strings.HasPrefix(a.Clauses[0].Text, "stage 1: ") || a.Clauses[0].Ranked {
			t.Errorf("%s: clauses of stage 1 %+v\nexpected %+v", name, a.Clauses, nearly)
		}
	}
	f("mem", mem.New(declaredType))
	db, err := duck.Open(ctx, filepath.Join(t.TempDir(), "c.duckdb"), duck.Options{Types: declaredType})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	f("duck", db)
}

// countsOf counts the clauses of list event by event. Each must keep some event out alone.
func countsOf(t *testing.T, list []*clause, events []*event.Event, depth int) []ClauseCount {
	t.Helper()
	var want []ClauseCount
	for i, c := range list {
		row := ClauseCount{Text: c.words(), Depth: depth, Ranked: true}
		var fields []expr.Field
		expr.Walk(c.cond, func(f expr.Field) { fields = append(fields, f) }, func() {})
		for _, e := range events {
			if expr.Matches(c.cond, e) {
				continue
			}
			row.Fails++
			first, alone := true, true
			for k, other := range list {
				if k != i && !expr.Matches(other.cond, e) {
					alone = false
					first = first && k > i
				}
			}
			if first {
				row.First++
			}
			if alone {
				row.Alone++
			}
			if !slices.ContainsFunc(fields, func(f expr.Field) bool { return len(expr.Read(f, e)) > 0 }) {
				row.Missing++
			}
		}
		if row.Fails == 0 || row.First == 0 || row.Alone == 0 {
			t.Fatalf("%s proves nothing: %+v", row.Text, row)
		}
		want = append(want, row)
	}
	return want
}
