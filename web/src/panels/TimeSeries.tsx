import { useEffect, useMemo, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { color as colorOf } from '../format/color';
import { Legend, listLines } from './Legend';
import { chartOf, options, type Chart } from './chart';
import { tooltip } from './tooltip';
import type { Mark, PanelProps } from './types';

const legendRow = 21;

// TimeSeries draws lines, bars and points over time.
export function TimeSeries(p: PanelProps) {
  const chart = useMemo(() => chartOf(p.frames, p.panel, p.look), [p.frames, p.panel, p.look]);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const o = (p.panel.options?.legend ?? {}) as { showLegend?: boolean; displayMode?: string; placement?: string; calcs?: string[] };
  const show = o.showLegend !== false && o.displayMode !== 'hidden';
  const right = show && o.placement === 'right' && p.width > 420;
  const side = right ? Math.min(260, Math.floor(p.width * 0.35)) : 0;
  const lines = o.displayMode === 'table' ? chart.series.length + 1 : listLines(chart.series.map((s) => s.name), (o.calcs ?? []).length, p.width);
  const below = show && !right ? Math.min(lines * legendRow + 2, Math.max(legendRow + 2, Math.floor(p.height * 0.38 / legendRow) * legendRow)) : 0;
  const height = Math.max(p.height - below, 60);
  return (
    <div className="chart" style={{ flexDirection: right ? 'row' : 'column' }}>
      <Plot {...p} chart={chart} hidden={hidden} width={p.width - side} height={height} />
      {show && (
        <div style={{ width: right ? side : '100%', height: right ? p.height : below, overflow: 'auto' }}>
          <Legend series={chart.series} table={o.displayMode === 'table'} calcs={o.calcs ?? []} hidden={hidden} onHide={setHidden} look={p.look} />
        </div>
      )}
    </div>
  );
}

interface PlotProps extends PanelProps { chart: Chart; hidden: ReadonlySet<string> }

// Plot owns one uPlot. It is made anew when the series change; new data of the same series only redraw it.
function Plot(p: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const live = useRef(p);
  live.current = p;
  const { chart, look, hidden } = p;
  const shape = useMemo(() => JSON.stringify([chart.series.map((s) => [s.name, s.color, s.style]), look, chart.axes, p.sync, p.panel.id]), [chart, look, p.sync, p.panel.id]);
  const visible = useMemo(() => chart.series.map((s) => !hidden.has(s.name)), [chart, hidden]);
  const data = useMemo(() => chart.data(visible), [chart, visible]);

  useEffect(() => {
    if (!box.current) return undefined;
    const css = getComputedStyle(box.current);
    const now = live.current;
    const u = new uPlot({
      ...options(now.chart, now, css.fontFamily, () => live.current),
      plugins: [tooltip(() => live.current), marks(() => live.current)],
    }, data.values as uPlot.AlignedData, box.current);
    plot.current = u;
    u.over.addEventListener('dblclick', () => { const { range, onZoom } = live.current; const d = range.to - range.from; onZoom({ from: range.from - d / 2, to: range.to + d / 2 }); });
    return () => { u.destroy(); plot.current = null; };
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape]);

  useEffect(() => {
    const u = plot.current;
    if (!u) return;
    u.batch(() => {
      chart.series.forEach((_, i) => { if (u.series[i + 1]!.show !== visible[i]) u.setSeries(i + 1, { show: visible[i] }, false); });
      u.delBand();
      for (const b of data.bands) u.addBand(b);
      u.setData(data.values as uPlot.AlignedData, true);
    });
  }, [chart, data, visible, shape]);

  useEffect(() => { plot.current?.setSize({ width: p.width, height: p.height }); }, [p.width, p.height, shape]);
  useEffect(() => { plot.current?.redraw(false, true); }, [p.range, p.marks]);

  return <div ref={box} className="plot" role="img" aria-label={`${p.text(p.panel.title ?? 'chart')}: ${chart.series.length} series`} />;
}

// marks draws annotations as dashed lines, and a band where they last.
function marks(live: () => PlotProps): uPlot.Plugin {
  return {
    hooks: {
      draw: (u) => {
        const { ctx, bbox } = u;
        const ratio = devicePixelRatio;
        ctx.save();
        ctx.beginPath();
        ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
        ctx.clip();
        const list = live().marks;
        ctx.globalAlpha = 0.07;
        for (const [from, to, c] of bands(list)) { // one below the other would hide the data
          const x = u.valToPos(from / 1e3, 'x', true);
          ctx.fillStyle = colorOf(c, live().look.dark);
          ctx.fillRect(x, bbox.top, u.valToPos(to / 1e3, 'x', true) - x, bbox.height);
        }
        const drawn = new Set<number>();
        for (const m of list) {
          const x = u.valToPos(m.time / 1e3, 'x', true);
          const c = colorOf(m.color, live().look.dark);
          ctx.strokeStyle = ctx.fillStyle = c;
          if (drawn.has(Math.round(x / (3 * ratio)))) continue; // another one stands there
          drawn.add(Math.round(x / (3 * ratio)));
          ctx.globalAlpha = 0.6;
          ctx.setLineDash([4 * ratio, 4 * ratio]);
          ctx.lineWidth = ratio;
          ctx.beginPath();
          ctx.moveTo(x, bbox.top);
          ctx.lineTo(x, bbox.top + bbox.height);
          ctx.stroke();
          ctx.globalAlpha = 1;
          ctx.beginPath();
          ctx.moveTo(x - 4 * ratio, bbox.top + bbox.height);
          ctx.lineTo(x + 4 * ratio, bbox.top + bbox.height);
          ctx.lineTo(x, bbox.top + bbox.height - 6 * ratio);
          ctx.fill();
        }
        ctx.restore();
      },
    },
  };
}

// bands are the times that marks last, put together where they overlap.
function bands(list: Mark[]): [from: number, to: number, color: string][] {
  const out: [number, number, string][] = [];
  for (const m of [...list].sort((a, b) => a.time - b.time)) {
    if (!m.end || m.end <= m.time) continue;
    const last = out.at(-1);
    if (last && m.time <= last[1]) last[1] = Math.max(last[1], m.end);
    else out.push([m.time, m.end, m.color]);
  }
  return out;
}
