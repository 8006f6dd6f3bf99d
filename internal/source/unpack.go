package source

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Format is how content is packed.
type Format string

// The formats that Unpack unpacks.
const (
	Plain Format = "plain"
	Gzip  Format = "gzip"
	Zstd  Format = "zstd"
)

const (
	bufferSize = 128 << 10
	// maxLayers is how often content is unpacked again: what is stored packed and sent packed comes in two layers.
	maxLayers = 3
	// maxWindow bounds the memory that a zstd frame may ask for: the window of zstd --long.
	maxWindow = 128 << 20
	// maxBlank is how much white space is looked past to see how the content begins.
	maxBlank = 64 << 10
)

// magics are the beginnings of packed content, and of content that is none of ours.
var magics = []struct {
	begin  string
	format Format
	name   string
}{
	{"\x1f\x8b", Gzip, ""},
	{"\x28\xb5\x2f\xfd", Zstd, ""},
	{"PK\x03\x04", "", "a zip archive"},
	{"BZh", "", "packed with bzip2"},
	{"\xfd7zXZ\x00", "", "packed with xz"},
	{"7z\xbc\xaf", "", "a 7-Zip archive"},
	{"PAR1", "", "a Parquet file"},
	{"SQLite format 3", "", "an SQLite database"},
	{"<", "", "markup"},
}

// formatOf returns how content with this beginning is packed.
func formatOf(begin []byte) Format {
	for _, m := range magics {
		if m.format != "" && bytes.HasPrefix(begin, []byte(m.begin)) {
			return m.format
		}
	}
	// A zstd stream may begin with a frame that is to be passed over.
	if len(begin) >= 4 && begin[0]&0xf0 == 0x50 && bytes.Equal(begin[1:4], []byte("\x2a\x4d\x18")) {
		return Zstd
	}
	return Plain
}

// Unpacked is content being unpacked. It streams: memory is bounded whatever the content claims to be.
type Unpacked struct {
	name    string
	counter *counter
	format  Format // of the layer that was opened last
	out     *bufio.Reader
	close   []func()
}

// Unpack unpacks the content of the object called name: gzip (of several members too), zstd (of several frames too),
// either within either, or plain bytes, as its first bytes tell. It reads the beginning; an error is a *ReadError.
func Unpack(name string, r io.Reader) (*Unpacked, error) {
	u := &Unpacked{name: name, counter: &counter{r: r}, format: Plain}
	u.out = bufio.NewReaderSize(u.counter, bufferSize)
	for range maxLayers {
		begin, err := u.out.Peek(4)
		if err != nil && err != io.EOF {
			u.Close()
			return nil, u.failed(err)
		}
		format := formatOf(begin)
		if format == Plain {
			return u, nil
		}
		u.format = format
		layer, err := u.open(format)
		if err != nil {
			u.Close()
			return nil, u.failed(err)
		}
		u.out = bufio.NewReaderSize(layer, bufferSize)
	}
	return u, nil
}

// open opens one layer.
func (u *Unpacked) open(format Format) (io.Reader, error) {
	if format == Gzip {
		return gzip.NewReader(u.out)
	}
	z, err := zstd.NewReader(u.out, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	u.close = append(u.close, z.Close)
	return z, nil
}

// Format is how the content was packed, the inner layer where there are two.
func (u *Unpacked) Format() Format { return u.format }

// Packed is how many packed bytes were taken so far. It is for the goroutine that reads.
func (u *Unpacked) Packed() int64 { return u.counter.n }

// Read reads unpacked bytes. Errors other than io.EOF are a *ReadError.
func (u *Unpacked) Read(p []byte) (int, error) {
	n, err := u.out.Read(p)
	if err != nil && err != io.EOF {
		err = u.failed(err)
	}
	return n, err
}

// Close frees the decoders; it does not close what is read from.
func (u *Unpacked) Close() error {
	for _, c := range u.close {
		c()
	}
	u.close = nil
	return nil
}

func (u *Unpacked) failed(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
		err = fmt.Errorf("the content ends early: %w", io.ErrUnexpectedEOF)
	case errors.Is(err, gzip.ErrChecksum):
		err = fmt.Errorf("the content is damaged: %w", err)
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		err = fmt.Errorf("the content asks for a window of more than %d MiB: %w", maxWindow>>20, err)
	}
	return &ReadError{Name: u.name, Packed: u.counter.n, Format: u.format, Err: err}
}

// Why says why the content is none to be read, "" when it begins as JSON does: with a brace or a bracket, after a byte
// order mark and white space. Nothing is taken from the content. The error is a *ReadError.
func (u *Unpacked) Why() (string, error) {
	for n := 512; ; n = min(4*n, maxBlank) {
		begin, err := u.out.Peek(n)
		if err != nil && err != io.EOF {
			if len(begin) == 0 {
				return "", u.failed(err)
			}
			err = io.EOF // Read will say so when it gets there
		}
		blank := bytes.TrimLeft(bytes.TrimPrefix(begin, []byte("\xef\xbb\xbf")), " \t\r\n")
		switch {
		case len(blank) > 0:
			return whyNot(blank, begin), nil
		case err == io.EOF && len(begin) == 0:
			return "it is empty", nil
		case err == io.EOF:
			return "it holds white space alone", nil
		case n == maxBlank: // whoever splits it bounds what passes without a record
			return "", nil
		}
	}
}

func whyNot(content, begin []byte) string {
	if content[0] == '{' || content[0] == '[' {
		return ""
	}
	for _, m := range magics {
		if m.name != "" && bytes.HasPrefix(content, []byte(m.begin)) {
			return "it is " + m.name + ", not JSON"
		}
	}
	if bytes.HasPrefix(begin, []byte("\xff\xfe")) || bytes.HasPrefix(begin, []byte("\xfe\xff")) {
		return "it is UTF-16, not UTF-8"
	}
	if formatOf(begin) != Plain {
		return fmt.Sprintf("it is packed more than %d times", maxLayers)
	}
	return "it does not begin as JSON"
}

// counter counts the bytes that are taken from r.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
