import { Table } from '@mantine/core';
import { api, getJSON } from '../data/api';
import { ago, timeText } from '../format/time';
import { formatText } from '../format/units';
import { Loaded, Page } from '../ui/Data';
import { useAsync } from '../ui/hooks';

export interface ServerStatus { version: string; revision: string; go_version: string; engine_version: string; instance: string; data_dir: string; ready: boolean; features: string[]; interval_s: number }
interface Runtime { startTime: string; CWD: string; goroutineCount: number; GOMAXPROCS: number; GOMEMLIMIT: number; storageRetention: string }
interface Count { name: string; value: number }
interface TSDB { headStats: { numSeries: number; chunkCount: number; minTime: number; maxTime: number }; seriesCountByMetricName: Count[]; labelValueCountByLabelName: Count[] }

export const useStatus = () => useAsync((s) => getJSON<ServerStatus>('/api/console/status', s), []);

const Pairs = ({ rows }: { rows: [string, React.ReactNode][] }) => (
  <div className="card"><Table verticalSpacing={3} fz="sm"><Table.Tbody>{rows.map(([k, v]) => <Table.Tr key={k}><Table.Td c="dimmed" w="38%">{k}</Table.Td><Table.Td style={{ overflowWrap: 'anywhere' }}>{v}</Table.Td></Table.Tr>)}</Table.Tbody></Table></div>
);

export function Status() {
  const server = useStatus();
  const runtime = useAsync((s) => api<Runtime>('status/runtimeinfo', {}, s), []);
  const tsdb = useAsync((s) => api<TSDB>('status/tsdb', { limit: '10' }, s), []);
  const alerts = useAsync((s) => getJSON<{ versionInfo: { version: string }; uptime: string; cluster: { status: string } }>('/alertmanager/api/v2/status', s), []);
  return (
    <Page title="Status">
      <div className="cards" style={{ gridTemplateColumns: 'repeat(auto-fit, minmax(min(420px, 100%), 1fr))' }}>
        <div><h2>Program</h2><Loaded of={server}>{(s) => <Pairs rows={[['Version', s.version || 'unknown'], ['Revision', s.revision], ['Go', s.go_version], ['Prometheus library', s.engine_version], ['Instance', s.instance], ['Data directory', s.data_dir], ['Features', s.features.join(', ')], ['Collected every', formatText(s.interval_s, 's')]]} />}</Loaded></div>
        <div><h2>Engine</h2><Loaded of={runtime}>{(r) => <Pairs rows={[['Started', `${timeText(Date.parse(r.startTime), 'browser')}, ${ago(Date.parse(r.startTime), Date.now())}`], ['Goroutines', r.goroutineCount], ['Processors', r.GOMAXPROCS], ['Retention', r.storageRetention || '15d, the default']]} />}</Loaded></div>
        <div><h2>Storage</h2><Loaded of={tsdb}>{(t) => <Pairs rows={[['Series', t.headStats.numSeries.toLocaleString('en')], ['Chunks', t.headStats.chunkCount.toLocaleString('en')], ['From', timeText(t.headStats.minTime, 'browser')], ['To', timeText(t.headStats.maxTime, 'browser')]]} />}</Loaded></div>
        <div><h2>Alertmanager</h2><Loaded of={alerts}>{(a) => <Pairs rows={[['Version', a.versionInfo.version], ['Started', ago(Date.parse(a.uptime), Date.now())], ['Cluster', a.cluster.status]]} />}</Loaded></div>
        <div><h2>Largest metrics</h2><Loaded of={tsdb}>{(t) => <Pairs rows={t.seriesCountByMetricName.map((c) => [c.name, c.value.toLocaleString('en')])} />}</Loaded></div>
        <div><h2>Labels with the most values</h2><Loaded of={tsdb}>{(t) => <Pairs rows={t.labelValueCountByLabelName.map((c) => [c.name, c.value.toLocaleString('en')])} />}</Loaded></div>
      </div>
    </Page>
  );
}
