import { figures, type ReduceOptions, type Value } from '../data/reduce';
import { alpha } from '../format/color';
import { bounds, displayOf, whole } from '../format/display';
import type { DataLink } from '../data/frame';
import { Link } from '../ui/Link';
import { fit } from './measure';
import type { PanelProps } from './types';

// tiles divides a box into n of the best shape.
export function tiles(n: number, w: number, h: number, orientation: string, ratio = 2.2): { columns: number; rows: number } {
  if (orientation === 'vertical') return { columns: n, rows: 1 };
  if (orientation === 'horizontal') return { columns: 1, rows: n };
  let best = { columns: n, rows: 1, score: -1 };
  for (let columns = 1; columns <= n; columns++) {
    const rows = Math.ceil(n / columns);
    const score = Math.min(w / columns / ratio, h / rows);
    if (score > best.score) best = { columns, rows, score };
  }
  return best;
}

// Linked makes a link of what has one.
export function Linked({ v, p, children }: { v: Value; p: PanelProps; children: React.ReactNode }) {
  const [link] = v.field.config.links ?? ([] as DataLink[]);
  if (!link) return <>{children}</>;
  return <Link to={p.link(link.url, linkVars(v.name, v.value, v.field.labels, v.row))} blank={link.targetBlank} title={link.title} inherit style={{ color: 'inherit' }}>{children}</Link>;
}

export function linkVars(name: string, value: unknown, labels?: Record<string, string>, row?: Record<string, unknown>): Record<string, string> {
  const out: Record<string, string> = { '__value.raw': String(value ?? ''), '__value.text': String(value ?? ''), '__value.numeric': String(value ?? ''), '__field.name': name, '__series.name': name };
  for (const [k, v] of Object.entries(labels ?? {})) out[`__field.labels.${k}`] = v;
  for (const [k, v] of Object.entries(row ?? {})) out[`__data.fields.${k}`] = String(v ?? '');
  return out;
}

// Stat shows large figures, with what was before behind them.
export function Stat(p: PanelProps) {
  const o = (p.panel.options ?? {}) as { reduceOptions?: ReduceOptions; colorMode?: string; graphMode?: string; textMode?: string; orientation?: string };
  const list = figures(p.frames, o.reduceOptions);
  const { columns, rows } = tiles(list.length, p.width, p.height, o.orientation ?? 'auto');
  const gap = 4;
  const [w, h] = [(p.width - gap * (columns - 1)) / columns, (p.height - gap * (rows - 1)) / rows];
  const many = list.length > 1;
  return (
    <div className="tiles" style={{ gridTemplateColumns: `repeat(${columns}, 1fr)`, gridTemplateRows: `repeat(${rows}, 1fr)`, gap }}>
      {list.map((v, i) => {
        const d = displayOf(v.field, p.look, limitsOf(v))(v.value);
        const mode = o.textMode ?? 'auto';
        const name = mode === 'name' || mode === 'value_and_name' || (mode === 'auto' && many) ? v.name : '';
        const text = mode === 'none' ? '' : mode === 'name' ? '' : whole(d);
        const back = o.colorMode === 'background' || o.colorMode === 'background_solid';
        const ink = back ? '#fff' : o.colorMode === 'none' ? 'inherit' : d.color;
        const nameSize = name ? (mode === 'name' ? fit(name, w - 16, h * 0.5, 34) : Math.min(15, Math.max(11, h * 0.2))) : 0;
        const below = o.graphMode === 'area' && v.spark && h > 44 ? h * 0.3 : 0; // what was before, out of the figure's way
        const size = fit(text.length < 3 ? '000' : text, Math.min(w - 24, w * 0.86), (h - below - nameSize * 1.15) * 0.72);
        return (
          <div key={i} className="tile" style={{ background: back ? d.color : undefined, color: ink, paddingBottom: below }} title={`${v.name}: ${whole(d)}`}>
            {below > 0 && <Spark spark={v.spark!} color={back ? '#ffffff' : d.color} w={w} h={h * 0.34} />}
            <Linked v={v} p={p}>
              {name !== '' && <div className="name" style={{ fontSize: nameSize, color: mode === 'name' || back ? ink : undefined }}>{name}</div>}
              {text !== '' && <div className="value" style={{ fontSize: size }}>{text}</div>}
            </Linked>
          </div>
        );
      })}
    </div>
  );
}

export function limitsOf(v: Value): [number, number] {
  return bounds(v.field);
}

// Spark is a small line without axes.
export function Spark({ spark, color, w, h }: { spark: { times: number[]; values: (number | null)[] }; color: string; w: number; h: number }) {
  const some = spark.values.filter((v): v is number => v !== null && Number.isFinite(v));
  if (some.length < 2) return null;
  const [lo, hi] = [Math.min(...some), Math.max(...some)];
  const [t0, t1] = [spark.times[0]!, spark.times.at(-1)!];
  const y = (v: number) => (hi === lo ? h / 2 : h - 2 - ((v - lo) / (hi - lo)) * (h - 4));
  const points = spark.values.map((v, i) => (v === null || !Number.isFinite(v) ? null : [((spark.times[i]! - t0) / Math.max(t1 - t0, 1)) * w, y(v)] as const)).filter((q) => q !== null);
  const line = points.map(([x, q], i) => `${i ? 'L' : 'M'}${x.toFixed(1)},${q.toFixed(1)}`).join('');
  return (
    <svg className="spark" viewBox={`0 0 ${w} ${h}`} preserveAspectRatio="none" style={{ height: h }} aria-hidden>
      <path d={`${line}L${points.at(-1)![0].toFixed(1)},${h}L${points[0]![0].toFixed(1)},${h}Z`} fill={alpha(color, 0.16)} />
      <path d={line} fill="none" stroke={alpha(color, 0.75)} strokeWidth={1.2} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
