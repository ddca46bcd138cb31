import { Group, MultiSelect, Select, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Resolved } from '../model/variables';
import { change } from '../ui/url';

// VariableBar chooses the variables of a dashboard.
export function VariableBar({ list }: { list: Resolved[] }) {
  const shown = list.filter((r) => r.variable.hide !== 2 && r.variable.type !== 'constant' && (r.variable.type !== 'datasource' || r.options.length > 1));
  if (shown.length === 0) return null;
  return <Group gap="xs" align="flex-end" className="variables">{shown.map((r) => <One key={r.variable.name} r={r} />)}</Group>;
}

const most = 500; // options on the page at once; typing finds the others

function One({ r }: { r: Resolved }) {
  const { variable: v, chosen } = r;
  const set = (values: string[]) => change({ [`var-${v.name}`]: values });
  const [search, setSearch] = useState('');
  const data = [...new Map([...r.options, ...chosen.values].map((o) => [o.value, { value: o.value, label: o.text || '(empty)' }])).values()];
  const common = { size: 'xs', label: v.hide === 1 ? undefined : (v.label || v.name), 'aria-label': v.label || v.name, description: undefined, error: r.error, limit: most, searchValue: search, onSearchChange: setSearch, title: v.description } as const;
  if (v.type === 'textbox') {
    return <TextInput size="xs" label={v.label || v.name} defaultValue={chosen.values[0]?.value ?? ''} onBlur={(e) => set([e.currentTarget.value])} onKeyDown={(e) => { if (e.key === 'Enter') set([e.currentTarget.value]); }} />;
  }
  if (!v.multi) {
    return <Select {...common} w={Math.min(320, 90 + Math.max(8, chosen.values[0]?.text.length ?? 0) * 8)} searchable allowDeselect={false} data={data} value={chosen.all ? '$__all' : (chosen.values[0]?.value ?? null)} onChange={(x) => { if (x !== null) set([x]); }} nothingFoundMessage="Nothing" />;
  }
  const value = chosen.all ? ['$__all'] : chosen.values.map((o) => o.value);
  const pick = (next: string[]) => {
    const added = next.filter((x) => !value.includes(x));
    if (added.includes('$__all') || next.length === 0) set(v.includeAll ? ['$__all'] : value.slice(0, 1));
    else set(next.filter((x) => x !== '$__all'));
  };
  return <MultiSelect {...common} miw={140} maw={420} searchable hidePickedOptions={false} data={data} value={value} onChange={pick} nothingFoundMessage="Nothing" />;
}
