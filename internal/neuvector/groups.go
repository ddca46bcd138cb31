package neuvector

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// refreshers read a group of a cluster into a page. What is on the page when
// one fails is shown if there was nothing before, or if it says errPartial.
var refreshers = map[string]func(cl *cluster, ctx context.Context, p *page) error{
	groupSummary:       (*cluster).summary,
	groupAdmission:     (*cluster).admission,
	groupControllers:   (*cluster).controllers,
	groupEnforcers:     (*cluster).enforcers,
	groupHosts:         (*cluster).hosts,
	groupScanners:      (*cluster).scanners,
	groupPlatform:      (*cluster).platform,
	groupWorkloads:     (*cluster).readWorkloads,
	groupRegistries:    (*cluster).registries,
	groupConversations: (*cluster).conversations,
	groupEvents:        (*cluster).events,
	groupFederation:    (*cluster).federation,
	groupScore:         (*cluster).score,
}

// missing is the error of an answer without the object it should hold.
func (cl *cluster) missing(group, endpoint string) error {
	cl.bad(group)(badMissing)
	return &requestError{endpoint: endpoint, reason: badMissing, status: 200}
}

func (cl *cluster) summary(ctx context.Context, p *page) error {
	var a struct {
		Summary *struct {
			Hosts        *float64 `json:"hosts"`
			Controllers  *float64 `json:"controllers"`
			Enforcers    *float64 `json:"enforcers"`
			Disconnected *float64 `json:"disconnected_enforcers"`
			Domains      *float64 `json:"domains"`
			Workloads    *float64 `json:"workloads"`
			Running      *float64 `json:"running_workloads"`
			Pods         *float64 `json:"running_pods"`
			Services     *float64 `json:"services"`
			Rules        *float64 `json:"policy_rules"`
			Scanners     *float64 `json:"scanners"`
			Platform     string   `json:"platform"`
			Kube         string   `json:"kube_version"`
			CVEDB        string   `json:"cvedb_version"`
			CVEDBTime    string   `json:"cvedb_create_time"`
			Versions     texts    `json:"component_versions"`
		} `json:"summary"`
	}
	if err := cl.get(ctx, groupSummary, "summary", "/system/summary", &a); err != nil {
		return err
	}
	s := a.Summary
	if s == nil {
		return cl.missing(groupSummary, "summary")
	}
	for _, f := range []struct {
		official, own *metric
		value         *float64
	}{
		{&nvSummaryServices, &services, s.Services},
		{&nvSummaryPolicy, &policyRules, s.Rules},
		{&nvSummaryHosts, &hostsCount, s.Hosts},
		{&nvSummaryControllers, &controllers, s.Controllers},
		{&nvSummaryEnforcers, &enforcers, s.Enforcers},
		{&nvSummaryPods, &pods, s.Pods},
		{&nvSummaryDisconnected, &disconnected, s.Disconnected},
	} {
		p.maybe(f.official, f.value, "target", cl.target)
		p.maybe(f.own, f.value, "cluster", cl.name)
	}
	p.maybe(&nvSummaryRunning, s.Running, "target", cl.target)
	p.maybe(&nvSummaryTotal, s.Workloads, "target", cl.target)
	p.maybe(&domains, s.Domains, "cluster", cl.name)
	p.maybe(&scannersCount, s.Scanners, "cluster", cl.name)
	p.maybe(&workloadsCount, s.Running, "cluster", cl.name, "state", "running")
	if s.Running != nil && s.Workloads != nil {
		p.set(&workloadsCount, max(0, *s.Workloads-*s.Running), "cluster", cl.name, "state", "stopped")
	}
	version := ""
	if len(s.Versions) > 0 {
		version = s.Versions[0]
	}
	p.set(&clusterInfo, 1, "cluster", cl.name, "platform", name(s.Platform), "kube_version", name(s.Kube), "version", name(version))
	cl.mu.Lock()
	cl.version, cl.knows = version, countsCritical(version)
	cl.mu.Unlock()
	if s.CVEDB == "" {
		return nil // no scanner has come yet
	}
	p.set(&cvedbInfo, 1, "cluster", cl.name, "version", name(s.CVEDB))
	if v, err := strconv.ParseFloat(s.CVEDB, 64); err == nil {
		p.set(&nvSummaryCVEDBVersion, v, "target", cl.target)
	}
	if t, ok := parseTime(s.CVEDBTime); ok {
		p.set(&nvSummaryCVEDBTime, float64(t.UnixMilli()), "target", cl.target)
		p.set(&cvedbTime, float64(t.Unix()), "cluster", cl.name)
	} else if s.CVEDBTime != "" {
		cl.bad(groupSummary)(badField)
	}
	return nil
}

// countsCritical tells whether a version counts critical vulnerabilities apart
// from high ones: those from 5.6 do. What is no version is taken for new.
func countsCritical(version string) bool {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	a, err := strconv.Atoi(major)
	b, err2 := strconv.Atoi(minor)
	return err != nil || err2 != nil || a > 5 || a == 5 && b >= 6
}

