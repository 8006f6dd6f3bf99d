package opensearch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
	"github.com/tocsin-sec/tocsin/internal/store/opensearch"
)

// faulty is a cluster that goes wrong as no healthy one can be made to: it answers as OpenSearch does up to the search,
// and to that with what it is told.
type faulty struct {
	pit, search func(w http.ResponseWriter, r *http.Request)
	closed      atomic.Int32 // points in time given back
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then the server sees that its client has gone
	w.Header().Set("Content-Type", "application/json")
	path := r.URL.Path
	switch {
	case path == "/_cluster/state/version":
		fmt.Fprint(w, `{"cluster_uuid":"c","state_uuid":"s"}`)
	case strings.HasPrefix(path, "/_resolve/index/"):
		fmt.Fprint(w, `{"indices":[{"name":"logs-a","attributes":["open"]}],"aliases":[],"data_streams":[]}`)
	case strings.HasSuffix(path, "/_mapping"):
		fmt.Fprint(w, `{"logs-a":{"mappings":{"properties":{"k":{"type":"keyword"},"n":{"type":"long"}}}}}`)
	case strings.HasSuffix(path, "/_settings"):
		fmt.Fprint(w, `{"logs-a":{"settings":{"index":{}}}}`)
	case path == "/_search/point_in_time" && r.Method == http.MethodDelete:
		f.closed.Add(1)
		fmt.Fprint(w, `{}`)
	case strings.HasSuffix(path, "/_search/point_in_time"):
		if f.pit != nil {
			f.pit(w, r)
			return
		}
		fmt.Fprint(w, `{"pit_id":"p","_shards":{"total":1,"successful":1,"skipped":0,"failed":0}}`)
	default:
		f.search(w, r)
	}
}

// says answers with status and body, in which ' stands for ".
func says(status int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, strings.ReplaceAll(body, "'", `"`))
	}
}

const (
	whole = `'took':1,'timed_out':false,'_shards':{'total':1,'successful':1,'skipped':0,'failed':0}`
	doc   = `{'_index':'logs-a','_id':'1','_source':{'k':'a'},'sort':['logs-a',1]}`
)

// answer runs p on the cluster and says what came of it: the number of rows, and the error.
func answer(t *testing.T, f *faulty, p plan.Node, timeout time.Duration) (int, error) {
	t.Helper()
	server := httptest.NewServer(f)
	defer server.Close()
	db, err := opensearch.New(server.URL, opensearch.Options{Timeout: timeout, Page: 2})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(context.Background(), p, store.Snapshot{Seq: 1})
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
	}
	return n, rows.Err()
}

