import { Badge, Group, Text } from '@mantine/core';
import { useMemo, useState } from 'react';
import { vector, type Sample } from '../data/api';
import { PanelView } from '../dashboard/PanelView';
import { rangeOf } from '../dashboard/state';
import { ago, type Range } from '../format/time';
import { formatText } from '../format/units';
import type { Panel } from '../model/dashboard';
import type { Scope } from '../model/interpolate';
import { inline } from '../panels/Text';
import { Loaded, Page } from '../ui/Data';
import { Link } from '../ui/Link';
import { useAsync, useDark, useTick } from '../ui/hooks';
import { go } from '../ui/url';
import { bySeverity, firing, severityColor, type Alert } from './alerting';
import { useDashboards } from './Dashboards';
import { SourceCard, type Health } from './SourceCard';
import { flowReading, readings, sources } from './sources';
import { useStatus } from './Status';
import { useTargets, type Target } from './Targets';

const none: Scope = new Map();
const prom = (refId: string, expr: string, legendFormat: string) => ({ refId, expr, legendFormat, instant: true });
const figures = { reduceOptions: { values: false, calcs: ['lastNotNull'] }, orientation: 'horizontal', displayMode: 'gradient', showUnfilled: true };

// talkers are the panels of who talks most, by what must be there for them.
const talkers: { needs: string; panel: Panel }[] = [
  { needs: 'wireguard', panel: { id: 1, type: 'bargauge', title: 'WireGuard peers, traffic of 5 minutes', gridPos: { x: 0, y: 0, w: 12, h: 9 }, options: figures, fieldConfig: { defaults: { unit: 'Bps', min: 0, color: { mode: 'continuous-BlPu' } } },
    targets: [prom('A', `sort_desc(topk(8, label_replace(label_join(sum by (name, public_key) ((rate(wireguard_peer_receive_bytes_total[5m]) + rate(wireguard_peer_transmit_bytes_total[5m])) * on (instance, device, public_key) group_left (name) max by (instance, device, public_key, name) (wireguard_peer_info)), "key", ";", "name", "public_key"), "name", "$1…", "key", ";(.{8}).*")))`, '{{name}}')] } },
  { needs: 'neuvector', panel: { id: 2, type: 'bargauge', title: 'Container services, critical vulnerabilities', gridPos: { x: 0, y: 0, w: 12, h: 9 }, options: figures, fieldConfig: { defaults: { unit: 'short', min: 0, color: { mode: 'continuous-YlRd' } } },
    targets: [prom('A', 'sort_desc(topk(8, sum by (cluster, service) (oriel_neuvector_service_vulnerabilities{severity="critical"}) > 0))', '{{cluster}} {{service}}')] } },
  { needs: 'packets', panel: { id: 3, type: 'bargauge', title: 'Protocols on the wire', gridPos: { x: 0, y: 0, w: 12, h: 9 }, options: figures, fieldConfig: { defaults: { unit: 'pps', min: 0, color: { mode: 'continuous-BlPu' } } },
    targets: [prom('A', 'sort_desc(topk(8, sum by (layer) (rate(oriel_packets_layer_packets_total[5m]))))', '{{layer}}')] } },
];

const flows: Panel[] = [
  { id: 11, type: 'bargauge', title: 'Flow logs, most bytes', gridPos: { x: 0, y: 0, w: 12, h: 9 }, options: { ...figures, reduceOptions: { values: true, limit: 8 } }, fieldConfig: { defaults: { unit: 'bytes', min: 0, color: { mode: 'continuous-BlPu' }, links: [{ title: 'Look up', url: '/entity?q=${__data.fields.initiator_ip}' }] } },
    targets: [{ refId: 'A', format: 'table', rawSql: 'SELECT initiator_ip, sum(coalesce(bytes_from_initiator, 0) + coalesce(bytes_from_target, 0))::DOUBLE AS bytes FROM flows WHERE $__timeFilterColumn(start_time, timestamp) AND initiator_ip IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 8' }] },
  { id: 12, type: 'bargauge', title: 'Flow logs, most rejected', gridPos: { x: 0, y: 0, w: 12, h: 9 }, options: { ...figures, reduceOptions: { values: true, limit: 8 } }, fieldConfig: { defaults: { unit: 'short', min: 0, color: { mode: 'continuous-YlRd' }, links: [{ title: 'Look up', url: '/entity?q=${__data.fields.initiator_ip}' }] } },
    targets: [{ refId: 'A', format: 'table', rawSql: "SELECT initiator_ip, count(*)::DOUBLE AS rejected FROM flows WHERE action = 'rejected' AND $__timeFilterColumn(start_time, timestamp) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 8" }] },
];

