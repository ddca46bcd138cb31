package neuvector

import (
	"cmp"
	"context"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// maxRegistries of a cluster are read.
const maxRegistries = 1000

// registryName is what NeuVector allows; anything else would change the path of our request.
var registryName = regexp.MustCompile(`^[a-zA-Z0-9_][.:a-zA-Z0-9_-]*$`)

// Image is an image in a registry, as of the last reading: a row of neuvector_images.
type Image struct {
	Time       time.Time `parquet:"time,timestamp(microsecond:local)"` // when it was read
	Cluster    string    `parquet:"cluster,dict"`
	Registry   string    `parquet:"registry,dict"`
	Repository string    `parquet:"repository,dict"`
	Tag        string    `parquet:"tag"`
	ImageID    string    `parquet:"image_id"`
	Digest     string    `parquet:"digest"`
	BaseOS     string    `parquet:"base_os,dict"`
	ScanStatus string    `parquet:"scan_status,dict"`
	ScannedAt  time.Time `parquet:"scanned_at,optional,timestamp(microsecond:local)"` // zero if it was not scanned
	Critical   int64     `parquet:"critical"`
	High       int64     `parquet:"high"`
	Medium     int64     `parquet:"medium"`
	SizeBytes  int64     `parquet:"size_bytes"`
	RunAsRoot  bool      `parquet:"run_as_root"`

	told bool // whether there was a field critical
}

// Images returns the images of the registries of all clusters, as of the last reading.
func (c *Collector) Images() []Image {
	var all []Image
	for _, cl := range c.all() {
		cl.mu.Lock()
		for _, r := range sorted(cl.images) {
			all = append(all, cl.images[r]...)
		}
		cl.mu.Unlock()
	}
	return all
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (i *Image) scan() *scan {
	s := &scan{High: float64(i.High), Medium: float64(i.Medium)}
	if critical := float64(i.Critical); i.told {
		s.Critical = &critical
	}
	return s
}

type registry struct {
	Name      string  `json:"name"`
	Status    string  `json:"status"`
	Scanned   float64 `json:"scanned"`
	Scheduled float64 `json:"scheduled"`
	Scanning  float64 `json:"scanning"`
	Failed    float64 `json:"failed"`
}

// registries reads the registries and their images. A registry that could be
// read only in part shows its last whole reading, or the part if there is none.
func (cl *cluster) registries(ctx context.Context, p *page) error {
	all, err := list[registry](ctx, cl, groupRegistries, "registry", "/scan/registry", "summarys", url.Values{})
	if err != nil {
		return err
	}
	var regs []registry
	for _, r := range all {
		if len(regs) < maxRegistries && cl.c.cfg.wantsRegistry(r.Name) {
			if !registryName.MatchString(r.Name) {
				cl.bad(groupRegistries)(badField)
				continue
			}
			regs = append(regs, r)
		}
	}
	read := make([][]Image, len(regs))
	errs := make([]error, len(regs))
	parallel(len(regs), func(i int) { read[i], errs[i] = cl.readImages(ctx, regs[i].Name) })

	cl.mu.Lock()
	before := cl.images
	cl.mu.Unlock()
	images := map[string][]Image{}
	var failed error
	for i, r := range regs {
		labels := []string{"cluster", cl.name, "registry", name(r.Name)}
		p.set(&registryRead, truth(errs[i] == nil), labels...)
		p.set(&registryBusy, truth(r.Status == "scanning"), labels...)
		for state, v := range map[string]float64{"scanned": r.Scanned, "scheduled": r.Scheduled, "scanning": r.Scanning, "failed": r.Failed} {
			p.set(&registryScans, v, append(labels[:4:4], "state", state)...)
		}
		images[r.Name] = read[i]
		if errs[i] != nil {
			failed = errs[i]
			if old, ok := before[r.Name]; ok && len(old) > len(read[i]) {
				images[r.Name] = old
			}
		}
	}
	cl.mu.Lock()
	cl.images = images
	cl.mu.Unlock()
	cl.showImages(p, images)
	if failed != nil {
		return errPartial{failed}
	}
	return nil
}

func (c *Config) wantsRegistry(registry string) bool {
	if len(c.Registries) == 0 {
		return true
	}
	return slices.ContainsFunc(c.Registries, func(pattern string) bool {
		ok, err := path.Match(pattern, registry)
		return ok && err == nil
	})
}

func (cl *cluster) readImages(ctx context.Context, registry string) ([]Image, error) {
	type image struct {
		Repository string  `json:"repository"`
		Tag        string  `json:"tag"`
		ImageID    string  `json:"image_id"`
		Digest     string  `json:"digest"`
		Size       float64 `json:"size"`
		Root       bool    `json:"run_as_root"`
		scan
	}
	list, err := list[image](ctx, cl, groupRegistries, "image", "/scan/registry/"+registry+"/images", "images", nil)
	now := time.Now()
	images := make([]Image, 0, len(list))
	for i := range list {
		v := &list[i]
		images = append(images, Image{
			Time: now, Cluster: cl.name, Registry: registry, Repository: v.Repository, Tag: v.Tag, ImageID: v.ImageID, Digest: v.Digest, BaseOS: v.BaseOS,
			ScanStatus: v.Status, ScannedAt: unix(v.At), Critical: int64(v.critical()), High: int64(v.High), Medium: int64(v.Medium),
			SizeBytes: int64(v.Size), RunAsRoot: v.Root, told: v.Critical != nil,
		})
	}
	return images, err
}

// showImages adds the totals of each registry and the worst images of all.
func (cl *cluster) showImages(p *page, images map[string][]Image) {
	var list []*Image
	for _, registry := range sorted(images) {
		total, critical, told := scan{}, 0.0, false
		statuses := map[string]int{}
		for i := range images[registry] {
			v := &images[registry][i]
			list = append(list, v)
			critical += float64(v.Critical)
			total.High += float64(v.High)
			total.Medium += float64(v.Medium)
			told = told || v.told
			statuses[oneOf(cmp.Or(v.ScanStatus, "idle"), scanStatusNames...)]++
		}
		if told {
			total.Critical = &critical
		}
		cl.vulns(p, &registryVulns, &total, "registry", name(registry))
		for _, s := range scanStatusNames {
			p.set(&registryImages, float64(statuses[s]), "cluster", cl.name, "registry", name(registry), "status", s)
		}
	}
	slices.SortFunc(list, func(a, b *Image) int {
		return cmp.Or(cmp.Compare(b.Critical, a.Critical), cmp.Compare(b.High, a.High), cmp.Compare(b.Medium, a.Medium),
			strings.Compare(a.Registry, b.Registry), strings.Compare(a.Repository, b.Repository), strings.Compare(a.Tag, b.Tag))
	})
	top := list[:min(len(list), cl.c.cfg.TopImages)]
	p.set(&folded, float64(len(list)-len(top)), "cluster", cl.name, "of", "image")
	for _, v := range top {
		ref := name(v.Repository + ":" + v.Tag)
		cl.vulns(p, &imageVulns, v.scan(), "registry", name(v.Registry), "image", ref)
		cl.official(p, &nvImageCritical, &nvImageHigh, &nvImageMedium, v.scan(), "imageid", name(v.ImageID), "name", ref)
	}
}
