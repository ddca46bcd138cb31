import { describe, expect, it } from 'vitest';
import { configure } from './data/config';
import { makeFrame, type Field, type Frame } from './data/frame';
import { legendOf, sqlFrame } from './data/query';
import { figures, oneTable, reduceField } from './data/reduce';
import { transform } from './data/transform';
import { displayOf, mapping, whole } from './format/display';
import { durationText, interval, parseDate, parseDuration, parseRange, parseTime, rangeText, timeText } from './format/time';
import { formatText } from './format/units';
import { around, sections } from './pages/sections';
import { listLines } from './panels/Legend';

const field = (name: string, values: unknown[], more: Partial<Field> = {}): Field => ({ name, type: typeof (values.find((v) => v !== null) ?? 0) === 'number' ? 'number' : 'string', values, config: {}, ...more });
const table = (f: Frame) => ({ names: f.fields.map((c) => c.name), rows: Array.from({ length: f.length }, (_, i) => f.fields.map((c) => c.values[i])) });

describe('units', () => {
  it.each([
    [0, 'short', '0'], [1234, 'short', '1.23 K'], [23400, 'short', '23.4 K'], [5, 'short', '5'], [-1500, 'short', '-1.5 K'], [0.0234, 'short', '0.0234'],
    [1024, 'bytes', '1 KiB'], [1536, 'bytes', '1.5 KiB'], [0, 'bytes', '0 B'], [1e6, 'bps', '1 Mb/s'], [1500, 'Bps', '1.5 kB/s'],
    [0.5, 'percentunit', '50%'], [42, 'percent', '42%'], [0.002, 's', '2 ms'], [90, 's', '1.5 min'], [7200, 's', '2 h'], [86400, 's', '1 d'], [1500, 'ms', '1.5 s'],
    [0.25, 'reqps', '0.25 req/s'], [1e3, 'pps', '1 kp/s'], [3, 'widgets', '3 widgets'], [2, 'suffix: x', '2 x'], [7, 'prefix:$', '$7'], [1, 'bool_yes_no', 'Yes'],
    [NaN, 'short', 'NaN'], [Infinity, 's', '∞'], [0.1 + 0.2, 'none', '0.3'],
  ])('%d %s is %s', (v, unit, want) => expect(formatText(v, unit)).toBe(want));
  it('obeys decimals', () => {
    expect(formatText(1.239, 'none', 2)).toBe('1.24');
    expect(formatText(5, 's', 1)).toBe('5.0 s');
    expect(formatText(1536, 'bytes', 0)).toBe('1.5 KiB');
  });
});

describe('time', () => {
  const now = new Date(2026, 10, 21, 10, 5, 7).getTime();
  it('reads what the URL has', () => {
    expect(parseTime('now-1h', now, false)).toBe(now - 3600e3);
    expect(parseTime('now/d', now, false)).toBe(new Date(2026, 10, 21).getTime());
    expect(parseTime('now/d', now, true)).toBe(new Date(2026, 10, 22).getTime() - 1);
    expect(parseTime('now-1d/d', now, false)).toBe(new Date(2026, 10, 20).getTime());
    expect(parseTime('1700000000000', now, false)).toBe(1700000000000);
    for (const bad of ['', 'x', 'now-', 'now-1q', 'now+', '<script>']) expect(parseTime(bad, now, false)).toBeNaN();
    expect(parseRange('now', 'now-1h', now)).toEqual({ from: now - 3600e3, to: now });
  });
  it('reads a date in its zone', () => {
    expect(parseDate('2026-11-21 10:05:07', 'utc')).toBe(Date.UTC(2026, 10, 21, 10, 5, 7));
    expect(parseDate('2026-11-21 10:05', 'Asia/Kolkata')).toBe(Date.UTC(2026, 10, 21, 4, 35));
    expect(parseDate('2026-07-01', 'America/New_York')).toBe(Date.UTC(2026, 6, 1, 4));
    expect(parseDate('2026-03-29 03:30:00', 'Europe/Berlin')).toBe(Date.UTC(2026, 2, 29, 1, 30)); // an hour after the clocks went forward
    for (const zone of ['browser', 'utc', 'Asia/Tokyo', 'Europe/Lisbon']) expect(timeText(parseDate('2026-10-25 12:00:00', zone), zone)).toBe('2026-10-25 12:00:00');
    for (const bad of ['', 'x', '2026', '2026-13-01', '2026-11-21 25:00', '<script>']) expect(parseDate(bad, 'utc')).toBeNaN();
  });
  it('chooses intervals', () => {
    expect(interval({ from: 0, to: 3600e3 }, 600, 15e3)).toBe(15e3);
    expect(interval({ from: 0, to: 86400e3 }, 600, 15e3)).toBe(300e3);
    expect(durationText(300e3)).toBe('5m');
    expect(parseDuration('1h30m')).toBe(5400e3);
    expect(parseDuration('5x')).toBeNaN();
    expect(rangeText('now-6h', 'now', 'utc')).toBe('Last 6 hours');
  });
});

