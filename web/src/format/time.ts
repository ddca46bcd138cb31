// Ranges and times: "now-6h", "now/d", milliseconds, and texts of them in a zone.

export interface Range { from: number; to: number }

const unitMs: Record<string, number> = { s: 1e3, m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 };

// parseTime reads now-1h/h, milliseconds or an ISO time; NaN if it is none.
export function parseTime(text: string, now: number, end: boolean): number {
  const t = text.trim();
  if (/^\d{1,16}$/.test(t)) return Number(t);
  const m = /^now((?:[-+]\d{1,6}[smhdwMy])*)(?:\/([smhdwMy]))?$/.exec(t);
  if (!m) return /^\d{4}-/.test(t) ? Date.parse(t) : NaN;
  const at = new Date(now);
  for (const [, sign, n, unit] of (m[1] ?? '').matchAll(/([-+])(\d+)([smhdwMy])/g)) {
    const count = Number(n) * (sign === '-' ? -1 : 1);
    if (unit === 'M') at.setMonth(at.getMonth() + count);
    else if (unit === 'y') at.setFullYear(at.getFullYear() + count);
    else at.setTime(at.getTime() + count * unitMs[unit!]!);
  }
  if (m[2]) round(at, m[2], end);
  return at.getTime();
}

// round goes to the begin of a unit, or to its last millisecond.
function round(at: Date, unit: string, end: boolean): void {
  if (unit === 'y') at.setMonth(0);
  if (unit === 'y' || unit === 'M') at.setDate(1);
  if (unit === 'w') at.setDate(at.getDate() - ((at.getDay() + 6) % 7));
  if ('yMwd'.includes(unit)) at.setHours(0);
  if ('yMwdh'.includes(unit)) at.setMinutes(0);
  if ('yMwdhm'.includes(unit)) at.setSeconds(0);
  at.setMilliseconds(0);
  if (!end) return;
  if (unit === 'y') at.setFullYear(at.getFullYear() + 1);
  else if (unit === 'M') at.setMonth(at.getMonth() + 1);
  else at.setTime(at.getTime() + unitMs[unit]!);
  at.setTime(at.getTime() - 1);
}

export function parseRange(from: string, to: string, now: number): Range {
  const r = { from: parseTime(from, now, false), to: parseTime(to, now, true) };
  if (!(r.from < r.to)) return { from: now - 3600e3, to: now };
  return r;
}

// parseDuration reads 15s, 1m30s or 100ms; NaN if it is none.
export function parseDuration(text: string): number {
  if (!/^(\d+(ms|[smhdwy]))+$/.test(text.trim())) return NaN;
  let sum = 0;
  for (const [, n, u] of text.matchAll(/(\d+)(ms|[smhdwy])/g)) sum += Number(n) * (u === 'ms' ? 1 : u === 'y' ? 365 * 86400e3 : unitMs[u!]!);
  return sum;
}

// durationText is a duration as PromQL and SQL read it: 90000 is 90s, 60000 is 1m.
export function durationText(ms: number): string {
  for (const [u, size] of [['d', 86400e3], ['h', 3600e3], ['m', 60e3], ['s', 1e3]] as const) {
    if (ms >= size && ms % size === 0) return `${ms / size}${u}`;
  }
  return `${Math.max(1, Math.round(ms))}ms`;
}

const steps = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800, 2592000];

// interval is the distance of points, in milliseconds, for a width in pixels.
export function interval(range: Range, points: number, min: number): number {
  const want = (range.to - range.from) / Math.max(points, 1);
  const s = steps.find((v) => v * 1e3 >= want && v * 1e3 >= min) ?? steps.at(-1)!;
  return Math.max(s * 1e3, min);
}

// roundTimes are some times of a range, at most so many, that are easy to read in a zone: full hours rather than 11:07.
export function roundTimes(range: Range, most: number, zone: string): number[] {
  const step = (steps.find((s) => s >= 60 && (range.to - range.from) / (s * 1e3) <= Math.max(most, 2)) ?? steps.at(-1)!) * 1e3;
  const shown = timeText(range.from, zone);
  const offset = shown ? Date.parse(`${shown.replace(' ', 'T')}Z`) - Math.floor(range.from / 1e3) * 1e3 : 0; // of the zone to UTC
  const out: number[] = [];
  for (let t = Math.ceil((range.from + offset) / step) * step - offset; t <= range.to && out.length < 200; t += step) out.push(t);
  return out;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatter(zone: string, parts: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = zone + JSON.stringify(parts);
  let f = formats.get(key);
  if (!f) {
    const timeZone = zone === 'browser' || zone === '' ? undefined : zone === 'utc' ? 'UTC' : zone;
    try {
      f = new Intl.DateTimeFormat('sv-SE', { hourCycle: 'h23', timeZone, ...parts });
    } catch { // a zone that this browser does not know
      f = new Intl.DateTimeFormat('sv-SE', { hourCycle: 'h23', timeZone: 'UTC', ...parts });
    }
    formats.set(key, f);
  }
  return f;
}

const full: Intl.DateTimeFormatOptions = {
  year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit',
};

// timeText is 2026-11-21 10:05:00.
export function timeText(ms: number, zone: string): string {
  return Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? formatter(zone, full).format(ms).replace(',', '') : '';
}

// parseDate reads what timeText writes, or the begin of it; NaN if it is none.
export function parseDate(text: string, zone: string): number {
  const m = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d)(:\d\d)?)?$/.exec(text.trim());
  if (!m) return NaN;
  const want = Date.parse(`${m[1]}T${m[2] ?? '00:00'}${m[3] ?? ':00'}Z`);
  // What a zone's clock shows tells how far it is off; twice, as that may change in between.
  let at = want;
  for (let i = 0; i < 2; i++) at += want - Date.parse(`${timeText(at, zone).replace(' ', 'T')}Z`);
  return at;
}

export const clockText = (ms: number, zone: string): string =>
  formatter(zone, { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(ms);

// ago is "5 minutes ago" or "in 2 hours".
export function ago(ms: number, now: number): string {
  const s = Math.abs(now - ms) / 1e3;
  const [n, unit] = s < 60 ? [s, 'second'] : s < 3600 ? [s / 60, 'minute'] : s < 86400 ? [s / 3600, 'hour'] : s < 86400 * 365 ? [s / 86400, 'day'] : [s / 31536e3, 'year'];
  const text = `${Math.floor(n as number)} ${unit}${Math.floor(n as number) === 1 ? '' : 's'}`;
  return now >= ms ? `${text} ago` : `in ${text}`;
}

const names: Record<string, string> = { s: 'seconds', m: 'minutes', h: 'hours', d: 'days', w: 'weeks', M: 'months', y: 'years' };
const one: Record<string, string> = { s: 'second', m: 'minute', h: 'hour', d: 'day', w: 'week', M: 'month', y: 'year' };

// rangeText is what the picker shows.
export function rangeText(from: string, to: string, zone: string): string {
  const m = /^now-(\d+)([smhdwMy])$/.exec(from);
  if (m && to === 'now') return m[1] === '1' ? `Last ${one[m[2]!]}` : `Last ${m[1]} ${names[m[2]!]}`;
  if (from === 'now/d' && to === 'now') return 'Today so far';
  const show = (t: string) => (/^\d+$/.test(t) ? timeText(Number(t), zone) : t);
  return `${show(from)} – ${show(to)}`;
}
