package neuvector

// The shapes below are what NeuVector's REST handlers marshal (API 5.6), key by
// key, in the order of the keys: a nil list prints null, as there.

// ScanBrief is the result of a scan as other objects embed it.
type ScanBrief struct {
	BaseOS           string `json:"base_os"`
	Critical         *int   `json:"critical,omitempty"` // since 5.4
	CVEDBCreateTime  string `json:"cvedb_create_time"`
	High             int    `json:"high"`
	Medium           int    `json:"medium"`
	OSScanStatus     string `json:"os_scan_status,omitempty"`
	Result           string `json:"result"`
	ScannedAt        string `json:"scanned_at"`
	ScannedTimestamp int64  `json:"scanned_timestamp"`
	ScannerVersion   string `json:"scanner_version"`
	Status           string `json:"status"`
}

// Summary is /v1/system/summary.
type Summary struct {
	ComponentVersions     []string `json:"component_versions"`
	Controllers           int      `json:"controllers"`
	CVEDBCreateTime       string   `json:"cvedb_create_time"`
	CVEDBVersion          string   `json:"cvedb_version"`
	DisconnectedEnforcers int      `json:"disconnected_enforcers"`
	Domains               int      `json:"domains"`
	Enforcers             int      `json:"enforcers"`
	Hosts                 int      `json:"hosts"`
	KubeVersion           string   `json:"kube_version"`
	OpenshiftVersion      string   `json:"openshift_version"`
	Platform              string   `json:"platform"`
	PolicyRules           int      `json:"policy_rules"`
	RunningPods           int      `json:"running_pods"`
	RunningWorkloads      int      `json:"running_workloads"`
	Scanners              int      `json:"scanners"`
	Services              int      `json:"services"`
	Workloads             int      `json:"workloads"`
}

// Enforcer is one of /v1/enforcer.
type Enforcer struct {
	ClusterIP       string            `json:"cluster_ip"`
	ConnectionState string            `json:"connection_state"`
	CPUs            string            `json:"cpus"`
	CreatedAt       string            `json:"created_at"`
	DisconnectedAt  string            `json:"disconnected_at"`
	DisplayName     string            `json:"display_name"`
	Domain          string            `json:"domain"`
	HostID          string            `json:"host_id"`
	HostName        string            `json:"host_name"`
	ID              string            `json:"id"`
	JoinedAt        string            `json:"joined_at"`
	Labels          map[string]string `json:"labels"`
	MemoryLimit     int64             `json:"memory_limit"`
	Name            string            `json:"name"`
	NetworkMode     string            `json:"network_mode"`
	NVProtect       bool              `json:"nv_protect"`
	PIDMode         string            `json:"pid_mode"`
	StartedAt       string            `json:"started_at"`
	Version         string            `json:"version"`
}

// ControllerPod is one of /v1/controller.
type ControllerPod struct {
	ClusterIP         string            `json:"cluster_ip"`
	ConnectionState   string            `json:"connection_state"`
	CPUs              string            `json:"cpus"`
	CreatedAt         string            `json:"created_at"`
	DisconnectedAt    string            `json:"disconnected_at"`
	DisplayName       string            `json:"display_name"`
	Domain            string            `json:"domain"`
	HostID            string            `json:"host_id"`
	HostName          string            `json:"host_name"`
	ID                string            `json:"id"`
	JoinedAt          string            `json:"joined_at"`
	Labels            map[string]string `json:"labels"`
	Leader            bool              `json:"leader"`
	MemoryLimit       int64             `json:"memory_limit"`
	Name              string            `json:"name"`
	OrchConnLastError string            `json:"orch_conn_last_error"`
	OrchConnStatus    string            `json:"orch_conn_status"`
	ReadPrimeConfig   bool              `json:"read_prime_config"`
	StartedAt         string            `json:"started_at"`
	Version           string            `json:"version"`
}

