import { safeRegex } from '../format/display';
import type { Transformation } from '../model/dashboard';
import { displayName, makeFrame, type Field, type Frame } from './frame';
import { calcTitle, reduceField } from './reduce';

// Transformations of Grafana's, by its ids: frames in, frames out.

type Options = Record<string, unknown>;
type Transform = (frames: Frame[], o: Options) => Frame[];

const named = (f: Field, frame: Frame, name: unknown): boolean => f.name === name || displayName(f, frame) === name;
const map = <T>(v: unknown): Record<string, T> => (v && typeof v === 'object' ? (v as Record<string, T>) : {});
const pick = (frame: Frame, rows: number[]): Frame => ({
  ...frame, length: rows.length, fields: frame.fields.map((f) => ({ ...f, values: rows.map((i) => f.values[i]) })),
});
const rowsOf = (frame: Frame): number[] => Array.from({ length: frame.length }, (_, i) => i);

// merge puts rows together that agree in all fields that both have.
const merge: Transform = (frames) => {
  const list = frames.filter((f) => f.fields.length > 0);
  if (list.length <= 1) return list;
  const columns: Field[] = [];
  for (const f of list) for (const c of f.fields) if (!columns.some((x) => x.name === c.name && x.type === c.type)) columns.push({ ...c, values: [] });
  const shared = columns.filter((c) => list.every((f) => f.fields.some((x) => x.name === c.name))).map((c) => c.name);
  const rows = new Map<string, (Record<string, unknown>)[]>();
  const order: Record<string, unknown>[] = [];
  for (const f of list) {
    for (let i = 0; i < f.length; i++) {
      const row: Record<string, unknown> = {};
      for (const c of f.fields) row[c.name] = c.values[i];
      const key = JSON.stringify(shared.map((n) => row[n] ?? null));
      const same = (rows.get(key) ?? []).find((r) => Object.entries(row).every(([k, v]) => !(k in r) || r[k] === v || r[k] === null || v === null));
      if (same && shared.length > 0) {
        for (const [k, v] of Object.entries(row)) if (same[k] === undefined || same[k] === null) same[k] = v;
        continue;
      }
      rows.set(key, [...(rows.get(key) ?? []), row]);
      order.push(row);
    }
  }
  for (const c of columns) c.values = order.map((r) => r[c.name] ?? null);
  return [{ fields: columns, length: order.length }];
};

const organize: Transform = (frames, o) => {
  const [out, at, names, keep] = [map<boolean>(o.excludeByName), map<number>(o.indexByName), map<string>(o.renameByName), map<boolean>(o.includeByName)];
  const some = Object.values(keep).some(Boolean);
  return frames.map((frame) => {
    const key = (f: Field): string => (f.name in out || f.name in at || f.name in names ? f.name : displayName(f, frame));
    const fields = frame.fields.filter((f) => !out[key(f)] && (!some || keep[key(f)]));
    const place = (f: Field, i: number) => at[key(f)] ?? 1000 + i;
    const sorted = fields.map((f, i) => ({ f, p: place(f, i) })).sort((a, b) => a.p - b.p).map((x) => x.f);
    return { ...frame, fields: sorted.map((f) => (names[key(f)] ? { ...f, name: names[key(f)]!, legend: undefined, config: { ...f.config, displayName: names[key(f)] } } : f)) };
  });
};

const join: Transform = (frames, o) => {
  if (frames.length <= 1) return frames;
  const by = (frame: Frame) => frame.fields.find((f) => (o.byField ? named(f, frame, o.byField) : f.type === 'time'));
  const list = frames.filter(by);
  const has = list.map((f) => new Map(by(f)!.values.map((v, i) => [v, i])));
  let keys = [...new Set(list.flatMap((f) => by(f)!.values))];
  if (o.mode === 'inner') keys = keys.filter((k) => has.every((h) => h.has(k)));
  if (by(list[0]!)?.type === 'time') keys.sort((a, b) => (a as number) - (b as number));
  const fields: Field[] = list.length ? [{ ...by(list[0]!)!, values: keys }] : [];
  list.forEach((f, n) => {
    for (const c of f.fields) {
      if (c === by(f)) continue;
      fields.push({ ...c, legend: c.legend ?? (f.fields.length === 2 ? displayName(c, f) : undefined), values: keys.map((k) => { const i = has[n]!.get(k); return i === undefined ? null : c.values[i]; }) });
    }
  });
  return [makeFrame(fields)];
};

