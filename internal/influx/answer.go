package influx

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// verdict is what has to happen with a batch after an answer.
type verdict int

const (
	delivered verdict = iota
	rejected          // never send it again
	keep              // send it again later
	split             // too large: send its halves
	create            // the database is missing: make it, then send again
)

const (
	maxBackoff    = time.Minute
	maxRetryAfter = 10 * time.Minute
	// oddRetryAfter is taken for a Retry-After that is not a number of seconds.
	oddRetryAfter = 10 * time.Second
)

// answer is a server's reply to a batch, understood.
type answer struct {
	verdict verdict
	result  string // of a closed set, for the metrics
	dropped int    // lines that the server refused although it took the rest
	wait    time.Duration
	text    string // of the server, for the log
}

// classify is Telegraf's table. attempt counts from 1 the tries that an
// overloaded or missing server has not answered well.
func classify(version, status int, header http.Header, body []byte, lines, attempt int) answer {
	text := message(header, body)
	switch {
	case status >= 200 && status < 300:
		return answer{verdict: delivered, result: "delivered"}
	case status == http.StatusRequestEntityTooLarge:
		return answer{verdict: split, result: "too_large", text: text}
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return answer{verdict: keep, result: "unauthorized", wait: backoff(attempt, ""), text: text}
	case status == http.StatusTooManyRequests, status == http.StatusBadGateway,
		status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return answer{verdict: keep, result: "overloaded", wait: backoff(attempt, header.Get("Retry-After")), text: text}
	case version == 1 && strings.Contains(text, "database not found"):
		return answer{verdict: create, result: "no_database", wait: backoff(attempt, ""), text: text}
	case status == http.StatusBadRequest || status == http.StatusUnprocessableEntity:
		if n, ok := partial(version, body, text, lines); ok {
			return answer{verdict: delivered, result: "partial", dropped: n, text: text}
		}
		return answer{verdict: rejected, result: "rejected", text: text}
	case status >= 400 && status < 500:
		return answer{verdict: rejected, result: "rejected", text: text}
	case status >= 300 && status < 400:
		// Following would send the credentials elsewhere; the configuration has to be put right.
		return answer{verdict: keep, result: "redirected", wait: backoff(attempt, ""), text: text}
	default:
		return answer{verdict: keep, result: "server_error", wait: backoff(attempt, ""), text: text}
	}
}

// backoff is the longer of the server's wish, up to ten minutes, and n²/40 s, up to one minute.
func backoff(attempt int, retryAfter string) time.Duration {
	wait := min(time.Duration(min(attempt, 1000)*min(attempt, 1000))*time.Second/40, maxBackoff)
	if retryAfter == "" {
		return wait
	}
	seconds, err := strconv.ParseFloat(retryAfter, 64)
	switch {
	case err != nil || math.IsNaN(seconds):
		return max(wait, oddRetryAfter)
	case seconds >= maxRetryAfter.Seconds():
		return max(wait, maxRetryAfter)
	default:
		return max(wait, time.Duration(seconds*float64(time.Second)))
	}
}

// message returns what the server says: in a header (1.x), as {"error"} (1.x,
// 3.x) or as {"message"} (2.x).
func message(header http.Header, body []byte) string {
	if h := header.Get("X-Influxdb-Error"); h != "" {
		return h
	}
	var m struct {
		Error   string `json:"error"`
		Message string `json:"message"`
	}
	if json.Unmarshal(body, &m) == nil && (m.Error != "" || m.Message != "") {
		return m.Error + m.Message
	}
	return string(bytes.TrimSpace(body))
}

var droppedLines = regexp.MustCompile(`dropped=(\d+)`)

// partial tells whether a refusal says that the other lines were stored, and
// how many of the batch were not. Version 1 stores what it can; version 3 too,
// as we ask it to; version 2 says so in a few cases only.
func partial(version int, body []byte, text string, lines int) (int, bool) {
	if version == 3 {
		var m struct {
			Data []json.RawMessage `json:"data"`
		}
		if json.Unmarshal(body, &m) == nil && len(m.Data) > 0 && len(m.Data) < lines {
			return len(m.Data), true
		}
		return 0, false
	}
	bad := strings.Count(text, "unable to parse")
	if m := droppedLines.FindStringSubmatch(text); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n >= 0 {
			bad = max(bad, min(n, lines))
		}
	} else if version == 2 || bad == 0 {
		return 0, false
	}
	return min(bad, lines), bad < lines
}
