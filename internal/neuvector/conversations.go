package neuvector

import (
	"context"
	"encoding/json"
	"io"
	"strings"
)

type end struct {
	ID      string `json:"id"`
	Service string `json:"service"`
}

// ends are the services of the ends of conversations, by id.
type ends map[string]string

// name is the service of an end. Ends that are no workload are told apart only
// as far as that is bounded: addresses are not.
func (e ends) name(id string) string {
	if service := e[id]; service != "" {
		return service
	}
	switch {
	case id == "external":
		return "external"
	case strings.HasPrefix(id, "Host:"):
		return "host"
	case strings.HasPrefix(id, "Workload:"):
		return "workload"
	}
	return "other"
}

// readConversations streams the heaviest of all answers: the conversations are
// put together while they are read, and none is held.
func (cl *cluster) readConversations(ctx context.Context) (byPort, byPair map[flow]float64, e ends, err error) {
	bad := cl.bad(groupConversations)
	err = cl.c.client.get(ctx, "conversation", cl.prefix+"/conversation", nil, func(r io.Reader) error {
		byPort, byPair, e = map[flow]float64{}, map[flow]float64{}, ends{}
		return walk(r, map[string]reader{
			"conversations": rawReader(func(raw json.RawMessage) { addConversation(raw, byPort, byPair, bad) }),
			"endpoints": itemReader(bad, func(w *end) {
				if w != nil && len(e) < maxItems && w.ID != "" {
					e[w.ID] = w.Service
				}
			}),
		}, bad)
	})
	return byPort, byPair, e, err
}

func addConversation(raw json.RawMessage, byPort, byPair map[flow]float64, bad func(string)) {
	var c struct {
		From    string  `json:"from"`
		To      string  `json:"to"`
		Bytes   float64 `json:"bytes"`
		Entries []struct {
			Bytes       float64 `json:"bytes"`
			Port        string  `json:"port"`
			Application string  `json:"application"`
		} `json:"entries"`
	}
	if !item(raw, &c, bad) {
		return
	}
	add := func(to map[flow]float64, f flow, bytes float64) {
		if bytes <= 0 {
			return
		}
		if _, known := to[f]; !known && len(to) >= maxItems {
			f = flow{"other", "other", "other"}
		}
		to[f] += bytes
	}
	sum := 0.0
	for _, e := range c.Entries {
		port := e.Port
		if port == "" {
			port = e.Application
		}
		add(byPort, flow{c.From, c.To, port}, e.Bytes)
		sum += e.Bytes
	}
	if len(c.Entries) == 0 { // an old controller, or one that cut them off
		add(byPort, flow{c.From, c.To, ""}, c.Bytes)
		sum = c.Bytes
	}
	add(byPair, flow{from: c.From, to: c.To}, sum)
}
