import { calcTitle, reduceField } from '../data/reduce';
import type { Look } from '../format/display';
import { formatText } from '../format/units';
import type { Line } from './chart';

export interface LegendProps { series: Line[]; table: boolean; calcs: string[]; hidden: ReadonlySet<string>; onHide: (h: ReadonlySet<string>) => void; look: Look }

// Legend names the series. A click shows one alone, a click with Ctrl takes it away or back.
export function Legend({ series, table, calcs, hidden, onHide, look }: LegendProps) {
  const click = (name: string, several: boolean) => {
    if (several) {
      const next = new Set(hidden);
      if (!next.delete(name)) next.add(name);
      onHide(next);
      return;
    }
    const alone = !hidden.has(name) && series.every((s) => s.name === name || hidden.has(s.name)) && series.length > 1;
    onHide(new Set(alone ? [] : series.filter((s) => s.name !== name).map((s) => s.name)));
  };
  const value = (s: Line, calc: string): string => {
    const v = reduceField(s.field, calc);
    return typeof v === 'number' ? formatText(v, s.field.config.unit, s.field.config.decimals, look.zone) : '–';
  };
  const shown = series.filter((s) => !(s.field.config.custom?.hideFrom as { legend?: boolean } | undefined)?.legend);
  const button = (s: Line) => (
    <button type="button" className={hidden.has(s.name) ? 'off' : undefined} title={s.name} aria-pressed={!hidden.has(s.name)} onClick={(e) => click(s.name, e.ctrlKey || e.metaKey || e.shiftKey)}>
      <i style={{ background: s.color }} />
      <span>{s.name}</span>
    </button>
  );
  if (!table) {
    return <ul className="legend">{shown.map((s, i) => <li key={i}>{button(s)}{calcs.map((c) => <em key={c}>{calcTitle(c)}: {value(s, c)}</em>)}</li>)}</ul>;
  }
  return (
    <table className="legend">
      <thead><tr><th>Name</th>{calcs.map((c) => <th key={c}>{calcTitle(c)}</th>)}</tr></thead>
      <tbody>{shown.map((s, i) => <tr key={i}><td>{button(s)}</td>{calcs.map((c) => <td key={c}>{value(s, c)}</td>)}</tr>)}</tbody>
    </table>
  );
}

// What a list's names and values take, in pixels: a letter, a value with its title, and what is around a name.
const letter = 6.4, valueWidth = 100, around = 28;

// listLines is how many lines a list of names needs.
export function listLines(names: string[], values: number, width: number): number {
  let lines = 1, x = 0;
  for (const name of names) {
    const w = Math.min(width, name.length * letter + around + values * valueWidth);
    if (x > 0 && x + w > width) {
      lines++;
      x = 0;
    }
    x += w;
  }
  return lines;
}
