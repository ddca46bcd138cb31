import { lazy, memo, type ComponentType } from 'react';
import { BarGauge, Gauge } from './Gauge';
import { Logs } from './Logs';
import { Stat } from './Stat';
import { TablePanel } from './TablePanel';
import { Text } from './Text';
import { Timeline } from './Timeline';
import { TimeSeries } from './TimeSeries';
import type { PanelProps } from './types';

const EChart = lazy(() => import('./EChart'));

// drawn keeps what is drawn until what it is drawn of changes: a panel that waits for new data does not work.
const drawn = memo as (c: ComponentType<PanelProps>) => ComponentType<PanelProps>;
const [series, stat, table, timeline] = [drawn(TimeSeries), drawn(Stat), drawn(TablePanel), drawn(Timeline)];

// kinds are the panels that the console draws, by Grafana's names of them; old names too.
export const kinds: Record<string, ComponentType<PanelProps>> = {
  timeseries: series, graph: series, stat, singlestat: stat, gauge: drawn(Gauge), bargauge: drawn(BarGauge), table, 'table-old': table,
  'state-timeline': timeline, 'status-history': timeline, logs: drawn(Logs), text: drawn(Text), barchart: EChart, histogram: EChart, piechart: EChart, heatmap: EChart,
};
