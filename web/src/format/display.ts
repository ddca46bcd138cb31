import type { Field, FieldConfig, MappingResult, Thresholds } from '../data/frame';
import { color, ramp, seriesColor } from './color';
import { format } from './units';

// Display is a value as a panel shows it.
export interface Display { text: string; prefix: string; suffix: string; color: string; number: number; mapped: boolean; part: number }

export const whole = (d: Display): string => d.prefix + d.text + d.suffix;

export interface Look { dark: boolean; zone: string }

// mapping finds what a value is called, if it has a name.
export function mapping(value: unknown, config: FieldConfig): MappingResult | undefined {
  const n = typeof value === 'number' ? value : Number.NaN;
  for (const m of config.mappings ?? []) {
    switch (m.type) {
      case 'value': {
        const hit = m.options[value === null || value === undefined ? 'null' : String(value)];
        if (hit) return hit;
        break;
      }
      case 'range':
        if (n >= (m.options.from ?? -Infinity) && n <= (m.options.to ?? Infinity)) return m.options.result;
        break;
      case 'regex':
        if (value !== null && value !== undefined && safeRegex(m.options.pattern)?.test(String(value))) return m.options.result;
        break;
      case 'special': {
        const is: Record<string, boolean> = {
          null: value === null || value === undefined, nan: value !== null && Number.isNaN(value), 'null+nan': value === null || value === undefined || Number.isNaN(value),
          true: value === true, false: value === false, empty: value === '',
        };
        if (is[m.options.match]) return m.options.result;
      }
    }
  }
  return undefined;
}

// safeRegex reads /x/i or x; undefined if it is none.
export function safeRegex(pattern: string): RegExp | undefined {
  try {
    const m = /^\/(.*)\/([gimsuy]*)$/s.exec(pattern);
    return m ? new RegExp(m[1]!, m[2]!.replace('g', '')) : new RegExp(pattern);
  } catch {
    return undefined;
  }
}

// thresholdColor is the color of the last step that the value reaches.
export function thresholdColor(t: Thresholds | undefined, value: number, part: number, dark: boolean): string {
  let name = 'green';
  const v = t?.mode === 'percentage' ? part * 100 : value;
  for (const s of t?.steps ?? []) if (s.value === null || s.value === undefined || v >= s.value) name = s.color;
  return color(name, dark);
}

// bounds are the least and greatest value of a field: what is configured, else what it has.
export function bounds(field: Field): [min: number, max: number] {
  let [lo, hi] = [Infinity, -Infinity];
  if (field.config.min === undefined || field.config.max === undefined) {
    for (const v of field.values) {
      if (typeof v !== 'number' || !Number.isFinite(v)) continue;
      if (v < lo) lo = v;
      if (v > hi) hi = v;
    }
  }
  if (lo > hi) [lo, hi] = [0, 100];
  return [field.config.min ?? lo, field.config.max ?? hi];
}

// displayOf makes a function that shows the values of a field.
export function displayOf(field: Field, look: Look, limits: [number, number] = bounds(field)): (value: unknown) => Display {
  const { config } = field;
  const [lo, hi] = limits;
  const mode = config.color?.mode ?? 'thresholds';
  return (value) => {
    const number = typeof value === 'number' ? value : typeof value === 'boolean' ? Number(value) : Number.NaN;
    const part = Number.isFinite(number) && hi > lo ? (number - lo) / (hi - lo) : 0;
    let shade = field.color ?? seriesColor(0, look.dark);
    if (mode === 'thresholds') shade = thresholdColor(config.thresholds, number, part, look.dark);
    else if (mode === 'fixed' || mode === 'shades') shade = color(config.color?.fixedColor, look.dark);
    else if (mode.startsWith('continuous-')) shade = ramp(mode, part);
    const hit = mapping(value, config);
    if (hit && hit.color) shade = color(hit.color, look.dark);
    const made = (text: string, prefix = '', suffix = '') => ({ text, prefix, suffix, color: shade, number, part, mapped: hit !== undefined });
    if (hit && hit.text !== undefined && hit.text !== '') return made(hit.text);
    if (value === null || value === undefined) return made(config.noValue ?? '');
    if (field.type === 'time' && typeof value === 'number') {
      const unit = config.unit?.startsWith('dateTime') ? config.unit : 'dateTimeAsIso';
      return made(format(value, unit, undefined, look.zone).text);
    }
    if (typeof value === 'number') {
      const f = format(value, config.unit, config.decimals, look.zone);
      return made(f.text, f.prefix, f.suffix);
    }
    return made(typeof value === 'object' ? JSON.stringify(value) : String(value));
  };
}
