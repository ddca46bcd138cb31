import { api, getJSON, sqlBatch, sqlColumns, sqlTables, vector, type Sample } from '../data/api';
import { sqlFrame } from '../data/query';
import type { Frame, Labels } from '../data/frame';
import type { Range } from '../format/time';
import type { Dashboard } from '../model/dashboard';
import type { Chosen, Scope } from '../model/interpolate';
import { queryText } from '../model/variables';

// Everything that is known of a name: series whose labels have it, rows of all tables, dashboards of both.

const mostSeries = 2000;
const dull = new Set(['__name__', 'le', 'quantile', 'job', 'version', 'revision', 'goversion']);
const escape = (t: string): string => t.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
const quote = (t: string): string => JSON.stringify(t);

// wordAround is a pattern of labels in which the term stands as a whole: 10.0.0.1 is not in 10.0.0.12.
export const wordAround = (term: string): string => `(?i)(.*[^a-zA-Z0-9.:])?${escape(term)}([^a-zA-Z0-9.].*)?`;
const anywhere = (term: string): string => `(?i).*${escape(term)}.*`;
export const isAddress = (t: string): boolean => /^[\d.]+(\/\d+)?$/.test(t) || /^[0-9a-f:]*:[0-9a-f:]*(\/\d+)?$/i.test(t);

const identities = ['public_key', 'tunnel_id'];

export interface Match { label: string; value: string; metrics: number }
export interface Known { matches: Match[]; samples: Sample[]; more: boolean }

// metrics finds series by their labels and asks for what they are now.
export async function metrics(term: string, range: Range, signal: AbortSignal): Promise<Known> {
  const labels = (await api<string[]>('labels', { start: String(range.from / 1e3), end: String(range.to / 1e3) }, signal)).filter((l) => !dull.has(l) && !l.startsWith('__'));
  const pattern = isAddress(term) ? wordAround(term) : anywhere(term);
  const re = new RegExp(`^(?:${pattern.replace('(?i)', '')})$`, 'i');
  const found: Labels[] = [];
  for (let i = 0; i < labels.length; i += 40) { // addresses have a length
    const match = labels.slice(i, i + 40).map((l) => `{${l}=~${quote(pattern)}}`);
    found.push(...await api<Labels[]>('series', { 'match[]': match, start: String(range.from / 1e3), end: String(range.to / 1e3), limit: String(mostSeries) }, signal));
  }
  const count = new Map<string, Match>();
  for (const s of found) {
    for (const [label, value] of Object.entries(s)) {
      if (dull.has(label) || !re.test(value)) continue;
      const key = `${label}\0${value}`;
      const m = count.get(key) ?? { label, value, metrics: 0 };
      m.metrics++;
      count.set(key, m);
    }
  }
  const matches = [...count.values()].sort((a, b) => b.metrics - a.metrics);
  const seen = new Map<string, Sample>();
  const answers = await Promise.all(matches.slice(0, 8).map((m) => vector(`{${m.label}=${quote(m.value)}}`, range.to, signal)));
  for (const s of answers.flat()) seen.set(JSON.stringify(s.metric), s);
  // A peer's or a tunnel's figures carry its key only: a name leads to it.
  const keys = identities.flatMap((label) => {
    const values = [...new Set(answers.flat().map((s) => s.metric[label]).filter((v): v is string => v !== undefined))];
    return values.length <= 3 ? values.filter((v) => !matches.some((m) => m.label === label && m.value === v)).map((v) => `{${label}=${quote(v)}}`) : [];
  });
  for (const s of (await Promise.all(keys.map((k) => vector(k, range.to, signal)))).flat()) seen.set(JSON.stringify(s.metric), s);
  const samples = [...seen.values()].sort((a, b) => (a.metric.__name__ ?? '').localeCompare(b.metric.__name__ ?? ''));
  return { matches, samples: samples.slice(0, 500), more: samples.length > 500 || matches.length > 8 || found.length >= mostSeries };
}

export interface Rows { table: string; frame?: Frame; error?: string; rows: number; truncated: boolean }

