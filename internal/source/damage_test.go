package source_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tocsin-sec/tocsin/internal/source"
)

// unpacked reads packed to its end.
func unpacked(packed string) (content string, why string, err error) {
	u, err := source.Unpack("x", strings.NewReader(packed))
	if err != nil {
		return "", "", err
	}
	defer u.Close()
	if why, err = u.Why(); err != nil || why != "" {
		return "", why, err
	}
	text, err := io.ReadAll(u)
	return string(text), "", err
}

// sample is content that packs to some hundred bytes.
func sample() string {
	r := rand.New(rand.NewPCG(1, 1))
	var b strings.Builder
	b.WriteString(`{"Records":[`)
	for range 60 {
		b.WriteString(`{"eventID":"`)
		for range 8 {
			b.WriteByte(byte('a' + r.IntN(26)))
		}
		b.WriteString(`"},`)
	}
	return b.String() + "{}]}"
}

// TestUnpackCutAnywhere cuts packed content at every byte: what comes through is a beginning of the content, and that
// something is missing is never passed over.
func TestUnpackCutAnywhere(t *testing.T) {
	content := sample()
	for format, packed := range map[string]string{"gzip": gz(t, content), "zstd": zst(t, content), "gzip in gzip": gz(t, gz(t, content))} {
		most := 0
		for n := range len(packed) {
			got, why, err := unpacked(packed[:n])
			if !strings.HasPrefix(content, got) {
				t.Fatalf("%s cut at %d: other content came through", format, n)
			}
			if err == nil && why == "" {
				t.Errorf("%s cut at %d of %d: no error, %d bytes of content", format, n, len(packed), len(got))
			}
			if failed := new(source.ReadError); err != nil && !errors.As(err, &failed) {
				t.Errorf("%s cut at %d: %v is no ReadError", format, n, err)
			}
			most = max(most, len(got))
		}
		// zstd hands out whole blocks, and this is one.
		if most < len(content)/2 && format != "zstd" {
			t.Errorf("%s: at most %d of %d bytes came through", format, most, len(content))
		}
		if got, _, err := unpacked(packed); err != nil || got != content {
			t.Errorf("%s: whole: %v", format, err)
		}
	}
}

// TestUnpackFlippedBits turns bits over: damage is an error, or does not touch the content.
func TestUnpackFlippedBits(t *testing.T) {
	content := sample()
	r := rand.New(rand.NewPCG(2, 2))
	for format, packed := range map[string]string{"gzip": gz(t, content), "zstd": zst(t, content)} {
		noticed := 0
		const rounds = 2000
		for range rounds {
			damaged := []byte(packed)
			damaged[r.IntN(len(damaged))] ^= 1 << r.IntN(8)
			got, why, err := unpacked(string(damaged))
			switch {
			case err != nil || why != "":
				noticed++
			case got != content:
				t.Fatalf("%s: other content came through without an error: %.80q", format, got)
			}
		}
		if noticed < rounds*9/10 {
			t.Errorf("%s: %d of %d damages were noticed", format, noticed, rounds)
		}
	}
}
