import { ActionIcon, Button, Group, NativeSelect, Popover, Stack, TextInput } from '@mantine/core';
import { useEffect, useState } from 'react';
import { parseDate, parseTime, rangeText, timeText, type Range } from '../format/time';
import { useBusy, type Busy } from '../ui/busy';
import { change } from '../ui/url';
import { shift, zoomOut, type State } from './state';

const quick = ['now-5m', 'now-15m', 'now-30m', 'now-1h', 'now-3h', 'now-6h', 'now-12h', 'now-24h', 'now-2d', 'now-7d', 'now-30d', 'now/d'];
const refreshes = ['', '5s', '10s', '30s', '1m', '5m', '15m', '30m', '1h'];

export interface TimeBarProps { state: State; range: Range; onRefresh: () => void; busy: Busy }

// TimeBar chooses range, zone and refresh.
export function TimeBar({ state, range, onRefresh, busy }: TimeBarProps) {
  const loading = useBusy(busy);
  const [open, setOpen] = useState(false);
  const show = (t: string) => (/^\d+$/.test(t) ? timeText(Number(t), state.zone) : t);
  const [from, setFrom] = useState(show(state.from));
  const [to, setTo] = useState(show(state.to));
  useEffect(() => { setFrom(show(state.from)); setTo(show(state.to)); }, [state.from, state.to, open]); // eslint-disable-line react-hooks/exhaustive-deps
  const read = (t: string) => (t.startsWith('now') || /^\d+$/.test(t) ? t : String(parseDate(t, state.zone))); // a typed date is of the zone chosen
  const now = Date.now();
  const [a, b] = [parseTime(read(from), now, false), parseTime(read(to), now, true)];
  const wrong = Number.isNaN(a) ? 'from' : Number.isNaN(b) || b <= a ? 'to' : '';
  const apply = (e: React.FormEvent) => { e.preventDefault(); if (!wrong) { change({ from: read(from), to: read(to) }); setOpen(false); } };
  const zones = [{ value: 'browser', label: 'Browser time' }, { value: 'utc', label: 'UTC' }, ...['Europe/Lisbon', 'Europe/Berlin', 'America/New_York', 'America/Los_Angeles', 'Asia/Kolkata', 'Asia/Tokyo'].map((z) => ({ value: z, label: z }))];
  if (!zones.some((z) => z.value === state.zone)) zones.push({ value: state.zone, label: state.zone });
  return (
    <Group gap={4} wrap="nowrap" className="timebar">
      <ActionIcon variant="default" size={30} onClick={() => shift(range, -1)} aria-label="Earlier" title="Earlier (t ←)">‹</ActionIcon>
      <Popover opened={open} onChange={setOpen} position="bottom-end" trapFocus withinPortal shadow="md">
        <Popover.Target>
          <Button variant="default" size="xs" onClick={() => setOpen(!open)} aria-label={`Time range: ${rangeText(state.from, state.to, state.zone)}`}>{rangeText(state.from, state.to, state.zone)}</Button>
        </Popover.Target>
        <Popover.Dropdown>
          <Group align="flex-start" gap="md">
            <form onSubmit={apply}>
              <Stack gap={8} w={210}>
                <TextInput size="xs" label="From" value={from} onChange={(e) => setFrom(e.currentTarget.value)} error={wrong === 'from' && 'A time, or now-6h'} data-autofocus />
                <TextInput size="xs" label="To" value={to} onChange={(e) => setTo(e.currentTarget.value)} error={wrong === 'to' && 'A time after From, or now'} />
                <Button size="xs" type="submit" disabled={wrong !== ''}>Apply</Button>
                <NativeSelect size="xs" label="Time zone" value={state.zone} data={zones} onChange={(e) => change({ timezone: e.currentTarget.value })} />
              </Stack>
            </form>
            <Stack gap={0}>
              {quick.map((q) => <Button key={q} size="compact-xs" variant={state.from === q && state.to === 'now' ? 'light' : 'subtle'} color="gray" justify="flex-start" onClick={() => { change({ from: q, to: 'now' }); setOpen(false); }}>{rangeText(q, 'now', state.zone)}</Button>)}
            </Stack>
          </Group>
        </Popover.Dropdown>
      </Popover>
      <ActionIcon variant="default" size={30} onClick={() => shift(range, 1)} aria-label="Later" title="Later (t →)">›</ActionIcon>
      <ActionIcon variant="default" size={30} onClick={() => zoomOut(range)} aria-label="Zoom out" title="Zoom out (t z)">⊖</ActionIcon>
      <Button variant="default" size="xs" px={8} onClick={onRefresh} loading={loading} aria-label="Refresh" title="Refresh (r)">⟳</Button>
      <NativeSelect size="xs" w={74} aria-label="Refresh every" value={state.refresh} data={(refreshes.includes(state.refresh) ? refreshes : [...refreshes, state.refresh]).map((r) => ({ value: r, label: r || 'Off' }))} onChange={(e) => change({ refresh: e.currentTarget.value }, true)} />
    </Group>
  );
}
