import uPlot from 'uplot';
import { displayName, numberFields, timeField, type Field, type Frame } from '../data/frame';
import { alpha, color, seriesColor } from '../format/color';
import { thresholdColor, bounds, type Look } from '../format/display';
import { formatText } from '../format/units';
import type { Panel } from '../model/dashboard';
import type { PanelProps } from './types';

// A chart is what uPlot needs: times that all series share, and the series.

export interface Style { draw: string; width: number; fill: number; points: string; size: number; interpolation: string; dash?: number[]; stack?: string; gaps: boolean | number; negate: boolean; bar: string; scale: string }
export interface Line { name: string; color: string; style: Style; field: Field; values: (number | null)[] }
export interface Axis { scale: string; unit?: string; decimals?: number | null; label: string; side: 1 | 3; min?: number; max?: number; softMin?: number; softMax?: number; log?: number; centered: boolean; grid: boolean; hidden: boolean }
export interface Chart {
  series: Line[];
  axes: Axis[];
  times: number[];
  thresholds: { value: number; color: string; area: boolean; line: boolean }[];
  data: (visible: boolean[]) => { values: (number | null)[][]; bands: uPlot.Band[] };
}

const text = (v: unknown, other: string): string => (typeof v === 'string' ? v : other);
const num = (v: unknown, other: number): number => (typeof v === 'number' ? v : other);

function styleOf(c: Record<string, unknown>, scale: string): Style {
  const stacking = c.stacking as { mode?: string; group?: string } | undefined;
  const line = c.lineStyle as { fill?: string; dash?: number[] } | undefined;
  return {
    draw: text(c.drawStyle, 'line'), width: num(c.lineWidth, 1), fill: num(c.fillOpacity, 0), points: text(c.showPoints, 'auto'), size: num(c.pointSize, 5),
    interpolation: text(c.lineInterpolation, 'linear'), dash: line?.fill === 'dash' || line?.fill === 'dot' ? (line.dash ?? [8, 6]) : undefined,
    stack: stacking?.mode === 'normal' || stacking?.mode === 'percent' ? `${stacking.mode}/${stacking.group ?? 'A'}/${scale}/${c.transform === 'negative-Y'}` : undefined,
    gaps: c.spanNulls === true || typeof c.spanNulls === 'number' ? c.spanNulls : false, negate: c.transform === 'negative-Y', bar: text(c.barAlignment, '0'), scale,
  };
}

// chartOf reads frames: one a series, or wide ones.
export function chartOf(frames: Frame[], panel: Panel, look: Look): Chart {
  const list = frames.filter((f) => timeField(f) && numberFields(f).length > 0);
  const times = joined(list.map((f) => timeField(f)!.values as number[]));
  const [series, axes]: [Line[], Axis[]] = [[], []];
  const thresholds: Chart['thresholds'] = [];
  for (const frame of list) {
    const own = timeField(frame)!.values as number[];
    for (const field of numberFields(frame)) {
      const c = field.config.custom ?? {};
      const hide = c.hideFrom as { viz?: boolean } | undefined;
      if (hide?.viz) continue;
      const placement = text(c.axisPlacement, 'auto');
      const scale = `y:${field.config.unit ?? ''}:${placement === 'right' ? 'r' : ''}`;
      if (!axes.some((a) => a.scale === scale)) axes.push(axisOf(field, scale, placement, axes));
      const style = styleOf(c, scale);
      const i = series.length;
      const mode = field.config.color?.mode ?? 'palette-classic';
      let shade = seriesColor(i, look.dark);
      if (mode === 'fixed' || mode === 'shades') shade = color(field.config.color?.fixedColor, look.dark);
      else if (mode === 'thresholds') {
        const some = field.values.filter((v): v is number => typeof v === 'number');
        shade = thresholdColor(field.config.thresholds, some.at(-1) ?? 0, 0, look.dark);
      }
      const values = spread(own, field.values as (number | null)[], times);
      series.push({ name: displayName(field, frame), color: shade, style, field, values: style.negate ? values.map((v) => (v === null ? null : -v)) : values });
      const how = (c.thresholdsStyle as { mode?: string } | undefined)?.mode ?? 'off';
      if (how !== 'off' && thresholds.length === 0 && field.config.thresholds) {
        const [lo, hi] = bounds(field);
        for (const s of field.config.thresholds.steps) {
          if (s.value === null || s.value === undefined) continue;
          const value = field.config.thresholds.mode === 'percentage' ? lo + ((hi - lo) * s.value) / 100 : s.value;
          thresholds.push({ value, color: color(s.color, look.dark), area: how.includes('area'), line: how.includes('line') || how.includes('dashed') });
        }
      }
    }
  }
  void panel;
  return { series, axes: axes.length ? axes : [axisOf({ name: '', type: 'number', values: [], config: {} }, 'y:', 'auto', [])], times, thresholds, data: (visible) => stacked(times, series, visible) };
}

