import { ActionIcon, Loader, Menu, Tooltip } from '@mantine/core';
import { memo, Suspense, useEffect, useMemo, useRef } from 'react';
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
import { inline } from '../panels/Text';
import { kinds } from '../panels/kinds';
import type { Mark } from '../panels/types';
import { Guard } from '../ui/Guard';
import { Link } from '../ui/Link';
import { save, useAsync, useSeen, useSize } from '../ui/hooks';
import { change, go } from '../ui/url';
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

  const fill = (t: string) => interpolate(t, scope, 'text', timeMacros(range.from, range.to, '15s', 15e3, p.scrapeMs));
  const title = fill(panel.title ?? '');
  const link = (url: string, more: Record<string, string> = {}) => {
    const vars = Object.fromEntries(Object.entries(more).map(([k, v]) => [k, encodeURIComponent(v)]));
    const time = `from=${encodeURIComponent(p.url.from)}&to=${encodeURIComponent(p.url.to)}`;
    return dashed(interpolate(url, scope, 'url', { ...vars, __url_time_range: time, __all_variables: linkTo('', scope, p.url, true, false).slice(1) }));
  };
  const problems = [...(state.error ? [state.error] : []), ...(state.data?.errors ?? [])];
  const notes = ready?.notes ?? [];
  const missing = [!Kind && `panels of type ${JSON.stringify(panel.type)} are not supported`, panel.libraryPanel !== undefined && !panel.targets && 'library panels are not supported'].filter(Boolean) as string[];
  const empty = ready !== undefined && problems.length === 0 && !silent.has(panel.type) && !ready.frames.some((f) => f.length > 0 && f.fields.length > 0);
  const status = missing.length ? 'unsupported' : problems.length && !ready?.frames.length ? 'error' : silent.has(panel.type) || (ready && !empty) ? 'ready' : empty ? 'empty' : 'loading';
  const noValue = panel.fieldConfig?.defaults?.noValue;
  const expected = empty && noValue !== undefined; // nothing is what a good day looks like
  const Draw = Kind;
  const explore = () => {
    const t = panel.targets?.find((x) => !x.hide && (x.expr ?? x.rawSql));
    if (!t) return;
    const q = sourceOf(t, panel.datasource) === 'sql' ? `lang=sql&sql=${encodeURIComponent(t.rawSql!)}` : `expr=${encodeURIComponent(interpolate(t.expr!, scope, 'promql', timeMacros(range.from, range.to, '15s', 15e3, p.scrapeMs)))}`;
    go(linkTo(`/explore?${q}`, new Map(), p.url, false, true));
  };
  const alone = () => change({ viewPanel: p.alone ? undefined : String(panel.id) });
  return (
    <article ref={box} className={`panel${panel.transparent ? ' bare' : ''}`} data-panel={panel.id} data-type={panel.type} data-state={expected ? 'expected-empty' : status} tabIndex={0} aria-label={title || panel.type}
      onKeyDown={(e) => { if (e.key === 'v' && e.target === e.currentTarget) alone(); }}>
      <header>
        <h2 title={title}>{title}</h2>
        {panel.description && <Tooltip label={<span className="tooltip">{inline(fill(panel.description))}</span>} multiline maw={360} withArrow events={{ hover: true, focus: true, touch: true }}><span className="info" tabIndex={0} role="note" aria-label={fill(panel.description)}>i</span></Tooltip>}
        {notes.length > 0 && <Tooltip label={notes.join('; ')} multiline maw={360} withArrow><span className="info warn" tabIndex={0} role="note" aria-label={notes.join('; ')}>!</span></Tooltip>}
        {problems.length > 0 && status !== 'error' && <Tooltip label={problems.join('; ')} multiline maw={400} withArrow><span className="info bad" tabIndex={0} role="alert">!</span></Tooltip>}
        <span className="grow" />
        {(panel.links ?? []).map((l, i) => <Link key={i} to={link(l.url)} blank={l.targetBlank} title={l.title}>↗</Link>)}
        {state.loading && wants && <Loader size={12} aria-label="Loading" />}
        <Menu position="bottom-end" withinPortal shadow="md">
          <Menu.Target><ActionIcon size="xs" variant="subtle" color="gray" className="more" aria-label={`Menu of ${title}`}>⋮</ActionIcon></Menu.Target>
          <Menu.Dropdown>
            <Menu.Item onClick={alone}>{p.alone ? 'Back' : 'Alone'}</Menu.Item>
            {panel.targets?.some((t) => t.expr ?? t.rawSql) && <Menu.Item onClick={explore}>Explore</Menu.Item>}
            {ready && ready.frames.length > 0 && <Menu.Item onClick={() => save(`${title || 'panel'}.csv`.replace(/[^\w.-]+/g, '-'), csv(oneTable(ready.frames), look.zone))}>CSV</Menu.Item>}
          </Menu.Dropdown>
        </Menu>
      </header>
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

// dashed makes Grafana's paths ours: they are the same but for the name of the dashboard at their end.
const dashed = (url: string): string => url.replace(/^\/d\/([^/?]+)\/[^?]*/, '/d/$1');
