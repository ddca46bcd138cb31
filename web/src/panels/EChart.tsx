import { BarChart, HeatmapChart, PieChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TooltipComponent, VisualMapComponent } from 'echarts/components';
import { init, use as install, type EChartsType } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { memo, useEffect, useRef } from 'react';
import { barOption, heatmapOption, pieOption } from './echart';
import type { PanelProps } from './types';

install([BarChart, PieChart, HeatmapChart, GridComponent, LegendComponent, TooltipComponent, VisualMapComponent, CanvasRenderer]);

const makers = { barchart: barOption, histogram: barOption, piechart: pieOption, heatmap: heatmapOption } as Record<string, (p: PanelProps) => object>;

// EChart draws bar charts, pies and heat maps. It is loaded when a dashboard has one.
function EChart(p: PanelProps) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType>(null);
  useEffect(() => {
    const c = init(box.current!, undefined, { renderer: 'canvas' });
    chart.current = c;
    return () => { c.dispose(); chart.current = null; };
  }, []);
  useEffect(() => { chart.current?.resize({ width: p.width, height: p.height }); }, [p.width, p.height]);
  useEffect(() => {
    // Tooltips are drawn, not written as HTML: names in them are other people's text.
    chart.current?.setOption({ animation: false, ...makers[p.panel.type]!(p) }, { notMerge: true });
  }, [p.frames, p.look, p.panel, p.width, p.height]); // eslint-disable-line react-hooks/exhaustive-deps
  return <div ref={box} style={{ width: p.width, height: p.height }} role="img" aria-label={p.text(p.panel.title ?? p.panel.type)} />;
}

export default memo(EChart);
