import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useLayoutEffect, useRef, useState } from 'react';

// useAsync runs f anew when a dependency changes and ends what it began before.
export interface Async<T> { data?: T; error?: string; loading: boolean; at: number }

export function useAsync<T>(f: ((signal: AbortSignal) => Promise<T>) | undefined, deps: unknown[], keep = true): Async<T> {
  const [state, set] = useState<Async<T>>({ loading: f !== undefined, at: 0 });
  // eslint-disable-next-line react-hooks/exhaustive-deps -- the caller names what it depends on
  useEffect(() => {
    if (!f) return undefined;
    const c = new AbortController();
    set((s) => ({ ...s, ...(keep ? {} : { data: undefined }), loading: true }));
    f(c.signal).then(
      (data) => { if (!c.signal.aborted) set({ data, loading: false, at: Date.now() }); },
      (e: unknown) => { if (!c.signal.aborted) set((s) => ({ ...s, error: e instanceof Error ? e.message : String(e), loading: false })); },
    );
    return () => c.abort(new DOMException('not needed any longer', 'AbortError'));
  }, deps); // eslint-disable-line react-hooks/exhaustive-deps
  return state;
}

export function useSize<E extends HTMLElement>(): [React.RefObject<E | null>, { width: number; height: number }] {
  const ref = useRef<E>(null);
  const [size, set] = useState({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const e = ref.current;
    if (!e) return undefined;
    const measure = () => set((s) => {
      const [width, height] = [Math.floor(e.clientWidth), Math.floor(e.clientHeight)];
      return s.width === width && s.height === height ? s : { width, height };
    });
    const o = new ResizeObserver(measure);
    measure();
    o.observe(e);
    return () => o.disconnect();
  }, []);
  return [ref, size];
}

// useSeen tells whether an element is, or was, near the part of the page that is seen.
export function useSeen<E extends HTMLElement>(ref: React.RefObject<E | null>): boolean {
  const [seen, set] = useState(false);
  useEffect(() => {
    if (!ref.current) return undefined;
    const o = new IntersectionObserver((list) => set(list.some((x) => x.isIntersecting)), { rootMargin: '300px' });
    o.observe(ref.current);
    return () => o.disconnect();
  }, [ref]);
  return seen;
}

export const useDark = (): boolean => useComputedColorScheme('dark') === 'dark';

// useTick calls f every ms while the page is seen; 0 is never.
export function useTick(ms: number, f: () => void): void {
  const last = useRef(f);
  last.current = f;
  useEffect(() => {
    if (!(ms > 0)) return undefined;
    const id = setInterval(() => { if (!document.hidden) last.current(); }, ms);
    return () => clearInterval(id);
  }, [ms]);
}

// save offers a text as a file.
export function save(name: string, text: string, type = 'text/csv'): void {
  const url = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  const a = document.createElement('a');
  a.href = url;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(url), 10e3);
}
