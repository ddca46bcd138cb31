package relay

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/orielhq/oriel/internal/tunnel/trust"
)

// maxProxyAnswer bounds the header of a proxy's answer.
const maxProxyAnswer = 16 << 10

// dial connects to one target, through the proxy if there is one, within the connect time.
func (t *Tunnel) dial(ctx context.Context, target string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.ConnectTimeout.Std())
	defer cancel()
	d := net.Dialer{KeepAlive: 30 * time.Second}
	if path, ok := strings.CutPrefix(target, "unix:"); ok {
		return d.DialContext(ctx, "unix", path)
	}
	if t.Proxy == "" {
		return d.DialContext(ctx, "tcp", target)
	}
	u, err := url.Parse(t.Proxy)
	if err != nil {
		return nil, errors.New("proxy is not well formed") // the text may hold a secret
	}
	c, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, &trust.Refusal{Reason: "proxy", Err: err}
	}
	deadline, _ := ctx.Deadline()
	_ = c.SetDeadline(deadline)
	if u.Scheme == "socks5" {
		err = t.socks5(c, target)
	} else {
		err = t.connect(ctx, c, target)
	}
	if err == nil {
		err = c.SetDeadline(time.Time{})
	}
	if err != nil {
		_ = c.Close()
		return nil, &trust.Refusal{Reason: "proxy", Err: err}
	}
	return c, nil
}

// connect asks an HTTP proxy. The header is read byte by byte: what follows it belongs to the tunnel.
func (t *Tunnel) connect(ctx context.Context, c net.Conn, target string) error {
	head := "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n"
	if t.ProxyUser != "" {
		head += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(t.ProxyUser+":"+t.ProxyPassword.Reveal())) + "\r\n"
	}
	if _, err := io.WriteString(c, head+"\r\n"); err != nil {
		return err
	}
	return readConnect(ctx, c)
}

func readConnect(ctx context.Context, r io.Reader) error {
	var answer []byte
	for one := make([]byte, 1); !strings.HasSuffix(string(answer[max(0, len(answer)-4):]), "\r\n\r\n"); {
		if len(answer) >= maxProxyAnswer {
			return fmt.Errorf("proxy's answer is longer than %d bytes", maxProxyAnswer)
		}
		if _, err := io.ReadFull(r, one); err != nil {
			return err
		}
		answer = append(answer, one[0])
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodConnect, "http://proxy", nil)
	if err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(answer))), req)
	if err != nil {
		return fmt.Errorf("proxy's answer: %w", err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("proxy answers %d", resp.StatusCode)
	}
	return nil
}

// socks5 asks a SOCKS proxy to resolve and connect (RFC 1928, 1929).
func (t *Tunnel) socks5(c io.ReadWriter, target string) error {
	host, portText, err := net.SplitHostPort(target)
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || len(host) > 255 {
		return fmt.Errorf("%q cannot be asked of a SOCKS proxy", target)
	}
	method := byte(0)
	if t.ProxyUser != "" {
		method = 2
	}
	var b [262]byte
	if _, err := c.Write([]byte{5, 1, method}); err != nil {
		return err
	}
	if _, err := io.ReadFull(c, b[:2]); err != nil {
		return err
	}
	if b[0] != 5 || b[1] != method {
		return errors.New("proxy refuses our way to authenticate")
	}
	if method == 2 {
		auth := append([]byte{1, byte(len(t.ProxyUser))}, t.ProxyUser...)                    //nolint:gosec // Validate has seen the length
		auth = append(append(auth, byte(len(t.ProxyPassword))), t.ProxyPassword.Reveal()...) //nolint:gosec // as above
		if _, err := c.Write(auth); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, b[:2]); err != nil {
			return err
		}
		if b[1] != 0 {
			return errors.New("proxy refuses user or password")
		}
	}
	ask := append([]byte{5, 1, 0, 3, byte(len(host))}, host...) //nolint:gosec // at most 255
	if _, err := c.Write(binary.BigEndian.AppendUint16(ask, uint16(port))); err != nil {
		return err
	}
	return readSOCKS5(c)
}

// readSOCKS5 reads the answer to a request, and not a byte more.
func readSOCKS5(c io.Reader) error {
	var b [262]byte
	if _, err := io.ReadFull(c, b[:5]); err != nil {
		return err
	}
	if b[0] != 5 || b[1] != 0 {
		return fmt.Errorf("proxy answers version %d, code %d", b[0], b[1])
	}
	rest := 0
	switch b[3] {
	case 1:
		rest = 4 + 2 - 1
	case 3:
		rest = int(b[4]) + 2
	case 4:
		rest = 16 + 2 - 1
	default:
		return fmt.Errorf("proxy answers address type %d", b[3])
	}
	_, err := io.ReadFull(c, b[:rest])
	return err
}
