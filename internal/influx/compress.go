package influx

import (
	"bytes"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
)

var errUnpacked = errors.New("more bytes than a batch has")

// compressor packs and unpacks batches. One goroutine uses it.
type compressor struct {
	w   *gzip.Writer
	r   gzip.Reader
	out bytes.Buffer
}

func newCompressor() *compressor {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is valid
	return &compressor{w: w}
}

// pack returns the lines as gzip. The bytes are valid until the next call.
func (c *compressor) pack(lines []byte) []byte {
	c.out.Reset()
	c.w.Reset(&c.out)
	_, _ = c.w.Write(lines) // a buffer takes all
	_ = c.w.Close()
	return c.out.Bytes()
}

// unpack appends the lines to dst, which may grow to limit bytes.
func (c *compressor) unpack(dst, packed []byte, limit int) ([]byte, error) {
	if err := c.r.Reset(bytes.NewReader(packed)); err != nil {
		return dst, err
	}
	b := bytes.NewBuffer(dst)
	before := len(dst)
	_, err := io.Copy(b, io.LimitReader(&c.r, int64(limit-before)+1))
	if err == nil && b.Len() > limit {
		err = errUnpacked
	}
	if err != nil {
		return b.Bytes()[:before], err
	}
	return b.Bytes(), nil
}
