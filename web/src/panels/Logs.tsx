import { useState } from 'react';
import { timeField, type Frame } from '../data/frame';
import { timeText } from '../format/time';
import type { PanelProps } from './types';

const levels: [RegExp, string][] = [[/\b(crit|critical|fatal|alert|emerg)/i, 'var(--mantine-color-grape-6)'], [/\berr/i, 'var(--mantine-color-red-6)'], [/\bwarn/i, 'var(--mantine-color-yellow-6)'], [/\binfo/i, 'var(--mantine-color-green-6)'], [/\b(debug|trace)/i, 'var(--mantine-color-blue-6)']];

interface Entry { time: number; text: string; rest: [string, string][]; color: string }

// entries are the lines of frames: a time, a text, and all else as details.
export function entries(frames: Frame[]): Entry[] {
  const out: Entry[] = [];
  for (const f of frames) {
    const time = timeField(f);
    const body = f.fields.find((c) => /^(body|line|message|msg|text|log)$/i.test(c.name)) ?? f.fields.find((c) => c.type === 'string');
    if (!time) continue;
    const level = f.fields.find((c) => /^(level|severity|lvl|detected_level)$/i.test(c.name));
    for (let i = 0; i < f.length; i++) {
      const rest = f.fields.filter((c) => c !== time && c !== body && c.values[i] !== null && c.values[i] !== undefined).map((c): [string, string] => [c.name, String(c.values[i])]);
      const text = String(body?.values[i] ?? rest.map(([k, v]) => `${k}=${v}`).join(' '));
      const hint = String(level?.values[i] ?? text.slice(0, 200));
      out.push({ time: time.values[i] as number, text, rest, color: levels.find(([re]) => re.test(hint))?.[1] ?? 'var(--mantine-color-gray-6)' });
    }
  }
  return out;
}

// Logs lists lines; a click shows all of one.
export function Logs(p: PanelProps) {
  const o = (p.panel.options ?? {}) as { sortOrder?: string; wrapLogMessage?: boolean; showTime?: boolean };
  const [open, setOpen] = useState<number>();
  const list = entries(p.frames).sort((a, b) => (o.sortOrder === 'Ascending' ? a.time - b.time : b.time - a.time)).slice(0, 1000);
  return (
    <ol className={`logs${o.wrapLogMessage ? ' wrap' : ''}`}>
      {list.map((l, i) => (
        <li key={i} style={{ borderColor: l.color }}>
          <button type="button" aria-expanded={open === i} onClick={() => setOpen(open === i ? undefined : i)}>
            {o.showTime !== false && <time>{timeText(l.time, p.look.zone)}</time>}<span>{l.text}</span>
          </button>
          {open === i && <dl>{l.rest.map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}</dl>}
        </li>
      ))}
    </ol>
  );
}
