import { displayName, numberFields, timeField, type Field, type Frame } from '../data/frame';
import { figures, oneTable, type ReduceOptions } from '../data/reduce';
import { color, ramp, seriesColor } from '../format/color';
import { displayOf, mapping, whole } from '../format/display';
import { timeText } from '../format/time';
import { formatText } from '../format/units';
import { emWidth } from './measure';
import type { PanelProps } from './types';

// Options of ECharts for the kinds of panels that it draws.

const inkOf = (p: PanelProps) => (p.look.dark ? '#b4b8c0' : '#495057');
const tooltipOf = (p: PanelProps, more: object = {}) => ({
  renderMode: 'richText', confine: true, backgroundColor: p.look.dark ? '#25262b' : '#ffffff', borderColor: p.look.dark ? '#444' : '#ccc', textStyle: { color: inkOf(p), fontSize: 12 }, ...more,
});
// legendOf names what is drawn, below it in as many lines as it needs if those are few, or at its right.
const legendOf = (p: PanelProps, names: string[], texts = names) => {
  const o = (p.panel.options?.legend ?? {}) as { showLegend?: boolean; placement?: string };
  const right = o.placement === 'right' && p.width > 360;
  let [lines, used] = [1, 0];
  for (const t of texts) {
    const w = Math.min(emWidth(t) * 11, 220) + 12 + 5 + 10; // with its mark and the gaps
    if (used > 0 && used + w > p.width - 10) [lines, used] = [lines + 1, 0];
    used += w;
  }
  const few = lines <= Math.max(1, Math.min(4, Math.floor(p.height / 70)));
  const show = o.showLegend !== false && names.length > 0;
  return {
    show, right, room: show && !right ? (few ? lines * 19 : 19) + 7 : 4, // pixels below the drawing
    option: { type: few || right ? 'plain' : 'scroll', itemGap: few && lines > 1 ? 8 : 10, show: o.showLegend !== false, data: names, icon: 'roundRect', itemWidth: 12, itemHeight: 4, textStyle: { color: inkOf(p), fontSize: 11, overflow: 'truncate', width: right ? 140 : 220 }, ...(right ? { orient: 'vertical', right: 4, top: 'middle' } : { bottom: 0, left: 'center' }) },
  };
};

export function pieOption(p: PanelProps): object {
  const o = (p.panel.options ?? {}) as { reduceOptions?: ReduceOptions; pieType?: string; displayLabels?: string[]; legend?: { values?: string[] } };
  const list = figures(p.frames, o.reduceOptions).filter((v) => typeof v.value === 'number' && v.value > 0);
  const data = list.map((v, i) => {
    const f = v.field;
    const mode = f.config.color?.mode ?? 'palette-classic';
    const own = mapping(v.value, f.config)?.color;
    return { name: v.name, value: v.value as number, text: whole(displayOf(f, p.look)(v.value)), itemStyle: { color: own ? color(own, p.look.dark) : mode === 'fixed' ? color(f.config.color?.fixedColor, p.look.dark) : mode === 'thresholds' ? displayOf(f, p.look)(v.value).color : seriesColor(i, p.look.dark) } };
  });
  const named = (n: string) => { const d = data.find((x) => x.name === n); return o.legend?.values?.length ? `${n}  ${d?.text ?? ''}` : n; };
  const legend = legendOf(p, data.map((d) => d.name), data.map((d) => named(d.name)));
  const share = (d: { percent?: number }) => `${(d.percent ?? 0).toFixed(1)}%`;
  let labels = o.displayLabels ?? [];
  const bottom = legend.room;
  const room = labels.length ? Math.min(110, Math.max(...data.map((d) => (labels.includes('name') ? emWidth(d.name) * 11 : 0)), 20) + (labels.length > 1 || !labels.includes('name') ? 42 : 0) + 14) : 0; // beside the pie, for labels
  if (p.width / 2 - room < 20) labels = []; // no room for them: the legend has the names, the tooltip the rest
  const r = Math.max(Math.min(p.width, p.height - bottom) * (labels.length ? 0.22 : 0.3), Math.min((p.width - (legend.right ? 170 : 0)) / 2 - (labels.length ? room : 0), (p.height - bottom) / 2 - (labels.length ? 14 : 0)) - (labels.length ? 12 : 6));
  return {
    tooltip: tooltipOf(p, { formatter: (d: { name: string; data: { text: string }; percent: number }) => `${d.name}\n${d.data.text} (${share(d)})` }),
    legend: { ...legend.option, formatter: named },
    series: [{
      type: 'pie', radius: o.pieType === 'donut' ? [r * 0.6, r] : [0, r], center: [legend.right ? (p.width - 170) / 2 : p.width / 2, (p.height - bottom) / 2], data,
      labelLine: { length: 6, length2: 6 },
      label: { show: labels.length > 0, overflow: 'none', bleedMargin: 2, color: inkOf(p), fontSize: 11, formatter: (d: { name: string; percent: number; data: { text: string } }) => [labels.includes('name') && d.name, labels.includes('value') && d.data.text, labels.includes('percent') && share(d)].filter(Boolean).join(' ') },
    }],
  };
}

