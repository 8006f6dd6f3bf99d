package opensearch

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// Latest is the snapshot of all that is there. Without Options.SeqField its number is 1, and it has no stamp: the
// cluster does not tell until when it is complete.
func (s *Store) Latest(ctx context.Context) (store.Snapshot, error) {
	if s.seqField == "" {
		return store.Snapshot{Seq: 1}, nil
	}
	answer, err := s.call(ctx, http.MethodPost, "/_all/_search?allow_partial_search_results=false&expand_wildcards=open,hidden",
		object("size", 0, "aggs", object("seq", object("max", object("field", s.seqField)))).AppendJSON(nil))
	if err == nil {
		err = complete(answer)
	}
	if err != nil {
		return store.Snapshot{}, fmt.Errorf("read the latest commit: %w", err)
	}
	return store.Snapshot{Seq: uint64(max(answer.At("aggregations", "seq", "value").Float(), 0))}, nil
}

// maxIndices bounds the indices whose events are counted at once.
const maxIndices = 10_000

// Streams returns the streams that patterns name, with the paths that their mappings know: events need not hold them.
func (s *Store) Streams(ctx context.Context, patterns []string) ([]store.Stream, error) {
	v, err := s.view(ctx, patterns)
	if err != nil {
		return nil, fmt.Errorf("list streams: %w", err)
	}
	if len(v.indices) > maxIndices {
		return nil, fmt.Errorf("list streams: %d indices are more than %d: name fewer", len(v.indices), maxIndices)
	}
	if len(v.indices) == 0 {
		return []store.Stream{}, nil
	}
	bounds := []any{}
	for name, field := range map[string]string{"time": plan.Timestamp, "ingested": plan.Ingested, "seq": s.seqField} {
		if field != "" {
			bounds = append(bounds, name+"-min", object("min", object("field", field)), name+"-max", object("max", object("field", field)))
		}
	}
	answer, err := s.call(ctx, http.MethodPost, "/"+v.names+"/_search?allow_partial_search_results=false&expand_wildcards=open,hidden",
		object("size", 0, "aggs", object("index", object("terms", object("field", "_index", "size", maxIndices),
			"aggs", object(bounds...)))).AppendJSON(nil))
	if err == nil {
		err = complete(answer)
	}
	if err != nil {
		return nil, fmt.Errorf("list streams: %w", err)
	}
	out := make([]store.Stream, len(v.streams))
	for i, name := range v.streams {
		out[i].Name = name
	}
	of := func(index string) *store.Stream {
		i, found := slices.BinarySearch(v.streams, v.streamOf[index])
		if !found {
			return nil
		}
		return &out[i]
	}
	for _, b := range answer.At("aggregations", "index", "buckets").Items() {
		x := of(b.Member("key").Str())
		if x == nil {
			continue
		}
		x.Events += b.Member("doc_count").Int()
		include(&x.Time, b, "time")
		include(&x.Ingested, b, "ingested")
		first, last := uint64(1), uint64(1)
		if s.seqField != "" {
			first, last = uint64(b.At("seq-min", "value").Float()), uint64(b.At("seq-max", "value").Float())
		}
		if x.Seq.First == 0 || first < x.Seq.First {
			x.Seq.First = first
		}
		x.Seq.Last = max(x.Seq.Last, last)
	}
	for _, x := range v.indices {
		stream := of(x.name)
		for path, list := range x.readers {
			if k := list[0].kind; k != "object" && k != "nested" && path != s.seqField {
				stream.Paths = append(stream.Paths, path)
			}
		}
	}
	for i := range out {
		slices.Sort(out[i].Paths)
		out[i].Paths = slices.Compact(out[i].Paths)
		out[i].Paths = out[i].Paths[:min(len(out[i].Paths), store.MaxPaths)]
	}
	return out, nil
}

// include widens span to what a bucket says of a date: milliseconds, as a number that may have a fraction.
func include(span *store.Span, b event.Value, name string) {
	from, to := b.At(name+"-min", "value"), b.At(name+"-max", "value")
	if from.IsNull() || to.IsNull() {
		return
	}
	*span = span.Include(time.UnixMilli(int64(math.Floor(from.Float()))).UTC())
	*span = span.Include(time.UnixMilli(int64(math.Ceil(to.Float()))).UTC())
}
