package tunnels

import "maps"

// Sections are what a user's configuration would say of this world: the
// tunnels, the tenant proxy, the probes, and what the customers scrape.
func (l *Lab) Sections() map[string]any {
	return map[string]any{
		"tunnels": l.tunnels(), "tunnel_proxy": l.proxy(),
		"probes":     map[string]any{"interval": "5s", "timeout": "4s", "anonymous_interval": "30s", "targets": l.Targets()},
		"prometheus": map[string]any{"scrape_configs": l.customers()},
	}
}

func uri(company string) string { return "spiffe://" + domain + "/company/" + company + "/*" }

func (l *Lab) tunnels() map[string]any {
	with := func(files, more map[string]any) map[string]any {
		maps.Copy(more, files)
		return more
	}
	var everybody, guardians []map[string]any
	for _, c := range companies {
		everybody = append(everybody, map[string]any{"uri": uri(c), "company": c})
		guardians = append(guardians, with(l.tls(c), map[string]any{
			"name": c, "company": c, "listen": l.ports[c], "targets": []string{l.ports["metrics"]}, "server_name": "localhost",
		}))
	}
	guardians = append(guardians, with(l.tls(refused), map[string]any{
		"name": refused, "company": refused, "listen": l.ports[refused], "targets": []string{l.ports["metrics"]}, "server_name": "localhost",
	}))
	gateways := []map[string]any{with(l.tls("gateway"), map[string]any{
		"name": "metrics", "listen": l.ports["metrics"], "targets": []string{"unix:" + l.file("proxy.sock")},
		"proxy_protocol": map[string]any{"out": true}, "allow": everybody, "max_per_company": 50,
	})}
	for _, s := range l.services {
		cert := "gateway"
		if s.company == "globex" {
			cert = "gateway-ending"
		}
		gateways = append(gateways, with(l.tls(cert), map[string]any{
			"name": s.company + "-hsm", "listen": l.ports[s.company+"-hsm"], "targets": []string{s.listener.Addr().String()}, "max_connections": 64,
			"allow": []map[string]any{{"uri": uri(s.company), "company": s.company}, {"uri": "spiffe://" + domain + "/prober/*", "company": "provider"}},
		}))
	}
	return map[string]any{"guardians": guardians, "gateways": gateways, "drain": "1s"}
}

func (l *Lab) proxy() map[string]any {
	var list []map[string]any
	for _, c := range companies {
		list = append(list, map[string]any{"name": c, "allow": []map[string]any{{"uri": uri(c)}}})
	}
	return map[string]any{
		"listen": "unix:" + l.file("proxy.sock"), "upstream": "embedded", "proxy_protocol": true, "companies": list, "audit": false,
		"hide": []string{"instance"}, "drain": "1s",
	}
}

// Targets are the tunnels to be probed, as the section probes has them.
func (l *Lab) Targets() (targets []map[string]any) {
	for i, s := range l.services {
		name := s.company + "-hsm"
		files := l.tls("prober")
		crl := files["crl_file"]
		delete(files, "crl_file")
		files["server_name"] = "localhost"
		targets = append(targets, map[string]any{
			"id": "t-" + name, "name": name, "company": s.company, "region": []string{"us", "eu"}[i%2], "host": name + ".oriel.demo", "port": port(l.ports[name]),
			"address": l.ports[name], "guardian_host": s.company + "-office", "api": s.api, "tls": files, "crl_file": crl,
		})
	}
	return targets
}

// customers scrape what the tenant proxy shows them, each through its guardian.
// As one engine is provider and customers here, what a customer gets has the prefix customer_.
func (l *Lab) customers() (jobs []map[string]any) {
	for _, c := range companies {
		jobs = append(jobs, map[string]any{
			"job_name": "customer-" + c, "metrics_path": "/federate", "honor_timestamps": false, "scrape_interval": "5s", "honor_labels": true,
			"params":                 map[string]any{"match[]": []string{`{__name__=~"vc_.*|ct_.*"}`}},
			"metric_relabel_configs": []map[string]any{{"source_labels": []string{"__name__"}, "target_label": "__name__", "replacement": "customer_$1"}},
			"static_configs":         []map[string]any{{"targets": []string{l.ports[c]}}},
		})
	}
	return jobs
}
