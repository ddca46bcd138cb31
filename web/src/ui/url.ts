import { useCallback, useSyncExternalStore } from 'react';

// The URL is the state of the console: a page is its path, all else its parameters.

const listeners = new Set<() => void>();
const tell = () => listeners.forEach((f) => f());
addEventListener('popstate', tell);

function subscribe(f: () => void): () => void {
  listeners.add(f);
  return () => listeners.delete(f);
}

export interface Place { path: string; params: URLSearchParams }
let [last, place] = ['', { path: '/', params: new URLSearchParams() } as Place];

function snapshot(): Place {
  const now = location.pathname + location.search;
  if (now !== last) {
    last = now;
    place = { path: location.pathname, params: new URLSearchParams(location.search) };
  }
  return place;
}

export const usePlace = (): Place => useSyncExternalStore(subscribe, snapshot);

export function go(to: string, replace = false): void {
  if (to === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  tell();
}

export type Change = Record<string, string | string[] | undefined>;

// change sets parameters; undefined takes one away.
export function change(values: Change, replace = false): void {
  const q = new URLSearchParams(location.search);
  for (const [k, v] of Object.entries(values)) {
    q.delete(k);
    for (const x of Array.isArray(v) ? v : v === undefined ? [] : [v]) q.append(k, x);
  }
  const text = q.toString();
  go(location.pathname + (text ? `?${text}` : ''), replace);
}

// useParam is one parameter as state.
export function useParam(name: string, initial = ''): [string, (v: string) => void] {
  const { params } = usePlace();
  const set = useCallback((v: string) => change({ [name]: v === initial ? undefined : v }), [name, initial]);
  return [params.get(name) ?? initial, set];
}
