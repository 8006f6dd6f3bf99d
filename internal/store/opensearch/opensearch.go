// Package opensearch is a store over the indices of an OpenSearch cluster that others fill: it tells what streams there
// are (store.Catalog) and runs plans over them (store.Querier). It writes nothing.
//
//	db, err := opensearch.New("http://127.0.0.1:9200", opensearch.Options{})
//	fields, err := db.Fields(ctx, []string{"logs-aws.*"})
//	rows, err := exec.Query(ctx, db, plan.Filter{Cond: c, In: plan.Scan{Streams: []string{"logs-aws.*"}}}, at)
//
// A stream is a data stream or an index. A plan is run by the cluster as far as its query language says exactly what the
// plan means (lower.go); a condition of which only parts can be said is asked in these parts, and the rest is evaluated
// here, on the documents that come. What an index does to values decides: one that forgets long values (ignore_above)
// cannot be asked for patterns in them. So the rows are those of store/mem over the same documents, or there is an error:
// a search that a shard could not answer is never taken for an answer.
//
// Documents are read from a point in time of the indices, page by page; one page is never held whole.
package opensearch

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-sec/tocsin/internal/store"
)

// Options say how a cluster is spoken to.
type Options struct {
	// Client makes the requests; nil: http.DefaultClient. Authentication and certificates are its business.
	Client *http.Client
	// Timeout bounds each request, and the cluster's work on it; 0: one minute.
	Timeout time.Duration
	// Page is the number of documents that one request asks for; 0: 1000.
	Page int
	// Tree reports whether the object at path is one flattened value in events, whatever it is in the indices (as
	// event.DecodeOptions has it); nil: those that an index has as flattened fields.
	Tree func(path string) bool
	// SeqField names a field of numbers that says, in every document of every index, the commit that brought it. It is no
	// part of events. Without one all that is there is seen by every snapshot, and one with After is refused.
	SeqField string
}

// Store is a cluster. It is safe for concurrent use.
type Store struct {
	client
	page     int
	seqField string
	tree     func(path string) bool

	mu    sync.Mutex
	state string           // of the cluster, when views were read
	views map[string]*view // by patterns
}

var (
	_ store.Querier = (*Store)(nil)
	_ store.Catalog = (*Store)(nil)
)

// New returns the store of the cluster at address, which is not asked yet.
func New(address string, o Options) (*Store, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("open search cluster: %q is no address like http://127.0.0.1:9200", address)
	}
	s := &Store{client: client{base: strings.TrimRight(address, "/"), http: o.Client, timeout: o.Timeout}, page: o.Page,
		seqField: o.SeqField, tree: o.Tree, views: map[string]*view{}}
	if s.http == nil {
		s.http = http.DefaultClient
	}
	if s.timeout <= 0 {
		s.timeout = time.Minute
	}
	if s.page <= 0 {
		s.page = 1000
	}
	s.page = min(s.page, 10_000) // more the cluster refuses
	return s, nil
}

// maxViews bounds the views that are kept for one state of the cluster.
const maxViews = 64

// view returns what the cluster says of the streams that patterns name. As long as the state of the cluster is the same
// it is asked once.
func (s *Store) view(ctx context.Context, patterns []string) (*view, error) {
	answer, err := s.get(ctx, "/_cluster/state/version")
	if err != nil {
		return nil, fmt.Errorf("read the state of the cluster: %w", err)
	}
	state := answer.Member("cluster_uuid").Str() + " " + answer.Member("state_uuid").Str()
	key := fmt.Sprintf("%q", patterns)
	if patterns == nil {
		key = "nil"
	}
	s.mu.Lock()
	if s.state != state || len(s.views) >= maxViews {
		s.state, s.views = state, map[string]*view{}
	}
	v := s.views[key]
	s.mu.Unlock()
	if v != nil {
		return v, nil
	}
	if v, err = s.readView(ctx, patterns); err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.state == state {
		s.views[key] = v
	}
	s.mu.Unlock()
	return v, nil
}

// maxNames is the length up to which the names of indices are written out in the path of a request.
const maxNames = 3000

// readView reads the indices of the streams that patterns name, their mappings and the settings that matter.
func (s *Store) readView(ctx context.Context, patterns []string) (*view, error) {
	answer, err := s.get(ctx, "/_resolve/index/*?expand_wildcards=open,hidden")
	if err != nil {
		return nil, fmt.Errorf("list indices: %w", err)
	}
	v := &view{streamOf: map[string]string{}, seqField: s.seqField, tree: s.tree}
	for _, x := range answer.Member("indices").Items() {
		name, stream := x.Member("name").Str(), x.Member("data_stream").Str()
		if stream == "" {
			stream = name
		}
		if store.Selects(patterns, stream) {
			v.streamOf[name] = stream
			if !slices.Contains(v.streams, stream) {
				v.streams = append(v.streams, stream)
			}
		}
	}
	slices.Sort(v.streams)
	if len(v.streams) == 0 {
		return v, nil
	}
	v.names = escaped(v.streams)
	if len(v.names) > maxNames {
		// The patterns are shorter, and may name more: what they name beyond the streams is left out when rows are read.
		v.wide = true
		if v.names = escaped(patterns); patterns == nil || len(v.names) > maxNames {
			v.names = "*"
		}
	}
	const only = "?expand_wildcards=open,hidden&ignore_unavailable=true&allow_no_indices=true"
	mappings, err := s.get(ctx, "/"+v.names+"/_mapping"+only)
	if err != nil {
		return nil, fmt.Errorf("read mappings: %w", err)
	}
	settings, err := s.get(ctx, "/"+v.names+"/_settings"+only)
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	for _, m := range mappings.Members() {
		if _, selected := v.streamOf[m.Key]; !selected {
			continue
		}
		x, err := readIndex(m.Key, m.Value.Member("mappings"), settings.At(m.Key, "settings", "index"))
		if err != nil {
			return nil, err
		}
		v.indices = append(v.indices, x)
	}
	if len(v.indices) != len(v.streamOf) {
		return nil, fmt.Errorf("read mappings: %d of %d indices have one: the others went away meanwhile", len(v.indices), len(v.streamOf))
	}
	slices.SortFunc(v.indices, func(a, b *index) int { return strings.Compare(a.name, b.name) })
	return v, nil
}

// escaped joins names for the path of a request.
func escaped(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = url.PathEscape(n)
	}
	return strings.Join(out, ",")
}
