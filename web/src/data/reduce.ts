import { displayName, makeFrame, type Field, type Frame } from './frame';

// Calculations over the values of a field, by Grafana's names.

type Calc = (values: number[], all: unknown[]) => number | null;

const finite = (values: unknown[]): number[] => values.filter((v): v is number => typeof v === 'number' && Number.isFinite(v));
const sum = (v: number[]): number => v.reduce((a, b) => a + b, 0);
const mean = (v: number[]): number | null => (v.length ? sum(v) / v.length : null);
const least = (v: number[]): number | null => v.reduce<number | null>((a, b) => (a === null || b < a ? b : a), null);
const most = (v: number[]): number | null => v.reduce<number | null>((a, b) => (a === null || b > a ? b : a), null);

function percentile(v: number[], p: number): number | null {
  if (v.length === 0) return null;
  const s = [...v].sort((a, b) => a - b);
  return s[Math.min(s.length - 1, Math.max(0, Math.ceil((p / 100) * s.length) - 1))]!;
}

const calcs: Record<string, Calc> = {
  lastNotNull: (v) => v.at(-1) ?? null,
  firstNotNull: (v) => v[0] ?? null,
  first: (_, all) => (typeof all[0] === 'number' ? all[0] : null),
  last: (_, all) => (typeof all.at(-1) === 'number' ? (all.at(-1) as number) : null),
  mean, sum: (v) => (v.length ? sum(v) : null), min: least, max: most,
  range: (v) => (v.length ? most(v)! - least(v)! : null),
  delta: (v) => (v.length ? v.reduce((d, x, i) => (i === 0 ? 0 : d + (x >= v[i - 1]! ? x - v[i - 1]! : x)), 0) : null),
  diff: (v) => (v.length ? v.at(-1)! - v[0]! : null),
  diffperc: (v) => (v.length && v[0] !== 0 ? (v.at(-1)! - v[0]!) / v[0]! : null),
  count: (_, all) => all.length,
  countAll: (_, all) => all.length,
  distinctCount: (_, all) => new Set(all).size,
  changeCount: (_, all) => all.reduce<number>((n, x, i) => (i > 0 && x !== all[i - 1] ? n + 1 : n), 0),
  nullCount: (_, all) => all.filter((x) => x === null).length,
  logmin: (v) => least(v.filter((x) => x > 0)),
  stdDev: (v) => { const m = mean(v); return m === null ? null : Math.sqrt(mean(v.map((x) => (x - m) ** 2))!); },
  variance: (v) => { const m = mean(v); return m === null ? null : mean(v.map((x) => (x - m) ** 2)); },
  median: (v) => percentile(v, 50),
};

const titles: Record<string, string> = {
  lastNotNull: 'Last', last: 'Last', first: 'First', firstNotNull: 'First', mean: 'Mean', sum: 'Total', min: 'Min', max: 'Max', count: 'Count', range: 'Range',
  delta: 'Delta', diff: 'Difference', median: 'Median', stdDev: 'StdDev', distinctCount: 'Distinct', changeCount: 'Changes',
};
export const calcTitle = (id: string): string => titles[id] ?? id;

export const knownCalc = (id: string): boolean => id in calcs || /^p\d{1,2}$/.test(id);

// reduceField is one number of many. Strings and booleans have only a first, a last and a count.
export function reduceField(field: Field, calc: string): unknown {
  if (field.type !== 'number') {
    const some = field.values.filter((v) => v !== null && v !== undefined);
    if (calc.startsWith('first')) return some[0] ?? null;
    if (/count/i.test(calc)) return calcs[calc]?.([], field.values) ?? some.length;
    return some.at(-1) ?? null;
  }
  const p = /^p(\d{1,2})$/.exec(calc);
  if (p) return percentile(finite(field.values), Number(p[1]));
  const v = field.values;
  if (calc === 'lastNotNull') { // often NaN is what there is
    for (let i = v.length - 1; i >= 0; i--) if (v[i] !== null && !Number.isNaN(v[i])) return v[i];
    return null;
  }
  return (calcs[calc] ?? calcs.lastNotNull!)(finite(v), v);
}

export interface ReduceOptions { values?: boolean; calcs?: string[]; fields?: string; limit?: number }

// Value is one figure of a panel such as stat or gauge.
export interface Value { name: string; field: Field; value: unknown; spark?: { times: number[]; values: (number | null)[] }; row?: Record<string, unknown> }

// figures are what stat, gauge, bar gauge and pie show: a figure for each field, or for each row.
export function figures(frames: Frame[], o: ReduceOptions = {}): Value[] {
  const out: Value[] = [];
  const limit = o.limit ?? (o.values ? 25 : 200);
  const wanted = (f: Field, frame: Frame) => {
    if (!o.fields) return f.type === 'number';
    const m = /^\/(.*)\/$/.exec(o.fields);
    try {
      return m ? new RegExp(m[1]!).test(displayName(f, frame)) : displayName(f, frame) === o.fields;
    } catch {
      return false;
    }
  };
  for (const frame of frames) {
    const times = frame.fields.find((f) => f.type === 'time');
    for (const f of frame.fields) {
      if (!wanted(f, frame)) continue;
      if (!o.values) {
        const spark = times && f.type === 'number' && frame.length > 1 ? { times: times.values as number[], values: f.values as (number | null)[] } : undefined;
        for (const calc of o.calcs?.length ? o.calcs : ['lastNotNull']) {
          const name = displayName(f, frame) + ((o.calcs?.length ?? 0) > 1 ? ` ${calcTitle(calc)}` : '');
          out.push({ name, field: f, value: reduceField(f, calc), spark });
        }
        continue;
      }
      const numbers = frame.fields.filter((x) => wanted(x, frame)).length;
      const text = frame.fields.filter((x) => x.type === 'string');
      for (let i = 0; i < frame.length && out.length < limit; i++) {
        const label = text.map((x) => x.values[i]).filter((x) => x !== null && x !== undefined).join(' ');
        const name = label === '' ? displayName(f, frame) : numbers > 1 ? `${label} ${displayName(f, frame)}` : label;
        out.push({ name, field: f, value: f.values[i], row: Object.fromEntries(frame.fields.map((x) => [x.name, x.values[i]])) });
      }
    }
  }
  return out.slice(0, limit);
}

// oneTable puts frames side by side by time, for CSV: one column a field.
export function oneTable(frames: Frame[]): Frame {
  if (frames.length === 1) return frames[0]!;
  if (frames.some((f) => !f.fields.some((c) => c.type === 'time'))) return frames[0] ?? makeFrame([]);
  const times = [...new Set(frames.flatMap((f) => f.fields.find((c) => c.type === 'time')!.values as number[]))].sort((a, b) => a - b);
  const fields: Field[] = [{ name: 'Time', type: 'time', values: times, config: {} }];
  for (const f of frames) {
    const at = new Map((f.fields.find((c) => c.type === 'time')!.values as number[]).map((t, i) => [t, i]));
    for (const c of f.fields) {
      if (c.type === 'time') continue;
      fields.push({ ...c, legend: displayName(c, f), values: times.map((t) => { const i = at.get(t); return i === undefined ? null : (c.values[i] ?? null); }) });
    }
  }
  return makeFrame(fields);
}
