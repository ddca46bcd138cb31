package probe

import (
	"crypto/tls"
	"fmt"
	"slices"
	"time"
)

const apiNone = "none"

// apiTypes are the seed's names and numbers of how a service is spoken to.
var apiTypes = []struct {
	number  int
	name    string
	formats []string // in the configuration
}{
	{0, "None", []string{apiNone, "plain"}},
	{1, "International", []string{"international"}},
	{2, "Excrypt", []string{"excrypt"}},
	{3, "JSON", []string{"json", "json_raw"}},
}

// apiType returns the seed's number and name of a format.
func apiType(format string) (int, string) {
	for _, t := range apiTypes {
		if slices.Contains(t.formats, format) {
			return t.number, t.name
		}
	}
	return 0, "None"
}

const day = 24 * time.Hour

// validities are the seed's classes of certificates, by the time left. The
// lowest that applies wins: 2 is from 60 to 90 days.
var validities = []struct {
	number int
	name   string
	atMost time.Duration // exclusive
}{
	{6, "Expired", 0},
	{5, "Under 7 Days", 7 * day},
	{4, "Under 30 Days", 30 * day},
	{3, "Under 60 Days", 60 * day},
	{2, "Under 90 Days", 90 * day},
	{1, "Max Validity", 1<<63 - 1},
}

// validity is the class of a certificate with the time left.
func validity(left time.Duration) int {
	for _, v := range validities {
		if left < v.atMost {
			return v.number
		}
	}
	return 1
}

// daysLeft is whole days, rounded down: -1 on the first day after the end.
func daysLeft(left time.Duration) float64 {
	days := left / day
	if left%day < 0 {
		days--
	}
	return float64(days)
}

// versionNumber is 1.0 to 1.3; 0 for what has no such number.
func versionNumber(v uint16) float64 {
	switch v {
	case tls.VersionTLS10:
		return 1.0
	case tls.VersionTLS11:
		return 1.1
	case tls.VersionTLS12:
		return 1.2
	case tls.VersionTLS13:
		return 1.3
	}
	return 0
}

// portHeader is how messages are framed on the port: none, len2/4 (a length of
// two bytes, a message header of four) or len4ascii/4.
func (s Service) portHeader() string {
	if s.API != "international" {
		return "none"
	}
	header, form := len(s.Header), "len2"
	if header == 0 {
		header = 4
	}
	if s.ASCIILength {
		form = "len4ascii"
	}
	return fmt.Sprintf("%s/%d", form, header)
}
