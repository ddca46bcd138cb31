import { ago, timeText } from './time';

// Units of Grafana's, by its names. A unit that is not here is shown behind the number.

export interface Formatted { text: string; suffix: string; prefix: string }

const plain = (text: string, suffix = '', prefix = ''): Formatted => ({ text, suffix, prefix });

// decimalsFor chooses how many digits after the point tell something.
export function decimalsFor(value: number): number {
  if (value === 0 || Number.isInteger(value)) return 0;
  return Math.min(Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))), 12); // three digits
}

function fixed(value: number, decimals?: number | null): string {
  const text = value.toFixed(decimals ?? decimalsFor(value));
  return decimals == null && text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

type Scale = [size: number, suffix: string][];

const scale = (base: number, names: string[]): Scale => names.map((n, i) => [base ** i, n]);
const si = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
const iec = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const withUnit = (prefixes: string[], unit: string) => prefixes.map((p) => ` ${p}${unit}`);
const short: Scale = [[1, ''], [1e3, ' K'], [1e6, ' Mil'], [1e9, ' Bil'], [1e12, ' Tri'], [1e15, ' Quadr']];
const per = (unit: string): Scale => scale(1e3, ['', 'K', 'M', 'B', 'T'].map((p) => `${p} ${unit}`));
const duration: Scale = [
  [1e-9, ' ns'], [1e-6, ' µs'], [1e-3, ' ms'], [1, ' s'], [60, ' min'], [3600, ' h'], [86400, ' d'], [604800, ' wk'], [31557600, ' yr'],
];

const scales: Record<string, { scale: Scale; factor?: number }> = {
  short: { scale: short }, sishort: { scale: scale(1e3, si.map((p) => (p ? ` ${p}` : ''))) },
  bytes: { scale: scale(1024, withUnit(iec, 'B')) }, decbytes: { scale: scale(1e3, withUnit(si, 'B')) },
  bits: { scale: scale(1024, withUnit(iec, 'b')) }, decbits: { scale: scale(1e3, withUnit(si, 'b')) },
  kbytes: { scale: scale(1024, withUnit(iec, 'B')), factor: 1024 }, mbytes: { scale: scale(1024, withUnit(iec, 'B')), factor: 1024 ** 2 },
  Bps: { scale: scale(1e3, withUnit(si, 'B/s')) }, binBps: { scale: scale(1024, withUnit(iec, 'B/s')) },
  bps: { scale: scale(1e3, withUnit(si, 'b/s')) }, binbps: { scale: scale(1024, withUnit(iec, 'b/s')) },
  pps: { scale: scale(1e3, withUnit(si, 'p/s')) }, hertz: { scale: scale(1e3, withUnit(si, 'Hz')) },
  cps: { scale: per('c/s') }, ops: { scale: per('ops/s') }, reqps: { scale: per('req/s') }, rps: { scale: per('rd/s') },
  wps: { scale: per('wr/s') }, iops: { scale: per('io/s') }, eps: { scale: per('evt/s') }, mps: { scale: per('msg/s') },
  opm: { scale: per('ops/min') }, rpm: { scale: per('rd/min') }, cpm: { scale: per('c/min') },
  s: { scale: duration }, ms: { scale: duration, factor: 1e-3 }, 'µs': { scale: duration, factor: 1e-6 }, ns: { scale: duration, factor: 1e-9 },
  m: { scale: duration, factor: 60 }, h: { scale: duration, factor: 3600 }, d: { scale: duration, factor: 86400 },
  dtdurations: { scale: duration }, dtdurationms: { scale: duration, factor: 1e-3 },
  celsius: { scale: [[1, ' °C']] }, percent: { scale: [[1, '%']] }, percentunit: { scale: [[1, '%']], factor: 100 },
  amp: { scale: scale(1e3, withUnit(si, 'A')) }, watt: { scale: scale(1e3, withUnit(si, 'W')) }, dB: { scale: [[1, ' dB']] },
};

function scaled({ scale: list, factor = 1 }: { scale: Scale; factor?: number }, value: number, decimals?: number | null): Formatted {
  const v = value * factor;
  let best = list[0]!;
  if (v === 0) best = list.find(([size]) => size === 1) ?? best;
  else for (const step of list) if (Math.abs(v) >= step[0] * (1 - 1e-9)) best = step;
  const [size, suffix] = best;
  // A choice of decimals is meant for the unit itself: 1.5 KiB stays so with 0.
  const digits = size === 1 || decimals == null ? decimals : Math.max(decimals, decimalsFor(v / size) > 0 ? 1 : 0);
  return plain(fixed(v / size, digits), suffix);
}

// format writes a number in a unit. now and zone are for times.
export function format(value: number, unit = '', decimals?: number | null, zone = 'browser', now = Date.now()): Formatted {
  if (Number.isNaN(value)) return plain('NaN');
  if (!Number.isFinite(value)) return plain(value > 0 ? '∞' : '−∞');
  switch (unit) {
    case '': case 'none': return plain(fixed(value, decimals));
    case 'string': return plain(String(value));
    case 'locale': return plain(value.toLocaleString('en-US', { maximumFractionDigits: decimals ?? 3 }));
    case 'sci': return plain(value.toExponential(decimals ?? undefined));
    case 'bool': return plain(value === 0 ? 'False' : 'True');
    case 'bool_yes_no': return plain(value === 0 ? 'No' : 'Yes');
    case 'bool_on_off': return plain(value === 0 ? 'Off' : 'On');
    case 'hex0x': return plain(`0x${Math.round(value).toString(16).toUpperCase()}`);
    case 'dateTimeAsIso': case 'dateTimeAsLocal': case 'dateTimeAsSystem': case 'dateTimeAsUS': return plain(timeText(value, zone));
    case 'dateTimeAsIsoNoDateIfToday': return plain(timeText(value, zone).slice(-8));
    case 'dateTimeFromNow': return plain(ago(value, now));
  }
  const known = scales[unit];
  if (known) return scaled(known, value, decimals);
  const custom = /^(prefix|suffix|si|time|count|currency):(.*)$/s.exec(unit);
  if (!custom) return plain(fixed(value, decimals), ` ${unit}`);
  const [, kind, rest = ''] = custom;
  switch (kind) {
    case 'prefix': case 'currency': return plain(fixed(value, decimals), '', rest);
    case 'si': return scaled({ scale: scale(1e3, withUnit(si, rest)) }, value, decimals);
    case 'time': return plain(timeText(value, zone));
    default: return plain(fixed(value, decimals), rest.startsWith(' ') ? rest : ` ${rest}`);
  }
}

export const formatText = (value: number, unit?: string, decimals?: number | null, zone?: string): string => {
  const f = format(value, unit, decimals, zone);
  return f.prefix + f.text + f.suffix;
};
