package lake

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// maxToken bounds the answer of the identity service.
const maxToken = 1 << 20

// bearer adds IBM Cloud's tokens to the requests to Cloud Object Storage.
type bearer struct {
	next   http.RoundTripper
	config S3Config
	client *http.Client

	mu    sync.Mutex // guards what follows; who needs a new token waits here
	token string
	until time.Time
}

// RoundTrip sends a request with a token that is still good for a while.
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.get(r)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as the interface demands
		}
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := b.next.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		b.forget(token) // revoked before its time: the retry gets another
	}
	return resp, err
}

func (b *bearer) forget(token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.token == token {
		b.token = ""
	}
}

func (b *bearer) get(r *http.Request) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.token != "" && time.Now().Before(b.until) {
		return b.token, nil
	}
	key, err := b.config.IAMAPIKey.Or(b.config.IAMAPIKeyFile)
	if err != nil {
		return "", fmt.Errorf("iam: %w", err)
	}
	form := url.Values{"grant_type": {"urn:ibm:params:oauth:grant-type:apikey"}, "apikey": {key.Reveal()}}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, b.config.IAMURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("iam: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := b.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("iam: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("iam: %s from %s", resp.Status, req.URL.Host) // its text may quote the key
	}
	var answer struct {
		Token     string `json:"access_token"`
		ExpiresIn int64  `json:"expires_in"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxToken)).Decode(&answer); err != nil || answer.Token == "" || answer.ExpiresIn <= 0 || strings.ContainsAny(answer.Token, "\r\n") {
		return "", fmt.Errorf("iam: no token in the answer of %s", req.URL.Host)
	}
	// Renewed when a fifth of its life is left.
	b.token, b.until = answer.Token, time.Now().Add(time.Duration(min(answer.ExpiresIn, 86400))*time.Second*4/5)
	return b.token, nil
}