const reduce: Transform = (frames, o) => {
  const calcs = (o.reducers as string[] | undefined) ?? ['max'];
  if (o.mode === 'reduceFields') {
    return frames.map((f) => makeFrame(f.fields.filter((c) => c.type === 'number').map((c) => ({ ...c, values: [reduceField(c, calcs[0]!)] })), f));
  }
  const fields: Field[] = [{ name: 'Field', type: 'string', values: [], config: {} }];
  const labels = o.labelsToFields ? [...new Set(frames.flatMap((f) => f.fields.flatMap((c) => Object.keys(c.labels ?? {}))))] : [];
  for (const l of labels) fields.push({ name: l, type: 'string', values: [], config: {} });
  for (const c of calcs) fields.push({ name: calcTitle(c), type: 'number', values: [], config: {} });
  for (const frame of frames) {
    for (const f of frame.fields) {
      if (f.type === 'time' && !o.includeTimeField) continue;
      fields[0]!.values.push(displayName(f, frame));
      labels.forEach((l, i) => fields[1 + i]!.values.push(f.labels?.[l] ?? null));
      calcs.forEach((c, i) => fields[1 + labels.length + i]!.values.push(reduceField(f, c)));
    }
  }
  return [makeFrame(fields)];
};

const groupBy: Transform = (frames, o) => {
  const how = map<{ operation?: string; aggregations?: string[] }>(o.fields);
  return frames.map((frame) => {
    const keys = frame.fields.filter((f) => how[displayName(f, frame)]?.operation === 'groupby');
    if (keys.length === 0) return frame;
    const groups = new Map<string, number[]>();
    for (const i of rowsOf(frame)) {
      const k = JSON.stringify(keys.map((f) => f.values[i]));
      groups.set(k, [...(groups.get(k) ?? []), i]);
    }
    const rows = [...groups.values()];
    const fields: Field[] = keys.map((f) => ({ ...f, values: rows.map((r) => f.values[r[0]!]) }));
    for (const f of frame.fields) {
      const a = how[displayName(f, frame)];
      if (a?.operation !== 'aggregate') continue;
      for (const c of a.aggregations ?? []) {
        fields.push({ name: `${displayName(f, frame)} (${c})`, type: 'number', config: f.config, values: rows.map((r) => reduceField({ ...f, values: r.map((i) => f.values[i]) }, c)) });
      }
    }
    return makeFrame(fields, { refId: frame.refId });
  });
};

const sortBy: Transform = (frames, o) => {
  const [s] = (o.sort as { field: string; desc?: boolean }[] | undefined) ?? [];
  return frames.map((frame) => {
    const f = s && frame.fields.find((c) => named(c, frame, s.field));
    return f ? pick(frame, rowsOf(frame).sort((a, b) => compare(f.values[a], f.values[b]) * (s.desc ? -1 : 1))) : frame;
  });
};

// compare orders values; what is nothing comes first.
export function compare(a: unknown, b: unknown): number {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  if (b === null || b === undefined) return 1;
  if (typeof a === 'number' && typeof b === 'number') return Number.isNaN(a) ? -1 : Number.isNaN(b) ? 1 : a - b;
  return String(a).localeCompare(String(b), 'en', { numeric: true });
}