function axisOf(field: Field, scale: string, placement: string, before: Axis[]): Axis {
  const c = field.config.custom ?? {};
  const dist = c.scaleDistribution as { type?: string; log?: number } | undefined;
  return {
    scale, unit: field.config.unit, decimals: field.config.decimals, label: text(c.axisLabel, ''), side: placement === 'right' || (placement === 'auto' && before.length > 0) ? 1 : 3,
    min: field.config.min, max: field.config.max, softMin: c.axisSoftMin as number | undefined, softMax: c.axisSoftMax as number | undefined,
    log: dist?.type === 'log' ? (dist.log ?? 10) : undefined, centered: c.axisCenteredZero === true, grid: c.axisGridShow !== false, hidden: placement === 'hidden',
  };
}

// joined are the times of all series; mostly they are the same.
function joined(lists: number[][]): number[] {
  const first = lists[0] ?? [];
  if (lists.every((l) => l.length === first.length && l[0] === first[0] && l.at(-1) === first.at(-1))) return first;
  return [...new Set(lists.flat())].sort((a, b) => a - b);
}

function spread(own: number[], values: (number | null)[], times: number[]): (number | null)[] {
  if (own === times || (own.length === times.length && own[0] === times[0])) return values.every((v) => v === null || Number.isFinite(v)) ? values : values.map((v) => (v === null || Number.isFinite(v) ? v : null));
  const at = new Map(times.map((t, i) => [t, i]));
  const out = new Array<number | null | undefined>(times.length).fill(undefined);
  own.forEach((t, i) => { const v = values[i]; out[at.get(t)!] = v === null || v === undefined || !Number.isFinite(v) ? null : v; });
  return out as (number | null)[];
}

const known = new WeakMap<number[], number[]>();

// seconds are times as uPlot wants them; panels of a dashboard share one list of times.
function seconds(times: number[]): number[] {
  let list = known.get(times);
  if (!list) known.set(times, (list = times.map((t) => t / 1e3)));
  return list;
}

// stacked adds up the series of each stack, and fills between them.
function stacked(times: number[], series: Line[], visible: boolean[]): { values: (number | null)[][]; bands: uPlot.Band[] } {
  const sums = new Map<string, { total: number[]; last: number }>();
  const whole = new Map<string, number[]>();
  const bands: uPlot.Band[] = [];
  series.forEach((s, i) => {
    if (!s.style.stack?.startsWith('percent') || !visible[i]) return;
    const t = whole.get(s.style.stack) ?? new Array<number>(times.length).fill(0);
    s.values.forEach((v, k) => { t[k] = t[k]! + Math.abs(v ?? 0); });
    whole.set(s.style.stack, t);
  });
  const values = series.map((s, i) => {
    if (!s.style.stack || !visible[i]) return s.values;
    const all = whole.get(s.style.stack);
    const sum = sums.get(s.style.stack) ?? { total: new Array<number>(times.length).fill(0), last: -1 };
    const out = s.values.map((v, k) => {
      if (v === null || v === undefined) return sum.last < 0 ? v : sum.total[k]!;
      sum.total[k] = sum.total[k]! + (all ? (all[k] ? v / all[k]! : 0) : v);
      return sum.total[k]!;
    });
    if (sum.last >= 0) bands.push({ series: [i + 1, sum.last + 1] });
    sum.last = i;
    sums.set(s.style.stack, sum);
    return out;
  });
  return { values: [seconds(times), ...values], bands };
}

function paths(s: Style): uPlot.Series.PathBuilder | undefined {
  const p = uPlot.paths;
  if (s.draw === 'bars') return p.bars!({ size: [0.8, 60], align: s.bar === '1' ? 1 : s.bar === '-1' ? -1 : 0 });
  if (s.draw === 'points') return () => null;
  if (s.interpolation === 'stepAfter') return p.stepped!({ align: 1 });
  if (s.interpolation === 'stepBefore') return p.stepped!({ align: -1 });
  return s.interpolation === 'smooth' ? p.spline!() : p.linear!();
}