describe('transformations', () => {
  it('merges rows by what they share, then organizes', () => {
    const a = makeFrame([field('Time', [1, 1]), field('peer', ['x', 'y']), field('Value #A', [1, 2])]);
    const b = makeFrame([field('Time', [1, 1]), field('peer', ['y', 'x']), field('Value #B', [20, 10])]);
    const { frames, unknown } = transform([a, b], [
      { id: 'merge', options: {} },
      { id: 'organize', options: { excludeByName: { Time: true }, indexByName: { 'Value #B': 0, peer: 1 }, renameByName: { peer: 'Peer' } } },
    ]);
    expect(unknown).toEqual([]);
    expect(table(frames[0]!)).toEqual({ names: ['Value #B', 'Peer', 'Value #A'], rows: [[10, 'x', 1], [20, 'y', 2]] });
  });
  it('joins, sorts, limits, reduces, groups', () => {
    const a = makeFrame([field('Time', [1, 2], { type: 'time' }), field('v', [5, 6])]);
    const b = makeFrame([field('Time', [2, 3], { type: 'time' }), field('w', [7, 8])]);
    expect(table(transform([a, b], [{ id: 'joinByField', options: { byField: 'Time' } }]).frames[0]!).rows).toEqual([[1, 5, null], [2, 6, 7], [3, null, 8]]);
    expect(table(transform([a, b], [{ id: 'joinByField', options: { byField: 'Time', mode: 'inner' } }]).frames[0]!).rows).toEqual([[2, 6, 7]]);
    const s = transform([a], [{ id: 'sortBy', options: { sort: [{ field: 'v', desc: true }] } }, { id: 'limit', options: { limitField: 1 } }]);
    expect(table(s.frames[0]!).rows).toEqual([[2, 6]]);
    expect(table(transform([a, b], [{ id: 'reduce', options: { reducers: ['max', 'sum'] } }]).frames[0]!)).toEqual({ names: ['Field', 'Max', 'Total'], rows: [['v', 6, 11], ['w', 8, 15]] });
    const g = makeFrame([field('k', ['a', 'b', 'a']), field('n', [1, 2, 3])]);
    const by = { fields: { k: { operation: 'groupby' }, n: { operation: 'aggregate', aggregations: ['sum'] } } };
    expect(table(transform([g], [{ id: 'groupBy', options: by }]).frames[0]!)).toEqual({ names: ['k', 'n (sum)'], rows: [['a', 4], ['b', 2]] });
  });
  it('names what it does not know', () => {
    expect(transform([], [{ id: 'spatial' }]).unknown).toEqual(['transformation "spatial" is not supported']);
  });
});

describe('legends', () => {
  it('have as many lines as their names need', () => {
    expect(listLines(['accepted'], 0, 400)).toBe(1);
    expect(listLines(['aws', 'azure', 'gcp', 'ibm'], 2, 540)).toBe(2);
    expect(listLines(['a', 'b'], 5, 540)).toBe(2);
    expect(listLines(['n'.repeat(500), 'b'], 0, 300)).toBe(2);
    expect(listLines([], 0, 300)).toBe(1);
  });
});

