import { useRef } from 'react';
import { api, sqlBatch, type PromData } from '../data/api';
import { sqlFrame } from '../data/query';
import { durationText, interval, type Range } from '../format/time';
import type { Dashboard } from '../model/dashboard';
import { interpolate, timeMacros, type Scope } from '../model/interpolate';
import type { Mark } from '../panels/types';
import { useAsync } from '../ui/hooks';

const most = 200;
const none: Mark[] = [];

// useMarks are the annotations of a dashboard. One without any shows when alerts about its data began to fire.
export function useMarks(d: Dashboard, scope: Scope, range: Range, ready: boolean): Mark[] {
  const own = (d.annotations?.list ?? []).filter((a) => a.enable !== false && (a.expr || a.rawSql) && !a.builtIn);
  const list = own.length ? own.map((a) => ({ name: a.name, expr: a.expr ?? '', sql: a.rawSql, color: a.iconColor ?? 'red', title: a.titleFormat })) : fallback(d);
  const found = useAsync(ready && list.length ? async (signal) => (await Promise.all(list.map((a) => (a.sql ? rowMarks(a.sql, a, scope, range, signal) : marks(a, scope, range, signal)).catch(() => none)))).flat().slice(0, most) : undefined, [ready, scope, range, d]).data ?? none;
  // The same marks after a refresh are the same: nothing is drawn anew for them.
  const kept = useRef(none);
  if (JSON.stringify(kept.current) !== JSON.stringify(found)) kept.current = found;
  return kept.current;
}

interface Source { name: string; expr: string; sql?: string; color: string; title?: string }

// fallback shows the alerts whose names begin as the dashboard's title does: WireGuardPeerStale on "WireGuard".
function fallback(d: Dashboard): Source[] {
  const word = /^[A-Za-z]{4,}/.exec(d.title)?.[0];
  if (!word || !d.tags?.includes('oriel')) return [];
  return [{ name: 'Alerts', expr: `ALERTS{alertstate="firing",alertname=~"(?i:${word.replace(/s$/, '')}).*"}`, color: 'red' }];
}

// rowMarks are the rows of a query: its first time, a second one as the end, and what text or title says.
async function rowMarks(sql: string, a: Source, scope: Scope, range: Range, signal: AbortSignal): Promise<Mark[]> {
  const [answer] = await sqlBatch({ range, stepMs: interval(range, 500, 15e3), scope, maxRows: most, queries: [{ ref_id: 'A', sql, format: 'table' }] }, signal);
  if (!answer || answer.error) return none;
  const frame = sqlFrame(answer);
  const [at, end] = frame.fields.filter((f) => f.type === 'time');
  const words = frame.fields.filter((f) => /^(title|text|name|event)$/i.test(f.name));
  if (!at) return none;
  return at.values.flatMap((t, i) => {
    const text = [a.name, ...words.map((f) => f.values[i])].filter(Boolean).join(': ');
    const until = end?.values[i];
    return typeof t === 'number' ? [{ time: t, end: typeof until === 'number' ? until : undefined, text, color: a.color }] : [];
  });
}

async function marks(a: Source, scope: Scope, range: Range, signal: AbortSignal): Promise<Mark[]> {
  const step = interval(range, 500, 15e3);
  const query = interpolate(a.expr, scope, 'promql', timeMacros(range.from, range.to, durationText(step), step, 15e3));
  const data = await api<PromData>('query_range', { query, start: String(range.from / 1e3), end: String(range.to / 1e3), step: String(step / 1e3) }, signal);
  if (data.resultType !== 'matrix') return none;
  return data.result.flatMap((s) => {
    const out: Mark[] = [];
    let before = -Infinity;
    const subject = s.metric.friendly_name ?? s.metric.name ?? s.metric.service ?? s.metric.device ?? '';
    const text = a.title ? a.title.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, k: string) => s.metric[k] ?? '') : [s.metric.alertname ?? a.name, subject].filter(Boolean).join(': ');
    for (const [at] of s.values) {
      const t = at * 1e3;
      if (t - before > step * 2) out.push({ time: t, end: t, text, color: a.color });
      out.at(-1)!.end = t;
      before = t;
    }
    return out;
  });
}