// Metry is a set of figures of an enforcer or controller.
type Metry struct {
	ByteIn        uint64  `json:"byte_in"`
	ByteOut       uint64  `json:"byte_out"`
	CPU           float64 `json:"cpu"`
	CurSessionIn  uint32  `json:"cur_session_in,omitempty"`
	CurSessionOut uint32  `json:"cur_session_out,omitempty"`
	Memory        uint64  `json:"memory"`
	PacketIn      uint64  `json:"packet_in"`
	PacketOut     uint64  `json:"packet_out"`
	SessionIn     uint32  `json:"session_in"`
	SessionOut    uint32  `json:"session_out"`
}

// Stats is what /stats of an enforcer or controller holds.
type Stats struct {
	Interval int   `json:"interval"`
	Span1    Metry `json:"span_1"`
	Span12   Metry `json:"span_12"`
	Span60   Metry `json:"span_60"`
	Total    Metry `json:"total"`
}

// HostIP is an address of a host's interface.
type HostIP struct {
	Gateway  string `json:"gateway"`
	IP       string `json:"ip"`
	IPPrefix int    `json:"ip_prefix"`
}

// Host is one of /v1/host.
type Host struct {
	Annotations       map[string]string   `json:"annotations"`
	CapDockerBench    bool                `json:"cap_docker_bench"`
	CapKubeBench      bool                `json:"cap_kube_bench"`
	CgroupVersion     int                 `json:"cgroup_version"`
	Containers        int                 `json:"containers"`
	CPUs              int64               `json:"cpus"`
	DockerBenchStatus string              `json:"docker_bench_status,omitempty"`
	ID                string              `json:"id"`
	Interfaces        map[string][]HostIP `json:"interfaces"`
	Kernel            string              `json:"kernel"`
	KubeBenchStatus   string              `json:"kube_bench_status,omitempty"`
	Labels            map[string]string   `json:"labels"`
	Memory            int64               `json:"memory"`
	Name              string              `json:"name"`
	OS                string              `json:"os"`
	Platform          string              `json:"platform"`
	Pods              int                 `json:"pods"`
	PolicyMode        string              `json:"policy_mode"`
	ProfileMode       string              `json:"profile_mode"`
	Runtime           string              `json:"runtime"`
	RuntimeAPIVersion string              `json:"runtime_api_version"`
	RuntimeVersion    string              `json:"runtime_version"`
	ScanSummary       *ScanBrief          `json:"scan_summary"`
	State             string              `json:"state"`
	StorageDriver     string              `json:"storage_driver"`
}

// AdmissionStats is /v1/admission/stats.
type AdmissionStats struct {
	JenkinsAllowed   uint64 `json:"jenkins_allowed_requests"`
	JenkinsDenied    uint64 `json:"jenkins_denied_requests"`
	JenkinsErroneous uint64 `json:"jenkins_erroneous_requests"`
	Allowed          uint64 `json:"k8s_allowed_requests"`
	Denied           uint64 `json:"k8s_denied_requests"`
	Erroneous        uint64 `json:"k8s_erroneous_requests"`
	Ignored          uint64 `json:"k8s_ignored_requests"`
	Processing       int64  `json:"k8s_processing_requests"`
}

// AdmissionState is /v1/admission/state.
type AdmissionState struct {
	AdmClientMode        string            `json:"adm_client_mode"`
	AdmClientModeOptions map[string]string `json:"adm_client_mode_options"`
	AdmSvcType           string            `json:"adm_svc_type"`
	CfgType              string            `json:"cfg_type"`
	CtrlStates           map[string]bool   `json:"ctrl_states"`
	DefaultAction        string            `json:"default_action"`
	Enable               bool              `json:"enable"`
	FailurePolicy        string            `json:"failure_policy"`
	Mode                 string            `json:"mode"`
}

