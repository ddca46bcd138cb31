import type { QueryEditorProps } from '@grafana/data';
import * as React from 'react';

import type { OrielDataSource } from './datasource';
import { SqlEditor } from './SqlEditor';
import type { OrielOptions, OrielQuery } from './types';

interface Props {
  query: OrielQuery | string;
  onChange: (query: OrielQuery, definition: string) => void;
  datasource: QueryEditorProps<OrielDataSource, OrielQuery, OrielOptions>['datasource'];
}

/** The query of a dashboard variable: one column, or label and value. */
export function VariableEditor({ query, onChange, datasource }: Props) {
  const kept = typeof query === 'string' ? query : (query?.rawSql ?? (query as unknown as { query?: string })?.query ?? '');
  const [sql, setSql] = React.useState(kept);
  const save = (text: string) => {
    setSql(text);
    onChange({ refId: 'variable', rawSql: text, format: 'table' }, text);
  };
  return (
    <>
      <SqlEditor datasource={datasource} value={sql} onChange={save} onRun={() => undefined} />
      <p>One column, or two: label and value. Time macros and other variables may stand in it.</p>
    </>
  );
}
