package neuvector

import dto "github.com/prometheus/client_model/go"

const (
	gauge   = dto.MetricType_GAUGE
	counter = dto.MetricType_COUNTER
)

// The official exporter's series. It gives one HELP and TYPE for a whole group
// under a name that no series has; here each series has its own.
var (
	nvSummaryServices     = metric{"nv_summary_services", gauge, "Services, as the official exporter has it."}
	nvSummaryPolicy       = metric{"nv_summary_policy", gauge, "Network rules, as the official exporter has it."}
	nvSummaryRunning      = metric{"nv_summary_runningWorkloads", gauge, "Running containers and pods, as the official exporter has it."}
	nvSummaryTotal        = metric{"nv_summary_totalWorkloads", gauge, "Containers and pods, stopped ones included, as the official exporter has it."}
	nvSummaryHosts        = metric{"nv_summary_hosts", gauge, "Hosts, as the official exporter has it."}
	nvSummaryControllers  = metric{"nv_summary_controllers", gauge, "Controllers, as the official exporter has it."}
	nvSummaryEnforcers    = metric{"nv_summary_enforcers", gauge, "Enforcers, as the official exporter has it."}
	nvSummaryPods         = metric{"nv_summary_pods", gauge, "Running pods, as the official exporter has it."}
	nvSummaryDisconnected = metric{"nv_summary_disconnectedEnforcers", gauge, "Enforcers that are not connected, as the official exporter has it."}
	nvSummaryCVEDBVersion = metric{"nv_summary_cvedbVersion", gauge, "Version of the vulnerability database as a number, as the official exporter has it."}
	nvSummaryCVEDBTime    = metric{"nv_summary_cvedbTime", gauge, "When the vulnerability database was made, in milliseconds of Unix time, as the official exporter has it."}
	nvConversation        = metric{"nv_conversation_bytes", gauge, "Bytes between two workloads by port or application, since the controller knows of it."}
	nvEnforcerCPU         = metric{"nv_enforcer_cpu", gauge, "Share of the host's CPU time that the enforcer uses, 0 to 1."}
	nvEnforcerMemory      = metric{"nv_enforcer_memory", gauge, "Bytes of memory that the enforcer uses."}
	nvControllerCPU       = metric{"nv_controller_cpu", gauge, "Share of the host's CPU time that the controller uses, 0 to 1."}
	nvControllerMemory    = metric{"nv_controller_memory", gauge, "Bytes of memory that the controller uses."}
	nvHostMemory          = metric{"nv_host_memory", gauge, "Bytes of memory that the host has."}
	nvAdmissionAllowed    = metric{"nv_admission_allowed", gauge, "Admission requests allowed, since the beginning."}
	nvAdmissionDenied     = metric{"nv_admission_denied", gauge, "Admission requests denied, since the beginning."}
	nvImageCritical       = metric{"nv_image_vulnerabilityCritical", gauge, "Critical vulnerabilities of an image in a registry. The official exporter has no such series."}
	nvImageHigh           = metric{"nv_image_vulnerabilityHigh", gauge, "High vulnerabilities of an image in a registry."}
	nvImageMedium         = metric{"nv_image_vulnerabilityMedium", gauge, "Medium vulnerabilities of an image in a registry."}
	nvPlatformCritical    = metric{"nv_platform_vulnerabilityCritical", gauge, "Critical vulnerabilities of the platform. The official exporter has no such series."}
	nvPlatformHigh        = metric{"nv_platform_vulnerabilityHigh", gauge, "High vulnerabilities of the platform."}
	nvPlatformMedium      = metric{"nv_platform_vulnerabilityMedium", gauge, "Medium vulnerabilities of the platform."}
	nvContainerCritical   = metric{"nv_container_vulnerabilityCritical", gauge, "Critical vulnerabilities of a service's worst container. The official exporter has no such series."}
	nvContainerHigh       = metric{"nv_container_vulnerabilityHigh", gauge, "High vulnerabilities of a service's worst container."}
	nvContainerMedium     = metric{"nv_container_vulnerabilityMedium", gauge, "Medium vulnerabilities of a service's worst container."}
	nvLogEvents           = metric{"nv_log_events", gauge, "When one of the five latest events of each log was reported, in milliseconds of Unix time."}
	nvFedMaster           = metric{"nv_fed_master", gauge, "Whether a managed cluster is synced (1) or not (0)."}
	nvFedWorker           = metric{"nv_fed_worker", gauge, "Whether this cluster is managed by another one (1) or not (0)."}
)

