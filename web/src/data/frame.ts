// A frame is a table of typed columns: what every query answers with and every panel draws.

export type FieldType = 'time' | 'number' | 'string' | 'boolean';
export type Labels = Record<string, string>;

export interface Step { value: number | null; color: string }
export interface Thresholds { mode: 'absolute' | 'percentage'; steps: Step[] }
export interface MappingResult { text?: string; color?: string; index?: number }
export type Mapping =
  | { type: 'value'; options: Record<string, MappingResult> }
  | { type: 'range'; options: { from: number | null; to: number | null; result: MappingResult } }
  | { type: 'regex'; options: { pattern: string; result: MappingResult } }
  | { type: 'special'; options: { match: string; result: MappingResult } };
export interface DataLink { title: string; url: string; targetBlank?: boolean }

// FieldConfig is how a field is shown: Grafana's fieldConfig after its overrides.
export interface FieldConfig {
  unit?: string; decimals?: number | null; min?: number; max?: number; displayName?: string; noValue?: string;
  color?: { mode: string; fixedColor?: string; seriesBy?: string };
  thresholds?: Thresholds; mappings?: Mapping[]; links?: DataLink[];
  custom?: Record<string, unknown>;
}

export interface Field {
  name: string;
  type: FieldType;
  values: unknown[]; // times are Unix milliseconds; nothing is null
  labels?: Labels;
  legend?: string; // the name that the query gives
  config: FieldConfig;
  color?: string; // of the palette, when the panel has chosen
}

export interface Frame { refId?: string; name?: string; fields: Field[]; length: number }

export const timeField = (f: Frame): Field | undefined => f.fields.find((c) => c.type === 'time');
export const numberFields = (f: Frame): Field[] => f.fields.filter((c) => c.type === 'number');

export function makeFrame(fields: Field[], more: Partial<Frame> = {}): Frame {
  return { ...more, fields, length: fields[0]?.values.length ?? 0 };
}

// labelText is {a="x", b="y"} as Prometheus writes it.
export function labelText(labels: Labels): string {
  const { __name__: name, ...rest } = labels;
  const list = Object.keys(rest).sort().map((k) => `${k}=${JSON.stringify(rest[k])}`);
  return list.length === 0 && name ? name : `${name ?? ''}{${list.join(', ')}}`;
}

// displayName is the name of a field as people see it.
export function displayName(field: Field, frame?: Frame): string {
  if (field.config.displayName) return fillName(field.config.displayName, field);
  if (field.legend !== undefined) return field.legend;
  if (field.labels && Object.keys(field.labels).length > 0) return labelText(field.labels);
  return frame?.name && frame.fields.length === 2 && field.name === 'Value' ? frame.name : field.name;
}

function fillName(text: string, field: Field): string {
  return text.replace(/\$\{__field\.(labels\.([\w.]+)|labels|name|displayName)\}/g, (_, what: string, label?: string) => {
    if (label) return field.labels?.[label] ?? '';
    if (what === 'labels') return labelText(field.labels ?? {});
    return field.legend ?? field.name;
  });
}
