import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { emptyBuilder, toSQL } from './builder';
import { migrate, prevOf, reads, takeVariables, toOptions } from './model';
import type { Column, OrielQuery } from './types';

const expect = (got: unknown) => ({ toEqual: (want: unknown) => assert.deepEqual(got, want), toBe: (want: unknown) => assert.equal(got, want), toBeUndefined: () => assert.equal(got, undefined) });

const query = (refId: string, rawSql: string, more: Partial<OrielQuery> = {}): OrielQuery => ({ refId, rawSql, format: 'table', ...more });

describe('migrate', () => {
  it("takes IBM's saved queries", () => {
    const old = { refId: 'A', queryText: 'SELECT 1', time_column: 't', metrics_column: 'm', get_result: false, format: 'time_series', hide: true };
    expect(migrate(old as unknown as OrielQuery)).toEqual({ refId: 'A', rawSql: 'SELECT 1', timeColumn: 't', metricColumn: 'm', returnResult: false, format: 'time_series', hide: true });
  });
  it('leaves a query of today as it is', () => {
    const q = query('A', 'SELECT 1');
    expect(migrate(q)).toBe(q);
  });
  it('knows formats by number', () => {
    expect(migrate({ ...query('A', 'x'), format: 1 as unknown as 'table' }).format).toBe('table');
    expect(migrate({ ...query('A', 'x'), format: 0 as unknown as 'table' }).format).toBe('time_series');
  });
});

describe('chains', () => {
  it('finds what is read, not what strings and comments say', () => {
    expect(reads("SELECT '$__source_prev(X)' -- $__source_prev(Y)\n /* $__source_prev(Z) */ FROM $__source_prev(A) JOIN $__source_prev( B )")).toEqual(['A', 'B']);
  });
  it('carries the whole chain, and ends at cycles', () => {
    const all = [query('A', 'SELECT 1'), query('B', 'SELECT * FROM $__source_prev(A)'), query('C', 'SELECT * FROM $__source_prev(B)'), query('D', 'SELECT * FROM $__source_prev(D)')];
    expect(prevOf(all[2], all)).toEqual({ A: 'SELECT 1', B: 'SELECT * FROM $__source_prev(A)' });
    expect(prevOf(all[0], all)).toBeUndefined();
    expect(prevOf(all[3], all)).toBeUndefined();
  });
  it('keeps what it carried when the others are not there', () => {
    const alone = query('C', 'SELECT * FROM $__source_prev(B)', { prev: { B: 'SELECT 2' } });
    expect(prevOf(alone, [alone])).toEqual({ B: 'SELECT 2' });
  });
});

describe('variables', () => {
  const values: Record<string, string | string[]> = { ip: "10.0.0.1'", list: ['a', 'b'] };
  const templates = { values: (n: string) => values[n], format: (t: string) => `<${t}>` };
  it('go to the server, macros stay', () => {
    expect(takeVariables("SELECT '${ip}', $list, [[ip]], ${list:csv}, ${__user.login}, $nosuch, '$1', $$text$$ FROM $__source WHERE $__timeFilter", templates)).toEqual({
      sql: "SELECT '${ip}', ${list}, ${ip}, <${list:csv}>, <${__user.login}>, $nosuch, '$1', $$text$$ FROM $__source WHERE $__timeFilter",
      variables: values,
    });
  });
  it('have one column, two, or names', () => {
    const f = (name: string, ...list: unknown[]) => ({ name, values: list });
    expect(toOptions([f('ip', 'a', 'a', null, 7)])).toEqual([{ text: 'a', value: 'a' }, { text: '7', value: '7' }]);
    expect(toOptions([f('label', 'A', 'B'), f('v', 'a', 'b'), f('x', 1, 2)])).toEqual([{ text: 'A', value: 'a' }, { text: 'B', value: 'b' }]);
    expect(toOptions([f('__value', 'a'), f('__text', 'A')])).toEqual([{ text: 'A', value: 'a' }]);
    expect(toOptions([])).toEqual([]);
  });
});

describe('builder', () => {
  const columns: Column[] = [
    { name: 'start_time', type: 'TIMESTAMP', kind: 'time' },
    { name: 'target_port', type: 'INTEGER', kind: 'int' },
    { name: 'vnic-id', type: 'VARCHAR', kind: 'string' },
  ];
  it('writes the common questions', () => {
    expect(toSQL({ ...emptyBuilder, timeColumn: 'start_time', groupBy: ['vnic-id'], conditions: [{ column: 'target_port', operator: '=', value: '22' }] }, columns)).toBe(
      'SELECT "vnic-id", count(*) AS count\nFROM $__source\nWHERE $__timeFilterColumn(start_time)\n  AND target_port = 22\nGROUP BY ALL\nORDER BY count DESC\nLIMIT 10'
    );
    expect(toSQL({ ...emptyBuilder, timeColumn: 'start_time', overTime: true, figures: [{ fn: 'sum', column: 'target_port' }] }, columns)).toBe(
      'SELECT $__timeGroup(start_time, $__interval, 0) AS time, sum(target_port) AS sum_target_port\nFROM $__source\nWHERE $__timeFilterColumn(start_time)\nGROUP BY ALL\nORDER BY time'
    );
  });
  it('escapes what people type', () => {
    const sql = toSQL({ ...emptyBuilder, figures: [], conditions: [{ column: 'vnic-id', operator: 'IN', value: "it's, 2" }, { column: 'target_port', operator: '=', value: '1 OR 1=1' }, { column: 'a"b', operator: 'IS NULL', value: '' }] }, columns);
    expect(sql).toBe(`SELECT *\nFROM $__source\nWHERE "vnic-id" IN ('it''s', '2')\n  AND target_port = '1 OR 1=1'\n  AND "a""b" IS NULL\nLIMIT 10`);
  });
});
