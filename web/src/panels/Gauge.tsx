import { figures, type ReduceOptions } from '../data/reduce';
import { color, ramp } from '../format/color';
import { bounds, displayOf, whole, type Display } from '../format/display';
import type { Field } from '../data/frame';
import { emWidth, fit } from './measure';
import { Linked, tiles } from './Stat';
import type { PanelProps } from './types';

// limits of a gauge begin at zero unless it is told otherwise.
function limits(field: Field, all: Field[]): [number, number] {
  const [lo, hi] = all.map(bounds).reduce<[number, number]>((a, b) => [Math.min(a[0], b[0]), Math.max(a[1], b[1])], [Infinity, -Infinity]);
  const min = field.config.min ?? Math.min(0, lo);
  const unit = field.config.unit;
  const max = field.config.max ?? (unit === 'percent' ? 100 : unit === 'percentunit' ? 1 : hi > min ? hi : min + 1);
  return [min, max];
}

const [from, sweep] = [-120, 240];
const at = (part: number, r: number): [number, number] => {
  const a = ((from + sweep * Math.min(Math.max(part, 0), 1) - 90) * Math.PI) / 180;
  return [50 + r * Math.cos(a), 50 + r * Math.sin(a)];
};

function arc(a: number, b: number, r: number): string {
  const [x0, y0] = at(a, r);
  const [x1, y1] = at(b, r);
  return `M${x0.toFixed(2)},${y0.toFixed(2)}A${r},${r} 0 ${(b - a) * sweep > 180 ? 1 : 0} 1 ${x1.toFixed(2)},${y1.toFixed(2)}`;
}

// Gauge shows figures as a part of a circle.
export function Gauge(p: PanelProps) {
  const o = (p.panel.options ?? {}) as { reduceOptions?: ReduceOptions; orientation?: string; showThresholdMarkers?: boolean; showThresholdLabels?: boolean };
  const list = figures(p.frames, o.reduceOptions);
  const { columns, rows } = tiles(list.length, p.width, p.height, o.orientation === 'vertical' ? 'horizontal' : o.orientation === 'horizontal' ? 'vertical' : 'auto', 1.05);
  const [w, h] = [p.width / columns, p.height / rows];
  const name = list.length > 1 ? (list.some((v) => emWidth(v.name) * 11.5 > w - 10) ? 31 : 18) : 0;
  const size = Math.max(50, Math.min(w - 10, (h - name) * 1.22));
  const fields = list.map((v) => v.field);
  return (
    <div className="tiles" style={{ gridTemplateColumns: `repeat(${columns}, 1fr)`, gridTemplateRows: `repeat(${rows}, 1fr)` }}>
      {list.map((v, i) => {
        const range = limits(v.field, fields);
        const d = displayOf(v.field, p.look, range)(v.value);
        const part = Number.isFinite(d.number) ? (d.number - range[0]) / (range[1] - range[0] || 1) : 0;
        const text = whole(d);
        const steps = v.field.config.thresholds?.steps ?? [];
        const place = (value: number | null) => (value === null || value === undefined ? 0 : v.field.config.thresholds?.mode === 'percentage' ? value / 100 : (value - range[0]) / (range[1] - range[0] || 1));
        return (
          <div key={i} className="gauge" title={`${v.name}: ${text}`}>
            <Linked v={v} p={p}>
              <svg viewBox="0 0 100 80" width={size} height={size * 0.8} role="img" aria-label={`${v.name}: ${text}`}>
                <path d={arc(0, 1, 40)} fill="none" className="track" strokeWidth={9} />
                {part > 0.002 && <path d={arc(0, Math.min(part, 1), 40)} fill="none" stroke={d.color} strokeWidth={9} />}
                {o.showThresholdMarkers !== false && steps.map((s, k) => {
                  const [a, b] = [Math.min(Math.max(place(s.value), 0), 1), Math.min(Math.max(steps[k + 1] ? place(steps[k + 1]!.value) : 1, 0), 1)];
                  return b > a ? <path key={k} d={arc(a, b, 46.5)} fill="none" stroke={color(s.color, p.look.dark)} strokeWidth={2} /> : null;
                })}
                <text x="50" y="57" textAnchor="middle" fontSize={Math.min(18, 58 / Math.max(emWidth(text, 600), 1))} fill={d.color} fontWeight={600}>{text}</text>
              </svg>
            </Linked>
            {name > 0 && <div className="name" style={{ maxWidth: w - 8 }}>{v.name}</div>}
          </div>
        );
      })}
    </div>
  );
}

const width = (part: number): string => `${(Math.min(Math.max(part, 0), 1) * 100).toFixed(2)}%`;

// BarGauge shows figures as bars.
export function BarGauge(p: PanelProps) {
  const o = (p.panel.options ?? {}) as { reduceOptions?: ReduceOptions; orientation?: string; displayMode?: string; showUnfilled?: boolean; valueMode?: string; namePlacement?: string };
  const list = figures(p.frames, o.reduceOptions);
  const fields = list.map((v) => v.field);
  const shown = list.map((v) => {
    const range = limits(v.field, fields);
    const d = displayOf(v.field, p.look, range)(v.value);
    return { v, d, text: whole(d), part: Number.isFinite(d.number) ? (d.number - range[0]) / (range[1] - range[0] || 1) : 0 };
  });
  const fill = (d: Display, field: Field, part: number): string => {
    if (o.displayMode === 'basic') return d.color;
    const mode = field.config.color?.mode ?? '';
    if (mode.startsWith('continuous-')) return `linear-gradient(var(--dir), ${ramp(mode, 0)}, ${ramp(mode, part)})`;
    return `linear-gradient(var(--dir), color-mix(in srgb, ${d.color} 45%, transparent), ${d.color})`;
  };
  const ink = (d: Display) => (o.valueMode === 'text' ? undefined : d.color);
  if (o.orientation === 'vertical' || ((o.orientation ?? 'auto') === 'auto' && p.width > p.height * 1.6 && list.length <= p.width / 60)) {
    return (
      <div className="bars vertical">
        {shown.map(({ v, d, text, part }, i) => (
          <div key={i} title={`${v.name}: ${text}`}>
            <b style={{ color: ink(d), fontSize: fit(text, (p.width - 8 * (list.length - 1)) / list.length - 4, 26, 22) }}>{text}</b>
            <span className={o.showUnfilled === false ? undefined : 'unfilled'}><i style={{ height: width(part), background: fill(d, v.field, part), '--dir': 'to top' } as React.CSSProperties} /></span>
            <em>{v.name}</em>
          </div>
        ))}
      </div>
    );
  }
  const row = Math.max(20, Math.min(44, p.height / Math.max(list.length, 1)));
  const top = o.namePlacement === 'top' || p.width < 220;
  return (
    <div className={`bars horizontal${top ? ' top' : ''}`} style={{ gridAutoRows: top ? Math.max(row, 38) : row }}>
      {shown.map(({ v, d, text, part }, i) => (
        <div key={i} title={`${v.name}: ${text}`}>
          {o.namePlacement !== 'hidden' && <em><Linked v={v} p={p}>{v.name}</Linked></em>}
          <span className={o.showUnfilled === false ? undefined : 'unfilled'}><i style={{ width: width(part), background: fill(d, v.field, part), '--dir': 'to right' } as React.CSSProperties} /></span>
          <b style={{ color: ink(d) }}>{text}</b>
        </div>
      ))}
    </div>
  );
}
