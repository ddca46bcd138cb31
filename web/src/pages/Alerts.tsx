import { Alert as Note, Badge, Button, Group, NumberInput, Modal, Stack, Table, Tabs, Text, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import { ago, timeText } from '../format/time';
import { inline } from '../panels/Text';
import { Loaded, Page } from '../ui/Data';
import { Fold } from '../ui/Fold';
import { Link } from '../ui/Link';
import { useAsync, useTick } from '../ui/hooks';
import { useParam } from '../ui/url';
import { bySeverity, expire, firing, groups, matcherText, parseMatchers, severityColor, silence, silences, type Alert, type Rule, type Silence } from './alerting';

// Alerts shows what fires, what is silenced and which rules there are.
export function Alerts() {
  const [tick, setTick] = useState(0);
  const again = () => setTick((n) => n + 1);
  useTick(10e3, again);
  const [tab, setTab] = useParam('tab', 'firing');
  const [name, setName] = useParam('name');
  const [making, setMaking] = useState<string>();
  const [error, setError] = useState('');
  const now = { alerts: useAsync(firing, [tick]), silences: useAsync(silences, [tick]), groups: useAsync(groups, [tick]) };
  const live = now.silences.data?.filter((s) => s.status.state !== 'expired') ?? [];
  const end = (id: string) => void expire(id).then(again, (e: Error) => setError(e.message));
  return (
    <Page title="Alerts" right={<Button size="xs" onClick={() => setMaking('')}>New silence</Button>}>
      {error && <Note color="red" p="xs" mb="xs" withCloseButton onClose={() => setError('')}>{error}</Note>}
      <Tabs value={tab} onChange={(t) => setTab(t ?? 'firing')} keepMounted={false}>
        <Tabs.List mb="sm">
          <Tabs.Tab value="firing">Firing {now.alerts.data && `(${now.alerts.data.length})`}</Tabs.Tab>
          <Tabs.Tab value="rules">Rules {now.groups.data && `(${now.groups.data.reduce((n, g) => n + g.rules.length, 0)})`}</Tabs.Tab>
          <Tabs.Tab value="silences">Silences {now.silences.data && `(${live.length})`}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="firing"><Loaded of={now.alerts} empty="No alert fires.">{(l) => (
          <>
            {name && <Group gap={6} mb="xs"><Text size="sm">Only {name}</Text><Button size="compact-xs" variant="default" onClick={() => setName('')}>All</Button></Group>}
            <Firing list={l.filter((a) => !name || a.labels.alertname === name)} onSilence={setMaking} />
          </>
        )}</Loaded></Tabs.Panel>
        <Tabs.Panel value="rules"><Rules of={now.groups} /></Tabs.Panel>
        <Tabs.Panel value="silences"><Loaded of={now.silences} empty="There are no silences.">{(l) => <Silences list={l} onEnd={end} />}</Loaded></Tabs.Panel>
      </Tabs>
      {making !== undefined && <Make initial={making} onClose={() => setMaking(undefined)} onDone={() => { setMaking(undefined); again(); }} />}
    </Page>
  );
}

const hidden = new Set(['alertname', 'severity']);
const matchersOf = (a: Alert) => Object.entries(a.labels).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(', ');

function AlertCard({ a, children }: { a: Alert; children?: React.ReactNode }) {
  return (
    <div className="card" data-alert={a.labels.alertname}>
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <Group gap={6} style={{ flex: 1, minWidth: 0, overflowWrap: 'anywhere' }}><Badge size="sm" style={{ flex: 'none' }} color={severityColor(a.labels.severity)}>{a.labels.severity ?? 'alert'}</Badge><b>{a.labels.alertname}</b>{a.status.state === 'suppressed' && <Badge size="sm" color="gray" variant="light">{a.status.silencedBy.length ? 'silenced' : 'inhibited'}</Badge>}</Group>
        <Text size="xs" c="dimmed" style={{ whiteSpace: 'nowrap', flex: 'none' }} title={timeText(Date.parse(a.startsAt), 'browser')}>{ago(Date.parse(a.startsAt), Date.now())}</Text>
      </Group>
      <Text size="sm" my={4}>{inline(a.annotations.summary ?? a.annotations.description ?? '')}</Text>
      {a.annotations.summary && a.annotations.description && <Text size="xs" c="dimmed" my={4}>{inline(a.annotations.description)}</Text>}
      <Group gap={4}>{Object.entries(a.labels).filter(([k]) => !hidden.has(k)).map(([k, v]) => <Badge key={k} size="xs" variant="outline" color="gray" tt="none" maw={300} title={`${k}=${v}`}>{k}={v}</Badge>)}</Group>
      {children}
    </div>
  );
}

function Firing({ list, onSilence }: { list: Alert[]; onSilence: (matchers: string) => void }) {
  return (
    <Stack gap={6}>
      {[...list].sort((a, b) => Number(a.status.state === 'suppressed') - Number(b.status.state === 'suppressed') || bySeverity(a, b)).map((a) => (
        <AlertCard key={a.fingerprint} a={a}>
          <Group gap="md" mt={6}>
            <Button size="compact-xs" variant="default" onClick={() => onSilence(matchersOf(a))}>Silence</Button>
            {a.annotations.runbook_url && <Link to={a.annotations.runbook_url}>What it means</Link>}
          </Group>
        </AlertCard>
      ))}
    </Stack>
  );
}

const conditions = ['firing', 'pending', 'inactive', 'error', 'recording'] as const;
const colors = { firing: 'red', pending: 'yellow', inactive: 'green', error: 'red', recording: 'gray' };
const condition = (r: Rule): typeof conditions[number] => (r.health === 'err' ? 'error' : r.type === 'recording' ? 'recording' : r.state ?? 'inactive');
const urgent = (r: Rule) => ['firing', 'pending', 'error'].includes(condition(r));

// Rules lists the rules by their groups. A group in which nothing happens is folded.
function Rules({ of }: { of: ReturnType<typeof useAsync<Awaited<ReturnType<typeof groups>>>> }) {
  const [filter, setFilter] = useParam('filter');
  const [state, setState] = useParam('state');
  const [all, setAll] = useState<boolean>();
  const hit = (r: Rule) => (!state || condition(r) === state) && `${r.name} ${r.query}`.toLowerCase().includes(filter.toLowerCase());
  const narrow = filter !== '' || state !== '';
  return (
    <>
      <Group gap={6} mb="xs">
        <TextInput size="xs" w={280} placeholder="Filter" aria-label="Filter rules" value={filter} onChange={(e) => setFilter(e.currentTarget.value)} />
        {conditions.map((c) => {
          const n = of.data?.reduce((sum, g) => sum + g.rules.filter((r) => condition(r) === c).length, 0) ?? 0;
          return (n > 0 || state === c) && <Button key={c} size="xs" variant={state === c ? 'filled' : 'default'} aria-pressed={state === c} onClick={() => setState(state === c ? '' : c)}>{c} ({n})</Button>;
        })}
        <Button size="xs" variant="default" onClick={() => setAll(true)}>Unfold all</Button>
        <Button size="xs" variant="default" onClick={() => setAll(false)}>Fold all</Button>
      </Group>
      <Loaded of={of} empty="There are no rules.">
        {(list) => {
          const found = list.filter((g) => g.rules.some(hit));
          if (found.length === 0) return <p className="hint">No rule is like that.</p>;
          return found.map((g) => (
            <Fold key={g.file + g.name} open={narrow || (all ?? g.rules.some(urgent))} title={g.name}
              right={<><Group gap={4}>{conditions.map((c) => { const n = g.rules.filter((r) => condition(r) === c).length; return n > 0 && <Badge key={c} size="xs" tt="none" variant="light" color={colors[c]}>{n} {c}</Badge>; })}</Group><Text span size="xs" c="dimmed">{g.file}, every {g.interval} s</Text></>}>
              <RuleTable list={g.rules.filter(hit)} />
            </Fold>
          ));
        }}
      </Loaded>
    </>
  );
}

function RuleTable({ list }: { list: Rule[] }) {
  return (
    <div className="table">
      <Table verticalSpacing={3} fz="xs" miw={700}>
        <Table.Tbody>
          {list.map((r, i) => (
            <Table.Tr key={i} data-rule={r.name}>
              <Table.Td w={80}><Badge size="xs" color={colors[condition(r)]}>{condition(r)}</Badge></Table.Td>
              <Table.Td><b>{r.name}</b>{r.duration ? <Text span size="xs" c="dimmed"> for {r.duration} s</Text> : null}<Text size="xs" c="dimmed">{inline(r.annotations?.summary?.replace(/\{\{.*?\}\}/g, '…') ?? '')}</Text>{r.lastError && <Text size="xs" c="red">{r.lastError}</Text>}</Table.Td>
              <Table.Td style={{ whiteSpace: 'normal', maxWidth: 'none' }}><Link to={`/explore?expr=${encodeURIComponent(r.query)}`} inherit><code style={{ overflowWrap: 'anywhere' }}>{r.query}</code></Link></Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}

function Silences({ list, onEnd }: { list: Silence[]; onEnd: (id: string) => void }) {
  const rank = { active: 0, pending: 1, expired: 2 };
  return (
    <div className="card table">
      <Table verticalSpacing={4} fz="xs">
        <Table.Thead><Table.Tr>{['State', 'Matches', 'Until', 'By', 'Comment', ''].map((h) => <Table.Th key={h}>{h}</Table.Th>)}</Table.Tr></Table.Thead>
        <Table.Tbody>
          {[...list].sort((a, b) => rank[a.status.state] - rank[b.status.state] || b.endsAt.localeCompare(a.endsAt)).slice(0, 200).map((s) => (
            <Table.Tr key={s.id} data-silence={s.status.state}>
              <Table.Td><Badge size="xs" color={s.status.state === 'active' ? 'blue' : 'gray'}>{s.status.state}</Badge></Table.Td>
              <Table.Td style={{ whiteSpace: 'normal' }}>{s.matchers.map(matcherText).join(', ')}</Table.Td>
              <Table.Td>{timeText(Date.parse(s.endsAt), 'browser')}</Table.Td><Table.Td>{s.createdBy}</Table.Td><Table.Td style={{ whiteSpace: 'normal' }}>{s.comment}</Table.Td>
              <Table.Td>{s.status.state !== 'expired' && <Button size="compact-xs" variant="default" onClick={() => onEnd(s.id)}>Expire</Button>}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}

function Make({ initial, onClose, onDone }: { initial: string; onClose: () => void; onDone: () => void }) {
  const [text, setText] = useState(initial);
  const [hours, setHours] = useState<number>(2);
  const [by, setBy] = useState(() => localStorage.getItem('oriel-name') ?? '');
  const [comment, setComment] = useState('');
  const [error, setError] = useState('');
  const matchers = parseMatchers(text);
  const save = (e: React.FormEvent) => {
    e.preventDefault();
    if (!matchers) return;
    localStorage.setItem('oriel-name', by);
    silence({ matchers, hours, createdBy: by, comment }).then(onDone, (x: Error) => setError(x.message));
  };
  return (
    <Modal opened onClose={onClose} title="New silence" size="lg">
      <form onSubmit={save}>
        <Stack gap="sm">
          <Textarea label="Matches" description={'As in PromQL: alertname="X", device=~"wg.*"'} autosize minRows={2} value={text} onChange={(e) => setText(e.currentTarget.value)} error={text.trim() !== '' && !matchers && 'This is not a list of matchers.'} data-autofocus required />
          <Group grow><NumberInput label="For hours" min={0.25} max={8760} step={1} value={hours} onChange={(v) => setHours(Number(v) || 1)} /><TextInput label="Your name" value={by} onChange={(e) => setBy(e.currentTarget.value)} required /></Group>
          <TextInput label="Comment" value={comment} onChange={(e) => setComment(e.currentTarget.value)} required />
          {error && <Note color="red" p="xs">{error}</Note>}
          <Group justify="flex-end"><Button variant="default" onClick={onClose}>Cancel</Button><Button type="submit" disabled={!matchers || !by || !comment}>Create</Button></Group>
        </Stack>
      </form>
    </Modal>
  );
}
