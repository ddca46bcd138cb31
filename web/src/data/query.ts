import { durationText, interval, parseDuration, parseTime, type Range } from '../format/time';
import { sourceOf, type Panel, type Target } from '../model/dashboard';
import { interpolate, timeMacros, type Scope } from '../model/interpolate';
import { promBatch, sqlBatch, type PromAnswer, type SQLAnswer } from './api';
import { makeFrame, type Field, type Frame, type Labels } from './frame';

// Question is all that the answer of a panel depends on.
export interface Question { panel: Panel; range: Range; scope: Scope; points: number; scrapeMs: number }
export interface Answer { frames: Frame[]; errors: string[]; range: Range; stepMs: number; notes: string[] }

// shown is the range of a panel, which may have its own.
export function shown(panel: Panel, range: Range): Range {
  let r = range;
  if (panel.timeFrom) {
    const from = parseTime(panel.timeFrom.startsWith('now') ? panel.timeFrom : `now-${panel.timeFrom}`, r.to, false);
    if (from < r.to) r = { from, to: r.to };
  }
  const shift = panel.timeShift ? parseDuration(panel.timeShift) : Number.NaN;
  return Number.isFinite(shift) ? { from: r.from - shift, to: r.to - shift } : r;
}

export async function ask(q: Question, signal: AbortSignal): Promise<Answer> {
  const range = shown(q.panel, q.range);
  const least = parseDuration(interpolate(q.panel.interval ?? '', q.scope).replace(/^>/, ''));
  const stepMs = interval(range, q.panel.maxDataPoints ?? q.points, Number.isFinite(least) ? least : q.scrapeMs);
  const answer: Answer = { frames: [], errors: [], range, stepMs, notes: [] };
  const targets = q.panel.targets ?? [];
  const prom = targets.filter((t) => sourceOf(t, q.panel.datasource) === 'prometheus' && !t.hide && t.expr);
  const sql = targets.filter((t) => sourceOf(t, q.panel.datasource) === 'sql' && t.rawSql);
  for (const t of targets) {
    const s = sourceOf(t, q.panel.datasource);
    if (!['prometheus', 'sql', 'none'].includes(s)) answer.errors.push(`data source ${s} is not one of this server's`);
  }
  const [a, b] = await Promise.all([
    prom.length ? promBatch(prom.map((t) => promQuery(t, range, stepMs, q)), signal) : [],
    sql.length ? sqlBatch({ range, stepMs, scope: q.scope, queries: sql.map((t) => sqlQuery(t)) }, signal) : [],
  ]);
  for (const t of targets) {
    const p = prom.includes(t) ? a[prom.indexOf(t)] : undefined;
    if (p) collect(answer, t, p, prom.length > 1, { ...range, stepMs }, q.scope);
    const s = b.find((x) => x.ref_id === t.refId);
    if (s && sql.includes(t) && !t.hide) collectSQL(answer, t, s);
  }
  return answer;
}

function promQuery(t: Target, range: Range, panelStep: number, q: Question) {
  const own = parseDuration(interpolate(t.interval ?? '', q.scope));
  const stepMs = Number.isFinite(own) ? Math.max(own, panelStep) : panelStep;
  const macros = timeMacros(range.from, range.to, durationText(stepMs), stepMs, q.scrapeMs);
  const align = (ms: number) => String(Math.floor(ms / stepMs) * stepMs / 1e3); // the same points again after a refresh
  const instant = t.instant === true && t.range !== true;
  return {
    ref_id: t.refId, expr: interpolate(t.expr ?? '', q.scope, 'promql', macros), instant,
    start: align(range.from), end: instant ? String(range.to / 1e3) : align(range.to), step: String(stepMs / 1e3),
  };
}

function sqlQuery(t: Target) {
  const series = t.format === 'time_series' || t.format === 'timeseries' || t.format === 0;
  return {
    ref_id: t.refId, sql: t.rawSql ?? '', format: series ? 'time_series' : 'table', time_column: t.timeColumn || undefined, metric_column: t.metricColumn || undefined,
    hide: t.hide || undefined, return_result: t.returnResult,
  };
}

const number = (text: string): number => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text));

// legendOf names a series: {{label}} of the target, Grafana's __auto, else the labels.
export function legendOf(t: Target, labels: Labels, scope: Scope): string | undefined {
  const f = t.legendFormat ?? '';
  if (f === '' || f === '__auto') return undefined;
  return interpolate(f, scope, 'text').replace(/\{\{\s*(.+?)\s*\}\}/g, (_, name: string) => labels[name] ?? '');
}

