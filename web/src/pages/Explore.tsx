import { ActionIcon, Button, Group, SegmentedControl, Text, TextInput } from '@mantine/core';
import { useCallback, useEffect, useMemo, useState } from 'react';
import { sqlColumns, sqlTables, type SQLColumn, type SQLTable } from '../data/api';
import { PanelView } from '../dashboard/PanelView';
import { rangeOf, setRange, useDashboardState } from '../dashboard/state';
import { TimeBar } from '../dashboard/TimeBar';
import { parseDuration } from '../format/time';
import type { Panel, Target } from '../model/dashboard';
import type { Scope } from '../model/interpolate';
import { Loaded, Page } from '../ui/Data';
import Editor from '../ui/Editor';
import { Busy } from '../ui/busy';
import { useAsync, useDark, useTick } from '../ui/hooks';
import { change, usePlace } from '../ui/url';

const none: Scope = new Map();
const letters = 'ABCDEFGHIJ';
const example = 'SELECT time_bucket(INTERVAL $__interval, start_time) AS time, action, count(*)::DOUBLE AS n\nFROM flows\nWHERE $__timeFilterColumn(start_time, timestamp)\nGROUP BY ALL\nORDER BY time';

// Explore asks anything: PromQL, or SQL whose queries may build on each other by $__source_prev(A).
export default function Explore() {
  const { params } = usePlace();
  const state = useDashboardState(undefined);
  const lang = params.get('lang') === 'sql' ? 'sql' : 'promql';
  const asked = useMemo(() => params.getAll(lang === 'sql' ? 'sql' : 'expr').slice(0, letters.length), [params, lang]);
  const view = params.get('view') ?? (lang === 'sql' ? 'table' : 'plot');
  const timeColumn = params.get('time_column') ?? '';
  const metricColumn = params.get('metric_column') ?? '';
  const [draft, setDraft] = useState<string[]>([]);
  const [tick, setTick] = useState(0);
  const key = JSON.stringify([lang, asked]);
  useEffect(() => setDraft(asked.length ? asked : [lang === 'sql' ? example : '']), [key]); // eslint-disable-line react-hooks/exhaustive-deps
  const run = useCallback(() => {
    setTick((n) => n + 1);
    setDraft((d) => { change({ [lang === 'sql' ? 'sql' : 'expr']: d.filter((q) => q.trim() !== '') }); return d; });
  }, [lang]);
  useTick(parseDuration(state.refresh) || 0, () => setTick((n) => n + 1));
  const range = useMemo(() => rangeOf(state, Date.now()), [state.from, state.to, tick, key]); // eslint-disable-line react-hooks/exhaustive-deps
  const dark = useDark();
  const look = useMemo(() => ({ dark, zone: state.zone }), [dark, state.zone]);
  const [busy] = useState(() => new Busy());
  const panel = useMemo(() => panelOf(lang, asked, view, timeColumn, metricColumn), [lang, asked, view, timeColumn, metricColumn]);
  const set = (i: number, v: string) => setDraft((d) => d.map((q, k) => (k === i ? v : q)));
  const insert = (t: string) => setDraft((d) => d.map((q, k) => (k === d.length - 1 ? `${q}${q === '' || q.endsWith(' ') || q.endsWith('\n') ? '' : ' '}${t}` : q)));
  return (
    <Page title="Explore" right={<TimeBar state={state} range={range} onRefresh={run} busy={busy} />}>
      <Group gap="xs" mb="xs">
        <SegmentedControl size="xs" value={lang} data={[{ value: 'promql', label: 'PromQL' }, { value: 'sql', label: 'SQL' }]} onChange={(v) => change({ lang: v === 'sql' ? 'sql' : undefined, view: undefined })} />
        <SegmentedControl size="xs" value={view} data={[{ value: 'plot', label: 'Plot' }, { value: 'table', label: 'Table' }]} onChange={(v) => change({ view: v })} />
        {lang === 'sql' && view === 'plot' && (
          <>
            <TextInput size="xs" w={150} placeholder="Time column" aria-label="Time column" defaultValue={timeColumn} onBlur={(e) => change({ time_column: e.currentTarget.value || undefined })} />
            <TextInput size="xs" w={150} placeholder="Metric column" aria-label="Metric column" defaultValue={metricColumn} onBlur={(e) => change({ metric_column: e.currentTarget.value || undefined })} />
          </>
        )}
        <Button size="xs" onClick={run} title="Ctrl+Enter">Run</Button>
        <Button size="xs" variant="default" disabled={draft.length >= letters.length} onClick={() => setDraft((d) => [...d, lang === 'sql' ? `SELECT * FROM $__source_prev(${letters[d.length - 1]})` : ''])}>Add a query</Button>
      </Group>
      <div style={{ display: 'flex', gap: 12, alignItems: 'flex-start', flexWrap: 'wrap' }}>
        <div style={{ flex: '1 1 480px', minWidth: 0 }}>
          {draft.map((q, i) => (
            <Group key={`${lang}${i}`} gap={6} align="flex-start" wrap="nowrap" mb={6}>
              <Text size="sm" fw={700} mt={5} w={14} c="blue">{letters[i]}</Text>
              <div style={{ flex: 1, minWidth: 0 }}><Editor lang={lang} value={q} onChange={(v) => set(i, v)} onRun={run} label={`Query ${letters[i]}`} /></div>
              {draft.length > 1 && <ActionIcon variant="subtle" color="gray" aria-label={`Remove query ${letters[i]}`} onClick={() => setDraft((d) => d.filter((_, k) => k !== i))}>✕</ActionIcon>}
            </Group>
          ))}
          {panel ? (
            <div style={{ height: 'max(380px, calc(100vh - 330px))' }}>
              <PanelView key={view + lang} panel={panel} range={range} scope={none} scrapeMs={15e3} look={look} tick={tick} marks={[]} onBusy={busy.add} url={state} sync="explore" onZoom={setRange} alone />
            </div>
          ) : <p className="hint">Write a query and run it with Ctrl+Enter.</p>}
        </div>
        {lang === 'sql' && <Schema onPick={insert} />}
      </div>
    </Page>
  );
}

