import { useMemo, useState } from 'react';
import { displayName, type Field, type Frame } from '../data/frame';
import { compare } from '../data/transform';
import { alpha } from '../format/color';
import { displayOf, whole, type Look } from '../format/display';
import { Link } from '../ui/Link';
import { linkVars } from './Stat';
import { emWidth } from './measure';
import type { PanelProps } from './types';

const most = 1000; // rows on the page; sorting and CSV have all

export interface DataTableProps { frame: Frame; look: Look; sort?: { name: string; desc: boolean }; small?: boolean; header?: boolean; width?: number; link?: (url: string, more?: Record<string, string>) => string }

// DataTable shows a frame; a click on a column sorts by it.
export function DataTable({ frame, look, sort: initial, small = true, header = true, width, link }: DataTableProps) {
  const [sort, setSort] = useState(initial);
  const [page, setPage] = useState(1);
  const fields = frame.fields.filter((f) => !(f.config.custom?.hidden === true || (f.config.custom?.hideFrom as { viz?: boolean } | undefined)?.viz));
  const order = useMemo(() => {
    const rows = Array.from({ length: frame.length }, (_, i) => i);
    const f = sort && frame.fields.find((c) => displayName(c, frame) === sort.name || c.name === sort.name);
    return f ? rows.sort((a, b) => compare(f.values[a], f.values[b]) * (sort.desc ? -1 : 1)) : rows;
  }, [frame, sort]);
  const show = useMemo(() => fields.map((f) => displayOf(f, look)), [frame, look]); // eslint-disable-line react-hooks/exhaustive-deps
  const room = useMemo(() => (width ? widths(fields, frame, show, width - 14) : undefined), [frame, show, width]); // eslint-disable-line react-hooks/exhaustive-deps
  const click = (name: string) => setSort((s) => (s?.name !== name ? { name, desc: false } : s.desc ? undefined : { name, desc: true }));
  const right = (f: Field) => (f.config.custom?.align as string | undefined) === 'right' || ((f.config.custom?.align ?? 'auto') === 'auto' && f.type === 'number');
  return (
    <div className="table">
      <table className={`${small ? 'small' : ''}${room ? ' fixed' : ''}`} style={room && { width: Math.max(room.reduce((a, b) => a + b, 0), (width ?? 0) - 14) }}>
        {room && <colgroup>{room.map((w, i) => <col key={i} style={{ width: w }} />)}</colgroup>}
        {header && (
          <thead>
            <tr>
              {fields.map((f, i) => {
                const name = displayName(f, frame);
                const dir = sort?.name === name ? (sort.desc ? 'descending' : 'ascending') : undefined;
                return (
                  <th key={i} aria-sort={dir} style={{ textAlign: right(f) ? 'right' : 'left', width: f.config.custom?.width as number | undefined }}>
                    <button type="button" title={name} onClick={() => click(name)}>{name}{dir === 'ascending' ? ' ↑' : dir === 'descending' ? ' ↓' : ''}</button>
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

// widths shares the room: each column gets what its texts need and a part of
// what is left; where there is too little, long texts give way before numbers do.
function widths(fields: Field[], frame: Frame, show: ReturnType<typeof displayOf>[], room: number): number[] {
  const rows = Math.min(frame.length, 60);
  const need = fields.map((f, i) => {
    const fixed = f.config.custom?.width;
    if (typeof fixed === 'number') return fixed;
    let w = emWidth(`${displayName(f, frame)} ↑`, 600) * 12 + 18;
    for (let r = 0; r < rows; r++) w = Math.max(w, emWidth(whole(show[i]!(f.values[r]))) * 12.5 + 18);
    return Math.ceil(Math.min(w, 420));
  });
  const sum = need.reduce((a, b) => a + b, 0);
  if (sum <= room) return need.map((w) => w + ((room - sum) * w) / Math.max(sum, 1));
  const gives = need.map((_, i) => fields[i]!.type === 'string' && typeof fields[i]!.config.custom?.width !== 'number');
  // The widest columns give way first, down to a width that is the same for all of them.
  for (let most = 420; most >= 64; most -= 4) {
    const cut = need.map((w, i) => (gives[i] ? Math.min(w, most) : w));
    if (cut.reduce((a, b) => a + b, 0) <= room) return cut;
  }
  return need.map((w, i) => (gives[i] ? Math.min(w, 150) : w)); // too narrow for all: it scrolls
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
  return <td className={value === null || value === undefined ? 'none' : undefined} style={style} title={text}>{inside}</td>;
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
      <DataTable key={at} frame={frame} look={p.look} sort={s ? { name: s.displayName, desc: s.desc === true } : undefined} width={p.width} small={o.cellHeight !== 'md' && o.cellHeight !== 'lg'} header={o.showHeader !== false} link={p.link} />
      {some.length > 1 && (
        <select value={at} onChange={(e) => setAt(Number(e.target.value))} aria-label="Series">
          {some.map((f, i) => <option key={i} value={i}>{f.name ?? (f.fields.map((c) => displayName(c, f)).at(-1) || `Series ${i + 1}`)}</option>)}
        </select>
      )}
    </div>
  );
}
