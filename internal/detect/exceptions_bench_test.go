package detect_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/detect"
	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/exception"
	"github.com/tocsin-sec/tocsin/internal/rule"
)

// BenchmarkValueList runs a rule over TOCSIN_BENCH_EVENTS events on duck (100,000 where it is not set), without exceptions
// and with a value list of a million names on a field of all of them: once for a query that finds one event in a hundred,
// once for one that finds all.
func BenchmarkValueList(b *testing.B) {
	n := 100_000
	if s := os.Getenv("TOCSIN_BENCH_EVENTS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	history := newBench(b)
	history.db = engines()[1].open(b)
	from := at(b, "9 00:00")
	for done := 0; done < n; {
		var events []*event.Event
		for range min(50_000, n-done) {
			e := &event.Event{ID: strconv.Itoa(done), Stream: stream}
			e.Set("@timestamp", event.Millis(from.UnixMilli()+int64(done)*80_000_000/int64(n)))
			e.Set("event.action", event.String("login"))
			e.Set("event.outcome", event.String([]string{"failure", "success"}[min(done%100, 1)]))
			e.Set("user.name", event.String(fmt.Sprintf("user-%d", done%50_000)))
			e.Set("source.ip", event.String(fmt.Sprintf("10.%d.%d.%d", done>>16&255, done>>8&255, done&255)))
			events = append(events, e)
			done++
		}
		history.land(events...)
	}
	lists := million(b)
	for _, query := range []string{"event.outcome: failure", "event.action: login"} {
		r := parse(b, "query", "type='query'\nquery='"+query+"'\nfrom='now-1d'\ninterval='1d'\nmax_signals=10")
		for _, l := range []*exception.Lists{nil, lists} {
			b.Run(fmt.Sprintf("%s/list=%t", strings.Fields(query)[1], l != nil), func(b *testing.B) {
				p, err := detect.CompileWith(r, declared(b), l)
				if err != nil || len(p.Warnings) > 0 {
					b.Fatal(err, p.Warnings.Render())
				}
				w, err := p.Window(at(b, "10 00:00"))
				if err != nil {
					b.Fatal(err)
				}
				env := history.env(p)
				env.Direct = true
				want := n
				if query != "event.action: login" {
					want = (n + 99) / 100
				}
				for b.Loop() {
					if env.Alerted, err = detect.LoadAlerted(ctx, history.db, env.At, r.UUID()); err != nil {
						b.Fatal(err)
					}
					result, err := detect.Run(ctx, p, w, env)
					if err != nil {
						b.Fatal(err)
					}
					if result.Candidates != want {
						b.Fatalf("%d events, want %d", result.Candidates, want)
					}
				}
			})
		}
	}
}

// million is a list of a million names, none of them a user's.
func million(b *testing.B) *exception.Lists {
	b.Helper()
	dir := b.TempDir()
	var names strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&names, "account-%07d@example.com\n", i)
	}
	if err := os.Mkdir(filepath.Join(dir, rule.ExceptionsFolder), 0o755); err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{"v.txt": names.String(),
		"a.toml": "[list]\nlist_id='l'\nname='L'\nrules=['query']\n[[item]]\nname='i'\nentries=[{field='user.name',in_list='v'}]\n[[value_list]]\nid='v'\ntype='keyword'\nfile='v.txt'\n"} {
		if err := os.WriteFile(filepath.Join(dir, rule.ExceptionsFolder, name), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	lists, problems := exception.Load(rule.Load(dir))
	if len(problems) > 0 {
		b.Fatal(problems.Render())
	}
	return lists
}