export function barOption(p: PanelProps): object {
  const o = (p.panel.options ?? {}) as { orientation?: string; stacking?: string; showValue?: string; xField?: string; barWidth?: number };
  const histogram = p.panel.type === 'histogram';
  const frame = histogram ? buckets(p.frames) : oneTable(p.frames);
  const numbers = numberFields(frame);
  const x = frame.fields.find((f) => displayName(f, frame) === o.xField || f.name === o.xField) ?? frame.fields.find((f) => f.type === 'string') ?? timeField(frame);
  const cats = Array.from({ length: frame.length }, (_, i) => (x ? whole(displayOf(x, p.look)(x.values[i])) : String(i + 1)));
  const names = numbers.map((f) => displayName(f, frame));
  const across = o.orientation === 'horizontal';
  const legend = legendOf(p, names.length > 1 ? names : []);
  const first = numbers[0];
  const value = { type: 'value', axisLabel: { color: inkOf(p), fontSize: 11, hideOverlap: true, formatter: (v: number) => (o.stacking === 'percent' ? `${v}%` : formatText(v, first?.config.unit ?? 'short', first?.config.decimals)) }, splitLine: { lineStyle: { color: p.look.dark ? 'rgba(204,204,220,.1)' : 'rgba(36,41,46,.1)' } }, max: o.stacking === 'percent' ? 100 : first?.config.max, min: first?.config.min };
  const category = { type: 'category', data: cats, inverse: across, axisTick: { show: false }, axisLine: { lineStyle: { color: inkOf(p), opacity: 0.3 } }, axisLabel: { color: inkOf(p), fontSize: 11, hideOverlap: true, overflow: 'truncate', width: across ? Math.min(160, p.width * 0.3) : Math.max(50, (p.width / Math.max(cats.length, 1)) - 6) } };
  const sums = cats.map((_, i) => numbers.reduce((s, f) => s + Math.abs((f.values[i] as number | null) ?? 0), 0));
  return {
    grid: { left: 6, right: legend.right ? 160 : 14, top: 10, bottom: names.length > 1 ? legend.room : 4, outerBoundsMode: 'same', containLabel: true },
    tooltip: tooltipOf(p, { trigger: 'axis', axisPointer: { type: 'shadow' }, valueFormatter: (v: number) => formatText(v, first?.config.unit, first?.config.decimals) }),
    legend: { ...legend.option, show: legend.show && names.length > 1 },
    xAxis: across ? value : category, yAxis: across ? category : value,
    series: numbers.map((f, i) => ({
      type: 'bar', name: names[i], stack: o.stacking === 'normal' || o.stacking === 'percent' ? 'all' : undefined, barMaxWidth: 60, barCategoryGap: histogram ? '2%' : undefined,
      itemStyle: { color: seriesShade(f, i, p) },
      data: f.values.map((v, k) => {
        const d = displayOf(f, p.look)(v);
        const mode = f.config.color?.mode ?? 'palette-classic';
        return { value: o.stacking === 'percent' ? ((v as number) / (sums[k] || 1)) * 100 : v, itemStyle: { color: d.mapped || (mode !== 'palette-classic' && mode !== 'palette-classic-by-name') ? d.color : seriesColor(i, p.look.dark) } };
      }),
      label: { show: o.showValue === 'always', position: across ? 'right' : 'top', color: inkOf(p), fontSize: 11, formatter: (d: { dataIndex: number }) => whole(displayOf(f, p.look)(f.values[d.dataIndex])) },
    })),
  };
}

// seriesShade is the color of a series in the legend.
function seriesShade(f: Field, i: number, p: PanelProps): string {
  const c = f.config.color;
  return (c?.mode === 'fixed' || c?.mode === 'shades') && c.fixedColor ? color(c.fixedColor, p.look.dark) : seriesColor(i, p.look.dark);
}

