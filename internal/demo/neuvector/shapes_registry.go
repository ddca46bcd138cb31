package neuvector

// Schedule is when a registry is scanned.
type Schedule struct {
	Interval int    `json:"interval"`
	Schedule string `json:"schedule"`
}

// Registry is one of /v1/scan/registry. Its secrets are blank there.
type Registry struct {
	AuthToken           string   `json:"auth_token"`
	AuthWithToken       bool     `json:"auth_with_token"`
	CfgType             string   `json:"cfg_type"`
	CVEDBCreateTime     string   `json:"cvedb_create_time"`
	CVEDBVersion        string   `json:"cvedb_version"`
	Domains             []string `json:"domains"`
	ErrorDetail         string   `json:"error_detail"`
	ErrorMessage        string   `json:"error_message"`
	Failed              int      `json:"failed"`
	Filters             []string `json:"filters"`
	GitlabExternalURL   string   `json:"gitlab_external_url"`
	GitlabPrivateToken  string   `json:"gitlab_private_token"`
	IBMCloudAccount     string   `json:"ibm_cloud_account"`
	IBMCloudTokenURL    string   `json:"ibm_cloud_token_url"`
	IgnoreProxy         bool     `json:"ignore_proxy"`
	JfrogAQL            bool     `json:"jfrog_aql"`
	JfrogMode           string   `json:"jfrog_mode"`
	Name                string   `json:"name"`
	Password            string   `json:"password"`
	Registry            string   `json:"registry"`
	RegistryType        string   `json:"registry_type"`
	RepoLimit           int      `json:"repo_limit"`
	RescanAfterDBUpdate bool     `json:"rescan_after_db_update"`
	ScanLayers          bool     `json:"scan_layers"`
	Scanned             int      `json:"scanned"`
	Scanning            int      `json:"scanning"`
	Schedule            Schedule `json:"schedule"`
	Scheduled           int      `json:"scheduled"`
	StartedAt           string   `json:"started_at"`
	Status              string   `json:"status"`
	TagLimit            int      `json:"tag_limit"`
	Username            string   `json:"username"`
}

// Image is one of /v1/scan/registry/{name}/images.
type Image struct {
	Author     string            `json:"author"`
	CreatedAt  string            `json:"created_at"`
	Digest     string            `json:"digest"`
	Domain     string            `json:"domain"`
	Envs       []string          `json:"envs"`
	ImageID    string            `json:"image_id"`
	Labels     map[string]string `json:"labels"`
	Layers     []string          `json:"layers"`
	Repository string            `json:"repository"`
	RunAsRoot  bool              `json:"run_as_root"`
	Size       int64             `json:"size"`
	Tag        string            `json:"tag"`
	ScanBrief
}

// LogCommon is what all kinds of log entries begin with.
type LogCommon struct {
	ClusterName       string `json:"cluster_name"`
	EnforcerID        string `json:"enforcer_id"`
	EnforcerName      string `json:"enforcer_name"`
	HostID            string `json:"host_id"`
	HostName          string `json:"host_name"`
	Level             string `json:"level"`
	Name              string `json:"name,omitempty"`
	ReportedAt        string `json:"reported_at"`
	ReportedTimestamp int64  `json:"reported_timestamp"`
	ResponseRuleID    int    `json:"response_rule_id,omitempty"`
}

// Threat is one of /v1/log/threat.
type Threat struct {
	LogCommon
	Action                string `json:"action"`
	Application           string `json:"application"`
	ClientIP              string `json:"client_ip"`
	ClientPort            uint   `json:"client_port"`
	ClientWorkloadDomain  string `json:"client_workload_domain,omitempty"`
	ClientWorkloadID      string `json:"client_workload_id"`
	ClientWorkloadImage   string `json:"client_workload_image,omitempty"`
	ClientWorkloadName    string `json:"client_workload_name"`
	ClientWorkloadService string `json:"client_workload_service,omitempty"`
	Count                 uint   `json:"count"`
	EtherType             uint   `json:"ether_type"`
	Group                 string `json:"group"`
	ICMPCode              uint   `json:"icmp_code"`
	ICMPType              uint   `json:"icmp_type"`
	ID                    string `json:"id"`
	IPProto               uint   `json:"ip_proto"`
	Message               string `json:"message"`
	Monitor               bool   `json:"monitor"`
	Sensor                string `json:"sensor"`
	ServerConnPort        uint   `json:"server_conn_port"`
	ServerIP              string `json:"server_ip"`
	ServerPort            uint   `json:"server_port"`
	ServerWorkloadDomain  string `json:"server_workload_domain,omitempty"`
	ServerWorkloadID      string `json:"server_workload_id"`
	ServerWorkloadImage   string `json:"server_workload_image,omitempty"`
	ServerWorkloadName    string `json:"server_workload_name"`
	ServerWorkloadService string `json:"server_workload_service,omitempty"`
	Severity              string `json:"severity"`
	Target                string `json:"target"`
	ThreatID              uint   `json:"threat_id"`
}

