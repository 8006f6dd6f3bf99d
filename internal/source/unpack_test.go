package source_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/tocsin-sec/tocsin/internal/source"
)

func gz(t *testing.T, content string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zst(t *testing.T, content string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(content), nil))
}

func TestUnpack(t *testing.T) {
	f := func(packed, want, why string, format source.Format) {
		t.Helper()
		u, err := source.Unpack("x", strings.NewReader(packed))
		if err != nil {
			t.Error(err)
			return
		}
		defer u.Close()
		got, err := u.Why()
		if err != nil || got != why {
			t.Errorf("why: %q, %v; want %q", got, err, why)
		}
		content, err := io.ReadAll(u)
		if err != nil || string(content) != want {
			t.Errorf("content: %.60q, %v; want %.60q", content, err, want)
		}
		if u.Format() != format {
			t.Errorf("format %s, want %s", u.Format(), format)
		}
		if u.Packed() != int64(len(packed)) {
			t.Errorf("%d packed bytes read of %d", u.Packed(), len(packed))
		}
	}
	doc := `{"Records":[]}`
	f(doc, doc, "", source.Plain)
	f(gz(t, doc), doc, "", source.Gzip)
	f(zst(t, doc), doc, "", source.Zstd)
	f(gz(t, `{"a":1}`)+gz(t, `{"b":2}`), `{"a":1}{"b":2}`, "", source.Gzip)
	f(zst(t, `{"a":1}`)+zst(t, `{"b":2}`), `{"a":1}{"b":2}`, "", source.Zstd)
	f("\x50\x2a\x4d\x18\x02\x00\x00\x00hi"+zst(t, doc), doc, "", source.Zstd)
	f(gz(t, gz(t, doc)), doc, "", source.Gzip)
	f(gz(t, zst(t, doc)), doc, "", source.Zstd)
	f("\xef\xbb\xbf \r\n\t[1]", "\xef\xbb\xbf \r\n\t[1]", "", source.Plain)
	blank := strings.Repeat("\n", 100_000)
	f(blank+"{}", blank+"{}", "", source.Plain)
	f(strings.Repeat(" ", 5_000)+"x", strings.Repeat(" ", 5_000)+"x", "it does not begin as JSON", source.Plain)
	f("", "", "it is empty", source.Plain)
	f(gz(t, ""), "", "it is empty", source.Gzip)
	f(" \n", " \n", "it holds white space alone", source.Plain)
	f("time,user\n", "time,user\n", "it does not begin as JSON", source.Plain)
	f("PK\x03\x04…", "PK\x03\x04…", "it is a zip archive, not JSON", source.Plain)
	f(gz(t, "<html>"), "<html>", "it is markup, not JSON", source.Gzip)
	f("\xff\xfe{\x00", "\xff\xfe{\x00", "it is UTF-16, not UTF-8", source.Plain)
	inner := gz(t, doc)
	f(gz(t, gz(t, gz(t, inner))), inner, "it is packed more than 3 times", source.Gzip)
}

// What came before the damage stays, and the error says where it is.
func TestUnpackDamaged(t *testing.T) {
	f := func(packed string, least int, want string) {
		t.Helper()
		u, err := source.Unpack("trail/x.gz", strings.NewReader(packed))
		var content []byte
		if err == nil {
			defer u.Close()
			content, err = io.ReadAll(u)
		}
		var failed *source.ReadError
		if !errors.As(err, &failed) || failed.Packed == 0 || failed.Packed > int64(len(packed)) {
			t.Errorf("error %v", err)
			return
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
		if len(content) < least {
			t.Errorf("%d bytes came through, want at least %d", len(content), least)
		}
	}
	var lines strings.Builder
	for i := range 20_000 {
		lines.WriteString(strings.Repeat(string(rune('a'+i%26)), i%37) + "\n")
	}
	whole := gz(t, lines.String())
	f(whole[:len(whole)/2], lines.Len()/10, "the content ends early")
	f(whole[:len(whole)-4], lines.Len(), "the content ends early")
	f(whole+"rubbish", lines.Len(), "trail/x.gz (gzip)")
	f(whole[:len(whole)-8]+"\x00\x00\x00\x00"+whole[len(whole)-4:], 0, "the content is damaged")
	packed := zst(t, lines.String())
	f(packed[:len(packed)/2], 0, "the content ends early")
	f("\x1f\x8b", 0, "the content ends early")
	f("\x1f\x8brubbish, not gzip", 0, "unpack trail/x.gz (gzip)")
	f("\x28\xb5\x2f\xfdrubbish", 0, "unpack trail/x.gz (zstd)")
	// A frame that asks for a window of 2 GiB.
	f("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", 0, "")
}

// A bomb costs no memory: whoever reads decides when to stop.
func TestUnpackStreams(t *testing.T) {
	const size = 64 << 20
	for name, packed := range map[string]string{"gzip": gz(t, "["+strings.Repeat(" ", size)), "zstd": zst(t, "["+strings.Repeat(" ", size))} {
		if len(packed) > size/100 {
			t.Fatalf("%s: the bomb has %d bytes", name, len(packed))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		u, err := source.Unpack(name, strings.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, u)
		runtime.ReadMemStats(&after)
		if err != nil || n != size+1 {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
			t.Errorf("%s: %d MiB were allocated", name, used>>20)
		}
		u.Close()
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"))
	f.Add([]byte("\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, packed []byte) {
		u, err := source.Unpack("x", bytes.NewReader(packed))
		if err != nil {
			return
		}
		defer u.Close()
		if _, err := u.Why(); err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, io.LimitReader(u, 16<<20))
	})
}
