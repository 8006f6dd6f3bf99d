package opensearch

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-sec/tocsin/internal/event"
)

// client speaks to a cluster.
type client struct {
	base    string
	http    *http.Client
	timeout time.Duration
}

// maxAnswer bounds an answer, in bytes: one of documents, which are read one by one, and one that is held whole.
const (
	maxAnswer = 1 << 30
	maxHeld   = 256 << 20
)

// Error is what a cluster answers in place of what was asked for.
type Error struct {
	Status int    // of HTTP
	Type   string // such as search_phase_execution_exception
	Reason string
	// Cause is the type of the first shard's error, or of the innermost one, and its reason.
	Cause, CauseReason string
}

// Error says what the cluster said.
func (e *Error) Error() string {
	text := fmt.Sprintf("the search cluster answers %d %s: %s", e.Status, e.Type, e.Reason)
	if e.CauseReason != "" && e.CauseReason != e.Reason {
		text += fmt.Sprintf(" (%s: %s)", e.Cause, e.CauseReason)
	}
	return text
}

// errTimeout is the cause of the end of a request that took too long.
var errTimeout = errors.New("no answer in time")

// watch cancels with errTimeout unless stop is called in time.
func (c *client) watch(cancel context.CancelCauseFunc) (stop func()) {
	clock, end := context.WithTimeout(context.Background(), c.timeout)
	off := context.AfterFunc(clock, func() { cancel(fmt.Errorf("%w (%s)", errTimeout, c.timeout)) })
	return func() {
		off()
		end()
	}
}

// send makes a request. The caller reads and closes the answer, which is one of success. The time that it takes to wait
// for the cluster is bounded, at the beginning and at every read, not the time that passes between reads.
func (c *client) send(ctx context.Context, method, path string, body []byte) (io.ReadCloser, error) {
	own, cancel := context.WithCancelCause(ctx)
	answer, err := c.try(own, cancel, method, path, body)
	if err != nil {
		err = cause(ctx, own, err)
		cancel(nil)
		return nil, err
	}
	return &watched{answer, c, ctx, own, cancel}, nil
}

func (c *client) try(ctx context.Context, cancel context.CancelCauseFunc, method, path string, body []byte) (io.ReadCloser, error) {
	defer c.watch(cancel)()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		return nil, readError(resp)
	}
	return resp.Body, nil
}

// cause is the error to tell: that of the caller's context, or that the cluster took too long, before what came of it.
func cause(ctx, own context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if late := context.Cause(own); errors.Is(late, errTimeout) {
		return late
	}
	return err
}

// watched is an answer whose reads are bounded in time.
type watched struct {
	body     io.ReadCloser
	client   *client
	ctx, own context.Context
	cancel   context.CancelCauseFunc
}

// Read reads on.
func (w *watched) Read(p []byte) (int, error) {
	stop := w.client.watch(w.cancel)
	n, err := w.body.Read(p)
	stop()
	if err != nil && err != io.EOF {
		err = cause(w.ctx, w.own, err)
	}
	return n, err
}

// Close ends the request.
func (w *watched) Close() error {
	w.cancel(nil)
	return w.body.Close()
}

// readError reads the error that an answer tells.
func readError(resp *http.Response) error {
	e := &Error{Status: resp.StatusCode, Type: http.StatusText(resp.StatusCode)}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return e
	}
	v, err := event.ParseJSON(text)
	if err != nil || v.Member("error").Kind() != event.KindObject {
		e.Reason = fmt.Sprintf("%.300s", strings.TrimSpace(string(text)))
		return e
	}
	v = v.Member("error")
	e.Type, e.Reason = v.Member("type").Str(), v.Member("reason").Str()
	cause := v
	if failed := v.Member("failed_shards").Items(); len(failed) > 0 {
		cause = failed[0].Member("reason")
	} else if roots := v.Member("root_cause").Items(); len(roots) > 0 {
		cause = roots[0]
	}
	for deeper := cause.Member("caused_by"); deeper.Kind() == event.KindObject; deeper = cause.Member("caused_by") {
		cause = deeper
	}
	e.Cause, e.CauseReason = cause.Member("type").Str(), cause.Member("reason").Str()
	return e
}

// call makes a request and returns its answer, whole.
func (c *client) call(ctx context.Context, method, path string, body []byte) (event.Value, error) {
	answer, err := c.send(ctx, method, path, body)
	if err != nil {
		return event.Value{}, err
	}
	defer answer.Close()
	text, err := io.ReadAll(io.LimitReader(answer, maxHeld+1))
	switch {
	case err != nil:
		return event.Value{}, err
	case len(text) > maxHeld:
		return event.Value{}, fmt.Errorf("the answer is larger than %d MiB", maxHeld>>20)
	}
	return event.ParseJSON(text)
}

func (c *client) get(ctx context.Context, path string) (event.Value, error) {
	return c.call(ctx, http.MethodGet, path, nil)
}

// decoder reads an answer of documents.
func decoder(r io.Reader) *jsontext.Decoder {
	return jsontext.NewDecoder(bufio.NewReaderSize(io.LimitReader(r, maxAnswer), 128<<10), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// complete returns an error unless all shards have given the whole of their answer.
func complete(answer event.Value) error {
	shards := answer.Member("_shards")
	failed, known := shards.Member("failed"), shards.Kind() == event.KindObject
	switch {
	case answer.Member("timed_out").Bool():
		return errors.New("the search cluster gave up in the middle of its answer: timed_out")
	case !known || failed.Kind() != event.KindInt:
		return errors.New("the search cluster does not say whether its answer is whole")
	case failed.Int() != 0:
		reason := ""
		if list := shards.Member("failures").Items(); len(list) > 0 {
			reason = ": " + list[0].At("reason", "reason").Str()
		}
		return fmt.Errorf("%d of %d shards failed%s", failed.Int(), shards.Member("total").Int(), reason)
	}
	return nil
}

// object makes a JSON object of keys and values in turn.
func object(pairs ...any) event.Value {
	m := make([]event.Member, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m = append(m, event.Member{Key: pairs[i].(string), Value: value(pairs[i+1])})
	}
	return event.Object(m...)
}

// value makes a JSON value.
func value(x any) event.Value {
	switch x := x.(type) {
	case event.Value:
		return x
	case []event.Value:
		return event.List(x...)
	case string:
		return event.String(x)
	case []string:
		return event.Strings(x...)
	case int:
		return event.Int(int64(x))
	case int64:
		return event.Int(x)
	case bool:
		return event.Bool(x)
	}
	panic(fmt.Sprintf("opensearch: no JSON of %T", x))
}
