import { promBatch, sqlBatch, type PromAnswer } from '../data/api';
import type { Range } from '../format/time';
import { formatText } from '../format/units';

// What the overview says of each source: one figure that tells how it is, and one line of what it did.

export interface Source {
  pool: string; // the job of its metrics
  title: string;
  tags: string[]; // of its dashboards, the best first
  figure?: { expr: string; of?: string; unit?: string; words: string; good?: (value: number, of: number) => boolean };
  line?: { expr: string; unit: string; words: string };
}

const whole = (value: number, of: number) => value >= of;
const none = (value: number) => value === 0;

export const sources: Source[] = [
  { pool: 'wireguard', title: 'WireGuard', tags: ['wireguard'], figure: { expr: 'sum(wireguard_peer_up)', of: 'count(wireguard_peer_up)', words: 'peers connected', good: whole }, line: { expr: '8 * (sum(rate(wireguard_peer_receive_bytes_total[5m])) + sum(rate(wireguard_peer_transmit_bytes_total[5m])))', unit: 'bps', words: 'through the tunnels' } },
  { pool: 'tunnels', title: 'TLS tunnels', tags: ['tunnels'], figure: { expr: 'sum(oriel_tunnel_probe_success)', of: 'count(oriel_tunnel_probe_success)', words: 'work', good: whole }, line: { expr: '8 * sum(rate(oriel_tunnel_bytes_total[5m]))', unit: 'bps', words: 'through the tunnels' } },
  { pool: 'neuvector', title: 'Containers', tags: ['neuvector'], figure: { expr: 'sum(oriel_neuvector_container_vulnerabilities{severity="critical"})', words: 'critical vulnerabilities', good: none }, line: { expr: '60 * sum(rate(oriel_neuvector_security_events_total[5m]))', unit: 'short', words: 'security events a minute' } },
  { pool: 'packets', title: 'Packets', tags: ['packets'], figure: { expr: 'sum(oriel_packets_connections_open) or sum(oriel_packets_connections)', words: 'open connections' }, line: { expr: 'sum(rate(oriel_packets_captured_bytes_total[5m]))', unit: 'Bps', words: 'captured' } },
  { pool: 'flows', title: 'Flow logs', tags: ['flows'] },
  { pool: 'influx', title: 'InfluxDB push', tags: ['influxdb'], figure: { expr: 'sum(oriel_influx_buffer_bytes)', unit: 'bytes', words: 'wait in the buffer' }, line: { expr: 'sum(rate(oriel_influx_written_lines_total[5m]))', unit: 'cps', words: 'lines written' } },
  { pool: 'wirerest', title: 'WireRest', tags: ['wirerest'], figure: { expr: 'sum(wirerest_peers_total)', words: 'peers' } },
];

export interface Reading { value?: number; of?: number; line?: { times: number[]; values: (number | null)[] } }

const numbers = (a?: PromAnswer): { times: number[]; values: (number | null)[] } | undefined => {
  const d = a?.body.data;
  if (d?.resultType === 'vector') return d.result.length ? { times: [d.result[0]!.value[0] * 1e3], values: [Number(d.result[0]!.value[1])] } : undefined;
  if (d?.resultType !== 'matrix' || d.result.length === 0) return undefined;
  return { times: d.result[0]!.values.map((v) => v[0] * 1e3), values: d.result[0]!.values.map((v) => Number(v[1])) };
};

// readings asks for all figures and lines in one request. Lines are of the last three hours.
export async function readings(list: Source[], range: Range, signal: AbortSignal): Promise<Map<string, Reading>> {
  const step = 120;
  const align = (ms: number) => String(Math.floor(ms / 1e3 / step) * step);
  const at = { start: align(range.to - 3 * 3600e3), end: align(range.to), step: String(step) };
  const now = { ...at, end: String(range.to / 1e3), instant: true };
  const queries = list.flatMap((s) => [
    ...(s.figure ? [{ ...now, ref_id: `${s.pool}:value`, expr: s.figure.expr }] : []),
    ...(s.figure?.of ? [{ ...now, ref_id: `${s.pool}:of`, expr: s.figure.of }] : []),
    ...(s.line ? [{ ...at, ref_id: `${s.pool}:line`, expr: s.line.expr, instant: false }] : []),
  ]);
  if (queries.length === 0) return new Map();
  const answers = new Map((await promBatch(queries, signal)).map((a) => [a.ref_id, numbers(a)]));
  return new Map(list.map((s) => [s.pool, {
    value: answers.get(`${s.pool}:value`)?.values.at(-1) ?? undefined, of: answers.get(`${s.pool}:of`)?.values.at(-1) ?? undefined, line: answers.get(`${s.pool}:line`),
  }]));
}

export interface Flows { flows: number; rejected: number; line?: Reading['line'] }

// flowReading is what the flow logs say of a day, by the hour.
export async function flowReading(range: Range, signal: AbortSignal): Promise<Flows> {
  const sql = "SELECT time_bucket(INTERVAL '30 minutes', start_time) AS time, count(*)::DOUBLE AS flows, count(*) FILTER (WHERE action = 'rejected')::DOUBLE AS rejected FROM flows WHERE $__timeFilterColumn(start_time, timestamp) GROUP BY 1 ORDER BY 1";
  const [a] = await sqlBatch({ range, stepMs: 60e3, scope: new Map(), queries: [{ ref_id: 'A', sql, format: 'table' }] }, signal);
  const rows = (a?.rows ?? []) as [string, number, number][];
  const sum = (i: 1 | 2) => rows.reduce((s, r) => s + Number(r[i]), 0);
  return { flows: sum(1), rejected: sum(2), line: rows.length > 2 ? { times: rows.map((r) => Date.parse(r[0])), values: rows.map((r) => Number(r[1])) } : undefined };
}

export const figureText = (s: Source, r?: Reading): string => {
  if (r?.value === undefined) return '';
  const v = formatText(r.value, s.figure?.unit ?? 'locale', s.figure?.unit ? null : 0);
  return r.of === undefined ? v : `${v} / ${formatText(r.of, 'locale', 0)}`;
};
