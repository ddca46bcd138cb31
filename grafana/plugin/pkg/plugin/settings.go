package plugin

import (
	"encoding/json"
	"fmt"
	"time"
)

// Bounds of the settings.
const (
	defaultTimeout = 60 * time.Second
	maxTimeout     = time.Hour
	defaultMaxRows = 100_000
	maxMaxRows     = 10_000_000
)

// settings are those of jsonData that the SDK does not know.
type settings struct {
	TimeoutSeconds float64 `json:"queryTimeout"` // of a request, in seconds; 60 if 0
	MaxRows        int     `json:"maxRows"`      // of a query's answer; 100,000 if 0
	// ForwardIdentity passes on the token of the person who asks.
	ForwardIdentity bool   `json:"oauthPassThru"`
	Source          string `json:"source"`      // the table that $__source means; the server's if empty
	Destination     string `json:"destination"` // the folder below the server's destination that INTO $__dest writes to
}

func parseSettings(raw json.RawMessage) (settings, error) {
	var s settings
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &s); err != nil {
			return s, fmt.Errorf("jsonData: %w", err)
		}
	}
	switch {
	case s.TimeoutSeconds < 0 || s.TimeoutSeconds > maxTimeout.Seconds():
		return s, fmt.Errorf("queryTimeout %v is not between 0 and %v seconds", s.TimeoutSeconds, maxTimeout.Seconds())
	case s.MaxRows < 0 || s.MaxRows > maxMaxRows:
		return s, fmt.Errorf("maxRows %d is not between 0 and %d", s.MaxRows, maxMaxRows)
	}
	if s.MaxRows == 0 {
		s.MaxRows = defaultMaxRows
	}
	return s, nil
}

func (s settings) timeout() time.Duration {
	if s.TimeoutSeconds == 0 {
		return defaultTimeout
	}
	return time.Duration(s.TimeoutSeconds * float64(time.Second))
}
