import { safeRegex } from '../format/display';
import type { Matcher, Panel } from '../model/dashboard';
import { displayName, type Field, type FieldConfig, type Frame } from './frame';

// configure gives every field the panel's defaults and the overrides that match it.
export function configure(frames: Frame[], panel: Panel): { frames: Frame[]; unknown: string[] } {
  const defaults = panel.fieldConfig?.defaults ?? {};
  const unknown = new Set<string>();
  const out = frames.map((frame) => ({
    ...frame,
    fields: frame.fields.map((field) => {
      const config: FieldConfig = { ...defaults, ...field.config, custom: { ...defaults.custom, ...field.config.custom } };
      for (const o of panel.fieldConfig?.overrides ?? []) {
        const hit = matches(o.matcher, field, frame);
        if (hit === undefined) unknown.add(`matcher ${JSON.stringify(o.matcher.id)} is not supported`);
        if (hit) for (const p of o.properties) set(config, p.id, p.value);
      }
      return { ...field, config };
    }),
  }));
  return { frames: out, unknown: [...unknown] };
}

function set(config: FieldConfig, id: string, value: unknown): void {
  if (id.startsWith('custom.')) {
    const [head, ...rest] = id.slice(7).split('.');
    if (rest.length === 0) config.custom = { ...config.custom, [head!]: value };
    else config.custom = { ...config.custom, [head!]: { ...(config.custom?.[head!] as object | undefined), [rest.join('.')]: value } };
    return;
  }
  (config as Record<string, unknown>)[id] = value;
}

function matches(m: Matcher, field: Field, frame: Frame): boolean | undefined {
  const name = displayName(field, frame);
  switch (m.id) {
    case 'byName': return field.name === m.options || name === m.options;
    case 'byNames': return ((m.options as { names?: string[] } | undefined)?.names ?? []).some((n) => n === name || n === field.name);
    case 'byRegexp': return safeRegex(String(m.options))?.test(name) === true;
    case 'byType': return field.type === m.options;
    case 'byFrameRefID': return frame.refId === m.options;
    case 'first': return frame.fields[0] === field;
    default: return undefined;
  }
}