// Incident is one of /v1/log/incident. One on a host has no workload.
type Incident struct {
	LogCommon
	Action                string   `json:"action"`
	AggregationFrom       int64    `json:"aggregation_from,omitempty"`
	ClientIP              string   `json:"client_ip,omitempty"`
	Count                 int      `json:"count,omitempty"`
	FileName              []string `json:"file_name,omitempty"`
	FilePath              string   `json:"file_path,omitempty"`
	Group                 string   `json:"group,omitempty"`
	ID                    string   `json:"id"`
	Message               string   `json:"message"`
	Ports                 string   `json:"ports,omitempty"`
	ProcCmd               string   `json:"proc_cmd,omitempty"`
	ProcEffectiveUID      int      `json:"proc_effective_uid,omitempty"`
	ProcEffectiveUser     string   `json:"proc_effective_user,omitempty"`
	ProcName              string   `json:"proc_name,omitempty"`
	ProcParentName        string   `json:"proc_parent_name,omitempty"`
	ProcParentPath        string   `json:"proc_parent_path,omitempty"`
	ProcPath              string   `json:"proc_path,omitempty"`
	ProcRealUID           int      `json:"proc_real_uid,omitempty"`
	ProcRealUser          string   `json:"proc_real_user,omitempty"`
	RemoteWorkloadDomain  string   `json:"remote_workload_domain,omitempty"`
	RemoteWorkloadID      string   `json:"remote_workload_id,omitempty"`
	RemoteWorkloadImage   string   `json:"remote_workload_image,omitempty"`
	RemoteWorkloadName    string   `json:"remote_workload_name,omitempty"`
	RemoteWorkloadService string   `json:"remote_workload_service,omitempty"`
	RuleID                string   `json:"rule_id"`
	ServerIP              string   `json:"server_ip,omitempty"`
	WorkloadDomain        string   `json:"workload_domain,omitempty"`
	WorkloadID            string   `json:"workload_id,omitempty"`
	WorkloadImage         string   `json:"workload_image,omitempty"`
	WorkloadName          string   `json:"workload_name,omitempty"`
	WorkloadService       string   `json:"workload_service,omitempty"`
}

// Violation is one of /v1/log/violation. It has no name.
type Violation struct {
	LogCommon
	Applications  []string `json:"applications"`
	ClientDomain  string   `json:"client_domain,omitempty"`
	ClientID      string   `json:"client_id"`
	ClientImage   string   `json:"client_image,omitempty"`
	ClientIP      string   `json:"client_ip"`
	ClientName    string   `json:"client_name"`
	ClientService string   `json:"client_service,omitempty"`
	FQDN          string   `json:"fqdn"`
	ID            string   `json:"id"`
	IPProto       uint     `json:"ip_proto"`
	NBE           bool     `json:"nbe"`
	PolicyAction  string   `json:"policy_action"`
	PolicyID      uint     `json:"policy_id"`
	ServerDomain  string   `json:"server_domain,omitempty"`
	ServerID      string   `json:"server_id"`
	ServerImage   string   `json:"server_image,omitempty"`
	ServerIP      string   `json:"server_ip"`
	ServerName    string   `json:"server_name"`
	ServerPort    uint     `json:"server_port"`
	ServerService string   `json:"server_service,omitempty"`
	Servers       []string `json:"servers"`
	Sessions      uint     `json:"sessions"`
	XFF           bool     `json:"xff"`
}

// RestInfo is where a cluster is reached.
type RestInfo struct {
	Port   int    `json:"port"`
	Server string `json:"server"`
}

// MasterCluster is the primary of a federation.
type MasterCluster struct {
	Disabled    bool     `json:"disabled"`
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	RestInfo    RestInfo `json:"rest_info"`
	RestVersion string   `json:"rest_version"`
	Secret      string   `json:"secret"`
	Status      string   `json:"status"`
	User        string   `json:"user"`
}

// JointCluster is a managed cluster of a federation.
type JointCluster struct {
	Disabled      bool     `json:"disabled"`
	ID            string   `json:"id"`
	K8sUID        string   `json:"k8s_uid"`
	Name          string   `json:"name"`
	ProxyRequired bool     `json:"proxy_required"`
	RestInfo      RestInfo `json:"rest_info"`
	RestVersion   string   `json:"rest_version"`
	Secret        string   `json:"secret"`
	Status        string   `json:"status"`
	User          string   `json:"user"`
}

// Membership is /v1/fed/member.
type Membership struct {
	DeployRepoScanData bool           `json:"deploy_repo_scan_data"`
	FedRole            string         `json:"fed_role"`
	JointClusters      []JointCluster `json:"joint_clusters"`
	LocalRestInfo      RestInfo       `json:"local_rest_info"`
	MasterCluster      *MasterCluster `json:"master_cluster,omitempty"`
	UseProxy           string         `json:"use_proxy"`
}

// Permission is a right of a role.
type Permission struct {
	ID    string `json:"id"`
	Read  bool   `json:"read"`
	Write bool   `json:"write"`
}

// Token is what a login hands out.
type Token struct {
	BlockedForFailedLogin     bool                `json:"blocked_for_failed_login"`
	BlockedForPasswordExpired bool                `json:"blocked_for_password_expired"`
	DefaultPassword           bool                `json:"default_password"`
	DomainPermissions         map[string][]string `json:"domain_permissions"`
	Email                     string              `json:"email"`
	Fullname                  string              `json:"fullname"`
	GlobalPermissions         []Permission        `json:"global_permissions"`
	LastLoginAt               string              `json:"last_login_at"`
	LastLoginTimestamp        int64               `json:"last_login_timestamp"`
	Locale                    string              `json:"locale"`
	LoginCount                int                 `json:"login_count"`
	ModifyPassword            bool                `json:"modify_password"`
	Password                  string              `json:"password"`
	PasswordResettable        bool                `json:"password_resettable"`
	Role                      string              `json:"role"`
	Server                    string              `json:"server"`
	Timeout                   int                 `json:"timeout"`
	Token                     string              `json:"token"`
	Username                  string              `json:"username"`
}

// TokenData is the answer to a login.
type TokenData struct {
	NeedToResetPassword      bool   `json:"need_to_reset_password"`
	PasswordDaysUntilExpire  int    `json:"password_days_until_expire"`
	PasswordHoursUntilExpire int    `json:"password_hours_until_expire"`
	Token                    *Token `json:"token"`
}
