import { api, getJSON, postJSON } from '../data/api';
import type { Labels } from '../data/frame';

// What Prometheus' and Alertmanager's APIs say about alerts.

export interface Alert { labels: Labels; annotations: Labels; startsAt: string; endsAt: string; fingerprint: string; status: { state: 'active' | 'suppressed' | 'unprocessed'; silencedBy: string[]; inhibitedBy: string[] } }
export interface Matcher { name: string; value: string; isRegex: boolean; isEqual: boolean }
export interface Silence { id: string; status: { state: 'active' | 'pending' | 'expired' }; matchers: Matcher[]; startsAt: string; endsAt: string; createdBy: string; comment: string }
export interface Rule { name: string; query: string; type: 'alerting' | 'recording'; health: string; lastError?: string; state?: 'firing' | 'pending' | 'inactive'; duration?: number; labels?: Labels; annotations?: Labels; alerts?: { state: string; labels: Labels; activeAt: string; value: string }[]; evaluationTime: number }
export interface RuleGroup { name: string; file: string; interval: number; rules: Rule[] }

export const firing = (s: AbortSignal): Promise<Alert[]> => getJSON('/alertmanager/api/v2/alerts', s);
export const silences = (s: AbortSignal): Promise<Silence[]> => getJSON('/alertmanager/api/v2/silences', s);
export const groups = async (s: AbortSignal): Promise<RuleGroup[]> => (await api<{ groups: RuleGroup[] }>('rules', {}, s)).groups;

export interface NewSilence { matchers: Matcher[]; hours: number; createdBy: string; comment: string }

export async function silence(n: NewSilence): Promise<void> {
  const now = Date.now();
  await postJSON('/alertmanager/api/v2/silences', {
    matchers: n.matchers, startsAt: new Date(now).toISOString(), endsAt: new Date(now + n.hours * 3600e3).toISOString(), createdBy: n.createdBy, comment: n.comment,
  });
}

export async function expire(id: string): Promise<void> {
  const r = await fetch(`/alertmanager/api/v2/silence/${encodeURIComponent(id)}`, { method: 'DELETE' });
  if (!r.ok) throw new Error((await r.text()).trim() || `${r.status} ${r.statusText}`);
}

// parseMatchers reads a="b", c=~"d.*" as Alertmanager's pages do; undefined if it cannot.
export function parseMatchers(text: string): Matcher[] | undefined {
  const out: Matcher[] = [];
  let rest = text.trim().replace(/^\{|\}$/g, '').trim();
  while (rest !== '') {
    const m = /^([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,\s*|$)/.exec(rest);
    if (!m) return undefined;
    const value = m[3] === undefined ? m[4]! : m[3].replace(/\\(.)/g, '$1');
    out.push({ name: m[1]!, value, isRegex: m[2]!.endsWith('~'), isEqual: !m[2]!.startsWith('!') });
    rest = rest.slice(m[0].length);
  }
  return out.length ? out : undefined;
}

export const matcherText = (m: Matcher): string => `${m.name}${m.isEqual ? '=' : '!'}${m.isRegex ? '~' : m.isEqual ? '' : '='}${JSON.stringify(m.value)}`;

const order: Record<string, number> = { critical: 0, error: 1, warning: 2, info: 3 };
export const bySeverity = (a: { labels: Labels }, b: { labels: Labels }): number => (order[a.labels.severity ?? ''] ?? 9) - (order[b.labels.severity ?? ''] ?? 9);
export const severityColor = (s: string | undefined): string => ({ critical: 'red', error: 'red', warning: 'orange', info: 'blue' })[s ?? ''] ?? 'gray';
