package provisioning

import (
	"slices"
	"strings"
	"text/template"
)

func sorted(files []File) []File {
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

func sortedFindings(list []Finding) []Finding {
	slices.SortFunc(list, func(a, b Finding) int { return strings.Compare(a.Where, b.Where) })
	return list
}

// grafanaINI are the settings that differ from Grafana's defaults, and why.
var grafanaINI = template.Must(template.New("grafana.ini").Parse(`; Written by oriel grafana secure. Keys: Grafana's conf/defaults.ini.
; "oriel grafana secure --check" explains each.

[server]
protocol = https
min_tls_version = TLS1.2
http_addr = {{.Host}}
http_port = {{.Port}}
domain = {{.Domain}}
enforce_domain = true
root_url = https://{{.Domain}}:{{.Port}}/
cert_file = {{.CertFile}}
cert_key = {{.KeyFile}}
certs_watch_interval = 1h

[security]
admin_user = ops
admin_password = $__file{ {{- .Dir}}/secrets/admin}
secret_key = $__file{ {{- .Dir}}/secrets/secret_key}
cookie_secure = true
cookie_samesite = {{if .OAuth}}lax{{else}}strict{{end}}
strict_transport_security = true
content_security_policy = true
disable_gravatar = true
allow_embedding = false
disable_brute_force_login_protection = false

[auth]
login_cookie_name = __Host-grafana_session
disable_login_form = {{if and .OAuth (not .LDAP)}}true{{else}}false{{end}}
login_maximum_inactive_lifetime_duration = 1d
login_maximum_lifetime_duration = 7d

[auth.anonymous]
enabled = false

[auth.basic]
enabled = false

[users]
allow_sign_up = false
auto_assign_org_role = Viewer

[snapshots]
external_enabled = false

[analytics]
reporting_enabled = false
check_for_updates = false

[metrics]
enabled = true
basic_auth_username = prom
basic_auth_password = $__file{ {{- .Dir}}/secrets/metrics}

[plugins]
allow_loading_unsigned_plugins = oriel-sql-datasource
{{- with .OAuth}}

[auth.generic_oauth]
enabled = true
client_id = {{.ClientID}}
client_secret = $__file{ {{- $.Dir}}/secrets/oauth}
scopes = openid profile email groups
auth_url = {{.AuthURL}}
token_url = {{.TokenURL}}
{{- if .APIURL}}
api_url = {{.APIURL}}
{{- end}}
use_pkce = true
role_attribute_path = {{if .AdminGroup}}contains(groups[*], '{{.AdminGroup}}') && 'Admin' || 'Viewer'{{else}}'Viewer'{{end}}
role_attribute_strict = true
{{- if .AllowedDomains}}
allowed_domains = {{.AllowedDomains}}
{{- end}}
{{- end}}
{{- if .LDAP}}

[auth.ldap]
enabled = true
config_file = {{.Dir}}/ldap.toml
{{- end}}
`))

// nftables lets only the VPN come to the ports.
var nftables = template.Must(template.New("nftables").Parse(`# Written by oriel grafana secure. Load it with: nft -f FILE
# Docker publishes ports past this chain: publish on the VPN's address there.
table inet oriel_grafana
delete table inet oriel_grafana

table inet oriel_grafana {
	set vpn {
		type {{if eq .Family "ip"}}ipv4_addr{{else}}ipv6_addr{{end}}
		flags interval
		elements = { {{.Allow.Masked}} }
	}
	chain input {
		type filter hook input priority filter; policy accept;
		iifname "lo" accept
		ct state established,related accept
		tcp dport { {{.Ports}} } iifname "{{.Interface}}" {{.Family}} saddr @vpn accept
		tcp dport { {{.Ports}} } counter reject with tcp reset
	}
}
`))

// unit starts Grafana after the VPN, whose address it binds.
var unit = template.Must(template.New("unit").Parse(`# Written by oriel grafana secure. Copy it to /etc/systemd/system/grafana-server.service.d/.
# If something else than wg-quick brings the interface up, name its unit here.
[Unit]
After=wg-quick@{{.Interface}}.service
BindsTo=wg-quick@{{.Interface}}.service

[Service]
{{- if lt .Port 1024}}
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
AmbientCapabilities=CAP_NET_BIND_SERVICE
{{- else}}
CapabilityBoundingSet=
{{- end}}
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths=/var/lib/grafana /var/log/grafana
ProtectHome=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
PrivateTmp=yes
PrivateDevices=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallArchitectures=native
UMask=0077
`))

const ldapTOML = `# Written once by oriel grafana secure; fill it in.
[[servers]]
host = "ldap.example.org"
port = 636
use_ssl = true
min_tls_version = "TLS1.2"
ssl_skip_verify = false
bind_dn = "cn=grafana,ou=services,dc=example,dc=org"
bind_password = "$__env{LDAP_BIND_PASSWORD}"
search_filter = "(uid=%s)"
search_base_dns = ["ou=people,dc=example,dc=org"]

[[servers.group_mappings]]
group_dn = "cn=noc,ou=groups,dc=example,dc=org"
org_role = "Admin"

[[servers.group_mappings]]
group_dn = "*"
org_role = "Viewer"
`
