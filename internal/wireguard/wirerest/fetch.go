package wirerest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/orielhq/oriel/internal/conf"
)

var (
	errTooLarge = errors.New("answer is larger than max_bytes")
	errPeers    = errors.New("answer is not a page of peers")
)

// statusError is an answer that is not 200.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// fetch gets a path with the token, which it returns too. The text of an
// answer that is not 200 is not looked at.
func fetch(ctx context.Context, cfg Config, client *http.Client, path, accept string) ([]byte, conf.Secret, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, cfg.address(path), nil)
	if err != nil {
		return nil, "", err
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("User-Agent", "oriel")
	token, err := cfg.authorize(r)
	if err != nil {
		return nil, "", err
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be used again
		return nil, "", statusError(resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(cfg.MaxBytes)+1))
	if err == nil && len(body) > int(cfg.MaxBytes) {
		err = errTooLarge
	}
	if err != nil {
		clear(body)
		return nil, "", err
	}
	return body, token, nil
}

// reasons is the closed set of why a request failed.
var reasons = []string{"timeout", "connect", "token", "unauthorized", "client_error", "server_error", "too_large", "malformed", "other"}

func reason(err error) string {
	var status statusError
	var timeout net.Error
	var op *net.OpError
	switch {
	case errors.Is(err, errToken):
		return "token"
	case errors.As(err, &status) && (status == http.StatusUnauthorized || status == http.StatusForbidden):
		return "unauthorized"
	case errors.As(err, &status) && status >= 500:
		return "server_error"
	case errors.As(err, &status) && status >= 400:
		return "client_error"
	case errors.Is(err, errTooLarge):
		return "too_large"
	case errors.Is(err, errPeers), errors.Is(err, errMalformed):
		return "malformed"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &op):
		return "connect"
	default:
		return "other"
	}
}

// fetchPeers reads all clients from WireRest. Its answer has their preshared
// keys; they are not decoded, and the answer's bytes are wiped.
func fetchPeers(ctx context.Context, cfg Config, client *http.Client) ([]Peer, error) {
	body, _, err := fetch(ctx, cfg, client, "/v1/peers?limit=0", "application/json")
	if err != nil {
		return nil, err
	}
	defer clear(body)
	return parsePeers(body)
}

// parsePeers reads GET /v1/peers. A peer that makes no sense is left out.
func parsePeers(body []byte) ([]Peer, error) {
	var page struct {
		Content *[]struct {
			PublicKey  string `json:"publicKey"`
			TransferRx int64  `json:"transferRx"`
			TransferTx int64  `json:"transferTx"`
		} `json:"content"`
	}
	// The library's error may quote the answer, which may hold a key.
	if err := json.Unmarshal(body, &page); err != nil || page.Content == nil {
		return nil, errPeers
	}
	peers := make([]Peer, 0, len(*page.Content))
	seen := make(map[[32]byte]bool, len(*page.Content))
	for _, p := range *page.Content {
		var peer Peer
		key, err := base64.StdEncoding.Strict().DecodeString(p.PublicKey)
		if err != nil || len(key) != len(peer.PublicKey) || p.TransferRx < 0 || p.TransferTx < 0 {
			continue
		}
		copy(peer.PublicKey[:], key)
		if seen[peer.PublicKey] {
			continue
		}
		seen[peer.PublicKey] = true
		peer.ReceiveBytes, peer.TransmitBytes = uint64(p.TransferRx), uint64(p.TransferTx)
		peers = append(peers, peer)
	}
	return peers, nil
}