// Workload is one of /v1/workload?brief=true.
type Workload struct {
	Author             string     `json:"author"`
	BaselineProfile    string     `json:"baseline_profile"`
	CapChangeMode      bool       `json:"cap_change_mode"`
	CapQuarantine      bool       `json:"cap_quarantine"`
	CapSniff           bool       `json:"cap_sniff"`
	Children           []Workload `json:"children"`
	DisplayName        string     `json:"display_name"`
	Domain             string     `json:"domain"`
	HasDatapath        bool       `json:"has_datapath"`
	HostID             string     `json:"host_id"`
	HostName           string     `json:"host_name"`
	ID                 string     `json:"id"`
	Image              string     `json:"image"`
	ImageCreatedAt     string     `json:"image_created_at"`
	ImageDigest        string     `json:"image_digest"`
	ImageID            string     `json:"image_id"`
	ImageRegScanned    bool       `json:"image_reg_scanned"`
	ImageRepoDigests   []string   `json:"image_repo_digests"`
	Kind               string     `json:"kind,omitempty"` // endpoints of /v1/conversation only
	Name               string     `json:"name"`
	PlatformRole       string     `json:"platform_role"`
	PodName            string     `json:"pod_name"`
	PolicyMode         string     `json:"policy_mode"`
	Privileged         bool       `json:"privileged"`
	ProfileMode        string     `json:"profile_mode"`
	QuarantineReason   string     `json:"quarantine_reason,omitempty"`
	RunAsRoot          bool       `json:"run_as_root"`
	ScanSummary        *ScanBrief `json:"scan_summary"`
	Service            string     `json:"service"`
	ServiceGroup       string     `json:"service_group"`
	ServiceMesh        bool       `json:"service_mesh"`
	ServiceMeshSidecar bool       `json:"service_mesh_sidecar"`
	ShareNSWith        string     `json:"share_ns_with,omitempty"`
	State              string     `json:"state"`
}

// Entry is a part of a conversation: one application or one port.
type Entry struct {
	Application  string `json:"application,omitempty"`
	Bytes        uint64 `json:"bytes"`
	ClientIP     string `json:"client_ip"`
	FQDN         string `json:"fqdn,omitempty"`
	LastSeenAt   int64  `json:"last_seen_at"`
	PolicyAction string `json:"policy_action"`
	Port         string `json:"port,omitempty"`
	ServerIP     string `json:"server_ip"`
	Sessions     uint32 `json:"sessions"`
}

// Conversation is one of /v1/conversation.
type Conversation struct {
	Applications []string `json:"applications,omitzero"`
	Bytes        uint64   `json:"bytes"`
	Entries      []Entry  `json:"entries"`
	EventType    []string `json:"event_type,omitzero"`
	From         string   `json:"from"`
	NBE          bool     `json:"nbe,omitempty"`
	PolicyAction string   `json:"policy_action"`
	Ports        []string `json:"ports,omitempty"`
	Protocols    []string `json:"protocols,omitzero"`
	Sessions     uint32   `json:"sessions"`
	Severity     string   `json:"severity"`
	SidecarProxy bool     `json:"sidecar_proxy,omitempty"`
	To           string   `json:"to"`
	XFFEntry     bool     `json:"xff_entry,omitempty"`
}

// Platform is one of /v1/scan/platform.
type Platform struct {
	KubeVersion      string `json:"kube_version"`
	OpenshiftVersion string `json:"openshift_version"`
	Platform         string `json:"platform"`
	ScanBrief
}

// Scanner is one of /v1/scan/scanner.
type Scanner struct {
	CVEDBCreateTime   string `json:"cvedb_create_time"`
	CVEDBVersion      string `json:"cvedb_version"`
	ID                string `json:"id"`
	JoinedTimestamp   int64  `json:"joined_timestamp"`
	Port              int    `json:"port"`
	ScannedContainers int    `json:"scanned_containers"`
	ScannedHosts      int    `json:"scanned_hosts"`
	ScannedImages     int    `json:"scanned_images"`
	ScannedServerless int    `json:"scanned_serverless"`
	Server            string `json:"server"`
}

// ScanStatus is /v1/scan/status.
type ScanStatus struct {
	CVEDBCreateTime string `json:"cvedb_create_time"`
	CVEDBVersion    string `json:"cvedb_version"`
	Failed          int    `json:"failed"`
	Scanned         int    `json:"scanned"`
	Scanning        int    `json:"scanning"`
	Scheduled       int    `json:"scheduled"`
}
