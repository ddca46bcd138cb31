// Queries as they are kept and sent: pure functions, without Grafana.
import type { OrielQuery } from './types';

/** A query of IBM's cloudsql-cos-ts plug-in. */
interface OldQuery {
  queryText?: string;
  time_column?: string;
  metrics_column?: string;
  get_result?: boolean;
  format?: string | number;
}

/** migrate returns a query in today's shape; the same object if it has that already. */
export function migrate(q: OrielQuery & OldQuery): OrielQuery {
  if (q.rawSql !== undefined && q.queryText === undefined && typeof q.format === 'string') {
    return q;
  }
  const { queryText, time_column, metrics_column, get_result, format, ...rest } = q;
  const formats: Record<string, OrielQuery['format']> = { '0': 'time_series', '1': 'table', '2': 'logs', time_series: 'time_series', timeseries: 'time_series', long: 'long', logs: 'logs' };
  return {
    ...rest,
    rawSql: q.rawSql || queryText || '',
    format: formats[String(format)] ?? 'table',
    timeColumn: q.timeColumn || time_column || undefined,
    metricColumn: q.metricColumn || metrics_column || undefined,
    returnResult: q.returnResult ?? get_result,
  };
}

// Strings and comments are left alone, as the server leaves them alone.
const pieces = /'(?:[^']|'')*'|--[^\n]*|\/\*[\s\S]*?\*\/|\$__source_prev\s*\(\s*(\w+)\s*\)/gi;

/** reads returns the refIds that a text reads by $__source_prev. */
export function reads(sql: string): string[] {
  const found = new Set<string>();
  for (const m of sql.matchAll(pieces)) {
    if (m[1]) {
      found.add(m[1]);
    }
  }
  return [...found];
}

/** prevOf returns the SQL of all queries that one reads, directly or through others. */
export function prevOf(query: OrielQuery, all: readonly OrielQuery[]): Record<string, string> | undefined {
  const out: Record<string, string> = {};
  const follow = (sql: string) => {
    for (const ref of reads(sql)) {
      if (ref === query.refId || ref in out) {
        continue; // a cycle is the server's to name
      }
      const text = all.find((q) => q.refId === ref)?.rawSql ?? query.prev?.[ref];
      if (text !== undefined) {
        out[ref] = text;
        follow(text);
      }
    }
  };
  follow(query.rawSql);
  return Object.keys(out).length > 0 ? out : undefined;
}

/** What of Grafana's variables a query needs. */
export interface Templates {
  /** values are a variable's values: one, or several; undefined if there is none of this name. */
  values(name: string): string | string[] | undefined;
  /** format replaces a variable that names a format itself, as ${x:csv} does. */
  format(text: string): string;
}

const variable = /\$(\w+)|\$\{([\w.]+)(?::([^}]*))?\}|\[\[([\w.]+?)(?::(\w+))?\]\]/g;

/**
 * takeVariables returns the SQL with every known variable written ${name}, and their values: the server
 * puts them in, for it knows what stands in quotes. Macros ($__...) are the server's too.
 */
export function takeVariables(sql: string, templates: Templates): { sql: string; variables: Record<string, string | string[]> } {
  const variables: Record<string, string | string[]> = {};
  const text = sql.replace(variable, (whole, plain?: string, braced?: string, format?: string, old?: string, oldFormat?: string) => {
    const name = plain ?? braced ?? old ?? '';
    if (format !== undefined || oldFormat !== undefined || name.includes('.')) {
      return templates.format(whole);
    }
    const values = name.startsWith('__') ? undefined : templates.values(name);
    if (values === undefined) {
      return whole;
    }
    variables[name] = values;
    return '${' + name + '}';
  });
  return { sql: text, variables };
}

/** A frame's rows as variable options: __text and __value, text and value, or the first two columns. */
export function toOptions(fields: ReadonlyArray<{ name: string; values: ArrayLike<unknown> }>): Array<{ text: string; value: string }> {
  if (fields.length === 0) {
    return [];
  }
  const named = (...names: string[]) => fields.find((f) => names.includes(f.name));
  const text = named('__text', 'text') ?? fields[0];
  const value = named('__value', 'value') ?? (fields.length > 1 && text === fields[0] ? fields[1] : text);
  const out: Array<{ text: string; value: string }> = [];
  const seen = new Set<string>();
  for (let i = 0; i < text.values.length; i++) {
    const v = value.values[i];
    if (v === null || v === undefined) {
      continue;
    }
    const option = { text: String(text.values[i] ?? v), value: String(v) };
    const key = option.text + '\u0000' + option.value;
    if (!seen.has(key)) {
      seen.add(key);
      out.push(option);
    }
  }
  return out;
}
