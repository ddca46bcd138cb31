import { timeText } from '../format/time';
import { displayName, type Frame } from './frame';

// csv writes a frame. A text that a spreadsheet would take for a formula gets a quote before it.
export function csv(frame: Frame, zone: string): string {
  const cell = (v: unknown, time: boolean): string => {
    if (v === null || v === undefined) return '';
    if (time && typeof v === 'number') return timeText(v, zone);
    if (typeof v === 'number') return String(v);
    const text = /^[=+\-@\t\r]/.test(String(v)) ? `'${String(v)}` : String(v);
    return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  const lines = [frame.fields.map((f) => cell(displayName(f, frame), false)).join(',')];
  for (let i = 0; i < frame.length; i++) lines.push(frame.fields.map((f) => cell(f.values[i], f.type === 'time')).join(','));
  return `${lines.join('\r\n')}\r\n`;
}
