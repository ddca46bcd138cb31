import { useState } from 'react';
import { displayName, timeField } from '../data/frame';
import { seriesColor } from '../format/color';
import { displayOf, whole } from '../format/display';
import { clockText, roundTimes, timeText } from '../format/time';
import { emWidth } from './measure';
import type { PanelProps } from './types';

interface Span { from: number; to: number; value: unknown; text: string; color: string }

// Timeline draws states over time: a row for each series, a box for each state.
export function Timeline(p: PanelProps) {
  const [tip, setTip] = useState<{ x: number; y: number; name: string; span: Span }>();
  const o = (p.panel.options ?? {}) as { mergeValues?: boolean; rowHeight?: number; showValue?: string; alignValue?: string; legend?: { showLegend?: boolean } };
  const history = p.panel.type === 'status-history';
  const kinds = new Map<string, string>(); // states of the legend
  const list = p.frames.flatMap((frame) => {
    const times = timeField(frame)?.values as number[] | undefined;
    if (!times) return [];
    return frame.fields.filter((f) => f.type !== 'time').map((f) => {
      const show = displayOf(f, p.look);
      const mode = f.config.color?.mode ?? 'thresholds';
      const spans: Span[] = [];
      times.forEach((t, i) => {
        const value = f.values[i];
        if (value === null || value === undefined || Number.isNaN(value)) return;
        const d = show(value);
        const text = whole(d);
        let color = d.color;
        if (!d.mapped && (f.type !== 'number' || mode === 'palette-classic')) color = kinds.get(text) ?? seriesColor(kinds.size, p.look.dark);
        kinds.set(text, color);
        const end = Math.min(times[i + 1] ?? t + p.stepMs, t + Math.max(p.stepMs * 1.5, 1));
        const last = spans.at(-1);
        if (last && !history && o.mergeValues !== false && last.text === text && last.to >= t) last.to = end;
        else spans.push({ from: t, to: end, value, text, color });
      });
      return { name: displayName(f, frame), spans };
    });
  });
  const names = list.map((r) => r.name);
  const left = Math.min(Math.max(40, Math.max(...names.map((n) => emWidth(n)), 0) * 11 + 14), p.width * 0.32);
  const foot = 20;
  const legend = o.legend?.showLegend === false ? 0 : 22;
  const h = Math.max(14, Math.min(60, (p.height - foot - legend) / Math.max(list.length, 1)));
  const bar = h * (o.rowHeight ?? 0.9);
  const w = Math.max(p.width - left - 6, 20);
  const x = (t: number) => left + ((Math.min(Math.max(t, p.range.from), p.range.to) - p.range.from) / (p.range.to - p.range.from)) * w;
  const long = p.range.to - p.range.from > 86400e3;
  const ticks = roundTimes(p.range, w / (long ? 110 : 70), p.look.zone).filter((t) => x(t) > left + 16 && x(t) < left + w - 16);
  return (
    <div className="timeline" onMouseLeave={() => setTip(undefined)}>
      <div style={{ overflowY: 'auto', overflowX: 'hidden', maxHeight: p.height - legend - foot }}>
        <svg width={p.width} height={list.length * h} role="img" aria-label={`${p.text(p.panel.title ?? '')}: ${list.length} rows`}>
          {ticks.map((t) => <line key={t} x1={x(t)} x2={x(t)} y1={0} y2={list.length * h} className="rule" />)}
          {list.map((r, i) => (
            <g key={i} transform={`translate(0 ${i * h})`}>
              <text x={left - 6} y={h / 2} dominantBaseline="central" textAnchor="end" fontSize={11} className="ink"><title>{r.name}</title>{shorten(r.name, left - 10)}</text>
              {r.spans.filter((s) => s.to > p.range.from && s.from < p.range.to).map((s, k) => (
                <g key={k} onMouseMove={(e) => setTip({ x: e.clientX, y: e.clientY, name: r.name, span: s })}>
                  <rect x={x(s.from)} y={(h - bar) / 2} width={Math.max(x(s.to) - x(s.from) - (history ? 1 : 0), 1)} height={bar} fill={s.color} fillOpacity={0.8} />
                  {o.showValue !== 'never' && x(s.to) - x(s.from) > emWidth(s.text) * 11 + 8 && <text x={x(s.from) + 4} y={h / 2} dominantBaseline="central" fontSize={11} fill="#fff">{s.text}</text>}
                </g>
              ))}
            </g>
          ))}
        </svg>
      </div>
      <svg width={p.width} height={foot} aria-hidden>
        {ticks.map((t) => <text key={t} x={x(t)} y={14} textAnchor="middle" fontSize={11} className="ink">{long ? timeText(t, p.look.zone).slice(5, 16) : clockText(t, p.look.zone).slice(0, 5)}</text>)}
      </svg>
      {legend > 0 && <ul className="legend">{[...kinds].map(([t, c]) => <li key={t}><span className="state"><i style={{ background: c }} />{t}</span></li>)}</ul>}
      {tip && (
        <div className="tip" style={{ display: 'block', transform: `translate(${Math.min(tip.x + 12, innerWidth - 300)}px, ${Math.min(tip.y + 12, innerHeight - 70)}px)` }}>
          <div><span>{tip.name}</span></div>
          <div><i style={{ background: tip.span.color }} /><span>{tip.span.text}</span></div>
          <div><span>{timeText(tip.span.from, p.look.zone)} – {timeText(tip.span.to, p.look.zone)}</span></div>
        </div>
      )}
    </div>
  );
}

// shorten cuts a text that is wider than so many pixels.
function shorten(t: string, width: number): string {
  const whole = emWidth(t) * 11;
  return whole > width ? `${t.slice(0, Math.max(3, Math.floor((t.length * width) / whole) - 1))}…` : t;
}
