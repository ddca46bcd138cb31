// The builder's SQL: filter, group by time, top N.
import type { BuilderState, Column, Condition } from './types';

export const operators = ['=', '<>', '<', '<=', '>', '>=', 'IN', 'NOT IN', 'LIKE', 'IS NULL', 'IS NOT NULL'];
export const figures = ['count', 'count distinct', 'sum', 'avg', 'min', 'max', 'median'];

export const emptyBuilder: BuilderState = {
  table: '$__source',
  timeColumn: '',
  figures: [{ fn: 'count', column: '' }],
  groupBy: [],
  conditions: [],
  overTime: false,
  limit: 10,
};

const plain = /^[a-z_][a-z0-9_]*$/;

/** name quotes a column that needs it. */
export function name(column: string): string {
  return plain.test(column) ? column : '"' + column.replaceAll('"', '""') + '"';
}

/** text is a string literal; a variable inside stays one. */
function text(value: string): string {
  return "'" + value.replaceAll("'", "''") + "'";
}

function literal(value: string, kind: Column['kind'] | undefined): string {
  const number = /^-?\d+(\.\d+)?$/.test(value);
  if ((kind === 'int' || kind === 'float') && number) {
    return value;
  }
  if (kind === 'bool' && /^(true|false)$/i.test(value)) {
    return value.toUpperCase();
  }
  return text(value);
}

function condition(c: Condition, kind: Column['kind'] | undefined): string {
  if (c.operator.startsWith('IS ')) {
    return `${name(c.column)} ${c.operator}`;
  }
  if (c.operator.endsWith('IN')) {
    const list = c.value.split(',').map((v) => literal(v.trim(), kind));
    return `${name(c.column)} ${c.operator} (${list.join(', ')})`;
  }
  return `${name(c.column)} ${c.operator} ${literal(c.value, kind)}`;
}

function figure(fn: string, column: string): { sql: string; alias: string } {
  if (fn === 'count' && column === '') {
    return { sql: 'count(*)', alias: 'count' };
  }
  const c = name(column || '*');
  const alias = (fn + '_' + column).replaceAll(/\W+/g, '_');
  if (fn === 'count distinct') {
    return { sql: `count(DISTINCT ${c})`, alias };
  }
  return { sql: `${fn}(${c})`, alias };
}

/** toSQL writes the query that the builder holds. */
export function toSQL(b: BuilderState, columns: readonly Column[]): string {
  const kind = (column: string) => columns.find((c) => c.name === column)?.kind;
  const chosen = b.figures.filter((f) => f.fn === 'count' || f.column !== '').map((f) => figure(f.fn, f.column));
  const select: string[] = [];
  if (b.overTime && b.timeColumn !== '') {
    select.push(`$__timeGroup(${name(b.timeColumn)}, $__interval, 0) AS time`);
  }
  select.push(...b.groupBy.map(name), ...chosen.map((f) => `${f.sql} AS ${name(f.alias)}`));
  const lines = ['SELECT ' + (select.length > 0 ? select.join(', ') : '*'), 'FROM ' + (b.table === '$__source' ? b.table : name(b.table))];
  const where = b.conditions.filter((c) => c.column !== '').map((c) => condition(c, kind(c.column)));
  if (b.timeColumn !== '') {
    where.unshift(`$__timeFilterColumn(${name(b.timeColumn)})`);
  }
  if (where.length > 0) {
    lines.push('WHERE ' + where.join('\n  AND '));
  }
  if (chosen.length > 0 && (b.groupBy.length > 0 || (b.overTime && b.timeColumn !== ''))) {
    lines.push('GROUP BY ALL');
  }
  if (b.overTime && b.timeColumn !== '') {
    lines.push('ORDER BY time');
  } else {
    if (chosen.length > 0 && b.groupBy.length > 0) {
      lines.push(`ORDER BY ${name(chosen[0].alias)} DESC`);
    }
    if (b.limit > 0) {
      lines.push('LIMIT ' + b.limit);
    }
  }
  return lines.join('\n');
}
