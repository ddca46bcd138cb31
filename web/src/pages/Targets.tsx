import { Badge, Checkbox, Group, Table, Text } from '@mantine/core';
import { useState } from 'react';
import { api } from '../data/api';
import { labelText, type Labels } from '../data/frame';
import { ago } from '../format/time';
import { formatText } from '../format/units';
import { Loaded, Page } from '../ui/Data';
import { useAsync, useTick } from '../ui/hooks';
import { useParam } from '../ui/url';

export interface Target { labels: Labels; scrapePool: string; scrapeUrl: string; health: string; lastError: string; lastScrape: string; lastScrapeDuration: number; scrapeInterval: string }

export const useTargets = (tick: number) => useAsync((s) => api<{ activeTargets: Target[] }>('targets', { state: 'active' }, s).then((d) => d.activeTargets), [tick]);

export function Targets() {
  const [tick, setTick] = useState(0);
  useTick(10e3, () => setTick((n) => n + 1));
  const list = useTargets(tick);
  const [only, setOnly] = useParam('unhealthy');
  return (
    <Page title="Targets" right={<Checkbox size="xs" label="Only those with a problem" checked={only === '1'} onChange={(e) => setOnly(e.currentTarget.checked ? '1' : '')} />}>
      <Loaded of={list} empty="Nothing is scraped.">
        {(all) => (
          <div className="card table">
            <Table verticalSpacing={4} fz="xs">
              <Table.Thead><Table.Tr>{['Job', 'State', 'Labels', 'Last scrape', 'Took', 'Every', 'Error'].map((h) => <Table.Th key={h}>{h}</Table.Th>)}</Table.Tr></Table.Thead>
              <Table.Tbody>
                {all.filter((t) => only !== '1' || t.health !== 'up').sort((a, b) => a.scrapePool.localeCompare(b.scrapePool)).map((t, i) => (
                  <Table.Tr key={i}>
                    <Table.Td>{t.scrapePool}</Table.Td>
                    <Table.Td><Badge size="xs" color={t.health === 'up' ? 'green' : t.health === 'down' ? 'red' : 'gray'}>{t.health}</Badge></Table.Td>
                    <Table.Td title={t.scrapeUrl}>{labelText(t.labels)}</Table.Td>
                    <Table.Td>{t.lastScrape.startsWith('0001') ? 'never' : ago(Date.parse(t.lastScrape), Date.now())}</Table.Td>
                    <Table.Td>{formatText(t.lastScrapeDuration, 's')}</Table.Td>
                    <Table.Td>{t.scrapeInterval}</Table.Td>
                    <Table.Td style={{ whiteSpace: 'normal' }}><Text size="xs" c="red">{t.lastError}</Text></Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
            <Group mt={6}><Text size="xs" c="dimmed">{all.filter((t) => t.health === 'up').length} of {all.length} are up.</Text></Group>
          </div>
        )}
      </Loaded>
    </Page>
  );
}