const state = { from: 'now-24h', to: 'now', zone: 'browser', refresh: '', wanted: new Map<string, string[]>() };

// Overview is the network at a glance: is every source healthy, what fires, who talks.
export function Overview() {
  const [tick, setTick] = useState(0);
  useTick(15e3, () => setTick((n) => n + 1));
  const status = useStatus();
  const [targets, alerts] = [useTargets(tick), useAsync(firing, [tick])];
  const success = useAsync((s) => vector('oriel_collector_success', Date.now(), s), [tick]);
  const dashboards = useDashboards();
  const range = useMemo(() => rangeOf(state, Date.now()), [tick]); // eslint-disable-line react-hooks/exhaustive-deps
  const dark = useDark();
  const look = useMemo(() => ({ dark, zone: 'browser' }), [dark]);
  const features = useMemo(() => status.data?.features ?? [], [status.data]);
  const known = useMemo(() => sources.filter((s) => features.includes(s.pool)), [features]);
  const read = useAsync(known.length ? (s) => readings(known, range, s) : undefined, [known, range]);
  const flow = useAsync(features.includes('flows') ? (s) => flowReading(range, s) : undefined, [features, range]);
  const shown = [...talkers.filter((t) => features.includes(t.needs)).map((t) => t.panel), ...(flow.data && flow.data.flows > 0 ? flows : [])];
  const pools = useMemo(() => byPool(targets.data ?? [], success.data ?? []), [targets.data, success.data]);
  const active = (alerts.data ?? []).filter((a) => a.status.state !== 'suppressed').sort(bySeverity);
  const sick = [...pools.values()].filter((h) => h.mark === 'bad' || h.mark === 'warn').length;
  const to = (tags: string[]) => {
    const d = tags.flatMap((t) => dashboards.data?.filter((x) => x.tags.includes(t)) ?? [])[0];
    return d && `/d/${d.uid}`;
  };
  return (
    <Page title="Overview" right={alerts.data && targets.data && <Verdict alerts={active} sick={sick} sources={pools.size} />}>
      <Loaded of={targets}>
        {() => (
          <>
            <div className="cards sources">
              {known.map((s) => {
                const flows = s.pool === 'flows' && flow.data;
                return (
                  <SourceCard key={s.pool} source={s} health={pools.get(s.pool) ?? unknown} to={to(s.tags)} dark={dark} reading={flows ? { line: flows.line } : read.data?.get(s.pool)}
                    {...(flows ? { figure: formatText(flows.rejected, 'locale', 0), words: 'flows rejected in a day', line: { unit: 'locale', words: 'flows in a day', last: flows.flows } } : {})} />
                );
              })}
            </div>
            <Group gap={6} mt={8}>
              {[...pools].filter(([name]) => !known.some((s) => s.pool === name)).map(([name, h]) => <Link key={name} to="/targets" className="chip" title={h.words}><span data-source={name} data-health={h.mark}><span className={`dot ${h.mark}`} />{name}{h.mark === 'good' ? '' : `: ${h.words}`}</span></Link>)}
            </Group>
          </>
        )}
      </Loaded>
      <h2>Firing <Link to="/alerts">all alerts</Link></h2>
      <Loaded of={alerts} empty="No alert fires.">
        {(list) => <>{active.length === 0 ? <p className="hint fine">All {list.length} that fire are silenced.</p> : <Grouped list={active} />}</>}
      </Loaded>
      <h2>Most of all</h2>
      <div className="cards" style={{ gridTemplateColumns: 'repeat(auto-fill, minmax(min(400px, 100%), 1fr))' }}>
        {shown.map((p) => <div key={p.id} style={{ height: 270 }}><PanelView panel={p} range={range} scope={none} scrapeMs={15e3} look={look} tick={tick} marks={noMarks} onBusy={ignore} url={state} sync="overview" onZoom={zoom} /></div>)}
        {shown.length === 0 && <p className="hint">Nothing yet.</p>}
      </div>
    </Page>
  );
}

