import { useMemo } from 'react';
import { getJSON } from '../data/api';
import { parseRange, type Range } from '../format/time';
import type { Dashboard } from '../model/dashboard';
import { queryParam, type Scope } from '../model/interpolate';
import { change, usePlace } from '../ui/url';

// State is what the URL says of a dashboard: range, zone, refresh and variables.
export interface State { from: string; to: string; zone: string; refresh: string; wanted: Map<string, string[]>; panel?: number }

export function useDashboardState(d: Dashboard | undefined): State {
  const { params } = usePlace();
  return useMemo(() => {
    const wanted = new Map<string, string[]>();
    for (const k of new Set(params.keys())) if (k.startsWith('var-')) wanted.set(k.slice(4), params.getAll(k));
    const zone = d?.timezone === 'utc' ? 'utc' : (d?.timezone ?? 'browser');
    return {
      from: params.get('from') ?? d?.time?.from ?? 'now-6h', to: params.get('to') ?? d?.time?.to ?? 'now', zone: params.get('timezone') ?? (zone || 'browser'),
      refresh: params.get('refresh') ?? (d?.refresh || ''), wanted, panel: Number(params.get('viewPanel')) || undefined,
    };
  }, [params, d]);
}

export const rangeOf = (s: { from: string; to: string }, now: number): Range => parseRange(s.from, s.to, now);

export const setRange = (r: Range): void => change({ from: String(Math.round(r.from)), to: String(Math.round(r.to)) });

// shift moves a range by half of itself; later ends now.
export function shift(r: Range, by: -1 | 1): void {
  const half = (r.to - r.from) / 2;
  const to = Math.min(r.to + by * half, Date.now());
  setRange({ from: to - (r.to - r.from), to });
}

export const zoomOut = (r: Range): void => {
  const half = (r.to - r.from) / 2;
  setRange({ from: r.from - half, to: Math.min(r.to + half, Date.now()) });
};

let interval: Promise<number> | undefined;
// scrapeMs is how far points are apart at least: Grafana's default, or what this server collects by if that is longer.
export const scrapeMs = (): Promise<number> =>
  (interval ??= getJSON<{ interval_s: number }>('/api/console/status').then((s) => Math.max(15e3, s.interval_s * 1e3)).catch(() => 15e3));

// linkTo adds what a link of a dashboard takes along.
export function linkTo(url: string, scope: Scope, state: State, vars: boolean, time: boolean): string {
  const parts = [time && `from=${encodeURIComponent(state.from)}&to=${encodeURIComponent(state.to)}`, vars && [...scope.values()].map(queryParam).filter(Boolean).join('&')].filter(Boolean);
  return parts.length ? `${url}${url.includes('?') ? '&' : '?'}${parts.join('&')}` : url;
}
