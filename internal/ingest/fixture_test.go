package ingest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/event"
	"github.com/tocsin-sec/tocsin/internal/plan"
	"github.com/tocsin-sec/tocsin/internal/store"
)

// everything returns all events of db.
func everything(t testing.TB, db store.Store) []*event.Event {
	t.Helper()
	ctx := context.Background()
	at, err := db.Latest(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := db.Query(ctx, plan.Scan{}, at)
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

// gz packs text.
func gz(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// subscription is what CloudWatch Logs hands to a function: the messages, packed.
func subscription(t testing.TB, messages ...string) string {
	t.Helper()
	var events []string
	for n, m := range messages {
		quoted, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, fmt.Sprintf(`{"id":"%d","timestamp":1772366400000,"message":%s}`, n, quoted))
	}
	payload := fmt.Sprintf(`{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"g","logStream":"s","subscriptionFilters":["f"],"logEvents":[%s]}`,
		strings.Join(events, ","))
	return fmt.Sprintf(`{"awslogs":{"data":"%s"}}`, base64.StdEncoding.EncodeToString(gz(t, payload)))
}
