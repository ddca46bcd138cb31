import type { Option } from './dashboard';

// Chosen is the state of a variable: what is chosen, and what "All" stands for.
export interface Chosen { name: string; values: Option[]; all: boolean; allValue?: string; multi: boolean; skip?: boolean }
export type Scope = Map<string, Chosen>;

const reference = /\$(\w+)|\[\[(\w+)(?::(\w+))?\]\]|\$\{([\w.]+)(?:\[[^\]]*\])?(?::([^}]+))?\}/g;

const escapeProm = (v: string): string => v.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');

// promRegex is a value as a regular expression inside of PromQL's double quotes: each backslash of the expression is written twice.
const promRegex = (v: string): string =>
  v.replace(/[\\^$.*+?()[\]{}|"\n]/g, (c) => (c === '\\' ? '\\\\\\\\' : c === '"' ? '\\"' : c === '\n' ? '\\n' : `\\\\${c}`));

function listed(values: string[], style: string): string {
  switch (style.split(':')[0]) {
    case 'csv': case 'raw': return values.join(',');
    case 'pipe': return values.join('|');
    case 'regex': return values.length === 1 ? values[0]!.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&') : `(${values.map((v) => v.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|')})`;
    case 'json': return JSON.stringify(values.length === 1 ? values[0] : values);
    case 'singlequote': return values.map((v) => `'${v.replace(/'/g, "\\'")}'`).join(',');
    case 'doublequote': return values.map((v) => `"${v.replace(/"/g, '\\"')}"`).join(',');
    case 'sqlstring': return values.map((v) => `'${v.replace(/'/g, "''")}'`).join(',');
    case 'percentencode': return encodeURIComponent(values.length === 1 ? values[0]! : `{${values.join(',')}}`);
    case 'distributed': return values.join(',');
    default: return values.length === 1 ? values[0]! : `{${values.join(',')}}`;
  }
}

export type Style = 'glob' | 'promql' | 'text' | 'url';

function write(v: Chosen, style: Style, format: string | undefined): string {
  const values = v.values.map((o) => o.value);
  if (format === 'text') return v.all ? 'All' : v.values.map((o) => o.text).join(' + ');
  if (format === 'queryparam') return queryParam(v);
  if (v.all && v.allValue !== undefined && v.allValue !== '') return v.allValue;
  if (format) return listed(values, format);
  switch (style) {
    case 'promql':
      if (!v.multi && !v.all) return escapeProm(values[0] ?? '');
      return values.length === 1 ? promRegex(values[0]!) : `(${values.map(promRegex).join('|')})`;
    case 'text': return v.all ? 'All' : v.values.map((o) => o.text).join(' + ');
    case 'url': return encodeURIComponent(listed(values, 'glob'));
    default: return listed(values, 'glob');
  }
}

// queryParam is the variable as the URL of a dashboard has it.
export function queryParam(v: Chosen): string {
  const values = v.all ? ['$__all'] : v.values.map((o) => o.value);
  return values.map((x) => `var-${encodeURIComponent(v.name)}=${encodeURIComponent(x)}`).join('&');
}

// interpolate replaces $x, ${x:format} and [[x]] of the scope; what it does not know stays.
export function interpolate(text: string, scope: Scope, style: Style = 'glob', more: Record<string, string> = {}): string {
  if (!text.includes('$') && !text.includes('[[')) return text;
  return text.replace(reference, (whole, a?: string, b?: string, c?: string, d?: string, e?: string) => {
    const name = a ?? b ?? d ?? '';
    const format = c ?? e;
    if (Object.hasOwn(more, name)) return more[name]!;
    if (Object.hasOwn(more, `${name}:${format}`)) return more[`${name}:${format}`]!;
    const v = scope.get(name);
    return v ? write(v, style, format) : whole;
  });
}

// names lists the variables that a text refers to.
export function names(text: string): string[] {
  return [...text.matchAll(reference)].map((m) => m[1] ?? m[2] ?? m[4] ?? '');
}

let ownZone = '';

// timeMacros are the built-in variables of a query.
export function timeMacros(from: number, to: number, step: string, stepMs: number, scrapeMs: number): Record<string, string> {
  const rate = Math.max(stepMs + scrapeMs, 4 * scrapeMs);
  const seconds = Math.round((to - from) / 1e3);
  return {
    __interval: step, __interval_ms: String(stepMs), __rate_interval: `${Math.ceil(rate / 1e3)}s`, __rate_interval_ms: String(rate),
    __range: `${seconds}s`, __range_s: String(seconds), __range_ms: String(to - from), __from: String(from), __to: String(to),
    '__from:date': new Date(from).toISOString(), '__to:date': new Date(to).toISOString(),
    '__from:date:iso': new Date(from).toISOString(), '__to:date:iso': new Date(to).toISOString(),
    '__from:date:seconds': String(Math.floor(from / 1e3)), '__to:date:seconds': String(Math.floor(to / 1e3)),
    __timezone: (ownZone ||= Intl.DateTimeFormat().resolvedOptions().timeZone),
  };
}

// safeURL lets links lead to http(s), mail and this server only: their text may come from a peer's name.
export function safeURL(url: string): string | undefined {
  const t = url.trim();
  if (/^(https?:\/\/|mailto:)/i.test(t)) return t;
  if (/^[a-z][a-z0-9+.-]*:/i.test(t) || t.startsWith('//') || t.startsWith('\\')) return undefined;
  return t;
}