// parseTime reads a time of the controller: RFC 3339 in any zone, or without one, which then is UTC.
func parseTime(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", time.DateTime} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 1970 && t.Year() < 3000 {
			return t, true
		}
	}
	return time.Time{}, false
}

func (cl *cluster) admission(ctx context.Context, p *page) error {
	var a struct {
		Stats *struct {
			Allowed    *float64 `json:"k8s_allowed_requests"`
			Denied     *float64 `json:"k8s_denied_requests"`
			Erroneous  *float64 `json:"k8s_erroneous_requests"`
			Ignored    *float64 `json:"k8s_ignored_requests"`
			Processing *float64 `json:"k8s_processing_requests"`
		} `json:"stats"`
	}
	var b struct {
		State *struct {
			Enable *bool  `json:"enable"`
			Mode   string `json:"mode"`
			Action string `json:"default_action"`
			Policy string `json:"failure_policy"`
		} `json:"state"`
	}
	stateErr := cl.get(ctx, groupAdmission, "admission_state", "/admission/state", &b)
	var refused *requestError
	if errors.As(stateErr, &refused) && refused.reason == failNotFound && refused.code >= 31 && refused.code <= 35 {
		p.set(&admissionBroken, 1, "cluster", cl.name) // the RBAC or the webhook's service is not right
		stateErr = nil
	} else if stateErr == nil {
		p.set(&admissionBroken, 0, "cluster", cl.name)
	}
	if s := b.State; s != nil && s.Enable != nil {
		p.set(&admissionOn, truth(*s.Enable), "cluster", cl.name)
		p.set(&admissionInfo, 1, "cluster", cl.name, "mode", oneOf(s.Mode, "monitor", "protect", ""),
			"default_action", oneOf(s.Action, "allow", "deny", ""), "failure_policy", oneOf(s.Policy, "ignore", "fail", ""))
	}
	if err := cl.get(ctx, groupAdmission, "admission_stats", "/admission/stats", &a); err != nil {
		return errPartial{err}
	}
	s := a.Stats
	if s == nil {
		return errPartial{cl.missing(groupAdmission, "admission_stats")}
	}
	p.maybe(&nvAdmissionAllowed, s.Allowed, "target", cl.target)
	p.maybe(&nvAdmissionDenied, s.Denied, "target", cl.target)
	for result, v := range map[string]*float64{"allowed": s.Allowed, "denied": s.Denied, "erroneous": s.Erroneous, "ignored": s.Ignored} {
		p.maybe(&admissions, v, "cluster", cl.name, "result", result)
	}
	p.maybe(&admissionQueue, s.Processing, "cluster", cl.name)
	if stateErr != nil {
		return errPartial{stateErr}
	}
	return nil
}

// scan is the result of a scan as it is embedded in other objects.
type scan struct {
	Status   string   `json:"status"`
	Critical *float64 `json:"critical"`
	High     float64  `json:"high"`
	Medium   float64  `json:"medium"`
	At       float64  `json:"scanned_timestamp"`
	BaseOS   string   `json:"base_os"`
}

func (s *scan) critical() float64 {
	if s.Critical == nil {
		return 0
	}
	return *s.Critical
}

// worse tells whether s has more to fear from than other.
func (s *scan) worse(other *scan) bool {
	if a, b := s.critical(), other.critical(); a != b {
		return a > b
	}
	if s.High != other.High {
		return s.High > other.High
	}
	return s.Medium > other.Medium
}

// vulns adds the counts of a scan. A version that does not tell critical from
// high has no series critical, lest it be taken for "none".
func (cl *cluster) vulns(p *page, m *metric, s *scan, labels ...string) {
	add := func(severity string, v float64) {
		p.set(m, v, append(append([]string{"cluster", cl.name}, labels...), "severity", severity)...)
	}
	if cl.tellsCritical(s) {
		add("critical", s.critical())
	}
	add("high", s.High)
	add("medium", s.Medium)
}

func (cl *cluster) tellsCritical(s *scan) bool {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return s.Critical != nil && (cl.version == "" || cl.knows || *s.Critical > 0)
}

// official adds the counts as the official exporter names them, and the critical ones beside.
func (cl *cluster) official(p *page, critical, high, medium *metric, s *scan, labels ...string) {
	labels = append(labels, "target", cl.target)
	if cl.tellsCritical(s) {
		p.set(critical, s.critical(), labels...)
	}
	p.set(high, s.High, labels...)
	p.set(medium, s.Medium, labels...)
}

