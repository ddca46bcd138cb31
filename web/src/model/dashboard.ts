import type { DataLink, FieldConfig } from '../data/frame';

// The parts of Grafana's dashboard JSON that the console understands.

export interface DataSource { type?: string; uid?: string }
export interface Target {
  refId: string; expr?: string; rawSql?: string; legendFormat?: string; instant?: boolean; range?: boolean; hide?: boolean; format?: string | number;
  interval?: string; timeColumn?: string; metricColumn?: string; returnResult?: boolean; datasource?: DataSource | string | null;
}
export interface Matcher { id: string; options?: unknown }
export interface Override { matcher: Matcher; properties: { id: string; value: unknown }[] }
export interface Transformation { id: string; options?: Record<string, unknown>; disabled?: boolean }
export interface Grid { x: number; y: number; w: number; h: number }
export interface Panel {
  id: number; type: string; title?: string; description?: string; gridPos: Grid; datasource?: DataSource | string | null;
  targets?: Target[]; fieldConfig?: { defaults?: FieldConfig; overrides?: Override[] }; options?: Record<string, unknown>;
  transformations?: Transformation[]; links?: DataLink[]; repeat?: string; repeatDirection?: 'h' | 'v'; maxPerRow?: number;
  collapsed?: boolean; panels?: Panel[]; interval?: string; maxDataPoints?: number; timeFrom?: string; timeShift?: string;
  content?: string; mode?: string; libraryPanel?: unknown; transparent?: boolean;
  scoped?: Record<string, Option>; // what a repeated panel stands for
}
export interface Option { text: string; value: string }
export interface Variable {
  name: string; type: string; label?: string; description?: string; hide?: number; query?: string | { query?: string; expr?: string; refId?: string }; definition?: string;
  datasource?: DataSource | string | null; regex?: string; sort?: number; multi?: boolean; includeAll?: boolean; allValue?: string | null; refresh?: number;
  current?: { text?: string | string[]; value?: string | string[] }; options?: (Option & { selected?: boolean })[];
  auto?: boolean; auto_count?: number; auto_min?: string; filters?: unknown[];
}
export interface DashboardLink {
  type: string; title: string; url?: string; tags?: string[]; targetBlank?: boolean; includeVars?: boolean; keepTime?: boolean; asDropdown?: boolean; tooltip?: string;
}
export interface Annotation { name: string; enable?: boolean; expr?: string; rawSql?: string; iconColor?: string; hide?: boolean; titleFormat?: string; datasource?: DataSource | null; builtIn?: number }
export interface Dashboard {
  uid: string; title: string; description?: string; tags?: string[]; time?: { from: string; to: string }; refresh?: string | false; timezone?: string;
  templating?: { list: Variable[] }; annotations?: { list: Annotation[] }; panels: Panel[]; links?: DashboardLink[]; graphTooltip?: number;
}

export const sqlType = 'oriel-sql-datasource';
export type Source = 'prometheus' | 'sql' | 'none' | string;

// sourceOf tells what answers a target: a name that is neither is shown as it is.
export function sourceOf(target: { expr?: string; rawSql?: string; datasource?: DataSource | string | null }, fallback?: DataSource | string | null): Source {
  const ds = target.datasource ?? fallback;
  const type = typeof ds === 'string' ? ds : ds?.type;
  if (type === sqlType || target.rawSql !== undefined) return 'sql';
  if (type === 'prometheus' || target.expr !== undefined) return 'prometheus';
  if (type === undefined || type === '' || type === 'datasource' || type === 'grafana') return 'none';
  return type === '-- Mixed --' || type === 'mixed' ? 'none' : type;
}

// Row is a row panel with what stands below it.
export interface Row { key: string; title: string; collapsed: boolean; panels: Panel[]; header: boolean; scoped?: Record<string, Option> }

// rows divides a dashboard by its row panels. Panels before the first have no header.
export function rows(panels: Panel[]): Row[] {
  const list: Row[] = [{ key: 'top', title: '', collapsed: false, panels: [], header: false }];
  const sorted = [...panels].sort((a, b) => (a.gridPos?.y ?? 0) - (b.gridPos?.y ?? 0) || (a.gridPos?.x ?? 0) - (b.gridPos?.x ?? 0));
  for (const p of sorted) {
    if (p.type !== 'row') {
      list.at(-1)!.panels.push(p);
      continue;
    }
    const inside = (p.panels ?? []).map((q) => ({ ...q, gridPos: { ...q.gridPos } }));
    list.push({ key: `row${p.id}`, title: p.title ?? '', collapsed: p.collapsed === true, panels: inside, header: true });
    const row = list.at(-1)! as Row & { repeat?: string };
    if (p.repeat) row.repeat = p.repeat;
  }
  return list.filter((r) => r.header || r.panels.length > 0);
}

type Values = (name: string) => Option[];

// expand makes the copies of rows and panels that repeat by a variable.
export function expand(list: Row[], values: Values): Row[] {
  const out: Row[] = [];
  for (const row of list) {
    const by = (row as Row & { repeat?: string }).repeat;
    const copies = by ? values(by) : [];
    if (!by || copies.length === 0) {
      out.push({ ...row, panels: repeatPanels(row.panels, values) });
      continue;
    }
    for (const o of copies) {
      const scoped = { [by]: o };
      const panels = row.panels.map((p) => ({ ...p, scoped: { ...p.scoped, ...scoped } }));
      out.push({ ...row, key: `${row.key}-${o.value}`, scoped, panels: repeatPanels(panels, values) });
    }
  }
  return out;
}

function repeatPanels(panels: Panel[], values: Values): Panel[] {
  const out: Panel[] = [];
  let moved = 0; // rows of the grid that copies have taken so far
  for (const p of panels) {
    const at = { ...p.gridPos, y: p.gridPos.y + moved };
    const copies = p.repeat ? values(p.repeat).slice(0, 100) : [];
    if (!p.repeat || copies.length === 0) {
      out.push({ ...p, gridPos: at });
      continue;
    }
    const across = p.repeatDirection === 'v' ? 1 : Math.min(p.maxPerRow ?? 4, copies.length);
    const w = p.repeatDirection === 'v' ? at.w : Math.floor(24 / across);
    copies.forEach((o, i) => {
      out.push({
        ...p, id: p.id * 1000 + i, scoped: { ...p.scoped, [p.repeat!]: o },
        gridPos: { x: p.repeatDirection === 'v' ? at.x : (i % across) * w, y: at.y + Math.floor(i / across) * at.h, w, h: at.h },
      });
    });
    moved += (Math.ceil(copies.length / across) - 1) * at.h;
  }
  return out;
}
