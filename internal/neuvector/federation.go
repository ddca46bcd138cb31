package neuvector

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"
)

// clusterID is an id that may stand in a path.
var clusterID = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,127}$`)

var fedStates = []string{
	"active", "connected", "disconnected", "synced", "syncing", "out_of_sync", "joined", "pinging", "pending", "kicked", "left", "joint_upgrade_required",
	"joint_version_too_new", "master_upgrade_required", "cluster_upgrade_ongoing", "license_disallow", "notified", "req_error", "unknown_cmd", "",
}

type member struct {
	Name     string `json:"name"`
	ID       string `json:"id"`
	Status   string `json:"status"`
	Disabled bool   `json:"disabled"`
}

// federation reads the cluster's part in a federation. On the primary it makes
// the managed clusters known: they are read through the primary.
func (cl *cluster) federation(ctx context.Context, p *page) error {
	var a struct {
		Role   *string  `json:"fed_role"`
		Master *member  `json:"master_cluster"`
		Joints []member `json:"joint_clusters"`
	}
	if err := cl.get(ctx, groupFederation, "federation", "/fed/member", &a); err != nil {
		return err
	}
	if a.Role == nil {
		return cl.missing(groupFederation, "federation")
	}
	master := ""
	if a.Master != nil {
		master = a.Master.Name
		p.set(&fedMember, 1, "cluster", cl.name, "member", name(master), "role", "master", "state", oneOf(a.Master.Status, fedStates...))
	}
	role := *a.Role
	for _, r := range []string{"master", "joint", "standalone"} {
		p.set(&fedRole, truth(r == role || r == "standalone" && role == ""), "cluster", cl.name, "role", r)
	}
	if role != "master" {
		// The official exporter gives these two no target.
		p.set(&nvFedWorker, truth(role == "joint"), "master", name(master), "status", oneOf(role, "joint", ""))
	}
	for _, j := range a.Joints[:min(len(a.Joints), maxNodes)] {
		state := oneOf(j.Status, fedStates...)
		p.set(&fedMember, 1, "cluster", cl.name, "member", name(j.Name), "role", "joint", "state", state)
		p.set(&fedSynced, truth(j.Status == "synced"), "cluster", cl.name, "member", name(j.Name))
		if role == "master" {
			p.set(&nvFedMaster, truth(j.Status == "synced"), "master", name(master), "status", state, "worker", name(j.Name))
		}
	}
	if role == "master" && cl.local() && cl.c.cfg.Federation {
		cl.c.join(a.Joints)
	} else if cl.local() {
		cl.c.join(nil)
	}
	return nil
}

// join makes the clusters of the federation those that are read. One that is
// known already goes on as it is.
func (c *Collector) join(members []member) {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b member) int { return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID)) })
	c.mu.Lock()
	defer c.mu.Unlock()
	known := map[string]*cluster{}
	for _, cl := range c.clusters[1:] {
		known[cl.prefix] = cl
	}
	taken := map[string]bool{c.local.name: true}
	clusters := []*cluster{c.local}
	c.leftOut = 0
	for _, m := range members {
		// A cluster that has left, or waits to be let in, would answer each request with an error.
		if m.Disabled || !clusterID.MatchString(m.ID) || slices.Contains([]string{"kicked", "left", "pending", "license_disallow"}, m.Status) {
			continue
		}
		if len(clusters)-1 >= c.cfg.MaxClusters {
			c.leftOut++
			continue
		}
		label := name(cmp.Or(m.Name, m.ID))
		if taken[label] {
			label = name(m.Name + " (" + m.ID + ")")
		}
		taken[label] = true
		prefix := "/v1/fed/cluster/" + m.ID + "/v1"
		cl := known[prefix]
		if cl == nil || cl.name != label {
			cl = newCluster(c, label, label, prefix)
			cl.tail.load(c.saved[label])
		}
		clusters = append(clusters, cl)
	}
	c.clusters = clusters
}