// buckets counts values of all series into some thirty ranges.
function buckets(frames: Frame[]): Frame {
  const all = frames.flatMap((f) => numberFields(f).flatMap((c) => c.values)).filter((v): v is number => typeof v === 'number' && Number.isFinite(v));
  const config = frames.flatMap(numberFields)[0]?.config ?? {};
  const [lo, hi] = all.reduce(([a, b], v) => [Math.min(a, v), Math.max(b, v)], [Infinity, -Infinity]);
  const n = Math.min(30, Math.max(1, Math.ceil(Math.sqrt(all.length))));
  const size = (hi - lo) / n || 1;
  const counts = new Array<number>(n).fill(0);
  for (const v of all) counts[Math.min(n - 1, Math.floor((v - lo) / size))]! += 1;
  return { length: n, fields: [{ name: 'Range', type: 'string', config: {}, values: counts.map((_, i) => formatText(lo + i * size, config.unit, config.decimals)) }, { name: 'Count', type: 'number', config: {}, values: counts }] };
}

const bound = (t: string): number => (t === '+Inf' ? Infinity : Number(t));

// heatmapOption draws series as rows of cells: those of a histogram by their bounds, and as buckets if they count from zero.
export function heatmapOption(p: PanelProps): object {
  const o = (p.panel.options ?? {}) as { calculate?: boolean; yAxis?: { unit?: string; decimals?: number; reverse?: boolean }; color?: { scheme?: string } };
  const rows = p.frames.flatMap((f) => numberFields(f).map((c) => ({ times: (timeField(f)?.values ?? []) as number[], values: c.values as (number | null)[], le: c.labels?.le, name: c.labels?.le ?? displayName(c, f) })));
  const numeric = rows.length > 0 && rows.every((r) => !Number.isNaN(bound(r.name)));
  if (numeric) rows.sort((a, b) => bound(a.name) - bound(b.name));
  const times = [...new Set(rows.flatMap((r) => r.times))].sort((a, b) => a - b);
  const at = new Map(times.map((t, i) => [t, i]));
  const counted = p.panel.targets?.some((t) => t.format === 'heatmap') === true; // by the target's word: buckets of Prometheus
  const cumulative = numeric && counted && rows.length > 1 || numeric && rows.length > 1 && rows.every((r) => r.le !== undefined) && rows.slice(1).every((r, i) => r.values.every((v, k) => v === null || (rows[i]!.values[k] ?? 0) <= v + 1e-9));
  const cells: [number, number, number][] = [];
  let max = 0;
  rows.forEach((r, y) => r.values.forEach((v, i) => {
    if (v === null) return;
    const n = cumulative && y > 0 ? v - (rows[y - 1]!.values[i] ?? 0) : v;
    if (!(n > 0)) return;
    cells.push([at.get(r.times[i]!)!, y, n]);
    max = Math.max(max, n);
  }));
  const unit = o.yAxis?.unit ?? p.panel.fieldConfig?.defaults?.unit;
  const day = p.range.to - p.range.from > 86400e3;
  const scheme = Array.from({ length: 6 }, (_, i) => ramp('continuous-blues', p.look.dark ? i / 5 : 1 - (i / 5) * 0.9));
  const label = { color: inkOf(p), fontSize: 11, hideOverlap: true };
  return {
    grid: { left: 6, right: 12, top: 8, bottom: 4, containLabel: true },
    tooltip: tooltipOf(p, { formatter: (d: { data: [number, number, number] }) => `${timeText(times[d.data[0]]!, p.look.zone)}\n${yText(rows[d.data[1]]!.name)}: ${formatText(d.data[2])}` }),
    visualMap: { show: false, min: 0, max: max || 1, inRange: { color: scheme } },
    xAxis: { type: 'category', data: times.map((t) => timeText(t, p.look.zone).slice(day ? 5 : 11, day ? 16 : 16)), axisLabel: label, axisTick: { show: false } },
    yAxis: { type: 'category', data: rows.map((r) => yText(r.name)), axisLabel: label, axisTick: { show: false }, inverse: o.yAxis?.reverse === true },
    series: [{ type: 'heatmap', data: cells, progressive: 4000, itemStyle: { borderWidth: 0 } }],
  };

  function yText(name: string): string {
    return numeric && Number.isFinite(bound(name)) ? formatText(bound(name), unit, o.yAxis?.decimals) : name;
  }
}