const filterFields: Transform = (frames, o) => {
  const side = (v: unknown) => { const m = map<unknown>(v); return { names: (m.names as string[] | undefined) ?? [], pattern: m.pattern ? safeRegex(String(m.pattern)) : undefined }; };
  const [yes, no] = [o.include ? side(o.include) : undefined, o.exclude ? side(o.exclude) : undefined];
  const hit = (s: { names: string[]; pattern?: RegExp }, n: string) => s.names.includes(n) || s.pattern?.test(n) === true;
  return frames.map((frame) => {
    const fields = frame.fields.filter((f) => { const n = displayName(f, frame); return (!yes || hit(yes, n) || hit(yes, f.name)) && !(no && hit(no, n)); });
    return { ...frame, fields };
  });
};

const labelsToFields: Transform = (frames, o) => frames.map((frame) => {
  const keep = o.keepLabels as string[] | undefined;
  const values = frame.fields.filter((f) => f.labels);
  const names = [...new Set(values.flatMap((f) => Object.keys(f.labels!)))].filter((n) => !keep || keep.includes(n));
  const added = names.map((n): Field => ({ name: n, type: 'string', config: {}, values: new Array<unknown>(frame.length).fill(values[0]?.labels?.[n] ?? null) }));
  const [time, rest] = [frame.fields.filter((f) => f.type === 'time'), frame.fields.filter((f) => f.type !== 'time')];
  return { ...frame, fields: [...time, ...added, ...rest.map((f) => ({ ...f, labels: undefined, legend: undefined }))] };
});

const filterByValue: Transform = (frames, o) => {
  const filters = (o.filters as { fieldName: string; config: { id: string; options?: { value?: unknown; from?: number; to?: number } } }[] | undefined) ?? [];
  const test = (v: unknown, c: { id: string; options?: { value?: unknown; from?: number; to?: number } }): boolean => {
    const w = c.options?.value;
    switch (c.id) {
      case 'equal': return String(v) === String(w);
      case 'notEqual': return String(v) !== String(w);
      case 'greater': return Number(v) > Number(w);
      case 'greaterOrEqual': return Number(v) >= Number(w);
      case 'lower': return Number(v) < Number(w);
      case 'lowerOrEqual': return Number(v) <= Number(w);
      case 'between': return Number(v) >= Number(c.options?.from) && Number(v) <= Number(c.options?.to);
      case 'isNull': return v === null || v === undefined;
      case 'isNotNull': return v !== null && v !== undefined;
      case 'regex': return safeRegex(String(w))?.test(String(v)) === true;
      default: throw new Error(`filterByValue: condition ${JSON.stringify(c.id)} is not supported`);
    }
  };
  return frames.map((frame) => {
    const rows = rowsOf(frame).filter((i) => {
      const hits = filters.map((f) => { const c = frame.fields.find((x) => named(x, frame, f.fieldName)); return c !== undefined && test(c.values[i], f.config); });
      const match = o.match === 'any' ? hits.some(Boolean) : hits.every(Boolean);
      return o.type === 'exclude' ? !match : match;
    });
    return pick(frame, rows);
  });
};

const rename: Transform = (frames, o) => {
  const re = safeRegex(String(o.regex ?? ''));
  if (!re) return frames;
  return frames.map((frame) => ({
    ...frame,
    fields: frame.fields.map((f) => { const n = displayName(f, frame); return re.test(n) && f.type !== 'time' ? { ...f, config: { ...f.config, displayName: n.replace(re, String(o.renamePattern ?? '')) } } : f; }),
  }));
};

const seriesToRows: Transform = (frames) => {
  const rows = frames.flatMap((frame) => {
    const [t, v] = [frame.fields.find((f) => f.type === 'time'), frame.fields.find((f) => f.type === 'number')];
    return t && v ? t.values.map((at, i) => [at, displayName(v, frame), v.values[i]] as const) : [];
  }).sort((a, b) => (b[0] as number) - (a[0] as number));
  return [makeFrame([
    { name: 'Time', type: 'time', values: rows.map((r) => r[0]), config: {} }, { name: 'Metric', type: 'string', values: rows.map((r) => r[1]), config: {} },
    { name: 'Value', type: 'number', values: rows.map((r) => r[2]), config: {} },
  ])];
};