function collect(out: Answer, t: Target, a: PromAnswer, several: boolean, r: Range & { stepMs: number }, scope: Scope): void {
  if (a.body.status !== 'success' || !a.body.data) {
    out.errors.push(`${t.refId}: ${a.body.error ?? `status ${a.code}`}`);
    return;
  }
  out.notes.push(...(a.body.warnings ?? []));
  const d = a.body.data;
  if (t.format === 'table') {
    out.frames.push(table(t, d.resultType === 'matrix' ? d.result.flatMap((s) => s.values.map((v) => ({ metric: s.metric, value: v }))) : d.resultType === 'vector' ? d.result : [{ metric: {}, value: d.result }], several));
    return;
  }
  const list = d.resultType === 'matrix' ? d.result : d.resultType === 'vector' ? d.result.map((s) => ({ metric: s.metric, values: [s.value] })) : [{ metric: {}, values: [d.result] }];
  for (const s of list) {
    const [times, values] = d.resultType === 'matrix' ? filled(s.values, r) : [s.values.map((v) => v[0] * 1e3), s.values.map((v) => number(v[1]))];
    let legend = legendOf(t, s.metric, scope);
    if (legend === undefined && t.legendFormat === '__auto' && list.length === 1) legend = t.expr;
    out.frames.push(makeFrame([
      { name: 'Time', type: 'time', values: times, config: {} },
      { name: 'Value', type: 'number', values, labels: s.metric, legend, config: {} },
    ], { refId: t.refId, name: legend }));
  }
}

let latest: { first: number; stepMs: number; times: number[] } = { first: 0, stepMs: 0, times: [] };

// steps are the times of points. Series of a panel, and mostly those of a dashboard, share one list of them.
function steps(first: number, n: number, stepMs: number): number[] {
  if (latest.first !== first || latest.stepMs !== stepMs || latest.times.length !== n) {
    const times = new Array<number>(n);
    for (let i = 0; i < n; i++) times[i] = first + i * stepMs;
    latest = { first, stepMs, times };
  }
  return latest.times;
}

// filled puts null where a step has no sample, so that a line breaks there.
function filled(values: [number, string][], r: { from: number; to: number; stepMs: number }): [number[], (number | null)[]] {
  const first = Math.floor(r.from / r.stepMs) * r.stepMs;
  const n = Math.floor((Math.floor(r.to / r.stepMs) * r.stepMs - first) / r.stepMs) + 1;
  if (!(n > 0) || n > 20000) return [values.map((v) => v[0] * 1e3), values.map((v) => number(v[1]))];
  const out: (number | null)[] = new Array(n).fill(null);
  for (const v of values) {
    const i = Math.round((v[0] * 1e3 - first) / r.stepMs);
    if (i >= 0 && i < n) out[i] = number(v[1]);
  }
  return [steps(first, n, r.stepMs), out];
}

function table(t: Target, list: { metric: Labels; value: [number, string] }[], several: boolean): Frame {
  const names = [...new Set(list.flatMap((s) => Object.keys(s.metric)))].sort();
  const fields: Field[] = [{ name: 'Time', type: 'time', values: list.map((s) => s.value[0] * 1e3), config: {} }];
  for (const n of names) fields.push({ name: n, type: 'string', values: list.map((s) => s.metric[n] ?? null), config: {} });
  fields.push({ name: several ? `Value #${t.refId}` : 'Value', type: 'number', values: list.map((s) => number(s.value[1])), config: {} });
  return makeFrame(fields, { refId: t.refId });
}

const kinds: Record<string, Field['type']> = { time: 'time', int: 'number', float: 'number', number: 'number', bool: 'boolean', string: 'string' };

function collectSQL(out: Answer, t: Target, a: SQLAnswer): void {
  if (a.error) {
    out.errors.push(`${t.refId}: ${a.error.message}${a.error.line ? ` (line ${a.error.line})` : ''}`);
    return;
  }
  if (a.truncated) out.notes.push(`${t.refId}: only the first ${a.row_count} rows`);
  const frame = sqlFrame(a);
  out.frames.push({ ...frame, refId: t.refId });
}

// sqlFrame makes a frame of rows. Times come as text, and so do numbers that JSON has none for.
export function sqlFrame(a: SQLAnswer): Frame {
  const rows = a.rows ?? [];
  const fields = (a.columns ?? []).map((c, i): Field => {
    const type = kinds[c.kind] ?? 'string';
    const values = rows.map((r) => {
      const v = r[i] ?? null;
      if (v === null) return null;
      if (type === 'time') return Date.parse(String(v));
      return type === 'number' ? number(String(v)) : v;
    });
    const labels = c.labels && Object.keys(c.labels).length > 0 ? c.labels : undefined;
    return { name: c.name, type, values, labels, legend: labels ? Object.values(labels).map((v) => v || '(none)').join(' ') : undefined, config: {} };
  });
  return { ...makeFrame(fields, { refId: a.ref_id }), length: rows.length };
}
