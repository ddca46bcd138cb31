import { labelValues, names as labelNames, series, sqlRows, vector } from '../data/api';
import { labelText } from '../data/frame';
import { safeRegex } from '../format/display';
import { durationText, parseDuration, type Range } from '../format/time';
import { sourceOf, sqlType, type Option, type Variable } from './dashboard';
import { interpolate, type Chosen, type Scope } from './interpolate';

// Resolved is a variable with what can be chosen.
export interface Resolved { variable: Variable; options: Option[]; chosen: Chosen; error?: string }

const all: Option = { text: 'All', value: '$__all' };
const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

// sortOptions orders as Grafana's "sort" says.
export function sortOptions(options: Option[], sort = 0): Option[] {
  if (sort === 0) return options;
  const plain = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  const number = (t: string) => Number(/\d+/.exec(t)?.[0] ?? -1);
  const by: ((a: Option, b: Option) => number)[] = [
    (a, b) => plain(a.text, b.text), (a, b) => number(a.text) - number(b.text), (a, b) => plain(a.text.toLowerCase(), b.text.toLowerCase()), (a, b) => collator.compare(a.text, b.text),
  ];
  const cmp = by[Math.floor((sort - 1) / 2)] ?? by[0]!;
  return [...options].sort((a, b) => cmp(a, b) * (sort % 2 === 0 ? -1 : 1));
}

// filter applies a variable's regex: a first group is the value, groups called text and value are both.
export function filter(list: Option[], regex = ''): Option[] {
  if (regex === '') return unique(list);
  const re = safeRegex(regex);
  if (!re) return unique(list);
  const every = /^\/.*\/[a-z]*g/s.test(regex);
  const out: Option[] = [];
  for (const o of list) {
    const found = every ? [...o.text.matchAll(new RegExp(re.source, `${re.flags}g`))] : [re.exec(o.text)].filter((m) => m !== null);
    if (found.length === 0) continue;
    const value = found.find((m) => m.groups?.value !== undefined)?.groups?.value;
    const text = found.find((m) => m.groups?.text !== undefined)?.groups?.text;
    if (value !== undefined || text !== undefined) out.push({ text: unescape(text ?? value!), value: unescape(value ?? text!) });
    else if (found[0]![1] !== undefined) for (const m of found) out.push({ text: m[1] ?? '', value: m[1] ?? '' });
    else out.push(o);
  }
  return unique(out);
}