const dateOf = (zone: string) => (ts: number): Date =>
  zone === 'browser' || zone === '' ? new Date(ts * 1e3) : uPlot.tzDate(new Date(ts * 1e3), zone === 'utc' ? 'Etc/UTC' : zone);

// options are uPlot's for a chart. live gives the newest range: the plot is not made anew for it.
export function options(chart: Chart, p: PanelProps, font: string, live: () => PanelProps & { chart: Chart }): uPlot.Options {
  const { dark, zone } = p.look;
  const ink = dark ? '#b4b8c0' : '#495057';
  const grid = { stroke: dark ? 'rgba(204,204,220,0.09)' : 'rgba(36,41,46,0.09)', width: 1 };
  const face = `11px ${font}`;
  const scales: uPlot.Scales = { x: { time: true, range: () => [live().range.from / 1e3, live().range.to / 1e3] } };
  for (const a of chart.axes) scales[a.scale] = { distr: a.log ? 3 : 1, log: (a.log === 2 ? 2 : 10) as uPlot.Scale.LogBase, range: (_u, lo, hi) => limits(a, lo, hi) };
  const axes: uPlot.Axis[] = [{ stroke: ink, grid, ticks: { ...grid, size: 4 }, font: face, space: 70, size: 26, values: stamps }];
  let first = true;
  for (const a of chart.axes) {
    if (a.hidden) continue;
    axes.push({
      scale: a.scale, side: a.side, stroke: ink, font: face, grid: { ...grid, show: first && a.grid }, ticks: { ...grid, size: 4 }, label: a.label || undefined, labelFont: face, labelSize: a.label ? 16 : 0,
      space: 28, values: (_u, splits) => ticks(splits, a) as string[], incrs: binaryUnits.has(a.unit ?? '') ? binary : timeUnits[a.unit ?? ''] ? clock.map((s) => s / timeUnits[a.unit!]!) : undefined,
      size: (u, values, i, cycle) => sizeOf(u, values, i, cycle, face, a.label !== ''),
    });
    first = false;
  }
  return {
    width: p.width, height: p.height, padding: [8, 18, 0, 4], scales, axes, legend: { show: false }, tzDate: dateOf(zone),
    cursor: {
      sync: { key: p.sync, setSeries: false, scales: ['x', null] as unknown as uPlot.Cursor.Sync['scales'] }, drag: { x: true, y: false, setScale: false }, points: { size: 6 }, focus: { prox: 24 },
    },
    focus: { alpha: 1 },
    series: [{}, ...chart.series.map((s): uPlot.Series => ({
      label: s.name, scale: s.style.scale, stroke: s.color, width: s.style.draw === 'points' ? 0 : s.style.width, fill: s.style.fill > 0 ? alpha(s.color, s.style.fill / 100) : undefined,
      dash: s.style.dash, paths: paths(s.style), spanGaps: s.style.gaps !== false,
      points: { show: s.style.draw === 'points' || s.style.points === 'always' ? true : s.style.draw === 'bars' ? false : lonely, size: s.style.draw === 'points' || s.style.points === 'always' ? s.style.size : 4, fill: s.color },
    }))],
    hooks: {
      setSelect: [(u) => {
        if (u.select.width < 4) return;
        const [a, b] = [u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x')];
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        live().onZoom({ from: Math.round(a * 1e3), to: Math.round(b * 1e3) });
      }],
      drawAxes: [(u) => thresholds(u, live().chart)],
    },
  };
}

// lonely shows a point where a sample has no neighbours, which no line would show.
const lonely = (u: uPlot, si: number): boolean => {
  const d = u.data[si] as (number | null | undefined)[];
  let some = 0;
  for (let i = 0; i < d.length; i++) if (d[i] !== null && d[i] !== undefined && (d[i - 1] ?? null) === null && (d[i + 1] ?? null) === null) some++;
  return some > 0 && some === d.filter((v) => v !== null && v !== undefined).length;
};

const binaryUnits = new Set(['bytes', 'bits', 'binBps', 'binbps', 'kbytes', 'mbytes']);
const timeUnits: Record<string, number> = { s: 1, ms: 1e-3, m: 60, h: 3600, d: 86400, dtdurations: 1, 'µs': 1e-6, ns: 1e-9 };
// clock are steps of an axis of durations: 30 s and 5 min, not 50 s and 1.67 min.
const clock = [...Array.from({ length: 9 }, (_, i) => 10 ** (i - 9)).flatMap((n) => [n, 2 * n, 5 * n]), 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 432000, 864000, 2592000, 8640000, 31536000, 157680000, 315360000];
const binary = Array.from({ length: 60 }, (_, i) => 2 ** (i - 4));

function limits(a: Axis, lo: number | null, hi: number | null): [number, number] {
  if (lo === null || hi === null) return [a.min ?? 0, a.max ?? a.softMax ?? 1];
  if (a.log) return uPlot.rangeLog(Math.max(lo, 1e-9), Math.max(hi, 1e-8), a.log === 2 ? 2 : 10, true) as [number, number];
  let [l, h] = [Math.min(lo, a.softMin ?? lo), Math.max(hi, a.softMax ?? hi)];
  if (a.centered) { h = Math.max(Math.abs(l), Math.abs(h)); l = -h; }
  if (l === h) [l, h] = l === 0 ? [0, 1] : l > 0 ? [0, h * 1.2] : [l * 1.2, 0];
  const pad = (h - l) * 0.06;
  const low = l >= 0 && l - pad < (h - l) * 0.3 ? 0 : l - pad;
  return [a.min ?? (l >= 0 ? Math.max(low, 0) : l - pad), a.max ?? h + pad];
}

// ticks are the texts of an axis, with as many digits as tell neighbours apart.
function ticks(splits: (number | null)[], a: Axis): (string | null)[] {
  const some = splits.filter((v) => v !== null); // logarithmic axes leave some without a text
  const show = (d?: number | null) => new Map(some.map((v) => [v, formatText(Math.abs(v) < 1e-12 ? 0 : v, a.unit, d)]));
  const clear = (m: Map<number, string>) => new Set(m.values()).size === m.size;
  let out = show(a.decimals);
  if (!clear(out)) out = show(undefined);
  if (!clear(out)) out = show(3);
  return splits.map((v) => (v === null ? null : out.get(v)!));
}

function sizeOf(u: uPlot, values: string[] | null, i: number, cycle: number, font: string, label: boolean): number {
  const axis = u.axes[i] as uPlot.Axis & { _size?: number };
  if (cycle > 1) return axis._size ?? 50;
  const longest = ((values ?? []) as (string | null)[]).reduce<string>((a, b) => (b !== null && b.length > a.length ? b : a), '');
  u.ctx.save();
  u.ctx.font = font;
  const w = u.ctx.measureText(longest).width;
  u.ctx.restore();
  return Math.ceil(w + 14 + (label ? 2 : 0));
}

// stamps are the texts of the time axis: the date where a day begins.
function stamps(u: uPlot, splits: number[], _axis: number, _space: number, incr: number): string[] {
  const date = (u as unknown as { _tz?: (t: number) => Date })._tz ?? ((u as unknown as { opts?: uPlot.Options }).opts?.tzDate);
  const two = (n: number) => String(n).padStart(2, '0');
  let before = '';
  return splits.map((s) => {
    const d = date ? date(s) : new Date(s * 1e3);
    const day = `${two(d.getMonth() + 1)}-${two(d.getDate())}`;
    const clock = `${two(d.getHours())}:${two(d.getMinutes())}${incr < 60 ? `:${two(d.getSeconds())}` : ''}`;
    const fresh = before !== '' && day !== before;
    before = day;
    if (incr >= 86400) return day;
    return fresh ? day : clock;
  });
}

function thresholds(u: uPlot, chart: Chart): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  const scale = chart.axes[0]!.scale;
  chart.thresholds.forEach((t, i) => {
    const y = u.valToPos(t.value, scale, true);
    if (t.area) {
      const next = chart.thresholds[i + 1];
      const top = next ? u.valToPos(next.value, scale, true) : bbox.top;
      ctx.fillStyle = alpha(t.color, 0.1);
      ctx.fillRect(bbox.left, top, bbox.width, y - top);
    }
    if (t.line) {
      ctx.strokeStyle = t.color;
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([8 * devicePixelRatio, 6 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
  });
  ctx.restore();
}
