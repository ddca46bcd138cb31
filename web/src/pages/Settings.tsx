import { Alert, Button, CopyButton, Group, Text, TextInput } from '@mantine/core';
import { useState } from 'react';
import { api, getJSON } from '../data/api';
import { Loaded, Page } from '../ui/Data';
import { Fold } from '../ui/Fold';
import { useAsync } from '../ui/hooks';
import { useParam } from '../ui/url';
import { around, sections } from './sections';

const short = 12; // lines that need no folding

// Settings shows the configuration in force. Secrets never leave the server.
export function Settings() {
  const [tick, setTick] = useState(0);
  const [note, setNote] = useState<{ ok: boolean; text: string }>();
  const [find, setFind] = useParam('filter');
  const [all, setAll] = useState<boolean>();
  const own = useAsync((s) => getJSON<{ file: string; sections: string }>('/api/console/config', s), [tick]);
  const prom = useAsync((s) => api<{ yaml: string }>('status/config', {}, s), [tick]);
  const alerts = useAsync((s) => getJSON<{ config: { original: string } }>('/alertmanager/api/v2/status', s), [tick]);
  const reload = async () => {
    const r = await fetch('/-/reload', { method: 'POST' }).catch((e: unknown) => new Response(String(e), { status: 599 }));
    setNote({ ok: r.ok, text: (await r.text()).trim() });
    setTick((n) => n + 1);
  };
  const shown = { word: find.trim().toLowerCase(), all };
  return (
    <Page title="Configuration" right={<Button size="xs" variant="default" onClick={() => void reload()}>Read the file again</Button>}>
      {note && <Alert color={note.ok ? 'green' : 'red'} p="xs" mb="sm" withCloseButton onClose={() => setNote(undefined)}><pre style={{ margin: 0, whiteSpace: 'pre-wrap' }}>{note.text}</pre></Alert>}
      <Group gap={6}><Text size="sm">In force, with defaults filled in and secrets hidden.</Text>{own.data && <Text size="sm" c="dimmed">{own.data.file ? `File: ${own.data.file}` : 'Without a file: what this machine offers.'}</Text>}</Group>
      <Group gap={6} mt="xs">
        <TextInput size="xs" w={280} placeholder="Filter" aria-label="Filter configuration" value={find} onChange={(e) => setFind(e.currentTarget.value)} />
        <Button size="xs" variant="default" onClick={() => setAll(true)}>Unfold all</Button>
        <Button size="xs" variant="default" onClick={() => setAll(false)}>Fold all</Button>
      </Group>
      <h2>Oriel</h2>
      <Loaded of={own}>{(c) => <Yaml name="oriel" text={c.sections} {...shown} />}</Loaded>
      <h2>Prometheus</h2>
      <Loaded of={prom}>{(c) => <Yaml name="prometheus" text={c.yaml} {...shown} />}</Loaded>
      <h2>Alertmanager</h2>
      <Loaded of={alerts}>{(c) => <Yaml name="alertmanager" text={c.config.original} {...shown} />}</Loaded>
    </Page>
  );
}

// Yaml is a text by its sections, with an index of them.
function Yaml({ name, text, word, all }: { name: string; text: string; word: string; all?: boolean }) {
  const list = sections(text).map((s) => ({ ...s, id: `${name}-${s.name}`, shown: word ? around(s.lines, word) : s.lines })).filter((s) => s.shown.length > 0);
  const leap = (id: string) => {
    const e = document.getElementById(id) as HTMLDetailsElement | null;
    if (!e) return;
    e.open = true;
    e.scrollIntoView({ block: 'start' });
  };
  if (list.length === 0) return <Text size="sm" c="dimmed">{word ? 'Nothing here has it.' : 'Empty.'}</Text>;
  return (
    <>
      <Group gap={4} mb={6} component="nav" aria-label={`Sections of ${name}`}>
        {list.map((s) => <Button key={s.id} size="compact-xs" variant="default" fw={400} onClick={() => leap(s.id)}>{s.name || '…'}</Button>)}
        <CopyButton value={text}>{({ copied, copy }) => <Button size="compact-xs" variant="subtle" onClick={copy}>{copied ? 'Copied' : 'Copy'}</Button>}</CopyButton>
      </Group>
      {list.map((s) => (
        <Fold key={s.id} id={s.id} title={s.name || '…'} right={<Text span size="xs" c="dimmed">{word ? `${s.shown.length} of ` : ''}{s.lines.length} {s.lines.length === 1 ? 'line' : 'lines'}</Text>} open={word !== '' || (all ?? s.lines.length <= short)}>
          <pre className="code">{s.shown.join('\n')}</pre>
        </Fold>
      ))}
    </>
  );
}
