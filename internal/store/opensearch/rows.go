package opensearch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/expr"
	"github.com/tocsin-sec/tocsin/internal/plan"
)

// keepAlive is how long the cluster keeps the point in time from one page to the next.
const keepAlive = "5m"

// rows are the documents that a query finds at one point in time.
type rows struct {
	ctx     context.Context
	store   *Store
	view    *view
	scan    plan.Scan
	query   event.Value
	recheck expr.Cond // on the documents, nil: none
	sort    []event.Value
	left    int // rows that may still be given
	first   int // documents to ask for in the first page, 0: a whole page

	pit   string
	after event.Value // sort values of the last document read
	page  *page
	row   *event.Event
	err   error
	done  bool
}

// begin opens the point in time and asks for the first page.
func (r *rows) begin() error {
	answer, err := r.store.call(r.ctx, http.MethodPost, "/"+r.view.names+"/_search/point_in_time?keep_alive="+keepAlive+
		"&allow_partial_pit_creation=false&expand_wildcards=open,hidden", nil)
	if err != nil {
		return fmt.Errorf("open a point in time: %w", err)
	}
	r.pit = answer.Member("pit_id").Str()
	if err := complete(answer); err != nil {
		return fmt.Errorf("open a point in time: %w", err)
	}
	return r.ask()
}

// ask asks for the next page.
func (r *rows) ask() error {
	size := r.store.page
	if r.recheck == nil && r.left < size {
		size = r.left
	}
	if r.first > 0 {
		size, r.first = r.first, 0
	}
	body := []any{"size", size, "query", r.query, "track_total_hits", false, "sort", r.order(),
		"pit", object("id", r.pit, "keep_alive", keepAlive)}
	if !r.after.IsNull() {
		body = append(body, "search_after", r.after)
	}
	// Parts of a document come with numbers and keys rewritten (1.50 as 1.5): it is all or nothing.
	if r.scan.Fields != nil && len(r.scan.Fields) == 0 && r.recheck == nil {
		body = append(body, "_source", false)
	}
	answer, err := r.store.send(r.ctx, http.MethodPost, "/_search?allow_partial_search_results=false",
		object(body...).AppendJSON(nil))
	if err != nil {
		return fmt.Errorf("search: %w", err)
	}
	r.page = &page{body: answer, in: decoder(answer), size: size}
	if err := r.page.begin(); err != nil {
		return fmt.Errorf("search: %w", err)
	}
	return nil
}

// order is the order in which documents come. _shard_doc tells documents of one index apart, not those of several: by it
// alone, what has the same place in another index would be lost between two pages.
func (r *rows) order() []event.Value {
	return append(r.sort[:len(r.sort):len(r.sort)], object("_index", "asc"), object("_shard_doc", "asc"))
}

// Next moves to the next row.
func (r *rows) Next() bool {
	r.row = nil
	for !r.done {
		if r.left <= 0 {
			r.done = true
			break
		}
		e, err := r.next()
		if err != nil {
			r.fail(err)
			break
		}
		if e == nil {
			r.done = true
			break
		}
		if e.Stream == "" || r.recheck != nil && !expr.Matches(r.recheck, e) {
			continue // an index that the scan does not name, or a document that the query finds in vain
		}
		r.row = e
		r.left--
		return true
	}
	return false
}

func (r *rows) fail(err error) {
	if r.ctx.Err() != nil {
		err = r.ctx.Err()
	}
	r.err, r.done = err, true
}

// next returns the next document, nil at the end.
func (r *rows) next() (*event.Event, error) {
	for {
		if err := r.ctx.Err(); err != nil {
			return nil, err
		}
		if r.page == nil {
			if err := r.ask(); err != nil {
				return nil, err
			}
		}
		hit, err := r.page.next()
		if err != nil {
			return nil, fmt.Errorf("read the answer to a search: %w", err)
		}
		if !hit.IsNull() {
			r.after = hit.Member("sort")
			return r.view.decode(hit), nil
		}
		last := r.page.read < r.page.size
		if id := r.page.pit; id != "" {
			r.pit = id
		}
		r.page.close()
		if r.page = nil; last {
			return nil, nil
		}
	}
}

// Event is the present row.
func (r *rows) Event() *event.Event { return r.row }

// Err is the error that ended the rows.
func (r *rows) Err() error { return r.err }

// Close ends the query and gives the point in time back.
func (r *rows) Close() error {
	r.done = true
	if r.page != nil {
		r.page.close()
		r.page = nil
	}
	if r.pit == "" {
		return nil
	}
	body := object("pit_id", []string{r.pit}).AppendJSON(nil)
	r.pit = ""
	// Also where the query was cancelled; the cluster forgets it by itself if this fails.
	_, err := r.store.call(context.WithoutCancel(r.ctx), http.MethodDelete, "/_search/point_in_time", body)
	var e *Error
	if err != nil && !(errors.As(err, &e) && e.Status == http.StatusNotFound) && r.err == nil && r.ctx.Err() == nil {
		return fmt.Errorf("close a point in time: %w", err)
	}
	return nil
}

// page is the answer to one search, read as it comes.
type page struct {
	body       io.ReadCloser
	in         *jsontext.Decoder
	size, read int
	pit        string
	ended      bool
}

func (p *page) close() { _ = p.body.Close() } // it was only read

// begin reads up to the first document. That all shards have answered stands before it.
func (p *page) begin() error {
	if tok, err := p.in.ReadToken(); err != nil || tok.Kind() != '{' {
		return fmt.Errorf("the answer is no JSON object: %w", err)
	}
	var head []event.Member
	for p.in.PeekKind() == '"' {
		tok, err := p.in.ReadToken()
		if err != nil {
			return err
		}
		key := tok.String()
		if key == "hits" && p.in.PeekKind() == '{' {
			if err := complete(event.Object(head...)); err != nil {
				return err
			}
			return p.toList()
		}
		v, _, err := event.ReadJSON(p.in)
		if err != nil {
			return err
		}
		if key == "pit_id" {
			p.pit = v.Str()
		}
		head = append(head, event.Member{Key: key, Value: v})
	}
	return errors.New("the answer holds no hits")
}

// toList reads the object of hits up to the list in it.
func (p *page) toList() error {
	if _, err := p.in.ReadToken(); err != nil {
		return err
	}
	for p.in.PeekKind() == '"' {
		tok, err := p.in.ReadToken()
		if err != nil {
			return err
		}
		if tok.String() == "hits" && p.in.PeekKind() == '[' {
			_, err := p.in.ReadToken()
			return err
		}
		if err := p.in.SkipValue(); err != nil {
			return err
		}
	}
	return errors.New("the answer holds no list of hits")
}

// next returns the next document, null at the end of the page.
func (p *page) next() (event.Value, error) {
	if p.ended {
		return event.Value{}, nil
	}
	if p.in.PeekKind() == ']' {
		p.ended = true
		return event.Value{}, p.finish()
	}
	v, _, err := event.ReadJSON(p.in)
	if err == nil && v.Member("sort").Kind() != event.KindList {
		err = errors.New("a document without a place in the order")
	}
	p.read++
	return v, err
}

// finish reads what is left behind the documents: an answer that ends early is an error.
func (p *page) finish() error {
	for {
		if _, err := p.in.ReadToken(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