describe('fields', () => {
  it('reduces', () => {
    const f = field('v', [1, null, 3, NaN]);
    expect(['lastNotNull', 'max', 'mean', 'sum', 'count', 'p50'].map((c) => reduceField(f, c))).toEqual([3, 3, 2, 4, 4, 1]);
    expect(reduceField(field('s', ['a', null]), 'lastNotNull')).toBe('a');
    expect(reduceField(field('v', [null]), 'max')).toBeNull();
  });
  it('makes a figure of each field or of each row', () => {
    const f = makeFrame([field('ip', ['a', 'b']), field('n', [1, 2])]);
    expect(figures([f], { values: true }).map((v) => [v.name, v.value])).toEqual([['a', 1], ['b', 2]]);
    expect(figures([f], { calcs: ['sum'] }).map((v) => [v.name, v.value])).toEqual([['n', 3]]);
  });
  it('overrides by name and says which matchers it does not know', () => {
    const panel = { id: 1, type: 'table', gridPos: { x: 0, y: 0, w: 1, h: 1 }, fieldConfig: { defaults: { unit: 's' }, overrides: [
      { matcher: { id: 'byName', options: 'n' }, properties: [{ id: 'unit', value: 'bytes' }, { id: 'custom.width', value: 90 }] }, { matcher: { id: 'bySize' }, properties: [] },
    ] } };
    const { frames, unknown } = configure([makeFrame([field('n', [1]), field('m', [1])])], panel);
    expect(frames[0]!.fields.map((c) => [c.config.unit, c.config.custom?.width])).toEqual([['bytes', 90], ['s', undefined]]);
    expect(unknown).toEqual(['matcher "bySize" is not supported']);
  });
  it('shows mappings, thresholds and nothing', () => {
    const f = field('v', [0, 5], { config: { unit: 'short', noValue: 'none', thresholds: { mode: 'absolute', steps: [{ color: 'green', value: null }, { color: 'red', value: 5 }] }, mappings: [{ type: 'value', options: { 0: { text: 'down', color: 'blue' } } }] } });
    const show = displayOf(f, { dark: true, zone: 'utc' });
    expect([whole(show(0)), show(0).color, show(5).color, show(4).color, whole(show(null))]).toEqual(['down', '#5794F2', '#F2495C', '#73BF69', 'none']);
    expect(mapping(7, { mappings: [{ type: 'range', options: { from: 5, to: null, result: { text: 'big' } } }] })?.text).toBe('big');
    expect(mapping('abc', { mappings: [{ type: 'regex', options: { pattern: '(', result: { text: 'x' } } }] })).toBeUndefined();
  });
  it('reads answers', () => {
    expect(legendOf({ refId: 'A', legendFormat: '{{a}} of {{ b }} {{none}}' }, { a: 'x', b: 'y' }, new Map())).toBe('x of y ');
    const f = sqlFrame({ ref_id: 'A', row_count: 1, truncated: false, cached: false, elapsed_ms: 1, columns: [{ name: 't', type: 'TIMESTAMP', kind: 'time' }, { name: 'n', type: 'DOUBLE', kind: 'float' }], rows: [['2026-01-01T00:00:00Z', '+Inf']] });
    expect(table(f).rows).toEqual([[Date.UTC(2026, 0, 1), Infinity]]);
    const one = oneTable([makeFrame([field('Time', [1], { type: 'time' }), field('Value', [2], { legend: 'a' })]), makeFrame([field('Time', [3], { type: 'time' }), field('Value', [4], { legend: 'b' })])]);
    expect(table(one).rows).toEqual([[1, 2, null], [3, null, 4]]);
  });
});

describe('a text of YAML', () => {
  const text = '# of the demo\nglobal:\n  scrape_interval: 5s\nscrape_configs:\n- job_name: a\n  static_configs:\n  - targets:\n    - x:1\n- job_name: b\n  static_configs:\n  - targets:\n    - y:2\n\n';
  it('has sections', () => {
    expect(sections(text).map((s) => [s.name, s.lines.length])).toEqual([['', 1], ['global', 2], ['scrape_configs', 9]]);
    expect(sections(text).flatMap((s) => s.lines).join('\n')).toBe(text.trimEnd());
    expect(sections('')).toEqual([{ name: '', lines: [''] }]);
  });
  it('shows where a word stands', () => {
    expect(around(sections(text)[2]!.lines, 'y:2')).toEqual(['scrape_configs:', '- job_name: b', '  static_configs:', '  - targets:', '    - y:2']);
    expect(around(sections(text)[1]!.lines, 'y:2')).toEqual([]);
  });
});