const calculate: Transform = (frames, o) => frames.map((frame) => {
  const number = frame.fields.filter((f) => f.type === 'number');
  const [b, r] = [map<string>(o.binary), map<unknown>(o.reduce)];
  const side = (v: unknown): ((i: number) => number) => {
    const f = frame.fields.find((c) => named(c, frame, v));
    return f ? (i) => f.values[i] as number : () => Number(v);
  };
  let values: unknown[];
  if (o.mode === 'binary') {
    const [x, y] = [side(b.left), side(b.right)];
    const ops: Record<string, (p: number, q: number) => number> = { '+': (p, q) => p + q, '-': (p, q) => p - q, '*': (p, q) => p * q, '/': (p, q) => p / q, '%': (p, q) => p % q };
    values = rowsOf(frame).map((i) => (ops[b.operator ?? '+'] ?? ops['+']!)(x(i), y(i)));
  } else if (o.mode === 'reduceRow' || o.mode === undefined) {
    const list = (r.include as string[] | undefined) ?? [];
    const some = list.length ? number.filter((f) => list.includes(displayName(f, frame))) : number;
    values = rowsOf(frame).map((i) => reduceField({ name: '', type: 'number', values: some.map((f) => f.values[i]), config: {} }, String(r.reducer ?? 'sum')));
  } else {
    throw new Error(`calculateField: mode ${JSON.stringify(o.mode)} is not supported`);
  }
  const name = String(o.alias ?? '') || (o.mode === 'binary' ? `${b.left} ${b.operator} ${b.right}` : calcTitle(String(r.reducer ?? 'sum')));
  const made: Field = { name, type: 'number', values, config: {} };
  return { ...frame, fields: o.replaceFields ? [...frame.fields.filter((f) => f.type === 'time'), made] : [...frame.fields, made] };
});

const transforms: Record<string, Transform> = {
  merge, organize, reduce, groupBy, sortBy, joinByField: join, seriesToColumns: join, filterFieldsByName: filterFields, labelsToFields, filterByValue,
  renameByRegex: rename, seriesToRows, calculateField: calculate,
  limit: (frames, o) => frames.map((f) => pick(f, rowsOf(f).slice(0, Number(o.limitField ?? 10)))),
  filterByRefId: (frames, o) => { const re = safeRegex(`^(${String(o.include ?? '')})$`); return frames.filter((f) => !re || re.test(f.refId ?? '')); },
  concatenate: (frames) => (frames.length ? [makeFrame(frames.flatMap((f) => f.fields))] : []),
  convertFieldType: (frames, o) => {
    const list = (o.conversions as { targetField?: string; destinationType?: string }[] | undefined) ?? [];
    return frames.map((frame) => ({ ...frame, fields: frame.fields.map((f) => convert(f, list.find((c) => named(f, frame, c.targetField))?.destinationType)) }));
  },
};

function convert(f: Field, to: string | undefined): Field {
  if (to === 'number') return { ...f, type: 'number', values: f.values.map((v) => (v === null ? null : Number(v))) };
  if (to === 'string') return { ...f, type: 'string', values: f.values.map((v) => (v === null ? null : String(v))) };
  if (to === 'time') return { ...f, type: 'time', values: f.values.map((v) => (typeof v === 'number' ? v : Date.parse(String(v)))) };
  return f;
}

// transform applies what it knows and names what it does not.
export function transform(frames: Frame[], list: Transformation[] = []): { frames: Frame[]; unknown: string[] } {
  const unknown: string[] = [];
  for (const t of list) {
    if (t.disabled) continue;
    const f = transforms[t.id];
    if (!f) unknown.push(`transformation ${JSON.stringify(t.id)} is not supported`);
    else {
      try {
        frames = f(frames, t.options ?? {});
      } catch (e) {
        unknown.push(e instanceof Error ? e.message : String(e));
      }
    }
  }
  return { frames, unknown };
}
