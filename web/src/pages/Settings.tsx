import { Alert, Button, Group, Text } from '@mantine/core';
import { useState } from 'react';
import { api, getJSON } from '../data/api';
import { Loaded, Page } from '../ui/Data';
import { useAsync } from '../ui/hooks';

// Settings shows the configuration in force. Secrets never leave the server.
export function Settings() {
  const [tick, setTick] = useState(0);
  const [note, setNote] = useState<{ ok: boolean; text: string }>();
  const own = useAsync((s) => getJSON<{ file: string; sections: string }>('/api/console/config', s), [tick]);
  const prom = useAsync((s) => api<{ yaml: string }>('status/config', {}, s), [tick]);
  const alerts = useAsync((s) => getJSON<{ config: { original: string } }>('/alertmanager/api/v2/status', s), [tick]);
  const reload = async () => {
    const r = await fetch('/-/reload', { method: 'POST' }).catch((e: unknown) => new Response(String(e), { status: 599 }));
    setNote({ ok: r.ok, text: (await r.text()).trim() });
    setTick((n) => n + 1);
  };
  return (
    <Page title="Configuration" right={<Button size="xs" variant="default" onClick={() => void reload()}>Read the file again</Button>}>
      {note && <Alert color={note.ok ? 'green' : 'red'} p="xs" mb="sm" withCloseButton onClose={() => setNote(undefined)}><pre style={{ margin: 0, whiteSpace: 'pre-wrap' }}>{note.text}</pre></Alert>}
      <Group gap={6}><Text size="sm">In force, with defaults filled in and secrets hidden.</Text>{own.data && <Text size="sm" c="dimmed">{own.data.file ? `File: ${own.data.file}` : 'Without a file: what this machine offers.'}</Text>}</Group>
      <h2>Oriel</h2>
      <Loaded of={own}>{(c) => <pre className="code">{c.sections}</pre>}</Loaded>
      <h2>Prometheus</h2>
      <Loaded of={prom}>{(c) => <pre className="code">{c.yaml}</pre>}</Loaded>
      <h2>Alertmanager</h2>
      <Loaded of={alerts}>{(c) => <pre className="code">{c.config.original}</pre>}</Loaded>
    </Page>
  );
}
