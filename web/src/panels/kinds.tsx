import { lazy, type ComponentType } from 'react';
import { BarGauge, Gauge } from './Gauge';
import { Logs } from './Logs';
import { Stat } from './Stat';
import { TablePanel } from './TablePanel';
import { Text } from './Text';
import { Timeline } from './Timeline';
import { TimeSeries } from './TimeSeries';
import type { PanelProps } from './types';

const EChart = lazy(() => import('./EChart'));

// kinds are the panels that the console draws, by Grafana's names of them; old names too.
export const kinds: Record<string, ComponentType<PanelProps>> = {
  timeseries: TimeSeries, graph: TimeSeries, stat: Stat, singlestat: Stat, gauge: Gauge, bargauge: BarGauge, table: TablePanel, 'table-old': TablePanel,
  'state-timeline': Timeline, 'status-history': Timeline, logs: Logs, text: Text, barchart: EChart, histogram: EChart, piechart: EChart, heatmap: EChart,
};