// How the reading itself goes.
var (
	up              = metric{"oriel_neuvector_up", gauge, "Whether the controller answers and lets us in (1) or not (0)."}
	requests        = metric{"oriel_neuvector_requests_total", counter, "Requests to the controller, by endpoint and by the answer's status or the reason why there was none."}
	credentialState = metric{"oriel_neuvector_credential_state", gauge, "The state of the credential: 1 for the one that holds."}
	logins          = metric{"oriel_neuvector_logins_total", counter, "Logins to the controller, by what came of them."}
	passwordExpiry  = metric{"oriel_neuvector_password_expiry_timestamp_seconds", gauge, "When the account's password expires, to the day, as of the last login. Absent if it never does."}
	keyExpiry       = metric{"oriel_neuvector_api_key_expiry_timestamp_seconds", gauge, "When the API key expires. Absent if it never does."}
	groupSuccess    = metric{"oriel_neuvector_group_success", gauge, "Whether the last refresh of a group of figures succeeded (1) or not (0)."}
	groupFailure    = metric{"oriel_neuvector_group_failure", gauge, "Why the last refresh of a group of figures failed: always 1, absent after a success."}
	groupDuration   = metric{"oriel_neuvector_group_duration_seconds", gauge, "How long the last refresh of a group of figures took."}
	groupLast       = metric{"oriel_neuvector_group_last_success_timestamp_seconds", gauge, "When a group of figures was last refreshed with success."}
	unreadable      = metric{"oriel_neuvector_unreadable_total", counter, "Answers, items and fields of the controller that could not be read, by reason."}
	folded          = metric{"oriel_neuvector_folded_series", gauge, "Objects that have no series of their own, as there are more of them than configured, by what they are."}
	clustersLeftOut = metric{"oriel_neuvector_clusters_left_out", gauge, "Clusters of the federation that are not read, as there are more than max_clusters."}
)

// The cluster itself.
var (
	clusterInfo     = metric{"oriel_neuvector_cluster_info", gauge, "What a cluster runs: always 1."}
	hostsCount      = metric{"oriel_neuvector_hosts", gauge, "Hosts of the cluster."}
	controllers     = metric{"oriel_neuvector_controllers", gauge, "Controllers of the cluster."}
	enforcers       = metric{"oriel_neuvector_enforcers", gauge, "Enforcers of the cluster."}
	disconnected    = metric{"oriel_neuvector_enforcers_disconnected", gauge, "Enforcers of the cluster that are not connected."}
	scannersCount   = metric{"oriel_neuvector_scanners", gauge, "Scanners of the cluster."}
	domains         = metric{"oriel_neuvector_namespaces", gauge, "Namespaces of the cluster."}
	workloadsCount  = metric{"oriel_neuvector_workloads", gauge, "Pods and containers of the cluster, by whether they run."}
	pods            = metric{"oriel_neuvector_running_pods", gauge, "Pods of the cluster that run."}
	services        = metric{"oriel_neuvector_services", gauge, "Services, which NeuVector learns from pods of a kind."}
	policyRules     = metric{"oriel_neuvector_policy_rules", gauge, "Network rules of the cluster."}
	cvedbInfo       = metric{"oriel_neuvector_cvedb_info", gauge, "The version of the vulnerability database: always 1. Absent until a scanner has come."}
	cvedbTime       = metric{"oriel_neuvector_cvedb_timestamp_seconds", gauge, "When the vulnerability database was made."}
	admissionOn     = metric{"oriel_neuvector_admission_enabled", gauge, "Whether admission control is on (1) or not (0)."}
	admissionInfo   = metric{"oriel_neuvector_admission_info", gauge, "How admission control is set: always 1."}
	admissionBroken = metric{"oriel_neuvector_admission_broken", gauge, "Whether admission control cannot work, for want of rights or of its webhook (1), or can (0)."}
	admissions      = metric{"oriel_neuvector_admission_requests_total", counter, "Admission requests since the beginning, by result."}
	admissionQueue  = metric{"oriel_neuvector_admission_requests_processing", gauge, "Admission requests that are being processed."}
	riskScore       = metric{"oriel_neuvector_risk_score", gauge, "The controller's security risk score and its parts. Higher is worse."}
)