// byPool is the health of each job, from its targets and what our collectors say of themselves.
function byPool(targets: Target[], success: Sample[]): Map<string, Health> {
  const out = new Map<string, Health>();
  for (const pool of [...new Set(targets.map((t) => t.scrapePool))].sort()) {
    const list = targets.filter((t) => t.scrapePool === pool);
    const down = list.find((t) => t.health === 'down');
    const up = list.filter((t) => t.health === 'up').length;
    const failed = success.some((s) => s.metric.collector === pool && s.value[1] === '0');
    out.set(pool, down ? { mark: 'bad', words: list.length > 1 ? `${up} of ${list.length} up` : down.lastError || 'does not answer' } : failed ? { mark: 'warn', words: 'answers in part' } : up > 0 ? { mark: 'good', words: list.length > 1 ? `${up} targets up` : 'healthy' } : unknown);
  }
  return out;
}

const unknown: Health = { mark: '', words: 'not asked yet' };

// Verdict says in a line how things are.
function Verdict({ alerts, sick, sources: n }: { alerts: Alert[]; sick: number; sources: number }) {
  const count = (severity: string) => alerts.filter((a) => (a.labels.severity ?? 'alert') === severity).length;
  const severities = [...new Set(alerts.map((a) => a.labels.severity ?? 'alert'))];
  return (
    <Group gap={8}>
      <Badge size="lg" tt="none" variant="light" color={sick ? 'red' : 'green'}>{sick ? `${sick} of ${n} sources need help` : `${n} sources healthy`}</Badge>
      {severities.length === 0 && <Badge size="lg" tt="none" variant="light" color="green">no alert fires</Badge>}
      {severities.map((s) => <Badge key={s} size="lg" tt="none" variant="light" color={severityColor(s)}>{count(s)} {s}</Badge>)}
    </Group>
  );
}

// Grouped lists alerts, each name once, with what it fires for.
function Grouped({ list }: { list: Alert[] }) {
  const by = new Map<string, Alert[]>();
  for (const a of list) by.set(a.labels.alertname ?? '', [...(by.get(a.labels.alertname ?? '') ?? []), a]);
  const groups = [...by.values()];
  return (
    <>
      <div className="card firing">
        {groups.slice(0, 10).map((g) => {
          const a = g[0]!;
          return (
            <div key={a.fingerprint} data-alert={a.labels.alertname}>
              <Badge size="sm" color={severityColor(a.labels.severity)}>{a.labels.severity ?? 'alert'}</Badge>
              <Link to={`/alerts?name=${encodeURIComponent(a.labels.alertname ?? '')}`} inherit><b>{a.labels.alertname}</b></Link>
              <span className="what">{g.length === 1 ? inline(a.annotations.summary ?? '') : <>{inline(a.annotations.summary ?? '')} <em>and {g.length - 1} more</em></>}</span>
              <Text span size="xs" c="dimmed" style={{ whiteSpace: 'nowrap' }}>{ago(Math.max(...g.map((x) => Date.parse(x.startsAt))), Date.now())}</Text>
            </div>
          );
        })}
      </div>
      {groups.length > 10 && <Link to="/alerts">{groups.length - 10} more</Link>}
    </>
  );
}

const noMarks: never[] = [];
const zoom = (r: Range) => go(`/explore?from=${Math.round(r.from)}&to=${Math.round(r.to)}`);
const ignore = () => undefined;