// records finds rows of all tables in which a text column has the term.
export async function records(term: string, range: Range, signal: AbortSignal): Promise<Rows[]> {
  const tables = (await sqlTables(signal)).filter((t) => !t.view);
  const columns = await Promise.all(tables.map((t) => sqlColumns(t.name, signal)));
  const q: Chosen = { name: 'q', values: [{ text: term, value: term }], all: false, multi: false };
  const scope: Scope = new Map([['q', q]]);
  const name = (c: string) => `"${c.replace(/"/g, '""')}"`;
  const asked = tables.map((t, i) => {
    const text = columns[i]!.filter((c) => c.kind === 'string' && !/object_key|^extra$/.test(c.name));
    const test = (c: string) => (isAddress(term) ? `CAST(${name(c)} AS VARCHAR) = '\${q}'` : `contains(lower(CAST(${name(c)} AS VARCHAR)), lower('\${q}'))`);
    const time = t.time_column ? `$__timeFilterColumn(${t.time_column}, timestamp) AND ` : '';
    return { t, sql: `SELECT * FROM ${name(t.name)} WHERE ${time}(${text.map((c) => test(c.name)).join(' OR ') || 'false'})${t.time_column ? ` ORDER BY ${t.time_column} DESC` : ''} LIMIT 201` };
  });
  if (asked.length === 0) return [];
  const answers = await sqlBatch({ range, stepMs: 60e3, scope, maxRows: 201, queries: asked.map((a, i) => ({ ref_id: `T${i}`, sql: a.sql, format: 'table' })) }, signal);
  return answers.map((a, i) => ({ table: asked[i]!.t.name, frame: a.error ? undefined : useful(sqlFrame(a)), error: a.error?.message, rows: Math.min(a.row_count, 200), truncated: a.row_count > 200 }));
}

// useful leaves out columns in which all rows have nothing.
const useful = (f: Frame): Frame => ({ ...f, fields: f.fields.filter((c) => c.values.some((v) => v !== null && v !== '')) });

// Talk is who a name exchanged flows with.
export const flowSummary = `SELECT CASE WHEN initiator_ip = '\${q}' THEN target_ip ELSE initiator_ip END AS peer, CASE WHEN initiator_ip = '\${q}' THEN 'to' ELSE 'from' END AS direction, action,
  count(*)::DOUBLE AS flows, sum(coalesce(bytes_from_initiator, 0) + coalesce(bytes_from_target, 0))::DOUBLE AS bytes, count(DISTINCT target_port)::DOUBLE AS ports, min(start_time) AS first, max(start_time) AS last
FROM flows WHERE $__timeFilterColumn(start_time, timestamp) AND (initiator_ip = '\${q}' OR target_ip = '\${q}') GROUP BY ALL ORDER BY flows DESC LIMIT 50`;

export interface Hit { uid: string; title: string; url: string }

// dashboardsOf are those that show one of the metrics, with a variable set where one chooses by the label.
export async function dashboardsOf(known: Known, rows: Rows[], signal: AbortSignal): Promise<Hit[]> {
  const { dashboards } = await getJSON<{ dashboards: { uid: string; title: string; error?: string }[] }>('/api/console/dashboards', signal);
  const metricNames = new Set(known.samples.map((s) => s.metric.__name__ ?? ''));
  const inTables = new Set(rows.filter((r) => r.rows > 0).map((r) => r.table));
  const all = await Promise.all(dashboards.filter((d) => !d.error).map((d) => getJSON<Dashboard>(`/api/console/dashboards/${encodeURIComponent(d.uid)}`, signal)));
  const out: Hit[] = [];
  for (const d of all) {
    const text = JSON.stringify(d.panels);
    const words = new Set(text.match(/[a-zA-Z_:][\w:]*/g));
    if (![...metricNames].some((n) => words.has(n)) && !(inTables.has('flows') && words.has('__source'))) continue;
    const vars: string[] = [];
    for (const v of d.templating?.list ?? []) {
      if (v.type !== 'query') continue;
      const label = /label_values\([^)]*,\s*(\w+)\s*\)\s*$/.exec(queryText(v))?.[1] ?? /(\w+)="\(\?<value>/.exec(v.regex ?? '')?.[1];
      const values = [...new Set(known.samples.map((s) => s.metric[label ?? '']).filter((x): x is string => x !== undefined))];
      if (values.length > 0 && values.length <= 20 && known.matches.some((m) => m.label === label || values.length < 3)) vars.push(...(v.multi ? values : values.slice(0, 1)).map((x) => `var-${v.name}=${encodeURIComponent(x)}`));
    }
    out.push({ uid: d.uid, title: d.title, url: `/d/${encodeURIComponent(d.uid)}${vars.length ? `?${vars.join('&')}` : ''}` });
  }
  return out;
}