// Its parts.
var (
	controllerUp     = metric{"oriel_neuvector_controller_connected", gauge, "Whether a controller is connected (1) or not (0)."}
	controllerLeader = metric{"oriel_neuvector_controller_leader", gauge, "Whether a controller is the leader (1) or not (0)."}
	controllerOrch   = metric{"oriel_neuvector_controller_orchestrator_connected", gauge, "Whether a controller is connected to the orchestrator (1) or not (0)."}
	controllerInfo   = metric{"oriel_neuvector_controller_info", gauge, "The version of a controller: always 1."}
	controllerCPU    = metric{"oriel_neuvector_controller_cpu_ratio", gauge, "Share of the host's CPU time that a controller uses, 0 to 1."}
	controllerMemory = metric{"oriel_neuvector_controller_memory_bytes", gauge, "Memory that a controller uses."}
	enforcerUp       = metric{"oriel_neuvector_enforcer_connected", gauge, "Whether an enforcer is connected (1) or not (0)."}
	enforcerInfo     = metric{"oriel_neuvector_enforcer_info", gauge, "The version of an enforcer: always 1."}
	enforcerStats    = metric{"oriel_neuvector_enforcer_stats_success", gauge, "Whether a connected enforcer's figures could be read (1) or not (0)."}
	enforcerCPU      = metric{"oriel_neuvector_enforcer_cpu_ratio", gauge, "Share of the host's CPU time that an enforcer uses, 0 to 1."}
	enforcerMemory   = metric{"oriel_neuvector_enforcer_memory_bytes", gauge, "Memory that an enforcer uses."}
	inspectedBytes   = metric{"oriel_neuvector_enforcer_inspected_bytes_total", counter, "Bytes of traffic that an enforcer has inspected since it started."}
	inspectedPackets = metric{"oriel_neuvector_enforcer_inspected_packets_total", counter, "Packets that an enforcer has inspected since it started."}
	inspectedOpened  = metric{"oriel_neuvector_enforcer_sessions_total", counter, "Connections that an enforcer has seen since it started."}
	sessions         = metric{"oriel_neuvector_enforcer_sessions", gauge, "Connections that an enforcer sees now."}
	hostUp           = metric{"oriel_neuvector_host_connected", gauge, "Whether a host is connected (1) or not (0)."}
	hostMemory       = metric{"oriel_neuvector_host_memory_bytes", gauge, "Memory that a host has."}
	hostCPUs         = metric{"oriel_neuvector_host_cpus", gauge, "CPUs that a host has."}
	hostContainers   = metric{"oriel_neuvector_host_containers", gauge, "Containers on a host."}
	hostVulns        = metric{"oriel_neuvector_host_vulnerabilities", gauge, "Vulnerabilities of a host's system."}
	platformVulns    = metric{"oriel_neuvector_platform_vulnerabilities", gauge, "Vulnerabilities of the platform."}
	scannerScanned   = metric{"oriel_neuvector_scanner_scans_total", counter, "What a scanner has scanned since it joined, by kind."}
	scannerDB        = metric{"oriel_neuvector_scanner_cvedb_timestamp_seconds", gauge, "When a scanner's vulnerability database was made."}
	scanQueue        = metric{"oriel_neuvector_scan_objects", gauge, "Containers and hosts by the state of their scan."}
	fedRole          = metric{"oriel_neuvector_federation_role", gauge, "The cluster's part in a federation: 1 for the one that holds."}
	fedMember        = metric{"oriel_neuvector_federation_member_state", gauge, "The state of a cluster of the federation: always 1."}
	fedSynced        = metric{"oriel_neuvector_federation_member_synced", gauge, "Whether a managed cluster is synced (1) or not (0)."}
)

// Workloads, images, traffic and events.
var (
	serviceVulns    = metric{"oriel_neuvector_service_vulnerabilities", gauge, "Vulnerabilities of a service's worst running container."}
	containerVulns  = metric{"oriel_neuvector_container_vulnerabilities", gauge, "Vulnerabilities of all running containers together."}
	containerScans  = metric{"oriel_neuvector_container_scans", gauge, "Running containers by the state of their scan."}
	workloadStates  = metric{"oriel_neuvector_workload_states", gauge, "Containers by state."}
	serviceModes    = metric{"oriel_neuvector_service_modes", gauge, "Services by policy mode."}
	privileged      = metric{"oriel_neuvector_privileged_containers", gauge, "Running containers that are privileged."}
	asRoot          = metric{"oriel_neuvector_root_containers", gauge, "Running containers whose process is root."}
	imageVulns      = metric{"oriel_neuvector_image_vulnerabilities", gauge, "Vulnerabilities of an image in a registry."}
	registryVulns   = metric{"oriel_neuvector_registry_vulnerabilities", gauge, "Vulnerabilities of all images of a registry together."}
	registryImages  = metric{"oriel_neuvector_registry_images", gauge, "Images of a registry by the state of their scan."}
	registryScans   = metric{"oriel_neuvector_registry_scan_images", gauge, "Images of a registry by the state of their scan, as the controller counts them."}
	registryBusy    = metric{"oriel_neuvector_registry_scanning", gauge, "Whether a registry is being scanned (1) or not (0)."}
	registryRead    = metric{"oriel_neuvector_registry_read_success", gauge, "Whether a registry's images could be read (1) or not (0)."}
	conversation    = metric{"oriel_neuvector_conversation_bytes", gauge, "Bytes between two services, since the controller knows of it. It shrinks when a pod goes."}
	events          = metric{"oriel_neuvector_security_events_total", counter, "Security events since the collector started, by class, severity and what was done."}
	eventsRecorded  = metric{"oriel_neuvector_events_recorded_total", counter, "Events that were handed over to be recorded."}
	eventsGap       = metric{"oriel_neuvector_events_gaps_total", counter, "Times the controller had forgotten events before they were read."}
	eventsUnwritten = metric{"oriel_neuvector_event_record_failures_total", counter, "Times events could not be recorded. They are offered again."}
	eventLatest     = metric{"oriel_neuvector_latest_event_timestamp_seconds", gauge, "When the latest event of a class was reported."}
)