func (cl *cluster) platform(ctx context.Context, p *page) error {
	type platform struct {
		Platform string `json:"platform"`
		scan
	}
	list, err := list[platform](ctx, cl, groupPlatform, "platform", "/scan/platform", "platforms", nil)
	for i := range list {
		one := &list[i]
		cl.vulns(p, &platformVulns, &one.scan, "platform", name(one.Platform))
		if one.critical() != 0 || one.High != 0 || one.Medium != 0 {
			cl.official(p, &nvPlatformCritical, &nvPlatformHigh, &nvPlatformMedium, &one.scan, "name", name(one.Platform))
		}
	}
	return err
}

func (cl *cluster) scanners(ctx context.Context, p *page) error {
	type scanner struct {
		ID         string  `json:"id"`
		DBTime     string  `json:"cvedb_create_time"`
		Containers float64 `json:"scanned_containers"`
		Hosts      float64 `json:"scanned_hosts"`
		Images     float64 `json:"scanned_images"`
		Serverless float64 `json:"scanned_serverless"`
	}
	list, err := list[scanner](ctx, cl, groupScanners, "scanner", "/scan/scanner", "scanners", nil)
	for _, s := range list[:min(len(list), maxNodes)] {
		for kind, v := range map[string]float64{"container": s.Containers, "host": s.Hosts, "image": s.Images, "serverless": s.Serverless} {
			p.set(&scannerScanned, v, "cluster", cl.name, "scanner", name(s.ID), "kind", kind)
		}
		if t, ok := parseTime(s.DBTime); ok {
			p.set(&scannerDB, float64(t.Unix()), "cluster", cl.name, "scanner", name(s.ID))
		}
	}
	if err != nil {
		return err
	}
	var a struct {
		Status *struct {
			Scanned   *float64 `json:"scanned"`
			Scheduled *float64 `json:"scheduled"`
			Scanning  *float64 `json:"scanning"`
		} `json:"status"`
	}
	if err := cl.get(ctx, groupScanners, "scan_status", "/scan/status", &a); err != nil {
		return errPartial{err}
	}
	if a.Status == nil {
		return errPartial{cl.missing(groupScanners, "scan_status")}
	}
	for state, v := range map[string]*float64{"scanned": a.Status.Scanned, "scheduled": a.Status.Scheduled, "scanning": a.Status.Scanning} {
		p.maybe(&scanQueue, v, "cluster", cl.name, "state", state)
	}
	if cl.local() && cl.c.client.session.key {
		cl.keyExpiry(ctx, p)
	}
	return nil
}

// keyExpiry asks when the API key ends. A controller that does not know is no fault.
func (cl *cluster) keyExpiry(ctx context.Context, p *page) {
	var a struct {
		Key *struct {
			Expires float64 `json:"expiration_timestamp"`
		} `json:"apikey"`
	}
	if err := cl.get(ctx, groupScanners, "selfapikey", "/selfapikey", &a); err == nil && a.Key != nil && a.Key.Expires > 0 {
		p.set(&keyExpiry, a.Key.Expires, "cluster", cl.name)
	}
}

func (cl *cluster) score(ctx context.Context, p *page) error {
	var a struct {
		Scores map[string]any `json:"security_scores"`
	}
	if err := cl.get(ctx, groupScore, "score", "/system/score/metrics", &a); err != nil {
		return err
	}
	for key, part := range map[string]string{
		"security_risk_score": "total", "service_mode_score": "service_mode", "exposure_score": "exposure", "vulnerability_score": "vulnerability",
		"admission_rule_score": "admission_rule", "privileged_container_score": "privileged_container", "run_as_root_score": "run_as_root", "new_service_mode_score": "new_service_mode",
	} {
		if v, ok := a.Scores[key].(float64); ok {
			p.set(&riskScore, v, "cluster", cl.name, "part", part)
		}
	}
	return nil
}

// officialGroups are the words of the official exporter's EXPORTER_METRICS,
// which it documents and does not obey, and the groups they mean here.
var officialGroups = map[string][]string{
	"summary": {groupSummary}, "conversation": {groupConversations}, "enforcer": {groupEnforcers}, "controller": {groupControllers}, "host": {groupHosts},
	"admission": {groupAdmission}, "image": {groupRegistries}, "image_vulnerability": {groupRegistries}, "platform": {groupPlatform}, "platform_vulnerability": {groupPlatform},
	"container": {groupWorkloads}, "container_vulnerability": {groupWorkloads}, "log": {groupEvents}, "fed": {groupFederation}, "federation": {groupFederation},
}

// OfficialGroups reads a list of names of groups, ours or the official
// exporter's, with commas or spaces between.
func OfficialGroups(text string) ([]string, error) {
	var groups []string
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }) {
		named := officialGroups[strings.TrimPrefix(strings.ToLower(word), "nv_")]
		if _, ok := intervals[word]; ok {
			named = []string{word}
		}
		if named == nil {
			return nil, fmt.Errorf("%q: want some of %s", word, strings.Join(Groups(), ", "))
		}
		for _, g := range named {
			if !slices.Contains(groups, g) {
				groups = append(groups, g)
			}
		}
	}
	return groups, nil
}