func TestFaults(t *testing.T) {
	scan := plan.Scan{}
	f := func(status int, body string, rows int, want string) {
		t.Helper()
		c := &faulty{search: says(status, body)}
		n, err := answer(t, c, scan, time.Minute)
		if n != rows || err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %d rows, %v; want %d and %q", body, n, err, rows, want)
		}
		if c.closed.Load() != 1 {
			t.Errorf("%s: the point in time was given back %d times", body, c.closed.Load())
		}
	}
	f(200, `{`+whole+`,'hits':{'hits':[`+doc+`]}}`, 1, "")
	f(200, `{`+whole+`,'hits':{'total':{'value':1},'max_score':null,'hits':[]}}`, 0, "")

	// Parts of an answer are no answer.
	f(200, `{'timed_out':false,'_shards':{'total':3,'failed':1,'failures':[{'reason':{'reason':'disk gone'}}]},'hits':{'hits':[`+doc+`]}}`, 0, "1 of 3 shards failed: disk gone")
	f(200, `{'timed_out':true,'_shards':{'total':1,'failed':0},'hits':{'hits':[`+doc+`]}}`, 0, "timed_out")
	f(200, `{'hits':{'hits':[`+doc+`]}}`, 0, "does not say whether its answer is whole")
	f(200, `{`+whole+`,'hits':{'hits':[`+doc+`,`, 1, "EOF")
	f(200, `{`+whole+`,'hits':{'hits':[`+doc+`]`, 1, "EOF")
	f(200, `{`+whole+`,'hits':{'hits':[`+doc+`]}`, 1, "EOF")
	f(200, `{`+whole+`,'hits':{'hits':[{'_index':'logs-a','_id':'1','_source':{'k':`, 0, "EOF")
	f(200, `{`+whole+`,'hits':{'hits':[{'_index':'logs-a','_id':'1','_source':{}}]}}`, 0, "without a place in the order")
	f(200, `{`+whole+`}`, 0, "holds no hits")
	f(200, `{`+whole+`,'hits':{}}`, 0, "no list of hits")
	f(200, `<html>`, 0, "search:")
	f(200, ``, 0, "search:")
	f(503, `{'error':{'type':'search_phase_execution_exception','reason':'all shards failed','root_cause':[{'type':'node_gone','reason':'left'}]},'status':503}`,
		0, "503 search_phase_execution_exception: all shards failed (node_gone: left)")
	f(502, `bad gateway`, 0, "502 Bad Gateway: bad gateway")
	f(429, `{'error':'too busy'}`, 0, "429")

	// A point in time of some shards is none.
	c := &faulty{pit: says(200, `{'pit_id':'p','_shards':{'total':2,'successful':1,'failed':1}}`)}
	if _, err := answer(t, c, scan, time.Minute); err == nil || !strings.Contains(err.Error(), "1 of 2 shards failed") {
		t.Errorf("a point in time of some shards: %v", err)
	}

	// What is beyond the cluster's limits is run elsewhere.
	filter := plan.Filter{In: scan, Cond: expr.Exists{Field: expr.Field{Path: "k"}}}
	for _, reason := range []string{"too_many_clauses: maxClauseCount is set to 1024", "Determinizing automaton would require more than 10000 effort"} {
		var no *store.Unsupported
		c := &faulty{search: says(400, `{'error':{'type':'search_phase_execution_exception','reason':'`+reason+`'}}`)}
		if _, err := answer(t, c, filter, time.Minute); !errors.As(err, &no) {
			t.Errorf("%s: %v", reason, err)
		}
	}
	var e *opensearch.Error
	c = &faulty{search: says(400, `{'error':{'type':'parsing_exception','reason':'unknown query'}}`)}
	if _, err := answer(t, c, filter, time.Minute); !errors.As(err, &e) || e.Status != 400 || e.Type != "parsing_exception" {
		t.Errorf("a query that is wrong: %v", err)
	}

	// An aggregate of some shards is none, and one of some documents either.
	count := plan.Aggregate{In: scan, Aggs: []plan.Agg{{Name: "n", Fn: plan.Count}}}
	for body, want := range map[string]string{
		`{'timed_out':false,'_shards':{'total':3,'failed':1},'hits':{'total':{'value':5,'relation':'eq'}}}`: "1 of 3 shards failed",
		`{` + whole + `,'hits':{'total':{'value':5,'relation':'gte'}}}`:                                     "did not count all",
		`{` + whole + `,'hits':{'total':{'value':5,'relation':'eq'}}}`:                                      "",
	} {
		n, err := answer(t, &faulty{search: says(200, body)}, count, time.Minute)
		if want == "" && (n != 1 || err != nil) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %d rows, %v", body, n, err)
		}
	}
}

// TestSilence holds that a cluster that does not answer, or stops in the middle, ends the query, and one whose reader is
// slow does not.
func TestSilence(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	quiet := func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}
	stuck := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.ReplaceAll(`{`+whole+`,'hits':{'hits':[`+doc, "'", `"`))
		w.(http.Flusher).Flush()
		quiet(w, r)
	}
	n, err := answer(t, &faulty{search: quiet}, plan.Scan{}, 50*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "no answer in time (50ms)") {
		t.Errorf("no answer: %d rows, %v", n, err)
	}
	n, err = answer(t, &faulty{search: stuck}, plan.Scan{}, 50*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "no answer in time (50ms)") {
		t.Errorf("half an answer: %d rows, %v", n, err)
	}

	server := httptest.NewServer(&faulty{search: quiet})
	defer server.Close()
	db, err := opensearch.New(server.URL, opensearch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := db.Query(ctx, plan.Scan{}, store.Snapshot{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled query: %v", err)
	}

	pages := 0
	slow := httptest.NewServer(&faulty{search: func(w http.ResponseWriter, r *http.Request) {
		if pages++; pages > 2 {
			says(200, `{`+whole+`,'hits':{'hits':[]}}`)(w, r)
			return
		}
		says(200, `{`+whole+`,'hits':{'hits':[`+doc+`,`+doc+`]}}`)(w, r)
	}})
	defer slow.Close()
	if db, err = opensearch.New(slow.URL, opensearch.Options{Page: 2, Timeout: 80 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(context.Background(), plan.Scan{}, store.Snapshot{})
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for n = 0; rows.Next(); n++ {
		time.Sleep(60 * time.Millisecond)
	}
	if n != 4 || rows.Err() != nil {
		t.Errorf("a slow reader: %d rows, %v", n, rows.Err())
	}
}

func TestAddress(t *testing.T) {
	for _, address := range []string{"", "localhost:9200", "ftp://x", "http://", "://"} {
		if _, err := opensearch.New(address, opensearch.Options{}); err == nil {
			t.Errorf("%q is taken for an address", address)
		}
	}
	db, err := opensearch.New("http://127.0.0.1:1/", opensearch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Streams(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("a cluster that is not there: %v", err)
	}
}
