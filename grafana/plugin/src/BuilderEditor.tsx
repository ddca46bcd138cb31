import type { SelectableValue } from '@grafana/data';
import { Alert, Button, InlineField, InlineFieldRow, InlineSwitch, Input, MultiSelect, Select } from '@grafana/ui';
import * as React from 'react';

import { figures, operators, toSQL } from './builder';
import type { OrielDataSource, TableInfo } from './datasource';
import type { BuilderState, Column } from './types';

interface Props {
  datasource: OrielDataSource;
  state: BuilderState;
  onChange: (state: BuilderState, sql: string) => void;
  onRun: () => void;
}

const option = (value: string): SelectableValue<string> => ({ label: value, value });

/** The builder: a table, conditions, figures, groups, time and a limit. */
export function BuilderEditor({ datasource, state, onChange, onRun }: Props) {
  const [tables, setTables] = React.useState<TableInfo[]>([]);
  const [columns, setColumns] = React.useState<Column[]>([]);
  const [problem, setProblem] = React.useState('');
  const change = (part: Partial<BuilderState>, known = columns) => {
    const next = { ...state, ...part };
    onChange(next, toSQL(next, known));
  };
  const latest = React.useRef(change);
  latest.current = change;
  const told = (e: unknown) => setProblem((e as { data?: { error?: { message?: string } } }).data?.error?.message ?? String(e));

  React.useEffect(() => {
    datasource.tables().then(setTables, told);
  }, [datasource]);
  const source = tables.find((t) => (state.table === '$__source' ? t.source : t.name === state.table));
  const table = source?.name;
  const time = source?.time_column;
  React.useEffect(() => {
    if (!table) {
      return;
    }
    let current = true;
    datasource.columns(table).then((list) => {
      if (current) {
        setColumns(list);
        latest.current({ timeColumn: time ?? '' }, list);
      }
    }, told);
    return () => {
      current = false;
    };
  }, [datasource, table, time]);

  const names = columns.map((c) => option(c.name));
  return (
    <>
      {problem !== '' && <Alert severity="error" title={problem} />}
      <InlineFieldRow>
        <InlineField label="Table" labelWidth={12}>
          <Select aria-label="Table" width={28} options={[option('$__source'), ...tables.map((t) => option(t.name))]} value={state.table} onChange={(v) => change({ table: v.value ?? '$__source', groupBy: [], conditions: [] })} />
        </InlineField>
        <InlineField label="Over time" tooltip="A row for each interval">
          <InlineSwitch aria-label="Over time" disabled={state.timeColumn === ''} value={state.overTime} onChange={(e) => change({ overTime: e.currentTarget.checked })} />
        </InlineField>
        <InlineField label="Limit">
          <Input aria-label="Limit" type="number" width={10} value={state.limit} onChange={(e) => change({ limit: Math.max(0, Math.trunc(Number(e.currentTarget.value))) })} onBlur={onRun} />
        </InlineField>
      </InlineFieldRow>
      {state.conditions.map((c, i) => {
        const set = (part: Partial<typeof c>) => change({ conditions: state.conditions.map((o, j) => (i === j ? { ...o, ...part } : o)) });
        return (
          <InlineFieldRow key={i}>
            <InlineField label={i === 0 ? 'Where' : 'and'} labelWidth={12}>
              <Select aria-label={'Column of condition ' + (i + 1)} width={24} options={names} value={c.column} onChange={(v) => set({ column: v.value ?? '' })} />
            </InlineField>
            <InlineField>
              <Select aria-label={'Operator of condition ' + (i + 1)} width={14} options={operators.map(option)} value={c.operator} onChange={(v) => set({ operator: v.value ?? '=' })} />
            </InlineField>
            {!c.operator.startsWith('IS ') && <Input aria-label={'Value of condition ' + (i + 1)} width={28} value={c.value} onChange={(e) => set({ value: e.currentTarget.value })} onBlur={onRun} />}
            <Button aria-label={'Remove condition ' + (i + 1)} variant="secondary" icon="times" onClick={() => change({ conditions: state.conditions.filter((_, j) => j !== i) })} />
          </InlineFieldRow>
        );
      })}
      {state.figures.map((f, i) => {
        const set = (part: Partial<typeof f>) => change({ figures: state.figures.map((o, j) => (i === j ? { ...o, ...part } : o)) });
        return (
          <InlineFieldRow key={i}>
            <InlineField label={i === 0 ? 'Show' : 'and'} labelWidth={12}>
              <Select aria-label={'Function ' + (i + 1)} width={24} options={figures.map(option)} value={f.fn} onChange={(v) => set({ fn: v.value ?? 'count' })} />
            </InlineField>
            <InlineField>
              <Select aria-label={'Column of function ' + (i + 1)} width={28} isClearable placeholder={f.fn === 'count' ? 'rows' : 'column'} options={names} value={f.column || null} onChange={(v) => set({ column: v?.value ?? '' })} />
            </InlineField>
            <Button aria-label={'Remove function ' + (i + 1)} variant="secondary" icon="times" onClick={() => change({ figures: state.figures.filter((_, j) => j !== i) })} />
          </InlineFieldRow>
        );
      })}
      <InlineFieldRow>
        <InlineField label="Group by" labelWidth={12}>
          <MultiSelect aria-label="Group by" width={52} options={names} value={state.groupBy} onChange={(v) => change({ groupBy: v.map((o) => o.value ?? '') })} />
        </InlineField>
        <Button variant="secondary" icon="filter" onClick={() => change({ conditions: [...state.conditions, { column: '', operator: '=', value: '' }] })}>
          Condition
        </Button>
        <Button variant="secondary" icon="plus" onClick={() => change({ figures: [...state.figures, { fn: 'sum', column: '' }] })}>
          Figure
        </Button>
      </InlineFieldRow>
      <pre aria-label="SQL of the builder">{toSQL(state, columns)}</pre>
    </>
  );
}
