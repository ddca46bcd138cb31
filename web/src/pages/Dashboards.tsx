import { Badge, Group, Text, TextInput } from '@mantine/core';
import { getJSON } from '../data/api';
import { Loaded, Page } from '../ui/Data';
import { Link } from '../ui/Link';
import { useAsync } from '../ui/hooks';
import { useParam } from '../ui/url';

export interface Entry { uid: string; title: string; description?: string; tags: string[]; yours: boolean; file: string; error?: string }

export const useDashboards = () => useAsync((s) => getJSON<{ dashboards: Entry[] }>('/api/console/dashboards', s).then((r) => r.dashboards), []);

export function Dashboards() {
  const list = useDashboards();
  const [filter, setFilter] = useParam('filter');
  const hit = (e: Entry) => filter.toLowerCase().split(/\s+/).every((w) => `${e.title} ${e.tags.join(' ')} ${e.description ?? ''}`.toLowerCase().includes(w));
  return (
    <Page title="Dashboards" right={<TextInput size="xs" placeholder="Filter" aria-label="Filter" value={filter} onChange={(e) => setFilter(e.currentTarget.value)} />}>
      <Loaded of={list}>
        {(all) => (
          <div className="cards">
            {all.filter(hit).map((e) => (
              <div key={e.uid} className="card">
                <Group justify="space-between" wrap="nowrap">{e.error ? <b>{e.title}</b> : <Link to={`/d/${encodeURIComponent(e.uid)}`} inherit><b>{e.title}</b></Link>}{e.yours && <Badge size="xs" variant="light">yours</Badge>}</Group>
                <Text size="xs" c={e.error ? 'red' : 'dimmed'} my={4}>{e.error ?? e.description}</Text>
                <Group gap={4}>{e.tags.map((t) => <Badge key={t} size="xs" variant="outline" color="gray" component="button" style={{ cursor: 'pointer' }} onClick={() => setFilter(t)}>{t}</Badge>)}</Group>
              </div>
            ))}
          </div>
        )}
      </Loaded>
      <Text size="xs" c="dimmed" mt="md">Your own: put dashboards in Grafana&apos;s JSON into a folder and name it in the configuration, <code>console: {'{'}dashboards: FOLDER{'}'}</code>.</Text>
    </Page>
  );
}
