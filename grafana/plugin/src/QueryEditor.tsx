import { CoreApp, type QueryEditorProps } from '@grafana/data';
import { Button, InlineField, InlineFieldRow, InlineSwitch, Input, RadioButtonGroup, Select } from '@grafana/ui';
import * as React from 'react';

import { BuilderEditor } from './BuilderEditor';
import { emptyBuilder } from './builder';
import type { OrielDataSource } from './datasource';
import { Help } from './Help';
import { migrate, prevOf } from './model';
import { SqlEditor } from './SqlEditor';
import type { Format, OrielOptions, OrielQuery } from './types';

export const formats: Array<{ label: string; value: Format; description: string }> = [
  { label: 'Table', value: 'table', description: 'Rows as they come' },
  { label: 'Time series', value: 'time_series', description: 'A series for each value of the metrics column' },
  { label: 'Time series, long', value: 'long', description: 'One table with the metrics column in it' },
  { label: 'Logs', value: 'logs', description: 'Lines with their time' },
];

/** The editor of a query, in panels, alerts, annotations and Explore. */
export function QueryEditor({ query: kept, onChange, onRunQuery, datasource, queries, app, data }: QueryEditorProps<OrielDataSource, OrielQuery, OrielOptions>) {
  const query = migrate(kept);
  const [help, setHelp] = React.useState(false);
  const [shown, setShown] = React.useState(false);
  const series = query.format === 'time_series' || query.format === 'long';
  // Whoever asks for this query alone, as an alert does, needs what it reads.
  const change = (part: Partial<OrielQuery>) => {
    const next = { ...query, ...part };
    onChange({ ...next, prev: prevOf(next, (queries ?? []).map((q) => migrate(q as OrielQuery))) });
  };
  const expanded = data?.series.find((f) => f.refId === query.refId)?.meta?.executedQueryString;
  return (
    <>
      <InlineFieldRow>
        <InlineField label="Format">
          <Select aria-label="Format" width={24} options={formats} value={query.format} onChange={(v) => v.value && change({ format: v.value })} />
        </InlineField>
        {series && (
          <>
            <InlineField label="Time column" tooltip="Which column is the time; the first if empty. $__timeFilter means it too.">
              <Input aria-label="Time column" width={18} value={query.timeColumn ?? ''} onChange={(e) => change({ timeColumn: e.currentTarget.value })} onBlur={onRunQuery} />
            </InlineField>
            <InlineField label="Metrics column" tooltip="Each of its values is a series of its own.">
              <Input aria-label="Metrics column" width={18} value={query.metricColumn ?? ''} onChange={(e) => change({ metricColumn: e.currentTarget.value })} onBlur={onRunQuery} />
            </InlineField>
          </>
        )}
        {app !== CoreApp.Explore && (
          <InlineField label="Get queried result" tooltip="Off: the query runs for those that read it by $__source_prev, or for its INTO, and shows nothing.">
            <InlineSwitch aria-label="Get queried result" value={query.returnResult ?? true} onChange={(e) => change({ returnResult: e.currentTarget.checked })} />
          </InlineField>
        )}
        <InlineField>
          <RadioButtonGroup
            options={[
              { label: 'Builder', value: true },
              { label: 'Code', value: false },
            ]}
            value={query.builder !== undefined}
            onChange={(builder) => change({ builder: builder ? (query.builder ?? emptyBuilder) : undefined })}
          />
        </InlineField>
        <Button variant="secondary" fill="text" icon="question-circle" onClick={() => setHelp(!help)}>
          Help
        </Button>
        {expanded && (
          <Button variant="secondary" fill="text" icon="eye" onClick={() => setShown(!shown)}>
            {shown ? 'Hide SQL' : 'Expanded SQL'}
          </Button>
        )}
        <Button variant="secondary" icon="play" onClick={onRunQuery}>
          Run
        </Button>
      </InlineFieldRow>
      {query.builder ? (
        <BuilderEditor datasource={datasource} state={query.builder} onChange={(builder, rawSql) => change({ builder, rawSql })} onRun={onRunQuery} />
      ) : (
        <SqlEditor datasource={datasource} value={query.rawSql} onChange={(rawSql) => rawSql !== query.rawSql && change({ rawSql })} onRun={onRunQuery} />
      )}
      {shown && expanded && <pre aria-label="Expanded SQL">{expanded}</pre>}
      {help && <Help onClickExample={(q) => change(q as Partial<OrielQuery>)} />}
    </>
  );
}
