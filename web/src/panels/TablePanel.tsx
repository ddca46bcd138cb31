import { useMemo, useState } from 'react';
import { displayName, type Field, type Frame } from '../data/frame';
import { compare } from '../data/transform';
import { alpha } from '../format/color';
import { displayOf, whole, type Look } from '../format/display';
import { Link } from '../ui/Link';
import { linkVars } from './Stat';
import type { PanelProps } from './types';

const most = 1000; // rows on the page; sorting and CSV have all

export interface DataTableProps { frame: Frame; look: Look; sort?: { name: string; desc: boolean }; small?: boolean; header?: boolean; link?: (url: string, more?: Record<string, string>) => string }

// DataTable shows a frame; a click on a column sorts by it.
export function DataTable({ frame, look, sort: initial, small = true, header = true, link }: DataTableProps) {
  const [sort, setSort] = useState(initial);
  const [page, setPage] = useState(1);
  const fields = frame.fields.filter((f) => !(f.config.custom?.hidden === true || (f.config.custom?.hideFrom as { viz?: boolean } | undefined)?.viz));
  const order = useMemo(() => {
    const rows = Array.from({ length: frame.length }, (_, i) => i);
    const f = sort && frame.fields.find((c) => displayName(c, frame) === sort.name || c.name === sort.name);
    return f ? rows.sort((a, b) => compare(f.values[a], f.values[b]) * (sort.desc ? -1 : 1)) : rows;
  }, [frame, sort]);
  const show = useMemo(() => fields.map((f) => displayOf(f, look)), [frame, look]); // eslint-disable-line react-hooks/exhaustive-deps
  const click = (name: string) => setSort((s) => (s?.name !== name ? { name, desc: false } : s.desc ? undefined : { name, desc: true }));
  const right = (f: Field) => (f.config.custom?.align as string | undefined) === 'right' || ((f.config.custom?.align ?? 'auto') === 'auto' && f.type === 'number');
  return (
    <div className="table">
      <table className={small ? 'small' : undefined}>
        {header && (
          <thead>
            <tr>
              {fields.map((f, i) => {
                const name = displayName(f, frame);
                const dir = sort?.name === name ? (sort.desc ? 'descending' : 'ascending') : undefined;
                return (
                  <th key={i} aria-sort={dir} style={{ textAlign: right(f) ? 'right' : 'left', width: f.config.custom?.width as number | undefined }}>
                    <button type="button" onClick={() => click(name)}>{name}{dir === 'ascending' ? ' ↑' : dir === 'descending' ? ' ↓' : ''}</button>
                  </th>
                );
              })}
            </tr>
          </thead>
        )}
        <tbody>
          {order.slice(0, page * most).map((r) => (
            <tr key={r}>{fields.map((f, i) => <Cell key={i} field={f} frame={frame} row={r} show={show[i]!} right={right(f)} link={link} />)}</tr>
          ))}
        </tbody>
      </table>
      {order.length > page * most && <button type="button" className="more" onClick={() => setPage(page + 1)}>{order.length - page * most} more rows</button>}
    </div>
  );
}

interface CellProps { field: Field; frame: Frame; row: number; show: ReturnType<typeof displayOf>; right: boolean; link?: DataTableProps['link'] }

function Cell({ field, frame, row, show, right, link }: CellProps) {
  const value = field.values[row];
  const d = show(value);
  const o = (field.config.custom?.cellOptions ?? { type: field.config.custom?.displayMode }) as { type?: string; mode?: string };
  const text = whole(d);
  const style: React.CSSProperties = { textAlign: right ? 'right' : 'left' };
  if (o.type === 'color-text') style.color = d.color;
  if (o.type === 'color-background' || o.type === 'color-background-solid') Object.assign(style, { background: d.color, color: '#fff' });
  if ((o.type === 'gauge' || o.type === 'lcd-gauge' || o.type === 'gradient-gauge') && Number.isFinite(d.part)) {
    style.background = `linear-gradient(to right, ${alpha(d.color, 0.35)} ${(Math.min(Math.max(d.part, 0), 1) * 100).toFixed(1)}%, transparent 0)`;
  }
  const [l] = field.config.links ?? [];
  const cells = l ? Object.fromEntries(frame.fields.map((f) => [displayName(f, frame), f.values[row]])) : {};
  const inside = l && link ? <Link to={link(l.url, linkVars(displayName(field, frame), value, undefined, cells))} blank={l.targetBlank} title={l.title} inherit>{text}</Link> : text;
  return <td style={style} title={text}>{inside}</td>;
}

// TablePanel shows the frame that is chosen, of several the first.
export function TablePanel(p: PanelProps) {
  const o = (p.panel.options ?? {}) as { sortBy?: { displayName: string; desc?: boolean }[]; cellHeight?: string; showHeader?: boolean };
  const [at, setAt] = useState(0);
  const some = p.frames.filter((f) => f.fields.length > 0);
  const frame = some[Math.min(at, some.length - 1)];
  if (!frame) return null;
  const [s] = o.sortBy ?? [];
  return (
    <div className="column">
      <DataTable key={at} frame={frame} look={p.look} sort={s ? { name: s.displayName, desc: s.desc === true } : undefined} small={o.cellHeight !== 'md' && o.cellHeight !== 'lg'} header={o.showHeader !== false} link={p.link} />
      {some.length > 1 && (
        <select value={at} onChange={(e) => setAt(Number(e.target.value))} aria-label="Series">
          {some.map((f, i) => <option key={i} value={i}>{f.name ?? (f.fields.map((c) => displayName(c, f)).at(-1) || `Series ${i + 1}`)}</option>)}
        </select>
      )}
    </div>
  );
}