// unescape undoes the quoting of a label inside of query_result's text.
const unescape = (t: string): string => t.replace(/\\(["\\])/g, '$1');

function unique(list: Option[]): Option[] {
  const seen = new Set<string>();
  return list.filter((o) => !seen.has(o.value) && seen.add(o.value));
}

const words = (text: string): string[] => text.split(/(?<!\\),/).map((t) => t.replace(/\\,/g, ',').trim()).filter((t) => t !== '');

function custom(text: string): Option[] {
  return words(text).map((t) => {
    const m = /^(.+?)\s+:\s+(.+)$/.exec(t);
    return m ? { text: m[1]!, value: m[2]! } : { text: t, value: t };
  });
}

export interface Context { range: Range; scope: Scope; signal: AbortSignal }

// queryText is the query of a variable in any of the forms it was saved in.
export const queryText = (v: Variable): string => (typeof v.query === 'string' ? v.query : (v.query?.query ?? v.query?.expr)) ?? v.definition ?? '';

async function ask(v: Variable, ctx: Context): Promise<Option[]> {
  const text = queryText(v);
  if (sourceOf({ datasource: v.datasource }) === 'sql') return ofRows(await sqlRows(text, ctx.range, ctx.scope, ctx.signal));
  const q = interpolate(text, ctx.scope, 'promql', {
    __range: `${Math.round((ctx.range.to - ctx.range.from) / 1e3)}s`, __rate_interval: '1m', __interval: '15s',
  }).trim();
  const plain = (list: string[]) => list.map((t) => ({ text: t, value: t }));
  let m = /^label_values\((?:(.+),\s*)?([a-zA-Z_][\w:]*)\s*\)$/s.exec(q);
  if (m) return plain(await labelValues(m[2]!, m[1]?.trim(), ctx.range, ctx.signal));
  m = /^label_names\((.*)\)$/s.exec(q);
  if (m) return plain(await labelNames(m[1]?.trim() || undefined, ctx.range, ctx.signal));
  m = /^metrics\((.*)\)$/s.exec(q);
  if (m) {
    const re = safeRegex(m[1]!);
    return plain((await labelValues('__name__', undefined, ctx.range, ctx.signal)).filter((t) => re?.test(t)));
  }
  m = /^query_result\((.+)\)$/s.exec(q);
  if (m) {
    const list = await vector(m[1]!, ctx.range.to, ctx.signal);
    return list.map((s) => labelText(s.metric) + ` ${s.value[1]} ${Math.round(s.value[0] * 1e3)}`).map((t) => ({ text: t, value: t }));
  }
  return plain((await series(q, ctx.range, ctx.signal)).map(labelText));
}

// ofRows reads label and value: by name, else the first columns.
export function ofRows(r: { columns: { name: string }[]; rows: unknown[][] }): Option[] {
  const at = (...list: string[]) => r.columns.findIndex((c) => list.includes(c.name.toLowerCase()));
  let [text, value] = [at('__text', 'text', 'label'), at('__value', 'value')];
  if (text < 0 && value < 0) [text, value] = [0, Math.min(1, r.columns.length - 1)];
  if (text < 0) text = value;
  if (value < 0) value = text;
  return r.rows.map((row) => ({ text: String(row[text] ?? ''), value: String(row[value] ?? '') }));
}

async function options(v: Variable, ctx: Context): Promise<Option[]> {
  switch (v.type) {
    case 'query': return sortOptions(filter(await ask(v, ctx), interpolate(v.regex ?? '', ctx.scope)), v.sort);
    case 'custom': return v.options?.length && !v.query ? v.options.filter((o) => o.value !== '$__all') : custom(queryText(v));
    case 'interval': {
      const list = words(queryText(v)).map((t) => ({ text: t, value: t }));
      if (!v.auto) return list;
      const min = parseDuration(v.auto_min ?? '10s') || 1e4;
      const every = Math.max((ctx.range.to - ctx.range.from) / (v.auto_count ?? 30), min);
      return [{ text: 'auto', value: durationText(Math.ceil(every / 1e3) * 1e3) }, ...list];
    }
    case 'datasource': return queryText(v) === sqlType ? [{ text: 'Oriel SQL', value: 'oriel-sql' }] : queryText(v) === 'prometheus' ? [{ text: 'Oriel', value: 'oriel' }] : [];
    case 'textbox': case 'constant': {
      const t = (typeof v.current?.value === 'string' && v.current.value) || queryText(v);
      return [{ text: t, value: t }];
    }
    default: throw new Error(`variables of type ${JSON.stringify(v.type)} are not supported`);
  }
}

// choose finds what is chosen: of the URL, else of the dashboard, else the first.
export function choose(v: Variable, list: Option[], wanted: string[] | undefined): Chosen {
  const chosen: Chosen = { name: v.name, values: [], all: false, allValue: v.allValue ?? undefined, multi: v.multi === true || v.includeAll === true };
  const current = v.current?.value;
  let values = wanted ?? (current === undefined ? [] : Array.isArray(current) ? current : [current]);
  if (v.type === 'textbox' && wanted) return { ...chosen, values: [{ text: wanted[0] ?? '', value: wanted[0] ?? '' }] };
  if (v.includeAll && (values.includes(all.value) || (wanted === undefined && values.length === 0 && current === undefined && list.length > 0 && v.multi))) {
    return { ...chosen, all: true, values: list };
  }
  values = values.filter((x) => x !== all.value && x !== '');
  const known = values.map((x) => list.find((o) => o.value === x)).filter((o) => o !== undefined);
  if (known.length > 0) chosen.values = v.multi ? known : known.slice(0, 1);
  else if (wanted?.length && values.length > 0) chosen.values = values.map((x) => ({ text: x, value: x })); // a link to what is gone is kept
  else if (v.includeAll) return { ...chosen, all: true, values: list };
  else chosen.values = list.slice(0, 1);
  return chosen;
}

// resolve asks for the options of all variables, each after those it depends on stand: they are listed in that order.
export async function resolve(list: Variable[], wanted: Map<string, string[]>, range: Range, signal: AbortSignal): Promise<Resolved[]> {
  const scope: Scope = new Map();
  const out: Resolved[] = [];
  for (const variable of list) {
    let found: Option[] = [];
    let error: string | undefined;
    try {
      found = await options(variable, { range, scope, signal });
    } catch (e) {
      if (signal.aborted) throw e;
      error = e instanceof Error ? e.message : String(e);
    }
    const chosen = choose(variable, found, wanted.get(variable.name));
    scope.set(variable.name, chosen);
    out.push({ variable, options: variable.includeAll ? [all, ...found] : found, chosen, error });
  }
  return out;
}

export const scopeOf = (list: Resolved[]): Scope => new Map(list.map((r) => [r.variable.name, r.chosen]));

// narrow makes a variable stand for the one value of a repeated panel.
export function narrow(scope: Scope, by: Record<string, Option> | undefined): Scope {
  if (!by) return scope;
  const out = new Map(scope);
  for (const [name, o] of Object.entries(by)) out.set(name, { name, values: [o], all: false, multi: true });
  return out;
}
