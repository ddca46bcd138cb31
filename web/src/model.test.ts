import { describe, expect, it } from 'vitest';
import { expand, rows, type Panel } from './model/dashboard';
import { interpolate, safeURL, type Chosen, type Scope } from './model/interpolate';
import { choose, filter, ofRows, sortOptions } from './model/variables';

const option = (...values: string[]) => values.map((v) => ({ text: v, value: v }));
const chosen = (name: string, values: string[], more: Partial<Chosen> = {}): Chosen => ({ name, values: option(...values), all: false, multi: true, ...more });
const scope = (...list: Chosen[]): Scope => new Map(list.map((c) => [c.name, c]));

describe('interpolate', () => {
  it('writes regular expressions into PromQL', () => {
    const q = 'x{a=~"$a"}';
    expect(interpolate(q, scope(chosen('a', ['one'])), 'promql')).toBe('x{a=~"one"}');
    expect(interpolate(q, scope(chosen('a', ['10.0.0.1:80', 'b"c'])), 'promql')).toBe('x{a=~"(10\\\\.0\\\\.0\\\\.1:80|b\\"c)"}');
    expect(interpolate(q, scope(chosen('a', ['a\\b'])), 'promql')).toBe('x{a=~"a\\\\\\\\b"}');
    expect(interpolate(q, scope(chosen('a', ['one', 'two'], { all: true, allValue: '.*' })), 'promql')).toBe('x{a=~".*"}');
    expect(interpolate('x{a="$a"}', scope(chosen('a', ['q"\\'], { multi: false })), 'promql')).toBe('x{a="q\\"\\\\"}');
  });
  it('leaves what it does not know', () => {
    expect(interpolate('$unknown ${other:csv} $1', new Map())).toBe('$unknown ${other:csv} $1');
    expect(interpolate('[$__rate_interval]', new Map(), 'promql', { __rate_interval: '1m' })).toBe('[1m]');
  });
  it('knows formats', () => {
    const s = scope(chosen('v', ["a'b", 'c']));
    expect(interpolate('${v:sqlstring} ${v:pipe} ${v:csv} ${v:queryparam} [[v]]', s)).toBe("'a''b','c' a'b|c a'b,c var-v=a'b&var-v=c {a'b,c}");
    expect(interpolate('${v:text}', scope(chosen('v', ['x'], { all: true })))).toBe('All');
  });
});

describe('safeURL', () => {
  it('refuses scripts and other hosts without a scheme', () => {
    for (const bad of ['javascript:alert(1)', ' JavaScript:alert(1)', 'data:text/html,x', '//evil.example', '\\\\evil', 'vbscript:x']) expect(safeURL(bad)).toBeUndefined();
    for (const good of ['https://a.example/x', 'http://a', '/d/uid?var-a=b', 'd/x', '?a=b']) expect(safeURL(good)).toBe(good);
  });
});

describe('variables', () => {
  it('takes value and text of groups, all matches with g', () => {
    const line = '{device="wg0", name="Ana\\"s laptop", public_key="KEY="} 1 1000';
    expect(filter(option(line), '/\\bpublic_key="(?<value>[^"]+)|\\bname="(?<text>(?:[^"\\\\]|\\\\.)+)/g')).toEqual([{ value: 'KEY=', text: 'Ana"s laptop' }]);
    expect(filter(option('a-1', 'b', 'a-1'), '/a-(\\d)/')).toEqual(option('1'));
    expect(filter(option('a', 'b', 'a'))).toEqual(option('a', 'b'));
    expect(filter(option('a'), '/(/')).toEqual(option('a'));
  });
  it('sorts by number and by name', () => {
    expect(sortOptions(option('n10', 'n2', 'n1'), 3).map((o) => o.value)).toEqual(['n1', 'n2', 'n10']);
    expect(sortOptions(option('b', 'a', 'C'), 2).map((o) => o.value)).toEqual(['b', 'a', 'C']);
    expect(sortOptions(option('b', 'a', 'C'), 5).map((o) => o.value)).toEqual(['a', 'b', 'C']);
  });
  it('chooses of the URL, of the dashboard, the first', () => {
    const v = { name: 'v', type: 'query', multi: true, includeAll: true, current: { text: 'All', value: '$__all' } };
    expect(choose(v, option('a', 'b'), undefined)).toMatchObject({ all: true, values: option('a', 'b') });
    expect(choose(v, option('a', 'b'), ['b'])).toMatchObject({ all: false, values: option('b') });
    expect(choose(v, option('a', 'b'), ['gone'])).toMatchObject({ all: false, values: option('gone') });
    expect(choose({ name: 'v', type: 'query' }, option('a', 'b'), undefined)).toMatchObject({ values: option('a') });
  });
  it('reads label and value of SQL by name, then by place', () => {
    expect(ofRows({ columns: [{ name: '__value' }, { name: '__text' }], rows: [[1, 'one']] })).toEqual([{ text: 'one', value: '1' }]);
    expect(ofRows({ columns: [{ name: 'x' }], rows: [['a']] })).toEqual(option('a'));
    expect(ofRows({ columns: [{ name: 'l' }, { name: 'v' }], rows: [['a', 'b']] })).toEqual([{ text: 'a', value: 'b' }]);
  });
});

describe('rows', () => {
  const panel = (id: number, y: number, more: Partial<Panel> = {}): Panel => ({ id, type: 'stat', gridPos: { x: 0, y, w: 12, h: 4 }, ...more });
  it('divides and repeats', () => {
    const list = rows([panel(3, 9), panel(1, 0, { repeat: 'v', maxPerRow: 2 }), panel(9, 5, { type: 'row', title: 'Row $v', repeat: 'v' }), panel(2, 4)]);
    expect(list.map((r) => r.panels.map((p) => p.id))).toEqual([[1, 2], [3]]);
    const out = expand(list, () => option('a', 'b', 'c'));
    expect(out).toHaveLength(4);
    expect(out[0]!.panels.map((p) => [p.gridPos.x, p.gridPos.y])).toEqual([[0, 0], [12, 0], [0, 4], [0, 8]]);
    expect(out[3]!.panels[0]!.scoped).toEqual({ v: { text: 'c', value: 'c' } });
  });
});
