import type uPlot from 'uplot';
import { clockText, timeText } from '../format/time';
import { formatText } from '../format/units';
import type { Chart } from './chart';
import type { PanelProps } from './types';

type Live = () => PanelProps & { chart: Chart; hidden: ReadonlySet<string> };

// tooltip shows the values below the cursor. It is made of elements and text
// nodes: what series are called is other people's text.
export function tooltip(live: Live): uPlot.Plugin {
  let box: HTMLDivElement;
  const show = (u: uPlot) => {
    const { idx, left, top } = u.cursor;
    const { chart, look, panel, hidden, marks, stepMs } = live();
    const o = (panel.options?.tooltip ?? {}) as { mode?: string; sort?: string };
    const at = typeof idx === 'number' ? chart.times[idx] : undefined;
    // A crosshair that another chart moves shows a line, not a box.
    if (at === undefined || left === undefined || left < 0 || o.mode === 'none' || !u.over.matches(':hover')) {
      box.style.display = 'none';
      return;
    }
    let list = chart.series.map((s) => ({ s, v: s.values[idx!] })).filter((x) => x.v !== null && x.v !== undefined && !hidden.has(x.s.name));
    if (o.mode === 'single') {
      const near = (v: number, scale: string) => Math.abs(u.valToPos(v, scale) - (top ?? 0));
      list = list.sort((a, b) => near(a.v!, a.s.style.scale) - near(b.v!, b.s.style.scale)).slice(0, 1);
    } else if (o.sort === 'desc' || o.sort === 'asc') {
      list = list.sort((a, b) => (o.sort === 'desc' ? b.v! - a.v! : a.v! - b.v!));
    }
    box.replaceChildren();
    const line = (color: string | undefined, name: string, value: string) => {
      const row = box.appendChild(document.createElement('div'));
      const dot = row.appendChild(document.createElement('i'));
      if (color) dot.style.background = color;
      else dot.remove();
      row.appendChild(document.createElement('span')).textContent = name;
      row.appendChild(document.createElement('b')).textContent = value;
    };
    line(undefined, timeText(at, look.zone), '');
    for (const { s, v } of list.slice(0, 20)) line(s.color, s.name, formatText(s.style.negate ? -v! : v!, s.field.config.unit, s.field.config.decimals, look.zone));
    if (list.length > 20) line(undefined, `… ${list.length - 20} more`, '');
    for (const m of marks.filter((x) => Math.abs(x.time - at) <= stepMs * 2).slice(0, 5)) line(m.color, m.text, clockText(m.time, look.zone));
    box.style.display = 'block';
    const over = u.over.getBoundingClientRect();
    const [w, h] = [box.offsetWidth, box.offsetHeight];
    let x = over.left + left + 14;
    if (x + w > innerWidth - 8) x = over.left + left - w - 14;
    const y = Math.min(Math.max(8, over.top + (top ?? 0) - h / 2), Math.max(8, innerHeight - h - 8));
    box.style.transform = `translate(${Math.max(4, x)}px, ${y}px)`;
  };
  return {
    hooks: {
      init: (u) => {
        box = document.createElement('div');
        box.className = 'tip';
        document.body.appendChild(box);
        u.over.addEventListener('mouseleave', () => { box.style.display = 'none'; });
      },
      setCursor: show,
      destroy: () => box.remove(),
    },
  };
}
