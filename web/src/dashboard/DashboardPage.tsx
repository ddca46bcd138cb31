import { Alert, Group, Text, Title } from '@mantine/core';
import { useHotkeys } from '@mantine/hooks';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { getJSON } from '../data/api';
import { parseDuration } from '../format/time';
import { expand, rows, type Dashboard, type DashboardLink, type Panel } from '../model/dashboard';
import { interpolate, type Scope } from '../model/interpolate';
import { narrow, resolve, scopeOf, type Resolved } from '../model/variables';
import { Busy } from '../ui/busy';
import { Link } from '../ui/Link';
import { useAsync, useDark, useTick } from '../ui/hooks';
import { change } from '../ui/url';
import { useMarks } from './annotations';
import { PanelView } from './PanelView';
import { linkTo, rangeOf, scrapeMs, setRange, shift, useDashboardState, zoomOut, type State } from './state';
import { TimeBar } from './TimeBar';
import { VariableBar } from './VariableBar';

export function DashboardPage({ uid }: { uid: string }) {
  const { data, error } = useAsync((signal) => getJSON<Dashboard>(`/api/console/dashboards/${encodeURIComponent(uid)}`, signal), [uid]);
  useEffect(() => { if (data) document.title = `${data.title} · Oriel`; }, [data]);
  if (error) return <Alert color="red" m="md" title="Dashboard">{error}</Alert>;
  return data ? <View dashboard={data} /> : <p className="hint">Loading …</p>;
}

function View({ dashboard }: { dashboard: Dashboard }) {
  const state = useDashboardState(dashboard);
  const [tick, setTick] = useState(0);
  const refresh = useCallback(() => setTick((n) => n + 1), []);
  useTick(parseDuration(state.refresh) || 0, refresh);
  const range = useMemo(() => rangeOf(state, Date.now()), [state.from, state.to, tick]); // eslint-disable-line react-hooks/exhaustive-deps
  const scrape = useAsync(scrapeMs, []).data;
  const dark = useDark();
  const look = useMemo(() => ({ dark, zone: state.zone }), [dark, state.zone]);
  const variables = dashboard.templating?.list ?? [];
  const wantedKey = JSON.stringify([...state.wanted]);
  const found = useAsync<Resolved[]>((signal) => resolve(variables, state.wanted, range, signal), [wantedKey, state.from, state.to, dashboard]);
  const scope: Scope = useMemo(() => scopeOf(found.data ?? []), [found.data]);
  // Options may change with the range; what is drawn only when what is chosen does.
  const chosenKey = JSON.stringify([...scope.values()].map((c) => [c.name, c.all, c.values]));
  const stable = useRef({ key: '', scope });
  if (stable.current.key !== chosenKey) stable.current = { key: chosenKey, scope };
  const { scope: drawn } = stable.current;
  const marks = useMarks(dashboard, drawn, range, found.data !== undefined);
  const list = useMemo(() => expand(rows(dashboard.panels), (name) => drawn.get(name)?.values ?? []), [dashboard, drawn]);
  const [folded, setFolded] = useState<Record<string, boolean>>({});
  const [busy] = useState(() => new Busy());
  const then = useRef(0); // when t was pressed
  useHotkeys([
    ['r', refresh], ['t', () => { then.current = Date.now(); }], ['z', () => { if (Date.now() - then.current < 1200) zoomOut(range); }],
    ['ArrowLeft', () => { if (Date.now() - then.current < 1200) shift(range, -1); }], ['ArrowRight', () => { if (Date.now() - then.current < 1200) shift(range, 1); }],
    ['Escape', () => { if (state.panel) change({ viewPanel: undefined }); }],
  ]);
  const ready = found.data !== undefined && scrape !== undefined;
  const panelProps = (p: Panel) => ({
    panel: p, range, scope: narrow(drawn, p.scoped), scrapeMs: scrape!, look, tick, marks, onBusy: busy.add, url: state, sync: dashboard.graphTooltip ? dashboard.uid : `${dashboard.uid}-${p.id}`, onZoom: setRange,
  });
  const alone = state.panel && list.flatMap((r) => r.panels).find((p) => p.id === state.panel);
  return (
    <div className="dashboard">
      <Group className="bar" justify="space-between" gap="xs">
        <Title order={1} size="h4" title={dashboard.description}>{dashboard.title}</Title>
        <Group gap="sm"><Links list={dashboard.links ?? []} scope={drawn} state={state} /><TimeBar state={state} range={range} onRefresh={refresh} busy={busy} /></Group>
      </Group>
      {found.data && <VariableBar list={found.data} />}
      {found.error && <Alert color="red" my="xs">{found.error}</Alert>}
      {!ready && !found.error && <p className="hint">Loading …</p>}
      {ready && alone && <div className="alone"><PanelView key={alone.id} {...panelProps(alone)} alone /></div>}
      {ready && !alone && list.map((row) => {
        const shut = folded[row.key] ?? row.collapsed;
        return (
          <section key={row.key}>
            {row.header && (
              <button type="button" className="row" aria-expanded={!shut} onClick={() => setFolded({ ...folded, [row.key]: !shut })}>
                <span>{shut ? '▸' : '▾'}</span> {interpolate(row.title, narrow(drawn, row.scoped), 'text')} {shut && <Text span size="xs" c="dimmed">{row.panels.length} panels</Text>}
              </button>
            )}
            {!shut && <Grid panels={row.panels} draw={(p) => <PanelView {...panelProps(p)} />} />}
          </section>
        );
      })}
    </div>
  );
}

// Grid places panels as the dashboard says; narrow screens put them below each other (style.css).
function Grid({ panels, draw }: { panels: Panel[]; draw: (p: Panel) => React.ReactNode }) {
  const top = Math.min(...panels.map((p) => p.gridPos.y));
  return (
    <div className="grid">
      {panels.map((p) => {
        const g = p.gridPos;
        return <div key={p.id} className="cell" style={{ gridColumn: `${g.x + 1} / span ${Math.min(g.w, 24 - g.x)}`, gridRow: `${g.y - top + 1} / span ${g.h}`, '--h': g.h } as React.CSSProperties}>{draw(p)}</div>;
      })}
    </div>
  );
}

function Links({ list, scope, state }: { list: DashboardLink[]; scope: Scope; state: State }) {
  const tagged = list.some((l) => l.type === 'dashboards');
  const all = useAsync(tagged ? (s) => getJSON<{ dashboards: { uid: string; title: string; tags: string[] }[] }>('/api/console/dashboards', s) : undefined, [tagged]).data?.dashboards ?? [];
  return (
    <>
      {list.flatMap((l, i) => (l.type === 'dashboards'
        ? all.filter((d) => (l.tags ?? []).every((t) => d.tags.includes(t))).map((d) => <Link key={`${i}${d.uid}`} to={linkTo(`/d/${d.uid}`, scope, state, l.includeVars === true, l.keepTime === true)}>{d.title}</Link>)
        : [<Link key={i} to={linkTo(interpolate(l.url ?? '', scope, 'url'), scope, state, l.includeVars === true, l.keepTime === true)} blank={l.targetBlank} title={l.tooltip}>{interpolate(l.title, scope, 'text')}</Link>]))}
    </>
  );
}
