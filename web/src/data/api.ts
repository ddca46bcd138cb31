import type { Range } from '../format/time';
import { interpolate, type Scope } from '../model/interpolate';
import type { Labels } from './frame';

// What the server is asked. Every request ends with its signal.

export class Failure extends Error {
  constructor(message: string, readonly status = 0) { super(message); }
}

async function read(r: Response): Promise<unknown> {
  const text = await r.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Failure(text.trim().slice(0, 300) || `${r.status} ${r.statusText}`, r.status);
  }
}

export async function getJSON<T>(path: string, signal?: AbortSignal): Promise<T> {
  const r = await fetch(path, { signal, headers: { Accept: 'application/json' } });
  const body = await read(r);
  if (!r.ok) throw new Failure(message(body) ?? `${r.status} ${r.statusText}`, r.status);
  return body as T;
}

export async function postJSON<T>(path: string, v: unknown, signal?: AbortSignal, errorsInBody = false): Promise<T> {
  const r = await fetch(path, { method: 'POST', signal, headers: { 'Content-Type': 'application/json', Accept: 'application/json' }, body: JSON.stringify(v) });
  const body = await read(r);
  if (!r.ok && !(errorsInBody && r.status === 422)) throw new Failure(message(body) ?? `${r.status} ${r.statusText}`, r.status);
  return body as T;
}

function message(body: unknown): string | undefined {
  if (typeof body === 'string') return body;
  const b = body as { error?: string | { message?: string }; message?: string } | null;
  return typeof b?.error === 'string' ? b.error : (b?.error?.message ?? b?.message);
}

// api asks Prometheus' own API and unwraps its data.
export async function api<T>(path: string, params: Record<string, string | string[] | undefined>, signal?: AbortSignal): Promise<T> {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) for (const x of Array.isArray(v) ? v : v === undefined ? [] : [v]) q.append(k, x);
  const text = q.toString();
  const body = await getJSON<{ status: string; data: T; error?: string }>(`/api/v1/${path}${text ? `?${text}` : ''}`, signal);
  if (body.status !== 'success') throw new Failure(body.error ?? 'no success');
  return body.data;
}

const span = (r: Range) => ({ start: String(r.from / 1e3), end: String(r.to / 1e3) });

export const labelValues = (label: string, match: string | undefined, r: Range, signal: AbortSignal): Promise<string[]> =>
  api(`label/${encodeURIComponent(label)}/values`, { ...span(r), 'match[]': match }, signal);
export const names = (match: string | undefined, r: Range, signal: AbortSignal): Promise<string[]> => api('labels', { ...span(r), 'match[]': match }, signal);
export const series = (match: string, r: Range, signal: AbortSignal): Promise<Labels[]> => api('series', { ...span(r), 'match[]': match, limit: '2000' }, signal);

export interface Sample { metric: Labels; value: [number, string] }
export interface Series { metric: Labels; values: [number, string][] }
export type PromData =
  | { resultType: 'vector'; result: Sample[] } | { resultType: 'matrix'; result: Series[] } | { resultType: 'scalar' | 'string'; result: [number, string] };

export async function vector(query: string, at: number, signal?: AbortSignal): Promise<Sample[]> {
  const d = await api<PromData>('query', { query, time: String(at / 1e3) }, signal);
  return d.resultType === 'vector' ? d.result : [];
}

export interface PromQuery { ref_id: string; expr: string; instant: boolean; start: string; end: string; step: string }
export interface PromAnswer { ref_id: string; code: number; body: { status: string; data?: PromData; error?: string; warnings?: string[] } }

// promBatch sends the queries of a panel in one request.
export async function promBatch(queries: PromQuery[], signal: AbortSignal): Promise<PromAnswer[]> {
  return (await postJSON<{ results: PromAnswer[] }>('/api/console/query', { queries }, signal)).results;
}

export interface SQLColumn { name: string; type: string; kind: string; labels?: Labels }
export interface SQLQuery { ref_id: string; sql: string; format?: string; time_column?: string; metric_column?: string; hide?: boolean; return_result?: boolean }
export interface SQLAnswer {
  ref_id: string; columns?: SQLColumn[]; rows?: unknown[][]; row_count: number; truncated: boolean; cached: boolean; elapsed_ms: number; sql?: string; error?: { message: string; line?: number };
}

export interface SQLRequest { range: Range; stepMs: number; maxRows?: number; queries: SQLQuery[]; scope: Scope }

export async function sqlBatch(req: SQLRequest, signal: AbortSignal): Promise<SQLAnswer[]> {
  const variables: Record<string, string[]> = {};
  for (const v of req.scope.values()) variables[v.name] = v.values.map((o) => o.value);
  const body = {
    from: Math.round(req.range.from), to: Math.round(req.range.to), relative: true, interval_ms: req.stepMs, max_rows: req.maxRows ?? 10000, variables,
    // A template's own macros ($__...) are the server's; a request for text is not.
    queries: req.queries.map((q) => ({ ...q, sql: textual(q.sql, req.scope) })),
  };
  return (await postJSON<{ results: SQLAnswer[] }>('/api/sql/query', body, signal, true)).results;
}

// textual replaces ${x:text}: what a value is called is known here only.
function textual(sql: string, scope: Scope): string {
  return sql.replace(/\$\{\w+:text\}/g, (t) => interpolate(t, scope).replace(/'/g, "''"));
}

export async function sqlRows(sql: string, range: Range, scope: Scope, signal: AbortSignal): Promise<{ columns: SQLColumn[]; rows: unknown[][] }> {
  const [a] = await sqlBatch({ range, stepMs: 60e3, queries: [{ ref_id: 'A', sql, format: 'table' }], scope }, signal);
  if (!a || a.error) throw new Failure(a?.error?.message ?? 'no answer');
  return { columns: a.columns ?? [], rows: a.rows ?? [] };
}

export interface SQLTable { name: string; view: boolean; source: boolean; time_column?: string }
export const sqlTables = async (signal?: AbortSignal): Promise<SQLTable[]> => (await getJSON<{ tables: SQLTable[] }>('/api/sql/tables', signal)).tables;
export const sqlColumns = async (table: string, signal?: AbortSignal): Promise<SQLColumn[]> =>
  (await getJSON<{ columns: SQLColumn[] }>(`/api/sql/columns?table=${encodeURIComponent(table)}`, signal)).columns;
