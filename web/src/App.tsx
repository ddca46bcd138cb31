import { ActionIcon, AppShell, Burger, Group, NavLink, Text, TextInput, useMantineColorScheme } from '@mantine/core';
import { useDisclosure, useHotkeys } from '@mantine/hooks';
import { lazy, Suspense, useEffect, useRef, type ReactNode } from 'react';
import { DashboardPage } from './dashboard/DashboardPage';
import { Alerts } from './pages/Alerts';
import { Dashboards } from './pages/Dashboards';
import { Overview } from './pages/Overview';
import { Settings } from './pages/Settings';
import { Status } from './pages/Status';
import { Targets } from './pages/Targets';
import { Guard } from './ui/Guard';
import { Keys } from './ui/Keys';
import { follow } from './ui/Link';
import { useDark } from './ui/hooks';
import { go, usePlace } from './ui/url';

const Explore = lazy(() => import('./pages/Explore'));
const Entity = lazy(() => import('./pages/Entity'));

const pages: { path: string; title: string; key: string; page: () => ReactNode }[] = [
  { path: '/', title: 'Overview', key: 'o', page: () => <Overview /> },
  { path: '/dashboards', title: 'Dashboards', key: 'd', page: () => <Dashboards /> },
  { path: '/explore', title: 'Explore', key: 'e', page: () => <Explore /> },
  { path: '/alerts', title: 'Alerts', key: 'a', page: () => <Alerts /> },
  { path: '/entity', title: 'Look up', key: 'l', page: () => <Entity /> },
  { path: '/targets', title: 'Targets', key: 't', page: () => <Targets /> },
  { path: '/config', title: 'Configuration', key: 'c', page: () => <Settings /> },
  { path: '/status', title: 'Status', key: 's', page: () => <Status /> },
];

export function App() {
  const { path } = usePlace();
  const [open, { toggle, close }] = useDisclosure(false);
  const { setColorScheme } = useMantineColorScheme();
  const dark = useDark();
  const look = useRef<HTMLInputElement>(null);
  const [help, helping] = useDisclosure(false);
  const going = useRef(0); // when g was pressed: a letter after it goes to a page
  useHotkeys([['/', () => look.current?.focus()], ['?', helping.toggle], ['shift+?', helping.toggle], ['g', () => { going.current = Date.now(); }]]);
  useEffect(() => {
    const press = (e: KeyboardEvent) => {
      if (Date.now() - going.current > 1200 || (e.target as HTMLElement).closest('input,textarea,select,[contenteditable]')) return;
      const p = pages.find((x) => x.key === e.key);
      if (p) { going.current = 0; e.stopImmediatePropagation(); go(p.path); }
    };
    addEventListener('keydown', press, true);
    return () => removeEventListener('keydown', press, true);
  }, []);
  const here = pages.find((p) => p.path === path || (p.path === '/dashboards' && path.startsWith('/d/')));
  const uid = /^\/d\/([^/]+)/.exec(path)?.[1];
  useEffect(() => { if (!uid) document.title = `${here?.title ?? 'Not found'} · Oriel`; close(); }, [here, uid, path]); // eslint-disable-line react-hooks/exhaustive-deps
  return (
    <AppShell header={{ height: 44 }} navbar={{ width: 170, breakpoint: 'md', collapsed: { mobile: !open } }} padding={0}>
      <AppShell.Header className="head">
        <Group h="100%" px="sm" gap="sm" wrap="nowrap" justify="space-between">
          <Group gap="xs" wrap="nowrap">
            <Burger opened={open} onClick={toggle} hiddenFrom="md" size="sm" aria-label="Pages" />
            <img src="/favicon.svg" width={22} height={22} alt="" />
            <Text fw={700} component="a" href="/" onClick={(e: React.MouseEvent) => follow(e, '/')} c="inherit">Oriel</Text>
          </Group>
          <form onSubmit={(e) => { e.preventDefault(); const q = look.current?.value.trim(); if (q) go(`/entity?q=${encodeURIComponent(q)}`); }} style={{ flex: '0 1 420px' }}>
            <TextInput ref={look} size="xs" placeholder="Look up an address, peer, tunnel, image or name" aria-label="Look up" rightSection={<kbd>/</kbd>} />
          </form>
          <Group gap={6} wrap="nowrap">
            <ActionIcon variant="subtle" color="gray" aria-label="Keys" title="Keys (?)" onClick={helping.open}>?</ActionIcon>
            <ActionIcon variant="subtle" color="gray" aria-label={dark ? 'Light' : 'Dark'} title={dark ? 'Light' : 'Dark'} onClick={() => setColorScheme(dark ? 'light' : 'dark')}>{dark ? '☀' : '☾'}</ActionIcon>
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p={6} className="nav">
        {pages.map((p) => <NavLink key={p.path} href={p.path} label={p.title} active={here === p} onClick={(e) => follow(e, p.path)} />)}
      </AppShell.Navbar>
      <AppShell.Main>
        <Guard key={path}>
          <Suspense fallback={<p className="hint">Loading …</p>}>{uid ? <DashboardPage key={uid} uid={decodeURIComponent(uid)} /> : (here?.page() ?? <p className="hint">There is no page {path}.</p>)}</Suspense>
        </Guard>
      </AppShell.Main>
      <Keys open={help} onClose={helping.close} pages={pages} />
    </AppShell>
  );
}
