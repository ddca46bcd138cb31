package netflow

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/netsampler/goflow2/v2/decoders/netflow"
)

const (
	// maxExporters is how many senders' templates are remembered; beyond, the one that was quiet longest is forgotten.
	maxExporters = 1024
	// maxTemplates bounds the templates of one sender.
	maxTemplates = 512
	// maxFields bounds the fields of a template.
	maxFields = 512
)

// ErrNoTemplate tells that data came before the template that explains them.
var ErrNoTemplate = errors.New("no template yet")

// exporter is the templates and the sampling rates of one sender.
type exporter struct {
	templates map[templateKey]any
	rates     map[samplerKey]int64
	used      uint64
}

type templateKey struct {
	version uint16
	domain  uint32
	id      uint16
}

// exporter returns a sender's templates.
func (d *Decoder) exporter(from netip.Addr) *exporter {
	d.clock++
	e := d.exporters[from]
	if e == nil {
		if len(d.exporters) >= maxExporters {
			var oldest netip.Addr
			for a, e := range d.exporters {
				if o := d.exporters[oldest]; o == nil || e.used < o.used {
					oldest = a
				}
			}
			delete(d.exporters, oldest)
		}
		e = &exporter{templates: map[templateKey]any{}, rates: map[samplerKey]int64{}}
		d.exporters[from] = e
	}
	e.used = d.clock
	return e
}

// AddTemplate keeps a template that cannot harm: of fields without length the
// decoder would make records for ever out of nothing.
func (e *exporter) AddTemplate(version uint16, domain uint32, id uint16, template any) error {
	var fields []netflow.Field
	switch t := template.(type) {
	case netflow.TemplateRecord:
		fields = t.Fields
	case netflow.NFv9OptionsTemplateRecord:
		fields = append(append(fields, t.Scopes...), t.Options...)
	case netflow.IPFIXOptionsTemplateRecord:
		fields = append(append(fields, t.Scopes...), t.Options...)
	}
	key := templateKey{version, domain, id}
	if len(fields) == 0 {
		delete(e.templates, key) // IPFIX withdraws templates so
		return nil
	}
	if len(fields) > maxFields {
		return fmt.Errorf("template %d has %d fields", id, len(fields))
	}
	for _, f := range fields {
		if f.Length == 0 {
			return fmt.Errorf("template %d has a field without length", id)
		}
	}
	if _, known := e.templates[key]; !known && len(e.templates) >= maxTemplates {
		return fmt.Errorf("more than %d templates of one sender", maxTemplates)
	}
	e.templates[key] = template
	return nil
}

// GetTemplate returns a template of this sender.
func (e *exporter) GetTemplate(version uint16, domain uint32, id uint16) (any, error) {
	if t, ok := e.templates[templateKey{version, domain, id}]; ok {
		return t, nil
	}
	return nil, netflow.ErrorTemplateNotFound
}

// RemoveTemplate forgets a template.
func (e *exporter) RemoveTemplate(version uint16, domain uint32, id uint16) (any, error) {
	t, err := e.GetTemplate(version, domain, id)
	delete(e.templates, templateKey{version, domain, id})
	return t, err
}

// GetTemplates is not used by the decoder.
func (e *exporter) GetTemplates() netflow.FlowBaseTemplateSet { return nil }

var _ netflow.NetFlowTemplateSystem = (*exporter)(nil)
