import { memo, Suspense, useCallback, useEffect, useMemo, useRef } from 'react';
import { configure } from '../data/config';
import { csv } from '../data/csv';
import type { Frame } from '../data/frame';
import { ask, shown } from '../data/query';
import { oneTable } from '../data/reduce';
import { transform } from '../data/transform';
import type { Look } from '../format/display';
import type { Range } from '../format/time';
import { sourceOf, type Panel } from '../model/dashboard';
import { interpolate, timeMacros, type Scope } from '../model/interpolate';
import { kinds } from '../panels/kinds';
import type { Mark } from '../panels/types';
import { Guard } from '../ui/Guard';
import { save, useAsync, useSeen, useSize } from '../ui/hooks';
import { change, go } from '../ui/url';
import { Header } from './PanelHeader';
import { linkTo, type State } from './state';

export interface PanelViewProps {
  panel: Panel; range: Range; scope: Scope; scrapeMs: number; look: Look; tick: number; marks: Mark[]; sync: string; url: State; alone?: boolean;
  onZoom: (r: Range) => void; onBusy: (n: number) => void;
}

const silent = new Set(['text', 'row', 'news', 'dashlist']);

// PanelView asks for the data of a panel while it is seen, and draws it.
export const PanelView = memo(function PanelView(p: PanelViewProps) {
  const { panel, scope, range, look } = p;
  const box = useRef<HTMLElement>(null);
  const seen = useSeen(box);
  const [body, size] = useSize<HTMLDivElement>();
  const Kind = kinds[panel.type];
  const points = Math.max(50, Math.floor(size.width / 50) * 50); // some pixels more ask nothing anew
  const wants = Kind !== undefined && !silent.has(panel.type) && seen && size.width > 0;
  const scopeKey = useMemo(() => JSON.stringify([...scope.values()].map((c) => [c.name, c.all, c.values.map((o) => o.value)])), [scope]);
  const state = useAsync(wants ? (signal) => ask({ panel, range, scope, points, scrapeMs: p.scrapeMs }, signal) : undefined, [wants, panel, range, scopeKey, points]);
  const { onBusy } = p;
  useEffect(() => {
    if (!state.loading || !wants) return undefined;
    onBusy(1);
    return () => onBusy(-1);
  }, [state.loading, wants, onBusy]);

  const ready = useMemo(() => {
    if (!state.data) return undefined;
    const t = transform(state.data.frames, panel.transformations);
    const c = configure(t.frames, panel);
    return { frames: c.frames, notes: [...t.unknown, ...c.unknown, ...state.data.notes] };
  }, [state.data, panel]);

  // What the header and the drawing get stays the same until it changes: a refresh draws data, not menus.
  const live = useRef(p);
  live.current = p;
  const fill = useCallback((t: string) => (/[$[]/.test(t) ? interpolate(t, scope, 'text', timeMacros(live.current.range.from, live.current.range.to, '15s', 15e3, live.current.scrapeMs)) : t), [scope]);
  const title = fill(panel.title ?? '');
  const description = fill(panel.description ?? '');
  const link = useCallback((url: string, more: Record<string, string> = {}) => {
    const q = live.current.url;
    const vars = Object.fromEntries(Object.entries(more).map(([k, v]) => [k, encodeURIComponent(v)]));
    const time = `from=${encodeURIComponent(q.from)}&to=${encodeURIComponent(q.to)}`;
    return dashed(interpolate(url, scope, 'url', { ...vars, __url_time_range: time, __all_variables: linkTo('', scope, q, true, false).slice(1) }));
  }, [scope]);
  const problems = [...(state.error ? [state.error] : []), ...(state.data?.errors ?? [])];
  const notes = ready?.notes ?? [];
  const missing = [!Kind && `panels of type ${JSON.stringify(panel.type)} are not supported`, panel.libraryPanel !== undefined && !panel.targets && 'library panels are not supported'].filter(Boolean) as string[];
  const empty = ready !== undefined && problems.length === 0 && !silent.has(panel.type) && !ready.frames.some(tells);
  const status = missing.length ? 'unsupported' : problems.length && !ready?.frames.length ? 'error' : silent.has(panel.type) || (ready && !empty) ? 'ready' : empty ? 'empty' : 'loading';
  const noValue = panel.fieldConfig?.defaults?.noValue;
  const expected = empty && noValue !== undefined; // nothing is what a good day looks like
  const Draw = Kind;
  const asks = panel.targets?.some((t) => t.expr ?? t.rawSql) === true;
  const explore = useCallback(() => {
    const { panel, range, scope, scrapeMs, url } = live.current;
    const t = panel.targets?.find((x) => !x.hide && (x.expr ?? x.rawSql));
    if (!t) return;
    const q = sourceOf(t, panel.datasource) === 'sql' ? `lang=sql&sql=${encodeURIComponent(t.rawSql!)}` : `expr=${encodeURIComponent(interpolate(t.expr!, scope, 'promql', timeMacros(range.from, range.to, '15s', 15e3, scrapeMs)))}`;
    go(linkTo(`/explore?${q}`, new Map(), url, false, true));
  }, []);
  const alone = useCallback(() => change({ viewPanel: live.current.alone ? undefined : String(live.current.panel.id) }), []);
  const frames = useRef(noFrames);
  frames.current = ready?.frames ?? noFrames;
  const toCSV = useCallback(() => save(`${title || 'panel'}.csv`.replace(/[^\w.-]+/g, '-'), csv(oneTable(frames.current), live.current.look.zone)), [title]);
  return (
    <article ref={box} className={`panel${panel.transparent ? ' bare' : ''}`} data-panel={panel.id} data-type={panel.type} data-state={expected ? 'expected-empty' : status} tabIndex={0} aria-label={title || panel.type}
      onKeyDown={(e) => { if (e.key === 'v' && e.target === e.currentTarget) alone(); }}>
      <Header title={title} description={description} notes={notes.join('; ')} problems={status === 'error' ? '' : problems.join('; ')} links={panel.links} link={link} alone={p.alone === true} onAlone={alone} onExplore={asks ? explore : undefined} onCSV={ready && ready.frames.length > 0 ? toCSV : undefined} loading={state.loading && wants} />
      <div className="body" ref={body}>
        {status === 'unsupported' && <p className="hint" role="alert">{missing.join('; ')}</p>}
        {status === 'error' && <p className="hint error" role="alert">{problems.join('\n')}</p>}
        {status === 'empty' && <p className={expected ? 'hint fine' : 'hint'}>{noValue ?? 'No data'}</p>}
        {status === 'ready' && Draw && size.width > 0 && size.height > 0 && (
          <Guard>
            <Suspense fallback={<p className="hint">Loading …</p>}>
              <Draw panel={panel} frames={ready?.frames ?? noFrames} range={state.data?.range ?? shown(panel, range)} stepMs={state.data?.stepMs ?? 15e3} look={look} width={size.width} height={size.height} marks={p.marks} sync={p.sync} onZoom={p.onZoom} link={link} text={fill} />
            </Suspense>
          </Guard>
        )}
      </div>
    </article>
  );
});

const noFrames: Frame[] = [];

// tells is true of a frame with a value besides times: a line of NaN alone is no data.
const tells = (f: Frame): boolean => f.fields.some((c) => c.type !== 'time' && c.values.some((v) => v !== null && v !== undefined && !Number.isNaN(v)));

// dashed makes Grafana's paths ours: they are the same but for the name of the dashboard at their end.
const dashed = (url: string): string => url.replace(/^\/d\/([^/?]+)\/[^?]*/, '/d/$1');