function panelOf(lang: string, list: string[], view: string, timeColumn: string, metricColumn: string): Panel | undefined {
  if (list.length === 0) return undefined;
  const base = { id: 1, title: '', gridPos: { x: 0, y: 0, w: 24, h: 12 }, type: view === 'plot' ? 'timeseries' : 'table', options: { legend: { showLegend: true, displayMode: 'table', calcs: ['lastNotNull', 'min', 'max'] }, tooltip: { mode: 'multi', sort: 'desc' } }, fieldConfig: { defaults: { unit: 'short', custom: { fillOpacity: 8, showPoints: 'auto' } } } } satisfies Panel;
  if (lang === 'promql') {
    const targets = list.map((expr, i): Target => ({ refId: letters[i]!, expr, instant: view === 'table', format: view === 'table' ? 'table' : undefined }));
    return { ...base, targets, transformations: view === 'table' ? [{ id: 'merge', options: {} }, { id: 'organize', options: { excludeByName: { Time: true } } }] : [] };
  }
  const targets = list.map((rawSql, i): Target => ({
    refId: letters[i]!, rawSql, format: view === 'plot' ? 'time_series' : 'table', timeColumn: timeColumn || undefined, metricColumn: metricColumn || undefined,
    hide: list.slice(i + 1).some((q) => q.includes(`$__source_prev(${letters[i]})`)) || undefined, // what a later query builds on is not shown itself
  }));
  return { ...base, targets };
}

// Schema lists tables; a click on one shows its columns, a click on a name writes it.
function Schema({ onPick }: { onPick: (t: string) => void }) {
  const tables = useAsync<SQLTable[]>(sqlTables, []);
  const [open, setOpen] = useState<string>();
  const columns = useAsync<SQLColumn[]>(open ? (s) => sqlColumns(open, s) : undefined, [open], false);
  return (
    <div className="card schema" style={{ flex: '0 1 260px' }}>
      <b>Tables</b>
      <Loaded of={tables} empty="There are no tables.">
        {(list) => (
          <ul style={{ paddingLeft: 0 }}>
            {list.map((t) => (
              <li key={t.name}>
                <button type="button" aria-expanded={open === t.name} onClick={() => setOpen(open === t.name ? undefined : t.name)}>{open === t.name ? '▾' : '▸'}</button>{' '}
                <button type="button" onClick={() => onPick(t.name)}><b>{t.name}</b>{t.view && <em> view</em>}</button>
                {open === t.name && <Loaded of={columns}>{(cs) => <ul>{cs.map((c) => <li key={c.name}><button type="button" onClick={() => onPick(/^\w+$/.test(c.name) ? c.name : `"${c.name}"`)}>{c.name} <em>{c.type.toLowerCase()}</em></button></li>)}</ul>}</Loaded>}
              </li>
            ))}
          </ul>
        )}
      </Loaded>
    </div>
  );
}
