import { Alert, Badge, Button, Group, Text, TextInput } from '@mantine/core';
import { useEffect, useMemo, useState } from 'react';
import { rangeOf, useDashboardState } from '../dashboard/state';
import { TimeBar } from '../dashboard/TimeBar';
import { sqlBatch } from '../data/api';
import { makeFrame, type Frame } from '../data/frame';
import { sqlFrame } from '../data/query';
import { DataTable } from '../panels/TablePanel';
import { Loaded, Page } from '../ui/Data';
import { Link } from '../ui/Link';
import { Busy } from '../ui/busy';
import { useAsync, useDark } from '../ui/hooks';
import { change, usePlace } from '../ui/url';
import { dashboardsOf, flowSummary, isAddress, metrics, records, type Known } from './entity';

// Entity shows all that is known of an address, peer, tunnel, image or name.
export default function Entity() {
  const { params } = usePlace();
  const term = (params.get('q') ?? '').trim().slice(0, 200); // addresses of requests have a length
  const state = useDashboardState(undefined);
  const [tick, setTick] = useState(0);
  const range = useMemo(() => rangeOf({ ...state, from: params.get('from') ?? 'now-24h' }, Date.now()), [state.from, state.to, tick]); // eslint-disable-line react-hooks/exhaustive-deps
  const [text, setText] = useState(term);
  useEffect(() => setText(term), [term]);
  const ok = term.length >= 2;
  const dark = useDark();
  const look = { dark, zone: state.zone };
  const deps = [term, range];
  const known = useAsync(ok ? (s) => metrics(term, range, s) : undefined, deps, false);
  const rows = useAsync(ok ? (s) => records(term, range, s) : undefined, deps, false);
  const [busy] = useState(() => new Busy());
  const loading = known.loading || rows.loading;
  useEffect(() => { if (!loading) return undefined; busy.add(1); return () => busy.add(-1); }, [busy, loading]);
  const talk = useAsync<Frame | undefined>(ok && isAddress(term) ? async (s) => {
    const [a] = await sqlBatch({ range, stepMs: 60e3, scope: new Map([['q', { name: 'q', values: [{ text: term, value: term }], all: false, multi: false }]]), queries: [{ ref_id: 'A', sql: flowSummary, format: 'table' }] }, s);
    if (!a || a.error || a.row_count === 0) return undefined;
    const f = sqlFrame(a);
    const links = [{ title: 'Look up', url: '/entity?q=${__value.raw}' }];
    return { ...f, fields: f.fields.map((c) => ({ ...c, config: { ...c.config, unit: c.name === 'bytes' ? 'bytes' : 'short', links: c.name === 'peer' ? links : undefined } })) };
  } : undefined, deps, false);
  const dashboards = useAsync(known.data && rows.data ? (s) => dashboardsOf(known.data!, rows.data!, s) : undefined, [known.data, rows.data]);
  const withRows = (rows.data ?? []).filter((r) => r.rows > 0 || r.error);
  const nothing = known.data && rows.data && known.data.samples.length === 0 && withRows.length === 0;
  return (
    <Page title={ok ? term : 'Look up'} right={<TimeBar state={{ ...state, from: params.get('from') ?? 'now-24h' }} range={range} onRefresh={() => setTick((n) => n + 1)} busy={busy} />}>
      <form onSubmit={(e) => { e.preventDefault(); change({ q: text.trim() || undefined }); }}>
        <Group gap="xs" mb="sm"><TextInput size="sm" w={420} maw="100%" placeholder="An address, peer, tunnel, image or name" aria-label="What to look up" value={text} onChange={(e) => setText(e.currentTarget.value)} /><Button size="sm" type="submit">Look up</Button></Group>
      </form>
      {!ok && <p className="hint">Two letters at least. Everything that any source knows is searched: labels of metrics, flow logs, packets and other records.</p>}
      {nothing && <Alert color="gray">Nothing is known of “{term}” in this time.</Alert>}
      {ok && (dashboards.data?.length ?? 0) > 0 && <Group gap="md" mb="xs"><Text size="sm" fw={600}>Dashboards</Text>{dashboards.data!.map((d) => <Link key={d.uid} to={d.url}>{d.title}</Link>)}</Group>}
      {talk.data && <><h2>Talks with</h2><div className="card" style={{ maxHeight: 330, overflow: 'auto' }}><DataTable frame={talk.data} look={look} link={fill} /></div></>}
      {ok && <><h2>Metrics</h2><Loaded of={known}>{(k) => <Metrics known={k} look={look} />}</Loaded></>}
      {rows.error && <Alert color="red" mt="sm" p="xs">{rows.error}</Alert>}
      {withRows.map((r) => (
        <div key={r.table}>
          <h2>{r.table} <Badge size="sm" variant="light">{r.truncated ? `newest ${r.rows}` : r.rows}</Badge></h2>
          {r.error ? <Alert color="red" p="xs">{r.error}</Alert> : <div className="card" style={{ maxHeight: 360, overflow: 'auto' }}><DataTable frame={r.frame!} look={look} /></div>}
        </div>
      ))}
      {ok && rows.loading && <p className="hint">Searching records …</p>}
    </Page>
  );
}

const fill = (url: string, more: Record<string, string> = {}): string => url.replace(/\$\{([\w.]+)\}/g, (_, k: string) => encodeURIComponent(more[k] ?? ''));

function Metrics({ known, look }: { known: Known; look: { dark: boolean; zone: string } }) {
  const frame = useMemo(() => {
    const names = known.samples.map((s) => s.metric.__name__ ?? '');
    const selector = (m: Record<string, string>) => { const { __name__: n, ...rest } = m; return `${n}{${Object.entries(rest).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(',')}}`; };
    const unit = (n: string) => (/_bytes(_total)?$/.test(n) ? 'bytes' : /_timestamp_seconds$|last_handshake_seconds$|latest_handshake_seconds$/.test(n) ? 'time' : n.endsWith('_seconds') ? 's' : 'short');
    const text = known.samples.map((s, i) => {
      const v = Number(s.value[1]);
      const u = unit(names[i]!);
      return u === 'time' && v > 1e9 ? new Date(v * 1e3).toISOString().replace('T', ' ').slice(0, 19) : s.value[1];
    });
    return makeFrame([
      { name: 'Metric', type: 'string', values: names, config: { links: [{ title: 'Explore', url: '/explore?expr=${__data.fields.selector}' }] } },
      { name: 'Value', type: 'string', values: text, config: { custom: { align: 'right' } } },
      { name: 'Labels', type: 'string', values: known.samples.map((s) => Object.entries(s.metric).filter(([k]) => k !== '__name__').map(([k, v]) => `${k}=${v}`).join('  ')), config: {} },
      { name: 'selector', type: 'string', values: known.samples.map((s) => selector(s.metric)), config: { custom: { hidden: true } } },
    ]);
  }, [known]);
  if (known.samples.length === 0) return <Text size="sm" c="dimmed">No series has it in a label.</Text>;
  return (
    <>
      <Group gap={4} mb={6}>{known.matches.slice(0, 20).map((m) => <Badge key={m.label + m.value} variant="light" tt="none" size="sm" component="a" href={`/entity?q=${encodeURIComponent(m.value)}`}>{m.label}: {m.value}</Badge>)}</Group>
      <div className="card" style={{ maxHeight: 420, overflow: 'auto' }}><DataTable frame={frame} look={look} link={fill} /></div>
      {known.more && <Text size="xs" c="dimmed">There is more than is shown.</Text>}
    </>
  );
}
