import { Group, Stack, Text } from '@mantine/core';
import { useMemo, useState } from 'react';
import { sqlBatch, vector } from '../data/api';
import { PanelView } from '../dashboard/PanelView';
import { rangeOf } from '../dashboard/state';
import type { Panel } from '../model/dashboard';
import type { Scope } from '../model/interpolate';
import { Loaded, Page } from '../ui/Data';
import { Link } from '../ui/Link';
import { useAsync, useDark, useTick } from '../ui/hooks';
import { go } from '../ui/url';
import { AlertCard } from './Alerts';
import { bySeverity, firing } from './alerting';
import { useDashboards } from './Dashboards';
import { useStatus } from './Status';
import { useTargets } from './Targets';

const none: Scope = new Map();
const prom = (refId: string, expr: string, legendFormat: string) => ({ refId, expr, legendFormat, instant: true });
const figures = { reduceOptions: { values: false, calcs: ['lastNotNull'] }, orientation: 'horizontal', displayMode: 'gradient', showUnfilled: true };

// talkers are the panels of who talks most, by what must be there for them.
const talkers: { needs: string; panel: Panel }[] = [
  { needs: 'wireguard', panel: { id: 1, type: 'bargauge', title: 'WireGuard peers, traffic of 5 minutes', gridPos: { x: 0, y: 0, w: 12, h: 9 }, options: figures, fieldConfig: { defaults: { unit: 'Bps', min: 0, color: { mode: 'continuous-BlPu' } } },
    targets: [prom('A', `sort_desc(topk(8, label_replace(label_join(sum by (name, public_key) ((rate(wireguard_peer_receive_bytes_total[5m]) + rate(wireguard_peer_transmit_bytes_total[5m])) * on (instance, device, public_key) group_left (name) wireguard_peer_info), "key", ";", "name", "public_key"), "name", "$1…", "key", ";(.{8}).*")))`, '{{name}}')] } },
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
  const has = useAsync(async (signal) => (await sqlBatch({ range, stepMs: 60e3, scope: none, queries: [{ ref_id: 'A', sql: 'SELECT count(*) AS n FROM flows WHERE $__timeFilterColumn(start_time, timestamp)' }] }, signal))[0]?.rows?.[0]?.[0] as number, []);
  const features = status.data?.features ?? [];
  const shown = [...talkers.filter((t) => features.includes(t.needs)).map((t) => t.panel), ...(Number(has.data) > 0 ? flows : [])];
  return (
    <Page title="Overview">
      <h2>Sources</h2>
      <Loaded of={targets}>
        {(list) => (
          <div className="cards">
            {[...new Map(list.map((t) => [t.scrapePool, t])).values()].sort((a, b) => a.scrapePool.localeCompare(b.scrapePool)).map((t) => {
              const own = success.data?.find((s) => s.metric.collector === t.scrapePool);
              const failed = own?.value[1] === '0';
              const health = t.health === 'down' ? 'bad' : failed ? 'warn' : t.health === 'up' ? 'good' : '';
              const words = t.health === 'down' ? t.lastError || 'does not answer' : failed ? 'answers in part' : t.health === 'up' ? 'healthy' : 'not asked yet';
              const d = dashboards.data?.find((x) => x.tags.some((g) => g === t.scrapePool || g === t.scrapePool.replace(/s$/, '')));
              return (
                <div key={t.scrapePool} className="card" data-source={t.scrapePool} data-health={health}>
                  <Group gap={0} wrap="nowrap"><span className={`dot ${health}`} />{d ? <Link to={`/d/${d.uid}`} inherit><b>{t.scrapePool}</b></Link> : <b>{t.scrapePool}</b>}</Group>
                  <Text size="xs" c="dimmed" mt={2}>{words}{list.filter((x) => x.scrapePool === t.scrapePool).length > 1 ? `, ${list.filter((x) => x.scrapePool === t.scrapePool && x.health === 'up').length} of ${list.filter((x) => x.scrapePool === t.scrapePool).length} targets up` : ''}</Text>
                </div>
              );
            })}
          </div>
        )}
      </Loaded>
      <h2>Firing <Link to="/alerts">all alerts</Link></h2>
      <Loaded of={alerts} empty="No alert fires.">
        {(list) => {
          const active = list.filter((a) => a.status.state !== 'suppressed').sort(bySeverity);
          return (
            <Stack gap={6}>
              <div className="cards" style={{ gridTemplateColumns: 'repeat(auto-fill, minmax(min(380px, 100%), 1fr))' }}>{active.slice(0, 6).map((a) => <AlertCard key={a.fingerprint} a={a} />)}</div>
              {active.length > 6 && <Link to="/alerts">{active.length - 6} more</Link>}
              {active.length === 0 && <p className="hint">All {list.length} that fire are silenced.</p>}
            </Stack>
          );
        }}
      </Loaded>
      <h2>Most of all</h2>
      <div className="cards" style={{ gridTemplateColumns: 'repeat(auto-fill, minmax(min(440px, 100%), 1fr))' }}>
        {shown.map((p) => <div key={p.id} style={{ height: 290 }}><PanelView panel={p} range={range} scope={none} scrapeMs={15e3} look={look} tick={tick} marks={[]} onBusy={ignore} url={state} sync="overview" onZoom={(r) => go(`/explore?from=${Math.round(r.from)}&to=${Math.round(r.to)}`)} /></div>)}
        {shown.length === 0 && <p className="hint">Nothing yet.</p>}
      </div>
    </Page>
  );
}

const ignore = () => undefined;
